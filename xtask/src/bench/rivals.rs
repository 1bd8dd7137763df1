//! crash and drgn at the same search.

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

    fn drgn(vmlinux: &Path, dump: &Path) -> Option<Rival> {
        let search = format!(
            "for found in prog.search_memory_u64(0x{VALUE}, ignore_mask=0x{MASK}): print(found)"
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

/// Both that are installed, each run as often as `arguments` say.
pub(super) fn measure(dump: &Path, pagehound: &Path, arguments: &Arguments) -> Result<Vec<Rival>> {
    let vmlinux = match &arguments.vmlinux {
        Some(vmlinux) => vmlinux.clone(),
        None => super::inputs::vmlinux(&verdict::release(pagehound, dump)?)?,
    };
    let found = [Rival::crash(&vmlinux, dump), Rival::drgn(&vmlinux, dump)];
    let mut rivals: Vec<Rival> = found.into_iter().flatten().collect();
    for _ in 0..arguments.rivals {
        for rival in &mut rivals {
            rival.start.round()?;
            rival.search.round()?;
        }
    }
    Ok(rivals)
}
