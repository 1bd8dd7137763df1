//! Results as text for the terminal, and as JSON.

mod allocators;
mod bounds;
mod finding;
mod held;
pub mod host;
mod ledger;
pub mod number;
pub mod page;
mod report;
pub(crate) mod table;

pub use finding::{pattern_line, title as finding_title};
pub use ledger::ledger;
pub use report::{preview, report};

use std::io::{self, Write};

/// How much is told of what is held: rows of the ledger, and names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What is lost or suspect, and the largest of the rest.
    Usual,
    /// Every one.
    All,
}

impl Detail {
    /// What the option `--all` asks for.
    pub(crate) fn of(all: bool) -> Self {
        if all { Detail::All } else { Detail::Usual }
    }
}

/// The one place where text from a dump is made fit for a terminal: as one
/// line that cannot move the cursor, change colours or turn the direction of
/// writing.
pub fn escape(text: impl AsRef<[u8]>) -> String {
    pagehound_kernel::printable(text.as_ref())
}

/// The printable ASCII among `bytes`, a dot for each other byte.
pub fn ascii(bytes: &[u8]) -> String {
    let shown = |byte: &u8| {
        if (b' '..=b'~').contains(byte) {
            char::from(*byte)
        } else {
            '.'
        }
    };
    bytes.iter().map(shown).collect()
}

/// `value` as indented JSON with a newline at its end.
pub fn json(value: &impl serde::Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}
