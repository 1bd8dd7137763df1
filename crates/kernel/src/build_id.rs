//! Build ids of modules, from the note that the linker put into each.

use memchr::memmem;
use pagehound_vmcore::{VirtAddr, hex};

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
            let (start, end) = (VirtAddr(region.start), VirtAddr(region.end));
            let overlap = (NOTE.len() + ID) as u64;
            let (found, _) = sweep(&self.memory, start, end, overlap, |window| {
                let at = memmem::find(&window.bytes, &NOTE)?;
                let id = window.bytes.get(at + NOTE.len()..)?.get(..ID)?;
                Some(hex(id, ""))
            });
            found
        })
    }
}
