//! QEMU's ELF cores, made readable for makedumpfile.
//!
//! QEMU 7.2 puts the section header first, so the program headers are at 192,
//! and gives its own header a size of 8. makedumpfile 1.7.2 expects program
//! headers directly behind a header of 64 bytes and finds no segment. What is
//! described stays the same; only the headers move.

use anyhow::{Result, ensure};

use crate::bytes::{get_size, get_u16, get_u32, put, slice};

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const PAGE: usize = 4096;
const PT_LOAD: u32 = 1;

/// The same core with the program headers at offset 64 and no section headers.
///
/// # Errors
/// When `core` is no 64-bit little-endian ELF file, or is cut short.
pub(super) fn straighten(core: &[u8]) -> Result<Vec<u8>> {
    ensure!(
        core.starts_with(b"\x7fELF\x02\x01"),
        "not a 64-bit little-endian ELF file"
    );
    let old_headers = get_size(core, 32)?;
    let count = usize::from(get_u16(core, 56)?);
    let mut out = slice(core, 0, HEADER)?.to_vec();
    put(&mut out, 32, &(HEADER as u64).to_le_bytes())?;
    put(&mut out, 40, &0_u64.to_le_bytes())?;
    put(&mut out, 52, &(HEADER as u16).to_le_bytes())?;
    // Section header size, count and string table.
    put(&mut out, 58, &[0; 6])?;
    out.extend_from_slice(slice(core, old_headers, count * PROGRAM_HEADER)?);
    for segment in 0..count {
        let header = HEADER + segment * PROGRAM_HEADER;
        let offset = get_size(&out, header + 8)?;
        let size = get_size(&out, header + 32)?;
        if get_u32(&out, header)? == PT_LOAD {
            out.resize(out.len().next_multiple_of(PAGE), 0);
        }
        let start = out.len() as u64;
        put(&mut out, header + 8, &start.to_le_bytes())?;
        out.extend_from_slice(slice(core, offset, size)?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_move_and_segments_keep_their_content() {
        let mut core = vec![0_u8; 192 + 2 * PROGRAM_HEADER];
        put(&mut core, 0, b"\x7fELF\x02\x01").unwrap();
        put(&mut core, 32, &192_u64.to_le_bytes()).unwrap();
        put(&mut core, 52, &8_u16.to_le_bytes()).unwrap();
        put(&mut core, 56, &2_u16.to_le_bytes()).unwrap();
        for (number, (kind, content)) in [(4_u32, "note"), (1, "load")].iter().enumerate() {
            let header = 192 + number * PROGRAM_HEADER;
            let start = core.len() as u64;
            put(&mut core, header, &kind.to_le_bytes()).unwrap();
            put(&mut core, header + 8, &start.to_le_bytes()).unwrap();
            put(&mut core, header + 32, &4_u64.to_le_bytes()).unwrap();
            core.extend_from_slice(content.as_bytes());
        }
        let out = straighten(&core).unwrap();
        assert_eq!(get_size(&out, 32).unwrap(), 64);
        assert_eq!(get_u16(&out, 52).unwrap(), 64);
        let note = get_size(&out, 64 + 8).unwrap();
        assert_eq!(&out[note..note + 4], b"note");
        let load = get_size(&out, 64 + PROGRAM_HEADER + 8).unwrap();
        assert_eq!((load % PAGE, &out[load..load + 4]), (0, b"load".as_slice()));
        assert!(straighten(&core[..core.len() - 1]).is_err());
    }
}
