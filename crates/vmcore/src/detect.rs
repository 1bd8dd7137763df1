//! What a file is, by its first bytes.

use std::path::Path;

use crate::error::{Advice, OpenError};
use crate::lime::Kind;
use crate::mac::hex;
use crate::source::FLAT_SIGNATURE;
use crate::{elf, kdump};

/// Bytes looked at.
pub const HEAD: usize = 512;

/// Containers that are read here.
pub(crate) enum Container {
    /// ELF, a core or not.
    Elf,
    /// Compressed kdump.
    Kdump,
    /// LiME or AVML.
    Lime(Kind),
}

/// The container whose signature `head` begins with.
pub(crate) fn container(head: &[u8]) -> Option<Container> {
    if head.starts_with(elf::SIGNATURE) {
        Some(Container::Elf)
    } else if head.starts_with(kdump::SIGNATURE) {
        Some(Container::Kdump)
    } else {
        Kind::of(head).map(Container::Lime)
    }
}

/// A format that is recognised but not read.
struct Known {
    /// Where its signature lies.
    at: usize,
    signature: &'static [u8],
    what: &'static str,
    advice: Advice,
}

/// Through standard output: other ways want a suffix, which a file need not have.
const fn unpack(command: &'static str, pipe: &'static str) -> Advice {
    let pipe = Some(pipe);
    Advice::Run { command, pipe }
}

const fn run(command: &'static str) -> Advice {
    Advice::Run {
        command,
        pipe: None,
    }
}

const MIGRATION: Advice =
    Advice::Say("dump the guest instead: virsh dump --memory-only --format kdump-zlib DOMAIN FILE");

/// Longer signatures before their prefixes.
const KNOWN: &[Known] = &[
    known(
        0,
        b"DISKDUMP",
        "an old diskdump",
        Advice::Say("open it with crash; diskdump ended with Linux 2.6.12"),
    ),
    known(
        0,
        b"sadu",
        "a sadump partition",
        run("makedumpfile -c -d 31 -x VMLINUX {} {}.kdump"),
    ),
    known(
        0,
        b"mp\0\0",
        "a sadump disk set",
        run("makedumpfile -c -d 31 -x VMLINUX {} {}.kdump"),
    ),
    known(0, b"LibvirtQemudSave", "a libvirt save image", MIGRATION),
    known(0, b"QEVM", "a QEMU migration stream", MIGRATION),
    known(
        0,
        b"PAGEDU64",
        "a Windows crash dump",
        Advice::Say("only dumps of Linux are read"),
    ),
    known(
        0,
        b"PAGEDUMP",
        "a Windows crash dump",
        Advice::Say("only dumps of Linux are read"),
    ),
    known(
        0,
        b"\xd2\xbe\xd2\xbe",
        "a VMware snapshot",
        run("vmss2core -N6 {}"),
    ),
    known(
        0,
        b"\xd1\xba\xd1\xba",
        "a VMware snapshot",
        run("vmss2core -N6 {}"),
    ),
    known(
        0,
        b"\xd0\xba\xd0\xba",
        "a VMware snapshot",
        run("vmss2core -N6 {}"),
    ),
    known(
        0,
        b"\x1f\x8b",
        "compressed with gzip",
        unpack("gzip -dc {} > {}.unpacked", "gzip -dc {}"),
    ),
    known(
        0,
        b"\xfd7zXZ\0",
        "compressed with xz",
        unpack("xz -dc {} > {}.unpacked", "xz -dc {}"),
    ),
    known(
        0,
        b"\x28\xb5\x2f\xfd",
        "compressed with zstd",
        unpack("zstd -dc {} > {}.unpacked", "zstd -dc {}"),
    ),
    known(
        0,
        b"\x04\x22\x4d\x18",
        "compressed with lz4",
        unpack("lz4 -dc {} > {}.unpacked", "lz4 -dc {}"),
    ),
    known(
        0,
        b"BZh",
        "compressed with bzip2",
        unpack("bzip2 -dc {} > {}.unpacked", "bzip2 -dc {}"),
    ),
    known(
        0,
        b"\x89LZO\0",
        "compressed with lzop",
        unpack("lzop -dc {} > {}.unpacked", "lzop -dc {}"),
    ),
    known(0, b"PK\x03\x04", "a zip archive", run("unzip {}")),
    known(0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", run("7z x {}")),
    known(257, b"ustar", "a tar archive", run("tar -xf {}")),
    known(
        0,
        b"QFI\xfb",
        "a QEMU disk image",
        Advice::Say("give the dump inside it"),
    ),
];

const fn known(at: usize, signature: &'static [u8], what: &'static str, advice: Advice) -> Known {
    Known {
        at,
        signature,
        what,
        advice,
    }
}

/// Whether a file that begins with `head` is worth reading on: not if it is packed, a
/// text, or of a format that is not read here. Errors call it `name`.
///
/// # Errors
///
/// [`OpenError::Unsupported`] and [`OpenError::NotADump`], as opening it would say.
pub fn worth_reading(head: &[u8], name: &Path) -> Result<(), OpenError> {
    if container(head).is_some() || head.starts_with(FLAT_SIGNATURE) {
        return Ok(());
    }
    match explain(name, head) {
        OpenError::NoSignature { .. } => Ok(()),
        error => Err(error),
    }
}

/// Why the file that begins with `head` is not opened, and what to do.
pub(crate) fn explain(path: &Path, head: &[u8]) -> OpenError {
    let matches = |known: &&Known| {
        head.get(known.at..)
            .is_some_and(|rest| rest.starts_with(known.signature))
    };
    if let Some(known) = KNOWN.iter().find(matches) {
        return OpenError::Unsupported {
            path: path.to_owned(),
            what: known.what,
            advice: known.advice,
        };
    }
    if is_text(head) {
        let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let line: String = String::from_utf8_lossy(line).chars().take(40).collect();
        return OpenError::NotADump {
            path: path.to_owned(),
            what: format!("a text file that begins with {line:?}"),
            advice: "give a crash dump".to_owned(),
        };
    }
    let what = if head.iter().all(|&byte| byte == 0) {
        format!("{} zero bytes at its start", head.len())
    } else {
        let first = hex(head.get(..16).unwrap_or(head), " ");
        format!("unknown first bytes {first}")
    };
    OpenError::NoSignature {
        path: path.to_owned(),
        what,
        advice: "give a dump, which begins with 7f 45 4c 46 (ELF), \"KDUMP   \", \"makedumpfile\", \"EMiL\" (LiME) \
                 or \"AVML\", or raw memory, where an offset is a physical address"
            .to_owned(),
    }
}

fn is_text(head: &[u8]) -> bool {
    // The last character may be cut in two.
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if head.len() - error.valid_up_to() < 4 => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default())
                .unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty()
        && text
            .chars()
            .all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\x0c' | '\x1b'))
}
