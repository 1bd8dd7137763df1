//! Pages called by their owner's name: pagehound's answer against the truth.

use std::collections::BTreeMap;
use std::ops::Range;

use pagehound_testdata::{Forgotten, OWNERS, Truth, kind_name};

use super::answer::{Answer, Owner};

/// The share of the pages that must be called by the right name.
const GOAL: f64 = 0.99;

/// How pages of one sort are called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Named {
    /// Kind of the planted pages, or the owner's name.
    pub(super) what: String,
    /// How the right owner's kind and name begin.
    pub(super) owner: String,
    /// Planted pages.
    pub(super) planted: u64,
    /// Of these, those with the right owner; where the frames are not known, all
    /// pages of that owner.
    pub(super) named: u64,
    /// All pages of that owner, where the truth has them all.
    pub(super) in_all: Option<u64>,
}

impl Named {
    /// Everything that must have a name.
    pub(super) fn of(truth: &Truth, answer: &Answer) -> Vec<Self> {
        let mut all = Vec::new();
        for (kind, owner, is_whole) in OWNERS {
            let pages = truth.processes(kind);
            if pages.is_empty() {
                continue;
            }
            let named = pages.iter().filter(|&(&pfn, &pid)| {
                let found = answer.owner(pfn);
                found.is_some_and(|found| is_called(found, owner, pid))
            });
            let in_all = is_whole.then(|| {
                let mut pids: Vec<Option<u32>> = pages.values().copied().collect();
                pids.sort_unstable();
                pids.dedup();
                pids.iter().map(|&pid| answer.pages_of(owner, pid)).sum()
            });
            all.push(Self {
                what: kind_name(kind).to_owned(),
                owner: owner.to_owned(),
                planted: pages.len() as u64,
                named: named.count() as u64,
                in_all,
            });
        }
        // Of every owner the sum of its parts, of several processes that of theirs.
        let mut owners: BTreeMap<(String, Option<u32>), u64> = BTreeMap::new();
        for owned in truth.owned() {
            *owners.entry((owned.name, owned.pid)).or_default() += owned.pages;
        }
        let mut counted: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for ((name, pid), pages) in owners {
            let named = answer.pages_of(&name, pid);
            let (planted, all) = counted.entry(name).or_default();
            *planted += pages;
            *all += named;
        }
        for (name, (planted, named)) in counted {
            all.push(Self {
                what: name.clone(),
                owner: name,
                planted,
                named,
                in_all: Some(named),
            });
        }
        all.extend(heap(truth, answer));
        all.extend(groups(truth, answer));
        all.extend(nodes(truth, answer));
        all
    }

    /// Whether as many pages have the name as must.
    pub(super) fn is_met(&self) -> bool {
        let enough = self.named as f64 >= self.planted as f64 * GOAL;
        let most = self.planted as f64 * (2.0 - GOAL);
        enough && self.in_all.is_none_or(|all| all as f64 <= most)
    }

    /// The goal it misses, in words.
    pub(super) fn missed(&self) -> Option<String> {
        let all = self
            .in_all
            .map_or(String::new(), |all| format!(" ({all} in all)"));
        (!self.is_met()).then(|| {
            format!(
                "{}: {} of {} pages called {}{all}",
                self.what, self.named, self.planted, self.owner
            )
        })
    }
}

/// Lost slab objects by their cache, vmalloc areas by who asked for them.
fn heap(truth: &Truth, answer: &Answer) -> Vec<Named> {
    let named = |forgotten: Forgotten| Named {
        planted: forgotten.count,
        named: answer.forgotten(&forgotten.kind, &forgotten.name),
        what: format!("lost {}", forgotten.kind),
        owner: forgotten.name,
        in_all: None,
    };
    truth.forgotten().map(named).collect()
}

/// Control groups by what is charged to them, and how many are removed and not gone.
fn groups(truth: &Truth, answer: &Answer) -> Vec<Named> {
    let mut all: Vec<Named> = Vec::new();
    for charged in truth.charged() {
        // What a removed group's pages are charged to, its parent takes over
        // (bf4f059954dc, 5.9, for slabs; b4e0b68fbd9d, 5.13, for pages).
        let parent = charged.path.rsplit_once('/').map(|(parent, _)| parent);
        let parent = parent.filter(|_| charged.removed);
        let named = answer.charged_to(|path| path == charged.path || Some(path) == parent);
        all.push(Named {
            what: "charged".to_owned(),
            owner: charged.path,
            planted: charged.pages,
            named,
            in_all: Some(named),
        });
    }
    if let Some(dying) = truth.dying_groups() {
        let named = answer.dying_groups();
        all.push(Named {
            what: "dying groups".to_owned(),
            owner: "dying_cgroups".to_owned(),
            planted: dying,
            named,
            in_all: Some(named),
        });
    }
    all
}

/// Lost pages by their NUMA node, where there are several.
fn nodes(truth: &Truth, answer: &Answer) -> Vec<Named> {
    let lost = truth.lost();
    let nodes = truth.nodes();
    if nodes.len() < 2 {
        return Vec::new();
    }
    let named = |(node, zones): (u32, Vec<Range<u64>>)| {
        let planted = zones.into_iter().flat_map(|zone| lost.range(zone)).count();
        let named = answer.lost_on_node(node);
        Named {
            what: "lost on node".to_owned(),
            owner: node.to_string(),
            planted: planted as u64,
            named,
            in_all: Some(named),
        }
    };
    nodes.into_iter().map(named).collect()
}

/// Whether an owner's kind and name begin so, and its process is this one.
pub(super) fn is_called(owner: &Owner, name: &str, pid: Option<u32>) -> bool {
    owner.name.starts_with(name) && (pid.is_none() || owner.pid == pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::answer::tests::with_owners;

    #[test]
    fn pages_need_the_right_kind_and_process() {
        let truth = "== planted\n10 44 0 7\n11 44 0 7\n12 44 0 8\n20 45 1 9\n\
                     == owned\n3 0 trace buffer\n3 0 trace buffer\n16 5 pipe\n== end\n";
        let truth = Truth::parse(truth).unwrap();
        let answer = with_owners(&[
            (10..11, "pipe a (pid 7)", Some(7)),
            (11..12, "socket queue a", Some(7)),
            (12..13, "pipe a (pid 7)", Some(7)),
            (20..23, "packet ring b", Some(9)),
            (30..36, "trace buffer ftrace", None),
            (40..56, "pipe c", Some(5)),
        ]);
        let named = Named::of(&truth, &answer);
        let counts: Vec<_> = named
            .iter()
            .map(|one| (one.what.as_str(), one.planted, one.named, one.in_all))
            .collect();
        assert_eq!(
            counts,
            [
                ("pipe", 3, 1, None),
                ("packet", 2, 2, Some(3)),
                ("pipe", 16, 16, Some(16)),
                ("trace buffer", 6, 6, Some(6)),
            ]
        );
        let met: Vec<bool> = named.iter().map(Named::is_met).collect();
        assert_eq!(met, [false, false, true, true]);
    }
}
