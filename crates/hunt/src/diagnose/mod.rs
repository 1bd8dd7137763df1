//! The main job: from an opened kernel to the report.

mod certainty;
mod coverage;
mod finding;
mod findings;
mod groups;
mod look;
mod members;
mod motion;
mod nodes;
mod owned;
mod parts;
mod quick;
mod signature;
mod verdict;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use pagehound_kernel::{Class, Kernel, KernelError, PageMap, Pages};
use pagehound_model as model;
use pagehound_model::{Report, State, Unaccounted, thousands};
use pagehound_scan::Progress;
use pagehound_vmcore::{Dump, Pfn};

use crate::advice::advise;
use crate::attribution::Attribution;
use crate::census::{Census, Fate, Without};
use crate::cgroups;
use crate::clock::captured_at;
use crate::heap;
use crate::holders::Climb;
use crate::identity;
use crate::known;
use crate::ledger::{Counts, MOVING_TIMES, ledger};
use crate::limit::{MemoryLimit, TooLittleMemory};
use crate::standing::Standing;
use crate::units::Units;
use findings::Seen;
use groups::Groups;
use look::{Look, pass};
use motion::{Motion, Suspects};
use parts::Parts;

pub use quick::{Draw, quick};

/// What a diagnosis is given besides the kernel.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The target as the user named it, for the report.
    pub path: &'a str,
    /// Told how far the bulk pass is.
    pub progress: &'a dyn Progress,
    /// Raised to end early.
    pub cancel: &'a AtomicBool,
    /// Threads, or as many as there are cores.
    pub threads: Option<NonZeroUsize>,
    /// Resident memory to keep below, if there is little.
    pub memory: Option<MemoryLimit>,
    /// Census rules left out (for tests).
    pub without: Without,
}

/// Why there is no diagnosis.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DiagnosisError {
    /// No page map can be made.
    #[error("the map of all pages")]
    Pages(#[from] KernelError),
    /// It would not fit into the memory allowed.
    #[error(transparent)]
    Memory(#[from] TooLittleMemory),
}

/// The report, and what it was drawn from.
pub struct Diagnosis {
    /// The report.
    pub report: Report,
    /// Page map and all that was walked for it.
    pub pages: Pages,
    /// Fate of every censused unit.
    pub census: Census,
    /// Who has the objects that name units.
    pub climb: Climb,
    groups: Groups,
    /// Id of each group's finding by its number, 0 where it has none.
    findings: Vec<u32>,
    units: Arc<Units>,
}

impl Diagnosis {
    /// Diagnoses the memory of `kernel`.
    ///
    /// # Errors
    /// Only where no page map can be made, or memory is limited to less than this
    /// dump needs; whatever else is missing becomes a warning and lowers the verdict.
    pub fn of(kernel: &Kernel<'_>, options: &Options<'_>) -> Result<Diagnosis, DiagnosisError> {
        let begin = Instant::now();
        let look = Look::at(kernel, options, false)?;
        Ok(Self::tell(kernel, options, look, None, begin))
    }

    /// Diagnoses the memory of a host that goes on running. Pages that nothing refers
    /// to are looked for again after `pause`, which is to let what is in flight arrive:
    /// only those are lost that nothing refers to in any look, of which there are more
    /// than two while each clears many, and that stay the same meanwhile (see
    /// ARCHITECTURE.md).
    ///
    /// # Errors
    /// See [`of`](Self::of).
    pub fn live(
        kernel: &Kernel<'_>,
        options: &Options<'_>,
        mut pause: impl FnMut(),
    ) -> Result<Diagnosis, DiagnosisError> {
        let begin = Instant::now();
        let mut look = Look::at(kernel, options, true)?;
        let mut motion = None;
        let mut missed = None;
        let mut looks = 1;
        while !look.census.cancelled
            && motion.as_ref().is_none_or(Motion::asks_for_more)
            && let Some(suspects) = Suspects::of(kernel, &look)
        {
            let mut counted = Counts::default();
            counted.add_now(kernel, &look.pages);
            missed = Some(look.missed_of_control(missed.as_ref()));
            drop(look);
            pause();
            look = Look::at(kernel, options, true)?;
            look.counted.add_all(&counted);
            looks += 1;
            let (dropped, left) = suspects.take_back(kernel, &look);
            motion = Some(Motion {
                looks,
                seconds: begin.elapsed().as_secs(),
                dropped,
                cleared: suspects.pages().saturating_sub(left),
                left,
            });
        }
        if let Some(missed) = &missed {
            look.forgive(missed);
        }
        Ok(Self::tell(kernel, options, look, motion.as_ref(), begin))
    }

    /// The report of what was seen.
    fn tell(
        kernel: &Kernel<'_>,
        options: &Options<'_>,
        look: Look,
        motion: Option<&Motion>,
        begin: Instant,
    ) -> Diagnosis {
        let Look {
            mut pages,
            mut census,
            units,
            log,
            attribution,
            prints,
            counted,
            threads,
        } = look;
        let pass = pass(
            kernel,
            &Options {
                threads: Some(threads),
                ..*options
            },
        );
        let mut warnings = kernel.dump.info.warnings.clone();
        warnings.extend(attribution.warnings.iter().cloned());
        disown(&mut pages, &census, &units);
        let (rows, mut differences) = ledger(kernel, &pages, &counted);
        differences.extend(in_transit(kernel, &pages, &census, &units));
        differences.extend(out_of_sight(&pages, &attribution));
        differences.extend(motion.and_then(Motion::doubt));
        for difference in differences.iter().chain(&kernel.dump.info.contradiction) {
            census.doubt(difference.clone());
        }
        warnings.extend(kernel.warnings.iter().cloned());
        warnings.extend(differences);
        warnings.extend(pages.warnings.iter().cloned());
        let unclaimed = units
            .heads()
            .filter(|&head| pages.claims.owner(head).is_none());
        let climb = Climb::from(kernel, &pages, &census, &pass, census.roots_of(unclaimed));
        let (mut found, groups, ids) = findings::findings(&Seen {
            parts: Parts {
                kernel,
                pages: &pages,
                prints: &prints,
                attribution: &attribution,
            },
            units: &units,
            census: &census,
            climb: &climb,
        });

        let finding = |head| {
            let id = *ids.get(usize::from(groups.number_of(units.number(head)?)))?;
            (id as usize).checked_sub(1)
        };
        if let Some(motion) = motion {
            motion.explain(&mut found);
            warnings.extend(motion.note());
        }
        let charged = cgroups::charged(kernel, &pages, &units, &mut found, finding);
        let modules = identity::loaded(kernel);
        identity::name_modules(&modules, &mut found);
        known::doubt_look_alikes(&log, &mut found);
        known::name_known(kernel, &log, &modules, &mut found);
        certainty::explain(&census, &mut found);
        advise(options.path, census.missing > 0, &mut found);

        let unaccounted = unaccounted(kernel, &found);
        let (verdict, reasons) = verdict::verdict(kernel, &pages, &census, &found);
        warnings.extend(reasons);
        let unread = match census.cancelled {
            // What was not come to may well be there.
            true => 0,
            false => coverage::unread(kernel, &pages, &units, &prints),
        };
        warnings.extend(gaps(kernel, &pages, &census, unread));
        // What nothing reaches is lost only where everything was searched.
        let heap = match census.is_proof() && !pages.moving {
            true => heap::lost(kernel, &pages, &census, &pass),
            false => Vec::new(),
        };
        let report = Report {
            schema: model::SCHEMA.into(),
            tool_version: env!("CARGO_PKG_VERSION").into(),
            verdict,
            sample: None,
            complete: kernel.dump.info.contradiction.is_none()
                && coverage::is_complete(&pages, &census, &attribution, unread),
            host: host(kernel),
            target: target(kernel, &pages, options.path, |dump, map| {
                coverage::with_broken(coverage::by_frame(dump, map), census.broken)
            }),
            ledger: rows,
            unaccounted,
            control: census.control,
            findings: found,
            holders: owned::holders(&pages),
            heap,
            cgroups: charged.groups,
            explained: Vec::new(),
            dying_cgroups: charged.dying,
            netdevs: attribution.netdevs(),
            modules,
            warnings,
            timing: model::Timing {
                seconds: begin.elapsed().as_secs_f64(),
                bytes_read: census.bytes_read + prints.bytes_read,
            },
        };
        Diagnosis {
            report,
            pages,
            census,
            climb,
            groups,
            findings: ids,
            units,
        }
    }

    /// Index in the report's findings of the one a page belongs to.
    pub fn finding(&self, pfn: Pfn) -> Option<usize> {
        let head = self.pages.map.head(pfn);
        let group = self.groups.number_of(self.units.number(head)?);
        let id = *self.findings.get(usize::from(group))?;
        (id as usize).checked_sub(1)
    }

    /// How a page stands.
    pub fn standing(&self, pfn: Pfn) -> Standing {
        match self.pages.map.class(pfn) {
            Class::Free | Class::FreePcp => Standing::Free,
            class if class.is_unaccounted() => {
                let finding = self
                    .finding(pfn)
                    .and_then(|index| self.report.findings.get(index));
                finding.map_or(Standing::Unknown, |finding| finding.verdict.into())
            }
            _ => Standing::Accounted,
        }
    }
}

/// What nothing in use refers to any more has no owner: what describes an owner may
/// still have it, and so may a page of a page_pool its mark.
fn disown(pages: &mut Pages, census: &Census, units: &Units) {
    for head in units.heads() {
        if census.is_lost(pages, head) {
            pages.claims.release(head, pages.map.unit(head).len());
            if !pages.map.class(head).is_unaccounted() {
                pages.map.disown(head);
            }
        }
    }
}

/// Too many pages that are neither free nor in use, nor about to be: few are
/// caught in between, so where there are many their reference counts were not
/// read; unless free pages on per-CPU lists cannot be told, which look the same.
fn in_transit(
    kernel: &Kernel<'_>,
    pages: &Pages,
    census: &Census,
    units: &Units,
) -> Option<String> {
    if pages.nodes.is_empty() {
        return None;
    }
    let caught = units.heads().filter(|&head| {
        census.fate(pages, head) == Fate::InTransit && pages.map.is_in_transit(head)
    });
    let caught = caught.count() as u64;
    let tolerated = verdict::stray(kernel, pages) * if pages.moving { MOVING_TIMES } else { 1 };
    (caught > tolerated).then(|| {
        format!(
            "{} pages are neither free nor referred to: page._refcount is in doubt",
            thousands(caught)
        )
    })
}

/// What refers to pages, or may, from where nobody looked.
fn out_of_sight(pages: &Pages, attribution: &Attribution) -> impl Iterator<Item = String> {
    let buffers = attribution.pool_in_hardware().map(|driver| {
        format!(
            "devices of the {driver} driver keep free receive buffers to themselves: pages that \
             nothing in memory refers to may be theirs"
        )
    });
    let tables = pages.claims.are_tables_cut_short().then(|| {
        "tables of IOMMUs or virtual machines lead to more than there can be: the dump is \
         damaged, and some of them may be missing"
            .to_owned()
    });
    buffers.into_iter().chain(tables)
}

/// What could not be looked at, a sentence each; the content of `unread` pages is part of
/// it.
fn gaps(
    kernel: &Kernel<'_>,
    pages: &Pages,
    census: &Census,
    unread: u64,
) -> impl Iterator<Item = String> {
    let content = (unread > 0).then(|| {
        format!(
            "the content of {} unaccounted pages cannot be read: whose they are is not known",
            thousands(unread)
        )
    });
    let block = census.missing_block.map(|first| {
        format!(
            "slabs or stacks lie in the block at {:#x}, which the image does not have: what lies between \
             its ranges is missing, not zero; take the image again",
            first.addr(kernel.page_shift()).0
        )
    });
    let broken = (census.broken > 0).then(|| {
        format!(
            "{} pages are damaged in the file: compare its checksum with the original's",
            thousands(census.broken)
        )
    });
    // Objects and areas come and go between the walk that lists them and the pass that
    // reaches them.
    let heap = pages.moving.then(|| {
        "slab objects and vmalloc areas that nothing refers to are looked for in dumps only"
            .to_owned()
    });
    [content, block, broken, heap].into_iter().flatten()
}

fn unaccounted(kernel: &Kernel<'_>, findings: &[model::Finding]) -> Unaccounted {
    let sum = |state: State| -> u64 {
        findings
            .iter()
            .filter(|finding| finding.verdict == state)
            .map(|finding| finding.pages)
            .sum()
    };
    let pages = findings.iter().map(|finding| finding.pages).sum::<u64>();
    Unaccounted {
        pages,
        bytes: pages * kernel.page_size(),
        estimate: None,
        lost_pages: sum(State::Lost),
        suspect_pages: sum(State::Suspect),
        held_pages: sum(State::Held),
        unknown_pages: sum(State::Unknown),
    }
}

fn host(kernel: &Kernel<'_>) -> model::Host {
    let info = kernel.host();
    model::Host {
        captured_at: captured_at(&kernel.dump.info, Some(&info)),
        name: info.uname.map(|uname| uname.nodename),
        boot_id: info.boot_id,
    }
}

fn target(
    kernel: &Kernel<'_>,
    pages: &Pages,
    path: &str,
    coverage: impl Fn(&Dump, &PageMap) -> model::Coverage,
) -> model::Target {
    let managed: u64 = pages
        .nodes
        .iter()
        .flat_map(|node| &node.zones)
        .fold(0, |sum, zone| sum.saturating_add(zone.managed));
    model::Target {
        path: path.into(),
        format: kernel.dump.info.format.name().into(),
        kernel: kernel.vmcoreinfo.osrelease().into(),
        build: kernel.uname().ok().map(|uname| uname.version),
        arch: kernel.memory.space.machine.name().into(),
        page_size: kernel.page_size(),
        pages: pages.map.end().0,
        mem_total_bytes: managed.saturating_mul(kernel.page_size()),
        dump_level: kernel.dump.info.dump_level,
        coverage: coverage(kernel.dump, &pages.map),
    }
}
