//! What is said of many hosts, `pagehound.group/1`: plain data.

use crate::traits::Trait;
use serde::Serialize;

/// The value of [`GroupComparison::schema`].
pub const GROUP_SCHEMA: &str = "pagehound.group/1";

/// Which traits the hosts that leak have in common.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupComparison {
    /// Always [`GROUP_SCHEMA`].
    pub schema: String,
    /// Version of the pagehound that compared.
    pub tool_version: String,
    /// Which findings count: part of their kind or signature; all without.
    pub signature: Option<String>,
    /// Reports that were read.
    pub reports: u64,
    /// Reports that another one counts for: of the same boot, or copies.
    pub again: u64,
    /// Those of them that are of the same moment of the same machine as another.
    pub copies: u64,
    /// Hosts, also those that do not count, whose reports tell neither a boot id nor a
    /// host name: nothing verifies that they are different ones.
    pub unverified: u64,
    /// Hosts that count: it is proved that they leak or that they do not.
    pub hosts: u64,
    /// Those of them that leak.
    pub leaking: u64,
    /// The others, and why.
    pub left_out: Vec<LeftOut>,
    /// Different traits that were tried; p-values are corrected for so many.
    pub tests: u64,
    /// The answer in a word.
    pub conclusion: Conclusion,
    /// Traits by how telling they are: the cohort, what cannot be told from it, what
    /// it explains, and the rest by p-value.
    pub associations: Vec<Association>,
    /// Over-represented traits, each adjusted for another.
    pub adjusted: Vec<Adjusted>,
    /// Sentences that limit what was said above.
    pub notes: Vec<String>,
}

impl GroupComparison {
    pub(super) fn new(signature: Option<String>, reports: usize) -> Self {
        GroupComparison {
            schema: GROUP_SCHEMA.to_owned(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            signature,
            reports: reports as u64,
            again: 0,
            copies: 0,
            unverified: 0,
            hosts: 0,
            leaking: 0,
            left_out: Vec::new(),
            tests: 0,
            conclusion: Conclusion::None,
            associations: Vec::new(),
            adjusted: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// A report that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct LeftOut {
    pub path: String,
    pub why: String,
}

/// The answer in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conclusion {
    /// A trait is over-represented, and no other one explains that.
    Cohort,
    /// No trait is, more than chance allows.
    None,
    /// There are too few hosts to tell chance from a cause.
    TooFew,
    /// All leak, or none does.
    AllAlike,
}

/// Traits that the same hosts have, against leaking.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Association {
    /// The traits; these hosts cannot tell one from another.
    pub traits: Vec<Trait>,
    /// Of the hosts that have them.
    pub with: Proportion,
    /// Of the hosts that have them not.
    pub without: Proportion,
    /// Hosts of which it is not known.
    pub unknown: u64,
    /// By how much larger a part of those with them leaks, -1 to 1; 95 % interval of
    /// Newcombe's method 10.
    pub difference: Interval,
    /// Odds ratio, conditional estimate, with its exact 95 % interval.
    pub odds_ratio: Interval,
    /// Of Fisher's exact test, two-sided.
    pub p_value: f64,
    /// The same corrected for the number of tests (Holm).
    pub p_corrected: f64,
    /// What it comes to.
    pub standing: Standing,
    /// Indices of the associations that explain this one.
    pub explained_by: Vec<usize>,
}

/// Leaking hosts among some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Proportion {
    pub leaking: u64,
    pub hosts: u64,
}

/// An estimate with its 95 % bounds. What is infinite or not known is `null`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Interval {
    pub estimate: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// What an association comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Over-represented, whatever other trait is held fixed.
    Cohort,
    /// As one of the cohort: too few hosts have one and not the other.
    Inseparable,
    /// Over-represented, but among hosts alike in another trait it is ruled out that
    /// it matters as much.
    Explained,
    /// Within what chance allows.
    Chance,
}

/// A trait, among hosts that are alike in another one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Adjusted {
    /// Index of the association.
    pub of: usize,
    /// Index of the one it is adjusted for.
    pub by: usize,
    /// Among the hosts with the other trait, and among those without it.
    pub strata: [Stratum; 2],
    /// Odds ratio that both have in common: conditional estimate and exact interval.
    pub odds_ratio: Interval,
    /// Of the exact test of Mantel and Haenszel, two-sided; not corrected for the
    /// number of these tests.
    pub p_value: f64,
}

/// Hosts that are alike in one trait, by another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Stratum {
    pub with: Proportion,
    pub without: Proportion,
}
