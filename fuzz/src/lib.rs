//! What is fuzzed: one function a parser, which must take any bytes without a panic,
//! and in time and memory that are in proportion to them.
//!
//! The functions also hold answers against each other where two ways lead to one (a
//! mapped file and one that is read, a walk of page tables and a translation), so that a
//! wrong answer is a finding too.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a finding is a panic"
)]

mod input;
mod memory;
pub mod seeds;
mod targets;

/// Something that takes bytes.
pub struct Target {
    /// Its name on the command line, and that of its folders of inputs.
    pub name: &'static str,
    /// Longest input worth trying, in bytes.
    pub max_len: usize,
    /// Takes one input.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("btf", 8 << 10, targets::btf::run),
    target("capture", 4 << 10, targets::capture::run),
    target("codec", 8 << 10, targets::codec::run),
    target("containers", 64 << 10, targets::containers::run),
    target("diagnose", 1 << 10, targets::diagnose::run),
    target("host", 16 << 10, targets::host::run),
    target("kallsyms", 12 << 10, targets::kallsyms::run),
    target("page_tables", 2 << 10, targets::page_tables::run),
    target("printk", 8 << 10, targets::printk::run),
    target("procfs", 4 << 10, targets::procfs::run),
    target("report", 16 << 10, targets::report::run),
    target("split", 64 << 10, targets::split::run),
    target("tar", 16 << 10, targets::tar::run),
    target("vmcoreinfo", 16 << 10, targets::vmcoreinfo::run),
    target("vmlinux", 16 << 10, targets::vmlinux::run),
    target("walks", 1 << 10, targets::walks::run),
];

const fn target(name: &'static str, max_len: usize, run: fn(&[u8])) -> Target {
    Target { name, max_len, run }
}
