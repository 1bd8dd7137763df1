//! Numbers into bytes at an offset.

/// Puts `bytes` at `at`, growing `buf` with zeroes.
pub(crate) fn put(buf: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if buf.len() < end {
        buf.resize(end, 0);
    }
    buf[at..end].copy_from_slice(bytes);
}

/// Puts a little-endian number at `at`.
pub(crate) fn put_u16(buf: &mut Vec<u8>, at: usize, value: u16) {
    put(buf, at, &value.to_le_bytes());
}

/// Puts a little-endian number at `at`.
pub(crate) fn put_u32(buf: &mut Vec<u8>, at: usize, value: u32) {
    put(buf, at, &value.to_le_bytes());
}

/// Puts a little-endian number at `at`.
pub(crate) fn put_u64(buf: &mut Vec<u8>, at: usize, value: u64) {
    put(buf, at, &value.to_le_bytes());
}
