//! Many hosts: which trait those that leak have in common.
//!
//! Every trait is a two by two table of hosts: leaking or not, with it or without.
//! Traits that exactly the same hosts have are one. A trait whose leaking hosts are
//! more than chance allows is then looked at within the hosts that have another such
//! trait and within those that have it not: what only goes along with the culprit
//! stops mattering there, the culprit does not.

mod adjust;
mod associate;
mod catalogue;
mod limits;
mod once;
mod outcome;
mod result;
#[cfg(test)]
mod tests;

pub use result::{
    Adjusted, Association, Conclusion, GROUP_SCHEMA, GroupComparison, Interval, LeftOut,
    Proportion, Standing, Stratum,
};

use crate::moment::{Moment, name};
use crate::profile::{self, Profile, Tells};
use crate::stats::{ALPHA, LnFactorials};
use catalogue::Catalogue;
use limits::Limits;
use outcome::Outcome;
use pagehound_model::{Finding, Report, State, thousands};
use std::collections::BTreeSet;

/// Hosts below which nothing is compared.
const FEWEST: usize = 3;

/// A report, as far as it counts.
struct Member {
    path: String,
    /// Unless it is one that many hosts have.
    name: Option<String>,
    boot_id: Option<String>,
    moment: Moment,
    outcome: Outcome,
    /// Numbers of the traits it has, ascending.
    has: Vec<u32>,
    tells: Tells,
}

/// Reports taken in one by one: of each only traits and outcome are kept.
pub struct Group {
    /// Part of a kind or signature: other leaks do not count.
    signature: Option<String>,
    members: Vec<Member>,
    /// Files that are no reports.
    unread: Vec<LeftOut>,
    catalogue: Catalogue,
    limits: Limits,
    /// Reports with more modules or devices than are looked at.
    cut: usize,
    /// Kinds of what is not held, in all reports.
    kinds: BTreeSet<String>,
    /// Whether a finding has that part.
    matched: bool,
}

/// A host that counts.
struct Host {
    leaks: bool,
    /// Numbers of the traits it has, ascending.
    has: Vec<u32>,
    tells: Tells,
}

impl Group {
    /// Of hosts that leak at all, or only of those with a finding whose kind or
    /// signature contains `signature`.
    pub fn new(signature: Option<String>) -> Self {
        Group {
            signature,
            members: Vec::new(),
            unread: Vec::new(),
            catalogue: Catalogue::default(),
            limits: Limits::USUAL,
            cut: 0,
            kinds: BTreeSet::new(),
            matched: false,
        }
    }

    /// Notes that the file at `path` is no report, for the reason `why`.
    pub fn leave_out(&mut self, path: &str, why: &str) {
        self.unread.push(LeftOut {
            path: path.to_owned(),
            why: why.to_owned(),
        });
    }

    /// Takes in the report that is called `path`.
    pub fn add(&mut self, path: &str, report: &Report) {
        let most = report.modules.len().max(report.netdevs.len());
        self.cut += usize::from(most > profile::MOST);
        let (has, tells) = Profile::of(report).into_parts();
        let has = self.catalogue.take_in(has.into_iter(), self.limits.traits);
        let found = report.findings.iter();
        let found = found.filter(|finding| finding.verdict != State::Held);
        self.kinds.extend(found.map(Finding::kind));
        if let Some(part) = &self.signature {
            let mut found = report.findings.iter();
            self.matched |= found.any(|finding| outcome::is_of(finding, part));
        }
        self.members.push(Member {
            path: path.to_owned(),
            name: name(report).map(str::to_owned),
            boot_id: report.host.boot_id.clone(),
            moment: Moment::of(report),
            outcome: outcome::of(report, self.signature.as_deref()),
            has,
            tells,
        });
    }

    /// How many reports were taken in.
    pub fn reports(&self) -> usize {
        self.members.len()
    }

    /// The signature that was asked for and that no finding has, and the kinds there are.
    pub fn unmatched(&self) -> Option<(&str, impl ExactSizeIterator<Item = &str>)> {
        let part = self.signature.as_deref().filter(|_| !self.matched)?;
        Some((part, self.kinds.iter().map(String::as_str)))
    }

    /// What those that leak have in common.
    pub fn compare(self) -> GroupComparison {
        let mut result = GroupComparison::new(self.signature, self.members.len());
        let members = once::once(self.members, &mut result);
        let nameless = members
            .iter()
            .filter(|member| member.boot_id.is_none() && member.name.is_none());
        result.unverified = nameless.count() as u64;
        result.notes = once::notes(&members, &result);
        result.left_out = self.unread;
        let mut hosts = Vec::new();
        for member in members {
            let leaks = match member.outcome {
                Outcome::Leaks(_) => true,
                Outcome::Clean => false,
                Outcome::Undecided(why) => {
                    let path = member.path;
                    result.left_out.push(LeftOut { path, why });
                    continue;
                }
            };
            hosts.push(Host {
                leaks,
                has: member.has,
                tells: member.tells,
            });
        }
        let leaking = hosts.iter().filter(|host| host.leaks).count();
        result.hosts = hosts.len() as u64;
        result.leaking = leaking as u64;
        let factorials = LnFactorials::up_to(hosts.len());
        let limits = &self.limits;
        let (classes, untested) = associate::classes(&hosts, &self.catalogue, limits, &factorials);
        result.tests = classes.len() as u64;
        let leading = adjust::adjust(&classes, &hosts, limits, &factorials);
        if self.cut > 0 {
            result.notes.push(format!(
                "{} with more than {} modules or devices: the rest was not looked at",
                reports(self.cut),
                thousands(profile::MOST as u64)
            ));
        }
        if self.catalogue.is_full() {
            result.notes.push(format!(
                "more than {} different traits: those of later reports were left out",
                thousands(limits.traits as u64)
            ));
        }
        if untested > 0 {
            result.notes.push(format!(
                "{} more traits were not tested, those that the fewest hosts have or lack",
                thousands(untested as u64)
            ));
        }
        if leading.unadjusted > 0 {
            result.notes.push(format!(
                "{} more over-represented traits were not adjusted for others",
                thousands(leading.unadjusted as u64)
            ));
        }
        result.conclusion = if leaking == 0 || leaking == hosts.len() {
            Conclusion::AllAlike
        } else if leading.found() {
            Conclusion::Cohort
        } else if too_few(&hosts, classes.len(), &factorials) {
            Conclusion::TooFew
        } else {
            Conclusion::None
        };
        leading.deliver(classes, &mut result);
        result.notes.extend(uncorrected(&result.adjusted));
        result
    }
}

fn reports(count: usize) -> String {
    match count {
        1 => "a report".to_owned(),
        more => format!("{} reports", thousands(more as u64)),
    }
}

/// What the p-values of adjusted traits are not.
fn uncorrected(adjusted: &[Adjusted]) -> Option<String> {
    (!adjusted.is_empty()).then(|| {
        let tests = thousands(adjusted.len() as u64);
        format!("the p-values of adjusted traits are not corrected for their number, {tests}")
    })
}

/// Whether even a trait that all leaking hosts have and no other one would pass for
/// chance.
fn too_few(hosts: &[Host], tests: usize, factorials: &LnFactorials) -> bool {
    let leaking = hosts.iter().filter(|host| host.leaks).count() as u64;
    let rest = hosts.len() as u64 - leaking;
    let best = crate::stats::Table {
        with: (leaking, leaking),
        without: (0, rest),
    };
    let p = crate::stats::Conditional::of(&[best], factorials).p_value();
    hosts.len() < FEWEST || p * tests.max(1) as f64 >= ALPHA
}
