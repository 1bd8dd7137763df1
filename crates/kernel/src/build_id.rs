//! Build ids, from the note that the linker put into a kernel and into each module.

use memchr::memmem;
use pagehound_vmcore::{VirtAddr, hex};

use crate::VirtualRead;
use crate::kernel::Kernel;
use crate::modules::Module;
use crate::sweep::sweep;

/// A note (System V ABI) of type 3, `NT_GNU_BUILD_ID`: lengths of name and id, type,
/// name.
const NOTE: [u8; 16] = *b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
/// Bytes of an id: a SHA-1.
const ID: usize = 20;

impl Kernel<'_> {
    /// The build id of a module as hex, which names the very file it was loaded from.
    /// `None` if it has none, or it cannot be read.
    ///
    /// `module.build_id` (5.14, 9294523e3768) is there with one option only, the note
    /// on every kernel.
    pub fn module_build_id(&self, module: &Module) -> Option<String> {
        module.regions.iter().find_map(|region| {
            in_memory(&self.memory, VirtAddr(region.start), VirtAddr(region.end))
        })
    }
}

/// The id in the first such note of a range of memory, as hex.
pub(crate) fn in_memory(read: &dyn VirtualRead, start: VirtAddr, end: VirtAddr) -> Option<String> {
    let overlap = (NOTE.len() + ID) as u64;
    sweep(read, start, end, overlap, |window| find(&window.bytes)).0
}

/// The same of some bytes.
pub(crate) fn find(bytes: &[u8]) -> Option<String> {
    let at = memmem::find(bytes, &NOTE)?;
    let id = bytes.get(at + NOTE.len()..)?.get(..ID)?;
    Some(hex(id, ""))
}

/// The note of an id in hex.
pub(crate) fn note(id: &str) -> Vec<u8> {
    let digits = id.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let mut note = NOTE.to_vec();
    note.extend(digits.filter_map(byte));
    note
}
