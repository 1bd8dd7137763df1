//! `pagehound pages`: every page of the machine, or every run of equal ones.

use super::Context;
use crate::args::{self, Format};
use crate::exit::Exit;
use crate::output;
use anyhow::ensure;
use pagehound_hunt::{Allocators, Diagnosis, Standing};
use pagehound_kernel::{Class, Kernel};
use pagehound_vmcore::{Pfn, PfnRange};
use serde::{Serialize, Serializer};
use std::io::{self, Write};

/// Frames whose `struct page`s are read at once.
const CHUNK: u64 = 1 << 14;

/// What is told of a page; runs are of pages equal in all of it.
#[derive(Clone, PartialEq, Eq, Serialize)]
struct Facts {
    class: &'static str,
    /// log2 of the pages in its unit, rounded down.
    order: u32,
    /// Reference count of its unit; none where it cannot be read.
    refcount: Option<i32>,
    #[serde(serialize_with = "name")]
    state: Standing,
    /// Number of its finding.
    finding: Option<u32>,
    /// Who allocated it, where that was asked for and is on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    allocator: Option<String>,
}

fn name<S: Serializer>(standing: &Standing, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(standing.name())
}

/// Equal pages next to each other.
#[derive(Clone, Serialize)]
struct Run {
    pfn: u64,
    count: u64,
    #[serde(flatten)]
    facts: Facts,
}

/// One page.
#[derive(Serialize)]
struct Each {
    pfn: u64,
    #[serde(flatten)]
    facts: Facts,
}

pub(super) fn run(args: &args::Pages, context: &Context) -> anyhow::Result<Exit> {
    let classes = super::classes(&args.class)?;
    let dump = pagehound_kernel::open(args.target.file()?)?;
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
fn walk(
    kernel: &Kernel<'_>,
    diagnosis: &Diagnosis,
    allocators: Option<&Allocators<'_>>,
    mut visit: impl FnMut(PfnRange, Class, Facts) -> io::Result<()>,
) -> io::Result<()> {
    let map = &diagnosis.pages.map;
    let mut refcounts = Refcounts::default();
    let mut at = Pfn(0);
    while at < map.end() {
        let unit = map.unit(at);
        let class = map.class(at);
        let finding = diagnosis
            .finding(at)
            .and_then(|index| diagnosis.report.findings.get(index));
        let facts = Facts {
            class: class.name(),
            order: unit.len().max(1).ilog2(),
            refcount: refcounts.of(kernel, diagnosis, at),
            state: diagnosis.standing(at),
            finding: finding.map(|finding| finding.id),
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
struct Rows<'a> {
    each: bool,
    allocators: bool,
    format: Format,
    run: Option<Run>,
    out: &'a mut dyn Write,
}

impl Rows<'_> {
    fn header(&mut self) -> io::Result<()> {
        if self.format == Format::Jsonl {
            return Ok(());
        }
        let count = if self.each { "" } else { "count," };
        let allocator = if self.allocators { ",allocator" } else { "" };
        writeln!(
            self.out,
            "pfn,{count}class,order,refcount,state,finding{allocator}"
        )
    }

    fn add(&mut self, pfns: PfnRange, facts: Facts) -> io::Result<()> {
        if self.each {
            return (pfns.start.0..pfns.end.0).try_for_each(|pfn| {
                let facts = facts.clone();
                self.row(
                    &Each {
                        pfn,
                        facts: facts.clone(),
                    },
                    pfn,
                    None,
                    &facts,
                )
            });
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
        facts: &Facts,
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
        if self.allocators {
            // Names of functions and modules; a dump that says otherwise may not
            // break the row.
            let name = facts.allocator.as_deref().unwrap_or_default();
            write!(self.out, ",{}", name.replace([',', '"'], "_"))?;
        }
        writeln!(self.out)
    }
}
