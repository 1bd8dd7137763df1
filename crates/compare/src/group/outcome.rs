//! Whether a host leaks, or why that cannot be said.

use pagehound_model::{Finding, Report, State, Verdict};

/// What a report counts as; the worst is the largest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// Nothing is lost.
    Clean,
    /// Left out, for this reason.
    Undecided(String),
    /// Bytes that are lost.
    Leaks(u64),
}

/// What `report` counts as; with `part`, as far as findings are concerned whose kind
/// or signature contains it.
pub(super) fn of(report: &Report, part: Option<&str>) -> Outcome {
    let undecided = |why: &str| Outcome::Undecided(why.to_owned());
    let Some(part) = part else {
        return match report.verdict {
            Verdict::Lost => Outcome::Leaks(lost_bytes(&report.findings)),
            _ if report.sample.is_some() => undecided(QUICK),
            Verdict::None => Outcome::Clean,
            Verdict::Suspect => undecided("suspect: pages look lost, but the proof has a gap"),
            Verdict::Incomplete => undecided(incomplete(report)),
        };
    };
    let found = report.findings.iter();
    let found = found.filter(|finding| is_of(finding, part));
    let lost: Vec<&Finding> = found
        .clone()
        .filter(|finding| finding.verdict == State::Lost)
        .collect();
    if !lost.is_empty() {
        return Outcome::Leaks(lost_bytes(lost));
    }
    if report.sample.is_some() {
        return undecided(QUICK);
    }
    // Pages that hold the same, but that a ring refers to, are with a leak or no leak.
    let unproved = found.into_iter().any(|finding| {
        finding.verdict == State::Suspect && finding.reach != pagehound_model::Reach::Referenced
    });
    // What was not read may hold this kind, or what refers to pages of it.
    match report.verdict {
        _ if unproved => undecided("suspect: such pages look lost, but the proof has a gap"),
        Verdict::Suspect => undecided("suspect: the proof has a gap, which may hide such pages"),
        Verdict::Incomplete => undecided(incomplete(report)),
        Verdict::Lost | Verdict::None if !report.complete => undecided(incomplete(report)),
        Verdict::Lost | Verdict::None => Outcome::Clean,
    }
}

/// Whether the finding's kind or signature contains `part`.
pub(super) fn is_of(finding: &Finding, part: &str) -> bool {
    finding.signature.contains(part) || finding.kind().contains(part)
}

const QUICK: &str = "a sample (--quick) proves nothing";

fn incomplete(report: &Report) -> &'static str {
    if crate::diff::is_counters(report) {
        "counters only: they do not tell lost pages"
    } else {
        "incomplete: what was not read might hide a leak"
    }
}

fn lost_bytes<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> u64 {
    let lost = findings.into_iter();
    let lost = lost.filter(|finding| finding.verdict == State::Lost);
    lost.fold(0, |sum, finding| sum.saturating_add(finding.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{frames_of, healthy, report};
    use pagehound_model::{Reach, Sample};

    #[test]
    fn only_proofs_count() {
        assert_eq!(of(&report(), None), Outcome::Leaks(11_683 * 4096));
        assert_eq!(of(&healthy(), None), Outcome::Clean);
        let mut suspect = report();
        suspect.verdict = Verdict::Suspect;
        assert!(matches!(of(&suspect, None), Outcome::Undecided(_)));
        suspect.verdict = Verdict::Incomplete;
        assert!(matches!(of(&suspect, None), Outcome::Undecided(_)));
        let mut quick = healthy();
        quick.sample = Some(Sample {
            seed: 1,
            pages: 1,
            looked_at: 1,
            units: 1,
            read: 1,
        });
        assert_eq!(of(&quick, None), Outcome::Undecided(QUICK.into()));
        assert_eq!(
            of(&quick, Some("ethernet")),
            Outcome::Undecided(QUICK.into())
        );
    }

    #[test]
    fn of_one_kind_other_leaks_do_not_count() {
        let e1000 = report();
        assert!(matches!(of(&e1000, Some("to e1000")), Outcome::Leaks(_)));
        assert!(matches!(
            of(&e1000, Some("246e96433e38/o0")),
            Outcome::Leaks(_)
        ));
        assert_eq!(of(&e1000, Some("to ice")), Outcome::Clean);
        let mut unproved = report();
        unproved.verdict = Verdict::Suspect;
        unproved.findings = vec![frames_of("ice")];
        unproved.findings[0].verdict = State::Suspect;
        assert!(matches!(
            of(&unproved, Some("to ice")),
            Outcome::Undecided(_)
        ));
        // A receive ring full of frames is no leak.
        unproved.verdict = Verdict::None;
        unproved.findings[0].reach = Reach::Referenced;
        assert_eq!(of(&unproved, Some("to ice")), Outcome::Clean);
    }

    #[test]
    fn a_kind_that_was_not_found_may_be_in_what_was_not_read() {
        let whole = report();
        assert!(whole.complete);
        for verdict in [Verdict::Lost, Verdict::Suspect, Verdict::None] {
            for complete in [true, false] {
                let gap = Report {
                    verdict,
                    complete,
                    ..whole.clone()
                };
                let sure = complete && verdict != Verdict::Suspect;
                let counts = of(&gap, Some("to ice"));
                assert_eq!(counts == Outcome::Clean, sure, "{verdict:?} {complete}");
                assert_eq!(matches!(counts, Outcome::Undecided(_)), !sure);
                // One that was found is found.
                assert!(matches!(of(&gap, Some("to e1000")), Outcome::Leaks(_)));
            }
        }
    }

    #[test]
    fn the_worst_is_the_largest() {
        let undecided = Outcome::Undecided(String::new());
        assert!(Outcome::Leaks(2) > Outcome::Leaks(1));
        assert!(Outcome::Leaks(0) > undecided);
        assert!(undecided > Outcome::Clean);
    }
}
