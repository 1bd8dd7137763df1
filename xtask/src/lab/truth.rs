//! The truth files: `== section` headings, then lines the guest printed.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

/// What must become of a planted page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing names it: it must be called lost.
    Lost,
    /// Something still holds it: it must not.
    Held,
}

/// Name and fate of every kind, by number as `lab/module/pagelab.h` has them.
const KINDS: [(u32, &str, Fate); 22] = [
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
];

/// All pages planted of one kind.
#[derive(Debug)]
pub(super) struct Planted {
    pub(super) name: &'static str,
    pub(super) fate: Fate,
    /// Frame numbers, every page of a block.
    pub(super) pfns: BTreeSet<u64>,
}

/// What a truth file says about pages.
#[derive(Debug)]
pub(super) struct Truth {
    pub(super) planted: Vec<Planted>,
    /// Pages that a driver lost by its own count; which ones is not known.
    pub(super) counted: u64,
    /// `MemTotal` in KiB.
    pub(super) mem_total_kib: u64,
}

impl Truth {
    /// Reads a truth file.
    ///
    /// # Errors
    /// When it has no end mark, or a line of the planted pages is not
    /// `pfn kind order` with a known kind.
    pub(super) fn parse(text: &str) -> Result<Self> {
        section(text, "end").context("no `== end`: the guest did not finish its truth")?;
        let counted = section(text, "leaked")
            .and_then(|lines| lines.into_iter().find(|line| !line.trim().is_empty()))
            .map_or(Ok(0), |line| line.trim().parse())
            .context("`== leaked` is followed by no number")?;
        let mem_total_kib = section(text, "meminfo")
            .and_then(|lines| {
                let line = lines
                    .into_iter()
                    .find_map(|line| line.strip_prefix("MemTotal:"))?;
                line.split_whitespace().next()?.parse().ok()
            })
            .context("`== meminfo` has no MemTotal")?;
        let mut planted: Vec<Planted> = KINDS
            .iter()
            .map(|&(_, name, fate)| Planted {
                name,
                fate,
                pfns: BTreeSet::new(),
            })
            .collect();
        for line in section(text, "planted").context("no `== planted`")? {
            if line.trim().is_empty() {
                continue;
            }
            let (kind, pfns) = block(line)
                .with_context(|| format!("{line:?} is not `pfn kind order` with a known kind"))?;
            if let Some(planted) = planted.get_mut(kind) {
                planted.pfns.extend(pfns);
            }
        }
        planted.retain(|kind| !kind.pfns.is_empty());
        Ok(Self {
            planted,
            counted,
            mem_total_kib,
        })
    }
}

/// Lines below `== name` up to the next heading; what follows the name in its
/// heading is a remark.
fn section<'a>(text: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let mut lines = text.lines();
    lines.find(|line| {
        line.strip_prefix("== ")
            .is_some_and(|heading| heading.split(' ').next() == Some(name))
    })?;
    Some(lines.take_while(|line| !line.starts_with("== ")).collect())
}

/// Index into [`KINDS`] and the pages of a block.
fn block(line: &str) -> Option<(usize, std::ops::Range<u64>)> {
    let mut words = line.split_whitespace();
    let pfn: u64 = words.next()?.parse().ok()?;
    let number: u32 = words.next()?.parse().ok()?;
    let order: u32 = words.next()?.parse().ok()?;
    let kind = KINDS.iter().position(|(known, ..)| *known == number)?;
    let end = pfn.checked_add(1_u64.checked_shl(order)?)?;
    (order <= 18).then_some((kind, pfn..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_counted_by_the_page() {
        let text = "== meminfo\nMemTotal:  1024 kB\n== leaked\n7\n\
                    == planted (pfn kind order)\n100 3 2\n200 6 0\n== ps\n5 1 0\n== end\n";
        let truth = Truth::parse(text).unwrap();
        assert_eq!(truth.counted, 7);
        assert_eq!(truth.mem_total_kib, 1024);
        let [order2, array] = truth.planted.as_slice() else {
            panic!("two kinds")
        };
        assert_eq!((order2.name, order2.fate), ("order2", Fate::Lost));
        assert_eq!(order2.pfns, BTreeSet::from([100, 101, 102, 103]));
        assert_eq!((array.name, array.fate), ("array", Fate::Held));
        assert_eq!(array.pfns, BTreeSet::from([200]));
    }

    #[test]
    fn a_cut_file_and_an_unknown_kind_are_errors() {
        let head = "== meminfo\nMemTotal:  1024 kB\n== leaked\n== planted\n";
        assert!(Truth::parse(&format!("{head}1 1 0\n")).is_err());
        assert!(Truth::parse(&format!("{head}1 99 0\n== end\n")).is_err());
        assert!(Truth::parse(&format!("{head}1 1 60\n== end\n")).is_err());
        assert!(Truth::parse(&format!("{head}1 1 0\n== end\n")).is_ok());
    }

    #[test]
    fn kinds_are_numbered_from_one_as_in_the_module() {
        for (position, (number, ..)) in (1..).zip(KINDS) {
            assert_eq!(position, number);
        }
    }
}
