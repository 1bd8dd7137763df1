//! The report, `pagehound.report/1`: plain data that every renderer reads.

mod check;
mod error;
mod kind;
mod number;
mod report;
mod schema;
mod wilson;

pub use error::{ERROR_SCHEMA, ErrorReport};
pub use number::{size, thousands};
pub use report::*;
pub use schema::schema;
pub use wilson::{Z, wilson};
