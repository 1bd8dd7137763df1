//! How much memory the machine has, by those who know more than the page allocator.

use crate::line::decimal;
use crate::tree::{Tree, read_line};

/// More than the tables of any firmware have, in bytes.
const MAX_TABLES: u64 = 1 << 20;

/// Bytes, as far as each is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineMemory {
    /// Of all modules, by the firmware's tables (`/sys/firmware/dmi/tables/DMI`, root).
    pub modules: Option<u64>,
    /// Set aside for the crash kernel (`/sys/kernel/kexec_crash_size`); of older
    /// kernels without a second part that is low (`crash_get_memory_size()`).
    pub crash_kernel: Option<u64>,
}

/// What there is of it.
pub fn read_machine_memory(tree: &dyn Tree) -> MachineMemory {
    let tables = tree.read("sys/firmware/dmi/tables/DMI", MAX_TABLES).ok();
    let crash = read_line(tree, "sys/kernel/kexec_crash_size");
    MachineMemory {
        modules: tables.and_then(|text| memory_modules(&text.bytes)),
        crash_kernel: crash.and_then(|text| decimal(&text)),
    }
}

/// Bytes of all memory modules: structures of type 17 of SMBIOS (DSP0134, 7.18). The
/// word at 12 is the size in MiB, or in KiB with the highest bit; 0 is an empty slot,
/// ffff unknown, and 7fff says that the size is the double word at 28, in MiB.
fn memory_modules(tables: &[u8]) -> Option<u64> {
    let mut rest = tables;
    let mut sum: Option<u64> = None;
    while let [kind, length, ..] = *rest {
        let length = usize::from(length);
        let structure = rest.get(..length).filter(|_| length >= 4)?;
        if kind == 17
            && let Some(size) = module_size(structure)
        {
            sum = Some(sum.unwrap_or(0).saturating_add(size));
        }
        // Strings follow, the last of which ends with two zeroes.
        let strings = rest.get(length..)?;
        let end = strings.windows(2).position(|pair| pair == [0, 0]);
        rest = strings.get(end? + 2..)?;
        if kind == 127 {
            break;
        }
    }
    sum.filter(|&bytes| bytes > 0)
}

fn module_size(structure: &[u8]) -> Option<u64> {
    let word = |at: usize| {
        let bytes = structure.get(at..at + 2)?;
        Some(u16::from_le_bytes(bytes.try_into().ok()?))
    };
    match word(12)? {
        0 | 0xffff => None,
        0x7fff => {
            let mib = u64::from(word(28)?) | u64::from(word(30)? & 0x7fff) << 16;
            Some(mib << 20)
        }
        kib if kib & 0x8000 != 0 => Some(u64::from(kib & 0x7fff) << 10),
        mib => Some(u64::from(mib) << 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Root;

    /// A structure of SMBIOS with one string.
    fn structure(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u8::try_from(body.len() + 4).unwrap();
        [&[kind, length, 1, 0], body, b"DIMM\0\0"].concat()
    }

    /// A memory module with these sizes.
    fn module(size: u16, extended: u32) -> Vec<u8> {
        let mut body = vec![0; 28];
        body[8..10].copy_from_slice(&size.to_le_bytes());
        body[24..28].copy_from_slice(&extended.to_le_bytes());
        structure(17, &body)
    }

    #[test]
    fn modules_of_all_ways_to_say_a_size() {
        let tables = [
            structure(0, &[0; 8]),
            module(16_384, 0),
            module(0, 0),
            module(0xffff, 0),
            module(0x7fff, 65_536),
            module(0x8000 | 512, 0),
            structure(127, &[]),
            module(1, 0),
        ];
        let sum = (16_384 << 20) + (65_536 << 20) + (512 << 10);
        assert_eq!(memory_modules(&tables.concat()), Some(sum));
        assert_eq!(memory_modules(b""), None);
        assert_eq!(memory_modules(&structure(0, &[0; 8])), None);
        // Cut or broken tables do no harm.
        for end in 0..tables.concat().len() {
            let _ = memory_modules(&tables.concat()[..end]);
        }
        assert_eq!(memory_modules(&[17, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn what_is_set_aside_for_the_crash_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sys/kernel");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("kexec_crash_size"), "134217728\n").unwrap();
        let memory = read_machine_memory(&Root::open(folder.path()).unwrap());
        let expected = MachineMemory {
            modules: None,
            crash_kernel: Some(128 << 20),
        };
        assert_eq!(memory, expected);
    }
}
