//! Making a capture: from the memory of a kernel, or from counters alone.

use super::content::{Content, Draw};
use super::file::Capture;
use super::header::{DirectMap, Header, Memory, SCHEMA, SampledFinding};
use super::pages::{COARSE, Maker};
use super::{log, redact};
use crate::commands::{info, net};
use crate::page_facts::PageFacts;
use anyhow::anyhow;
use jiff::Timestamp;
use pagehound_hunt::Diagnosis;
use pagehound_kernel::Kernel;
use pagehound_model::{Report, thousands};
use pagehound_procfs::Recorded;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

/// How large a capture may be, and what it may tell.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of pages in it.
    pub(crate) content: u64,
    /// Bytes of the file.
    pub(crate) size: u64,
    /// Leave out what tells of the site.
    pub(crate) redact: bool,
}

/// Files of a live host, by their paths.
pub(crate) type Files = BTreeMap<String, Recorded>;

/// The capture of what `diagnosis` found in `kernel`, and its bytes; `files` are those of
/// the live host it is the kernel of.
///
/// # Errors
/// It cannot be made as small as it must be.
pub(crate) fn of_kernel(
    kernel: &Kernel<'_>,
    diagnosis: &Diagnosis,
    files: &Files,
    limits: Limits,
) -> anyhow::Result<(Capture, Vec<u8>)> {
    let report = &diagnosis.report;
    let mut maker = Maker::new(limits.redact);
    let mut draw = Draw::of(report);
    let Ok(()) = diagnosis.units(kernel, |pfns, facts| {
        draw.see(pfns, facts.finding);
        maker.add(pfns, PageFacts::from(facts));
        Ok::<(), Infallible>(())
    });
    let pages = maker.finish()?;
    let direct = &kernel.memory.space.direct;
    let mut capture = Capture {
        header: header(report),
        report: report.clone(),
        info: Some(info::of_kernel(&report.target.path, kernel)),
        net: None,
        log: None,
        content: None,
        host: None,
        pages: None,
    };
    match kernel.log() {
        Ok(log) => {
            capture.header.log_notes = crate::commands::log::notes(&log);
            capture.log = Some(log::lines(&log.records));
        }
        Err(error) => capture.lack(format!("the log cannot be read: {error}")),
    }
    match net::devices(&report.target.path, kernel) {
        Ok(devices) => capture.net = Some(devices),
        Err(error) => capture.lack(format!("network devices cannot be read: {error:#}")),
    }
    capture.header.pages = Some(Memory {
        page_size: kernel.page_size(),
        frames: pages.end().0,
        exact_frames: pages.map.exact_frames(),
        sampled_pages: 0,
        sampled: Vec::new(),
        direct_map: Some(DirectMap::new(&direct.virt, direct.phys)),
    });
    capture.pages = Some(pages);
    let mut redacted;
    let mut files = files;
    if limits.redact {
        let tasks = diagnosis.pages.tasks.iter();
        // Those of the kernel itself are nobody's.
        let names = tasks.filter(|task| task.mm.0 != 0).map(|task| &task.comm);
        let names: BTreeSet<String> = names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        redacted = files.clone();
        redact::redact(&mut capture, &mut redacted, &Vec::from_iter(names))?;
        files = &redacted;
    }
    let memory = kernel.dump.memory.as_ref();
    let mut content = limits.content;
    let mut blocks = COARSE.into_iter();
    loop {
        if !limits.redact {
            capture.sample(&draw.read(memory, content), memory.page_shift());
        }
        let packed = capture.packed(files)?;
        let beyond = packed.len().saturating_sub(limits.size as usize);
        if beyond == 0 {
            return Ok((capture, packed));
        }
        // First less content, then less of the map.
        if !limits.redact && content >= kernel.page_size() {
            if content == limits.content {
                capture.lack(format!(
                    "to keep it below {} bytes, less of pages was taken along than might be",
                    thousands(limits.size)
                ));
            }
            content /= 2;
            continue;
        }
        let Some((pages, block)) = capture.pages.take().zip(blocks.next()) else {
            return Err(too_large(packed.len(), beyond));
        };
        let pages = pages.coarser(block)?;
        if let Some(memory) = &mut capture.header.pages {
            memory.exact_frames = pages.map.exact_frames();
        }
        capture.pages = Some(pages);
        if block == COARSE[0] {
            capture.lack(format!(
                "to keep it below {} bytes, pages that matter are counted by blocks, not told one by one",
                thousands(limits.size)
            ));
        }
    }
}

/// The capture of a host of which there are counters only, and its bytes: `report` is
/// made of them, and `why` says why there is no more.
///
/// # Errors
/// It is larger than it may be.
pub(crate) fn of_files(
    report: &Report,
    files: &Files,
    log: Option<&[u8]>,
    why: &str,
    limits: Limits,
) -> anyhow::Result<(Capture, Vec<u8>)> {
    let mut capture = Capture {
        header: header(report),
        report: report.clone(),
        info: None,
        net: None,
        log: log.map(<[u8]>::to_vec),
        content: None,
        host: None,
        pages: None,
    };
    capture.lack(format!("pages were not looked at: {why}"));
    let mut files = files.clone();
    if limits.redact {
        redact::redact(&mut capture, &mut files, &[])?;
    }
    let packed = capture.packed(&files)?;
    match packed.len().saturating_sub(limits.size as usize) {
        0 => Ok((capture, packed)),
        beyond => Err(too_large(packed.len(), beyond)),
    }
}

fn too_large(bytes: usize, beyond: usize) -> anyhow::Error {
    anyhow!(
        "the capture takes {} bytes, {} more than it may: allow more with --size",
        thousands(bytes as u64),
        thousands(beyond as u64)
    )
}

fn header(report: &Report) -> Header {
    let now = Timestamp::now().as_second();
    Header {
        schema: SCHEMA.to_owned(),
        tool_version: report.tool_version.clone(),
        target: report.target.path.clone(),
        made_at: Timestamp::from_second(now).unwrap_or_default().to_string(),
        redacted: false,
        pages: None,
        log_notes: Vec::new(),
        missing: Vec::new(),
    }
}

impl Capture {
    /// Notes what is not there.
    pub(super) fn lack(&mut self, what: String) {
        self.header.missing.push(what);
    }

    /// Takes these pages in, and no others.
    fn sample(&mut self, content: &Content, page_shift: u32) {
        if let Some(memory) = &mut self.header.pages {
            let sampled = content.by_finding.iter();
            memory.sampled_pages = content.by_finding.values().sum();
            memory.sampled = sampled
                .map(|(&finding, &pages)| SampledFinding { finding, pages })
                .collect();
        }
        let any = !content.by_finding.is_empty();
        self.content = any.then(|| content.lime(page_shift));
    }
}
