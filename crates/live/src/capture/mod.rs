//! What a capture is made of: the file it is, and `pages.map`, the page map in little.

mod pack;
mod read;
mod varint;
mod write;

#[cfg(test)]
mod tests;

pub use pack::{pack, unpack};
pub use read::{BadMap, Stretch, StretchMap};
pub use write::{Exactness, MapWriter};

/// The first bytes of a map; the last one is the version.
const MAGIC: &[u8; 8] = b"PHMAP\0\0\x01";
/// Bytes before the first stretch: the magic and the number of frames.
const HEADER: usize = 16;

/// Most frames of a map: 32 TiB of pages of 4 KiB.
pub const MOST_FRAMES: u64 = 1 << 33;
/// Most kinds of pages of a map.
pub const MOST_KINDS: u32 = 1 << 16;
