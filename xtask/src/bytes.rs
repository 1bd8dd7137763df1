//! Little-endian fields of files that other tools wrote, read and changed in
//! place; a position outside the file is an error.

use anyhow::{Context, Result};

pub(crate) fn get_u16(bytes: &[u8], at: usize) -> Result<u16> {
    Ok(u16::from_le_bytes(array(bytes, at)?))
}

pub(crate) fn get_u32(bytes: &[u8], at: usize) -> Result<u32> {
    Ok(u32::from_le_bytes(array(bytes, at)?))
}

/// A 64-bit field, as a position or size in memory.
pub(crate) fn get_size(bytes: &[u8], at: usize) -> Result<usize> {
    let value = u64::from_le_bytes(array(bytes, at)?);
    usize::try_from(value).with_context(|| format!("{value:#x} at {at:#x} is no size"))
}

/// `size` bytes from `at`.
pub(crate) fn slice(bytes: &[u8], at: usize, size: usize) -> Result<&[u8]> {
    at.checked_add(size)
        .and_then(|end| bytes.get(at..end))
        .with_context(|| format!("{size} bytes at {at:#x} are beyond the end of the file"))
}

/// Writes `value` over what is at `at`.
pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) -> Result<()> {
    at.checked_add(value.len())
        .and_then(|end| bytes.get_mut(at..end))
        .with_context(|| format!("{at:#x} is beyond the end of the file"))?
        .copy_from_slice(value);
    Ok(())
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    slice(bytes, at, N)?
        .try_into()
        .context("a slice has the size asked for")
}
