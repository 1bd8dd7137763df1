//! The pages of a capture: which frames are what, exactly where it matters.

use crate::page_facts::PageFacts;
use crate::render::number::{count, thousands};
use anyhow::{Context, ensure};
use pagehound_hunt::Standing;
use pagehound_live::capture::{Exactness, MOST_KINDS, MapWriter, Stretch, StretchMap};
use pagehound_model::Report;
use pagehound_vmcore::{Pfn, PfnRange};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Kinds from which on there is no room for holders; then for reference counts and orders;
/// then for findings. What is left is a class and a state, of which there are some dozens.
const ROOM: [usize; 4] = [1 << 15, 3 << 14, (1 << 16) - 1024, MOST_KINDS as usize];

/// Frames of a block of a map that had to become smaller.
pub(super) const COARSE: [u64; 2] = [512, 1 << 15];

/// `pages.json`: the kinds of pages, in the order of their numbers in `pages.map`.
#[derive(Serialize, Deserialize)]
pub(super) struct Kinds {
    kinds: Vec<PageFacts<'static>>,
}

/// What is known of the frames of a capture.
pub(crate) struct CapturedPages {
    kinds: Vec<PageFacts<'static>>,
    pub(super) map: StretchMap,
}

/// Frames next to each other, as a capture knows them.
pub(crate) enum Known<'a> {
    /// All of one kind.
    Each(PfnRange, &'a PageFacts<'static>),
    /// So many of each kind, in whatever order.
    Counted(PfnRange, Vec<(&'a PageFacts<'static>, u64)>),
}

impl CapturedPages {
    /// The pages that these two entries tell of.
    pub(super) fn parse(kinds: &[u8], map: Vec<u8>) -> anyhow::Result<CapturedPages> {
        let Kinds { kinds } = serde_json::from_slice(kinds).context("pages.json")?;
        let count = u32::try_from(kinds.len())
            .ok()
            .filter(|&count| count <= MOST_KINDS);
        let count = count.context("pages.json: more kinds of pages than there are")?;
        let map = StretchMap::parse(map, count)?;
        Ok(CapturedPages { kinds, map })
    }

    /// The first of the two entries.
    pub(super) fn kinds(&self) -> Kinds {
        Kinds {
            kinds: self.kinds.clone(),
        }
    }

    /// First frame after the machine's.
    pub(crate) fn end(&self) -> Pfn {
        Pfn(self.map.frames())
    }

    /// All frames, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = Known<'_>> {
        let stretches = self.map.stretches();
        stretches.filter_map(|(first, stretch)| self.known(first, stretch))
    }

    /// What is known of a frame, and of which others too.
    pub(crate) fn at(&self, pfn: Pfn) -> Option<Known<'_>> {
        let (first, stretch) = self.map.at(pfn.0)?;
        self.known(first, stretch)
    }

    /// The kind of a frame, where it is known.
    pub(crate) fn exactly(&self, pfn: Pfn) -> Option<&PageFacts<'static>> {
        match self.at(pfn)? {
            Known::Each(_, facts) => Some(facts),
            Known::Counted(..) => None,
        }
    }

    /// Holds the pages of each finding against what the report says of it.
    ///
    /// # Errors
    /// They are others.
    pub(super) fn check(&self, report: &Report) -> anyhow::Result<()> {
        let mut sums: HashMap<(u32, Standing), u64> = HashMap::new();
        for known in self.all() {
            let mut add = |facts: &PageFacts<'static>, frames: u64| {
                if let Some(finding) = facts.finding {
                    *sums.entry((finding, facts.state)).or_default() += frames;
                }
            };
            match known {
                Known::Each(pfns, facts) => add(facts, pfns.len()),
                Known::Counted(_, kinds) => kinds.into_iter().for_each(|(facts, n)| add(facts, n)),
            }
        }
        // Where there are too many kinds, some are told without their finding.
        let all_told = self.kinds.len() < ROOM[2];
        for finding in &report.findings {
            let told = sums.remove(&(finding.id, finding.verdict.into()));
            let told = told.unwrap_or_default();
            ensure!(
                told == finding.pages || !all_told && told < finding.pages,
                "pages.map has {} of finding {}, and report.json {}: one of them was changed",
                count(told, "page"),
                finding.id,
                thousands(finding.pages)
            );
        }
        ensure!(
            sums.is_empty(),
            "pages.map has pages of findings that report.json has not: one of them was changed"
        );
        Ok(())
    }

    fn known(&self, first: u64, stretch: Stretch) -> Option<Known<'_>> {
        let range = PfnRange {
            start: Pfn(first),
            end: Pfn(first + stretch.frames()),
        };
        let kind = |code: u32| self.kinds.get(code as usize);
        match stretch {
            Stretch::Run { code, .. } => Some(Known::Each(range, kind(code)?)),
            Stretch::Mixed(counts) => {
                let counts = counts.into_iter();
                let counts = counts.map(|(code, frames)| Some((kind(code)?, frames)));
                Some(Known::Counted(range, counts.collect::<Option<_>>()?))
            }
        }
    }

    /// The same in blocks of so many frames, of which pages are only counted, by class,
    /// state and finding.
    pub(super) fn coarser(&self, block: u64) -> anyhow::Result<CapturedPages> {
        let mut numbers = Numbers {
            known: HashMap::new(),
            kinds: Vec::new(),
        };
        let kinds = self.kinds.iter().map(counted);
        let codes: Vec<u32> = kinds.map(|kind| numbers.code(kind)).collect();
        let of = |code: u32| codes.get(code as usize).copied().unwrap_or(code);
        let map = self.map.coarser(block, of);
        let count = numbers.kinds.len() as u32;
        Ok(CapturedPages {
            kinds: numbers.kinds,
            map: StretchMap::parse(map, count)?,
        })
    }
}

/// Makes the map of a machine, unit by unit.
pub(super) struct Maker {
    redacted: bool,
    numbers: Numbers,
    writer: MapWriter,
    /// Kinds of the unit before, as told and as numbered: most are like it.
    last: Option<(PageFacts<'static>, u32, u32)>,
}

impl Maker {
    /// Who has pages is left out if it is `redacted`.
    pub(super) fn new(redacted: bool) -> Maker {
        Maker {
            redacted,
            numbers: Numbers {
                known: HashMap::new(),
                kinds: Vec::new(),
            },
            writer: MapWriter::new(Exactness::FULL),
            last: None,
        }
    }

    /// Adds the next unit.
    pub(super) fn add(&mut self, pfns: PfnRange, mut facts: PageFacts<'_>) {
        if self.redacted {
            facts.holder = None;
            facts.holder_pid = None;
        }
        let matters = facts.finding.is_some() || facts.class.is_censused();
        let (code, of_counted) = match &self.last {
            Some((last, code, of_counted)) if *last == facts => (*code, *of_counted),
            _ => {
                let facts = facts.into_owned();
                let code = self.numbers.code(facts.clone());
                let of_counted = self.numbers.code(counted(&facts));
                self.last = Some((facts, code, of_counted));
                (code, of_counted)
            }
        };
        self.writer.add(code, of_counted, pfns.len(), matters);
    }

    pub(super) fn finish(self) -> anyhow::Result<CapturedPages> {
        let count = self.numbers.kinds.len() as u32;
        Ok(CapturedPages {
            map: StretchMap::parse(self.writer.finish(), count)?,
            kinds: self.numbers.kinds,
        })
    }
}

/// Numbers of kinds.
struct Numbers {
    known: HashMap<PageFacts<'static>, u32>,
    kinds: Vec<PageFacts<'static>>,
}

impl Numbers {
    /// The number of a kind; where there is no room for one more, of a simpler one.
    fn code(&mut self, mut facts: PageFacts<'static>) -> u32 {
        for room in ROOM {
            if let Some(&code) = self.known.get(&facts) {
                return code;
            }
            if self.kinds.len() < room {
                break;
            }
            simplify(&mut facts);
        }
        let next = self.kinds.len() as u32;
        let code = *self.known.entry(facts.clone()).or_insert(next);
        if code == next {
            self.kinds.push(facts);
        }
        code
    }
}

/// Takes what sets most kinds apart out of one.
fn simplify(facts: &mut PageFacts<'static>) {
    if facts.holder_kind.is_some() {
        facts.holder = None;
        facts.holder_pid = None;
        facts.holder_kind = None;
    } else if facts.refcount.is_some() || facts.order.is_some() {
        facts.refcount = None;
        facts.order = None;
    } else {
        facts.finding = None;
    }
}

/// The kind under which pages of this one are counted.
fn counted(facts: &PageFacts<'static>) -> PageFacts<'static> {
    PageFacts {
        class: facts.class,
        order: None,
        refcount: None,
        state: facts.state,
        finding: facts.finding,
        holder_kind: None,
        holder: None,
        holder_pid: None,
        allocator: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pagehound_kernel::Class;

    fn held_by(name: String) -> PageFacts<'static> {
        PageFacts {
            class: Class::Raw,
            order: Some(0),
            refcount: Some(1),
            state: Standing::Held,
            finding: Some(3),
            holder_kind: Some("pipe".into()),
            holder: Some(name.into()),
            holder_pid: Some(7),
            allocator: None,
        }
    }

    fn frame(pfn: u64) -> PfnRange {
        PfnRange {
            start: Pfn(pfn),
            end: Pfn(pfn + 1),
        }
    }

    /// More processes hold pages than there are numbers: whose the last are is not told,
    /// and all else is.
    #[test]
    fn too_many_kinds_become_simpler_and_stay_right() {
        let mut maker = Maker::new(false);
        let holders = 70_000;
        for pfn in 0..holders {
            maker.add(frame(pfn), held_by(format!("writer {pfn}")));
        }
        let pages = maker.finish().unwrap();
        assert!(pages.kinds.len() <= MOST_KINDS as usize);
        let first = pages.exactly(Pfn(0)).unwrap();
        assert_eq!(first, &held_by("writer 0".to_owned()));
        let last = pages.exactly(Pfn(holders - 1)).unwrap();
        assert_eq!((last.holder.as_deref(), last.holder_pid), (None, None));
        assert_eq!((last.class, last.finding), (Class::Raw, Some(3)));
        assert_eq!(last.refcount, Some(1));
        // And what is written is read.
        let kinds = serde_json::to_vec(&pages.kinds()).unwrap();
        let again = CapturedPages::parse(&kinds, pages.map.bytes().to_vec()).unwrap();
        assert_eq!(again.kinds, pages.kinds);
        assert_eq!(again.end(), Pfn(holders));
    }

    #[test]
    fn a_coarser_map_counts_by_class_state_and_finding() {
        let mut maker = Maker::new(false);
        let by_turns = |pfn: u64| PageFacts {
            finding: Some(3 + (pfn % 2) as u32),
            ..held_by(format!("writer {}", pfn % 50))
        };
        for pfn in 0..2000 {
            maker.add(frame(pfn), by_turns(pfn));
        }
        let pages = maker.finish().unwrap();
        assert_eq!(pages.map.exact_frames(), 2000);
        let coarse = pages.coarser(COARSE[0]).unwrap();
        assert_eq!(coarse.map.exact_frames(), 0);
        let mut sums = [0; 2];
        for known in coarse.all() {
            let Known::Counted(_, kinds) = known else {
                panic!("a single page is told");
            };
            for (index, (facts, count)) in kinds.into_iter().enumerate() {
                assert_eq!(facts, &counted(&by_turns(index as u64)));
                sums[index] += count;
            }
        }
        assert_eq!(sums, [1000; 2]);
        assert!(coarse.exactly(Pfn(0)).is_none());
        assert!(coarse.at(Pfn(2000)).is_none());
    }

    #[test]
    fn who_has_a_page_is_not_told_where_that_is_redacted() {
        let mut maker = Maker::new(true);
        maker.add(frame(0), held_by("writer".to_owned()));
        let pages = maker.finish().unwrap();
        let facts = pages.exactly(Pfn(0)).unwrap();
        assert_eq!(facts.holder_kind.as_deref(), Some("pipe"));
        assert_eq!((facts.holder.as_deref(), facts.holder_pid), (None, None));
    }

    #[test]
    fn kinds_that_are_none_are_refused() {
        let map = |kinds: &str| CapturedPages::parse(kinds.as_bytes(), Vec::new()).is_ok();
        assert!(!map("{}"));
        assert!(!map(r#"{"kinds": [{"class": "raw", "state": "odd"}]}"#));
        let many = "{},".repeat(MOST_KINDS as usize + 1);
        assert!(!map(&format!(
            r#"{{"kinds": [{}]}}"#,
            many.trim_end_matches(',')
        )));
    }
}
