//! See ARCHITECTURE.md.

pub mod host;
