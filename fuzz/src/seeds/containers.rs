//! Dumps of a few pages, and pages by themselves.

use pagehound_synth::{
    Compression, ElfOptions, ElfStyle, Flatten, Image, KdumpOptions, LimeOptions, LimeStyle,
    Machine, Order, compress,
};

use super::Seed;

/// Pages of every kind that a container tells apart.
fn image() -> Image {
    let text: Vec<u8> = b"lost pages ".iter().copied().cycle().take(4096).collect();
    Image::new(4096)
        .page(2, text)
        .page(3, b"page 3".to_vec())
        .zero(4)
        .zero(6)
        .excluded(5)
        .excluded(9)
        .vmcoreinfo("OSRELEASE=6.1.0\nPAGESIZE=4096\nSYMBOL(_stext)=ffffffff81000000\n")
        .note("CORE", 1, vec![0; 32])
        .phys_base(0x100_0000)
        .captured_at(1_700_000_000)
        .dump_level(17)
}

pub(super) fn containers() -> Vec<Seed> {
    let image = image();
    let kdump = |compression, version, flattened| {
        image.write_kdump(&KdumpOptions {
            compression,
            version,
            flattened,
            ..KdumpOptions::default()
        })
    };
    let elf = |style, flattened| {
        image.write_elf(&ElfOptions {
            style,
            flattened,
            ..ElfOptions::default()
        })
    };
    let flatten = Flatten {
        record: 1 << 12,
        order: Order::Interleaved,
        holes_below: 4096,
        ..Flatten::default()
    };
    let arm = Image::new(4096)
        .machine(Machine::Aarch64)
        .page(0x4_0000, b"the first page".to_vec())
        .vmcoreinfo("OSRELEASE=6.12.0\nPAGESIZE=16384\nNUMBER(VA_BITS)=48\n");
    let lime = |style| {
        image.write_lime(&LimeOptions {
            style,
            ..LimeOptions::default()
        })
    };
    vec![
        ("lime", lime(LimeStyle::Lime)),
        ("lime-avml", lime(LimeStyle::AvmlPlain)),
        ("avml", lime(LimeStyle::Avml)),
        (
            "lime-mid-page",
            image.write_lime(&LimeOptions {
                extra: vec![(0x800, vec![7; 0xc00]), (0x7123, vec![8; 0x10])],
                ..LimeOptions::default()
            }),
        ),
        (
            "avml-headers-of-zeroes",
            Image::new(4096).zero(1).write_lime(&LimeOptions {
                style: LimeStyle::Avml,
                extra: vec![(0x4000, vec![7; 0x1000])],
                headers_of_zeroes: true,
            }),
        ),
        (
            "raw",
            Image::new(4096)
                .page(0, (0..=255).collect::<Vec<u8>>())
                .page(2, b"raw".to_vec())
                .write_raw(),
        ),
        ("elf-kernel", elf(ElfStyle::Kernel, None)),
        ("elf-makedumpfile", elf(ElfStyle::Makedumpfile, None)),
        ("elf-qemu", elf(ElfStyle::Qemu, None)),
        (
            "elf-xnum-split-notes-scattered",
            image.write_elf(&ElfOptions {
                pn_xnum: true,
                split_notes: true,
                scattered: true,
                extra: vec![(0x7100, b"in no page of its own".to_vec())],
                ..ElfOptions::default()
            }),
        ),
        ("elf-arm64", arm.write_elf(&ElfOptions::default())),
        ("elf-flattened", elf(ElfStyle::Kernel, Some(flatten))),
        ("kdump-mixed", kdump(Compression::Mixed, 6, None)),
        ("kdump-zlib-3", kdump(Compression::Zlib, 3, None)),
        ("kdump-lzo-1", kdump(Compression::Lzo, 1, None)),
        (
            "kdump-flattened",
            kdump(Compression::Snappy, 6, Some(flatten)),
        ),
        (
            "kdump-split",
            image.write_kdump(&KdumpOptions {
                split: Some(3..7),
                compression: Compression::Zstd,
                ..KdumpOptions::default()
            }),
        ),
        (
            "kdump-incomplete-one-bitmap",
            image.write_kdump(&KdumpOptions {
                single_bitmap: true,
                status: 0x8,
                share_zero_pages: false,
                backward: true,
                ..KdumpOptions::default()
            }),
        ),
    ]
}

/// The two parts of a dump, whose first 5 frames are in the first.
pub(super) fn split() -> Vec<Seed> {
    let part = |frames| {
        image().write_kdump(&KdumpOptions {
            split: Some(frames),
            ..KdumpOptions::default()
        })
    };
    let of = |[first, second]: [Vec<u8>; 2]| {
        let mut seed = (first.len() as u16).to_le_bytes().to_vec();
        seed.extend(first);
        seed.extend(second);
        seed
    };
    vec![
        ("parts", of([part(0..5), part(5..10)])),
        ("parts-in-disorder", of([part(5..10), part(0..5)])),
        ("parts-that-overlap", of([part(0..6), part(3..10)])),
        ("parts-with-one-missing", of([part(0..3), part(6..10)])),
    ]
}

pub(super) fn codec() -> Vec<Seed> {
    let page: Vec<u8> = (0..1024u32)
        .flat_map(|word| (word % 37 * word % 11).to_le_bytes())
        .collect();
    let packed = |codec: u8, method| {
        let (packed, _) = compress(method, 0, &page);
        let mut seed = vec![codec];
        seed.extend((page.len() as u16).to_le_bytes());
        seed.extend(packed);
        seed
    };
    vec![
        ("plain", packed(0, Compression::Plain)),
        ("zlib", packed(1, Compression::Zlib)),
        ("lzo", packed(2, Compression::Lzo)),
        ("snappy", packed(3, Compression::Snappy)),
        ("zstd", packed(4, Compression::Zstd)),
    ]
}
