//! Address translation: page tables of both architectures walked by one
//! generic walker, and the linear ranges that need no walk.

mod aarch64;
mod space;
mod tables;
mod x86_64;

#[cfg(test)]
mod tests;

pub use space::{AddressSpace, KernelMemory, Linear, SpaceError};
pub use tables::{Geometry, Mapping, Met, TablePage, Walk};
