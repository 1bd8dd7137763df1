//! Reports that were redacted: what is left of a kind, so that the original and its
//! copy have the same.

use pagehound_model::{Finding, Report};

/// What redaction puts in place of the dump's path and of the bytes of a pattern.
const PATH: &str = "DUMP";
const BYTES: &str = "redacted";
const PATTERN: &str = "pattern/";

/// Whether what tells of the site was taken out of the report.
fn is_redacted(report: &Report) -> bool {
    let nameless = report.host.name.is_none() && report.host.boot_id.is_none();
    let mut findings = report.findings.iter();
    (nameless && report.target.path == PATH)
        || findings.any(|of| of.signature.contains(&format!("{PATTERN}{BYTES}@")))
}

/// Whether what redaction takes out of one of the two must be overlooked in the other.
#[derive(Clone, Copy)]
pub(super) struct Mask(bool);

impl Mask {
    /// With a note where losses are told apart by less than they could be.
    pub(super) fn of(a: &Report, b: &Report, notes: &mut Vec<String>) -> Mask {
        let who = match (is_redacted(a), is_redacted(b)) {
            (false, false) => return Mask(false),
            (true, false) => "A is",
            (false, true) => "B is",
            (true, true) => "A and B are",
        };
        let mut findings = a.findings.iter().chain(&b.findings);
        if findings.any(|of| of.signature.contains(PATTERN)) {
            notes.push(format!(
                "{who} redacted: losses of text cannot be told apart; they are matched by where \
                 in the page it stands, and by their order"
            ));
        }
        Mask(true)
    }

    /// The kind of a finding.
    pub(super) fn kind(self, finding: &Finding) -> String {
        // From the signature: a kernel address is known by the bytes that are not there.
        let bytes = finding.signature.split_once(PATTERN);
        let bytes = bytes.and_then(|(head, rest)| Some((head, rest.split_once('@')?.1)));
        match bytes {
            Some((head, rest)) if self.0 => format!("{head}{PATTERN}{BYTES}@{rest}"),
            _ => finding.kind(),
        }
    }

    /// The path of a control group, of which redaction leaves the first part.
    pub(super) fn group(self, path: &str) -> String {
        let top = path.trim_start_matches('/').split_once('/');
        match top {
            Some((first, _)) if self.0 => format!("/{first}/[{BYTES}]"),
            _ => path.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare;
    use crate::diff::Relative;
    use crate::testing::{healthy, report};
    use pagehound_model::Cgroup;

    /// A host that lost two kinds of text, and what redaction leaves of its report.
    fn pair() -> (Report, Report) {
        let mut full = report();
        let mut text = full.findings.swap_remove(0);
        full.findings.clear();
        for (id, bytes) in [(1, "6c6f7374"), (2, "7365636f6e64")] {
            text.id = id;
            text.signature = format!("pattern/{bytes}@0/o0");
            text.group = Some(format!("pattern/{bytes}@0"));
            full.findings.push(text.clone());
        }
        for path in ["/a.slice/one", "/a.slice/two", "/init.scope"] {
            full.cgroups.push(Cgroup {
                path: path.into(),
                dying: false,
                charged_pages: None,
                unaccounted_pages: 0,
                slab_bytes: 4096,
                slab_estimate: None,
            });
        }
        let mut redacted = full.clone();
        redacted.host.name = None;
        redacted.target.path = PATH.into();
        for finding in &mut redacted.findings {
            finding.signature = "pattern/redacted@0/o0".into();
            finding.group = Some("pattern/redacted@0".into());
            finding.patterns.clear();
        }
        for group in &mut redacted.cgroups[..2] {
            group.path = "/a.slice/[redacted]".into();
        }
        (redacted, full)
    }

    #[test]
    fn a_report_and_its_redacted_copy_lose_the_same() {
        let (redacted, full) = pair();
        for (a, b, note) in [
            (&redacted, &full, "A is redacted: losses of text"),
            (&full, &redacted, "B is redacted: losses of text"),
        ] {
            let found = compare(a, b);
            assert!(found.is_equal(), "{found:?}");
            assert!(found.notes[0].starts_with(note), "{:?}", found.notes);
            assert_eq!(found.relation.relative, Relative::SameBoot);
        }
        let found = compare(&full, &full);
        let mut notes = found.notes.iter();
        assert!(
            !notes.any(|of| of.contains("redacted")),
            "{:?}",
            found.notes
        );
    }

    #[test]
    fn where_text_stands_still_tells_losses_apart() {
        let (redacted, mut full) = pair();
        full.findings[0].signature = "pattern/6c6f7374@64/o0".into();
        let found = compare(&redacted, &full);
        let kinds = found.findings.iter().map(|of| of.kind.as_str());
        let kinds: Vec<&str> = kinds.collect();
        assert_eq!(kinds.len(), 2, "{kinds:?}");
        assert!(kinds.contains(&"pattern/redacted@64/o0"), "{kinds:?}");
        // Nothing that a page holds is told of frames.
        let frames = compare(&report(), &healthy());
        assert_eq!(frames.findings[0].kind, "ethernet/to e1000/o0");
    }
}
