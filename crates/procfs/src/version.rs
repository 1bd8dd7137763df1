//! `/proc/version`: `Linux version <release> (<builder>) (<compiler>) #<build>`.
//! The kernel log's first line and the banner in a dump are the same text.

use crate::line::{Lines, ParseError};

/// What `/proc/version` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version<'a> {
    /// Release as in `uname -r`.
    pub release: &'a str,
    /// What follows the release: who built it, with what.
    pub built: &'a str,
    /// As in `uname -v`: from `#` on, with the date, and on Debian the package's
    /// version; empty if there is none.
    pub build: &'a str,
}

/// Reads a version.
///
/// # Errors
/// The first line does not start with `Linux version` and a release.
pub fn version(text: &[u8]) -> Result<Version<'_>, ParseError> {
    let Some(line) = Lines::new("version", text).next() else {
        return Err(ParseError {
            file: "version",
            line: 1,
            reason: "expected `Linux version ...`",
            content: String::new(),
        });
    };
    let rest = line
        .as_str()?
        .trim_ascii_start()
        .strip_prefix("Linux version ")
        .map(str::trim_ascii_start)
        .filter(|rest| !rest.is_empty())
        .ok_or_else(|| line.error("expected `Linux version` and a release"))?;
    let (release, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let (built, build) = match rest.rfind(" #") {
        Some(at) => (rest.get(..at), rest.get(at + 1..)),
        None => (Some(rest), None),
    };
    Ok(Version {
        release,
        built: built.unwrap_or_default().trim_ascii(),
        build: build.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debian_kernel() {
        let text = b"Linux version 6.1.0-56-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14+deb12u1) \
            12.2.0, GNU ld (GNU Binutils for Debian) 2.40) #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)\n";
        let version = version(text).unwrap();
        assert_eq!(version.release, "6.1.0-56-cloud-amd64");
        assert!(
            version
                .built
                .starts_with("(debian-kernel@lists.debian.org) (gcc-12")
        );
        assert!(version.built.ends_with("2.40)"));
        assert_eq!(
            version.build,
            "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)"
        );
    }

    #[test]
    fn less_than_that() {
        assert_eq!(version(b"Linux version 3.10.0").unwrap().release, "3.10.0");
        for bad in [
            &b""[..],
            b"\n",
            b"Linux version ",
            b"FreeBSD 14",
            b"Linux version \xff",
        ] {
            assert_eq!(version(bad).unwrap_err().file, "version");
        }
    }
}
