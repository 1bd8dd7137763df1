//! Reports held against each other: what one host has and another has not, what grows
//! over several moments, and of many hosts which trait those that leak have in common.
//!
//! Knows reports and nothing else: what it says of two kernels or a hundred hosts
//! follows from `pagehound.report/1` alone.

mod diff;
mod group;
mod moment;
mod profile;
mod series;
mod stats;
#[cfg(test)]
mod testing;
mod traits;

pub use diff::{
    Amount, Change, ClassChange, Comparison, DIFF_SCHEMA, Difference, FindingChange, NamedBy,
    NamedChange, Relation, Relative, Shared, Side, Telling, Untold, Which, compare,
};
pub use group::{
    Adjusted, Association, Conclusion, GROUP_SCHEMA, Group, GroupComparison, Interval, LeftOut,
    Proportion, Standing, Stratum,
};
pub use series::{
    Exhausted, FEWEST_MOMENTS, Instant, MOST_MOMENTS, NoSeries, SERIES_SCHEMA, Series, Sort, Trend,
    series,
};
pub use stats::ALPHA;
pub use traits::{Trait, TraitKind};
