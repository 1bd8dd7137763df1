//! Reading kernel virtual memory of the dump.

use pagehound_vmcore::{Fault, VirtAddr};

/// A virtual read that could not be served.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VirtFault {
    /// No page-table entry, or none that is present.
    #[error("virtual {0}: not mapped by the kernel's page tables")]
    NotMapped(VirtAddr),
    /// Mapped, but the page cannot be had.
    #[error("virtual {addr}: {fault}")]
    Memory {
        /// The address that was asked for.
        addr: VirtAddr,
        /// What the container said.
        fault: Fault,
    },
    /// A string or a table did not end where it had to.
    #[error("virtual {addr}: no end within {limit} bytes")]
    Unterminated {
        /// Where it began.
        addr: VirtAddr,
        /// How far was looked.
        limit: usize,
    },
}

/// Kernel virtual memory. Values are little-endian, as on both architectures.
pub trait VirtualRead: Sync {
    /// Fills `buf` from `addr` on; all of it or a fault.
    fn read(&self, addr: VirtAddr, buf: &mut [u8]) -> Result<(), VirtFault>;

    /// A `u8`.
    fn u8(&self, addr: VirtAddr) -> Result<u8, VirtFault> {
        let mut buf = [0];
        self.read(addr, &mut buf)?;
        Ok(buf[0])
    }

    /// A `u16`.
    fn u16(&self, addr: VirtAddr) -> Result<u16, VirtFault> {
        let mut buf = [0; 2];
        self.read(addr, &mut buf)?;
        Ok(u16::from_le_bytes(buf))
    }

    /// A `u32`.
    fn u32(&self, addr: VirtAddr) -> Result<u32, VirtFault> {
        let mut buf = [0; 4];
        self.read(addr, &mut buf)?;
        Ok(u32::from_le_bytes(buf))
    }

    /// A `u64`.
    fn u64(&self, addr: VirtAddr) -> Result<u64, VirtFault> {
        let mut buf = [0; 8];
        self.read(addr, &mut buf)?;
        Ok(u64::from_le_bytes(buf))
    }

    /// A pointer.
    fn ptr(&self, addr: VirtAddr) -> Result<VirtAddr, VirtFault> {
        self.u64(addr).map(VirtAddr)
    }

    /// A NUL-terminated string of at most `limit` bytes without its NUL.
    /// Bytes are data of the dump: escape them before printing.
    fn cstr(&self, addr: VirtAddr, limit: usize) -> Result<Vec<u8>, VirtFault> {
        let mut out = Vec::new();
        let mut chunk = [0; 64];
        let mut at = addr;
        while out.len() <= limit {
            // A string may end right before an unmapped page: never read past one.
            let in_page = 4096 - (at.0 % 4096) as usize;
            let want = chunk.len().min(in_page);
            let part = chunk.get_mut(..want).unwrap_or_default();
            self.read(at, part)?;
            if let Some(nul) = part.iter().position(|&b| b == 0) {
                out.extend_from_slice(part.get(..nul).unwrap_or_default());
                if out.len() <= limit {
                    return Ok(out);
                }
                break;
            }
            out.extend_from_slice(part);
            at = at.add(want as u64);
        }
        Err(VirtFault::Unterminated { addr, limit })
    }
}
