//! Truth files: what a guest said of itself just before it was dumped, as
//! `== section` headings with lines below them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

/// What must become of a planted page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing names it: it must be called lost.
    Lost,
    /// Something still holds it: it must not.
    Held,
    /// Nothing names it, but the kernel counts it where it belongs: either answer
    /// is right.
    Counted,
}

/// Number, name and fate of every kind, as `lab/module/pagelab.h` has them.
pub const KINDS: [(u32, &str, Fate); 60] = [
    (1, "frames", Fate::Lost),
    (2, "text", Fate::Lost),
    (3, "order2", Fate::Lost),
    (4, "vmalloc", Fate::Held),
    (5, "slab", Fate::Held),
    (6, "array", Fate::Held),
    (7, "zero", Fate::Lost),
    (8, "noise", Fate::Lost),
    (9, "list", Fate::Held),
    (10, "split", Fate::Held),
    (11, "private", Fate::Held),
    (12, "cycle", Fate::Lost),
    (13, "lostcompound", Fate::Lost),
    (14, "compound", Fate::Held),
    (15, "tagged", Fate::Held),
    (16, "chain", Fate::Held),
    (17, "skb", Fate::Lost),
    (18, "stale", Fate::Lost),
    (19, "stack", Fate::Held),
    (20, "percpu", Fate::Held),
    (21, "objects", Fate::Held),
    (22, "hwtable", Fate::Held),
    (23, "offset64", Fate::Lost),
    (24, "offset192", Fate::Lost),
    (25, "offset2048", Fate::Lost),
    (26, "freedskb", Fate::Lost),
    (27, "order3", Fate::Lost),
    (28, "singly", Fate::Lost),
    (29, "doubly", Fate::Lost),
    (30, "poolgone", Fate::Lost),
    (31, "detached", Fate::Lost),
    (32, "unmapped", Fate::Lost),
    (33, "lostkmalloc", Fate::Lost),
    (34, "kmalloc", Fate::Held),
    (35, "xarray", Fate::Held),
    (36, "lru", Fate::Held),
    (37, "sg", Fate::Held),
    (38, "netmem", Fate::Held),
    (39, "queued", Fate::Held),
    (40, "splitpage", Fate::Held),
    (41, "poolring", Fate::Held),
    (42, "poolflight", Fate::Held),
    (43, "pagefrag", Fate::Held),
    (44, "pipe", Fate::Held),
    (45, "packet", Fate::Held),
    (46, "uring", Fate::Held),
    (47, "perf", Fate::Held),
    (48, "user", Fate::Held),
    (49, "mapped", Fate::Held),
    (50, "vmapped", Fate::Held),
    (51, "balloon", Fate::Held),
    (52, "poisoned", Fate::Held),
    // `SUnreclaim` has always counted it; only a page type tells which it is.
    (53, "typedkmalloc", Fate::Counted),
    (54, "socket", Fate::Held),
    (55, "bpfring", Fate::Held),
    (56, "taskfrag", Fate::Held),
    (57, "poolbeyond", Fate::Held),
    (58, "charged", Fate::Held),
    (59, "lostcharged", Fate::Lost),
    (60, "onnode", Fate::Lost),
];

/// Kinds that must be called by their owner's name: the kind's number, how the
/// owner's kind and name begin, and whether the truth has all that the owner has.
pub const OWNERS: [(u32, &str, bool); 11] = [
    (41, "page_pool", false),
    (42, "page_pool", false),
    (57, "page_pool", false),
    (44, "pipe", false),
    (45, "packet ring", true),
    (46, "io_uring", false),
    (47, "perf buffer", true),
    (51, "balloon", false),
    (54, "socket queue", false),
    (55, "bpf ring buffer", false),
    (56, "page fragments", false),
];

/// One planted block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Planted {
    /// First frame.
    pub pfn: u64,
    /// What it is, one of [`KINDS`].
    pub kind: u32,
    /// Frames as a power of two.
    pub order: u32,
}

/// Pages of which the guest knows the owner and how many there are, and not which.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owned {
    /// How many.
    pub pages: u64,
    /// The process that has the owner open.
    pub pid: Option<u32>,
    /// How the owner's kind and name begin.
    pub name: String,
}

/// What is charged to a control group that the guest made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Charged {
    /// How many of the planted pages.
    pub pages: u64,
    /// Whether the group was removed since.
    pub removed: bool,
    /// Below the mount.
    pub path: String,
}

/// Slab objects or vmalloc areas that are lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forgotten {
    /// How many.
    pub count: u64,
    /// `slab` or `vmalloc`.
    pub kind: String,
    /// The cache, or how the function's name begins that asked for the areas.
    pub name: String,
}

/// What a truth file says.
#[derive(Clone, Debug)]
pub struct Truth {
    text: String,
    planted: Vec<Run>,
    leaked: u64,
}

/// Planted blocks of one kind and order, one behind the other.
#[derive(Clone, Debug)]
struct Run {
    frames: Range<u64>,
    kind: u32,
    order: u32,
    pid: Option<u32>,
}

impl Run {
    fn blocks(&self) -> impl Iterator<Item = Planted> {
        let (kind, order) = (self.kind, self.order);
        let first = self.frames.clone().step_by(1 << order);
        first.map(move |pfn| Planted { pfn, kind, order })
    }
}

impl Truth {
    /// The truth beside a dump: `NAME.truth.txt` for `NAME.kdump`.
    ///
    /// # Panics
    ///
    /// If it cannot be read or is broken.
    pub fn beside(dump: &Path) -> Truth {
        let path = dump.with_extension("truth.txt");
        let bytes = std::fs::read(&path);
        let bytes = bytes.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Truth::parse(&String::from_utf8_lossy(&bytes))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Reads a truth file.
    ///
    /// # Errors
    ///
    /// When it has no end mark, or a line of the planted pages is not
    /// `pfn kind order` with a known kind and a sane order, and perhaps a process. Instead of the first
    /// frame of one block there may be `START..END`, the frames of blocks one
    /// behind the other, its end not among them.
    pub fn parse(text: &str) -> Result<Truth, String> {
        let mut truth = Truth {
            text: text.to_owned(),
            planted: Vec::new(),
            leaked: 0,
        };
        truth
            .section("end")
            .ok_or("no `== end`: the guest did not finish its truth")?;
        // Where no driver counted, the heading has nothing below it.
        let leaked = truth.lines("leaked").next().map_or(Ok(0), |line| {
            let count = line.trim().parse();
            count.map_err(|_| format!("`== leaked` is followed by {line:?}"))
        });
        truth.leaked = leaked?;
        truth.section("planted").ok_or("no `== planted`")?;
        let planted: Result<Vec<Run>, String> = truth
            .lines("planted")
            .map(|line| {
                run(line)
                    .ok_or_else(|| format!("{line:?} is not `pfn kind order` with a known kind"))
            })
            .collect();
        truth.planted = planted?;
        if let Some(line) = truth.lines("owned").find(|line| owned(line).is_none()) {
            return Err(format!("{line:?} is not `pages pid kind`"));
        }
        if let Some(line) = truth.lines("charged").find(|line| charged(line).is_none()) {
            return Err(format!("{line:?} is not `pages removed path`"));
        }
        if let Some(line) = truth.lines("heap").find(|line| forgotten(line).is_none()) {
            return Err(format!("{line:?} is not `count kind name`"));
        }
        Ok(truth)
    }

    /// What is known by its count only: what the guest wrote down, and tables of IOMMUs,
    /// which the kernel counts since 6.11.
    pub fn owned(&self) -> impl Iterator<Item = Owned> {
        let count = |line: &str| line.strip_prefix("nr_iommu_pages ")?.parse().ok();
        let tables = self
            .lines("vmstat")
            .find_map(count)
            .filter(|&pages| pages > 0);
        let tables = tables.map(|pages| Owned {
            pages,
            pid: None,
            name: "IOMMU tables".to_owned(),
        });
        self.lines("owned").filter_map(owned).chain(tables)
    }

    /// What is lost of the heap, which is no page by itself.
    pub fn forgotten(&self) -> impl Iterator<Item = Forgotten> {
        self.lines("heap").filter_map(forgotten)
    }

    /// Planted pages by the control group that they are charged to.
    pub fn charged(&self) -> impl Iterator<Item = Charged> {
        self.lines("charged").filter_map(charged)
    }

    /// Control groups that are removed and not gone, by the kernel's own count
    /// (`cgroup.stat` of the root).
    pub fn dying_groups(&self) -> Option<u64> {
        let count = |line: &str| line.strip_prefix("nr_dying_descendants ")?.parse().ok();
        self.lines("cgroups").find_map(count)
    }

    /// Frames that the zones of a NUMA node span, by the node; holes are among them.
    pub fn nodes(&self) -> BTreeMap<u32, Vec<Range<u64>>> {
        let mut nodes: BTreeMap<u32, Vec<Range<u64>>> = BTreeMap::new();
        let (mut node, mut spanned) = (0, 0);
        for line in self.lines("zoneinfo") {
            let line = line.trim();
            if let Some(rest) = line.strip_prefix("Node ") {
                node = rest.split(',').next().map_or(0, number);
            } else if let Some(pages) = line.strip_prefix("spanned") {
                spanned = number(pages);
            } else if let Some(start) = line.strip_prefix("start_pfn:") {
                let start = number(start);
                nodes
                    .entry(node as u32)
                    .or_default()
                    .push(start..start + spanned);
            }
        }
        nodes
    }

    /// Frames of a kind, every page of each block, with the processes that own
    /// them where the truth has these.
    pub fn processes(&self, kind: u32) -> BTreeMap<u64, Option<u32>> {
        let runs = self.planted.iter().filter(|run| run.kind == kind);
        runs.flat_map(|run| run.frames.clone().map(|pfn| (pfn, run.pid)))
            .collect()
    }

    /// Lines below `== name` up to the next heading; what follows the name in
    /// its heading is a remark.
    pub fn section(&self, name: &str) -> Option<Vec<&str>> {
        let mut lines = self.text.lines();
        lines.find(|line| {
            line.strip_prefix("== ")
                .is_some_and(|heading| heading.split(' ').next() == Some(name))
        })?;
        Some(lines.take_while(|line| !line.starts_with("== ")).collect())
    }

    /// Lines of a section that are not blank; none if there is no section.
    fn lines(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = self.section(name).unwrap_or_default();
        lines.into_iter().filter(|line| !line.trim().is_empty())
    }

    /// A line of `/proc/meminfo`: KiB, or a number of pages.
    pub fn meminfo(&self, name: &str) -> Option<u64> {
        let value = self
            .lines("meminfo")
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        value.split_whitespace().next()?.parse().ok()
    }

    /// The sum over all zones of a line of `/proc/zoneinfo`.
    pub fn zoneinfo(&self, name: &str) -> u64 {
        self.lines("zoneinfo")
            .filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix(' '))
            .filter_map(|value| value.trim().parse::<u64>().ok())
            .sum()
    }

    /// Pages a driver lost by its own count; which ones is not known.
    pub fn leaked(&self) -> u64 {
        self.leaked
    }

    /// Every planted block.
    pub fn planted(&self) -> impl Iterator<Item = Planted> {
        self.planted.iter().flat_map(Run::blocks)
    }

    /// Frames of a kind, every page of each block.
    pub fn pages(&self, kind: u32) -> BTreeSet<u64> {
        self.of(|planted| planted == kind)
    }

    /// Frames of all kinds that must be called lost.
    pub fn lost(&self) -> BTreeSet<u64> {
        self.of(|kind| fate(kind) == Some(Fate::Lost))
    }

    /// Frames of all kinds that something holds.
    pub fn held(&self) -> BTreeSet<u64> {
        self.of(|kind| fate(kind) == Some(Fate::Held))
    }

    /// Frames of all kinds that may be called either.
    pub fn counted(&self) -> BTreeSet<u64> {
        self.of(|kind| fate(kind) == Some(Fate::Counted))
    }

    fn of(&self, wanted: impl Fn(u32) -> bool) -> BTreeSet<u64> {
        self.planted
            .iter()
            .filter(|run| wanted(run.kind))
            .flat_map(|run| run.frames.clone())
            .collect()
    }
}

/// What must become of pages of a kind.
pub fn fate(kind: u32) -> Option<Fate> {
    KINDS
        .iter()
        .find(|(number, ..)| *number == kind)
        .map(|&(_, _, fate)| fate)
}

/// The name of a kind; empty if there is none.
pub fn kind_name(kind: u32) -> &'static str {
    let found = KINDS.iter().find(|(number, ..)| *number == kind);
    found.map_or("", |&(_, name, _)| name)
}

/// The number of the kind with that name.
///
/// # Panics
///
/// If there is none.
pub fn kind(name: &str) -> u32 {
    let found = KINDS.iter().find(|(_, known, _)| *known == name);
    found.map_or_else(
        || panic!("no kind of pages is called {name:?}"),
        |&(number, ..)| number,
    )
}

fn run(line: &str) -> Option<Run> {
    let mut words = line.split_whitespace();
    let first = words.next()?;
    let kind = words.next()?.parse().ok()?;
    let order: u32 = words.next()?.parse().ok()?;
    fate(kind)?;
    let block = (order <= 18).then_some(1_u64 << order)?;
    let frames = match first.split_once("..") {
        Some((start, end)) => start.parse().ok()?..end.parse().ok()?,
        None => {
            let pfn: u64 = first.parse().ok()?;
            pfn..pfn.checked_add(block)?
        }
    };
    let pid: u32 = words.next().map_or(Ok(0), str::parse).ok()?;
    let length = frames.end.checked_sub(frames.start)?;
    (length > 0 && length % block == 0).then_some(Run {
        frames,
        kind,
        order,
        pid: (pid > 0).then_some(pid),
    })
}

fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or(0)
}

fn forgotten(line: &str) -> Option<Forgotten> {
    let mut words = line.splitn(3, ' ');
    Some(Forgotten {
        count: words.next()?.parse().ok()?,
        kind: words.next()?.to_owned(),
        name: words.next()?.to_owned(),
    })
}

fn charged(line: &str) -> Option<Charged> {
    let mut words = line.splitn(3, ' ');
    let pages = words.next()?.parse().ok()?;
    let removed = match words.next()? {
        "0" => false,
        "1" => true,
        _ => return None,
    };
    let path = words.next()?.to_owned();
    Some(Charged {
        pages,
        removed,
        path,
    })
}

fn owned(line: &str) -> Option<Owned> {
    let (pages, rest) = line.split_once(' ')?;
    let (pid, name) = rest.split_once(' ')?;
    let pid: u32 = pid.parse().ok()?;
    Some(Owned {
        pages: pages.parse().ok()?,
        pid: (pid > 0).then_some(pid),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_counted_by_the_page() {
        let text = "== meminfo\nMemTotal:  1024 kB\n== leaked\n7\n\
                    == planted (pfn kind order)\n100 3 2\n200 6 0\n== ps\n5 1 0\n== end\n";
        let truth = Truth::parse(text).unwrap();
        assert_eq!(truth.leaked(), 7);
        assert_eq!(truth.meminfo("MemTotal"), Some(1024));
        assert_eq!(truth.lost(), BTreeSet::from([100, 101, 102, 103]));
        assert_eq!(truth.held(), BTreeSet::from([200]));
        assert_eq!(truth.pages(6), BTreeSet::from([200]));
    }

    #[test]
    fn a_run_is_all_its_blocks() {
        let head = "== leaked\n== planted\n";
        let truth = Truth::parse(&format!("{head}8..16 3 2\n20..23 6 0\n== end\n")).unwrap();
        let planted: Vec<_> = truth
            .planted()
            .map(|block| (block.pfn, block.order))
            .collect();
        assert_eq!(planted, [(8, 2), (12, 2), (20, 0), (21, 0), (22, 0)]);
        assert_eq!(truth.lost(), (8..16).collect());
        assert_eq!(truth.held(), (20..23).collect());
        for broken in ["8..15 3 2", "8..8 1 0", "9..8 1 0", "8.. 1 0", "..8 1 0"] {
            assert!(Truth::parse(&format!("{head}{broken}\n== end\n")).is_err());
        }
    }

    #[test]
    fn owners_are_processes_or_counts() {
        let text = "== leaked\n== planted\n100 44 1 17\n200 41 0 0\n300 6 0\n\
                    == owned (pages pid kind)\n1032 0 trace buffer\n16 9 pipe\n== end\n";
        let truth = Truth::parse(text).unwrap();
        let pipes = BTreeMap::from([(100, Some(17)), (101, Some(17))]);
        assert_eq!(truth.processes(44), pipes);
        assert_eq!(truth.processes(41), BTreeMap::from([(200, None)]));
        let owned: Vec<_> = truth.owned().map(|one| (one.pages, one.pid)).collect();
        assert_eq!(owned, [(1032, None), (16, Some(9))]);
        assert_eq!(truth.owned().next().unwrap().name, "trace buffer");
        let text = "== vmstat\nnr_iommu_pages 273\n== planted\n== end\n";
        let tables = Truth::parse(text).unwrap().owned().next().unwrap();
        assert_eq!((tables.name.as_str(), tables.pages), ("IOMMU tables", 273));
        assert!(Truth::parse("== planted\n== owned\n5 pipe\n== end\n").is_err());
        assert!(Truth::parse("== planted\n1 44 0 x\n== end\n").is_err());
    }

    #[test]
    fn groups_nodes_and_the_heap() {
        let text = "== zoneinfo\nNode 0, zone      DMA\n  pages free     8\n        spanned  4095\n\
                    \x20 start_pfn:           1\nNode 1, zone   Normal\n        spanned  100\n\
                    \x20 start_pfn:           5000\n\
                    == planted\n== charged (pages removed path)\n300 1 /planted/lost\n\
                    == heap (count kind name)\n200 vmalloc lose_areas\n\
                    == cgroups\nnr_descendants 4\nnr_dying_descendants 2\n== end\n";
        let truth = Truth::parse(text).unwrap();
        let charged: Vec<_> = truth.charged().collect();
        assert_eq!(charged.len(), 1);
        assert_eq!((charged[0].pages, charged[0].removed), (300, true));
        assert_eq!(charged[0].path, "/planted/lost");
        let forgotten = truth.forgotten().next().unwrap();
        assert_eq!(forgotten.name, "lose_areas");
        assert_eq!((forgotten.count, forgotten.kind.as_str()), (200, "vmalloc"));
        assert_eq!(truth.dying_groups(), Some(2));
        let (nodes, zones): (Vec<u32>, Vec<_>) = truth.nodes().into_iter().unzip();
        assert_eq!(
            (nodes, zones.concat()),
            (vec![0, 1], vec![1..4096, 5000..5100])
        );
        assert!(Truth::parse("== planted\n== charged\n300 /planted\n== end\n").is_err());
    }

    #[test]
    fn a_cut_file_and_an_unknown_kind_are_errors() {
        let head = "== meminfo\nMemTotal:  1024 kB\n== leaked\n== planted\n";
        assert!(Truth::parse(&format!("{head}1 1 0\n")).is_err());
        assert!(Truth::parse(&format!("{head}1 99 0\n== end\n")).is_err());
        assert!(Truth::parse(&format!("{head}1 1 61\n== end\n")).is_err());
        assert!(Truth::parse(&format!("{head}1 1 0\n== end\n")).is_ok());
    }

    /// `(number, name, fate)` of a line `KIND_NAME = 1, /* fate: … */`.
    fn of_module(line: &str) -> Option<(u32, &str, &str)> {
        let (name, rest) = line.trim().strip_prefix("KIND_")?.split_once(" = ")?;
        let (number, comment) = rest.split_once(',')?;
        let (_, comment) = comment.split_once("/* ")?;
        let (fate, _) = comment.split_once(": ")?;
        Some((number.parse().ok()?, name, fate))
    }

    #[test]
    fn kinds_are_those_of_the_module() {
        let header = include_str!("../../../lab/module/pagelab.h");
        let lines = header.lines().filter(|line| line.contains("KIND_"));
        let here = KINDS.map(|(number, name, fate)| {
            let fate = match fate {
                Fate::Lost => "lost",
                Fate::Held => "held",
                Fate::Counted => "counted",
            };
            (number, name.to_uppercase(), fate)
        });
        let module: Vec<(u32, String, &str)> = lines
            .map(|line| {
                let kind = of_module(line);
                let (number, name, fate) = kind.unwrap_or_else(|| panic!("{line:?}"));
                (number, name.replace('_', ""), fate)
            })
            .collect();
        assert_eq!(module, here);
    }

    #[test]
    fn kinds_that_user_space_plants_are_those_of_the_module() {
        let holder = include_str!("../../../lab/guest/holder.c");
        let mut seen = 0;
        for line in holder.lines() {
            let own = line.trim().strip_prefix("KIND_");
            if let Some((name, number)) = own.and_then(|rest| rest.split_once(" = ")) {
                let number: u32 = number.trim_end_matches(',').parse().unwrap();
                assert_eq!(kind(&name.to_lowercase()), number, "{line:?}");
                seen += 1;
            }
        }
        assert_eq!(seen, 6);
    }
}
