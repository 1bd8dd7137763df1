//! One finding in words.

pub(super) use super::allocators::lines as allocators;
use super::number::{count, percent, thousands};
use super::page::{PLAIN, Page};
use pagehound_known::in_order;
use pagehound_model::{
    Confidence, Content, Evidence, Finding, Holder, KnownIssue, Module, Owner, OwnerRole, Pattern,
    Reach, Report, State,
};
use std::collections::BTreeSet;
use std::io;

/// How many patterns are worth a line.
const PATTERNS: usize = 3;

/// How many bytes of one.
const PATTERN_BYTES: usize = 16;

/// The state's name.
pub(super) fn state(state: State) -> &'static str {
    match state {
        State::Lost => "lost",
        State::Suspect => "suspect",
        State::Held => "held",
        State::Unknown => "unknown",
    }
}

/// How sure the verdict is.
pub(super) fn confidence(finding: &Finding) -> &'static str {
    match finding.confidence {
        Confidence::Proved => "proved",
        Confidence::Likely => "likely",
        Confidence::Possible => "possible",
    }
}

/// `Ethernet frames received by em1, em2 (e1000, under bond0, MAC …)`; where only
/// lost objects refer to the pages, this too.
pub fn title(finding: &Finding) -> String {
    if finding.verdict == State::Held && !finding.holders.is_empty() {
        return match finding.holders.as_slice() {
            [one] => one.to_string(),
            all => several(all),
        };
    }
    let content = content_and_owners(finding);
    let caches: Vec<&str> = finding
        .holders
        .iter()
        .map(|holder| holder.name.as_str())
        .collect();
    match finding.reach {
        Reach::LostObjects => format!(
            "{content}, held only by lost {} objects",
            caches.join(" and ")
        ),
        Reach::Unreferenced | Reach::Referenced | Reach::InTransit | Reach::Unknown => content,
    }
}

fn content_and_owners(finding: &Finding) -> String {
    let content = content(finding.content);
    let owners = &finding.owners;
    if owners.is_empty() {
        return match first_known(finding) {
            Some(pattern) => {
                let (what, offset) = brief(pattern);
                format!("{content} with {what} at offset {}", thousands(offset))
            }
            None => content.to_owned(),
        };
    }
    let verb = match agreed(owners, |owner| owner.role) {
        Some(OwnerRole::Destination) => "received by",
        Some(OwnerRole::Source) => "sent by",
        None => "of",
    };
    let drivers = joined(owners, ", ", |owner| owner.driver.as_deref());
    let uppers = joined(owners, ", ", |owner| owner.upper.as_deref());
    let macs = joined(owners, ", ", |owner| owner.mac.as_deref());
    let details: Vec<String> = [("", drivers), ("under ", uppers), ("MAC ", macs)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}{names}"))
        .collect();
    let names = joined(owners, ", ", |owner| Some(&owner.name));
    let details = if details.is_empty() {
        String::new()
    } else {
        format!(" ({})", details.join(", "))
    };
    format!("{content} {verb} {names}{details}")
}

/// The same for a row of the ledger: `em1/em2 (e1000) frames`.
pub(super) fn short_title(finding: &Finding, report: &Report) -> String {
    if finding.verdict == State::Suspect && leak_of(finding, report).is_some() {
        return "same content, referenced".to_owned();
    }
    if !finding.holders.is_empty() {
        let mut holders = match finding.holders.as_slice() {
            [one] => one.to_string(),
            all => several(all),
        };
        if finding.holders.iter().any(Holder::is_beyond) {
            holders.push_str(", beyond its bound");
        }
        let how = match finding.reach {
            Reach::LostObjects => "through",
            Reach::Unreferenced | Reach::Referenced | Reach::InTransit | Reach::Unknown => "by",
        };
        return format!("{how} {holders}");
    }
    if finding.owners.is_empty() {
        let content = content(finding.content);
        return match first_known(finding) {
            Some(pattern) => format!("{content} with {}", brief(pattern).0),
            None => content.to_owned(),
        };
    }
    let names = joined(&finding.owners, "/", |owner| Some(&owner.name));
    let drivers = joined(&finding.owners, "/", |owner| owner.driver.as_deref());
    let drivers = if drivers.is_empty() {
        drivers
    } else {
        format!(" ({drivers})")
    };
    let what = if finding.content == Content::Ethernet {
        "frames"
    } else {
        content(finding.content)
    };
    format!("{names}{drivers} {what}")
}

/// Several holders, so that what a narrow column cuts off is a name and not their number.
fn several(holders: &[Holder]) -> String {
    let (Some(first), number) = (holders.first(), thousands(holders.len() as u64)) else {
        return String::new();
    };
    if holders.iter().any(|holder| holder.kind != first.kind) {
        return format!("{number} holders: {first}");
    }
    match first.pid {
        Some(pid) => format!("{} ({number}): {} (pid {pid})", first.kind, first.name),
        None => format!("{} ({number}): {}", first.kind, first.name),
    }
}

/// The finding that a suspect one keeps company: pages with the same content
/// that something still points to are told with those that nothing points to.
pub(super) fn leak_of<'a>(suspect: &Finding, report: &'a Report) -> Option<&'a Finding> {
    report
        .findings
        .iter()
        .find(|other| is_company(suspect, other))
}

fn is_company(suspect: &Finding, other: &Finding) -> bool {
    suspect.verdict == State::Suspect
        && suspect.reach == Reach::Referenced
        && other.reach == Reach::Unreferenced
        && suspect.group.is_some()
        && suspect.group == other.group
}

/// Everything about one finding but its title.
pub(super) fn body(finding: &Finding, report: &Report, page: &mut Page) -> io::Result<()> {
    page.paragraph(2, PLAIN, &sentence(finding))?;
    let company = report
        .findings
        .iter()
        .filter(|other| is_company(other, finding));
    let referenced: u64 = company.map(|other| other.pages).sum();
    if referenced > 0 {
        let (verb, them) = if referenced == 1 {
            ("holds", "it")
        } else {
            ("hold", "them")
        };
        let text = format!(
            "{} more {verb} the same, but something still refers to {them} (a ring, or a word left \
             on a stack): not counted.",
            thousands(referenced)
        );
        page.paragraph(2, PLAIN, &text)?;
    }
    for (number, pattern) in telling(&finding.patterns).enumerate() {
        page.item(
            if number == 0 { "Pattern" } else { "" },
            &pattern_line(pattern),
        )?;
    }
    let of = |kind: &str| -> Vec<&str> {
        let same = finding
            .evidence
            .iter()
            .filter(|evidence| evidence.kind == kind);
        same.map(|evidence| evidence.text.as_str()).collect()
    };
    let content = if finding.patterns.is_empty() {
        of(Evidence::CONTENT)
    } else {
        Vec::new()
    };
    let is_lost = matches!(finding.verdict, State::Lost | State::Suspect);
    let is_nobody_s =
        finding.owners.is_empty() && finding.holders.is_empty() && finding.allocators.is_empty();
    let owner = match is_lost && is_nobody_s {
        true => vec!["nobody could be named: neither a device nor an object nor a record"],
        false => of(Evidence::OWNER),
    };
    // The control group is told once, for all findings.
    let labels = [
        ("Content", content),
        ("Checked", of(Evidence::REFERENCES)),
        ("Sure", of(Evidence::CERTAINTY)),
        ("But", of(Evidence::LOOK_ALIKE)),
        ("Owner", owner),
        ("Lost in", of(Evidence::BLAME)),
        ("Near", of(Evidence::NODE)),
    ];
    for (label, texts) in labels.into_iter().filter(|(_, texts)| !texts.is_empty()) {
        page.item(label, &texts.join("; "))?;
    }
    if !finding.holders.is_empty() {
        let holders: Vec<String> = finding
            .holders
            .iter()
            .map(|holder| format!("{holder} ({})", count(holder.pages, "page")))
            .collect();
        let label = match finding.reach {
            Reach::LostObjects => "Through",
            Reach::Unreferenced | Reach::Referenced | Reach::InTransit | Reach::Unknown => {
                "Held by"
            }
        };
        page.item(label, &holders.join(", "))?;
    }
    for (number, text) in allocators(finding).iter().enumerate() {
        page.item(if number == 0 { "Origin" } else { "" }, text)?;
    }
    if let [module] = finding.modules.as_slice() {
        page.item("Module", &identity(module))?;
    } else {
        for module in &finding.modules {
            page.item("Modules", &identity(module))?;
        }
    }
    if !finding.cgroups.is_empty() {
        let groups = finding.cgroups.iter();
        let groups: Vec<String> = groups
            .map(|group| {
                let dying = if group.dying { ", removed" } else { "" };
                format!("{} ({}{dying})", group.path, count(group.pages, "page"))
            })
            .collect();
        page.item("Charged to", &groups.join(", "))?;
    }
    if finding.nodes.len() > 1 {
        let nodes: Vec<String> = finding
            .nodes
            .iter()
            .map(|node| format!("{} ({})", node.node, percent(node.pages, finding.pages)))
            .collect();
        page.item("Nodes", &nodes.join(", "))?;
    }
    Ok(())
}

/// `e1000 1.0, srcversion 05A…, build id 8c1f…, out of tree (OE)`.
pub(super) fn identity(module: &Module) -> String {
    let mut text = module.name.clone();
    if let Some(version) = &module.version {
        text.push_str(&format!(" {version}"));
    }
    let parts = [
        ("srcversion", &module.srcversion),
        ("build id", &module.build_id),
    ];
    for (what, part) in parts {
        if let Some(part) = part {
            text.push_str(&format!(", {what} {part}"));
        }
    }
    match module.taints.as_str() {
        "" => text.push_str(", of the kernel's tree"),
        taints if taints.contains('O') => text.push_str(&format!(", out of tree ({taints})")),
        taints => text.push_str(&format!(", taints {taints}")),
    }
    text
}

/// Leaks on record that it may be, on this kernel; empty where nobody is named that could
/// have one.
pub(super) fn known(finding: &Finding, kernel: &str) -> String {
    if finding.known_issues.is_empty() && !finding.modules.is_empty() {
        let modules = finding.modules.iter().map(|module| module.name.as_str());
        let modules: Vec<&str> = modules.collect();
        return format!("no leak on record fits {} on {kernel}", modules.join(", "));
    }
    let issues: Vec<String> = finding.known_issues.iter().map(known_issue).collect();
    issues.join("; ")
}

fn known_issue(issue: &KnownIssue) -> String {
    let commit: String = issue.commit.chars().take(12).collect();
    let fixed = in_order(&issue.fixed_in);
    let fixed = if fixed.is_empty() {
        String::new()
    } else {
        format!(", fixed in {}", fixed.join(", "))
    };
    let subject = &issue.subject;
    match issue.r#match.as_str() {
        KnownIssue::MATCHES => format!("this is {commit} \"{subject}\"{fixed}"),
        KnownIssue::VENDOR => format!(
            "may be {commit} \"{subject}\"; a vendor's kernel: look for this commit in its changelog"
        ),
        _ if issue.but.is_empty() => format!("possibly {commit} \"{subject}\"{fixed}"),
        _ => format!("possibly {commit} \"{subject}\"{fixed}: {}", issue.but),
    }
}

/// `11,683 pages of order 0 that nothing in use points to; …`.
pub(super) fn sentence(finding: &Finding) -> String {
    let pages = count(finding.pages, "page");
    let what = match finding.order {
        None => pages,
        Some(0) => format!("{pages} of order 0"),
        Some(order) => {
            let blocks = finding.pages.checked_shr(order).unwrap_or(0);
            format!("{} of order {order} ({pages})", count(blocks, "block"))
        }
    };
    let state = match (finding.verdict, finding.reach) {
        (State::Lost, Reach::LostObjects) => "that only lost objects still point to",
        (State::Lost, _) => "that nothing in use points to",
        (State::Suspect, Reach::Referenced) => {
            "that hold what lost pages hold, but something still refers to them (a ring, or a word \
             left on a stack)"
        }
        (State::Suspect, Reach::LostObjects) => {
            "that only objects point to which look lost themselves, but for a gap in the proof"
        }
        (State::Suspect, Reach::Unknown) => {
            "that no counter shows; whether something points to them was not looked for"
        }
        (State::Suspect, _) => "that look lost, but for a gap in the proof",
        (State::Held, _) => "that something points to",
        (State::Unknown, _) => "that could not be decided",
    };
    let estimate = finding.estimate.map(|bounds| {
        format!(
            " (an estimate: between {} and {})",
            thousands(bounds.low),
            thousands(bounds.high)
        )
    });
    let content = frames(finding).map(|frames| format!("; {frames}"));
    format!(
        "{what} {state}{}{}.",
        estimate.unwrap_or_default(),
        content.unwrap_or_default()
    )
}

/// `all hold received frames, destination MAC at offset 0`, where patterns
/// have the MAC address of an owner: at each offset where one does.
fn frames(finding: &Finding) -> Option<String> {
    if finding.content != Content::Ethernet {
        return None;
    }
    // Offset, and the part of the pages that has a MAC address there.
    let mut found: Vec<(u64, String)> = Vec::new();
    for pattern in &finding.patterns {
        let at = owner_at(pattern, &finding.owners);
        if let Some(offset) = at.filter(|at| found.iter().all(|(known, _)| known != at)) {
            let part = if pattern.share >= 0.9995 {
                "all".to_owned()
            } else {
                format!("{:.1} %", pattern.share * 100.0)
            };
            found.push((offset, part));
        }
    }
    let (_, part) = found.first()?.clone();
    let what = match agreed(&finding.owners, |owner| owner.role) {
        Some(OwnerRole::Destination) => "received frames, destination MAC",
        Some(OwnerRole::Source) => "sent frames, source MAC",
        None => "frames, MAC",
    };
    let alike = found.iter().all(|(_, other)| *other == part);
    found.sort_by_key(|(offset, _)| *offset);
    let offsets: Vec<String> = found
        .iter()
        .map(|(offset, part)| match alike {
            true => thousands(*offset),
            false => format!("{} ({part})", thousands(*offset)),
        })
        .collect();
    let (how_many, several) = match (alike, offsets.len()) {
        (true, 1) => (part.as_str(), ""),
        (true, _) => (part.as_str(), "s"),
        (false, _) => ("they", "s"),
    };
    Some(format!(
        "{how_many} hold {what} at offset{several} {}",
        enumerated(&offsets)
    ))
}

/// `one, two and three`.
fn enumerated(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

/// Where in the unit the pattern has the MAC address of an owner.
fn owner_at(pattern: &Pattern, owners: &[Owner]) -> Option<u64> {
    let bytes = pattern.bytes();
    let mut macs = owners.iter().filter_map(|owner| owner.mac.as_deref());
    let index = macs.find_map(|mac| {
        let mac: Vec<Option<u8>> = mac
            .split(':')
            .map(|pair| u8::from_str_radix(pair, 16).ok())
            .collect();
        bytes
            .windows(mac.len().max(1))
            .position(|window| window == mac)
    })?;
    Some(pattern.offset.saturating_add(index as u64))
}

/// `52 54 00 a1 5e 01 at offset 0, in 97.7 % of the pages`.
pub fn pattern_line(pattern: &Pattern) -> String {
    format!(
        "{} at offset {}, in {:.1} % of the pages",
        bytes(pattern),
        thousands(pattern.offset),
        pattern.share * 100.0
    )
}

/// The first bytes of a pattern, and its text where it is one.
pub(super) fn bytes(pattern: &Pattern) -> String {
    if pattern.bytes().iter().all(Option::is_none) {
        return format!("{} alike", count(pattern.bytes().len() as u64, "byte"));
    }
    let text = text_of(pattern).map(|text| format!(" ({text})"));
    pairs(&pattern.bytes(), PATTERN_BYTES) + &text.unwrap_or_default()
}

/// The patterns worth a line: not those that another one at the same offset
/// begins with.
fn telling(patterns: &[Pattern]) -> impl Iterator<Item = &Pattern> {
    let within = |one: &Pattern, other: &Pattern| {
        one.offset == other.offset
            && one.hex != other.hex
            && other.bytes().starts_with(&one.bytes())
    };
    let is_told = move |one: &&Pattern| {
        !patterns
            .iter()
            .any(|other| within(one, other) && other.share >= one.share)
    };
    patterns.iter().filter(is_told).take(PATTERNS)
}

/// The text at the pattern's begin, in quotes, where it is worth a look.
fn text_of(pattern: &Pattern) -> Option<String> {
    let bytes = pattern.bytes();
    let text: String = bytes
        .iter()
        .map_while(|byte| byte.filter(|byte| (b' '..=b'~').contains(byte)))
        .map(char::from)
        .take(PATTERN_BYTES)
        .collect();
    (text.len() >= 4).then(|| format!("\"{text}\""))
}

/// The first pattern of which a byte is known: the bytes may have been left out.
fn first_known(finding: &Finding) -> Option<&Pattern> {
    let mut patterns = finding.patterns.iter();
    patterns.find(|pattern| pattern.bytes().iter().any(Option::is_some))
}

/// The pattern in a word, and where that is: its text, else its first bytes.
///
/// What all addresses of a region have in common is the end of their words,
/// memory being little-endian: such bytes say only that an address is there.
fn brief(pattern: &Pattern) -> (String, u64) {
    let bytes = pattern.bytes();
    let end = pattern.offset.saturating_add(bytes.len() as u64);
    if bytes.len() < 8 && end.is_multiple_of(8) && bytes.ends_with(&[Some(0xff); 2]) {
        return ("a kernel address".into(), end.saturating_sub(8));
    }
    let what = text_of(pattern).unwrap_or_else(|| pairs(&bytes, 6));
    (what, pattern.offset)
}

/// At most `most` bytes as hex pairs.
fn pairs(bytes: &[Option<u8>], most: usize) -> String {
    let pair = |byte: &Option<u8>| byte.map_or("??".to_owned(), |byte| format!("{byte:02x}"));
    let pairs: Vec<String> = bytes.iter().take(most).map(pair).collect();
    pairs.join(" ") + if bytes.len() > most { " …" } else { "" }
}

fn content(content: Content) -> &'static str {
    match content {
        Content::Ethernet => "Ethernet frames",
        Content::Text => "text",
        Content::Zero => "zeroes",
        Content::Random => "random bytes",
        Content::Pointers => "kernel pointers",
        Content::PageTable => "page tables",
        Content::Mixed => "mixed content",
    }
}

/// What `field` says of all owners, without repetition.
fn joined<'a>(
    owners: &'a [Owner],
    separator: &str,
    field: impl Fn(&'a Owner) -> Option<&'a str>,
) -> String {
    let mut seen = BTreeSet::new();
    let names: Vec<&str> = owners
        .iter()
        .filter_map(field)
        .filter(|name| seen.insert(*name))
        .collect();
    names.join(separator)
}

/// What `field` says of all owners, where they agree.
fn agreed<T: PartialEq>(owners: &[Owner], field: impl Fn(&Owner) -> Option<T>) -> Option<T> {
    let mut values = owners.iter().map(field);
    let first = values.next()??;
    values
        .all(|value| value.as_ref() == Some(&first))
        .then_some(first)
}
