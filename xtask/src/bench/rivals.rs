//! crash and drgn at the same search.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;

use super::contestant::{Contestant, PATIENCE};
use super::search::{MASK, VALUE};
use super::table::Seconds;
use super::{Arguments, verdict};

/// One of them, searching and only starting.
pub(super) struct Rival {
    pub(super) name: &'static str,
    pub(super) search: Contestant,
    pub(super) start: Contestant,
}

impl Rival {
    /// Searching, without starting.
    pub(super) fn searching(&self) -> Seconds {
        Seconds::whole(&self.search) - Seconds::whole(&self.start)
    }

    fn crash(vmlinux: &Path, dump: &Path) -> Option<Rival> {
        const SEARCH: &str = "search -p 0000383e43966e24 -m ffff000000000000\nq\n";
        let start = verdict::crash(vmlinux, dump)?;
        let mut search = verdict::crash(vmlinux, dump)?;
        search.line = search
            .line
            .replace("<<< q", &format!("<<< \"search -p {VALUE} -m {MASK}\""));
        search.input = SEARCH;
        Some(Rival {
            name: "crash",
            search: bounded(search),
            start,
        })
    }

    /// In the physical addresses that `ranges` bound: in kdumps it stops at the
    /// first hole.
    fn drgn(vmlinux: &Path, dump: &Path, ranges: &[Range<u64>]) -> Option<Rival> {
        let ranges: Vec<String> = ranges
            .iter()
            .map(|range| format!("({:#x}, {:#x})", range.start, range.end - 1))
            .collect();
        let search = format!(
            "for a, b in [{}]: s = prog.search_memory_u64(0x{VALUE}, ignore_mask=0x{MASK}); \
             s.set_address_range(a, b, physical=True); print(*s)",
            ranges.join(", ")
        );
        Some(Rival {
            name: "drgn",
            search: bounded(verdict::drgn_with(vmlinux, dump, &search)?),
            start: verdict::drgn(vmlinux, dump)?,
        })
    }
}

/// The same command, ended when it takes too long.
fn bounded(mut contestant: Contestant) -> Contestant {
    let limit = PATIENCE.as_secs().to_string();
    let program = std::mem::replace(&mut contestant.program, "timeout".into());
    contestant.arguments.splice(0..0, [limit.into(), program]);
    contestant
}

/// Those that are installed, each run as often as `arguments` say, and a line
/// for each that failed. `elf` has the memory of `dump` as well.
pub(super) fn measure(
    dump: &Path,
    elf: &Path,
    pagehound: &Path,
    arguments: &Arguments,
) -> Result<(Vec<Rival>, Vec<String>)> {
    let vmlinux = match &arguments.vmlinux {
        Some(vmlinux) => vmlinux.clone(),
        None => super::inputs::vmlinux(&verdict::release(pagehound, dump)?)?,
    };
    let ranges = present(elf)?;
    let found = [
        Rival::crash(&vmlinux, dump),
        Rival::drgn(&vmlinux, dump, &ranges),
    ];
    let (mut rivals, mut failures) = (Vec::new(), Vec::new());
    for mut rival in found.into_iter().flatten() {
        match (0..arguments.rivals).try_for_each(|_| {
            rival.start.round()?;
            rival.search.round()
        }) {
            Ok(()) => rivals.push(rival),
            Err(error) => failures.push(format!("{} did not do it: {error:#}.", rival.name)),
        }
    }
    Ok((rivals, failures))
}

/// Physical addresses that are in the core, by rising address.
fn present(elf: &Path) -> Result<Vec<Range<u64>>> {
    let dump = pagehound_vmcore::open(elf)?;
    let shift = dump.memory.page_shift();
    let mut runs = dump.memory.present_runs();
    runs.sort_unstable_by_key(|run| run.start.0);
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for run in runs {
        let (start, end) = (run.start.addr(shift).0, run.end.addr(shift).0);
        match ranges.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => ranges.push(start..end),
        }
    }
    Ok(ranges)
}
