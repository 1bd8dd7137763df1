//! Tar archives: those from anybody, read once from front to end, within bounds; and our
//! own, written.
//!
//! The formats are POSIX.1-2001's ustar and pax interchange format ("pax", Extended
//! Description) and GNU tar's own ("Basic Tar Format" of its manual), which Python's
//! tarfile, and so sos, writes before Python 3.8.

mod archive;
mod header;
mod numbers;
mod path;
mod pax;
mod reader;
#[cfg(test)]
mod tests;
mod write;

pub use archive::Archive;
pub use header::looks_like_tar;
pub use reader::{Bounds, Entry, Kind, Reader, TarError};
pub use write::TarWriter;
