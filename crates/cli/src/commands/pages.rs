//! `pagehound pages`: every page of the machine, or every run of equal ones.

use super::Context;
use crate::args::{self, Format};
use crate::exit::Exit;
use crate::output;
use crate::render;
use anyhow::ensure;
use pagehound_hunt::census::Fate;
use pagehound_hunt::holders::Holders;
use pagehound_hunt::{Allocators, Diagnosis, Standing};
use pagehound_kernel::{Claimant, Class, Kernel};
use pagehound_vmcore::{Pfn, PfnRange};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::io::{self, Write};

/// What follows the number of frames in a row.
const COLUMNS: &str = "class,order,refcount,state,finding,holder_kind,holder,holder_pid";

/// Why a column is empty that was asked for.
const NO_RECORDS: &str = "this kernel keeps no records of allocations: boot with page_owner=on \
     (CONFIG_PAGE_OWNER), or with CONFIG_MEM_ALLOC_PROFILING";

/// Frames whose `struct page`s are read at once.
const CHUNK: u64 = 1 << 14;

/// What is told of a page; runs are of pages equal in all of it.
#[derive(Clone, PartialEq, Eq, Serialize)]
struct Facts<'a> {
    class: &'static str,
    /// log2 of the pages in its unit, rounded down.
    order: u32,
    /// Reference count of its unit; none where it cannot be read.
    refcount: Option<i32>,
    #[serde(serialize_with = "name")]
    state: Standing,
    /// Number of its finding.
    finding: Option<u32>,
    /// Who has it: kind, name, process. Pages that are lost have nobody.
    holder_kind: Option<&'static str>,
    holder: Option<Cow<'a, str>>,
    holder_pid: Option<u32>,
    /// Who allocated it, where that was asked for and is on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    allocator: Option<String>,
}

/// A field of a CSV row: no control characters, and between quotes where it has a comma
/// or a quote.
fn quoted(field: &str) -> String {
    let field = render::escape(field);
    match field.contains([',', '"']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

fn name<S: Serializer>(standing: &Standing, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(standing.name())
}

/// Equal pages next to each other.
#[derive(Serialize)]
struct Run<'a> {
    pfn: u64,
    count: u64,
    #[serde(flatten)]
    facts: Facts<'a>,
}

/// One page.
#[derive(Serialize)]
struct Each<'a> {
    pfn: u64,
    #[serde(flatten)]
    facts: &'a Facts<'a>,
}

pub(super) fn run(args: &args::Pages, context: &Context) -> anyhow::Result<Exit> {
    let classes = super::classes(&args.class)?;
    let dump = crate::input::dump(&args.target, &args.others.parts, context.reading())?;
    let kernel = context.kernel(&dump)?;
    let diagnosis = context.diagnose(&kernel, &args.target.to_string())?;
    let report = &diagnosis.report;
    if let Some(id) = args.finding {
        ensure!(
            report.findings.iter().any(|finding| finding.id == id),
            "there is no finding {id}; the last is {}",
            report.findings.len()
        );
    }
    super::note(&report.warnings);
    let wants = |class: Class, facts: &Facts| {
        (classes.is_empty() || classes.contains(&class))
            && (args.state.is_empty() || args.state.contains(&facts.state))
            && (args.finding.is_none() || facts.finding == args.finding)
    };
    output::plain(|out| {
        let mut rows = Rows {
            each: args.each,
            allocators: args.allocators,
            format: args.format,
            run: None,
            out,
        };
        rows.header()?;
        let allocators = args
            .allocators
            .then(|| Allocators::of(&kernel, &diagnosis.pages));
        if allocators.as_ref().is_some_and(Allocators::is_empty) {
            super::note(&[NO_RECORDS.to_owned()]);
        }
        walk(
            &kernel,
            &diagnosis,
            allocators.as_ref(),
            |pfns, class, facts| {
                if wants(class, &facts) {
                    rows.add(pfns, facts)
                } else {
                    Ok(())
                }
            },
        )?;
        rows.flush()
    })?;
    Ok(if context.interrupted() {
        Exit::INTERRUPTED
    } else {
        Exit::OK
    })
}

/// Calls `visit` with every unit, by rising frame.
fn walk<'d>(
    kernel: &Kernel<'_>,
    diagnosis: &'d Diagnosis,
    allocators: Option<&Allocators<'_>>,
    mut visit: impl FnMut(PfnRange, Class, Facts<'d>) -> io::Result<()>,
) -> io::Result<()> {
    let map = &diagnosis.pages.map;
    let mut refcounts = Refcounts::default();
    let Diagnosis { census, climb, .. } = diagnosis;
    let mut holders = Holders::new(kernel, &diagnosis.pages, census, climb);
    let mut at = Pfn(0);
    while at < map.end() {
        let unit = map.unit(at);
        let class = map.class(at);
        let finding = diagnosis
            .finding(at)
            .and_then(|index| diagnosis.report.findings.get(index));
        let state = diagnosis.standing(at);
        let owner: Option<&Claimant> = diagnosis.pages.claims.owner(unit.start);
        let fate = || diagnosis.census.fate(&diagnosis.pages, unit.start);
        let is_held = class.is_unaccounted() && state != Standing::Lost && fate() == Fate::Held;
        let (holder_kind, holder, holder_pid) = match owner {
            Some(owner) => {
                let name = Cow::Borrowed(owner.name.as_str());
                (Some(owner.kind.name()), Some(name), owner.pid)
            }
            None if is_held => {
                let holder = holders.of(unit.start);
                (Some(holder.kind), Some(holder.name.into()), holder.pid)
            }
            None => (None, None, None),
        };
        let facts = Facts {
            class: class.name(),
            order: unit.len().max(1).ilog2(),
            refcount: refcounts.of(kernel, diagnosis, at),
            state,
            finding: finding.map(|finding| finding.id),
            holder_kind,
            holder,
            holder_pid,
            allocator: allocators
                .filter(|_| !matches!(class, Class::Free | Class::FreePcp | Class::Hole))
                .and_then(|allocators| allocators.name(at)),
        };
        visit(unit, class, facts)?;
        at = unit.end;
    }
    Ok(())
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

/// Rows on their way out.
struct Rows<'a, 'd> {
    each: bool,
    allocators: bool,
    format: Format,
    run: Option<Run<'d>>,
    out: &'a mut dyn Write,
}

impl<'d> Rows<'_, 'd> {
    fn header(&mut self) -> io::Result<()> {
        if self.format == Format::Jsonl {
            return Ok(());
        }
        let count = if self.each { "" } else { "count," };
        let allocator = if self.allocators { ",allocator" } else { "" };
        writeln!(self.out, "pfn,{count}{COLUMNS}{allocator}")
    }

    fn add(&mut self, pfns: PfnRange, facts: Facts<'d>) -> io::Result<()> {
        if self.each {
            let facts = &facts;
            return (pfns.start.0..pfns.end.0)
                .try_for_each(|pfn| self.row(&Each { pfn, facts }, pfn, None, facts));
        }
        match &mut self.run {
            Some(run) if run.facts == facts && run.pfn + run.count == pfns.start.0 => {
                run.count += pfns.len();
                Ok(())
            }
            _ => {
                self.flush()?;
                self.run = Some(Run {
                    pfn: pfns.start.0,
                    count: pfns.len(),
                    facts,
                });
                Ok(())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.run.take() {
            Some(run) => self.row(&run, run.pfn, Some(run.count), &run.facts),
            None => Ok(()),
        }
    }

    fn row(
        &mut self,
        json: &impl Serialize,
        pfn: u64,
        count: Option<u64>,
        facts: &Facts<'d>,
    ) -> io::Result<()> {
        if self.format == Format::Jsonl {
            serde_json::to_writer(&mut *self.out, json)?;
            return writeln!(self.out);
        }
        write!(self.out, "{pfn},")?;
        if let Some(count) = count {
            write!(self.out, "{count},")?;
        }
        write!(self.out, "{},{},", facts.class, facts.order)?;
        if let Some(refcount) = facts.refcount {
            write!(self.out, "{refcount}")?;
        }
        write!(self.out, ",{},", facts.state.name())?;
        if let Some(id) = facts.finding {
            write!(self.out, "{id}")?;
        }
        for field in [facts.holder_kind, facts.holder.as_deref()] {
            write!(self.out, ",{}", quoted(field.unwrap_or_default()))?;
        }
        self.out.write_all(b",")?;
        if let Some(pid) = facts.holder_pid {
            write!(self.out, "{pid}")?;
        }
        if self.allocators {
            let name = facts.allocator.as_deref().unwrap_or_default();
            write!(self.out, ",{}", quoted(name))?;
        }
        writeln!(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_name_stays_in_its_field_and_off_the_terminal() {
        assert_eq!(quoted("pipe"), "pipe");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("\x1b[2J\r\n"), r"\x1b[2J\x0d\x0a");
    }
}
