//! Memory made of an input.

use pagehound_kernel::{VirtFault, VirtualRead};
use pagehound_vmcore::{DumpInfo, Format, Machine, VirtAddr};

/// Bytes by virtual address; all other addresses are not mapped.
pub(crate) struct Virtual<'a> {
    pub(crate) base: u64,
    pub(crate) bytes: &'a [u8],
}

impl Virtual<'_> {
    /// The first address beyond the bytes.
    pub(crate) fn end(&self) -> VirtAddr {
        VirtAddr(self.base + self.bytes.len() as u64)
    }
}

impl VirtualRead for Virtual<'_> {
    fn read(&self, addr: VirtAddr, buf: &mut [u8]) -> Result<(), VirtFault> {
        let from = usize::try_from(addr.0.wrapping_sub(self.base)).unwrap_or(usize::MAX);
        let bytes = self
            .bytes
            .get(from..)
            .and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(bytes.ok_or(VirtFault::NotMapped(addr))?);
        Ok(())
    }
}

/// What a container says that knows no more than this.
pub(crate) fn dump_of(machine: Option<Machine>) -> DumpInfo {
    DumpInfo {
        machine,
        ..DumpInfo::new(Format::Elf)
    }
}
