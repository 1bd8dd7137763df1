//! `pagehound search`: values and bytes in all of memory.

mod captured;

use super::Context;
use crate::args::{self, AddressRange};
use crate::capture::CapturedPages;
use crate::exit::Exit;
use crate::output;
use crate::progress::Bar;
use crate::render;
use crate::render::number::{percent, size, thousands};
use anyhow::{Context as _, bail};
use pagehound_hunt::{Diagnosis, Standing};
use pagehound_kernel::{Class, Kernel, Linear, Pages};
use pagehound_scan::{End, Found, Match, Pass, Pattern, PatternSet, Tally};
use pagehound_vmcore::{Dump, PageCache, Pfn, PhysAddr, VirtAddr, hex};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::time::Instant;

/// Bytes of a match that are printed.
const SHOWN: usize = 64;

/// Pages kept for printing the bytes of matches; they come page by page.
const CACHE_PAGES: usize = 16;

pub(super) fn run(args: &args::Search, context: &Context) -> anyhow::Result<Exit> {
    args.target.stands_first("search", &args.words)?;
    let patterns = args
        .patterns()
        .map_err(|error| with_part(error.into(), &args.words))?;
    let addresses = args.addresses().map_err(anyhow::Error::msg)?;
    let classes = super::classes(&args.class)?;
    if let Some(capture) = crate::input::capture(&args.target, &args.others.parts)? {
        return captured::run(args, &patterns, classes, &capture, context);
    }
    let dump = crate::input::dump_with_notes(&args.target, &args.others.parts, context.reading())?;
    let at = args.at.map(usize::try_from).transpose()?;
    let set = PatternSet::compile(&patterns, at, dump.memory.page_size())?;

    // Physical addresses need no kernel, classes and states do.
    let by_kind = !classes.is_empty() || !args.state.is_empty();
    let needed = by_kind || !args.physical;
    let kernel = needed.then(|| context.kernel(&dump)).transpose()?;
    let kind = match &kernel {
        Some(kernel) if by_kind => Some(Kind::of(kernel, classes, args, context)?),
        _ => None,
    };
    let direct = kernel.as_ref().map(|kernel| &kernel.memory.space.direct);
    let direct = direct.filter(|_| !args.physical);
    let range = addresses.map(|range| physical(range, direct)).transpose()?;

    let search = Search {
        dump: &dump,
        cache: PageCache::new(dump.memory.as_ref(), CACHE_PAGES),
        direct,
        range,
        kind,
        machine_pages: None,
    };
    search.run(&patterns, &set, context)
}

/// The error; where one of the words that are no patterns is a file, how files are given.
fn with_part(error: anyhow::Error, words: &[String]) -> anyhow::Error {
    match words.iter().find(|word| Path::new(word).is_file()) {
        Some(file) => error.context(format!(
            "{file} is a file, and what stands behind the dump are patterns; give another file of a split \
             dump by --part {file}"
        )),
        None => error,
    }
}

/// Which kind of pages to search.
struct Kind<'a> {
    classes: Vec<Class>,
    states: Vec<Standing>,
    pages: Known<'a>,
}

/// What tells the kind of a page.
enum Known<'a> {
    /// The map of a capture.
    Captured(&'a CapturedPages),
    /// Classes are in the map of all pages.
    Classes(Box<Pages>),
    /// States are the outcome of the diagnosis.
    States(Box<Diagnosis>),
}

impl Kind<'_> {
    fn of(
        kernel: &Kernel<'_>,
        classes: Vec<Class>,
        args: &args::Search,
        context: &Context,
    ) -> anyhow::Result<Self> {
        let pages = if args.state.is_empty() {
            Known::Classes(Box::new(
                Pages::of(kernel, context.making()).context("the map of all pages")?,
            ))
        } else {
            Known::States(Box::new(
                context.diagnose(kernel, &args.target.to_string())?,
            ))
        };
        Ok(Kind {
            classes,
            states: args.state.clone(),
            pages,
        })
    }

    fn wants(&self, pfn: Pfn) -> bool {
        let (class, state) = match &self.pages {
            Known::Captured(pages) => match pages.exactly(pfn) {
                Some(facts) => (facts.class, Some(facts.state)),
                None => return false,
            },
            Known::Classes(pages) => (pages.map.class(pfn), None),
            Known::States(diagnosis) => (
                diagnosis.pages.map.class(pfn),
                Some(diagnosis.standing(pfn)),
            ),
        };
        let in_class = self.classes.is_empty() || self.classes.contains(&class);
        let in_state = |state| self.states.is_empty() || self.states.contains(&state);
        in_class && state.is_none_or(in_state)
    }
}

/// The physical addresses that `range` means, itself physical where there is no
/// direct map to translate it.
fn physical(range: AddressRange, direct: Option<&Linear>) -> anyhow::Result<Range<u64>> {
    let Some(direct) = direct else {
        return Ok(range.start..range.end);
    };
    let start = range.start.max(direct.virt.start);
    let end = range.end.min(direct.virt.end);
    if start >= end {
        bail!(
            "{:x} to {:x} is not in the direct map, {:x} to {:x}; with --physical, addresses are physical",
            range.start,
            range.end,
            direct.virt.start,
            direct.virt.end
        );
    }
    let offset = |addr: u64| direct.phys.wrapping_add(addr - direct.virt.start);
    Ok(offset(start)..offset(end))
}

/// A search that is ready to run.
struct Search<'a> {
    dump: &'a Dump,
    cache: PageCache<'a>,
    /// Where to print kernel addresses from.
    direct: Option<&'a Linear>,
    range: Option<Range<u64>>,
    kind: Option<Kind<'a>>,
    /// Pages of the machine, where what is searched is a sample of them.
    machine_pages: Option<u64>,
}

/// What was found.
#[derive(Default)]
struct Totals {
    /// Matches by pattern.
    matches: Vec<u64>,
    pages: BTreeSet<Pfn>,
}

impl Search<'_> {
    fn run(
        &self,
        patterns: &[Pattern],
        set: &PatternSet,
        context: &Context,
    ) -> anyhow::Result<Exit> {
        let memory = self.dump.memory.as_ref();
        let bar = Bar::new();
        let pass = Pass {
            threads: context.threads,
            progress: &bar,
            cancel: context.cancel,
            ..Pass::new(memory)
        };
        let start = Instant::now();
        let mut totals = Totals {
            matches: vec![0; set.len()],
            pages: BTreeSet::new(),
        };
        let mut tally = Tally::default();
        output::plain(|out| {
            let mut written = Ok(());
            tally = pagehound_scan::search(
                &pass,
                set,
                |pfn| self.wants(pfn),
                |matches| {
                    written = bar.aside(|| self.print(matches, &mut totals, out));
                    if written.is_ok() {
                        ControlFlow::Continue(())
                    } else {
                        ControlFlow::Break(())
                    }
                },
            );
            bar.end();
            written
        })?;
        if tally.end != End::Stopped {
            self.summary(patterns, &totals, &tally, start.elapsed().as_secs_f64());
        }
        Ok(match tally.end {
            End::Cancelled => Exit::INTERRUPTED,
            // It may be in a page that is not in the capture.
            End::Complete if totals.pages.is_empty() && self.machine_pages.is_some() => {
                Exit::UNSURE
            }
            End::Complete | End::Stopped if totals.pages.is_empty() => Exit::NOT_FOUND,
            End::Complete | End::Stopped => Exit::OK,
        })
    }

    /// Whether any match in the page could count.
    fn wants(&self, pfn: Pfn) -> bool {
        let shift = self.dump.memory.page_shift();
        let in_range = self
            .range
            .as_ref()
            .is_none_or(|range| (range.start >> shift) <= pfn.0 && pfn.addr(shift).0 < range.end);
        in_range && self.kind.as_ref().is_none_or(|kind| kind.wants(pfn))
    }

    /// Words as crash prints them: `ffff880100400000: 2200383e43966e24`.
    fn print(&self, matches: &[Match], totals: &mut Totals, out: &mut dyn Write) -> io::Result<()> {
        let shift = self.dump.memory.page_shift();
        for found in matches {
            let phys = PhysAddr(found.pfn.addr(shift).0.saturating_add(found.offset.into()));
            if self
                .range
                .as_ref()
                .is_some_and(|range| !range.contains(&phys.0))
            {
                continue;
            }
            if let Some(count) = totals.matches.get_mut(found.pattern as usize) {
                *count += 1;
            }
            totals.pages.insert(found.pfn);
            match self.direct {
                None => write!(out, "{:x}: ", phys.0)?,
                Some(direct) => match direct.virt(phys) {
                    Some(VirtAddr(virt)) => write!(out, "{virt:x}: ")?,
                    // Memory the kernel does not map has no kernel address.
                    None => write!(out, "physical {:x}: ", phys.0)?,
                },
            }
            match found.found {
                Found::Word(word) => writeln!(out, "{word:x}")?,
                Found::Bytes(length) => writeln!(out, "{}", self.shown(phys, length))?,
            }
        }
        Ok(())
    }

    /// The first bytes of a match: text in quotes, or hex pairs.
    fn shown(&self, phys: PhysAddr, length: u32) -> String {
        let mut bytes = vec![0; SHOWN.min(length as usize)];
        if let Err(fault) = self.cache.read(phys, &mut bytes) {
            return format!("({fault})");
        }
        let more = if length as usize > bytes.len() {
            " …"
        } else {
            ""
        };
        if bytes
            .iter()
            .all(|byte| byte.is_ascii_graphic() || *byte == b' ')
        {
            return format!("\"{}\"{more}", render::escape(&bytes));
        }
        hex(&bytes, " ") + more
    }

    /// Counts and coverage, apart from the matches so that these can be piped.
    fn summary(&self, patterns: &[Pattern], totals: &Totals, tally: &Tally, seconds: f64) {
        let all: u64 = totals.matches.iter().sum();
        let mut lines = vec![format!(
            "{} matches in {} pages",
            thousands(all),
            thousands(totals.pages.len() as u64)
        )];
        if totals.matches.len() > 1 {
            let each = totals.matches.iter().zip(patterns);
            let each: Vec<String> = each
                .map(|(count, pattern)| format!("{} of {pattern}", thousands(*count)))
                .collect();
            lines.push(each.join(", "));
        }
        if let Some(pages) = self.machine_pages {
            lines.push(format!(
                "sampled: only these of the machine's {} pages are in the capture",
                thousands(pages)
            ));
            output::note(&lines.join("; "));
            return;
        }
        let coverage = self.dump.memory.coverage();
        let missing = coverage.excluded.saturating_add(coverage.absent);
        lines.push(format!(
            "searched {} of {} present pages, {} in {seconds:.1} s",
            thousands(tally.seen),
            thousands(tally.total),
            size(tally.bytes)
        ));
        if missing > 0 {
            let pages = coverage.present.saturating_add(missing);
            lines.push(format!(
                "{} of the machine's pages are not in the dump",
                percent(missing, pages)
            ));
        }
        if tally.unreadable > 0 {
            lines.push(format!(
                "{} pages could not be read",
                thousands(tally.unreadable)
            ));
        }
        if tally.end == End::Cancelled {
            lines.push("interrupted".to_owned());
        }
        output::note(&lines.join("; "));
    }
}
