//! `pagehound search` of a capture: in the pages whose bytes it has.

use super::{CACHE_PAGES, Kind, Known, Search, physical};
use crate::args;
use crate::capture::Capture;
use crate::commands::Context;
use crate::exit::Exit;
use anyhow::Context as _;
use pagehound_kernel::Class;
use pagehound_scan::{Pattern, PatternSet};
use pagehound_vmcore::PageCache;

pub(super) fn run(
    args: &args::Search,
    patterns: &[Pattern],
    classes: Vec<Class>,
    capture: &Capture,
    context: &Context,
) -> anyhow::Result<Exit> {
    let (memory, pages) = capture.memory("pages")?;
    let dump = capture.content()?;
    let at = args.at.map(usize::try_from).transpose()?;
    let set = PatternSet::compile(patterns, at, dump.memory.page_size())?;
    let direct = memory.direct_map.as_ref().and_then(|map| map.linear());
    let direct = direct.filter(|_| !args.physical);
    let range = args.addresses().map_err(anyhow::Error::msg)?;
    let range = range.map(|range| physical(range, direct.as_ref()));
    let by_kind = !classes.is_empty() || !args.state.is_empty();
    let search = Search {
        dump: &dump,
        cache: PageCache::new(dump.memory.as_ref(), CACHE_PAGES),
        direct: direct.as_ref(),
        range: range.transpose().context("a range of addresses")?,
        kind: by_kind.then(|| Kind {
            classes,
            states: args.state.clone(),
            pages: Known::Captured(pages),
        }),
        machine_pages: Some(pages.end().0),
    };
    search.run(patterns, &set, context)
}
