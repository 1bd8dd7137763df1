//! Bytes of some pages: `content.lime`, a memory image of nothing else.

use anyhow::Context;
use pagehound_model::Report;
use pagehound_vmcore::{Dump, OpenOptions, PageCache, Pfn, PfnRange, PhysicalMemory};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Name of the entry.
pub(super) const NAME: &str = "content.lime";

/// Units of a finding that bytes are taken of.
const UNITS: u32 = 32;
/// Bytes that are taken of a unit, from its first on.
const OF_A_UNIT: u64 = 64 << 10;
/// `LIME_MAGIC` and the version, as LiME's header begins.
const MAGIC: u32 = 0x4c69_4d45;
const VERSION: u32 = 1;

/// Draws units of every finding, spread evenly, while all units pass by.
pub(super) struct Draw(Vec<Drawn>);

struct Drawn {
    finding: u32,
    pages: u64,
    seen: u64,
    units: Vec<PfnRange>,
}

impl Draw {
    pub(super) fn of(report: &Report) -> Draw {
        let findings = report.findings.iter();
        let drawn = findings.map(|finding| Drawn {
            finding: finding.id,
            pages: finding.pages,
            seen: 0,
            units: Vec::new(),
        });
        Draw(drawn.collect())
    }

    pub(super) fn see(&mut self, unit: PfnRange, finding: Option<u32>) {
        let index = finding.and_then(|id| (id as usize).checked_sub(1));
        let Some(drawn) = index.and_then(|index| self.0.get_mut(index)) else {
            return;
        };
        let taken = drawn.units.len() as u64;
        let next = (drawn.pages / u64::from(UNITS)).saturating_mul(taken);
        if taken < u64::from(UNITS) && drawn.seen >= next {
            drawn.units.push(unit);
        }
        drawn.seen += unit.len();
    }

    /// The bytes of what was drawn, a unit of every finding in turn, the largest first,
    /// until there are `most`.
    pub(super) fn read(&self, memory: &dyn PhysicalMemory, most: u64) -> Content {
        let page_size = memory.page_size();
        let cache = PageCache::new(memory, 1);
        let mut content = Content::default();
        // Halves, quarters and so on: wherever this ends, units are spread.
        let rounds = (0..UNITS).map(|round| round.reverse_bits() >> (u32::BITS - UNITS.ilog2()));
        for round in rounds {
            for drawn in &self.0 {
                let Some(unit) = drawn.units.get(round as usize) else {
                    continue;
                };
                let count = unit.len().min((OF_A_UNIT / page_size as u64).max(1));
                for pfn in unit.start.0..unit.start.0 + count {
                    if (content.pages.len() as u64 + 1) * page_size as u64 > most {
                        return content;
                    }
                    let mut page = vec![0; page_size];
                    let at = Pfn(pfn).addr(memory.page_shift());
                    if cache.read(at, &mut page).is_ok() {
                        content.pages.insert(pfn, page);
                        *content.by_finding.entry(drawn.finding).or_default() += 1;
                    }
                }
            }
        }
        content
    }
}

/// Pages with their bytes.
#[derive(Default)]
pub(super) struct Content {
    pages: BTreeMap<u64, Vec<u8>>,
    pub(super) by_finding: BTreeMap<u32, u64>,
}

impl Content {
    /// The pages as LiME writes memory: ranges, each behind a header.
    pub(super) fn lime(&self, page_shift: u32) -> Vec<u8> {
        let mut ranges: Vec<(u64, Vec<u8>)> = Vec::new();
        for (&pfn, page) in &self.pages {
            let start = Pfn(pfn).addr(page_shift).0;
            match ranges.last_mut() {
                Some((first, bytes)) if *first + bytes.len() as u64 == start => {
                    bytes.extend_from_slice(page);
                }
                _ => ranges.push((start, page.clone())),
            }
        }
        let mut out = Vec::new();
        for (start, bytes) in ranges {
            let last = start + (bytes.len() as u64).saturating_sub(1);
            out.extend(MAGIC.to_le_bytes());
            out.extend(VERSION.to_le_bytes());
            out.extend(start.to_le_bytes());
            out.extend(last.to_le_bytes());
            out.extend([0; 8]);
            out.extend(bytes);
        }
        out
    }
}

/// The image as memory, of pages of this size.
pub(super) fn memory(lime: &[u8], page_shift: u32) -> anyhow::Result<Dump> {
    let mut file = tempfile::tempfile().context("a temporary file for the capture's content")?;
    file.write_all(lime)?;
    let options = OpenOptions {
        map: false,
        page_shift: Some(page_shift),
        raw: false,
    };
    Ok(options.open_file(file, Path::new(NAME))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference report's finding of 11,683 pages, one by one.
    #[test]
    fn units_are_drawn_evenly() {
        let text = include_str!("../../../../tests/fixtures/reference.json");
        let report: Report = serde_json::from_str(text).unwrap();
        let pages = report.findings[0].pages;
        assert_eq!(pages, 11_683);
        let mut draw = Draw::of(&report);
        for pfn in 0..pages {
            let unit = PfnRange {
                start: Pfn(pfn),
                end: Pfn(pfn + 1),
            };
            draw.see(unit, Some(1));
            draw.see(unit, None);
            draw.see(unit, Some(0));
        }
        let drawn: Vec<u64> = draw.0[0].units.iter().map(|unit| unit.start.0).collect();
        let wanted: Vec<u64> = (0..32).map(|index| index * (pages / 32)).collect();
        assert_eq!(drawn, wanted);
    }
}
