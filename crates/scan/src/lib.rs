//! Speed: the bulk pass over a memory, and finders of bytes. Nothing here knows
//! what a kernel is; words are read as little-endian.
//!
//! [`Pass`] gives every present page, decompressed once, to consumers on all
//! cores. [`words_in_ranges`] is the census's primitive; [`PatternSet`] finds
//! what a user asks for, and [`search`] drives it over a memory.

mod arch;
mod bytes;
mod layout;
mod ordered;
mod parse;
mod pass;
mod pattern;
mod progress;
mod range;
mod search;
mod set;
mod tally;
mod words;

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod testing;

pub use pass::{Outcome, Pass};
pub use pattern::{MaskedByte, Pattern, PatternError, Width};
pub use progress::{NoProgress, Progress};
pub use range::words_in_ranges;
pub use search::search;
pub use set::{Found, Match, PatternSet};
pub use tally::{End, Tally};
