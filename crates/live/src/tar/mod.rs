//! Archives in the format of tar.

mod write;

pub use write::TarWriter;
