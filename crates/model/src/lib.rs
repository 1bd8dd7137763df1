//! The report, `pagehound.report/1`: plain data that every renderer reads.

mod report;

pub use report::*;
