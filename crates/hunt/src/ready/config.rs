//! Where dumps go and what is kept in them, by the configuration of kdump. It is read as
//! text: nothing of it is executed, and a value that is more than text is not told.

use pagehound_procfs::Tree;

/// Longest file that is read.
const MOST: u64 = 1 << 18;

const DEBIAN: &str = "etc/default/kdump-tools";
const FEDORA: &str = "etc/kdump.conf";

/// Whose tools take the dump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tools {
    /// Debian's kdump-tools: `/etc/default/kdump-tools`, kdump-tools.conf(5).
    Debian,
    /// kdump-utils and kexec-tools of Fedora and RHEL: `/etc/kdump.conf`, kdump.conf(5).
    Fedora,
}

impl Tools {
    /// The file they are configured by.
    pub(super) fn file(self) -> &'static str {
        match self {
            Tools::Debian => "/etc/default/kdump-tools",
            Tools::Fedora => "/etc/kdump.conf",
        }
    }
}

/// Where a dump goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// A folder of this host.
    Folder(String),
    /// Another file system, a device or a host, in words.
    Elsewhere(String),
    /// The file does not say it in plain words.
    Untold(String),
}

/// What the configuration says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Config {
    pub(super) tools: Tools,
    /// Whether it says that a dump is to be taken.
    pub(super) on: bool,
    pub(super) place: Place,
    /// The program that writes the dump, with its arguments; none if it is not plain.
    pub(super) collector: Option<String>,
    /// Programs of `extra_bins` and `kdump_pre`.
    pub(super) programs: String,
}

/// The configuration in `tree`; none where there is none that is known.
pub(super) fn read(tree: &dyn Tree) -> Option<Config> {
    let text = |path| {
        let text = tree.read(path, MOST).ok()?;
        Some(String::from_utf8_lossy(&text.bytes).into_owned())
    };
    if let Some(text) = text(DEBIAN) {
        return Some(debian(&text));
    }
    text(FEDORA).map(|text| fedora(&text))
}

/// The defaults are those of `kdump-config` (kdump-tools 1.8.1 and 1.10.7).
fn debian(text: &str) -> Config {
    let get = |name| variable(text, name);
    let place = match (get("SSH"), get("FTP"), get("NFS"), get("KDUMP_COREDIR")) {
        (Value::Text(host), ..) => Place::Elsewhere(format!("{host}, by ssh")),
        (_, Value::Text(host), ..) => Place::Elsewhere(format!("{host}, by FTP")),
        (_, _, Value::Text(mount), _) => Place::Elsewhere(format!("{mount}, by NFS")),
        (Value::None, Value::None, Value::None, Value::Text(folder)) => Place::Folder(folder),
        (Value::None, Value::None, Value::None, Value::None) => {
            Place::Folder("/var/crash".to_owned())
        }
        _ => Place::Untold("KDUMP_COREDIR, SSH, FTP or NFS is more than text".to_owned()),
    };
    let args = match get("MAKEDUMP_ARGS") {
        Value::None => Some("-c -d 31".to_owned()),
        Value::Text(args) => Some(args),
        Value::Script => None,
    };
    Config {
        tools: Tools::Debian,
        // As its init script has it: what is no number, and 0, is no.
        on: matches!(get("USE_KDUMP"), Value::Text(number) if number.parse() != Ok(0) && number.parse::<i32>().is_ok()),
        place,
        collector: args.map(|args| format!("makedumpfile {args}")),
        programs: String::new(),
    }
}

/// The defaults are those of `kdump.sh` (kdump-utils 63f248c).
fn fedora(text: &str) -> Config {
    let mut path = "/var/crash";
    let mut elsewhere = None;
    let mut collector = "makedumpfile -l --message-level 7 -d 31";
    let mut programs = String::new();
    for (option, value) in options(text) {
        match option {
            "path" => path = value,
            "core_collector" => collector = value,
            "extra_bins" | "kdump_pre" => programs += &format!("{value} "),
            "ssh" => elsewhere = Some(format!("{value}, by ssh")),
            "nfs" => elsewhere = Some(format!("{value}, by NFS")),
            "raw" => elsewhere = Some(format!("the device {value}")),
            "ext2" | "ext3" | "ext4" | "xfs" | "btrfs" | "minix" | "virtiofs" => {
                elsewhere = Some(format!("{path} of {value} ({option})"));
            }
            "dracut_args" if value.contains("--mount") => {
                elsewhere = Some(format!("what dracut mounts ({value})"));
            }
            _ => {}
        }
    }
    Config {
        tools: Tools::Fedora,
        on: true,
        place: elsewhere.map_or_else(|| Place::Folder(path.to_owned()), Place::Elsewhere),
        collector: Some(collector.to_owned()),
        programs,
    }
}

/// Options with what follows them on the line, without comments and quotes.
fn options(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (line, _) = line.split_once('#').unwrap_or((line, ""));
        let (option, value) = line.trim().split_once(char::is_whitespace)?;
        let value = value.trim();
        let quoted = value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        Some((option, quoted.unwrap_or(value)))
    })
}

/// What a variable of a shell's file is.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Value {
    /// Not there, or empty.
    None,
    Text(String),
    /// Something for the shell to work out.
    Script,
}

/// The variable `name` of lines such as `NAME="value"`; the last counts.
fn variable(text: &str, name: &str) -> Value {
    let mut assigned = text.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        line.strip_prefix(name)?.strip_prefix('=')
    });
    assigned.next_back().map_or(Value::None, value)
}

/// What stands behind the `=`.
fn value(text: &str) -> Value {
    let (value, rest) = if let Some(rest) = text.strip_prefix('\'') {
        rest.split_once('\'').unwrap_or((rest, "'"))
    } else if let Some(rest) = text.strip_prefix('"') {
        let (value, rest) = rest.split_once('"').unwrap_or((rest, "\""));
        if value.contains(['$', '`', '\\']) {
            return Value::Script;
        }
        (value, rest)
    } else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        if value.contains(['$', '`', '\\', '"', '\'', ';', '&', '|', '(', '<', '>']) {
            return Value::Script;
        }
        (value, rest)
    };
    let rest = rest.trim_start();
    if !rest.is_empty() && !rest.starts_with('#') {
        return Value::Script;
    }
    match value {
        "" => Value::None,
        value => Value::Text(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_values_are_told() {
        let text = |text: &str| Value::Text(text.to_owned());
        for (line, wanted) in [
            ("A=1", text("1")),
            ("A=\"-c -d 31\"", text("-c -d 31")),
            ("A='$b' # as it is", text("$b")),
            ("  export A=/x/y # where", text("/x/y")),
            ("A=1\nA=2", text("2")),
            ("A=1\nA=", Value::None),
            ("#A=1", Value::None),
            ("AB=1", Value::None),
            ("", Value::None),
            ("A=\"$(reboot)\"", Value::Script),
            ("A=`id`", Value::Script),
            ("A=$HOME/x", Value::Script),
            ("A=\"a\"b", Value::Script),
            ("A=1;B=2", Value::Script),
            ("A=x command", Value::Script),
            ("A=\"open", Value::Script),
        ] {
            assert_eq!(variable(line, "A"), wanted, "{line}");
        }
    }

    #[test]
    fn debians_file() {
        let usual = debian("USE_KDUMP=1\nKDUMP_COREDIR=\"/data/crash\"\n#MAKEDUMP_ARGS=\"-d 0\"\n");
        assert!(usual.on);
        assert_eq!(usual.place, Place::Folder("/data/crash".to_owned()));
        assert_eq!(usual.collector.as_deref(), Some("makedumpfile -c -d 31"));
        for off in ["", "USE_KDUMP=0", "USE_KDUMP=00", "USE_KDUMP=yes"] {
            assert!(!debian(off).on, "{off}");
        }
        let nfs = debian("USE_KDUMP=1\nNFS=\"host:/dumps\"\nKDUMP_COREDIR=/var/crash\n");
        assert_eq!(
            nfs.place,
            Place::Elsewhere("host:/dumps, by NFS".to_owned())
        );
        let script = debian("KDUMP_COREDIR=/srv/$(hostname)\nMAKEDUMP_ARGS=\"$ARGS\"\n");
        assert!(matches!(script.place, Place::Untold(_)));
        assert_eq!(script.collector, None);
    }

    #[test]
    fn fedoras_file() {
        let usual = fedora("# a comment\nauto_reset_crashkernel yes\npath /var/crash\n");
        assert_eq!(usual.place, Place::Folder("/var/crash".to_owned()));
        let collector = usual.collector.unwrap();
        assert_eq!(collector, "makedumpfile -l --message-level 7 -d 31");
        let other = fedora(
            "path /dumps # there\nxfs UUID=0313\ncore_collector \"cp --sparse=always\"\n\
             extra_bins /usr/bin/pagehound\nkdump_pre /x\n",
        );
        let place = Place::Elsewhere("/dumps of UUID=0313 (xfs)".to_owned());
        assert_eq!(other.place, place);
        assert_eq!(other.collector.as_deref(), Some("cp --sparse=always"));
        assert_eq!(other.programs, "/usr/bin/pagehound /x ");
        let ssh = fedora("ssh root@host\n").place;
        assert_eq!(ssh, Place::Elsewhere("root@host, by ssh".to_owned()));
        let here = fedora("dracut_args --omit-drivers \"a\"\n").place;
        assert_eq!(here, Place::Folder("/var/crash".to_owned()));
    }
}
