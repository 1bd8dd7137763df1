//! Seeds are what they are called: one that is refused at its first byte leads nowhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::PathBuf;

use pagehound_fuzz::seeds;
use pagehound_kernel::Vmlinux;
use pagehound_live::capture::StretchMap;
use pagehound_live::saved;
use pagehound_vmcore::{Format, OpenError, OpenOptions, VirtAddr};
use tempfile::NamedTempFile;

fn file_of(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn archives() {
    for (name, bytes) in seeds::of("tar") {
        let bounds = saved::bounds(bytes.len() as u64);
        let host = saved::open(&bytes[..], bounds, PathBuf::from(name));
        match name {
            "gnu" | "links" => assert!(host.is_err(), "{name}"),
            _ => assert!(host.unwrap().unwrap().problems.is_empty(), "{name}"),
        }
    }
}

#[test]
fn containers() {
    let options = OpenOptions {
        raw: true,
        ..OpenOptions::default()
    };
    for (name, bytes) in seeds::of("containers") {
        let dump = options.open(file_of(&bytes).path()).unwrap();
        let format = match name.split('-').next().unwrap() {
            "elf" if name.contains("flattened") => Format::FlattenedElf,
            "elf" => Format::Elf,
            "kdump" if name.contains("flattened") => Format::FlattenedKdump,
            "kdump" => Format::Kdump,
            "lime" => Format::Lime,
            "avml" => Format::Avml,
            _ => Format::Raw,
        };
        assert_eq!(dump.info.format, format, "{name}");
        assert!(dump.memory.coverage().present > 0, "{name}");
    }
}

#[test]
fn page_maps() {
    for (name, bytes) in seeds::of("capture") {
        let (kinds, map) = bytes.split_first_chunk().unwrap();
        let map = StretchMap::parse(map.to_vec(), u16::from_le_bytes(*kinds).into()).unwrap();
        let is_counted = map.exact_frames() < map.frames();
        assert_eq!(is_counted, name == "counted", "{name}");
    }
}

#[test]
fn parts() {
    for (name, bytes) in seeds::of("split") {
        let (len, files) = bytes.split_first_chunk().unwrap();
        let (first, second) = files.split_at(u16::from_le_bytes(*len).into());
        let files = [file_of(first), file_of(second)];
        let paths: [PathBuf; 2] = files.each_ref().map(|file| file.path().to_owned());
        let dump = OpenOptions::default().open_parts(&paths);
        if name.ends_with("overlap") {
            assert!(matches!(dump, Err(OpenError::NotADump { .. })), "{name}");
            continue;
        }
        let dump = dump.unwrap();
        let is_missing = name.ends_with("missing");
        assert_eq!(dump.info.incomplete, is_missing, "{name}");
    }
}

#[test]
fn files_with_debug_information() {
    for (name, bytes) in seeds::of("vmlinux") {
        let file = file_of(&bytes);
        let vmlinux = Vmlinux::open(file.path()).unwrap();
        assert!(vmlinux.build_id().is_some(), "{name}");
        let banner = vmlinux.banner().unwrap();
        assert!(banner.starts_with(b"Linux version 6.1.0 "), "{name}");
        let symbols = vmlinux.symbols(VirtAddr(0xffff_ffff_9100_0000)).unwrap();
        let task = symbols.address("init_task");
        assert_eq!(task, Some(VirtAddr(0xffff_ffff_9200_0000)), "{name}");
        let (types, warnings) = vmlinux.types("6.1.0", None).unwrap();
        assert_eq!(warnings, Vec::<String>::new(), "{name}");
        assert_eq!(types.size_of("page"), Some(64), "{name}");
        let value = types.enumerator("zone_stat_item", "NR_BOUNCE");
        assert_eq!(value, Some(-1), "{name}");
    }
}
