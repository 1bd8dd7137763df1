//! One file a target.

pub(crate) mod btf;
pub(crate) mod capture;
pub(crate) mod codec;
pub(crate) mod containers;
pub(crate) mod diagnose;
pub(crate) mod host;
pub(crate) mod kallsyms;
mod lying;
pub(crate) mod page_tables;
pub(crate) mod printk;
pub(crate) mod procfs;
pub(crate) mod report;
pub(crate) mod split;
pub(crate) mod tar;
pub(crate) mod vmcoreinfo;
pub(crate) mod vmlinux;
pub(crate) mod walks;
