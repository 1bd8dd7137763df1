//! How sure a finding is, and why.

use pagehound_model::{Control, Evidence, Finding, Reach, State, thousands};

use crate::census::Census;

/// Doubts that are told with a finding; the notes have all.
const DOUBTS: usize = 2;

/// Adds to each finding of lost and suspect pages why it is as sure as it is, with the
/// control group in numbers.
pub(super) fn explain(census: &Census, findings: &mut [Finding]) {
    let gaps = gaps(census);
    for finding in findings {
        if !matches!(finding.verdict, State::Lost | State::Suspect) {
            continue;
        }
        let control = census.control;
        finding.evidence.push(Evidence {
            kind: Evidence::CERTAINTY.into(),
            checked: control.checked,
            matched: control.checked.saturating_sub(control.missed),
            text: why(finding, &gaps),
        });
    }
}

fn why(finding: &Finding, gaps: &[String]) -> String {
    let searched = "all memory that could refer to these pages is in the dump and was searched";
    match (finding.verdict, finding.reach) {
        (State::Suspect, Reach::Referenced) => {
            "a reference exists, and whether it still means anything is not known: only the \
             content speaks for a leak"
                .into()
        }
        (State::Suspect, _) if !gaps.is_empty() => gaps.join("; "),
        (_, Reach::LostObjects) => format!(
            "{searched}, and objects were followed one by one; but an object that only a device \
             or an encoded pointer names looks lost too"
        ),
        (State::Suspect, _) => "the kernel may have dropped them on purpose".into(),
        _ => searched.into(),
    }
}

/// What keeps orphans from being proved lost.
fn gaps(census: &Census) -> Vec<String> {
    let mut gaps = Vec::new();
    if census.missing > 0 {
        gaps.push(format!(
            "{} pages that could refer to them are not in the dump",
            thousands(census.missing)
        ));
    }
    if census.cancelled {
        gaps.push("the search was ended early".into());
    }
    let doubts = census.doubts();
    gaps.extend(doubts.iter().take(DOUBTS).cloned());
    if doubts.len() > DOUBTS {
        gaps.push("and more (see the notes)".into());
    }
    let control = census.control;
    if control.checked == 0 || control.missed * 1000 > control.checked {
        gaps.push(missed(control));
    }
    gaps
}

/// What the control group says against the search.
fn missed(control: Control) -> String {
    if control.checked == 0 {
        return "no page known to be held was there to check the search with".into();
    }
    format!(
        "the search missed {} of {} pages known to be held, more than one in a thousand",
        thousands(control.missed),
        thousands(control.checked),
    )
}
