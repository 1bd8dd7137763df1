//! A first answer from a sample: how much no counter shows, and what it holds.
//!
//! Whether something refers to a page cannot be known from a sample, so nothing
//! is called lost; what takes much memory and is alike is called suspect.

mod sample;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use pagehound_kernel::{Class, Kernel, Log, Making, Pages};
use pagehound_model as model;
use pagehound_model::{
    Confidence, Evidence, Finding, LedgerRow, Reach, Report, State, Unaccounted, Verdict, thousands,
};
use pagehound_scan::Pass;
use pagehound_vmcore::{Mac, Pfn, PfnRange};

use self::sample::{Estimated, Sample, Within, choose};
use super::members::Members;
use super::parts::Parts;
use super::{DiagnosisError, Options, coverage, host, signature, target};
use crate::advice::advise;
use crate::attribution::Attribution;
use crate::census::Naming;
use crate::fingerprint::{Fingerprints, GROUP, Key, order};
use crate::identity;
use crate::ledger::counter;
use crate::units::Units;

/// How a sample is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// The same seed draws the same sample of the same dump.
    pub seed: u64,
    /// Clusters of 1,024 frames that are looked at, about; all where there are not
    /// more.
    pub clusters: u64,
    /// Units of each order whose content is read, in pages; at least 256 units.
    pub content: u64,
}

impl Default for Draw {
    /// All clusters of 32 GiB, with 4 KiB pages.
    fn default() -> Self {
        Draw {
            seed: 1,
            clusters: 8192,
            content: 16384,
        }
    }
}

/// See [`Draw::content`].
const LEAST_UNITS: u64 = 256;

/// Part of the memory, in percent, from which on pages that are alike are suspect:
/// the buffers that drivers and caches rightly have stay below it.
const SUSPICIOUS: u64 = 2;

/// Diagnoses a sample of the memory of `kernel`.
///
/// # Errors
/// Only where no page map can be made, or there is too little memory for it.
pub fn quick(
    kernel: &Kernel<'_>,
    options: &Options<'_>,
    draw: &Draw,
) -> Result<Report, DiagnosisError> {
    let begin = Instant::now();
    let drawn = OnceCell::new();
    let sampler = |sections: &[PfnRange]| -> Vec<PfnRange> {
        let sample = drawn.get_or_init(|| Sample::draw(sections, draw.clusters, draw.seed));
        sample.clusters().collect()
    };
    let mut making = Making {
        cancel: options.cancel,
        sample: Some(&sampler),
        ..Making::default()
    };
    let mut pass = Pass {
        cancel: options.cancel,
        ..Pass::new(kernel.dump.memory.as_ref())
    };
    if let Some(threads) = options.threads {
        making.threads = threads;
    }
    if let Some(limit) = options.memory {
        making.threads = limit.check_sample(kernel.dump, making.threads)?;
    }
    pass.threads = making.threads;
    let pages = Pages::of(kernel, making)?;
    let sample = drawn.into_inner().unwrap_or_default();
    let log = kernel.log().unwrap_or_else(|error| Log {
        problem: Some(error.to_string()),
        ..Log::default()
    });
    let attribution = Attribution::of(kernel, &log);
    let devices: Vec<Mac> = attribution.addresses().collect();
    let drawn = DrawnUnits::of(&pages, &sample, draw);
    let units = Arc::new(Units::numbered(pages.map.end(), drawn.chosen()));
    let naming = Naming::new(kernel, &pages);
    let prints = Fingerprints::of(kernel, &pages, &units, &naming, &pass, &devices);
    let looker = Looker {
        parts: Parts {
            kernel,
            pages: &pages,
            prints: &prints,
            attribution: &attribution,
        },
        sample: &sample,
        drawn: &drawn,
    };
    let target = target(kernel, &pages, options.path, coverage::of_container);
    let ledger = looker.ledger(pages.map.end().0);
    let rows = ledger
        .iter()
        .filter(|row| model::UNACCOUNTED.contains(&row.class.as_str()));
    let sum = rows.map(|row| row.pages).sum();
    // Without zones the size of the machine is not known so well.
    let memory = match target.mem_total_bytes {
        0 => sample.frames() * kernel.page_size(),
        known => known,
    };
    let mut findings = looker.findings(memory, sum);
    advise(options.path, false, &mut findings);
    let unaccounted = looker.unaccounted(&findings);
    let verdict = verdict(&findings);
    let mut warnings = kernel.dump.info.warnings.clone();
    warnings.push(format!(
        "a quick answer: {} of {} struct pages were looked at, and the content of {} of the {} \
         unaccounted units among them; whether something refers to them was not looked for",
        thousands(sample.looked_at()),
        thousands(sample.frames()),
        thousands(units.len() as u64),
        thousands(drawn.units()),
    ));
    warnings.extend(kernel.warnings.iter().cloned());
    warnings.extend(pages.warnings.iter().cloned());
    warnings.extend(attribution.warnings.iter().cloned());
    Ok(Report {
        schema: model::SCHEMA.into(),
        tool_version: env!("CARGO_PKG_VERSION").into(),
        verdict,
        complete: false,
        sample: Some(model::Sample {
            seed: draw.seed,
            pages: sample.frames(),
            looked_at: sample.looked_at(),
            units: drawn.units(),
            read: units.len() as u64,
        }),
        host: host(kernel),
        ledger,
        target,
        unaccounted,
        control: model::Control::default(),
        findings,
        holders: Vec::new(),
        heap: Vec::new(),
        cgroups: Vec::new(),
        explained: Vec::new(),
        dying_cgroups: Default::default(),
        netdevs: attribution.netdevs(),
        modules: identity::loaded(kernel),
        warnings,
        timing: model::Timing {
            seconds: begin.elapsed().as_secs_f64(),
            bytes_read: prints.bytes_read,
        },
    })
}

/// No sample shows that nothing is lost.
fn verdict(findings: &[Finding]) -> Verdict {
    match findings
        .iter()
        .any(|finding| finding.verdict == State::Suspect)
    {
        true => Verdict::Suspect,
        false => Verdict::Incomplete,
    }
}

fn suspicious(mem_total: u64) -> u64 {
    mem_total / 100 * SUSPICIOUS
}

/// The unaccounted units in the drawn clusters, by order, and those of them whose
/// content is read.
struct DrawnUnits {
    orders: BTreeMap<u32, OfOrder>,
}

#[derive(Default)]
struct OfOrder {
    /// Cluster by its place in the sample, and first frame of the unit; ascending.
    units: Vec<(usize, Pfn)>,
    /// Those whose content is read.
    chosen: Vec<(usize, Pfn)>,
}

impl DrawnUnits {
    fn of(pages: &Pages, sample: &Sample, draw: &Draw) -> DrawnUnits {
        let map = &pages.map;
        let mut orders: BTreeMap<u32, OfOrder> = BTreeMap::new();
        for (cluster, range) in sample.clusters().enumerate() {
            for pfn in (range.start.0..range.end.0).map(Pfn) {
                if map.class(pfn).is_unaccounted() && !map.is_tail(pfn) {
                    let of = orders.entry(order(pages, pfn)).or_default();
                    of.units.push((cluster, pfn));
                }
            }
        }
        let mut random = fastrand::Rng::with_seed(draw.seed);
        for (&order, of) in &mut orders {
            let all = of.units.len() as u64;
            let most = (draw.content >> order.min(63)).max(LEAST_UNITS);
            let chosen = choose(all, most.min(all), &mut random);
            let chosen = chosen.iter().filter_map(|&at| of.units.get(at as usize));
            of.chosen = chosen.copied().collect();
        }
        DrawnUnits { orders }
    }

    fn units(&self) -> u64 {
        self.orders.values().map(|of| of.units.len() as u64).sum()
    }

    fn chosen(&self) -> impl Iterator<Item = Pfn> + '_ {
        self.orders
            .values()
            .flat_map(|of| of.chosen.iter().map(|&(_, head)| head))
    }
}

/// Bounds of a number that rounding has moved.
fn widen(bounds: &mut Option<model::Estimate>, pages: u64) {
    if let Some(bounds) = bounds {
        bounds.low = bounds.low.min(pages);
        bounds.high = bounds.high.max(pages);
    }
}

/// Draws conclusions.
struct Looker<'a> {
    parts: Parts<'a>,
    sample: &'a Sample,
    drawn: &'a DrawnUnits,
}

/// Units of one order that hold the same.
struct Group {
    key: Key,
    order: u32,
    detached: bool,
    units: Vec<Pfn>,
    estimated: Estimated,
}

impl Looker<'_> {
    /// Every class with its pages; the rows add up to `all`.
    fn ledger(&self, all: u64) -> Vec<LedgerRow> {
        let Parts { kernel, pages, .. } = self.parts;
        let clusters = self.sample.clusters().count();
        let mut counts: BTreeMap<Class, Vec<f64>> = BTreeMap::new();
        for (cluster, range) in self.sample.clusters().enumerate() {
            for pfn in (range.start.0..range.end.0).map(Pfn) {
                let of = counts
                    .entry(pages.map.class(pfn))
                    .or_insert_with(|| vec![0.0; clusters]);
                if let Some(count) = of.get_mut(cluster) {
                    *count += 1.0;
                }
            }
        }
        let outside = all.saturating_sub(self.sample.frames());
        let mut rows = Vec::new();
        for &class in Class::ALL {
            let estimated = counts.get(&class).map(|of| self.sample.estimate(of, None));
            let counter = counter(kernel, pages, class);
            // Sections without a memory map are known without looking.
            let known = if class == Class::Hole { outside } else { 0 };
            let found = known + estimated.map_or(0, |of| of.pages.round() as u64);
            if found > 0 || counter.as_ref().is_some_and(|counter| counter.pages > 0) {
                rows.push(LedgerRow {
                    class: class.name().into(),
                    pages: found,
                    bytes: 0,
                    estimate: estimated
                        .and_then(Estimated::bounds)
                        .map(|of| model::Estimate {
                            low: of.low + known,
                            high: of.high + known,
                        }),
                    counter,
                });
            }
        }
        // Rounding, and clusters that are shorter than others.
        let sum: u64 = rows.iter().map(|row| row.pages).sum();
        if let Some(largest) = rows.iter_mut().max_by_key(|row| row.pages) {
            largest.pages = (largest.pages + all).saturating_sub(sum);
            widen(&mut largest.estimate, largest.pages);
        }
        for row in &mut rows {
            row.bytes = row.pages * kernel.page_size();
        }
        rows
    }

    fn unaccounted(&self, findings: &[Finding]) -> Unaccounted {
        let Parts { kernel, pages, .. } = self.parts;
        let here = self.sample.clusters().map(|range| {
            let frames = (range.start.0..range.end.0).map(Pfn);
            frames
                .filter(|&pfn| pages.map.class(pfn).is_unaccounted())
                .count() as f64
        });
        let here: Vec<f64> = here.collect();
        let sum = |state| {
            let of = findings.iter().filter(|finding| finding.verdict == state);
            of.map(|finding| finding.pages).sum::<u64>()
        };
        let pages = findings.iter().map(|finding| finding.pages).sum::<u64>();
        Unaccounted {
            pages,
            bytes: pages * kernel.page_size(),
            estimate: self.sample.estimate(&here, None).bounds(),
            lost_pages: 0,
            suspect_pages: sum(State::Suspect),
            held_pages: 0,
            unknown_pages: sum(State::Unknown),
        }
    }

    /// Groups of units that hold the same, the largest first. What they hold is
    /// known of some units of each order; how many there are of an order is known
    /// better, so groups of an order are made to add up to that.
    fn groups(&self) -> Vec<Group> {
        let Parts { pages, prints, .. } = self.parts;
        let clusters = self.sample.clusters().count();
        let mut groups = Vec::new();
        for (&order, of) in &self.drawn.orders {
            let unit = |head: Pfn| pages.map.unit(head).len() as f64;
            let spread = |units: &[(usize, Pfn)], part: f64| {
                let mut pages = vec![0.0; clusters];
                for &(cluster, head) in units {
                    if let Some(pages) = pages.get_mut(cluster) {
                        *pages += unit(head) / part;
                    }
                }
                pages
            };
            let part = of.chosen.len() as f64 / of.units.len().max(1) as f64;
            let all = self.sample.estimate(&spread(&of.units, 1.0), None).pages;
            let told = self.sample.estimate(&spread(&of.chosen, part), None).pages;
            let correction = if told > 0.0 { all / told } else { 1.0 };
            let mut alike: BTreeMap<(Key, bool), Vec<(usize, Pfn)>> = BTreeMap::new();
            for &(cluster, head) in &of.chosen {
                let detached = pages.map.class(head) == Class::Detached;
                let key = (prints.key(head), detached);
                alike.entry(key).or_default().push((cluster, head));
            }
            for ((key, detached), units) in alike {
                let pages = spread(&units, part / correction);
                let read = units.iter().map(|&(_, head)| unit(head)).sum();
                let within = Within {
                    part,
                    unit: (1_u64 << order.min(63)) as f64,
                    read,
                };
                groups.push(Group {
                    key,
                    order,
                    detached,
                    units: units.into_iter().map(|(_, head)| head).collect(),
                    estimated: self.sample.estimate(&pages, Some(within)),
                });
            }
        }
        groups.sort_by(|a, b| b.estimated.pages.total_cmp(&a.estimated.pages));
        groups
    }

    /// All findings, whose pages add up to `all`.
    fn findings(&self, mem_total: u64, all: u64) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut rest: Vec<Group> = Vec::new();
        for group in self.groups() {
            match group.key.is_telling() && group.units.len() >= GROUP {
                true => findings.push(self.finding(&group, mem_total)),
                false => rest.push(group),
            }
        }
        // Kinds of content that say nothing of an owner, each of all orders.
        let mut kinds: BTreeMap<String, Vec<Group>> = BTreeMap::new();
        for group in rest {
            let kind = match group.key {
                Key::Kind(_) | Key::Absent => signature::group(group.key),
                Key::Ethernet(_) | Key::Anchor(_) => "few".into(),
            };
            kinds.entry(kind).or_default().push(group);
        }
        findings.extend(kinds.iter().map(|(kind, groups)| self.kind(kind, groups)));
        // Rounding, and orders of which nothing was read.
        let sum: u64 = findings.iter().map(|finding| finding.pages).sum();
        if let Some(largest) = findings.iter_mut().max_by_key(|finding| finding.pages) {
            largest.pages = (largest.pages + all).saturating_sub(sum);
            largest.bytes = largest.pages * self.parts.kernel.page_size();
            widen(&mut largest.estimate, largest.pages);
        }
        findings.sort_by_key(|finding| (finding.verdict, std::cmp::Reverse(finding.pages)));
        for (id, finding) in (1..).zip(&mut findings) {
            finding.id = id;
        }
        findings
    }

    fn finding(&self, group: &Group, mem_total: u64) -> Finding {
        let signature = signature::orphans(group.key, group.order, group.detached);
        let mut finding = self.plain(signature, &group.units, group.estimated.pages);
        finding.estimate = group.estimated.bounds();
        let least = finding.estimate.map_or(finding.pages, |of| of.low);
        if least * self.parts.kernel.page_size() >= suspicious(mem_total) {
            finding.verdict = State::Suspect;
        }
        let units = Members::listed(&group.units, &self.parts.pages.map);
        self.parts.describe(&mut finding, group.key, &units);
        if !finding.owners.is_empty() {
            finding
                .evidence
                .extend(self.parts.attribution_evidence(group.key));
        }
        finding
    }

    fn kind(&self, kind: &str, groups: &[Group]) -> Finding {
        let units: Vec<Pfn> = groups
            .iter()
            .flat_map(|group| group.units.clone())
            .collect();
        let pages = groups.iter().map(|group| group.estimated.pages).sum();
        let mut finding = self.plain(format!("quick/{kind}"), &units, pages);
        // Bounds of parts, added up, hold the sum at least as often.
        if groups
            .iter()
            .any(|group| group.estimated.bounds().is_some())
        {
            let bounds = groups.iter().map(|group| {
                let exact = group.estimated.pages.round() as u64;
                group.estimated.bounds().unwrap_or(model::Estimate {
                    low: exact,
                    high: exact,
                })
            });
            finding.estimate = bounds.reduce(|a, b| model::Estimate {
                low: a.low + b.low,
                high: a.high + b.high,
            });
        }
        finding
    }

    /// A finding that nothing is decided of.
    fn plain(&self, signature: String, units: &[Pfn], pages: f64) -> Finding {
        let units = Members::listed(units, &self.parts.pages.map);
        let mut finding = self
            .parts
            .plain(State::Unknown, Reach::Unknown, signature, &units);
        let read = finding.pages;
        finding.confidence = Confidence::Possible;
        finding.pages = pages.round() as u64;
        finding.bytes = finding.pages * self.parts.kernel.page_size();
        for node in &mut finding.nodes {
            let share = node.pages as f64 / read.max(1) as f64;
            node.pages = (pages * share).round() as u64;
        }
        finding.evidence.push(Evidence {
            kind: Evidence::CONTENT.into(),
            checked: read,
            matched: read,
            text: format!("{} of them were read", thousands(read)),
        });
        finding
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use pagehound_scan::NoProgress;

    use super::*;
    use crate::census::Without;
    use crate::testing::DEMO;

    fn answer(draw: &Draw) -> Report {
        let options = Options {
            path: "demo",
            progress: &NoProgress,
            cancel: &AtomicBool::new(false),
            threads: None,
            memory: None,
            without: Without::default(),
        };
        quick(&DEMO.kernel, &options, draw).unwrap()
    }

    fn true_count(class: &str) -> u64 {
        DEMO.pages.map.count(Class::from_name(class).unwrap())
    }

    fn holds(estimate: Option<model::Estimate>, pages: u64, truth: u64) -> bool {
        estimate.map_or(pages == truth, |of| of.low <= truth && truth <= of.high)
    }

    #[test]
    fn a_small_machine_is_looked_at_as_a_whole() {
        let report = answer(&Draw::default());
        for row in &report.ledger {
            assert_eq!(
                (row.pages, row.estimate),
                (true_count(&row.class), None),
                "{}",
                row.class
            );
        }
        let sample = report.sample.unwrap();
        assert_eq!(sample.looked_at, sample.pages);
        // Frames were also planted in other ways, some in sk_buffs that are in use.
        let frames = DEMO.of_kind("frames").len();
        let found = report.findings.first().unwrap();
        assert_eq!(found.group.as_deref(), Some("ethernet/525400a15e01"));
        assert_eq!(
            (found.verdict, found.reach),
            (State::Suspect, Reach::Unknown)
        );
        assert!(
            found.pages >= frames as u64 && found.estimate.is_none(),
            "{found:?}"
        );
        assert_eq!(report.verdict, Verdict::Suspect);
        assert_eq!(report.unaccounted.lost_pages, 0);
    }

    /// A third of the clusters, and little content: the bounds of all classes and of
    /// the leak hold what the whole page map counts.
    #[test]
    fn bounds_of_a_sample_hold_the_truth() {
        let whole = answer(&Draw::default());
        let (mut held, mut all) = (0, 0);
        let (mut leaks_held, mut leaks) = (0, 0);
        for seed in 0..40 {
            let draw = Draw {
                seed,
                clusters: 16,
                content: 256,
            };
            let report = answer(&draw);
            let sample = report.sample.unwrap();
            assert!(sample.looked_at < sample.pages);
            let sum: u64 = report.ledger.iter().map(|row| row.pages).sum();
            assert_eq!(sum, report.target.pages);
            for row in &report.ledger {
                all += 1;
                held += u32::from(holds(row.estimate, row.pages, true_count(&row.class)));
            }
            for leak in whole
                .findings
                .iter()
                .filter(|of| of.verdict == State::Suspect)
            {
                let same = report
                    .findings
                    .iter()
                    .find(|of| of.signature == leak.signature);
                leaks += 1;
                leaks_held +=
                    u32::from(same.is_some_and(|of| holds(of.estimate, of.pages, leak.pages)));
            }
        }
        assert!(held * 100 >= all * 93, "{held} of {all} rows");
        assert!(
            leaks > 0 && leaks_held * 100 >= leaks * 93,
            "{leaks_held} of {leaks} leaks"
        );
    }
}
