//! Results as text for the terminal, and as JSON.

mod csv;
mod escape;
mod finding;
pub mod host;
mod ledger;
pub mod number;
pub mod page;
mod report;

pub use csv::field as csv_field;
pub use escape::escape;
pub use ledger::ledger;
pub use report::report;

use std::io::{self, Write};

/// `value` as indented JSON with a newline at its end.
pub fn json(value: &impl serde::Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}
