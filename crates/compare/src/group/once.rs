//! Which reports are of one host, so that it counts once.

use super::Member;
use super::result::GroupComparison;
use crate::moment::agree;
use std::collections::BTreeMap;

/// Of reports of one boot, and of copies of one report, the worst: a host that leaked
/// an hour ago leaks.
pub(super) fn once(members: Vec<Member>, result: &mut GroupComparison) -> Vec<Member> {
    let mut kept: Vec<Member> = Vec::new();
    let mut boots: BTreeMap<String, usize> = BTreeMap::new();
    let mut moments = BTreeMap::new();
    for member in members {
        let of_boot = member.boot_id.as_ref().and_then(|boot| boots.get(boot));
        let same: &mut Vec<usize> = moments.entry(member.moment.clone()).or_default();
        let copy = same.iter().find(|&&index| {
            let other = kept.get(index);
            other.is_some_and(|other| is_copy(&member, other))
        });
        result.copies += u64::from(copy.is_some());
        let index = of_boot.or(copy).copied().unwrap_or(kept.len());
        if let Some(boot) = &member.boot_id {
            boots.insert(boot.clone(), index);
        }
        if !same.contains(&index) {
            same.push(index);
        }
        match kept.get_mut(index) {
            Some(earlier) => {
                result.again += 1;
                merge(earlier, member);
            }
            None => kept.push(member),
        }
    }
    kept
}

/// Whether two reports of one moment are of one machine: they do not tell that they
/// are of two.
fn is_copy(one: &Member, other: &Member) -> bool {
    agree(one.boot_id.as_ref(), other.boot_id.as_ref())
        && agree(one.name.as_ref(), other.name.as_ref())
}

/// A redacted copy does not tell what the original does.
fn merge(earlier: &mut Member, member: Member) {
    let boot_id = earlier.boot_id.take().or_else(|| member.boot_id.clone());
    let name = earlier.name.take().or_else(|| member.name.clone());
    if member.outcome > earlier.outcome {
        *earlier = member;
    }
    earlier.boot_id = boot_id;
    earlier.name = name;
}

/// What the count of hosts rests on.
pub(super) fn notes(members: &[Member], result: &GroupComparison) -> Vec<String> {
    let unverified = match result.unverified {
        0 => None,
        number => Some(format!(
            "{number} of the hosts tell neither a boot id nor a host name: they are taken for \
             different hosts, which nothing here verifies"
        )),
    };
    unverified.into_iter().chain(named_twice(members)).collect()
}

/// Hosts that may be counted more than once, because their reports tell no boot or
/// different ones.
fn named_twice(members: &[Member]) -> Option<String> {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for name in members.iter().filter_map(|member| member.name.as_deref()) {
        *names.entry(name).or_default() += 1;
    }
    let twice: Vec<&str> = names
        .iter()
        .filter(|(_, count)| **count > 1)
        .map(|(name, _)| *name)
        .collect();
    let (first, rest) = twice.split_first()?;
    let others = match rest.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "reports of {first}{others} count as hosts of their own: only reports with the same boot \
         id, or of the same moment, count once"
    ))
}
