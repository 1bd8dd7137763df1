//! The types of the report. Additions are compatible; a changed meaning is a
//! new schema number.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The value of [`Report::schema`].
pub const SCHEMA: &str = "pagehound.report/1";

/// The ledger classes whose rows add up to [`Report::unaccounted`]: allocated
/// pages that nobody owns as far as counters tell, and user or cache pages that
/// have lost their owner but not their last reference.
pub const UNACCOUNTED: [&str; 2] = ["raw", "detached"];

/// The ledger classes that are no part of MemTotal, and so have no share of it.
pub const OUTSIDE_MEM_TOTAL: [&str; 5] =
    ["kernel_image", "memmap", "reserved", "crash_kernel", "hole"];

/// Classes that only the counters of a host tell apart, and the class of a dump that
/// each is part of.
pub const COUNTED_APART: [(&str, &str); 10] = [
    ("free_on_per_cpu_lists", "free"),
    ("file_cache", "file"),
    ("buffers", "file"),
    ("swap_cache", "file"),
    ("slab_reclaimable", "slab"),
    ("slab_unreclaimable", "slab"),
    ("page_tables", "page_table"),
    ("secondary_page_tables", "page_table"),
    ("kernel_stacks", "kernel_stack"),
    ("huge_pages", "hugetlb"),
];

/// The outcome of `diagnose` for one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Which schema this is.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// Version of the pagehound that wrote the report.
    pub tool_version: String,
    /// The answer in one word.
    pub verdict: Verdict,
    /// Whether everything that bears on the answer could be read: no memory that
    /// could refer to a page, no unaccounted page, no list or table of the kernel
    /// that tells what a page is, nothing that names devices was missing or
    /// broken, and the search was not ended early. What bears on nothing, such as
    /// free pages and memory of processes, may be missing all the same.
    pub complete: bool,
    /// What a quick answer was drawn from; none where everything was looked at.
    pub sample: Option<Sample>,
    /// The machine.
    pub host: Host,
    /// The dump and its kernel.
    pub target: Target,
    /// One row a class; the pages add up to `target.pages`.
    pub ledger: Vec<LedgerRow>,
    /// What rows of a host's ledger consist of, as far as other files than the row's own
    /// tell; empty for dumps. Parts are no rows, and change no sum.
    #[serde(default)]
    pub explained: Vec<Explained>,
    /// The pages no counter of the kernel shows.
    pub unaccounted: Unaccounted,
    /// How the census did on pages that are known to be held.
    pub control: Control,
    /// What was found, largest first within lost, suspect, held, unknown.
    pub findings: Vec<Finding>,
    /// Who has pages by the kernel's own structures (pipes, sockets, rings, pools),
    /// the largest first; pages that counters show, as those of page_pools, too.
    #[serde(default)]
    pub holders: Vec<Holder>,
    /// Slab objects and vmalloc areas that nothing reaches, the largest first. They
    /// are in the counters of slabs and vmalloc, and not unaccounted.
    #[serde(default)]
    pub heap: Vec<HeapLoss>,
    /// Control groups by what is charged to them of unaccounted pages and of slabs,
    /// the most first; empty where the kernel has none or does not tell.
    #[serde(default)]
    pub cgroups: Vec<Cgroup>,
    /// Control groups that were removed and stay because memory is charged to them.
    #[serde(default)]
    pub dying_cgroups: DyingCgroups,
    /// Network devices that have hardware behind them or devices below them, in the
    /// order of the kernel's list.
    #[serde(default)]
    pub netdevs: Vec<NetDevice>,
    /// Loaded modules, by name.
    #[serde(default)]
    pub modules: Vec<Module>,
    /// Sentences that limit what was said above.
    pub warnings: Vec<String>,
    /// What the run cost.
    pub timing: Timing,
}

/// The answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Pages are lost: nothing in memory points to them.
    Lost,
    /// Pages look lost, but the proof has a gap.
    Suspect,
    /// No page is lost.
    None,
    /// Too much could not be read to say.
    Incomplete,
}

/// What a quick answer was drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// The same seed draws the same sample of the same dump.
    pub seed: u64,
    /// Pages that have a `struct page`.
    pub pages: u64,
    /// Those whose `struct page` was looked at.
    pub looked_at: u64,
    /// Unaccounted units among them: pages, or blocks of pages.
    pub units: u64,
    /// Those whose content was read.
    pub read: u64,
}

/// The machine the memory came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Node name.
    pub name: Option<String>,
    /// Boot identifier.
    pub boot_id: Option<String>,
    /// When the memory was captured, RFC 3339, UTC.
    pub captured_at: Option<String>,
}

/// The dump and its kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// Path as given.
    pub path: String,
    /// Container, for example `kdump` or `elf`.
    pub format: String,
    /// Kernel release.
    pub kernel: String,
    /// Which build of it, as `uname -v` prints it.
    #[serde(default)]
    pub build: Option<String>,
    /// Architecture, for example `x86_64`.
    pub arch: String,
    /// Page size in bytes.
    pub page_size: u64,
    /// All page frames the kernel has a memory map for, also those without memory
    /// behind them, which are the class `hole`; the ledger adds up to this.
    pub pages: u64,
    /// What the kernel calls MemTotal, in bytes.
    pub mem_total_bytes: u64,
    /// How much of the memory is in the dump; adds up to `pages`. Memory the
    /// kernel has no map of, such as a graphics card's, may be in the dump but is
    /// not counted.
    pub coverage: Coverage,
    /// `makedumpfile -d` level, where the dump records it.
    pub dump_level: Option<u32>,
}

/// Page frames by what the container has of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// Bytes are in the dump.
    pub present: u64,
    /// Left out on purpose (dump level).
    pub excluded: u64,
    /// Not in the dump.
    pub absent: u64,
    /// In the dump, but broken.
    pub unreadable: u64,
    /// In no dump: holes between the memory, memory of the firmware, and what is
    /// set aside for the crash kernel.
    pub outside: u64,
}

/// One class of pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerRow {
    /// Class, for example `free` or `slab`; see [`UNACCOUNTED`].
    pub class: String,
    /// Pages counted in the memory map.
    pub pages: u64,
    /// The same in bytes.
    pub bytes: u64,
    /// Bounds where `pages` is an estimate.
    pub estimate: Option<Estimate>,
    /// What the kernel itself counted.
    pub counter: Option<Counter>,
}

/// A part of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explained {
    /// Class of the row; `slab` is both classes of slabs that counters tell apart.
    pub class: String,
    /// What it is, in the kernel's words, for example a slab cache.
    pub name: String,
    /// Whose it is, in people's words: a mount point, a process, an instance of tracing.
    pub owner: Option<String>,
    /// How much; no more than the row has, nor have all parts together that are counted.
    pub bytes: u64,
    /// Whether there may be less: a claim, or something that lies in other rows too.
    pub at_most: bool,
    /// File and field.
    pub source: String,
}

impl Explained {
    /// Whether it is a part of the row of `class`.
    pub fn is_of(&self, class: &str) -> bool {
        let rest = class.strip_prefix(self.class.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    }
}

/// A counter of the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counter {
    /// Name, for example `NR_FREE_PAGES`.
    pub name: String,
    /// Its value in pages.
    pub pages: u64,
}

/// The pages no counter of the kernel shows, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unaccounted {
    /// All of them: the sum of the four below.
    pub pages: u64,
    /// The same in bytes.
    pub bytes: u64,
    /// Bounds where `pages` is an estimate.
    pub estimate: Option<Estimate>,
    /// Nothing points to them.
    pub lost_pages: u64,
    /// Content of a leak, but referenced; or unreferenced without full proof.
    pub suspect_pages: u64,
    /// Something points to them.
    pub held_pages: u64,
    /// Could not be decided.
    pub unknown_pages: u64,
}

/// The control group: pages known to be held, put through the same census.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Control {
    /// Pages checked.
    pub checked: u64,
    /// Pages the census would have called lost.
    pub missed: u64,
}

impl Control {
    /// The part of held pages that the search may miss at most: upper end of the 95 %
    /// interval. None where nothing was checked.
    pub fn most_missed(&self) -> Option<f64> {
        crate::wilson(self.missed, self.checked).map(|(_, most)| most)
    }
}

/// A group of unaccounted pages of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Number within this report, from 1.
    pub id: u32,
    /// Short stable name of the kind, equal in reports of equal leaks: parts
    /// with slashes between. In names out of the dump a slash is `%2f`. It may hold
    /// what is one host's own, such as a MAC address: to hold hosts against each
    /// other there is [`Finding::kind`].
    pub signature: String,
    /// What the pages have in common, equal in findings with the same content;
    /// none where they were not grouped by content.
    pub group: Option<String>,
    /// State of these pages.
    pub verdict: State,
    /// Whether something refers to them.
    pub reach: Reach,
    /// How many pages.
    pub pages: u64,
    /// The same in bytes.
    pub bytes: u64,
    /// log2 of the pages in a unit, where all units agree.
    pub order: Option<u32>,
    /// Bounds where `pages` is an estimate.
    pub estimate: Option<Estimate>,
    /// What the pages hold.
    pub content: Content,
    /// Bytes that recur at fixed offsets, most telling first.
    pub patterns: Vec<Pattern>,
    /// Devices the content names.
    pub owners: Vec<Owner>,
    /// Who refers to the pages.
    pub holders: Vec<Holder>,
    /// Functions that allocated the pages, by the kernel's own records, the most
    /// pages first; none where the kernel keeps no records.
    #[serde(default)]
    pub allocators: Vec<Allocator>,
    /// Pages by NUMA node.
    pub nodes: Vec<NodePages>,
    /// Pages by the control group they are charged to, the most first; few kinds of
    /// pages are charged.
    #[serde(default)]
    pub cgroups: Vec<CgroupPages>,
    /// Loaded modules that owners and holders name.
    #[serde(default)]
    pub modules: Vec<Module>,
    /// What was checked and what came of it.
    pub evidence: Vec<Evidence>,
    /// How sure the verdict is.
    pub confidence: Confidence,
    /// Leaks on record that fit.
    pub known_issues: Vec<KnownIssue>,
    /// What to do next, the most useful first; commands stand in backquotes.
    #[serde(default)]
    pub next: Vec<String>,
    /// A few page frame numbers to look at.
    pub sample_pfns: Vec<u64>,
}

/// Whether something refers to the pages of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Nothing in use refers to them.
    Unreferenced,
    /// Objects refer to them that nothing in use refers to; `holders` names
    /// their cache.
    LostObjects,
    /// Something in use refers to them; `holders` names it.
    Referenced,
    /// They were being allocated or freed at that moment.
    InTransit,
    /// It was not looked for.
    Unknown,
}

/// State of unaccounted pages.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing in memory points to them.
    Lost,
    /// See [`Unaccounted::suspect_pages`].
    Suspect,
    /// Something points to them.
    Held,
    /// Could not be decided.
    Unknown,
}

/// What pages hold.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// Received or sent Ethernet frames, parsed.
    Ethernet,
    /// Printable text.
    Text,
    /// All zero.
    Zero,
    /// High entropy.
    Random,
    /// Kernel pointers.
    Pointers,
    /// Frame numbers at a stride.
    PageTable,
    /// None of these, or several.
    Mixed,
}

/// Bounds of an estimate, 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Estimate {
    pub low: u64,
    pub high: u64,
}

/// Bytes that recur at one offset of the pages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pattern {
    /// Offset in the unit, in bytes.
    pub offset: u64,
    /// Hex pairs, `??` where it varies.
    pub hex: String,
    /// Part of the finding's pages that has it, 0 to 1.
    pub share: f64,
}

impl Pattern {
    /// The pattern of `bytes`, `None` where they vary.
    pub fn new(offset: u64, bytes: &[Option<u8>], share: f64) -> Pattern {
        let pair = |byte: &Option<u8>| byte.map_or("??".to_owned(), |byte| format!("{byte:02x}"));
        Pattern {
            offset,
            hex: bytes.iter().map(pair).collect(),
            share,
        }
    }

    /// Its bytes, `None` where they vary.
    pub fn bytes(&self) -> Vec<Option<u8>> {
        let digits: Vec<char> = self.hex.chars().collect();
        let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).ok();
        digits.chunks(2).map(byte).collect()
    }
}

/// A device the content names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Owner {
    /// Kind of owner; `netdev` so far.
    pub kind: String,
    /// Interface name.
    pub name: String,
    /// MAC address, `aa:bb:cc:dd:ee:ff`.
    pub mac: Option<String>,
    /// Driver.
    pub driver: Option<String>,
    /// Kernel module of the driver.
    pub module: Option<String>,
    /// Bus address, for example `0000:01:00.0`.
    pub bus: Option<String>,
    /// Upper device, such as a bond.
    pub upper: Option<String>,
    /// NUMA node it is near.
    #[serde(default)]
    pub node: Option<u32>,
    /// Network namespace, `net:[4026532177]`, if it is not the first one.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Which end of the frames in the pages its MAC address is, where they
    /// agree: pages with frames *to* a device were filled by what it received.
    pub role: Option<OwnerRole>,
}

/// Which end of a frame a device is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum OwnerRole {
    /// Its MAC address is the frames' destination.
    Destination,
    /// Its MAC address is the frames' source.
    Source,
}

/// Who refers to pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    /// Kind, for example `slab`, `module`, `vmalloc`.
    pub kind: String,
    /// Name within the kind.
    pub name: String,
    /// Pages it refers to, or has.
    pub pages: u64,
    /// The process that has it open, if one has.
    #[serde(default)]
    pub pid: Option<u32>,
    /// The loaded module whose code or data it is.
    #[serde(default)]
    pub module: Option<String>,
    /// Most pages it may have by its own settings, where these bound it: more is
    /// beyond what is legal.
    #[serde(default)]
    pub most_pages: Option<u64>,
    /// Its pages by NUMA node.
    #[serde(default)]
    pub nodes: Vec<NodePages>,
    /// The first of its pages, for `pagehound why`.
    #[serde(default)]
    pub sample_pfn: Option<u64>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)?;
        match self.pid {
            Some(pid) => write!(f, " (pid {pid})"),
            None => Ok(()),
        }
    }
}

impl Holder {
    /// Whether it has more than it may.
    pub fn is_beyond(&self) -> bool {
        self.most_pages.is_some_and(|most| self.pages > most)
    }
}

/// A function that allocated pages of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Allocator {
    /// The function: of a stack the innermost that is none of the allocator's own.
    pub function: String,
    /// Its module, where it is not the kernel's own.
    pub module: Option<String>,
    /// Whose record it is: [`Allocator::PAGE_OWNER`] or
    /// [`Allocator::ALLOCATION_TAGS`].
    pub source: String,
    /// Pages it allocated, of those looked at.
    pub pages: u64,
    /// Pages of the finding whose record was looked at: all, or a sample.
    pub looked_at: u64,
    /// The stack that most of these pages have, the innermost frame first, as
    /// `function+0xoffset/0xsize [module]`; page_owner only.
    pub stack: Vec<String>,
    /// Source file; allocation tags only.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
}

impl Allocator {
    /// The kernel booted with `page_owner=on`.
    pub const PAGE_OWNER: &str = "page_owner";
    /// Memory allocation profiling, `CONFIG_MEM_ALLOC_PROFILING`.
    pub const ALLOCATION_TAGS: &str = "allocation tags";
}

/// Slab objects of one cache, or vmalloc areas of one caller, that nothing reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeapLoss {
    /// `slab` or `vmalloc`.
    pub kind: String,
    /// The cache, or the code that asked for the areas.
    pub name: String,
    /// Objects or areas that nothing reaches.
    pub count: u64,
    /// Those in use in all.
    pub of: u64,
    /// Bytes they take.
    pub bytes: u64,
    /// Functions and data the objects point to, most frequent first.
    pub points_to: Vec<String>,
}

/// A loaded module, as exactly as memory tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Module {
    /// Name.
    pub name: String,
    /// `version` of its source, if it says.
    pub version: Option<String>,
    /// `srcversion`: a sum over its source, as `modinfo` shows it.
    pub srcversion: Option<String>,
    /// Build id of its file.
    pub build_id: Option<String>,
    /// Letters of the taints it was loaded with, as `/proc/modules` shows them: `OE`
    /// is out-of-tree and unsigned; empty for a module of the kernel's own tree.
    pub taints: String,
}

/// A network device of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetDevice {
    /// Interface name.
    pub name: String,
    /// MAC address it has now, `aa:bb:cc:dd:ee:ff`; else one the log tells.
    pub mac: Option<String>,
    /// Driver.
    pub driver: Option<String>,
    /// Kernel module of the driver.
    pub module: Option<String>,
    /// Bus address, for example `0000:01:00.0`.
    pub bus: Option<String>,
    /// Version of its firmware, where the driver has told the log.
    pub firmware: Option<String>,
    /// Upper device, such as a bond.
    pub upper: Option<String>,
    /// Kind of a virtual device, for example `bond`.
    pub kind: Option<String>,
}

/// What is charged to a control group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cgroup {
    /// Path below the mount, `/` for the root.
    pub path: String,
    /// Whether it has been removed.
    pub dying: bool,
    /// Pages charged to it and to those below it, of all kinds (`memory.current`).
    pub charged_pages: Option<u64>,
    /// Unaccounted pages charged to it.
    pub unaccounted_pages: u64,
    /// Bytes of slab objects charged to it.
    pub slab_bytes: u64,
    /// Bounds of `slab_bytes` where not every slab was asked.
    pub slab_estimate: Option<Estimate>,
}

/// Control groups that are gone but for what is charged to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DyingCgroups {
    /// How many.
    pub count: u64,
    /// Pages charged to them.
    pub charged_pages: u64,
}

/// Pages charged to one control group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub struct CgroupPages {
    pub path: String,
    pub dying: bool,
    pub pages: u64,
}

/// Pages on one NUMA node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub struct NodePages {
    pub node: u32,
    pub pages: u64,
}

/// Something that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Kind of check: `references`, `certainty`, `content`, `owner`, `blame`, `bound`,
    /// `features`, `node`, `look-alike`, or a new one.
    pub kind: String,
    /// How many were checked.
    pub checked: u64,
    /// How many of them agreed.
    pub matched: u64,
    /// The same as a sentence.
    pub text: String,
}

impl Evidence {
    /// References were looked for; the text says where.
    pub const REFERENCES: &str = "references";
    /// Why the verdict is as sure as it is; the numbers are those of the control group:
    /// pages known to be held, and those of them that the search found to be.
    pub const CERTAINTY: &str = "certainty";
    /// What was seen of a host that runs is seen twice.
    pub const MOTION: &str = "motion";
    /// The kernel says that it drops pages on purpose.
    pub const LOOK_ALIKE: &str = "look-alike";
    /// What the pages hold.
    pub const CONTENT: &str = "content";
    /// How many pages holders have against the most they may have.
    pub const BOUND: &str = "bound";
    /// What pages look like of which no name is known.
    pub const FEATURES: &str = "features";
    /// On which NUMA node the pages are, and which devices are near it.
    pub const NODE: &str = "node";
    /// Why the owners are the owners.
    pub const OWNER: &str = "owner";
    /// Where the pages were lost, as it follows the words *Lost in*:
    /// `the e1000 driver, or a consumer of its frames (…)`.
    pub const BLAME: &str = "blame";
}

/// How sure a verdict is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Every reference that could exist was looked for.
    Proved,
    /// Small gaps.
    Likely,
    /// Large gaps.
    Possible,
}

/// A leak on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KnownIssue {
    /// Commit of the fix.
    pub commit: String,
    /// Its subject.
    pub subject: String,
    /// First release with the fix, by branch.
    pub fixed_in: BTreeMap<String, String>,
    /// How well it fits: [`KnownIssue::POSSIBLE`], [`KnownIssue::VENDOR`] or
    /// [`KnownIssue::MATCHES`].
    pub r#match: String,
    /// Why no better; empty where it matches.
    #[serde(default)]
    pub but: String,
}

impl KnownIssue {
    /// A module that the finding names has it in this kernel's version.
    pub const POSSIBLE: &str = "possible";
    /// A module that the finding names had it, and the mark is that of this leak; the
    /// kernel is a vendor's, and only his changelog tells whether it has the fix.
    pub const VENDOR: &str = "vendor";
    /// Driver, kernel and mark are those of this leak.
    pub const MATCHES: &str = "matches";
}

/// What the run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    /// Wall clock.
    pub seconds: f64,
    /// Bytes of memory content read (after decompression).
    pub bytes_read: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_control_may_miss_is_bounded_as_wilson_does() {
        // Newcombe's table (see `wilson`): the upper limit of 0/20 is 0.1611, of 1/29 0.1718, of 15/148 0.1605.
        for (missed, checked, limit) in [(0, 20, 0.1611), (1, 29, 0.1718), (15, 148, 0.1605)] {
            let most = Control { checked, missed }.most_missed().unwrap();
            assert!((most - limit).abs() < 0.0001, "{missed}/{checked}: {most}");
        }
        assert_eq!(Control::default().most_missed(), None);
    }
}
