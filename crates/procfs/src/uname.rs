//! What `uname -a` prints.

/// A kernel and its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uname<'a> {
    /// Node name.
    pub node: &'a str,
    /// Release, as in `/proc/version`.
    pub release: &'a str,
    /// From `#` on, as in `/proc/version`.
    pub build: &'a str,
    /// Architecture, as `x86_64`.
    pub machine: &'a str,
}

/// Reads the first line; none if it is no line of Linux's.
///
/// GNU's uname ends it with the machine, where the system tells also processor and
/// platform (both the same words on Linux), and `GNU/Linux`; busybox's with the last.
pub fn uname(text: &[u8]) -> Option<Uname<'_>> {
    let line = std::str::from_utf8(text).ok()?.lines().next()?;
    let rest = line.strip_prefix("Linux ")?;
    let (node, rest) = rest.split_once(' ')?;
    let (release, rest) = rest.split_once(' ')?;
    let rest = rest.trim_end();
    let rest = rest.strip_suffix(" GNU/Linux").unwrap_or(rest);
    let (mut build, machine) = rest.rsplit_once(' ')?;
    while let Some(shorter) = build.strip_suffix(machine)
        && shorter.ends_with(' ')
    {
        build = shorter.trim_end();
    }
    build.starts_with('#').then_some(Uname {
        node,
        release,
        build,
        machine,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_debian_and_ubuntu() {
        let debian = b"Linux db7 6.1.0-13-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1.55-1 (2023-09-29) x86_64 GNU/Linux\n";
        let told = Uname {
            node: "db7",
            release: "6.1.0-13-amd64",
            build: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.55-1 (2023-09-29)",
            machine: "x86_64",
        };
        assert_eq!(uname(debian), Some(told));
        let ubuntu = b"Linux web 5.15.0-91-generic #101-Ubuntu SMP Tue Nov 14 13:30:08 UTC 2023 x86_64 x86_64 x86_64 GNU/Linux";
        let told = Uname {
            node: "web",
            release: "5.15.0-91-generic",
            build: "#101-Ubuntu SMP Tue Nov 14 13:30:08 UTC 2023",
            machine: "x86_64",
        };
        assert_eq!(uname(ubuntu), Some(told));
    }

    #[test]
    fn other_lines_are_none() {
        for other in [
            &b""[..],
            b"Linux",
            b"Linux a b",
            b"Linux a b c d GNU/Linux",
            b"FreeBSD a 14 #1 amd64",
            b"Linux a b #1 \xff",
        ] {
            assert_eq!(uname(other), None, "{other:?}");
        }
    }
}
