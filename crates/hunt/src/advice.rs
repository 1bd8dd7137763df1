//! What to do about a finding: the fix where there is one, then what tells more.

use pagehound_known::in_order;
use pagehound_model::{Finding, KnownIssue, Reach, State};
use pagehound_vmcore::{shell_path, shell_word};
use std::path::Path;

/// Adds to each finding of lost and suspect pages what to do next, the most useful
/// first. `path` is the dump's, as the user named it; `cut_short` says that memory which
/// could refer to pages is not in it.
pub(crate) fn advise(path: &str, cut_short: bool, findings: &mut [Finding]) {
    for finding in findings {
        finding.next = match finding.verdict {
            State::Lost | State::Suspect => steps(path, cut_short, finding),
            State::Held | State::Unknown => Vec::new(),
        };
    }
}

fn steps(path: &str, cut_short: bool, finding: &Finding) -> Vec<String> {
    let mut steps: Vec<String> = finding.known_issues.iter().map(mend).collect();
    let outside = finding
        .modules
        .iter()
        .find(|module| module.taints.contains('O'));
    if let Some(module) = outside {
        steps.push(format!(
            "{} is not of the kernel's own tree: ask whoever built it, or try the kernel's own driver",
            module.name
        ));
    }
    let is_known = |issue: &KnownIssue| issue.r#match == KnownIssue::MATCHES;
    let known = finding.known_issues.iter().any(is_known);
    // A reference exists: what the leak itself calls for is told with the leak.
    if finding.reach != Reach::Referenced && !known {
        steps.extend(tell_more(finding));
    }
    if finding.verdict == State::Suspect && cut_short {
        steps.push(
            "take the dump again with all of the kernel's memory in it: `makedumpfile -d 31` keeps \
             it, if nothing cuts the file short"
                .into(),
        );
    }
    if finding.reach == Reach::Unknown {
        steps.push(format!(
            "`pagehound {}` tells whether they are lost",
            shell_path(Path::new(path))
        ));
    }
    if let Some(pfn) = finding.sample_pfns.first() {
        steps.push(format!(
            "`pagehound why {} {pfn:#x}` shows one page",
            shell_path(Path::new(path))
        ));
    }
    steps
}

/// What a leak on record calls for.
fn mend(issue: &KnownIssue) -> String {
    let commit = &issue.commit;
    let releases = in_order(&issue.fixed_in);
    let releases = match releases.as_slice() {
        [] => String::new(),
        some => format!(" go to a release that has it ({}), or", some.join(", ")),
    };
    match issue.r#match.as_str() {
        KnownIssue::MATCHES => format!("the fix is {commit}:{releases} apply it"),
        KnownIssue::VENDOR => format!(
            "look for {commit} in the changelog of this kernel's package; if it is not there, ask \
             the vendor for it"
        ),
        _ => format!("compare with {commit}: `pagehound known {commit}`"),
    }
}

/// What shows more of a leak that nobody has on record.
fn tell_more(finding: &Finding) -> Vec<String> {
    let mut steps = Vec::new();
    let device = finding.owners.iter().find(|owner| owner.kind == "netdev");
    if let Some(device) = device {
        steps.push(format!(
            "watch unaccounted memory by `pagehound ledger` beside `ethtool -S {}` on the host, an hour \
             apart: the counter that grows with it is of the path that loses pages",
            shell_word(&device.name)
        ));
    }
    let cache = finding.holders.iter().find(|holder| holder.kind == "slab");
    match cache.filter(|_| finding.reach == Reach::LostObjects) {
        Some(cache) => steps.push(slab_debug(&cache.name)),
        None if finding.allocators.is_empty() => steps.push(
            "boot with `page_owner=on`: the next dump then tells which function allocated the pages"
                .into(),
        ),
        None => {}
    }
    steps
}

/// What tells who allocates the objects of a cache.
pub fn slab_debug(cache: &str) -> String {
    let cache = shell_word(cache);
    format!(
        "boot with `slub_debug=U,{cache}`: /sys/kernel/debug/slab/{cache}/alloc_traces then tells \
         who allocated the objects"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::lost_frames;

    fn issue(how: &str) -> KnownIssue {
        KnownIssue {
            commit: "2b9478ffc550".into(),
            subject: "i40e: Fix memory leak related filter programming status".into(),
            fixed_in: [("mainline".to_owned(), "4.14".to_owned())].into(),
            r#match: how.into(),
            but: String::new(),
        }
    }

    #[test]
    fn the_fix_comes_first() {
        let mut lost = lost_frames("i40e", &[0]);
        lost.known_issues = vec![issue(KnownIssue::MATCHES)];
        lost.sample_pfns = vec![0x1a2b];
        let mut findings = [lost];
        advise("a dump", false, &mut findings);
        let [finding] = findings;
        assert_eq!(
            finding.next,
            [
                "the fix is 2b9478ffc550: go to a release that has it (4.14), or apply it",
                "`pagehound why 'a dump' 0x1a2b` shows one page",
            ]
        );
    }

    #[test]
    fn of_a_leak_nobody_knows_more_is_to_be_found_out() {
        let mut findings = [lost_frames("e1000", &[0])];
        advise("vmcore", false, &mut findings);
        assert_eq!(
            findings[0].next,
            [
                "watch unaccounted memory by `pagehound ledger` beside `ethtool -S em1` on the host, an \
                 hour apart: the counter that grows with it is of the path that loses pages",
                "boot with `page_owner=on`: the next dump then tells which function allocated the \
                 pages",
            ]
        );
    }

    #[test]
    fn of_what_is_held_nothing_is_to_be_done() {
        let mut held = lost_frames("i40e", &[0]);
        held.verdict = State::Held;
        let mut findings = [held];
        advise("vmcore", true, &mut findings);
        assert_eq!(findings[0].next, [""; 0]);
    }

    #[test]
    fn what_only_may_be_a_leak_on_record_is_compared_with_it() {
        assert_eq!(
            mend(&issue(KnownIssue::POSSIBLE)),
            "compare with 2b9478ffc550: `pagehound known 2b9478ffc550`"
        );
    }

    #[test]
    fn a_vendor_is_asked_for_the_commit() {
        assert_eq!(
            mend(&issue(KnownIssue::VENDOR)),
            "look for 2b9478ffc550 in the changelog of this kernel's package; if it is not there, \
             ask the vendor for it"
        );
    }
}
