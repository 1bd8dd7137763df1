//! The memory of the host this runs on, by `/proc/kcore`, as if it were a dump.
//!
//! The kernel shows zeroes where it shows nothing, and one open file of kcore serves
//! one reader at a time: both stay in here. What is read goes on changing.
//!
//! [`saved`] is what was saved of another host and packed, by anybody; [`tar`] reads it.

pub mod capture;
mod child;
mod descriptors;
mod kcore;
mod open;
mod ram;
mod rate;
pub mod saved;
pub mod tar;
mod withheld;

pub use child::give_way;
pub use open::{NoMemory, OpenOptions, is_kcore, open};
