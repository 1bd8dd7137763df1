//! Several files of one dump (`makedumpfile --split`): each has the headers and
//! bitmaps of the whole, and descriptors and data of a range of frames.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::{iter, mem};

use super::header::Headers;
use super::memory::Kdump;
use super::{Files, Part, SIGNATURE};
use crate::error::OpenError;
use crate::missing::files_in;
use crate::shell::shell_path;
use crate::source::{RawFile, Source};
use crate::{Coverage, Fault, PageState, Pfn, PfnRange, PhysicalMemory};

/// Files beside a part that are looked at for being others.
const LOOK_AT: usize = 1000;
/// Files and ranges that are named.
const NAMED: usize = 16;

/// Memory in several files, by their frames, ascending.
pub(super) struct Parts {
    first: Kdump,
    rest: Vec<Kdump>,
    coverage: Coverage,
}

impl Part {
    /// By what parts of a dump are in order.
    fn order(&self) -> (u64, u64) {
        let here = self.memory.here();
        (here.start, here.end)
    }

    fn refuse(&self, what: String, advice: &str) -> OpenError {
        OpenError::NotADump {
            path: self.path.clone(),
            what,
            advice: advice.to_owned(),
        }
    }
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start.max(b.start) < a.end.min(b.end)
}

impl Files {
    /// Adds another part of the same dump, with frames that none of them has.
    pub(super) fn add(&mut self, part: Part) -> Result<(), OpenError> {
        for part in [&self.first, &part] {
            if part.headers.split.is_none() {
                let what = "a whole dump, no part of one".to_owned();
                return Err(part.refuse(what, "give it alone"));
            }
        }
        let first = &self.first;
        let difference = part.headers.difference(&first.headers);
        let same_bitmaps = part.memory.has_bitmaps_of(&first.memory);
        if let Some(field) = difference.or((!same_bitmaps).then_some("bitmap")) {
            return Err(part.refuse(
                format!(
                    "of another dump than {}: its {field} differs",
                    first.path.display()
                ),
                "give the files of one `makedumpfile --split`",
            ));
        }
        for part in [&self.first, &part] {
            let here = part.memory.here();
            if here.end < here.start {
                let what = format!("frames {:#x} to {:#x}, backwards", here.start, here.end);
                return Err(part.refuse(what, "its headers are damaged: leave it out"));
            }
        }
        // makedumpfile writes files of no frames too, and they may say anything of
        // where that is.
        let here = part.memory.here();
        if here.is_empty() {
            return Ok(());
        }
        if let Some(other) = self
            .iter()
            .find(|other| overlap(&here, &other.memory.here()))
        {
            return Err(part.refuse(
                format!(
                    "frames {:#x} to {:#x}, some of which are in {} too",
                    here.start,
                    here.end,
                    other.path.display()
                ),
                "give each part once",
            ));
        }
        let mut part = Part {
            memory: part.memory.with_bitmaps_of(&first.memory),
            ..part
        };
        if self.first.memory.here().is_empty() {
            self.first = part;
            return Ok(());
        }
        if part.order() < self.first.order() {
            mem::swap(&mut part, &mut self.first);
        }
        let order = part.order();
        let at = self.rest.partition_point(|other| other.order() <= order);
        self.rest.insert(at, part);
        Ok(())
    }

    /// A sentence about the frames that are in no file, with files beside the first
    /// that have them.
    pub(super) fn missing(&self) -> Option<String> {
        let first = &self.first.memory;
        let mut gaps = Vec::new();
        let mut at = 0;
        for part in self.iter() {
            let here = part.memory.here();
            if at < here.start {
                gaps.push(at..here.start);
            }
            at = at.max(here.end);
        }
        if at < first.max_mapnr() {
            gaps.push(at..first.max_mapnr());
        }
        gaps.retain(|gap| first.dumped_in(gap) > 0);
        let pages: u64 = gaps.iter().map(|gap| first.dumped_in(gap)).sum();
        if pages == 0 {
            return None;
        }
        let named = gaps.iter().take(NAMED);
        let named: Vec<String> = named
            .map(|gap| format!("{:#x} to {:#x}", gap.start, gap.end))
            .collect();
        let given: Vec<&Path> = self.iter().map(|part| part.path.as_path()).collect();
        let has = |range: &Range<u64>| gaps.iter().any(|gap| overlap(gap, range));
        let others = siblings(&self.first.path, &self.first.headers, &given, has);
        let advice = if others.is_empty() {
            "give all files of the dump, or join them with makedumpfile --reassemble".to_owned()
        } else {
            format!("give these of the same folder too: {}", others.join(" "))
        };
        Some(format!(
            "a split dump (makedumpfile --split) of which frames {} are in no file given, {pages} pages; {advice}",
            named.join(", ")
        ))
    }
}

/// Files beside `path` that are parts of the same dump with frames that `has` wants:
/// their names, as words of a shell.
fn siblings(
    path: &Path,
    headers: &Headers,
    given: &[&Path],
    has: impl Fn(&Range<u64>) -> bool,
) -> Vec<String> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let names: Vec<_> = given.iter().map(|path| path.file_name()).collect();
    let mut found: Vec<OsString> = files_in(folder.unwrap_or(Path::new(".")))
        .take(LOOK_AT)
        .filter(|file| !names.contains(&file.file_name()))
        .filter(|file| {
            let source = File::open(file).and_then(|file| RawFile::new(file, false));
            let Ok(source) = source.map(Source::plain) else {
                return false;
            };
            let mut signature = [0; SIGNATURE.len()];
            let is_kdump = source.read_at(0, &mut signature).is_ok() && signature == *SIGNATURE;
            is_kdump
                && Headers::read(&source).is_ok_and(|other| {
                    other.split.as_ref().is_some_and(&has) && other.difference(headers).is_none()
                })
        })
        .filter_map(|file| file.file_name().map(OsStr::to_owned))
        .collect();
    found.sort();
    found.truncate(NAMED);
    let names = found.iter().map(Path::new);
    names.map(shell_path).collect()
}

impl Parts {
    /// The memory in `first` and in `rest`, ascending, of which all have the same bitmaps.
    pub(super) fn of(first: Kdump, rest: Vec<Kdump>) -> Self {
        let mut coverage = Coverage {
            excluded: first.coverage().excluded,
            ..Coverage::default()
        };
        let mut here = 0;
        for part in iter::once(&first).chain(&rest) {
            let of = part.coverage();
            coverage.present += of.present;
            coverage.unreadable += of.unreadable;
            coverage.absent += of.absent.saturating_sub(part.dumped_elsewhere());
            here += part.dumped_in_file();
        }
        coverage.absent += first.dumped().saturating_sub(here);
        Self {
            first,
            rest,
            coverage,
        }
    }

    /// The part that has `pfn`, or knows why none has.
    fn part(&self, pfn: Pfn) -> &Kdump {
        let begun = |part: &Kdump| part.here().start <= pfn.0;
        let last = self.rest.partition_point(begun).checked_sub(1);
        last.and_then(|last| self.rest.get(last))
            .unwrap_or(&self.first)
    }
}

impl PhysicalMemory for Parts {
    fn page_shift(&self) -> u32 {
        self.first.page_shift()
    }

    fn end_pfn(&self) -> Pfn {
        self.first.end_pfn()
    }

    fn state(&self, pfn: Pfn) -> PageState {
        self.part(pfn).state(pfn)
    }

    fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault> {
        self.part(pfn).read_page(pfn, page)
    }

    fn read_pages(&self, first: Pfn, pages: &mut [u8]) -> Result<(), Fault> {
        let mut pfn = first;
        let mut rest = pages;
        while !rest.is_empty() {
            let part = self.part(pfn);
            let all = rest.len() / self.page_size();
            let here = part.here().end.saturating_sub(pfn.0).max(1);
            let count = usize::try_from(here).map_or(all, |here| here.min(all));
            let len = (count.max(1) * self.page_size()).min(rest.len());
            let (now, later) = rest.split_at_mut(len);
            part.read_pages(pfn, now)?;
            pfn.0 += count as u64;
            rest = later;
        }
        Ok(())
    }

    fn page_slice(&self, pfn: Pfn) -> Option<&[u8]> {
        self.part(pfn).page_slice(pfn)
    }

    fn present_runs(&self) -> Vec<PfnRange> {
        let mut runs = Vec::new();
        self.each_present_run(&mut |run| runs.push(run));
        runs
    }

    fn each_present_run(&self, each: &mut dyn FnMut(PfnRange)) {
        for part in iter::once(&self.first).chain(&self.rest) {
            part.each_present_run(each);
        }
    }

    fn coverage(&self) -> Coverage {
        self.coverage
    }

    fn index_bytes(&self) -> u64 {
        // The bitmaps of all are the first's.
        self.first.index_bytes() + self.rest.iter().map(Kdump::own_index_bytes).sum::<u64>()
    }
}
