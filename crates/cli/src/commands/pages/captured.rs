//! `pagehound pages` of a capture.

use super::rows::Rows;
use super::{check_finding, wants};
use crate::args;
use crate::capture::{Capture, Known};
use crate::exit::Exit;
use crate::output;
use crate::render::number::thousands;
use pagehound_kernel::Class;
use pagehound_vmcore::{Pfn, PfnRange};

pub(super) fn run(
    args: &args::Pages,
    classes: &[Class],
    capture: &Capture,
) -> anyhow::Result<Exit> {
    let (_, pages) = capture.memory("pages")?;
    check_finding(args, &capture.report)?;
    super::super::note(&capture.report.warnings);
    if args.allocators {
        output::note(
            "allocators of single pages are not in a capture; those of findings are in its report",
        );
    }
    let mut counted = 0u64;
    output::plain(|out| {
        let mut rows = Rows::begin(args, out)?;
        for known in pages.all() {
            match known {
                Known::Each(pfns, facts) if wants(args, classes, facts) => {
                    rows.add(pfns, facts.clone())?;
                }
                Known::Each(..) => {}
                Known::Counted(block, kinds) => {
                    let kinds = kinds.into_iter();
                    for (facts, count) in kinds.filter(|(facts, _)| wants(args, classes, facts)) {
                        counted = counted.saturating_add(count);
                        let pfns = PfnRange {
                            start: block.start,
                            end: Pfn(block.start.0 + count),
                        };
                        // Which of the block's they are, nobody knows.
                        if !args.each {
                            rows.add(pfns, facts.clone())?;
                        }
                    }
                }
            }
        }
        rows.flush()
    })?;
    if counted > 0 {
        let (pages, rows) = (
            thousands(counted),
            match args.each {
                true => "they have no rows, for --each is about single ones",
                false => "their rows have no order, and the first frame of the block",
            },
        );
        output::note(&format!(
            "sampled: of {pages} of these pages the capture tells how many lie in a block, not which; {rows}"
        ));
    }
    Ok(Exit::OK)
}
