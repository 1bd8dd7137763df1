//! `pagehound pages`: every page of the machine, or every run of equal ones.

use super::Context;
use crate::args::{self, Format};
use crate::exit::Exit;
use crate::output;
use crate::page_facts::PageFacts;
use crate::render;
use anyhow::ensure;
use pagehound_hunt::Allocators;
use pagehound_kernel::Class;
use pagehound_vmcore::PfnRange;
use serde::Serialize;
use std::io::{self, Write};

/// What follows the number of frames in a row.
const COLUMNS: &str = "class,order,refcount,state,finding,holder_kind,holder,holder_pid";

/// Why a column is empty that was asked for.
const NO_RECORDS: &str = "this kernel keeps no records of allocations: boot with page_owner=on \
     (CONFIG_PAGE_OWNER), or with CONFIG_MEM_ALLOC_PROFILING";

/// Whether somebody allocated pages of this class.
fn is_allocated(class: Class) -> bool {
    !matches!(class, Class::Free | Class::FreePcp | Class::Hole)
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

/// Equal pages next to each other.
#[derive(Serialize)]
struct Run<'a> {
    pfn: u64,
    count: u64,
    #[serde(flatten)]
    facts: PageFacts<'a>,
}

/// One page.
#[derive(Serialize)]
struct Each<'a> {
    pfn: u64,
    #[serde(flatten)]
    facts: &'a PageFacts<'a>,
}

pub(super) fn run(args: &args::Pages, context: &Context) -> anyhow::Result<Exit> {
    let classes = super::classes(&args.class)?;
    let dump = crate::input::dump(&args.target, &args.others.parts, context.reading())?;
    crate::input::note_moving(&args.target, &dump);
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
    let wants = |facts: &PageFacts<'_>| {
        (classes.is_empty() || classes.contains(&facts.class))
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
        diagnosis.units(&kernel, |pfns, facts| {
            let mut facts = PageFacts::from(facts);
            if !wants(&facts) {
                return Ok(());
            }
            facts.allocator = allocators
                .as_ref()
                .filter(|_| is_allocated(facts.class))
                .and_then(|allocators| allocators.name(pfns.start));
            rows.add(pfns, facts)
        })?;
        rows.flush()
    })?;
    Ok(if context.interrupted() {
        Exit::INTERRUPTED
    } else {
        Exit::OK
    })
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

    fn add(&mut self, pfns: PfnRange, facts: PageFacts<'d>) -> io::Result<()> {
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
        facts: &PageFacts<'d>,
    ) -> io::Result<()> {
        if self.format == Format::Jsonl {
            serde_json::to_writer(&mut *self.out, json)?;
            return writeln!(self.out);
        }
        write!(self.out, "{pfn},")?;
        if let Some(count) = count {
            write!(self.out, "{count},")?;
        }
        write!(self.out, "{},", facts.class.name())?;
        if let Some(order) = facts.order {
            write!(self.out, "{order}")?;
        }
        self.out.write_all(b",")?;
        if let Some(refcount) = facts.refcount {
            write!(self.out, "{refcount}")?;
        }
        write!(self.out, ",{},", facts.state.name())?;
        if let Some(id) = facts.finding {
            write!(self.out, "{id}")?;
        }
        for field in [facts.holder_kind.as_deref(), facts.holder.as_deref()] {
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
