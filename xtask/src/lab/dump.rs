//! The ways in which a guest's memory gets into a file.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, Result, bail, ensure};

use super::qmp::Format;

/// One dump to take of a guest. Arguments are makedumpfile's own, such as
/// `-d 31 -l`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The hypervisor writes it while the guest stands still.
    Qemu(Format),
    /// The guest crashes, its second kernel copies `/proc/vmcore`.
    Copy,
    /// The guest crashes, its second kernel runs makedumpfile.
    Makedumpfile(String),
    /// The same with room for fewer MiB than the dump has: it is cut short.
    Incomplete(u32, String),
    /// The guest crashes, the host runs makedumpfile on the copy of
    /// `/proc/vmcore`: the same file as above, without emulation.
    HostMakedumpfile(String),
    /// No dump: pagehound runs in the guest and tells of it, before the others.
    Live,
    /// No dump: the guest crashes, its second kernel runs `contrib/kdump-report`, before
    /// any dump is made.
    Report(Shortage),
}

/// What the second kernel has too little of for a report and a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shortage {
    /// Nothing.
    None,
    /// The disk has so many MiB, which the report fits into, and the dump does not.
    Disk(u32),
    /// Memory: there is no report, and a line says why.
    Memory,
}

/// For errors and `--help`.
const WAYS: &str = "qemu-kdump-zlib, qemu-elf, vmcore-raw, makedumpfile:ARGS, \
    host-makedumpfile:ARGS, incomplete:MIB:ARGS, live, report, report:MIB and report:starved";

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Qemu(Format::KdumpZlib) => f.write_str("qemu-kdump-zlib"),
            Self::Qemu(Format::Elf) => f.write_str("qemu-elf"),
            Self::Copy => f.write_str("vmcore-raw"),
            Self::Live => f.write_str("live"),
            Self::Report(Shortage::None) => f.write_str("report"),
            Self::Report(Shortage::Disk(mib)) => write!(f, "report:{mib}"),
            Self::Report(Shortage::Memory) => f.write_str("report:starved"),
            Self::Makedumpfile(args) => write!(f, "makedumpfile:{args}"),
            Self::HostMakedumpfile(args) => write!(f, "host-makedumpfile:{args}"),
            Self::Incomplete(mib, args) => write!(f, "incomplete:{mib}:{args}"),
        }
    }
}

impl FromStr for Way {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (way, rest) = text.split_once(':').unwrap_or((text, ""));
        match (way, rest) {
            ("qemu-kdump-zlib", "") => Ok(Self::Qemu(Format::KdumpZlib)),
            ("qemu-elf", "") => Ok(Self::Qemu(Format::Elf)),
            ("vmcore-raw", "") => Ok(Self::Copy),
            ("live", "") => Ok(Self::Live),
            ("report", "") => Ok(Self::Report(Shortage::None)),
            ("report", "starved") => Ok(Self::Report(Shortage::Memory)),
            ("report", mib) => Ok(Self::Report(Shortage::Disk(mib.parse()?))),
            ("makedumpfile", args) => Ok(Self::Makedumpfile(arguments(args)?)),
            ("host-makedumpfile", args) => Ok(Self::HostMakedumpfile(arguments(args)?)),
            ("incomplete", rest) => match rest.split_once(':') {
                Some((mib, args)) => Ok(Self::Incomplete(mib.parse()?, arguments(args)?)),
                None => bail!("{text} is not incomplete:MIB:ARGS, such as incomplete:8:-d 31 -c"),
            },
            _ => bail!("{text} is none of {WAYS}"),
        }
    }
}

/// Arguments go through a shell in the guest, word by word. Without any,
/// makedumpfile is no other way than a copy.
fn arguments(args: &str) -> Result<String> {
    ensure!(
        !args.trim().is_empty(),
        "makedumpfile's arguments are missing, as in makedumpfile:-d 31 -l"
    );
    // A comma separates ways.
    let plain = |next: char| next.is_ascii_alphanumeric() || " -_.=".contains(next);
    if let Some(other) = args.chars().find(|next| !plain(*next)) {
        bail!("makedumpfile's arguments hold {other:?}");
    }
    Ok(args.split_whitespace().collect::<Vec<_>>().join(" "))
}

impl Way {
    /// The dump's file name, for a scenario called `scenario`; of answers, their
    /// folder's; of a report, its own.
    pub(super) fn file_name(&self, scenario: &str) -> String {
        match self {
            Self::Qemu(format) => format!("{scenario}.{}", format.extension()),
            Self::Copy => format!("{scenario}.vmcore"),
            Self::Live => format!("{scenario}.live"),
            Self::Report(Shortage::None) => format!("{scenario}.report.json"),
            Self::Report(Shortage::Disk(mib)) => format!("{scenario}-{mib}mib.report.json"),
            Self::Report(Shortage::Memory) => format!("{scenario}-starved.report.txt"),
            Self::Makedumpfile(args) => filtered(scenario, "", args),
            Self::Incomplete(mib, args) => filtered(scenario, &format!("-{mib}mib"), args),
            Self::HostMakedumpfile(args) => filtered(scenario, "-host", args),
        }
    }

    /// True when the guest must crash for it.
    pub(super) fn crashes(&self) -> bool {
        !matches!(self, Self::Qemu(_) | Self::Live)
    }

    /// True when the dump is cut short on purpose.
    pub(super) fn is_cut(&self) -> bool {
        matches!(self, Self::Incomplete(..))
    }

    /// Whether it makes a dump of all memory, with which others of the same guest can be
    /// compared.
    pub(super) fn is_comparable(&self) -> bool {
        !matches!(self, Self::Live | Self::Report(_)) && !self.is_cut()
    }

    /// What the guest's second kernel does: a line of name, way, MiB of room
    /// and arguments. Nothing for what is taken from outside.
    pub(super) fn capture(&self, scenario: &str) -> Option<String> {
        let name = self.file_name(scenario);
        match self {
            Self::Qemu(_) | Self::HostMakedumpfile(_) | Self::Live => None,
            Self::Copy => Some(format!("{name} copy 0\n")),
            Self::Makedumpfile(args) => Some(format!("{name} makedumpfile 0 {args}\n")),
            Self::Incomplete(mib, args) => Some(format!("{name} incomplete {mib} {args}\n")),
            Self::Report(Shortage::None) => Some(format!("{name} report 0\n")),
            Self::Report(Shortage::Disk(mib)) => Some(format!("{name} report {mib}\n")),
            Self::Report(Shortage::Memory) => Some(format!("{name} starved 0\n")),
        }
    }
}

fn filtered(scenario: &str, remark: &str, args: &str) -> String {
    let mut name = format!("{scenario}{remark}");
    for word in args.split(" -") {
        name.push('-');
        name.extend(word.chars().filter(char::is_ascii_alphanumeric));
    }
    name.push_str(if args.split(' ').any(|word| word == "-E") {
        ".elf"
    } else {
        ".kdump"
    });
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_parse_and_name_their_files() {
        for (text, name) in [
            ("qemu-elf", "bond.elf"),
            ("qemu-kdump-zlib", "bond.kdump"),
            ("vmcore-raw", "bond.vmcore"),
            ("live", "bond.live"),
            ("report", "bond.report.json"),
            ("report:8", "bond-8mib.report.json"),
            ("report:starved", "bond-starved.report.txt"),
            ("makedumpfile:-d 31 -l", "bond-d31-l.kdump"),
            ("makedumpfile:-E -d 31", "bond-E-d31.elf"),
            ("host-makedumpfile:-d 1 -c", "bond-host-d1-c.kdump"),
            ("incomplete:8:-d 0  -z", "bond-8mib-d0-z.kdump"),
        ] {
            let way: Way = text.parse().unwrap();
            assert_eq!(way.file_name("bond"), name);
            assert_eq!(way.to_string().parse::<Way>().unwrap(), way);
        }
        let way: Way = "incomplete:8:-d 0 -z".parse().unwrap();
        assert_eq!(
            way.capture("bond").unwrap(),
            "bond-8mib-d0-z.kdump incomplete 8 -d 0 -z\n"
        );
    }

    #[test]
    fn what_a_shell_would_not_take_literally_is_refused() {
        for text in [
            "makedumpfile:-d 31; reboot",
            "makedumpfile:$(id)",
            "incomplete:-d 31",
            "vmcore-raw:-d 31",
            "report:full",
            "elf",
        ] {
            assert!(text.parse::<Way>().is_err(), "{text}");
        }
    }

    #[test]
    fn makedumpfile_without_arguments_is_refused() {
        for text in ["makedumpfile", "host-makedumpfile: ", "incomplete:8:"] {
            let error = text.parse::<Way>().unwrap_err().to_string();
            assert!(error.contains("arguments are missing"), "{error}");
        }
    }
}
