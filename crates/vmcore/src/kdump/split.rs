//! Several files of one dump (`makedumpfile --split`): each has the headers and
//! bitmaps of the whole, and descriptors and data of a range of frames.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::header::Headers;
use super::memory::Kdump;
use super::{SIGNATURE, dump_of, lost_warning};
use crate::error::OpenError;
use crate::missing::files_in;
use crate::shell::shell_path;
use crate::source::{RawFile, Source};
use crate::{Coverage, Dump, Fault, PageState, Pfn, PfnRange, PhysicalMemory};

/// Files beside a part that are looked at for being others.
const LOOK_AT: usize = 1000;
/// Files and ranges that are named.
const NAMED: usize = 16;

/// Memory in several files.
struct Parts {
    /// By their frames, ascending; at least one.
    parts: Vec<Kdump>,
    coverage: Coverage,
}

/// Opens the parts in `files`, in any order; `page_shift` is what the caller knows
/// of the page size.
pub(crate) fn open(
    files: Vec<(PathBuf, Source)>,
    page_shift: Option<u32>,
) -> Result<Dump, OpenError> {
    let mut parts: Vec<(PathBuf, Headers, Kdump)> = Vec::with_capacity(files.len());
    for (path, source) in files {
        let source = Arc::new(source);
        let refuse = |what: String, advice: &str| OpenError::NotADump {
            path: path.clone(),
            what,
            advice: advice.to_owned(),
        };
        let headers = Headers::read(&source).map_err(|defect| defect.of(&path))?;
        if headers.split.is_none() {
            return Err(refuse(
                "a whole dump, no part of one".to_owned(),
                "give it alone",
            ));
        }
        let first = parts
            .first()
            .map(|(path, headers, part)| (path, headers, part));
        let memory = Kdump::new(&source, &headers).map_err(|defect| defect.of(&path))?;
        let memory = match first {
            None => memory,
            Some((other, same, part)) => {
                let difference = headers.difference(same);
                let difference = difference.or((!memory.has_bitmaps_of(part)).then_some("bitmap"));
                if let Some(field) = difference {
                    return Err(refuse(
                        format!(
                            "of another dump than {}: its {field} differs",
                            other.display()
                        ),
                        "give the files of one `makedumpfile --split`",
                    ));
                }
                memory.with_bitmaps_of(part)
            }
        };
        let here = memory.here();
        let twice = parts.iter().find(|(_, _, part)| {
            let there = part.here();
            here.start.max(there.start) < here.end.min(there.end)
        });
        if let Some((other, _, _)) = twice {
            return Err(refuse(
                format!(
                    "frames {:#x} to {:#x}, some of which are in {} too",
                    here.start,
                    here.end,
                    other.display()
                ),
                "give each part once",
            ));
        }
        parts.push((path, headers, memory));
    }
    parts.sort_by_key(|(_, _, part)| (part.here().start, part.here().end));
    let warning = missing(&parts);
    let incomplete = parts
        .iter()
        .any(|(_, headers, part)| headers.incomplete || part.is_cut_short());
    let mut first = None;
    let mut memories = Vec::with_capacity(parts.len());
    for (_, headers, memory) in parts {
        first.get_or_insert(headers);
        memories.push(memory);
    }
    let Some(mut headers) = first else {
        return Err(OpenError::NotADump {
            path: PathBuf::new(),
            what: "no file".to_owned(),
            advice: "give the files of a dump".to_owned(),
        });
    };
    headers.incomplete |= incomplete;
    let given: u64 = memories.iter().map(Kdump::dumped_in_file).sum();
    let memory = Box::new(Parts::of(memories));
    let lost = memory.coverage.absent + memory.coverage.unreadable;
    let lost = lost.saturating_sub(memory.dumped().saturating_sub(given));
    let mut dump = dump_of(headers, memory, warning, page_shift);
    dump.info.warnings.extend(lost_warning(lost));
    Ok(dump)
}

/// A sentence about the frames that are in none of `parts`, with files beside the
/// first that have them.
pub(super) fn missing(parts: &[(PathBuf, Headers, Kdump)]) -> Option<String> {
    let (path, headers, first) = parts.first()?;
    let mut gaps = Vec::new();
    let mut at = 0;
    for (_, _, part) in parts {
        let here = part.here();
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
    let given: Vec<&Path> = parts.iter().map(|(path, ..)| path.as_path()).collect();
    let has = |range: &std::ops::Range<u64>| {
        gaps.iter()
            .any(|gap| gap.start.max(range.start) < gap.end.min(range.end))
    };
    let others = siblings(path, headers, &given, has);
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

/// Files beside `path` that are parts of the same dump with frames that `has` wants:
/// their names, as words of a shell.
fn siblings(
    path: &Path,
    headers: &Headers,
    given: &[&Path],
    has: impl Fn(&std::ops::Range<u64>) -> bool,
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
    fn of(parts: Vec<Kdump>) -> Self {
        let mut coverage = Coverage::default();
        let mut here = 0;
        for part in &parts {
            let of = part.coverage();
            coverage.present += of.present;
            coverage.unreadable += of.unreadable;
            coverage.absent += of.absent.saturating_sub(part.dumped_elsewhere());
            coverage.excluded = of.excluded; // the bitmaps of all are the same
            here += part.dumped_in_file();
        }
        let mut memory = Self { parts, coverage };
        memory.coverage.absent += memory.dumped().saturating_sub(here);
        memory
    }

    /// Frames of the dump, in whatever file.
    fn dumped(&self) -> u64 {
        let first = self.parts.first();
        first.map_or(0, |part| part.dumped_in(&(0..part.max_mapnr())))
    }

    /// The part that has `pfn`, or knows why none has.
    fn part(&self, pfn: Pfn) -> Option<&Kdump> {
        let index = self.parts.partition_point(|part| part.here().end <= pfn.0);
        self.parts.get(index).or(self.parts.last())
    }
}

fn no_part(pfn: Pfn) -> Fault {
    Fault {
        addr: pfn.addr(12),
        reason: crate::FaultReason::Absent,
    }
}

impl PhysicalMemory for Parts {
    fn page_shift(&self) -> u32 {
        self.parts.first().map_or(12, |part| part.page_shift())
    }

    fn end_pfn(&self) -> Pfn {
        Pfn(self.parts.first().map_or(0, |part| part.max_mapnr()))
    }

    fn state(&self, pfn: Pfn) -> PageState {
        self.part(pfn)
            .map_or(PageState::Absent, |part| part.state(pfn))
    }

    fn read_page(&self, pfn: Pfn, page: &mut [u8]) -> Result<(), Fault> {
        self.part(pfn)
            .ok_or_else(|| no_part(pfn))?
            .read_page(pfn, page)
    }

    fn read_pages(&self, first: Pfn, pages: &mut [u8]) -> Result<(), Fault> {
        let mut pfn = first;
        let mut rest = pages;
        while !rest.is_empty() {
            let part = self.part(pfn).ok_or_else(|| no_part(pfn))?;
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
        self.part(pfn)?.page_slice(pfn)
    }

    fn present_runs(&self) -> Vec<PfnRange> {
        let mut runs = Vec::new();
        self.each_present_run(&mut |run| runs.push(run));
        runs
    }

    fn each_present_run(&self, each: &mut dyn FnMut(PfnRange)) {
        for part in &self.parts {
            part.each_present_run(each);
        }
    }

    fn coverage(&self) -> Coverage {
        self.coverage
    }
}
