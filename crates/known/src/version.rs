//! Kernel releases, and the ranges of them that have a leak.

use std::fmt;
use std::str::FromStr;

/// A release of mainline (`6.14`) or of a stable branch (`6.12.49`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Version {
    /// The branch: `6.12`.
    pub branch: (u32, u32),
    /// The release of that branch; 0 is mainline's own.
    pub patch: u32,
}

/// What is no version, or no range of versions.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no range of kernel releases such as 6.14..6.16.9")]
pub struct NotARange(pub String);

impl FromStr for Version {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let error = || NotARange(text.to_owned());
        let numbers: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
        match *numbers.map_err(|_| error())?.as_slice() {
            [major, minor] => Ok(Version {
                branch: (major, minor),
                patch: 0,
            }),
            [major, minor, patch] => Ok(Version {
                branch: (major, minor),
                patch,
            }),
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((major, minor), patch) = (self.branch, self.patch);
        match patch {
            0 => write!(f, "{major}.{minor}"),
            _ => write!(f, "{major}.{minor}.{patch}"),
        }
    }
}

/// Releases from `start` on, `end` not among them; see `leaks.toml`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// The first with the leak; none where that is not known.
    pub start: Option<Version>,
    /// The first without it; none where the branch of `start` was never mended.
    pub end: Option<Version>,
}

impl FromStr for Range {
    type Err = NotARange;

    fn from_str(text: &str) -> Result<Self, NotARange> {
        let error = || NotARange(text.to_owned());
        let (start, end) = text.split_once("..").ok_or_else(error)?;
        let version = |text: &str| match text {
            "" => Ok(None),
            some => some.parse().map(Some),
        };
        let range = Range {
            start: version(start)?,
            end: version(end)?,
        };
        match (range.start, range.end) {
            (None, None) => Err(error()),
            (Some(start), Some(end)) if end <= start => Err(error()),
            // Without an end it is one of a stable branch: mainline is always mended.
            (Some(start), None) if start.patch == 0 => Err(error()),
            _ => Ok(range),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text =
            |version: Option<Version>| version.map_or(String::new(), |some| some.to_string());
        write!(f, "{}..{}", text(self.start), text(self.end))
    }
}

impl Range {
    /// Whether it speaks of this stable branch and of no other.
    fn is_of(&self, branch: (u32, u32)) -> bool {
        let own = |version: Option<Version>| {
            version.is_some_and(|version| version.patch > 0 && version.branch == branch)
        };
        own(self.start) || own(self.end)
    }

    /// Whether it is one of mainline, and of branches of which no range speaks.
    fn is_mainline(&self) -> bool {
        self.end.is_some_and(|end| end.patch == 0)
    }

    fn contains(&self, version: Version) -> bool {
        self.start.is_none_or(|start| start <= version) && self.end.is_none_or(|end| version < end)
    }
}

/// Whether a release is in these ranges: its branch's own decide, else mainline's.
pub(crate) fn contain(ranges: &[Range], version: Version) -> bool {
    let mut own = ranges
        .iter()
        .filter(|range| range.is_of(version.branch))
        .peekable();
    if own.peek().is_some() {
        return own.any(|range| range.contains(version));
    }
    let mut mainline = ranges.iter().filter(|range| range.is_mainline());
    // A branch without a mend of its own stays as it was when it began.
    let begin = Version {
        patch: 0,
        ..version
    };
    mainline.any(|range| range.contains(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(ranges: &[&str], version: &str) -> bool {
        let ranges: Vec<Range> = ranges.iter().map(|range| range.parse().unwrap()).collect();
        contain(&ranges, version.parse().unwrap())
    }

    #[test]
    fn a_branch_is_as_its_own_ranges_say() {
        // ice, 84bf1ac85af8: introduced in 6.14 and with backports in 6.12.14, 6.6.78 and
        // 6.13.3; fixed in 6.17, 6.16.9 and 6.12.49.
        let ice = [
            "6.12.14..6.12.49",
            "6.14..6.16.9",
            "6.14..6.17",
            "6.6.78..",
            "6.13.3..",
        ];
        for inside in [
            "6.12.14", "6.12.48", "6.14", "6.14.7", "6.15.2", "6.16", "6.16.8", "6.6.78",
            "6.6.200", "6.13.3",
        ] {
            assert!(is_in(&ice, inside), "{inside}");
        }
        for outside in [
            "6.12.13", "6.12.49", "6.16.9", "6.17", "6.18.1", "6.6.77", "6.13.2", "6.11",
            "5.15.100",
        ] {
            assert!(!is_in(&ice, outside), "{outside}");
        }
    }

    #[test]
    fn i40e_had_it_from_4_12_to_4_13() {
        let i40e = ["4.12..4.14"];
        for (version, inside) in [
            ("4.11.12", false),
            ("4.12", true),
            ("4.13.9", true),
            ("4.14", false),
            ("4.14.1", false),
        ] {
            assert_eq!(is_in(&i40e, version), inside, "{version}");
        }
        assert!(is_in(&["..6.11"], "6.10.3") && !is_in(&["..6.11"], "6.11"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for broken in [
            "",
            "..",
            "6.1",
            "6.2..6.1",
            "6.1..6.1",
            "6.14..",
            "a..b",
            "1..2",
            "6.1.1.1..7.0",
        ] {
            assert!(broken.parse::<Range>().is_err(), "{broken}");
        }
    }
}
