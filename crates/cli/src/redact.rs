//! A report without what tells of the site it is from: to send to strangers.
//!
//! What is left tells of the leak: sizes, drivers, modules and functions, versions, names
//! of interfaces and of processes, page frame numbers, the vendor's half of MAC addresses.

use pagehound_model::{Evidence, Finding, Holder, Pattern, Report};
use pagehound_vmcore::{Mac, shell_path};
use regex::{Captures, Regex};
use std::collections::BTreeSet;
use std::path::Path;

/// Bytes of a MAC address that tell its vendor.
const VENDOR: usize = 3;

/// Bytes from the begin of a frame to its EtherType, and the bytes of that.
const ETHER_TYPE: std::ops::Range<usize> = 12..14;

/// `report` with host and boot, kernel addresses, the path, contents of pages and MAC
/// addresses beyond the vendor's half taken out.
///
/// # Errors
/// The name of the host or the path are too long to be looked for.
pub fn redact(report: &Report) -> anyhow::Result<Report> {
    redact_with(report, &[])
}

/// The same, and these words wherever they stand in a text by themselves.
///
/// # Errors
/// As [`redact`].
pub(crate) fn redact_with(report: &Report, words: &[String]) -> anyhow::Result<Report> {
    let secrets = Secrets::of(report, words)?;
    let mut report = report.clone();
    report.host.name = None;
    report.host.boot_id = None;
    report.target.path = "DUMP".into();
    for group in &mut report.cgroups {
        group.path = top(&group.path);
    }
    for part in &mut report.explained {
        // A mount point, or a process, whose name is left in other places too.
        let owner = part.owner.take().filter(|owner| !owner.starts_with('/'));
        part.owner = owner.map(|owner| secrets.without(&owner));
    }
    let owners = report.findings.iter_mut();
    let owners = owners.flat_map(|finding| &mut finding.owners);
    let macs = owners.filter_map(|owner| owner.mac.as_mut());
    let devices = report.netdevs.iter_mut();
    for mac in macs.chain(devices.filter_map(|device| device.mac.as_mut())) {
        *mac = secrets.without(mac);
    }
    for finding in &mut report.findings {
        secrets.finding(finding);
    }
    for text in &mut report.warnings {
        *text = secrets.without(text);
    }
    names(&secrets, &mut report.holders);
    Ok(report)
}

fn names(secrets: &Secrets, holders: &mut [Holder]) {
    for holder in holders {
        holder.name = secrets.without(&holder.name);
    }
}

/// The vendor's half of an address, `24:6e:96:xx:xx:xx`.
pub(crate) fn mac(mac: &str) -> String {
    let vendor: Vec<&str> = mac.splitn(VENDOR + 1, ':').take(VENDOR).collect();
    format!("{}:xx:xx:xx", vendor.join(":"))
}

/// A group's path below its first part.
fn top(path: &str) -> String {
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    let first = parts.next().unwrap_or_default();
    match parts.next() {
        Some(_) => format!("/{first}/[redacted]"),
        None => format!("/{first}"),
    }
}

/// What is taken out of every text that people wrote or the dump holds, wherever in it
/// that stands. Names of classes, states and drivers are left as they are.
struct Secrets {
    /// Addresses that devices are said to have.
    macs: BTreeSet<[u8; 6]>,
    /// Path, host and boot, as words of their own.
    words: Regex,
    /// The path, and the same as a word of a shell.
    paths: [String; 2],
    /// Names of further files, as the warning about a split dump ends with.
    others: Regex,
    /// `24:6e:96:43:3e:38`, and with other signs between; addresses may be longer.
    mac: Regex,
    /// `246e.9643.3e38`.
    dotted: Regex,
    /// The same without signs: an address, or the hash of a commit.
    bare: Regex,
    /// 16 digits: an address of the kernel, or a word of memory.
    word: Regex,
    ip: Regex,
    /// What tells a group of pages by their content: `pattern/6c6f7374@0`.
    content: Regex,
    /// The same by the address in its frames: `ethernet/246e96433e38`.
    frames: Regex,
    /// How evidence of content begins: the bytes of a pattern.
    bytes: Regex,
}

impl Secrets {
    fn of(report: &Report, names: &[String]) -> anyhow::Result<Secrets> {
        let path = report.target.path.clone();
        let host = report.host.name.clone().unwrap_or_default();
        let short = host.split('.').next().unwrap_or_default().to_owned();
        let boot = report.host.boot_id.clone().unwrap_or_default();
        // As `advice` writes it for a shell, too.
        let shell = shell_path(Path::new(&path));
        let mut words = vec![path.clone(), shell.clone(), host, short, boot];
        words.extend_from_slice(names);
        // One letter is a word of the language, and `live` no path.
        words.retain(|word| word.chars().count() > 1 && word != "live");
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let words: Vec<String> = words.iter().map(|word| regex::escape(word)).collect();
        let words = match words.as_slice() {
            // Nothing that could be in a text.
            [] => r"[^\s\S]".to_owned(),
            some => format!(r"(?i)(^|[^0-9A-Za-z_]){}", one_of(some)),
        };
        Ok(Secrets {
            macs: macs(report),
            words: Regex::new(&words)?,
            paths: [path, shell],
            others: Regex::new(r"( of the same folder too: ).+")?,
            mac: Regex::new(r"(?i)((?:[0-9a-f]{2}[:\- ]){2}[0-9a-f]{2})(?:[:\- ][0-9a-f]{2}){3,}")?,
            dotted: Regex::new(r"(?i)\b([0-9a-f]{4}\.[0-9a-f]{2})[0-9a-f]{2}\.[0-9a-f]{4}\b")?,
            bare: Regex::new(r"(?i)[0-9a-f]{12,}")?,
            word: Regex::new(r"(?i)(^|[^0-9a-f])(?:0x)?[0-9a-f]{16}($|[^0-9a-f])")?,
            ip: Regex::new(
                r"(?i)\b\d{1,3}(?:\.\d{1,3}){3}\b|(?:[0-9a-f]{1,4}:){3,}[0-9a-f:]*[0-9a-f]|(?:[0-9a-f]{1,4}:)*[0-9a-f]{0,4}::[0-9a-f:]+",
            )?,
            content: Regex::new(r"(pattern/)[0-9a-f?]+(@\d+)")?,
            frames: Regex::new(r"(?i)(ethernet/[0-9a-f]{6})[0-9a-f]{6}")?,
            bytes: Regex::new(r"^[0-9a-f?]+ at offset")?,
        })
    }

    fn finding(&self, finding: &mut Finding) {
        for group in &mut finding.cgroups {
            group.path = top(&group.path);
        }
        for pattern in &mut finding.patterns {
            *pattern = self.masked(pattern);
        }
        finding.signature = self.without(&finding.signature);
        finding.group = finding.group.as_deref().map(|group| self.without(group));
        names(self, &mut finding.holders);
        for step in &mut finding.next {
            *step = self.without(step);
        }
        for evidence in &mut finding.evidence {
            if evidence.kind == Evidence::CONTENT {
                let text = self
                    .bytes
                    .replace(&evidence.text, "the same bytes at offset");
                evidence.text = text.into_owned();
            }
            evidence.text = self.without(&evidence.text);
        }
    }

    /// The pattern with what it holds masked, but for the vendor's half of a known address
    /// and the type of the frame that begins with it.
    fn masked(&self, pattern: &Pattern) -> Pattern {
        let bytes = pattern.bytes();
        let mut kept = vec![None; bytes.len()];
        let starts = |at: usize| {
            let there = bytes.get(at..at + 6)?;
            let there: Option<Vec<u8>> = there.iter().copied().collect();
            let there: [u8; 6] = there?.try_into().ok()?;
            self.macs.contains(&there).then_some(())
        };
        for at in (0..bytes.len()).filter(|&at| starts(at).is_some()) {
            for index in (at..at + VENDOR).chain(at + ETHER_TYPE.start..at + ETHER_TYPE.end) {
                if let (Some(to), Some(from)) = (kept.get_mut(index), bytes.get(index)) {
                    *to = *from;
                }
            }
        }
        Pattern::new(pattern.offset, &kept, pattern.share)
    }

    fn without(&self, text: &str) -> String {
        let instead = |found: &Captures<'_>| {
            let instead = match self.paths.iter().any(|path| *path == found[2]) {
                true => "DUMP",
                false => "[redacted]",
            };
            format!("{}{instead}{}", &found[1], &found[3])
        };
        // Words side by side share what is between them: a second look finds the others.
        let text = self.others.replace_all(text, "${1}[redacted]");
        let once = self.words.replace_all(&text, instead);
        let text = self.words.replace_all(&once, instead);
        let text = self.frames.replace_all(&text, "${1}xxxxxx");
        let text = self.mac.replace_all(&text, "${1}:xx:xx:xx");
        let text = self.dotted.replace_all(&text, "${1}xx.xxxx");
        let text = self.bare.replace_all(&text, |found: &Captures<'_>| {
            let digits = &found[0];
            let half = digits.get(..2 * VENDOR).unwrap_or_default();
            match bare(digits).is_some_and(|mac| self.macs.contains(&mac)) {
                true => format!("{half}xxxxxx"),
                false => digits.to_owned(),
            }
        });
        let once = self.word.replace_all(&text, "${1}[address]${2}");
        let text = self.word.replace_all(&once, "${1}[address]${2}");
        let text = self.ip.replace_all(&text, "[ip]");
        let text = self.content.replace_all(&text, "${1}redacted${2}");
        text.into_owned()
    }
}

/// Words, one of which must stand there, and what follows them.
fn one_of(words: &[String]) -> String {
    format!("({})($|[^0-9A-Za-z_])", words.join("|"))
}

/// Every address that a device is said to have.
fn macs(report: &Report) -> BTreeSet<[u8; 6]> {
    let owners = report.findings.iter().flat_map(|finding| &finding.owners);
    let owners = owners.filter_map(|owner| owner.mac.as_deref());
    let devices = report.netdevs.iter();
    let devices = devices.filter_map(|device| device.mac.as_deref());
    let macs = owners.chain(devices).filter_map(|mac| mac.parse().ok());
    macs.map(|Mac(bytes)| bytes).collect()
}

/// The address that 12 digits are.
fn bare(digits: &str) -> Option<[u8; 6]> {
    let value = u64::from_str_radix(digits, 16).ok()?;
    let [_, _, mac @ ..] = value.to_be_bytes();
    (digits.len() == 12).then_some(mac)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing helper fails its test")]

    use super::*;
    use pagehound_model::CgroupPages;

    fn reference() -> Report {
        serde_json::from_str(include_str!("../../../tests/fixtures/reference.json")).unwrap()
    }

    #[test]
    fn nothing_of_the_site_is_left() {
        let mut report = reference();
        report.host.boot_id = Some("0d2b7e1c-5a43-4f5e-9d53-2f6a4f0b8f11".into());
        report.target.path = "/srv/acme/db7/vmcore".into();
        report.warnings = vec![
            "db7: page at ffff880100400000 and 0xffffea0004010000 (24-6E-96-43-3E-38)".into(),
            "DB7 db7 _24:6e:96:43:3e:38 246e.9643.3e38 246E96433E38 24 6e 96 43 3e 38".into(),
            "0000383e43966e24, 10.1.2.3 and fe80::266e:96ff:fe43:3e38, 2a02:beef::1 2001:db8::77 ::dead:1".into(),
            "/srv/acme/db7/vmcore is short".into(),
            "some frames are in no file given; give these of the same folder too: jo-2 'jo 3'"
                .into(),
        ];
        let finding = &mut report.findings[0];
        finding.next = vec!["`pagehound why /srv/acme/db7/vmcore 0x1a2b3` shows one page".into()];
        finding.cgroups = vec![CgroupPages {
            path: "/acme.slice/customer-7".into(),
            dying: false,
            pages: 1,
        }];
        finding
            .patterns
            .push(Pattern::new(64, &b"secret".map(Some), 0.5));
        finding.signature = "pattern/736563726574@64/o0".into();
        let text = serde_json::to_string(&redact(&report).unwrap()).unwrap();
        for secret in [
            "db7",
            "0d2b7e1c",
            "/srv",
            "jo",
            "acme/",
            "customer-7",
            "2a02",
            "2001",
            "dead",
            "ffff8801",
            "ffffea00",
            "433e38",
            "43:3e:38",
            "43-3E-38",
            "736563",
        ] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        // What the leak is stays.
        for told in [
            "24:6e:96:xx:xx:xx",
            "246e96",
            "0800",
            "DUMP 0x1a2b3",
            "e1000",
            "/acme.slice/[redacted]",
            "pattern/redacted@64/o0",
        ] {
            assert!(text.contains(told), "{told}: {text}");
        }
    }

    /// Names that are words of reports too.
    #[test]
    fn a_host_s_name_is_no_other_word() {
        for name in ["lost", "free", "e1000", "page", "report", "em1", "a"] {
            let mut report = reference();
            report.host.name = Some(name.into());
            report.target.path = "vmcore".into();
            report.warnings = vec![format!("{name} said vmcoreinfo_note: {name}.")];
            let after = redact(&report).unwrap();
            assert_eq!(after.schema, report.schema);
            assert_eq!(after.ledger, report.ledger);
            assert_eq!(after.modules, report.modules);
            let driver = |report: &Report| report.findings[0].owners[0].driver.clone();
            assert_eq!(driver(&after), driver(&report));
            if name.len() > 1 {
                let told = ["[redacted] said vmcoreinfo_note: [redacted]."];
                assert_eq!(after.warnings, told, "{name}");
            }
        }
    }

    #[test]
    fn what_the_leak_is_stays_as_it_was() {
        let (before, after) = (reference(), redact(&reference()).unwrap());
        assert_eq!(after.contradictions(), before.contradictions());
        assert_eq!(after.ledger, before.ledger);
        let pages = |report: &Report| -> Vec<u64> {
            let findings = report.findings.iter();
            findings.map(|finding| finding.pages).collect()
        };
        assert_eq!(pages(&after), pages(&before));
    }
}
