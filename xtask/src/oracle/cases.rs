//! Small dumps of the formats libkdumpfile has tests for: what they vary is what
//! these vary (its tests `diskdump-*` and `elf-*`), written from the formats'
//! definitions.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pagehound_synth::{
    Compression, ElfOptions, ElfStyle, Flatten, Image, KdumpOptions, Machine, Order, flatten,
};

/// Writes them into `folder`; each of one or more files.
pub(super) fn write(folder: &Path) -> Result<Vec<Vec<PathBuf>>> {
    let mut written = Vec::new();
    for (name, parts) in all() {
        let mut files = Vec::new();
        for (number, bytes) in parts.iter().enumerate() {
            let file = folder.join(format!("{name}.{number}"));
            fs::write(&file, bytes).with_context(|| file.display().to_string())?;
            files.push(file);
        }
        written.push(files);
    }
    Ok(written)
}

fn all() -> Vec<(String, Vec<Vec<u8>>)> {
    let mut cases = Vec::new();
    let mut case = |name: &str, parts: Vec<Vec<u8>>| cases.push((name.to_owned(), parts));
    let image = image();
    for compression in [
        Compression::Plain,
        Compression::Zlib,
        Compression::Lzo,
        Compression::Snappy,
        Compression::Zstd,
        Compression::Mixed,
    ] {
        let options = KdumpOptions {
            compression,
            ..KdumpOptions::default()
        };
        let name = format!("{compression:?}").to_lowercase();
        case(
            &format!("diskdump-basic-{name}"),
            vec![image.write_kdump(&options)],
        );
    }
    for version in 1..=6 {
        let options = KdumpOptions {
            version,
            ..KdumpOptions::default()
        };
        case(
            &format!("diskdump-v{version}"),
            vec![image.write_kdump(&options)],
        );
    }
    let plain = image.write_kdump(&KdumpOptions::default());
    for order in [Order::Forward, Order::Backward] {
        let options = Flatten {
            order,
            ..Flatten::default()
        };
        let name = format!("diskdump-flat-{order:?}").to_lowercase();
        case(&name, vec![flatten(&plain, &options)]);
    }
    let parts = |flattened: &[bool]| -> Vec<Vec<u8>> {
        let part = |(number, &flattened): (u64, &bool)| {
            let part = image.write_kdump(&KdumpOptions {
                split: Some(match number {
                    0 => 0..0x12,
                    1 => 0x12..0x80,
                    _ => 0x80..0x2000,
                }),
                ..KdumpOptions::default()
            });
            match flattened {
                true => flatten(&part, &Flatten::default()),
                false => part,
            }
        };
        (0..).zip(flattened).map(part).collect()
    };
    case("diskdump-split", parts(&[false; 3]));
    case("diskdump-split-flat", parts(&[true; 3]));
    case("diskdump-split-mixed", parts(&[false, true, false]));
    let empty = Image::new(4096).vmcoreinfo("OSRELEASE=6.1.0\nPAGESIZE=4096\n");
    case(
        "diskdump-empty",
        vec![empty.end_pfn(64).write_kdump(&KdumpOptions::default())],
    );
    for style in [ElfStyle::Kernel, ElfStyle::Qemu, ElfStyle::Makedumpfile] {
        let options = ElfOptions {
            style,
            ..ElfOptions::default()
        };
        let name = format!("elf-{style:?}").to_lowercase();
        case(&name, vec![image.write_elf(&options)]);
    }
    cases
}

/// Pages of several kinds, some left out, with holes between.
fn image() -> Image {
    let mut image = Image::new(4096)
        .machine(Machine::X86_64)
        .vmcoreinfo("OSRELEASE=6.1.0\nPAGESIZE=4096\n")
        .end_pfn(0x2000);
    for pfn in [
        0x10_u64, 0x11, 0x12, 0x40, 0x41, 0x7f, 0x80, 0xfff, 0x1000, 0x1fff,
    ] {
        let word = pfn.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        image.set_page(pfn, word.repeat(if pfn % 2 == 0 { 512 } else { 3 }));
    }
    image.set_page(0x13, []);
    // Bytes that no compression shrinks.
    let mut random = fastrand::Rng::with_seed(1);
    let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
        .take(4096)
        .collect();
    image.set_page(0x14, noise);
    for pfn in [0x15, 0x42, 0x1001] {
        image.set_excluded(pfn);
    }
    image
}
