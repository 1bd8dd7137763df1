//! Reports as people see them. The reference report has the numbers of the
//! reference case; every snapshot was read against it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use pagehound::output;
use pagehound::render::{self, Detail};
use pagehound_model::{
    Confidence, Content, Control, Coverage, Estimate, Evidence, Finding, Holder, KnownIssue,
    LedgerRow, NodePages, Pattern, Reach, Report, State, Unaccounted, Verdict,
};

fn reference() -> Report {
    serde_json::from_str(include_str!("../../../tests/fixtures/reference.json")).unwrap()
}

fn text(report: &Report) -> String {
    told(report, Detail::Usual)
}

fn told(report: &Report, detail: Detail) -> String {
    let text = output::text(|page| render::report(report, detail, page)).unwrap();
    String::from_utf8(text).unwrap()
}

/// Blanks as one.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The row of the ledger that begins with `label`.
fn row(text: &str, label: &str) -> String {
    let rows = text.lines().skip_while(|line| !line.starts_with("Where"));
    let mut rows = rows.map(words).filter(|line| line.starts_with(label));
    rows.next().unwrap_or_else(|| panic!("{label}: {text}"))
}

#[test]
fn reference_is_a_sound_report() {
    let schema = jsonschema::validator_for(pagehound_model::schema().as_value()).unwrap();
    let value =
        serde_json::from_str(include_str!("../../../tests/fixtures/reference.json")).unwrap();
    let wrong: Vec<String> = schema
        .iter_errors(&value)
        .map(|error| error.to_string())
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(reference().contradictions(), Vec::<String>::new());
}

#[test]
fn one_leak() {
    insta::assert_snapshot!(text(&reference()));
}

#[test]
fn several_findings() {
    let mut report = reference();
    let mut ring = report.findings.remove(1);
    ring.signature = "pattern/52494e4742554632@0/o2".into();
    ring.group = Some("pattern/52494e4742554632@0".into());
    ring.reach = Reach::Unreferenced;
    ring.holders.clear();
    ring.owners.clear();
    ring.content = Content::Text;
    ring.order = Some(2);
    ring.patterns = vec![Pattern {
        offset: 0,
        hex: "52494e4742554632".into(),
        share: 1.0,
    }];
    ring.pages = 800;
    ring.bytes = 800 * 4096;
    ring.confidence = Confidence::Likely;
    ring.estimate = Some(Estimate {
        low: 700,
        high: 900,
    });
    ring.nodes = vec![
        NodePages {
            node: 0,
            pages: 600,
        },
        NodePages {
            node: 1,
            pages: 200,
        },
    ];
    ring.evidence = vec![Evidence {
        kind: Evidence::REFERENCES.into(),
        checked: 200,
        matched: 200,
        text: "200 of 200 blocks have no reference in the pages that are in the dump".into(),
    }];
    report.findings.insert(1, ring);
    insta::assert_snapshot!(text(&report));
}

/// Frames of em1 lost in two ways, and a cache with a slash in its name.
#[test]
fn lost_through_a_cache() {
    let mut report = reference();
    let mut through = report.findings[0].clone();
    through.signature = "ethernet/246e96433e38/o0/through/skb%2fhead".into();
    through.reach = Reach::LostObjects;
    through.confidence = Confidence::Likely;
    through.pages = 400;
    through.bytes = 400 * 4096;
    through.holders = vec![Holder {
        kind: "slab".into(),
        name: "skb/head".into(),
        pages: 400,
        pid: None,
        module: None,
        most_pages: None,
        nodes: Vec::new(),
        sample_pfn: None,
    }];
    report.findings.insert(1, through);
    let text = text(&report);
    let heads: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(" lost: "))
        .collect();
    assert_eq!(heads.len(), 2, "{text}");
    assert!(!heads[0].contains("held only by"), "{text}");
    // Wherever it was wrapped, and with the word at the right edge between.
    let words: Vec<&str> = text.split_whitespace().collect();
    let words = words.join(" ").replace(" likely", "");
    let (first, _) = words
        .split_once("held only by lost skb/head objects")
        .unwrap();
    // The company of the frames is told with those that nothing refers to.
    let company = "something still refers to";
    assert!(first.contains(company), "{text}");
    assert_eq!(words.matches(company).count(), 1, "{text}");
}

/// With `--all` every holder has its name, and what has none its features and nodes.
#[test]
fn every_holder_is_told() {
    let mut report = reference();
    let held = &mut report.findings[2];
    assert_eq!(held.verdict, State::Held);
    held.holders[0].name = "somebody".into();
    held.holders[0].pid = Some(7);
    held.nodes = vec![NodePages {
        node: 1,
        pages: 400,
    }];
    held.evidence = vec![Evidence {
        kind: Evidence::FEATURES.into(),
        checked: 400,
        matched: 400,
        text: "order 0 (100 %)".into(),
    }];
    let text = told(&report, Detail::All);
    assert!(text.contains("Held, by whom"), "{text}");
    assert!(text.contains("somebody (pid 7) (400 pages)"), "{text}");
    assert!(
        text.contains("order 0 (100 %); node 1 (400 pages)"),
        "{text}"
    );
    assert!(!told(&report, Detail::Usual).contains("Held, by whom"));
}

fn i40e(how: &str) -> KnownIssue {
    KnownIssue {
        commit: "2b9478ffc550".into(),
        subject: "i40e: Fix memory leak related filter programming status".into(),
        fixed_in: [("mainline".into(), "4.14".into())].into(),
        r#match: how.into(),
        but: String::new(),
    }
}

#[test]
fn known_leak() {
    let told = |how: &str| {
        let mut report = reference();
        report.findings[0].known_issues = vec![i40e(how)];
        text(&report)
    };
    for (how, words) in [
        (
            KnownIssue::MATCHES,
            "Known     this is 2b9478ffc550 \"i40e: Fix memory leak",
        ),
        (
            KnownIssue::POSSIBLE,
            "Known     possibly 2b9478ffc550 \"i40e: Fix memory leak",
        ),
        (
            KnownIssue::VENDOR,
            "may be 2b9478ffc550 \"i40e: Fix memory leak",
        ),
    ] {
        let text = told(how);
        assert!(text.contains(words), "{text}");
    }
    assert!(!text(&reference()).contains("Known "));
}

/// What is left of the report when nothing is lost.
fn without_findings() -> Report {
    let mut report = reference();
    report.findings = Vec::new();
    report.verdict = Verdict::None;
    report.unaccounted = Unaccounted {
        lost_pages: 0,
        suspect_pages: 0,
        held_pages: 12_000,
        unknown_pages: 102,
        ..report.unaccounted
    };
    report
}

#[test]
fn nothing_lost() {
    insta::assert_snapshot!(text(&without_findings()));
}

#[test]
fn incomplete() {
    let mut report = without_findings();
    report.verdict = Verdict::Incomplete;
    report.complete = false;
    report.control = Control::default();
    report.target.coverage = Coverage {
        present: 100,
        excluded: 0,
        absent: 50,
        unreadable: 50,
        outside: 0,
    };
    report.target.dump_level = None;
    report.warnings = vec!["The dump says of itself that it is incomplete.".into()];
    insta::assert_snapshot!(text(&report));
}

#[test]
fn a_leak_in_a_dump_cut_short() {
    let mut report = reference();
    report.target.coverage.unreadable = 1;
    let text = text(&report);
    let wanted = "LEAK 45.6 MiB lost (the dump is cut short or incomplete): Ethernet frames ";
    assert!(words(&text).starts_with(wanted), "{text}");
}

#[test]
fn frames_at_every_offset() {
    let mac = |offset, share| Pattern {
        offset,
        hex: "246e96433e38".into(),
        share,
    };
    let frames = |patterns: Vec<Pattern>| {
        let mut report = reference();
        report.findings[0].patterns = patterns;
        let text = words(&text(&report));
        let (_, from) = text.split_once("points to; ").unwrap();
        from.split_once(". ").unwrap().0.to_owned()
    };
    assert_eq!(
        frames(vec![mac(2112, 1.0), mac(64, 1.0)]),
        "all hold received frames, destination MAC at offsets 64 and 2,112"
    );
    assert_eq!(
        frames(vec![mac(0, 0.977)]),
        "97.7 % hold received frames, destination MAC at offset 0"
    );
    assert_eq!(
        frames(vec![mac(0, 0.5), mac(64, 0.5), mac(128, 0.5)]),
        "50.0 % hold received frames, destination MAC at offsets 0, 64 and 128"
    );
    assert_eq!(
        frames(vec![mac(64, 1.0), mac(2112, 0.5), mac(64, 1.0)]),
        "they hold received frames, destination MAC at offsets 64 (all) and 2,112 (50.0 %)"
    );
}

/// The reference with its held pages held by twelve caches, of 65, 60, …, 10
/// pages.
fn many_holders() -> Report {
    let mut report = reference();
    let held = report.findings.pop().unwrap();
    for number in 0..12 {
        let mut finding = held.clone();
        finding.id = 3 + number;
        finding.pages = 65 - 5 * u64::from(number);
        finding.bytes = finding.pages * 4096;
        finding.holders = vec![Holder {
            kind: "slab".into(),
            name: format!("cache-{number}"),
            pages: finding.pages,
            pid: None,
            module: None,
            most_pages: None,
            nodes: Vec::new(),
            sample_pfn: None,
        }];
        report.findings.push(finding);
    }
    report.unaccounted.held_pages = 450;
    report
}

#[test]
fn findings_without_a_row_are_counted_and_can_be_had() {
    let report = many_holders();
    let usual = text(&report);
    let fifth = row(&usual, "held 7. by slab cache-4 ");
    assert!(fifth.contains(" 45 "), "{usual}");
    // 40 + 35 + … + 10
    let others = row(&usual, "held 7 others: see --all ");
    assert!(others.contains(" 175 "), "{usual}");
    assert!(!usual.contains("cache-5"), "{usual}");
    let all = told(&report, Detail::All);
    for number in 0..12 {
        let finding = row(
            &all,
            &format!("held {}. by slab cache-{number} ", number + 3),
        );
        let pages = format!(" {} ", 65 - 5 * number);
        assert!(finding.contains(&pages), "{all}");
    }
    assert!(!all.contains("others"), "{all}");
}

#[test]
fn holes_are_no_memory() {
    let mut report = reference();
    let before = row(&text(&report), "free ");
    let pages = 262_144;
    report.target.pages += pages;
    report.ledger.push(LedgerRow {
        class: "hole".into(),
        pages,
        bytes: pages * 4096,
        estimate: None,
        counter: None,
    });
    let text = text(&report);
    assert_eq!(row(&text, "free "), before, "its share is the same");
    assert_eq!(row(&text, "total "), "total 163,805 639.9 MiB 100.0 %");
    assert_eq!(row(&text, "hole "), "hole 262,144 1.0 GiB no memory");
    assert!(text.find("  total ") < text.find("  hole "), "{text}");
}

#[test]
fn the_counter_of_slabs_has_large_kmalloc_too() {
    let mut report = reference();
    assert!(row(&text(&report), "slab ").ends_with(" NR_SLAB"));
    report.ledger.push(LedgerRow {
        class: "large_kmalloc".into(),
        pages: 10,
        bytes: 10 * 4096,
        estimate: None,
        counter: None,
    });
    assert!(row(&text(&report), "slab ").ends_with(" NR_SLAB, with large kmalloc"));
}

#[test]
fn hostile_names_stay_on_their_line() {
    let mut report = reference();
    let evil = "\x1b]0;pwned\x07\r\n\u{202e}";
    report.target.path = evil.into();
    report.target.kernel = evil.into();
    report.warnings = vec![evil.into()];
    report.ledger[0].class = evil.into();
    let finding: &mut Finding = &mut report.findings[0];
    finding.owners[0].name = evil.into();
    finding.evidence[2].text = evil.into();
    finding.known_issues = vec![i40e(KnownIssue::POSSIBLE)];
    finding.known_issues[0].subject = evil.into();
    finding.patterns[0].hex = evil.into();
    report.findings[2].holders[0].name = evil.into();
    assert_eq!(report.findings[2].verdict, State::Held);
    let text = text(&report);
    let stray: Vec<char> = text
        .chars()
        .filter(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}')
        .collect();
    assert!(stray.is_empty(), "{stray:?}");
    assert!(text.matches("\\x1b]0;pwned\\x07").count() >= 6, "{text}");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let mut report = reference();
    report.ledger[0].class = "a_class_whose_name_is_longer_than_any_column_should_ever_be".into();
    for width in [60, 72, 80, 100, 120] {
        let mut bytes = Vec::new();
        render::report(
            &report,
            Detail::Usual,
            &mut render::page::Page::new(&mut anstream::StripStream::new(&mut bytes), width),
        )
        .unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let long = text.lines().filter(|line| line.chars().count() > width);
        assert_eq!(long.collect::<Vec<_>>(), Vec::<&str>::new(), "{width}");
        // Numbers are never cut.
        assert!(text.contains("62,971  246.0 MiB   38.4 %"), "{text}");
    }
}

/// Memory is little-endian: what all addresses of a region have in common is
/// the end of the word.
#[test]
fn the_top_of_a_kernel_address_is_called_that() {
    let title = |offset, hex: &str| {
        let mut report = reference();
        let finding = &mut report.findings[0];
        finding.owners.clear();
        finding.content = Content::Mixed;
        finding.patterns = vec![Pattern {
            offset,
            hex: hex.into(),
            share: 1.0,
        }];
        let text = words(&text(&report));
        text.split_once(" lost: ").unwrap().1.to_owned()
    };
    let wanted = "mixed content with a kernel address at offset 16 ";
    assert!(title(19, "06ea8effff").starts_with(wanted));
    for (offset, hex) in [
        (18, "06ea8effff"),
        (19, "06ea8effee"),
        (16, "06ea8effffffffff"),
    ] {
        let title = title(offset, hex);
        assert!(!title.contains("a kernel address"), "{title}");
    }
}

#[test]
fn bug_report() {
    let mut report = reference();
    report.findings[0].known_issues = vec![i40e(KnownIssue::MATCHES)];
    let mut bytes = Vec::new();
    render::markdown(&report, Detail::Usual, &mut bytes).unwrap();
    insta::assert_snapshot!(String::from_utf8(bytes).unwrap());
}
