//! What is said of several moments, `pagehound.series/1`: plain data.

use pagehound_model::Verdict;
use serde::Serialize;

/// The value of [`Series::schema`].
pub const SERIES_SCHEMA: &str = "pagehound.series/1";

/// Moments of one host, and what grows from one to the next.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// Always [`SERIES_SCHEMA`].
    pub schema: String,
    /// Version of the pagehound that compared.
    pub tool_version: String,
    /// Whether something grows that matters: what is not free or given back where
    /// memory is needed, by the larger of 1 % of MemTotal and 4 MiB, or a loss.
    pub matters: bool,
    /// The moments, in order of time.
    pub moments: Vec<Instant>,
    /// Times the host was started anew between two of them.
    pub reboots: u64,
    /// From the first moment to the last, without the time between boots.
    pub hours: f64,
    /// Amounts that differ between moments: those that grow first, then the largest
    /// slope.
    pub rows: Vec<Trend>,
    /// When memory will be used up, if what grows goes on as it did.
    pub exhausted: Option<Exhausted>,
    /// Sentences that limit what was said above.
    pub notes: Vec<String>,
}

/// One moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Instant {
    /// Path, as it was given when the report was made.
    pub path: String,
    /// When it was, RFC 3339, UTC.
    pub captured_at: String,
    /// Which boot it is of, from 1 on.
    pub boot: u64,
    /// Kernel release.
    pub kernel: String,
    /// What the kernel calls MemTotal.
    pub mem_total_bytes: u64,
    /// The answer in one word.
    pub verdict: Verdict,
    /// Bytes that no counter shows.
    pub unaccounted_bytes: u64,
}

/// What a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// A class of the ledger; these do not overlap.
    Class,
    /// What a class consists of, at least in part.
    Part,
    /// What was found lost, suspect or undecided, by kind.
    Finding,
}

/// One amount over time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// What it is of.
    pub sort: Sort,
    /// Its name; of a part the part's.
    pub name: String,
    /// The class that it is part of.
    pub within: Option<String>,
    /// Bytes at each moment; `null` where it is not told.
    pub bytes: Vec<Option<u64>>,
    /// The last that is told less the first of the same boot.
    pub change_bytes: i64,
    /// Theil and Sen's slope; `null` with fewer than two moments of a boot.
    pub bytes_per_hour: Option<f64>,
    /// One-sided p-value of Mann and Kendall's exact test; `null` with fewer than four
    /// moments, which cannot tell.
    pub p_value: Option<f64>,
    /// Whether it grows: the p-value is below 0.05.
    pub grows: bool,
}

/// When memory is used up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exhausted {
    /// From the last moment on.
    pub hours: f64,
    /// What there was left at the last moment: free, and what is given back when needed.
    pub left_bytes: u64,
    /// The classes that grow.
    pub classes: Vec<String>,
    /// Their slopes together.
    pub bytes_per_hour: f64,
}
