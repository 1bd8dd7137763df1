//! Lines for crash and drgn, each of which shows what one claim says.

mod holding;
mod masks;
mod page;

use super::Why;
use pagehound_kernel::{Kernel, Pages};
use pagehound_vmcore::{Pfn, VirtAddr};
use serde::Serialize;

/// Who understands a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tool {
    Crash,
    Drgn,
}

/// What a line is evidence of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Claim {
    Page,
    Class,
    Unit,
    PageStruct,
    HeldBy,
    NamedBy,
    Patterns,
    Content,
}

/// A line to type, and what its answer shows. Neither holds text from the dump.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    pub(super) tool: Tool,
    pub(super) claim: Claim,
    pub(super) shows: &'static str,
    pub(super) line: String,
}

/// Collects the lines, as the claims are made.
pub(super) struct Elsewhere<'a> {
    kernel: &'a Kernel<'a>,
    pages: &'a Pages,
    pub(super) lines: Vec<Line>,
}

impl<'a> Elsewhere<'a> {
    pub(super) fn new(why: &'a Why<'_>) -> Elsewhere<'a> {
        Elsewhere {
            kernel: why.kernel,
            pages: why.pages(),
            lines: Vec::new(),
        }
    }

    /// A line; one that was needed before is not told again.
    fn add(&mut self, tool: Tool, claim: Claim, shows: &'static str, line: String) {
        let is_known = |known: &Line| known.tool == tool && known.line == line;
        if !self.lines.iter().any(is_known) {
            self.lines.push(Line {
                tool,
                claim,
                shows,
                line,
            });
        }
    }

    fn both(&mut self, claim: Claim, shows: &'static str, crash: String, drgn: String) {
        self.add(Tool::Crash, claim, shows, crash);
        self.add(Tool::Drgn, claim, shows, drgn);
    }

    fn page_struct_of(&self, pfn: Pfn) -> VirtAddr {
        self.pages.memmap.page(pfn)
    }
}
