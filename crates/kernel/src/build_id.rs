//! Build ids, from the note that the linker put into a kernel and into each module.

use std::fmt;

use memchr::memmem;
use pagehound_vmcore::VirtAddr;

use crate::VirtualRead;
use crate::kernel::Kernel;
use crate::modules::Module;
use crate::sweep::sweep;

/// A note (System V ABI) of type 3, `NT_GNU_BUILD_ID`: lengths of name and id, type,
/// name.
const NOTE: [u8; 16] = *b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
/// Bytes of an id: a SHA-1.
const LENGTH: usize = 20;

/// What names a very build of a kernel or module; printed as 40 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BuildId([u8; LENGTH]);

impl BuildId {
    /// By its 40 hex digits; `None` if `text` is anything else.
    pub fn parse(text: &str) -> Option<BuildId> {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> = pairs
            .iter()
            .map(|&[high, low]| Some((digit(high)? << 4 | digit(low)?) as u8))
            .collect();
        let id = bytes?.try_into().ok()?;
        rest.is_empty().then_some(BuildId(id))
    }

    /// The note that has it.
    pub(crate) fn note(self) -> Vec<u8> {
        [&NOTE[..], &self.0[..]].concat()
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl Kernel<'_> {
    /// The build id of a module, which names the very file it was loaded from.
    /// `None` if it has none, or it cannot be read.
    ///
    /// `module.build_id` (5.14, 9294523e3768) is there with one option only, the note
    /// on every kernel.
    pub fn module_build_id(&self, module: &Module) -> Option<BuildId> {
        module.regions.iter().find_map(|region| {
            in_memory(&self.memory, VirtAddr(region.start), VirtAddr(region.end))
        })
    }
}

/// The id in the first such note of a range of memory.
pub(crate) fn in_memory(read: &dyn VirtualRead, start: VirtAddr, end: VirtAddr) -> Option<BuildId> {
    let overlap = (NOTE.len() + LENGTH) as u64;
    sweep(read, start, end, overlap, |window| find(&window.bytes)).0
}

/// The same of some bytes.
pub(crate) fn find(bytes: &[u8]) -> Option<BuildId> {
    let at = memmem::find(bytes, &NOTE)?;
    bytes
        .get(at + NOTE.len()..)?
        .first_chunk()
        .copied()
        .map(BuildId)
}

#[cfg(test)]
mod tests {
    use super::{BuildId, find};

    const DIGITS: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn an_id_is_its_digits_and_its_note() {
        let id = BuildId::parse(DIGITS).unwrap();
        assert_eq!(id.to_string(), DIGITS);
        assert_eq!(BuildId::parse(&DIGITS.to_uppercase()), Some(id));
        let note = id.note();
        assert_eq!(note.len(), 36);
        assert_eq!(note[16..19], [0x01, 0x23, 0x45]);
        assert_eq!(find(&[&b"..."[..], &note].concat()), Some(id));
        assert_eq!(find(&note[..35]), None);
    }

    /// A dump may say anything, and its id becomes a path.
    #[test]
    fn what_is_no_id_is_none() {
        for text in [
            "",
            "01",
            "xx/home/a/b",
            "../../../../../../../../../../etc/passwd",
            "01/home/someone/abcdef0123456789abcdef01",
            "+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1",
        ] {
            assert_eq!(BuildId::parse(text), None, "{text}");
        }
        assert_eq!(BuildId::parse(&DIGITS[1..]), None);
        assert_eq!(BuildId::parse(&format!("{DIGITS}89")), None);
    }
}
