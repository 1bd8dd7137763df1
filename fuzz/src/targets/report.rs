//! Saved reports: read, told in every form, redacted, compared.

use std::sync::LazyLock;

use pagehound::render::{self, Detail};
use pagehound::{output, redact, saved};
use pagehound_compare::{Group, compare};
use pagehound_model::Report;

use super::host::no_control;

pub(crate) const REFERENCE: &str = include_str!("../../../tests/fixtures/reference.json");

static OTHER: LazyLock<Report> =
    LazyLock::new(|| saved::parse(REFERENCE.as_bytes()).expect("the reference report"));

pub(crate) fn run(text: &[u8]) {
    let report = match saved::parse(text) {
        Ok(report) => report,
        Err(error) => {
            let _ = format!("{error:#}");
            return;
        }
    };
    let mut json = Vec::new();
    render::json(&report, &mut json).expect("text into memory");
    let again = saved::parse(&json).expect("what we wrote we read");
    assert_eq!(again, report);
    for detail in [Detail::Usual, Detail::All] {
        let told = output::text(|page| {
            render::report(&report, detail, page)?;
            render::ledger(&report, detail, page)
        });
        no_control(&told.expect("text into memory"));
        let mut markdown = Vec::new();
        render::markdown(&report, detail, &mut markdown).expect("text into memory");
        no_control(&markdown);
    }
    let _ = render::preview(&report);
    if let Ok(redacted) = redact::redact(&report) {
        let told = output::text(|page| render::report(&redacted, Detail::All, page));
        no_control(&told.expect("text into memory"));
    }
    assert!(!compare(&report, &report).matters, "from itself");
    for reports in [
        [report.clone(), OTHER.clone()],
        [OTHER.clone(), report.clone()],
    ] {
        let [a, b] = &reports;
        let comparison = compare(a, b);
        let told = output::text(|page| render::diff(&comparison, &reports, Detail::All, page));
        no_control(&told.expect("text into memory"));
    }
    let mut group = Group::new(None);
    for (path, report) in [
        ("a", &report),
        ("b", &*OTHER),
        ("c", &report),
        ("d", &*OTHER),
    ] {
        group.add(path, report);
    }
    let group = group.compare();
    let told = output::text(|page| render::group(&group, Detail::All, page));
    no_control(&told.expect("text into memory"));
}
