//! One look at all pages: the page map, who refers to what, and what they hold.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use pagehound_kernel::{Kernel, Log, Making, Pages};
use pagehound_scan::Pass;
use pagehound_vmcore::Mac;

use super::{DiagnosisError, Options};
use crate::attribution::Attribution;
use crate::census::{Census, Fate, Ground, NAMED_PART, Naming, Run};
use crate::fingerprint::{Fingerprints, GROUP, Key};
use crate::ledger::Counts;
use crate::units::Units;

/// What a look saw.
pub(super) struct Look {
    pub(super) pages: Pages,
    pub(super) census: Census,
    pub(super) units: Arc<Units>,
    pub(super) log: Log,
    pub(super) attribution: Attribution,
    pub(super) prints: Fingerprints,
    /// What the kernel counted of a host that runs, right after the page map was made.
    pub(super) counted: Counts,
    /// Threads to go on with: of those asked for, as many as there is memory for.
    pub(super) threads: NonZeroUsize,
}

impl Look {
    /// Looks at all pages; at those of a host that runs if they are `moving`.
    pub(super) fn at(
        kernel: &Kernel<'_>,
        options: &Options<'_>,
        moving: bool,
    ) -> Result<Look, DiagnosisError> {
        if moving {
            kernel.dump.memory.forget_states();
            kernel.forget();
        }
        let mut making = Making {
            cancel: options.cancel,
            moving,
            ..Making::default()
        };
        if let Some(threads) = options.threads {
            making.threads = threads;
        }
        let mut threads = making.threads;
        if let Some(limit) = options.memory {
            threads = limit.check_frames(kernel.dump, threads)?;
            making.threads = threads;
        }
        let pages = Pages::of(kernel, making)?;
        if let Some(limit) = options.memory {
            threads = limit.check_units(&pages, kernel.dump, threads)?;
        }
        let options = &Options {
            threads: Some(threads),
            ..*options
        };
        let mut counted = Counts::default();
        if moving {
            counted.add_now(kernel, &pages);
        }
        let run = Run {
            progress: options.progress,
            cancel: options.cancel,
            threads: options.threads,
            without: options.without,
        };
        let mut census = Census::run(kernel, &pages, &run);
        let units = Arc::clone(census.units());
        let naming = Naming::new(kernel, &pages);
        let pass = pass(kernel, options);
        let log = kernel.log().unwrap_or_else(|error| Log {
            problem: Some(error.to_string()),
            ..Log::default()
        });
        let attribution = Attribution::of(kernel, &log);
        let devices: Vec<Mac> = attribution.addresses().collect();
        let prints = Fingerprints::of(kernel, &pages, &units, &naming, &pass, &devices);
        let ground = Ground {
            kernel,
            pages: &pages,
            naming: &naming,
            pass: &pass,
            without: options.without,
        };
        settle(&mut census, ground, &units, &prints);
        Ok(Look {
            pages,
            census,
            units,
            log,
            attribution,
            prints,
            counted,
            threads,
        })
    }
}

/// A pass over all pages, as the options say.
pub(super) fn pass<'a>(kernel: &Kernel<'a>, options: &Options<'a>) -> Pass<'a> {
    let mut pass = Pass {
        cancel: options.cancel,
        ..Pass::new(kernel.dump.memory.as_ref())
    };
    if let Some(threads) = options.threads {
        pass.threads = threads;
    }
    pass
}

/// What only content can decide: runs behind held pages (rule 8), groups that
/// live in tables of hardware (rule 6), pages the kernel dropped on purpose.
fn settle(census: &mut Census, ground: Ground<'_>, units: &Units, prints: &Fingerprints) {
    let pages = ground.pages;
    // By group: units, and those of them that hardware tables name.
    let mut groups: HashMap<Key, (usize, usize)> = HashMap::new();
    for head in units.heads() {
        if census.fate(pages, head) != Fate::Orphan || census.is_unsettled(head) {
            continue;
        }
        let (units, named) = groups.entry(prints.key(head)).or_default();
        *units += 1;
        *named += usize::from(census.is_in_hardware(head));
    }
    let lost_elsewhere = |head| {
        let key = prints.key(head);
        let group = groups.get(&key);
        key.is_telling() && group.is_some_and(|&(units, _)| units >= 4 * GROUP)
    };
    let alike = |one, other| prints.key(one) == prints.key(other);
    let mut held = census.settle(lost_elsewhere, alike);
    for head in units.heads() {
        if census.fate(pages, head) != Fate::Orphan {
            continue;
        }
        let group = groups.get(&prints.key(head));
        if group.is_some_and(|&(units, named)| named > 0 && named * NAMED_PART >= units) {
            census.hold_in_hardware(head);
            held.push(head);
        } else if prints.is_vmcoreinfo(head) {
            census.hold_dropped(head);
        }
    }
    // What is held holds what it names, and that may have blocks behind it.
    for _ in 0..ROUNDS {
        census.mark(ground, held);
        if ground.without.split {
            return;
        }
        held = census.hold_interiors(ground, units.heads(), lost_elsewhere);
        census.split_blocks(pages);
        held.extend(census.settle(lost_elsewhere, alike));
        if held.is_empty() {
            return;
        }
    }
    // Chains of blocks that long are nobody's but a damaged dump's.
    census.doubt("blocks behind blocks go on without an end");
}

/// Blocks behind blocks that are followed.
const ROUNDS: usize = 64;
