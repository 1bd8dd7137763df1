//! `/proc/net/sockstat` and `sockstat6`: the memory that sockets of this network
//! namespace have claimed (net/ipv4/proc.c).

use crate::line::{Lines, decimal};

/// What sockets have claimed. Claims are made in pages before they are filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketMemory {
    /// Pages of TCP and UDP, over all namespaces.
    pub pages: u64,
    /// Bytes of fragments that wait for the rest of their packet.
    pub fragments: u64,
}

/// The sums of a sockstat. Lines and numbers that are not understood count nothing.
pub fn sockstat(text: &[u8]) -> SocketMemory {
    let mut memory = SocketMemory::default();
    for line in Lines::new("sockstat", text) {
        let Ok(line) = line.as_str() else { continue };
        let mut words = line.split_ascii_whitespace();
        let protocol = words.next().unwrap_or_default();
        let value = |key: &str| {
            let mut words = words.clone();
            words.find(|&word| word == key)?;
            words.next().and_then(decimal)
        };
        match protocol {
            "TCP:" | "UDP:" => {
                memory.pages = memory.pages.saturating_add(value("mem").unwrap_or(0));
            }
            "FRAG:" | "FRAG6:" => {
                let bytes = value("memory").unwrap_or(0);
                memory.fragments = memory.fragments.saturating_add(bytes);
            }
            _ => {}
        }
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tcp_udp_and_fragments_have() {
        let text =
            b"sockets: used 26\nTCP: inuse 1 orphan 0 tw 0 alloc 1 mem 7\nUDP: inuse 0 mem 176\n\
            UDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 2 memory 5000\n";
        let memory = sockstat(text);
        assert_eq!((memory.pages, memory.fragments), (183, 5000));
        assert_eq!(sockstat(b"FRAG6: inuse 0 memory 9\n").fragments, 9);
        assert_eq!(
            sockstat(b"TCP: mem\nUDP: mem -1\nx\n"),
            SocketMemory::default()
        );
    }
}
