//! Few hosts, sure statements: intervals and tests that hold for small counts.
//!
//! All of them are exact or known to keep their 95 % with a handful of hosts; the
//! usual formulas with a normal curve do not.

mod exact;
mod holm;
mod proportion;
mod trend;

pub(crate) use exact::{Conditional, LnFactorials};
pub(crate) use holm::holm;
pub(crate) use proportion::{Bounded, difference};
pub(crate) use trend::{Run, by_growth, p_of_growth, slope};

/// What is left on each side of a 95 % interval.
const TAIL: f64 = 0.025;

/// P-values below it are significant.
pub const ALPHA: f64 = 0.05;

/// Hosts by whether they leak and whether they have a trait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// With the trait: how many leak, of how many.
    pub(crate) with: (u64, u64),
    /// The same of those without it.
    pub(crate) without: (u64, u64),
}
