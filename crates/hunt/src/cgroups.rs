//! Unaccounted pages and slab objects by the control group they are charged to.

use std::collections::BTreeMap;

use pagehound_kernel::{Charges, Kernel, Memcg, Pages};
use pagehound_model::{Cgroup, CgroupPages, DyingCgroups, Estimate, Finding, Z};
use pagehound_vmcore::Pfn;

use crate::units::Units;

/// Slabs that are asked whose their objects are: a vector each, anywhere in memory.
const ASKED: usize = 1 << 18;
/// Groups told of a finding, and in all.
const TOLD_OF_ONE: usize = 8;
const TOLD: usize = 100;

/// What is charged to control groups.
#[derive(Default)]
pub(crate) struct Charged {
    /// By group, the most first.
    pub(crate) groups: Vec<Cgroup>,
    /// Groups that are gone.
    pub(crate) dying: DyingCgroups,
}

/// What the slabs that were asked have of one group.
#[derive(Clone, Copy, Default)]
struct Sample {
    sum: f64,
    squares: f64,
}

impl Sample {
    /// Bytes of all slabs, and their bounds where not all were asked.
    fn bytes(self, asked: u64, all: u64) -> (u64, Option<Estimate>) {
        if asked == all || asked == 0 {
            return (self.sum as u64, None);
        }
        let (asked, all) = (asked as f64, all as f64);
        let mean = self.sum / asked;
        let variance = (self.squares / asked - mean * mean).max(0.0);
        let error = Z * all * (variance / asked * (1.0 - asked / all)).sqrt();
        let sum = mean * all;
        let bounds = Estimate {
            low: (sum - error).max(self.sum) as u64,
            high: (sum + error) as u64,
        };
        (sum as u64, Some(bounds))
    }
}

/// Adds up what is charged to whom, also in each finding; `finding` is the index of a
/// unit's.
pub(crate) fn charged(
    kernel: &Kernel<'_>,
    pages: &Pages,
    units: &Units,
    findings: &mut [Finding],
    finding: impl Fn(Pfn) -> Option<usize>,
) -> Charged {
    let Some(mut charges) = kernel.charges() else {
        return Charged::default();
    };
    let mut structs = pages.memmap.struct_pages(kernel);
    let mut of_findings: BTreeMap<(usize, u32), u64> = BTreeMap::new();
    let mut raw: BTreeMap<u32, u64> = BTreeMap::new();
    for head in units.heads() {
        if !pages.map.class(head).is_unaccounted() {
            continue;
        }
        let Some(group) = structs.get(head).and_then(|bytes| charges.of_page(bytes)) else {
            continue;
        };
        let count = pages.map.unit(head).len();
        *raw.entry(group).or_default() += count;
        if let Some(index) = finding(head) {
            *of_findings.entry((index, group)).or_default() += count;
        }
    }
    let (slabs, asked, all) = of_slabs(kernel, pages, &mut charges);
    charges.find_all();
    tell(findings, &of_findings, &charges);
    let mut groups: Vec<Cgroup> = (0..)
        .zip(charges.groups())
        .map(|(number, group)| {
            let sample = slabs.get(&number).copied().unwrap_or_default();
            let (slab_bytes, slab_estimate) = sample.bytes(asked, all);
            Cgroup {
                path: group.path.clone(),
                dying: group.dying,
                charged_pages: group.charged,
                unaccounted_pages: raw.get(&number).copied().unwrap_or(0),
                slab_bytes,
                slab_estimate,
            }
        })
        .collect();
    let dying = dying(charges.groups());
    groups.retain(|group| group.unaccounted_pages > 0 || group.slab_bytes > 0);
    let shift = kernel.page_shift();
    let bytes =
        |group: &Cgroup| (group.unaccounted_pages << shift).saturating_add(group.slab_bytes);
    groups.sort_by_key(|group| std::cmp::Reverse(bytes(group)));
    groups.truncate(TOLD);
    Charged { groups, dying }
}

/// Groups that are removed. What is charged to one is charged to those above it too,
/// so only the uppermost are added up.
fn dying(groups: &[Memcg]) -> DyingCgroups {
    let mut sum = DyingCgroups::default();
    for group in groups.iter().filter(|group| group.dying) {
        sum.count += 1;
        if !group.below_dying {
            let charged = group.charged.unwrap_or(0);
            sum.charged_pages = sum.charged_pages.saturating_add(charged);
        }
    }
    sum
}

/// Bytes of objects by group, of how many slabs, and how many there are.
fn of_slabs(
    kernel: &Kernel<'_>,
    pages: &Pages,
    charges: &mut Charges<'_>,
) -> (BTreeMap<u32, Sample>, u64, u64) {
    let all = pages.slabs.len();
    let step = all.div_ceil(ASKED).max(1);
    let mut structs = pages.memmap.struct_pages(kernel);
    let mut slabs: BTreeMap<u32, Sample> = BTreeMap::new();
    let mut asked = 0;
    let mut of_one: BTreeMap<u32, u64> = BTreeMap::new();
    for (head, slab) in pages.slabs.iter().step_by(step) {
        asked += 1;
        let Some(bytes) = structs.get(head) else {
            continue;
        };
        let size = pages.slabs.cache(slab).map_or(0, |cache| cache.size);
        of_one.clear();
        charges.of_slab(bytes, slab.objects, |index, group| {
            if !slab.is_free(index) {
                *of_one.entry(group).or_default() += u64::from(size);
            }
        });
        for (&group, &bytes) in &of_one {
            let sample = slabs.entry(group).or_default();
            sample.sum += bytes as f64;
            sample.squares += (bytes as f64).powi(2);
        }
    }
    (slabs, asked, all as u64)
}

fn tell(findings: &mut [Finding], charged: &BTreeMap<(usize, u32), u64>, charges: &Charges<'_>) {
    for (&(index, group), &pages) in charged {
        let group = charges.groups().get(group as usize);
        if let (Some(finding), Some(group)) = (findings.get_mut(index), group) {
            finding.cgroups.push(CgroupPages {
                path: group.path.clone(),
                dying: group.dying,
                pages,
            });
        }
    }
    for finding in findings {
        finding
            .cgroups
            .sort_by_key(|group| std::cmp::Reverse(group.pages));
        finding.cgroups.truncate(TOLD_OF_ONE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_a_removed_group_is_charged_to_it_already() {
        let group = |path: &str, dying, below_dying, charged| Memcg {
            path: path.to_owned(),
            dying,
            below_dying,
            charged: Some(charged),
        };
        let sum = dying(&[
            group("/a", false, false, 90),
            group("/a/gone", true, false, 50),
            group("/a/gone/too", true, true, 30),
        ]);
        assert_eq!((sum.count, sum.charged_pages), (2, 50));
    }

    #[test]
    fn what_was_not_asked_is_estimated_with_bounds() {
        // Four slabs of eight were asked and had 100, 0, 0 and 100 bytes: 400 in all,
        // with a standard error of 8 * sqrt(2500 / 4 * (1 - 4 / 8)) = 141.
        let sample = Sample {
            sum: 200.0,
            squares: 20_000.0,
        };
        let (bytes, bounds) = sample.bytes(4, 8);
        assert_eq!(bytes, 400);
        // What was seen is there, whatever the rest has.
        let bounds = bounds.unwrap();
        assert_eq!((bounds.low, bounds.high), (200, 677));
        assert_eq!(sample.bytes(4, 4), (200, None));
        assert_eq!(Sample::default().bytes(0, 0), (0, None));
    }
}
