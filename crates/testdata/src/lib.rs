//! Real dumps for tests, the truth that was written beside them, and how an
//! answer scores against it; and memory made by hand.
//!
//! The demo dump is part of the repository. The corpus is not: it lies in the
//! folder that `PAGEHOUND_CORPUS` names, or in `../shared/corpus` beside the
//! checkout. Tests that need it are behind the feature `corpus` of their crate,
//! which `cargo xtask test` turns on where the corpus is.
#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "for tests: what is missing must be said loudly"
)]

pub mod evidence;
mod frames;
mod patched;
mod score;
mod truth;

use std::path::{Path, PathBuf};

pub use frames::Frames;
pub use patched::Damage;
pub use score::Score;
pub use truth::{
    Charged, Fate, Forgotten, KINDS, OWNERS, Owned, Planted, Truth, fate, kind, kind_name,
};

/// The folder of the corpus, whether or not it is there.
pub fn corpus_folder() -> PathBuf {
    std::env::var_os("PAGEHOUND_CORPUS")
        .map_or_else(|| root().join("../shared/corpus"), PathBuf::from)
}

/// A file of the corpus.
///
/// # Panics
///
/// If it is not there, with what to do.
pub fn corpus(name: &str) -> PathBuf {
    let path = corpus_folder().join(name);
    assert!(
        path.exists(),
        "{}: no such file; put the corpus of real dumps there or name its folder in PAGEHOUND_CORPUS",
        path.display()
    );
    path
}

/// The demo dump of the repository.
pub fn demo() -> PathBuf {
    root().join("demo/leak-6.1-x86_64.kdump")
}

/// The workspace's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("crates/testdata lies two folders below the root")
}
