//! Which frames a quick answer looks at, and what they say of all.
//!
//! Frames are looked at in clusters as large as the allocator's largest block, so
//! that no block is cut, and some clusters are drawn from every stratum, a few
//! neighbouring sections: what is allocated in one go lies together, so a leak is
//! dense in some places and absent from others.

use std::collections::BTreeSet;

use pagehound_kernel::MAX_PLAIN_ORDER;
use pagehound_model::{Estimate, Z};
use pagehound_vmcore::{Pfn, PfnRange};

/// Frames of a cluster.
const CLUSTER: u64 = 1 << MAX_PLAIN_ORDER;

/// Clusters of a stratum: 128 MiB with 4 KiB pages, a section of x86.
const STRATUM: u64 = 32;

/// Strata at the bottom of memory that are looked at as a whole: the kernel, what is
/// reserved at boot and what firmware keeps lie in the first GiB, in few pieces.
const WHOLE: usize = 8;

/// From one cluster alone nothing is known of how much they vary.
const LEAST: u64 = 2;

/// The clusters drawn of a machine's memory.
#[derive(Debug, Default)]
pub(super) struct Sample {
    strata: Vec<Stratum>,
}

/// Clusters that are alike in where they lie.
#[derive(Debug)]
struct Stratum {
    /// Those that were drawn, ascending.
    drawn: Vec<PfnRange>,
    /// How many clusters, and how many frames, it has.
    clusters: u64,
    frames: u64,
}

/// A number of pages that was estimated.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Estimated {
    pub(super) pages: f64,
    low: f64,
    high: f64,
    exact: bool,
}

impl Sample {
    /// Draws about `most` clusters of `sections`, all where there are not more; the
    /// same ones for the same `seed`.
    pub(super) fn draw(sections: &[PfnRange], most: u64, seed: u64) -> Sample {
        let clusters: Vec<PfnRange> = sections.iter().flat_map(clusters).collect();
        let all = clusters.len() as u64;
        let size = STRATUM.max((LEAST * all).div_ceil(most.max(1)));
        let mut random = fastrand::Rng::with_seed(seed);
        // Of a sample that is but a few strata, half would be spent there.
        let whole = if most >= 4 * size * WHOLE as u64 {
            WHOLE
        } else {
            0
        };
        let strata = clusters.chunks(size as usize).enumerate();
        let strata = strata.map(|(index, clusters)| {
            let here = clusters.len() as u64;
            let wanted = match all <= most || index < whole {
                true => here,
                false => (here * most / all).max(LEAST),
            };
            let drawn = choose(here, wanted, &mut random);
            let drawn = drawn.iter().filter_map(|&at| clusters.get(at as usize));
            Stratum {
                drawn: drawn.copied().collect(),
                clusters: here,
                frames: clusters.iter().map(|cluster| cluster.len()).sum(),
            }
        });
        Sample {
            strata: strata.collect(),
        }
    }

    /// The clusters that were drawn, ascending.
    pub(super) fn clusters(&self) -> impl Iterator<Item = PfnRange> + '_ {
        let drawn = |stratum: &'_ Stratum| stratum.drawn.clone();
        self.strata.iter().flat_map(drawn)
    }

    /// Frames that could have been drawn.
    pub(super) fn frames(&self) -> u64 {
        self.strata.iter().map(|stratum| stratum.frames).sum()
    }

    /// Frames that were.
    pub(super) fn looked_at(&self) -> u64 {
        self.clusters().map(|cluster| cluster.len()).sum()
    }

    /// What `pages`, a number for each drawn cluster in their order, says of all
    /// clusters; these numbers may themselves be from a sample `within` the clusters.
    ///
    /// The bounds are those of a stratified sample, by Student's distribution, and
    /// have room for what no sample can rule out: three clusters in as many as are
    /// seen of one are all missed with a chance of 5 %, be they full among empty
    /// ones or empty among such as were seen.
    pub(super) fn estimate(&self, pages: &[f64], within: Option<Within>) -> Estimated {
        let (mut total, mut variance, mut doubt) = (0.0, 0.0, 0.0);
        let (mut missed, mut weight) = (0.0_f64, 1.0_f64);
        let within = within.filter(|within| within.part < 1.0);
        let mut rest = pages;
        for stratum in &self.strata {
            let (here, after) = rest.split_at(stratum.drawn.len().min(rest.len()));
            rest = after;
            let (n, all) = (here.len() as f64, stratum.clusters as f64);
            if n == 0.0 {
                continue;
            }
            let sum: f64 = here.iter().sum();
            let mean = sum / n;
            total += all * mean;
            weight = weight.max(all / n);
            if let Some(Within { part, unit, .. }) = within {
                // Units within clusters are drawn one by one.
                variance += all / n * sum * unit * (1.0 - part) / part;
            }
            if n < all {
                let squares: f64 = here.iter().map(|y| (y - mean).powi(2)).sum();
                let degrees = (n - 1.0).max(1.0);
                let of_stratum = all * all * (1.0 - n / all) * squares / degrees / n;
                variance += of_stratum;
                doubt += of_stratum * of_stratum / degrees;
                missed = missed.max(3.0 * (all / n - 1.0));
            }
        }
        let degrees = if doubt > 0.0 {
            variance * variance / doubt
        } else {
            f64::MAX
        };
        let half = student(degrees) * variance.sqrt();
        let fullest = pages.iter().copied().fold(0.0, f64::max);
        // Units that were not read, in the clusters that were drawn.
        let units = within.map_or(0.0, |of| 3.0 * (weight / of.part - 1.0) * of.unit);
        let seen: f64 = pages.iter().sum();
        let certain = within.map_or(seen, |of| of.read);
        let most = match within {
            None => seen + self.frames() as f64 - self.looked_at() as f64,
            Some(_) => self.frames() as f64,
        };
        Estimated {
            pages: total,
            low: (total - half - missed * fullest).max(certain).min(total),
            high: (total + half + missed * CLUSTER as f64 + units)
                .min(most)
                .max(total),
            exact: missed + units == 0.0,
        }
    }
}

/// A sample of units within the clusters that were drawn.
#[derive(Clone, Copy)]
pub(super) struct Within {
    /// Which part of the units was drawn.
    pub(super) part: f64,
    /// Pages of each unit.
    pub(super) unit: f64,
    /// Pages of those drawn that were counted.
    pub(super) read: f64,
}

impl Estimated {
    /// Bounds for the report; none where nothing was left to chance.
    pub(super) fn bounds(self) -> Option<Estimate> {
        (!self.exact).then(|| Estimate {
            low: self.low.floor() as u64,
            high: self.high.ceil() as u64,
        })
    }
}

/// A section in clusters, which begin at multiples of their length.
fn clusters(section: &PfnRange) -> impl Iterator<Item = PfnRange> + use<> {
    let PfnRange { start, end } = *section;
    let first = start.0 / CLUSTER;
    (first..end.0.div_ceil(CLUSTER)).map(move |cluster| PfnRange {
        start: Pfn((cluster * CLUSTER).max(start.0)),
        end: Pfn(((cluster + 1) * CLUSTER).min(end.0)),
    })
}

/// `wanted` of the numbers below `all`, each set of them as likely as any other
/// (Floyd's algorithm).
pub(super) fn choose(all: u64, wanted: u64, random: &mut fastrand::Rng) -> BTreeSet<u64> {
    let mut chosen = BTreeSet::new();
    for last in all.saturating_sub(wanted)..all {
        if !chosen.insert(random.u64(0..=last)) {
            chosen.insert(last);
        }
    }
    chosen
}

/// The 97.5 % point of Student's distribution: tables for few degrees, else from the
/// normal distribution's (Cornish and Fisher's expansion: Abramowitz and Stegun,
/// 26.7.5).
fn student(degrees: f64) -> f64 {
    const FEW: [f64; 4] = [12.706, 4.303, 3.182, 2.776];
    if degrees < 5.0 {
        let at = (degrees.max(1.0) as usize).min(FEW.len()) - 1;
        return FEW.get(at).copied().unwrap_or(Z);
    }
    let first = (Z.powi(3) + Z) / 4.0;
    let second = (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / 96.0;
    Z + first / degrees + second / (degrees * degrees)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(start: u64, end: u64) -> PfnRange {
        PfnRange {
            start: Pfn(start),
            end: Pfn(end),
        }
    }

    #[test]
    fn few_clusters_are_all_drawn_and_counts_are_exact() {
        let sections = [section(0, 32768), section(65536, 98304 + 100)];
        let sample = Sample::draw(&sections, 100, 1);
        let drawn: Vec<PfnRange> = sample.clusters().collect();
        assert_eq!(drawn.len(), 65);
        assert_eq!(drawn.last(), Some(&section(98304, 98404)));
        assert_eq!((sample.frames(), sample.looked_at()), (65636, 65636));
        let pages: Vec<f64> = (0..65).map(f64::from).collect();
        let estimated = sample.estimate(&pages, None);
        assert_eq!((estimated.pages, estimated.bounds()), (2080.0, None));
    }

    #[test]
    fn a_seed_gives_the_same_clusters_and_another_seed_others() {
        let sections = [section(0, 1 << 24)];
        let drawn =
            |seed| -> Vec<PfnRange> { Sample::draw(&sections, 1000, seed).clusters().collect() };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        let clusters = drawn(7);
        assert!((900..1250).contains(&clusters.len()), "{}", clusters.len());
        assert!(clusters.is_sorted_by(|a, b| a.end <= b.start));
        assert!(
            clusters
                .iter()
                .all(|c| c.len() == 1024 && c.start.0 % 1024 == 0)
        );
    }

    /// Leaks of many shapes in 128 GiB: the bounds hold the truth in at least 93 of
    /// 100 draws, and mean something.
    #[test]
    fn the_bounds_hold_the_truth() {
        let end = 32_768 * CLUSTER;
        let sections: Vec<PfnRange> = (0..end / 32768)
            .map(|n| section(n * 32768, (n + 1) * 32768))
            .collect();
        let shapes: [(&str, &dyn Fn(u64) -> f64); 5] = [
            ("everywhere a little", &|cluster| {
                (cluster * 7919 % 13) as f64
            }),
            ("one piece", &|cluster| {
                if (5000..7000).contains(&cluster) {
                    1024.0
                } else {
                    0.0
                }
            }),
            ("every tenth cluster", &|cluster| {
                if cluster % 10 == 3 { 800.0 } else { 0.0 }
            }),
            ("few full clusters", &|cluster| {
                if cluster % 1500 == 700 { 1024.0 } else { 3.0 }
            }),
            ("one full cluster", &|cluster| {
                if cluster == 20_001 { 1024.0 } else { 0.0 }
            }),
        ];
        for (name, shape) in shapes {
            let truth: f64 = (0..end / CLUSTER).map(shape).sum();
            let mut held = 0;
            for seed in 0..100 {
                let sample = Sample::draw(&sections, 4096, seed);
                let pages: Vec<f64> = sample
                    .clusters()
                    .map(|c| shape(c.start.0 / CLUSTER))
                    .collect();
                let bounds = sample.estimate(&pages, None).bounds().unwrap();
                held += u32::from((bounds.low as f64..=bounds.high as f64).contains(&truth));
                let width = (bounds.high - bounds.low) as f64;
                assert!(
                    width < 0.25 * truth + 96.0 * 1024.0,
                    "{name}: {bounds:?} of {truth}"
                );
            }
            assert!(held >= 93, "{name}: {held} of 100");
        }
    }

    #[test]
    fn student_is_near_the_tables() {
        for (degrees, point) in [
            (1.0, 12.706),
            (3.0, 3.182),
            (5.0, 2.571),
            (10.0, 2.228),
            (30.0, 2.042),
            (1e9, 1.960),
        ] {
            assert!((student(degrees) / point - 1.0).abs() < 0.02, "{degrees}");
        }
    }
}
