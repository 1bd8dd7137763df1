//! The memory of the host this runs on, by `/proc/kcore`, as if it were a dump.
//!
//! The kernel shows zeroes where it shows nothing, and one open file of kcore serves
//! one reader at a time: both stay in here. What is read goes on changing.
//!
//! [`tar`] reads what was saved of a host, elsewhere and by anybody.

pub mod capture;
mod child;
mod descriptors;
mod kcore;
mod open;
mod ram;
mod rate;
pub mod tar;
mod withheld;

pub use child::give_way;
pub use open::{NoMemory, OpenOptions, is_kcore, open};
