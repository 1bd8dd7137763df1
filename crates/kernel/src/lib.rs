//! What the bytes of a dump mean: the kernel in it, without debuginfo.

mod virt;

pub use virt::{VirtFault, VirtualRead};
