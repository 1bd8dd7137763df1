//! Small dumps of every format, for tests.
//!
//! Nothing here shares a layout with the readers: bytes are put at the offsets
//! the formats' specifications name (makedumpfile's `diskdump_mod.h` and
//! `makedumpfile.h`, the ELF specification, `Documentation/staging/lzo.rst`, the
//! documentation of LiME and AVML's `image.rs`).
//!
//! ```
//! use pagehound_synth::{Image, KdumpOptions, Compression};
//!
//! let dump = Image::new(4096)
//!     .page(0x100, b"hello".to_vec())
//!     .excluded(0x101)
//!     .vmcoreinfo("OSRELEASE=6.1.0\nPAGESIZE=4096\n")
//!     .write_kdump(&KdumpOptions { compression: Compression::Lzo, ..KdumpOptions::default() });
//! assert!(dump.starts_with(b"KDUMP   "));
//! ```
//!
//! A wrong call (a page longer than a page) panics: this is code for tests.

mod bytes;
mod compress;
mod elf;
mod flat;
mod image;
mod kcore;
mod kdump;
mod lime;
mod lzo1x;
pub mod machine;
mod notes;
mod stream;
mod tar;
pub mod vmlinux;

pub use compress::compress;
pub use elf::{ElfOptions, ElfStyle};
pub use flat::{Flatten, Order, flatten};
pub use image::{Image, Machine};
pub use kcore::{Kcore, KcoreEra};
pub use kdump::{Compression, KdumpOptions};
pub use lime::{LimeOptions, LimeStyle};
pub use lzo1x::compress as compress_lzo1x;
pub use stream::{Block, KdumpStream};
pub use tar::{Tar, seal_tar_header};
