//! What is said of two hosts or moments, `pagehound.diff/1`: plain data.

use crate::traits::TraitKind;
use pagehound_model::{Content, State, Verdict};
use serde::Serialize;

/// The value of [`Comparison::schema`].
pub const DIFF_SCHEMA: &str = "pagehound.diff/1";

/// What one of two hosts or moments has and the other has not. Lists have only what
/// differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Always [`DIFF_SCHEMA`].
    pub schema: String,
    /// Version of the pagehound that compared.
    pub tool_version: String,
    /// Whether something differs that matters: the answer, the machines, what is lost,
    /// or an amount by the larger of 1 % of MemTotal and 4 MiB.
    pub matters: bool,
    /// How the two belong together.
    pub relation: Relation,
    /// The first.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// What the machines differ by, the most telling first.
    pub differences: Vec<Difference>,
    /// Drivers that a loss names and that are on both: they alone do not explain it.
    pub shared: Vec<Shared>,
    /// Modules of the kernel's own tree that differ as the kernel does.
    pub rebuilt_modules: u64,
    /// Losses, and what looks like one, by kind; the largest change first.
    pub findings: Vec<FindingChange>,
    /// Classes of the ledger; the largest change first.
    pub classes: Vec<ClassChange>,
    /// Classes that only one tells: they are in the other's raw pages, and so counted
    /// as raw of both.
    pub untold: Vec<Untold>,
    /// Who has what is held; the largest change first.
    pub holders: Vec<NamedChange>,
    /// Slab objects and vmalloc areas that nothing reaches.
    pub heap: Vec<NamedChange>,
    /// What is charged to control groups of unaccounted pages and slabs.
    pub cgroups: Vec<NamedChange>,
    /// Sentences that limit what was said above.
    pub notes: Vec<String>,
}

impl Comparison {
    /// Whether nothing differs, as far as it can be told.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
            && self.findings.is_empty()
            && self.classes.is_empty()
            && self.holders.is_empty()
            && self.heap.is_empty()
            && self.cgroups.is_empty()
            && self.a.verdict == self.b.verdict
    }
}

/// How two reports belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Relation {
    /// Whether they are of one host.
    pub relative: Relative,
    /// From the first to the second, where both tell their time.
    pub seconds: Option<i64>,
}

/// Whether two reports are of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relative {
    /// Two moments of one boot.
    SameBoot,
    /// Two boots of one host.
    SameHost,
    /// Two hosts.
    Others,
    /// The reports do not tell.
    Unknown,
}

impl Relative {
    /// Whether what is more in the second has grown.
    pub fn is_one_host(self) -> bool {
        matches!(self, Relative::SameBoot | Relative::SameHost)
    }
}

/// One of the two.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// Path of the dump, as it was given when the report was made.
    pub path: String,
    /// Node name.
    pub host: Option<String>,
    /// Boot identifier.
    pub boot_id: Option<String>,
    /// When the memory was captured, RFC 3339, UTC.
    pub captured_at: Option<String>,
    /// Kernel release.
    pub kernel: String,
    /// What the kernel calls MemTotal.
    pub mem_total_bytes: u64,
    /// The answer in one word.
    pub verdict: Verdict,
    /// Whether pages are lost; `null` where that is not proved either way.
    pub leaks: Option<bool>,
    /// Bytes that are lost.
    pub lost_bytes: u64,
    /// Bytes that look lost.
    pub suspect_bytes: u64,
    /// Bytes that no counter shows.
    pub unaccounted_bytes: u64,
    /// Whether only counters were read: there are no findings then.
    pub counters_only: bool,
    /// Whether it is an answer of `--quick`: nothing is proved, and numbers have bounds.
    pub sampled: bool,
}

/// The first or the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
#[serde(rename_all = "lowercase")]
pub enum Which {
    A,
    B,
}

/// Something the machines differ by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// How near it is to what is lost.
    pub telling: Telling,
    /// What it is.
    pub kind: TraitKind,
    /// Of what: the driver, the module; empty for the kernel.
    pub name: String,
    /// What the first has: for drivers the devices, else the version or build;
    /// `null` if it has none.
    pub a: Option<String>,
    /// What the second has.
    pub b: Option<String>,
    /// Findings of losses, which only one of the two has, that name it.
    pub named_by: Option<NamedBy>,
}

/// How near a difference is to what is lost, the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Telling {
    /// A loss that only one of the two has names it.
    Named,
    /// The kernel.
    Kernel,
    /// Network devices: driver, firmware.
    Device,
    /// Another build of a module that both have.
    Build,
    /// A module that only one has.
    Module,
}

/// Findings that name a driver or module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NamedBy {
    /// Whose findings.
    pub of: Which,
    /// Their numbers.
    pub findings: Vec<u32>,
}

/// A driver that a loss names and that both hosts have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shared {
    /// The driver or module.
    pub name: String,
    /// Who names it.
    pub named_by: NamedBy,
    /// Whether it is the same build of it; `null` where that is not told.
    pub same_build: Option<bool>,
    /// Whether its devices have the same firmware; `null` where that is not told.
    pub same_firmware: Option<bool>,
}

/// How much of something there is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Amount {
    /// Bytes.
    pub bytes: u64,
    /// Part of MemTotal; `null` where that is not known.
    pub share: Option<f64>,
    /// Bounds, 95 %, where it is an estimate: the lower and the upper.
    pub bounds: Option<(u64, u64)>,
    /// How many objects or areas, where they are counted.
    pub count: Option<u64>,
}

/// How much more the second has.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// What the first has; `null` if it has none.
    pub a: Option<Amount>,
    /// What the second has.
    pub b: Option<Amount>,
    /// The second less the first.
    pub bytes: i64,
    /// The share of MemTotal of the second less that of the first: of hosts of
    /// different size its sign may be another one.
    pub share: Option<f64>,
    /// Bytes an hour, for two moments of one host a minute or more apart.
    pub bytes_per_hour: Option<f64>,
}

/// A kind of findings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FindingChange {
    /// The kind, equal on all hosts; see the model's `Finding::kind`.
    pub kind: String,
    /// What the pages hold.
    pub content: Content,
    /// Drivers and modules they name.
    pub names: Vec<String>,
    /// State of the first's pages.
    pub a_state: Option<State>,
    /// State of the second's.
    pub b_state: Option<State>,
    /// Numbers of the first's findings of this kind.
    pub a_findings: Vec<u32>,
    /// Numbers of the second's.
    pub b_findings: Vec<u32>,
    /// How much.
    #[serde(flatten)]
    pub change: Change,
}

/// A class of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassChange {
    /// The class.
    pub class: String,
    /// Bytes by which the kernel's own counter differs, where both tell it.
    pub counter_bytes: Option<i64>,
    /// How much.
    #[serde(flatten)]
    pub change: Change,
}

/// A class that one of the two does not tell, for lack of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Untold {
    /// The class.
    pub class: String,
    /// Who does not tell it.
    pub not_told_by: Which,
    /// Bytes of the other.
    pub bytes: u64,
}

/// Something with a name that has memory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NamedChange {
    /// Kind, for example `pipe`, `slab`.
    pub kind: String,
    /// Name within the kind.
    pub name: String,
    /// How much.
    #[serde(flatten)]
    pub change: Change,
}
