//! What `why` prints.

use super::WORDS;
use super::elsewhere::{Claim, Line, Tool};
use super::facts::{Facts, Named, PageStruct, Unit};
use crate::render::number::{count, size};
use crate::render::page::{FAINT, LABEL, PLAIN, Page};
use crate::render::pattern_line;
use pagehound_model::Pattern;
use std::io;

pub(super) fn print(facts: &Facts, explained: &str, page: &mut Page) -> io::Result<()> {
    let virt = facts.virt.as_ref();
    let virt = virt.map_or("no kernel address".to_owned(), |virt| {
        format!("kernel address {virt}")
    });
    let pfn = facts.pfn;
    page.line(
        LABEL,
        &format!("page {pfn:#x} ({pfn}): physical {}, {virt}", facts.physical),
    )?;
    let detail = facts.class_detail.as_ref();
    let detail = detail.map_or(String::new(), |detail| format!("; {detail}"));
    page.item("Class", &format!("{}: {explained}{detail}", facts.class))?;
    page.item("Unit", &unit(&facts.unit))?;
    page.item(
        "Struct",
        &match &facts.page_struct {
            Some(words) => page_struct(&facts.page_struct_at, words),
            None => format!("page at {}: cannot be read", facts.page_struct_at),
        },
    )?;
    let finding = facts.finding.as_ref().map(|finding| {
        format!(
            ", with the {} of finding {}: {}",
            count(finding.pages, "page"),
            finding.id,
            finding.title
        )
    });
    page.item(
        "State",
        &format!("{}{}", facts.state, finding.unwrap_or_default()),
    )?;
    items("Held by", facts.held_by.iter().map(|link| &link.text), page)?;
    for origin in &facts.origin {
        page.item("Origin", &origin.text)?;
        for symbol in &origin.stack {
            page.indented(symbol)?;
        }
    }
    named_by(&facts.named_by, page)?;
    for text in &facts.checked {
        page.item("Checked", text)?;
    }
    let patterns = facts.patterns.iter().map(|pattern| {
        pattern_line(&Pattern {
            offset: pattern.offset,
            hex: pattern.hex.clone(),
            share: pattern.share,
        })
    });
    items("Pattern", patterns, page)?;
    content(facts, page)?;
    page.gap()?;
    page.paragraph(
        0,
        FAINT,
        "With the kernel's vmlinux: `crash VMLINUX DUMP`, with --zero_excluded where pages were \
         left out, and `drgn -s VMLINUX -c DUMP`. A search that prints nothing has found nothing.",
    )?;
    page.line(LABEL, "The same in crash")?;
    lines(&facts.reproduce, Tool::Crash, page)?;
    page.line(LABEL, "and in drgn")?;
    lines(&facts.reproduce, Tool::Drgn, page)
}

/// Texts beside one label.
fn items(
    label: &str,
    texts: impl Iterator<Item = impl AsRef<str>>,
    page: &mut Page,
) -> io::Result<()> {
    let mut label = label;
    for text in texts {
        page.item(label, text.as_ref())?;
        label = "";
    }
    Ok(())
}

fn unit(unit: &Unit) -> String {
    let order = unit.pages.max(1).ilog2();
    let compound = if unit.compound {
        ", a compound page"
    } else {
        ""
    };
    match unit.pages {
        0 | 1 => "this page alone, order 0".to_owned(),
        pages => format!(
            "order {order}{compound}: {}, {:#x} to {:#x}",
            count(pages, "page"),
            unit.first,
            unit.first + pages - 1
        ),
    }
}

fn page_struct(at: &str, words: &PageStruct) -> String {
    let PageStruct {
        refcount,
        mapcount_word,
        flags,
        mapping,
        index,
        private,
        lru: [next, prev],
    } = words;
    format!(
        "page at {at}: refcount {refcount}, mapcount word 0x{mapcount_word}, flags 0x{flags}, \
         mapping 0x{mapping}, index 0x{index}, private 0x{private}, lru {next} {prev}"
    )
}

fn named_by(named: &Named, page: &mut Page) -> io::Result<()> {
    let words = named.counting + named.barred;
    let searched = size(named.searched_bytes);
    page.item(
        "Named by",
        &match (words, named.counting) {
            (0, _) => format!("no word in {searched} of memory"),
            (_, 0) => format!(
                "{} in {searched} of memory, none of which counts",
                count(words, "word")
            ),
            _ => format!("{} in {searched} of memory", count(words, "word")),
        },
    )?;
    for word in named.words.iter().take(WORDS) {
        let barred = word
            .barred
            .map(|why| format!(", {why}: does not count"))
            .unwrap_or_default();
        page.indented(&format!(
            "{}: {}   {}{barred}",
            word.at, word.word, word.lies_in
        ))?;
    }
    match words.saturating_sub(WORDS as u64) {
        0 => Ok(()),
        more => page.indented(&format!("and {}", count(more, "other"))),
    }
}

fn content(facts: &Facts, page: &mut Page) -> io::Result<()> {
    if let Some(fault) = &facts.unreadable {
        return page.item("Bytes", fault);
    }
    let Some(lines) = &facts.content else {
        return page.item(
            "Bytes",
            "not shown, they may be secrets; --show-content shows them",
        );
    };
    page.item(
        "Bytes",
        &format!("the first {} of them", super::content::SHOWN),
    )?;
    lines.iter().try_for_each(|line| page.indented(line))
}

/// Lines of a tool from the first column on, so that they can be copied as they
/// stand: to Python an indent has a meaning. A line that begins with `#` is a comment
/// to both, what follows a command is none to crash.
fn lines(all: &[Line], tool: Tool, page: &mut Page) -> io::Result<()> {
    let mut told = None;
    for line in all.iter().filter(|line| line.tool == tool) {
        let note = (line.claim, line.shows);
        if told != Some(note) {
            let label = label(line.claim);
            page.line(FAINT, &format!("# {label}: {}", line.shows))?;
            told = Some(note);
        }
        page.line(PLAIN, &line.line)?;
    }
    Ok(())
}

/// What a claim is called above.
fn label(claim: Claim) -> &'static str {
    match claim {
        Claim::Page => "Page",
        Claim::Class => "Class",
        Claim::Unit => "Unit",
        Claim::PageStruct => "Struct",
        Claim::HeldBy => "Held by",
        Claim::NamedBy => "Named by",
        Claim::Patterns => "Pattern",
        Claim::Content => "Bytes",
    }
}
