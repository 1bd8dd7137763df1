//! Sockets: buffers in their queues, and rings of AF_PACKET.

use std::net::{Ipv4Addr, Ipv6Addr};

use pagehound_vmcore::VirtAddr;

use super::{Kind, Search};
use crate::kernel::KernelError;
use crate::layouts::{Field, Struct};
use crate::text::printable;
use crate::virt::VirtualRead;

/// `AF_INET`, `AF_INET6`, `AF_PACKET`: of the ABI.
const INET: u64 = 2;
const INET6: u64 = 10;
const PACKET: u64 = 17;
/// `sk_protocol` of TCP and UDP: of the ABI.
const TCP: u64 = 6;
const UDP: u64 = 17;

/// More blocks than an AF_PACKET ring has (`packet_set_ring()` bounds them by the
/// size of what it allocates their array in).
const MOST_BLOCKS: u64 = 1 << 24;

impl Search<'_> {
    /// A `struct socket`.
    pub(super) fn socket(&mut self, socket: VirtAddr, process: &str) {
        let kernel = self.kernel;
        let Ok(sock) = kernel.pointer(socket, Field::SocketSk) else {
            return;
        };
        if sock.0 == 0 {
            return;
        }
        let family = kernel.field(sock, Field::SockFamily).unwrap_or(0);
        if family == PACKET {
            self.packet_rings(sock, process);
        }
        let name = match self.endpoints(sock, family) {
            Some(ends) => format!("{ends}, {process}"),
            None => match self.protocol(sock) {
                Some(protocol) => format!("{protocol}, {process}"),
                None => process.to_owned(),
            },
        };
        let owner = self.owner(Kind::SocketQueue, name, None);
        self.below("sock", sock, |search| {
            for (field, what) in [
                (Field::SockReceiveQueue, "sk_receive_queue"),
                (Field::SockWriteQueue, "sk_write_queue"),
                (Field::SockErrorQueue, "sk_error_queue"),
            ] {
                if let Ok(queue) = kernel.member(sock, field) {
                    search.skb_queue(owner, queue, what);
                }
            }
            let protocol = kernel.field(sock, Field::SockProtocol).unwrap_or(0);
            let internet = matches!(family, INET | INET6);
            if internet
                && protocol == UDP
                && let Ok(queue) = kernel.member(sock, Field::UdpReaderQueue)
            {
                search.skb_queue(owner, queue, "reader_queue");
            }
            if internet && protocol == TCP {
                for (field, what) in [
                    (Field::TcpRtxQueue, "tcp_rtx_queue"),
                    (Field::TcpOutOfOrder, "out_of_order_queue"),
                ] {
                    if let Ok(root) = kernel.member(sock, field) {
                        search.skb_tree(owner, root, what);
                    }
                }
            }
            if let Ok(page) = kernel.pointer(sock, Field::SockFragPage) {
                search.below("sk_frag", sock, |search| search.page(owner, page));
            }
        });
    }

    /// `tcp 10.0.0.1:80 to 10.0.0.2:4711` of a socket of the Internet's protocols.
    fn endpoints(&self, sock: VirtAddr, family: u64) -> Option<String> {
        let kernel = self.kernel;
        let field = |field| kernel.field(sock, field).ok();
        let protocol = match field(Field::SockProtocol)? {
            TCP => "tcp".to_owned(),
            UDP => "udp".to_owned(),
            other => format!("ip protocol {other}"),
        };
        let (local, remote) = match family {
            INET => {
                let address =
                    |at| Some(Ipv4Addr::from((field(at)? as u32).to_le_bytes()).to_string());
                (address(Field::SockLocal)?, address(Field::SockRemote)?)
            }
            INET6 => {
                let address = |at| {
                    let mut bytes = [0; 16];
                    let at = kernel.member(sock, at).ok()?;
                    kernel.memory.read(at, &mut bytes).ok()?;
                    Some(format!("[{}]", Ipv6Addr::from(bytes)))
                };
                (address(Field::SockLocal6)?, address(Field::SockRemote6)?)
            }
            _ => return None,
        };
        let port = field(Field::SockPort)?;
        // As it travels, the more significant byte first.
        let to = (field(Field::SockRemotePort)? as u16).swap_bytes();
        Some(match to {
            0 => format!("{protocol} {local}:{port}"),
            to => format!("{protocol} {local}:{port} to {remote}:{to}"),
        })
    }

    /// Name of the protocol, as `/proc/net/protocols` has it.
    fn protocol(&self, sock: VirtAddr) -> Option<String> {
        let kernel = self.kernel;
        let protocol = kernel.pointer(sock, Field::SockProt).ok()?;
        let name = kernel.member(protocol, Field::ProtoName).ok()?;
        let name = printable(&kernel.memory.cstr(name, 32).ok()?);
        (!name.is_empty()).then_some(name)
    }

    /// Both rings of an AF_PACKET socket.
    pub(super) fn packet_rings(&mut self, sock: VirtAddr, process: &str) {
        for (field, what) in [
            (Field::PacketRxRing, "rx_ring"),
            (Field::PacketTxRing, "tx_ring"),
        ] {
            // One that is not there has no array.
            let _ = self.packet_ring(sock, field, what, process);
        }
    }

    fn packet_ring(
        &mut self,
        sock: VirtAddr,
        field: Field,
        what: &str,
        process: &str,
    ) -> Result<(), KernelError> {
        let kernel = self.kernel;
        let ring = kernel.member(sock, field)?;
        let array = kernel.pointer(ring, Field::RingPgVec)?;
        let blocks = kernel.field(ring, Field::RingPgVecLen)?;
        let order = kernel.field(ring, Field::RingPgVecOrder)?;
        let size = kernel.layouts.size(Struct::Pgv)?;
        if array.0 == 0 || blocks > MOST_BLOCKS || order > 20 {
            return Ok(());
        }
        let most = blocks << order;
        let owner = self.owner(Kind::PacketRing, process.to_owned(), Some(most));
        self.below("packet_sock", sock, |search| {
            search.below(what, ring, |search| {
                for block in 0..blocks {
                    if !search.step() {
                        break;
                    }
                    let slot = array.add(block * size);
                    let Ok(buffer) = kernel.pointer(slot, Field::PgvBuffer) else {
                        break;
                    };
                    search.below("pgv", slot, |search| {
                        search.memory(owner, buffer, kernel.page_size() << order);
                    });
                }
            });
        });
        Ok(())
    }
}
