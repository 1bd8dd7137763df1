//! What is not a dump is told apart, in one line that says what to do.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::fs;
use std::path::Path;

use common::{file_of, open_bytes};
use pagehound_synth::{ElfOptions, Image, KdumpOptions};
use pagehound_vmcore::{Advice, OpenError, open};

fn message(path: &Path) -> String {
    let error = open(path).err().expect("an error");
    let text = error.to_string();
    assert!(text.starts_with(&path.display().to_string()), "{text}");
    assert!(!text.contains('\n'), "{text}");
    text
}

fn message_of(bytes: &[u8]) -> String {
    message(file_of(bytes).path())
}

#[test]
fn a_missing_file_suggests_its_neighbours() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["vmcore-2026-11-22", "vmcore-2026-11-23", "notes.txt"] {
        fs::write(folder.path().join(name), "x").expect("write");
    }
    let text = message(&folder.path().join("vmcore-2026-11-24"));
    assert!(text.contains("no such file; did you mean "), "{text}");
    assert!(text.contains("vmcore-2026-11-22 or "), "{text}");
    assert!(!text.contains("notes.txt"), "{text}");
    // Cut off by the shell's completion, and a slip of the finger.
    assert!(message(&folder.path().join("vmcore")).contains("vmcore-2026-11-22"));
    assert!(message(&folder.path().join("vmcroe-2026-11-22")).contains("vmcore-2026-11-22"));
    let text = message(&folder.path().join("quite-different"));
    assert!(text.ends_with("no such file"), "{text}");
    assert!(message(Path::new("/nowhere/at/all/vmcore")).ends_with("no such file"));
}

#[test]
fn a_folder_names_the_dump_inside() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(message(folder.path()).contains("a folder; give the dump inside it"));
    fs::write(folder.path().join("vmcore-dmesg.txt"), "x").expect("write");
    fs::write(folder.path().join("vmcore"), "x").expect("write");
    let text = message(folder.path());
    assert!(
        text.ends_with(&format!("try {}", folder.path().join("vmcore").display())),
        "{text}"
    );
}

#[test]
fn what_is_no_dump_is_named() {
    assert!(message_of(b"").contains(": empty; "));
    let text = message_of("MemTotal:  16384 kB\nMemFree: 1 kB\n".as_bytes());
    assert!(
        text.contains("a text file that begins with \"MemTotal:  16384 kB\""),
        "{text}"
    );
    // A letter cut in two at the end of what is looked at is text still.
    assert!(message_of("ä".repeat(1000).as_bytes()).contains("a text file"));
    assert!(message_of(&[b"x", "ä".repeat(1000).as_bytes()].concat()).contains("a text file"));
    assert!(message_of(&[0; 5000]).contains("zero bytes"));
    let text = message_of(b"\x01\x02\x03\xfe\xff\x80\x00rest of it");
    assert!(
        text.contains("unknown first bytes 01 02 03 fe ff 80 00 72"),
        "{text}"
    );
}

#[test]
fn packed_files_say_how_to_unpack_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it's a dump");
    let word = format!(r"'{}/it'\''s a dump'", folder.path().display());
    for (signature, command) in [
        (&b"\x1f\x8b\x08\0"[..], "gzip"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"BZh9", "bzip2"),
        (b"\x89LZO\0", "lzop"),
    ] {
        fs::write(&path, [signature, &[0xaa; 600]].concat()).expect("write");
        let error = open(&path).err().expect("an error");
        let text = error.to_string();
        // In the shell a word goes on behind its quotes.
        let wanted = format!("run: {command} -dc {word} > {word}.unpacked");
        assert!(text.ends_with(&wanted), "{text}");
        let OpenError::Unsupported {
            advice: Advice::Run { pipe, .. },
            ..
        } = error
        else {
            panic!("{text}");
        };
        assert_eq!(pipe, Some(format!("{command} -dc {{}}").as_str()));
    }
    assert!(message_of(b"PK\x03\x04").contains("run: unzip "));
    let mut tar = vec![0; 600];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(message_of(&tar).contains("run: tar -xf "));
}

#[test]
fn other_containers_are_recognised() {
    for (signature, name) in [
        (&b"DISKDUMP"[..], "diskdump"),
        (b"sadump\0\0", "sadump"),
        (b"mp\0\0", "sadump"),
        (b"QEVM\0\0\0\x03", "QEMU migration"),
        (b"LibvirtQemudSave", "libvirt"),
        (b"PAGEDU64", "Windows"),
    ] {
        let bytes = [signature, &[0xaa; 600]].concat();
        let error = open_bytes(&bytes).err().expect("an error");
        assert!(matches!(error, OpenError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn elf_files_that_are_no_dump_of_a_machine() {
    let mut kernel = Image::new(4096)
        .page(1, b"x".to_vec())
        .write_elf(&ElfOptions::default());
    kernel[16] = 2; // ET_EXEC
    let text = message_of(&kernel);
    assert!(
        text.contains("e_type 2") && text.contains("kernel image"),
        "{text}"
    );

    let mut old = Image::new(4096)
        .page(1, b"x".to_vec())
        .write_elf(&ElfOptions::default());
    old[4] = 1; // ELFCLASS32
    assert!(message_of(&old).contains("32-bit"));

    let options = ElfOptions {
        scattered: true,
        ..ElfOptions::default()
    };
    let mut process = Image::new(4096)
        .page(1, b"x".to_vec())
        .page(9, b"y".to_vec())
        .write_elf(&options);
    for phdr in 1..4 {
        let paddr = 64 + 56 * phdr + 24;
        process[paddr..paddr + 8].fill(0);
    }
    assert!(message_of(&process).contains("core of a process"));
}

#[test]
fn kdump_headers_name_field_offset_and_value() {
    let good = Image::new(4096)
        .page(1, b"x".to_vec())
        .write_kdump(&KdumpOptions::default());
    let with = |at: usize, value: u32| {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        message_of(&bytes)
    };
    assert!(
        with(8, 0).contains("header_version at offset 0x8: 0"),
        "{}",
        with(8, 0)
    );
    assert!(with(8, 6u32.swap_bytes()).contains("big-endian"));
    assert!(with(428, 5000).contains("block_size at offset 0x1ac: 5000"));
    assert!(with(432, 0).contains("sub_hdr_size at offset 0x1b0: 0"));
    assert!(with(436, 0).contains("bitmap_blocks at offset 0x1b4: 0 blocks, but 2 frames need 1"));
    let text = message_of(&good[..300]);
    assert!(
        text.contains("disk_dump_header") && text.contains("cut short"),
        "{text}"
    );
    let text = message_of(&good[..4096 * 2]);
    assert!(text.contains("bitmap at offset 0x2000"), "{text}");
}

/// Opening a pipe would wait for somebody to write to it.
#[test]
fn a_device_is_refused_at_once() {
    let text = message(Path::new("/dev/null"));
    assert!(text.contains("neither a file nor a block device"), "{text}");
}
