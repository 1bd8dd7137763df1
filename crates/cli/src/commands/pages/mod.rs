//! `pagehound pages`: every page of the machine, or every run of equal ones.

mod captured;
mod rows;

use super::Context;
use crate::args;
use crate::exit::Exit;
use crate::output;
use crate::page_facts::PageFacts;
use anyhow::ensure;
use pagehound_hunt::Allocators;
use pagehound_kernel::Class;
use pagehound_model::Report;
use rows::Rows;

/// Why a column is empty that was asked for.
const NO_RECORDS: &str = "this kernel keeps no records of allocations: boot with page_owner=on \
     (CONFIG_PAGE_OWNER), or with CONFIG_MEM_ALLOC_PROFILING";

/// Whether somebody allocated pages of this class.
fn is_allocated(class: Class) -> bool {
    !matches!(class, Class::Free | Class::FreePcp | Class::Hole)
}

pub(super) fn run(args: &args::Pages, context: &Context) -> anyhow::Result<Exit> {
    let classes = super::classes(&args.class)?;
    if let Some(capture) = crate::input::capture(&args.target, &args.others.parts)? {
        return captured::run(args, &classes, &capture);
    }
    let dump = crate::input::dump(&args.target, &args.others.parts, context.reading())?;
    let kernel = context.kernel(&dump)?;
    let diagnosis = context.diagnose(&kernel, &args.target.to_string())?;
    let report = &diagnosis.report;
    check_finding(args, report)?;
    super::note(&report.warnings);
    output::plain(|out| {
        let mut rows = Rows::begin(args, out)?;
        let allocators = args
            .allocators
            .then(|| Allocators::of(&kernel, &diagnosis.pages));
        if allocators.as_ref().is_some_and(Allocators::is_empty) {
            super::note(&[NO_RECORDS.to_owned()]);
        }
        diagnosis.units(&kernel, |pfns, facts| {
            let mut facts = PageFacts::from(facts);
            if !wants(args, &classes, &facts) {
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

/// Fails where there is no finding of the number that was asked for.
fn check_finding(args: &args::Pages, report: &Report) -> anyhow::Result<()> {
    if let Some(id) = args.finding {
        ensure!(
            report.findings.iter().any(|finding| finding.id == id),
            "there is no finding {id}; the last is {}",
            report.findings.len()
        );
    }
    Ok(())
}

/// Whether pages of this kind were asked for.
fn wants(args: &args::Pages, classes: &[Class], facts: &PageFacts<'_>) -> bool {
    (classes.is_empty() || classes.contains(&facts.class))
        && (args.state.is_empty() || args.state.contains(&facts.state))
        && (args.finding.is_none() || facts.finding == args.finding)
}
