//! Rows of pages on their way out.

use crate::args::{self, Format};
use crate::page_facts::PageFacts;
use crate::render;
use pagehound_vmcore::PfnRange;
use serde::Serialize;
use std::io::{self, Write};

/// What follows the number of frames in a row.
const COLUMNS: &str = "class,order,refcount,state,finding,holder_kind,holder,holder_pid";

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

/// Rows on their way out.
pub(super) struct Rows<'a, 'd> {
    each: bool,
    allocators: bool,
    format: Format,
    run: Option<Run<'d>>,
    out: &'a mut dyn Write,
}

impl<'a, 'd> Rows<'a, 'd> {
    /// Begins with the names of the columns.
    pub(super) fn begin(args: &args::Pages, out: &'a mut dyn Write) -> io::Result<Self> {
        let rows = Rows {
            each: args.each,
            allocators: args.allocators,
            format: args.format,
            run: None,
            out,
        };
        rows.header()
    }

    fn header(self) -> io::Result<Self> {
        if self.format == Format::Jsonl {
            return Ok(self);
        }
        let count = if self.each { "" } else { "count," };
        let allocator = if self.allocators { ",allocator" } else { "" };
        writeln!(self.out, "pfn,{count}{COLUMNS}{allocator}")?;
        Ok(self)
    }

    /// Adds pages that follow those before.
    pub(super) fn add(&mut self, pfns: PfnRange, facts: PageFacts<'d>) -> io::Result<()> {
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

    /// Ends the last row.
    pub(super) fn flush(&mut self) -> io::Result<()> {
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
