//! Every page with all that the diagnosis says of it.

use std::borrow::Cow;

use pagehound_kernel::{Class, Kernel};
use pagehound_vmcore::{Pfn, PfnRange};

use crate::census::Fate;
use crate::diagnose::Diagnosis;
use crate::holders::Holders;
use crate::standing::Standing;

/// Frames whose `struct page`s are read at once.
const CHUNK: u64 = 1 << 14;

/// What is known of the pages of a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageFacts<'a> {
    /// What they are.
    pub class: Class,
    /// log2 of the pages in the unit, rounded down.
    pub order: u32,
    /// Reference count of the unit; none where it cannot be read.
    pub refcount: Option<i32>,
    /// How they stand.
    pub state: Standing,
    /// Number of their finding.
    pub finding: Option<u32>,
    /// Who has them. Pages that are lost have nobody.
    pub holder: Option<PageHolder<'a>>,
}

/// Who has a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageHolder<'a> {
    /// Kind, for example `slab`, `pipe`.
    pub kind: &'static str,
    /// Name within the kind; from the dump, escape before printing.
    pub name: Cow<'a, str>,
    /// The process whose it is, if it is one's.
    pub pid: Option<u32>,
}

impl Diagnosis {
    /// Calls `visit` with every unit of the page map, by rising frame; units follow each
    /// other from frame 0 to the end of the map.
    ///
    /// # Errors
    /// The first of `visit`.
    pub fn units<'d, E>(
        &'d self,
        kernel: &Kernel<'_>,
        mut visit: impl FnMut(PfnRange, PageFacts<'d>) -> Result<(), E>,
    ) -> Result<(), E> {
        let map = &self.pages.map;
        let mut refcounts = Refcounts::default();
        let mut holders = Holders::new(kernel, &self.pages, &self.census, &self.climb);
        let mut at = Pfn(0);
        while at < map.end() {
            let unit = map.unit(at);
            let class = map.class(at);
            let finding = self
                .finding(at)
                .and_then(|index| self.report.findings.get(index));
            let state = self.standing(at);
            let fate = || self.census.fate(&self.pages, unit.start);
            let holder = match self.pages.claims.owner(unit.start) {
                Some(owner) => Some(PageHolder {
                    kind: owner.kind.name(),
                    name: Cow::Borrowed(owner.name.as_str()),
                    pid: owner.pid,
                }),
                None if class.is_unaccounted()
                    && state != Standing::Lost
                    && fate() == Fate::Held =>
                {
                    let holder = holders.of(unit.start);
                    Some(PageHolder {
                        kind: holder.kind,
                        name: Cow::Owned(holder.name),
                        pid: holder.pid,
                    })
                }
                None => None,
            };
            let facts = PageFacts {
                class,
                order: unit.len().max(1).ilog2(),
                refcount: refcounts.of(kernel, self, at),
                state,
                finding: finding.map(|finding| finding.id),
                holder,
            };
            visit(unit, facts)?;
            at = unit.end;
        }
        Ok(())
    }
}

/// `_refcount` of frames that are asked for in rising order.
#[derive(Default)]
struct Refcounts {
    first: Pfn,
    bytes: Vec<u8>,
    missing: Vec<PfnRange>,
}

impl Refcounts {
    fn of(&mut self, kernel: &Kernel<'_>, diagnosis: &Diagnosis, pfn: Pfn) -> Option<i32> {
        let pages = &diagnosis.pages;
        let size = usize::try_from(pages.memmap.page_size).ok()?;
        let chunk = Pfn(pfn.0 - pfn.0 % CHUNK);
        if self.bytes.is_empty() || self.first != chunk {
            self.first = chunk;
            self.bytes.clear();
            self.bytes.resize(size.checked_mul(CHUNK as usize)?, 0);
            let range = PfnRange {
                start: chunk,
                end: Pfn(chunk.0 + CHUNK),
            };
            self.missing = pages.memmap.read(kernel, range, &mut self.bytes);
        }
        if !pages.memmap.contains(pfn) || self.missing.iter().any(|range| range.contains(pfn)) {
            return None;
        }
        let start = size.checked_mul((pfn.0 - chunk.0) as usize)?;
        let words = self.bytes.get(start..)?.get(..size)?;
        Some(pages.decoder.words(words).refcount())
    }
}
