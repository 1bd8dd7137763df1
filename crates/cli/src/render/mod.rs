//! Results as text for the terminal, and as JSON.

mod allocators;
mod bounds;
mod diff;
mod finding;
mod group;
mod held;
pub mod host;
pub(crate) mod known;
mod ledger;
mod markdown;
pub mod number;
pub mod page;
mod parts;
pub(crate) mod ready;
mod report;
mod series;
pub(crate) mod table;

pub use diff::diff;
pub use finding::{pattern_line, title as finding_title};
pub use group::group;
pub use ledger::ledger;
pub use markdown::markdown;
pub use report::{preview, report};
pub use series::series;

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

/// `value` as indented JSON with a newline at its end. Characters that could move a
/// terminal's cursor or turn the direction of writing stand as `\u009b`: they can only be
/// within strings.
pub fn json(value: &impl serde::Serialize, out: &mut dyn Write) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    let is_unseen = |c: char| c != '\n' && !pagehound_kernel::is_printable(c);
    let mut rest = text.as_str();
    while let Some(at) = rest.find(is_unseen) {
        let (before, after) = rest.split_at(at);
        out.write_all(before.as_bytes())?;
        let mut after = after.chars();
        if let Some(unseen) = after.next() {
            for unit in unseen.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
        }
        rest = after.as_str();
    }
    writeln!(out, "{rest}")
}
