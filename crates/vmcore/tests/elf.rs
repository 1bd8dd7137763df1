//! Every style of ELF core against one expectation.

mod common;

use std::os::unix::fs::FileExt;

use common::{Expected, check, file_of, noise, open_bytes, sample};
use pagehound_synth::{ElfOptions, ElfStyle, Flatten, Image, Order};
use pagehound_vmcore::{
    Coverage, Format, Machine, OpenOptions, PageState, Pfn, PhysAddr, VirtAddr,
};

const STYLES: [ElfStyle; 3] = [ElfStyle::Kernel, ElfStyle::Qemu, ElfStyle::Makedumpfile];

/// ELF cores know no lost pages: they are holes there.
fn elf_sample(page_size: usize) -> (Image, Expected) {
    let (image, mut expected) = sample(page_size);
    expected.lost.clear();
    (image, expected)
}

#[test]
fn every_style() {
    for page_size in [4096, 16384, 65536] {
        let (image, expected) = elf_sample(page_size);
        for style in STYLES {
            for (pn_xnum, split_notes, scattered) in [
                (false, false, false),
                (true, false, false),
                (false, true, true),
                (true, true, true),
            ] {
                let options = ElfOptions {
                    style,
                    pn_xnum,
                    split_notes,
                    scattered,
                    ..ElfOptions::default()
                };
                let what = format!("{page_size}, {options:?}");
                let info = check(&what, &image.write_elf(&options), &expected).info;
                assert_eq!(info.format, Format::Elf, "{what}");
                assert_eq!(info.machine, Some(Machine::X86_64), "{what}");
                assert!(!info.incomplete, "{what}");
                assert!(info.warnings.is_empty(), "{what}: {:?}", info.warnings);
                assert!(
                    info.vmcoreinfo
                        .is_some_and(|text| text.starts_with(b"OSRELEASE=6.1.0\n"))
                );
                let names: Vec<&[u8]> = info.notes.iter().map(|note| &*note.name).collect();
                assert_eq!(
                    names,
                    [&b"CORE"[..], b"CORE", b"QEMU", b"VMCOREINFO"],
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn flattened() {
    let (image, expected) = elf_sample(4096);
    for order in [Order::Forward, Order::Backward, Order::Interleaved] {
        for overwrite in [false, true] {
            let flat = Flatten {
                record: 10_000,
                order,
                overwrite,
                ..Flatten::default()
            };
            let options = ElfOptions {
                flattened: Some(flat),
                ..ElfOptions::default()
            };
            let dump = check(
                &format!("{options:?}"),
                &image.write_elf(&options),
                &expected,
            );
            assert_eq!(dump.info.format, Format::FlattenedElf);
        }
    }
}

/// The page size may come from the caller, who found VMCOREINFO in memory.
#[test]
fn a_page_size_the_container_does_not_say() {
    let bytes = noise(7, 65536);
    let image = Image::new(65536).page(2, bytes.clone()).excluded(3);
    let file = file_of(&image.write_elf(&ElfOptions::default()));
    let options = OpenOptions {
        page_shift: Some(16),
        ..OpenOptions::default()
    };
    let memory = options.open(file.path()).expect("opens").memory;
    let mut page = vec![0; 65536];
    memory.read_page(Pfn(2), &mut page).expect("present");
    assert!(page == bytes);
    assert_eq!(
        memory.coverage(),
        Coverage {
            present: 1,
            excluded: 1,
            ..Coverage::default()
        }
    );
    let memory = pagehound_vmcore::open(file.path()).expect("opens").memory;
    assert_eq!(
        memory.coverage(),
        Coverage {
            present: 16,
            excluded: 16,
            ..Coverage::default()
        }
    );
}

#[test]
fn program_headers_are_handed_on() {
    let image = Image::new(4096)
        .machine(pagehound_synth::Machine::Aarch64)
        .page(0x40000, b"text".to_vec())
        .excluded(0x40001);
    let options = ElfOptions {
        style: ElfStyle::Makedumpfile,
        ..ElfOptions::default()
    };
    let dump = image.write_elf(&options);
    let info = open_bytes(&dump).expect("opens").info;
    assert_eq!(info.machine, Some(Machine::Aarch64));
    let [segment] = info.segments[..] else {
        panic!("{:?}", info.segments)
    };
    assert_eq!(segment.paddr, PhysAddr(0x4000_0000));
    assert_eq!(segment.vaddr, VirtAddr(0xffff_8880_4000_0000));
    assert_eq!((segment.filesz, segment.memsz), (4096, 8192));
    assert!(dump[segment.offset as usize..].starts_with(b"text\0"));
}

/// Segments that begin and end in mid-page, meet there, and overlap.
#[test]
fn segments_aligned_to_nothing() {
    let bytes = noise(1, 0x6000);
    let part = |from: usize, to: usize| (0x10_0000 + from as u64, bytes[from..to].to_vec());
    type Case = (&'static str, Vec<(u64, Vec<u8>)>, std::ops::Range<usize>);
    let cases: [Case; 5] = [
        ("ends in mid-page", vec![part(0, 0x1c00)], 0..0x1c00),
        (
            "begins in mid-page",
            vec![part(0xc00, 0x3000)],
            0xc00..0x3000,
        ),
        ("within a page", vec![part(0x1100, 0x1200)], 0x1100..0x1200),
        (
            "meet in mid-page",
            vec![part(0, 0x1800), part(0x1800, 0x4000)],
            0..0x4000,
        ),
        (
            "overlap",
            vec![part(0x800, 0x3800), part(0, 0x2100), part(0x3000, 0x5001)],
            0..0x5001,
        ),
    ];
    for (what, extra, covered) in cases {
        let mut memory = vec![0; 0x6000];
        memory[covered.clone()].copy_from_slice(&bytes[covered.clone()]);
        let mut expected = Expected {
            page_size: 4096,
            ..Expected::default()
        };
        for page in covered.start / 4096..covered.end.div_ceil(4096) {
            let bytes = memory[page * 4096..(page + 1) * 4096].to_vec();
            expected.present.insert(0x100 + page as u64, bytes);
        }
        let options = ElfOptions {
            style: ElfStyle::Qemu,
            extra,
            ..ElfOptions::default()
        };
        check(what, &Image::new(4096).write_elf(&options), &expected);
    }
}

/// Where segments overlap and disagree, the first one counts.
#[test]
fn the_first_of_overlapping_segments_counts() {
    let extra = vec![(0x2000, vec![1; 0x1000]), (0x1000, vec![2; 0x3000])];
    let mut expected = Expected {
        page_size: 4096,
        ..Expected::default()
    };
    for (pfn, byte) in [(1, 2), (2, 1), (3, 2)] {
        expected.present.insert(pfn, vec![byte; 4096]);
    }
    let options = ElfOptions {
        style: ElfStyle::Qemu,
        extra,
        ..ElfOptions::default()
    };
    check("overlap", &Image::new(4096).write_elf(&options), &expected);
}

/// What is kept of notes is no longer than the file, however many headers name them.
#[test]
fn notes_that_are_named_again_and_again_are_kept_once() {
    const NOTES: usize = 2000;
    const DESC: usize = 60_000;
    let mut note = Vec::new();
    for word in [5, DESC as u32, 1] {
        note.extend(word.to_le_bytes());
    }
    note.extend(b"CORE\0\0\0\0");
    note.resize(note.len() + DESC, 7);
    let whole = Image::new(4096)
        .page(0x100, noise(1, 4096))
        .write_elf(&ElfOptions {
            style: ElfStyle::Qemu,
            ..ElfOptions::default()
        });
    // The same header with other program headers: notes, and one page.
    let mut dump = whole[..64].to_vec();
    dump[56..58].copy_from_slice(&(NOTES as u16 + 1).to_le_bytes());
    let data = 64 + 56 * (NOTES + 1);
    let mut header = |kind: u32, offset: usize, paddr: u64, size: usize| {
        dump.extend(kind.to_le_bytes());
        dump.extend(0u32.to_le_bytes());
        for word in [offset as u64, paddr, paddr, size as u64, size as u64, 0] {
            dump.extend(word.to_le_bytes());
        }
    };
    for _ in 0..NOTES {
        header(4, data, 0, note.len());
    }
    header(1, data + note.len(), 0x10_0000, 4096);
    dump.extend(&note);
    dump.extend(noise(1, 4096));
    let opened = open_bytes(&dump).expect("opens");
    assert_eq!(opened.memory.state(Pfn(0x100)), PageState::Present);
    let kept: usize = opened.info.notes.iter().map(|note| note.desc.len()).sum();
    assert!(kept >= DESC && kept <= dump.len(), "{kept} bytes");
}

/// A file with holes is as long as anybody likes; what is kept of it is not.
#[test]
fn notes_in_holes_are_bounded() {
    const NOTES: u64 = 4000;
    const SIZE: u64 = 20 + 60_000;
    let whole = Image::new(4096)
        .page(0x100, noise(1, 4096))
        .write_elf(&ElfOptions::default());
    let file = file_of(&whole);
    let notes = whole.len() as u64;
    let write = |at: u64, bytes: &[u8]| file.as_file().write_all_at(bytes, at).expect("writes");
    // The first program header is that of the notes.
    for (field, value) in [(8, notes), (32, NOTES * SIZE)] {
        write(64 + field, &value.to_le_bytes());
    }
    for note in 0..NOTES {
        let header = [5u32, 60_000, 1].map(u32::to_le_bytes).concat();
        write(
            notes + note * SIZE,
            &[&header[..], b"CORE\0\0\0\0"].concat(),
        );
    }
    file.as_file().set_len(notes + NOTES * SIZE).expect("grows");
    let dump = pagehound_vmcore::open(file.path()).expect("opens");
    let kept: usize = dump.info.notes.iter().map(|note| note.desc.len()).sum();
    assert!((1 << 20..=64 << 20).contains(&kept), "{kept} bytes");
}

/// A damaged `p_offset`: bytes of the file cannot be memory at two addresses, nor
/// the headers. What cannot be told apart is missing; it is never other memory.
#[test]
fn segments_that_share_bytes_of_the_file_are_left_out() {
    let mut image = Image::new(4096);
    let runs = [0x100, 0x200, 0x300];
    for pfn in runs.iter().flat_map(|&first| first..first + 4) {
        image.set_page(pfn, noise(pfn, 4096));
    }
    let options = ElfOptions {
        style: ElfStyle::Makedumpfile,
        ..ElfOptions::default()
    };
    let whole = image.write_elf(&options);
    // One note, then the segments: p_offset is the third field of a header.
    let field = |segment: usize| 64 + 56 * (1 + segment) + 8;
    let offset = |segment| {
        let at = field(segment);
        u64::from_le_bytes(whole[at..at + 8].try_into().expect("eight bytes"))
    };
    let with_second_at = |offset: u64| {
        let mut damaged = whole.clone();
        damaged[field(1)..field(1) + 8].copy_from_slice(&offset.to_le_bytes());
        open_bytes(&damaged).expect("opens")
    };
    let present = |dump: &pagehound_vmcore::Dump| {
        let present = |&&first: &&u64| dump.memory.state(Pfn(first)) == PageState::Present;
        runs.iter().filter(present).copied().collect::<Vec<u64>>()
    };
    for (damaged, left) in [
        (0, vec![0x100, 0x300]),
        (offset(2), vec![0x100]),
        (offset(2) + 4096, vec![0x100]),
        (offset(0) + 3 * 4096, vec![0x300]),
    ] {
        let dump = with_second_at(damaged);
        assert!(dump.info.incomplete, "{damaged:#x}");
        assert_eq!(present(&dump), left, "{damaged:#x}");
        let [warning] = dump.info.warnings.as_slice() else {
            panic!("{:?}", dump.info.warnings);
        };
        assert!(warning.contains("share bytes of the file"), "{warning}");
    }
    assert_eq!(present(&with_second_at(offset(1))), runs);
}

#[test]
fn pages_beyond_the_end_are_unreadable() {
    let mut image = Image::new(4096);
    for pfn in 0..16 {
        image.set_page(0x100 + pfn, noise(pfn, 4096));
    }
    let options = ElfOptions {
        style: ElfStyle::Qemu,
        ..ElfOptions::default()
    };
    let whole = image.write_elf(&options);
    // The data is at the end: 16 pages, of which 3 and a half are cut off.
    let dump = open_bytes(&whole[..whole.len() - 3 * 4096 - 2048]).expect("opens");
    assert!(dump.info.incomplete);
    let coverage = Coverage {
        present: 12,
        unreadable: 4,
        ..Coverage::default()
    };
    assert_eq!(dump.memory.coverage(), coverage);
    assert_eq!(dump.memory.state(Pfn(0x10b)), PageState::Present);
    assert_eq!(dump.memory.state(Pfn(0x10c)), PageState::Unreadable);
    assert_eq!(dump.memory.state(Pfn(0x110)), PageState::Absent);
    let mut page = vec![0; 4096];
    let fault = dump
        .memory
        .read_page(Pfn(0x10c), &mut page)
        .expect_err("cut off");
    assert_eq!(fault.addr, PhysAddr(0x10_c000));
}

/// A file that ends within a page, which begins or ends outside its segment.
#[test]
fn a_partly_stored_page_cut_off_is_unreadable() {
    let states = |extra: Vec<(u64, Vec<u8>)>, missing: usize| {
        let options = ElfOptions {
            style: ElfStyle::Qemu,
            extra,
            ..ElfOptions::default()
        };
        let whole = Image::new(4096).write_elf(&options);
        let dump = open_bytes(&whole[..whole.len() - missing]).expect("opens");
        [0, 1, 2, 3].map(|pfn| dump.memory.state(Pfn(pfn)))
    };
    use PageState::{Absent, Present, Unreadable};
    let within = || vec![(0x1800, noise(1, 0x400))];
    assert_eq!(states(within(), 0), [Absent, Present, Absent, Absent]);
    assert_eq!(states(within(), 1), [Absent, Unreadable, Absent, Absent]);
    assert_eq!(
        states(within(), 0x400),
        [Absent, Unreadable, Absent, Absent]
    );
    let over = || vec![(0x800, noise(1, 0x2000))];
    assert_eq!(
        states(over(), 0x100),
        [Present, Present, Unreadable, Absent]
    );
    assert_eq!(
        states(over(), 0x800),
        [Present, Present, Unreadable, Absent]
    );
    assert_eq!(
        states(over(), 0x801),
        [Present, Unreadable, Unreadable, Absent]
    );
    assert_eq!(
        states(over(), 0x1801),
        [Unreadable, Unreadable, Unreadable, Absent]
    );
    // Two pieces of one page, the second of which is cut off.
    let pieces = || vec![(0x1000, noise(1, 0x800)), (0x1800, noise(2, 0x1000))];
    assert_eq!(
        states(pieces(), 0x100),
        [Absent, Present, Unreadable, Absent]
    );
    assert_eq!(
        states(pieces(), 0x900),
        [Absent, Unreadable, Unreadable, Absent]
    );
}

/// Tens of thousands of segments stay fast.
#[test]
fn more_segments_than_a_16_bit_count_holds() {
    let mut image = Image::new(4096);
    for pfn in 0..70_000 {
        image.set_page(pfn * 2, u64::to_le_bytes(pfn));
    }
    let options = ElfOptions {
        style: ElfStyle::Qemu,
        pn_xnum: true,
        ..ElfOptions::default()
    };
    let bytes = image.write_elf(&options);
    let start = std::time::Instant::now();
    let memory = open_bytes(&bytes).expect("opens").memory;
    assert_eq!(memory.coverage().present, 70_000);
    let mut page = vec![0; 4096];
    for pfn in (0..70_000).rev() {
        memory.read_page(Pfn(pfn * 2), &mut page).expect("present");
        assert_eq!(page[..8], u64::to_le_bytes(pfn));
        assert_eq!(memory.state(Pfn(pfn * 2 + 1)), PageState::Absent);
    }
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
