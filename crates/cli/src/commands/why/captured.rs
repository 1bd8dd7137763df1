//! `pagehound why` of a capture: what it knows of the page, and what it does not.

use super::content::{self, lies_in};
use super::explained;
use super::facts::{FindingRef, PatternAt};
use crate::args::{self, PageRef};
use crate::capture::{Capture, Known};
use crate::exit::Exit;
use crate::output;
use crate::page_facts::PageFacts;
use crate::render::number::{count, thousands};
use crate::render::page::{LABEL, Page};
use crate::render::{self, finding_title, pattern_line};
use anyhow::Context;
use pagehound_model::{Evidence, Pattern};
use pagehound_vmcore::{PageCache, Pfn, PhysAddr, VirtAddr};
use serde::Serialize;
use std::io;

/// What `why --json` prints of a page in a capture. Addresses are hex without a prefix.
#[derive(Serialize)]
struct Facts<'a> {
    schema: &'static str,
    pfn: u64,
    physical: String,
    /// In the kernel's direct map.
    #[serde(rename = "virtual")]
    virt: Option<String>,
    /// What it is, where the capture tells single pages.
    #[serde(flatten)]
    page: Option<&'a PageFacts<'static>>,
    /// Else how many pages of which kind lie in its block.
    block: Vec<InBlock<'a>>,
    finding_told: Option<FindingRef>,
    /// What was searched before the finding's pages were called lost.
    checked: Vec<String>,
    /// What the finding's pages have in common and this one has.
    patterns: Vec<PatternAt>,
    /// Its first bytes as hex, only with `--show-content`.
    content: Option<Vec<String>>,
    /// What the capture does not tell.
    sampled: Vec<String>,
}

/// Pages of a kind in a block.
#[derive(Serialize)]
struct InBlock<'a> {
    pages: u64,
    class: &'static str,
    state: &'static str,
    #[serde(skip)]
    facts: &'a PageFacts<'static>,
}

pub(super) fn run(args: &args::Why, asked: PageRef, capture: &Capture) -> anyhow::Result<Exit> {
    let (memory, pages) = capture.memory("pages")?;
    let shift = memory.page_size.ilog2();
    let direct = memory.direct_map.as_ref().and_then(|map| map.linear());
    let pfn = match asked {
        PageRef::Pfn(pfn) => Pfn(pfn),
        PageRef::Physical(addr) => PhysAddr(addr).pfn(shift),
        PageRef::Virtual(addr) => {
            let phys = direct.as_ref().and_then(|map| map.phys(VirtAddr(addr)));
            let phys = phys.with_context(|| {
                format!(
                    "sampled: {addr:x} is not in the direct map, and the capture has no page tables; \
                     give a page frame number, or --physical"
                )
            })?;
            phys.pfn(shift)
        }
    };
    let known = pages.at(pfn).with_context(|| {
        format!(
            "there is no page {:#x}: the machine's pages end below {:#x}",
            pfn.0,
            pages.end().0
        )
    })?;
    super::super::note(&capture.report.warnings);
    let (page, block) = match &known {
        Known::Each(_, facts) => (Some(*facts), Vec::new()),
        Known::Counted(_, kinds) => (
            None,
            kinds
                .iter()
                .map(|&(facts, pages)| InBlock {
                    pages,
                    class: facts.class.name(),
                    state: facts.state.name(),
                    facts,
                })
                .collect(),
        ),
    };
    let finding = page.and_then(|page| page.finding);
    let findings = &capture.report.findings;
    let finding = findings.iter().find(|it| Some(it.id) == finding);
    let mut sampled = Vec::new();
    let bytes = bytes(capture, pfn, shift);
    if bytes.is_none() {
        sampled.push(lacks_bytes(capture));
    }
    // Patterns are of the unit's first page.
    let order = page.and_then(|page| page.order).unwrap_or(0);
    let first = pfn.0.trailing_zeros() >= order || pfn.0 == 0;
    let patterns = finding.map_or(&[][..], |finding| &finding.patterns).iter();
    let there = bytes.as_deref().unwrap_or_default();
    let patterns = patterns.filter(|pattern| first && lies_in(pattern, there));
    sampled.push(
        "words that name the page, its struct page and the way to its holder are not in a capture; \
         ask the host or the dump itself"
            .to_owned(),
    );
    let references = finding.iter().flat_map(|finding| &finding.evidence);
    let references = references.filter(|evidence| evidence.kind == Evidence::REFERENCES);
    let phys = pfn.addr(shift);
    let facts = Facts {
        schema: "pagehound.why-captured/1",
        pfn: pfn.0,
        physical: format!("{:x}", phys.0),
        virt: direct
            .and_then(|map| map.virt(phys))
            .map(|virt| format!("{:x}", virt.0)),
        page,
        block,
        finding_told: finding.map(|finding| FindingRef {
            id: finding.id,
            pages: finding.pages,
            title: finding_title(finding),
        }),
        checked: references.map(|evidence| evidence.text.clone()).collect(),
        patterns: patterns
            .map(|pattern| PatternAt {
                offset: pattern.offset,
                hex: pattern.hex.clone(),
                share: pattern.share,
            })
            .collect(),
        content: bytes
            .filter(|_| args.show_content)
            .map(|bytes| content::shown(&bytes)),
        sampled,
    };
    if args.json {
        output::plain(|out| render::json(&facts, out))?;
    } else {
        output::page(|out| print(&facts, out))?;
    }
    Ok(Exit::OK)
}

/// The page's bytes, if they are in the capture.
fn bytes(capture: &Capture, pfn: Pfn, shift: u32) -> Option<Vec<u8>> {
    let content = capture.content().ok()?;
    let mut bytes = vec![0; 1 << shift];
    let cache = PageCache::new(content.memory.as_ref(), 1);
    cache.read(pfn.addr(shift), &mut bytes).ok()?;
    Some(bytes)
}

/// That a page's bytes are not there, and which are.
fn lacks_bytes(capture: &Capture) -> String {
    let Ok(content) = capture.content() else {
        return capture.lacks("bytes of pages");
    };
    let some: Vec<String> = content
        .memory
        .present_runs()
        .iter()
        .take(SOME)
        .map(|run| format!("{:#x}", run.start.0))
        .collect();
    format!(
        "the bytes of this page are not in the capture; those of {} are, among them {}",
        count(content.memory.coverage().present, "page"),
        some.join(", ")
    )
}

/// Pages that are named of those there are.
const SOME: usize = 8;

fn print(facts: &Facts<'_>, out: &mut Page) -> io::Result<()> {
    let virt = facts.virt.as_ref();
    let virt = virt.map_or("kernel address not known".to_owned(), |virt| {
        format!("kernel address {virt}")
    });
    let pfn = facts.pfn;
    out.line(
        LABEL,
        &format!("page {pfn:#x} ({pfn}): physical {}, {virt}", facts.physical),
    )?;
    if let Some(page) = facts.page {
        let class = format!("{}: {}", page.class.name(), explained(page.class));
        out.item("Class", &class)?;
        if let Some(order) = page.order {
            out.item("Unit", &format!("of order {order}"))?;
        }
        if let Some(refcount) = page.refcount {
            out.item("Struct", &format!("refcount {refcount}"))?;
        }
        let finding = facts.finding_told.as_ref().map(|finding| {
            format!(
                ", with the {} of finding {}: {}",
                count(finding.pages, "page"),
                finding.id,
                finding.title
            )
        });
        let state = page.state.name();
        out.item("State", &format!("{state}{}", finding.unwrap_or_default()))?;
        if let Some(kind) = &page.holder_kind {
            let name = page
                .holder
                .as_deref()
                .unwrap_or("(name not in the capture)");
            let pid = page.holder_pid.map(|pid| format!(" (pid {pid})"));
            out.item(
                "Held by",
                &format!("{kind} {name}{}", pid.unwrap_or_default()),
            )?;
        }
    }
    for kind in &facts.block {
        let told = format!(
            "{} of its block: {}, {}: {}",
            thousands(kind.pages),
            kind.class,
            kind.state,
            explained(kind.facts.class)
        );
        out.item("Class", &told)?;
    }
    for text in &facts.checked {
        out.item("Checked", text)?;
    }
    for pattern in &facts.patterns {
        let line = pattern_line(&Pattern {
            offset: pattern.offset,
            hex: pattern.hex.clone(),
            share: pattern.share,
        });
        out.item("Pattern", &line)?;
    }
    for line in facts.content.iter().flatten() {
        out.item("Content", line)?;
    }
    for text in &facts.sampled {
        out.item("Sampled", text)?;
    }
    Ok(())
}
