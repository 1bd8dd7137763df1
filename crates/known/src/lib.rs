//! Known leaks of kernel memory: which kernels and modules have them, what they look
//! like, and which commit mends them. The list is data, in `leaks.toml` beside this
//! crate's source.

mod check;
mod mark;
mod release;
mod version;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use check::{Affected, affected};
pub use mark::{Content, Found, Mark};
pub use release::Kernel;
pub use version::{NotARange, Range, Version};

/// The list as it was written.
const LIST: &str = include_str!("../leaks.toml");

/// How the fingerprint of a leak is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Somebody saw it.
    Observed,
    /// It follows from the code.
    Inferred,
}

/// Memory that is not lost in the strict sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotLost {
    /// Within a map of a fixed size.
    InMap,
    /// Only a counter is wrong.
    Counter,
    /// Held, and given back in the end.
    Held,
}

/// Whether ranges have the fixes of stable branches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backports {
    /// All of them.
    #[default]
    Known,
    /// Stable releases may have the fix although no range says so.
    Unknown,
}

/// One leak.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Leak {
    /// First 12 digits of the mainline commit that mends it.
    pub fix: String,
    /// Subject of that commit.
    pub subject: String,
    /// What it is in, for people.
    pub subsystem: String,
    /// Modules any of which has it; empty where the code is always built in.
    pub modules: Vec<String>,
    /// What is lost.
    pub what: String,
    /// The commit that brought it, where that is known.
    pub introduced_by: Option<String>,
    /// Kernels that have it.
    #[serde(deserialize_with = "ranges", serialize_with = "as_texts")]
    pub ranges: Vec<Range>,
    /// Whether `ranges` have the fixes of stable branches.
    #[serde(default)]
    pub backports: Backports,
    /// What the pages look like.
    pub fingerprint: String,
    /// The same for programs; without one nothing is said to match.
    pub mark: Option<Mark>,
    /// How that is known.
    pub basis: Basis,
    /// Where all this is from.
    pub source: String,
    /// Where the memory is not lost in the strict sense.
    pub not_lost: Option<NotLost>,
}

impl Leak {
    /// Whether a release of mainline or of a stable branch has it, by the list.
    pub fn is_in(&self, version: Version) -> bool {
        version::contain(&self.ranges, version)
    }

    /// Whether a kernel that began as this mainline release, of which nothing else is
    /// known, may have it: not where mainline had the fix by then.
    pub fn may_be_in(&self, base: Option<Version>) -> bool {
        let mut mainline = self.ranges.iter().filter_map(|range| range.end);
        let fixed = mainline.find(|end| end.patch == 0);
        match (base, fixed) {
            (Some(base), Some(fixed)) => base < fixed,
            _ => true,
        }
    }

    /// The first release with the fix, by branch.
    pub fn fixed_in(&self) -> BTreeMap<String, String> {
        let ends = self.ranges.iter().filter_map(|range| range.end);
        ends.map(|end| {
            let branch = match end.patch {
                0 => "mainline".to_owned(),
                _ => format!("{}.{}", end.branch.0, end.branch.1),
            };
            (branch, end.to_string())
        })
        .collect()
    }

    /// Whether a word, whatever its case, is in what the entry says, from the begin of a
    /// word on; a commit may be longer than the entry has it.
    pub fn says(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        let commits = [Some(&self.fix), self.introduced_by.as_ref()];
        let mut commits = commits.into_iter().flatten();
        if commits.any(|commit| word.starts_with(commit.as_str())) {
            return true;
        }
        let texts = [
            &self.fix,
            &self.subject,
            &self.subsystem,
            &self.what,
            &self.fingerprint,
            &self.source,
        ];
        let texts = texts.into_iter().chain(&self.modules);
        texts
            .chain(&self.introduced_by)
            .any(|text| has(text, &word))
    }
}

/// Whether a word of `text` begins with `word`, which is in lower case.
fn has(text: &str, word: &str) -> bool {
    let text = text.to_lowercase();
    let mut found = text.match_indices(word);
    found.any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        before.is_none_or(|before| !before.is_alphanumeric())
    })
}

/// Releases in their order: `5.4.243` before `5.10.180`.
pub fn in_order(fixed_in: &BTreeMap<String, String>) -> Vec<&str> {
    let mut releases: Vec<&str> = fixed_in.values().map(String::as_str).collect();
    releases.sort_by_key(|release| release.parse::<Version>().ok());
    releases
}

fn as_texts<S: Serializer>(ranges: &[Range], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(ranges.iter().map(ToString::to_string))
}

fn ranges<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Range>, D::Error> {
    let texts: Vec<String> = Vec::deserialize(from)?;
    let ranges = texts.iter().map(|text| text.parse());
    ranges
        .collect::<Result<_, NotARange>>()
        .map_err(serde::de::Error::custom)
}

/// What must not be taken for a leak.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LookAlike {
    /// What it is.
    pub name: String,
    /// The commit that made it so.
    pub commit: Option<String>,
    /// What the kernel says when it happens.
    pub log: Option<String>,
    /// Why it is none.
    pub why: String,
    /// How such pages are told instead.
    pub instead: String,
    /// Where all this is from.
    pub source: String,
}

impl LookAlike {
    /// Whether a word, whatever its case, is in what the entry says.
    pub fn says(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        let texts = [&self.name, &self.why, &self.instead, &self.source];
        let mut texts = texts.into_iter().chain(&self.commit).chain(&self.log);
        texts.any(|text| has(text, &word))
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    leak: Vec<Leak>,
    look_alike: Vec<LookAlike>,
}

static ALL: LazyLock<List> = LazyLock::new(|| {
    // The list is part of the program and read by a test.
    toml::from_str(LIST).unwrap_or_default()
});

/// All of them, in the order of the list.
pub fn all() -> &'static [Leak] {
    &ALL.leak
}

/// What must not be taken for one of them.
pub fn look_alikes() -> &'static [LookAlike] {
    &ALL.look_alike
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing helper fails its test")]

    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_entry_is_whole() {
        let list: List = toml::from_str(LIST).unwrap();
        assert_eq!(list.leak.len(), all().len());
        assert!(all().len() >= 53);
        let fixes: BTreeSet<&str> = all().iter().map(|leak| leak.fix.as_str()).collect();
        assert_eq!(fixes.len(), all().len(), "a fix is there twice");
        for one in look_alikes() {
            for text in [&one.name, &one.why, &one.instead, &one.source] {
                assert!(!text.trim().is_empty(), "{one:?}");
            }
        }
        assert_eq!(look_alikes().len(), list.look_alike.len());
        for leak in all() {
            let is_hash = |hash: &str| hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(leak.fix.len() == 12 && is_hash(&leak.fix), "{}", leak.fix);
            let by = leak.introduced_by.as_deref().unwrap_or("0");
            assert!(is_hash(by), "{}", leak.fix);
            for text in [&leak.subject, &leak.what, &leak.fingerprint, &leak.source] {
                assert!(!text.trim().is_empty(), "{}: {leak:?}", leak.fix);
            }
            assert!(!leak.ranges.is_empty(), "{}", leak.fix);
        }
    }

    #[test]
    fn a_mend_is_told_by_branch() {
        let ice = all()
            .iter()
            .find(|leak| leak.fix == "84bf1ac85af8")
            .unwrap();
        let fixed: Vec<_> = ice.fixed_in().into_iter().collect();
        let pairs = [
            ("6.12", "6.12.49"),
            ("6.16", "6.16.9"),
            ("mainline", "6.17"),
        ];
        let pairs = pairs.map(|(branch, first)| (branch.to_owned(), first.to_owned()));
        assert_eq!(fixed, pairs);
    }

    #[test]
    fn a_leak_is_found_by_what_people_have_of_it() {
        let said = |word: &str| -> Vec<&str> {
            let found = all().iter().filter(|leak| leak.says(word));
            found.map(|leak| leak.fix.as_str()).collect()
        };
        let whole = "2b9478ffc550f17c6cd8c69057234e91150f5972";
        assert_eq!(said(whole), ["2b9478ffc550"]);
        assert_eq!(said("2b9478f"), ["2b9478ffc550"]);
        assert_eq!(said("CVE-2025-39948"), ["84bf1ac85af8"]);
        assert_eq!(said("cve-2025-39948"), ["84bf1ac85af8"]);
        assert!(said("I40E").contains(&"aae425efdfd1"));
        assert_eq!(said("no such thing"), [""; 0]);
        // Of "device", the end is not meant.
        assert!(said("ice").contains(&"84bf1ac85af8"));
        assert!(!said("ice").contains(&"6b470f36616e"));
        let releases = all()
            .iter()
            .find(|leak| leak.fix == "50749f2dd685")
            .unwrap();
        let releases = releases.fixed_in();
        assert_eq!(in_order(&releases)[..2], ["4.14.315", "4.19.283"]);
        assert_eq!(in_order(&releases).last(), Some(&"6.4"));
    }

    /// The release before another, where the branch has one.
    fn before(version: Version) -> Option<Version> {
        let patch = version.patch.checked_sub(1)?;
        Some(Version { patch, ..version })
    }

    #[test]
    fn every_range_is_inside_and_its_ends_are_outside() {
        for leak in all() {
            for range in &leak.ranges {
                if let Some(start) = range.start {
                    assert!(leak.is_in(start), "{} in {start}", leak.fix);
                    if let Some(before) = before(start) {
                        assert!(!leak.is_in(before), "{} in {before}", leak.fix);
                    }
                }
                if let Some(end) = range.end {
                    assert!(!leak.is_in(end), "{} in {end}", leak.fix);
                    if let Some(before) = before(end) {
                        assert!(leak.is_in(before), "{} not in {before}", leak.fix);
                    }
                }
            }
        }
    }
}
