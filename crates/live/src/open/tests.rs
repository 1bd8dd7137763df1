//! kcores of several ages, written by their kernels' rules, in files.

use super::*;
use pagehound_synth::{Kcore as Synth, KcoreEra, Machine as SynthMachine};
use pagehound_vmcore::{Coverage, PageState, Pfn, PfnRange, VirtAddr};
use std::io::Write;
use std::os::unix::fs::FileExt;
use tempfile::NamedTempFile;

const ERAS: [KcoreEra; 3] = [KcoreEra::V3_10, KcoreEra::V4_12, KcoreEra::V6_1];

/// A file with the headers, and pages with their physical address in every word.
fn file_of(kcore: &Synth) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&kcore.headers()).unwrap();
    for &(start, size) in &kcore.ram {
        for page in (start..start + size).step_by(4096) {
            let words = page.to_le_bytes().repeat(512);
            file.as_file()
                .write_all_at(&words, kcore.offset_of(page))
                .unwrap();
        }
    }
    file
}

fn host(iomem: &str) -> Host {
    Host {
        iomem: Some(iomem.as_bytes().to_vec()),
        flags: Some(tempfile::tempfile().unwrap()),
        vmcoreinfo: None,
        page_size: 4096,
    }
}

fn open(file: &NamedTempFile, host: Host) -> Result<Dump, NoMemory> {
    memory(file.path(), file.reopen().unwrap(), host, None)
}

fn runs(ranges: &[(u64, u64)]) -> Vec<PfnRange> {
    let run = |&(start, end): &(u64, u64)| PfnRange {
        start: Pfn(start),
        end: Pfn(end),
    };
    ranges.iter().map(run).collect()
}

/// Every page of the machine [`Synth::new`] writes is where it belongs, and no other is.
fn check(dump: &Dump, what: &str) {
    let memory = &dump.memory;
    let expected = runs(&[(1, 0x9f), (0x100, 0x300)]);
    assert_eq!(memory.present_runs(), expected, "{what}");
    assert_eq!(memory.end_pfn(), Pfn(0x300), "{what}");
    for pfn in 0..0x301 {
        let mut page = [0; 4096];
        let read = memory.read_page(Pfn(pfn), &mut page);
        if (1..0x9f).contains(&pfn) || (0x100..0x300).contains(&pfn) {
            read.unwrap();
            assert_eq!(
                memory.state(Pfn(pfn)),
                PageState::Present,
                "{what} {pfn:#x}"
            );
            assert_eq!(page[..8], (pfn << 12).to_le_bytes(), "{what} {pfn:#x}");
            assert_eq!(page[4088..], (pfn << 12).to_le_bytes(), "{what} {pfn:#x}");
        } else {
            assert_eq!(memory.state(Pfn(pfn)), PageState::Absent, "{what} {pfn:#x}");
            let fault = read.unwrap_err();
            assert_eq!(fault.addr, PhysAddr(pfn << 12), "{what}");
        }
    }
    let coverage = Coverage {
        present: 0x9e + 0x200,
        ..Coverage::default()
    };
    assert_eq!(memory.coverage(), coverage, "{what}");
    assert_eq!(dump.info.file_bytes, (0x9e + 0x200) << 12, "{what}");
}

#[test]
fn every_age() {
    for era in ERAS {
        let kcore = Synth::new(era);
        let dump = open(&file_of(&kcore), host(&kcore.iomem())).unwrap();
        let what = format!("{era:?}");
        check(&dump, &what);
        assert_eq!(dump.info.format, Format::Live);
        assert_eq!(dump.info.machine, Some(Machine::X86_64), "{what}");
        assert_eq!(dump.info.warnings, Vec::<String>::new(), "{what}");
        assert!(dump.info.captured_at.is_some_and(|at| at > 1_700_000_000));
        // The reader's task, by which it knows itself.
        let task = dump.info.notes.iter().find(|note| note.kind == 4).unwrap();
        assert_eq!(task.desc, vec![0x7a; 8392], "{what}");
        let text = dump.info.vmcoreinfo.as_deref();
        let expected = (era == KcoreEra::V6_1).then_some(kcore.vmcoreinfo.as_bytes());
        assert_eq!(text, expected, "{what}");
        // What phys_base is worked out from where VMCOREINFO does not tell it.
        let segments = &dump.info.segments;
        let image = segments.iter().find(|segment| segment.vaddr.0 >= X86_IMAGE);
        let image = image.map(|image| (image.vaddr, image.paddr));
        let (vaddr, paddr, _) = kcore.text;
        assert_eq!(image, Some((VirtAddr(vaddr), PhysAddr(paddr))), "{what}");
        let direct = |segment: &&LoadSegment| segment.vaddr.0 < X86_IMAGE;
        let distances: Vec<u64> = segments
            .iter()
            .filter(direct)
            .map(|segment| segment.vaddr.0 - segment.paddr.0)
            .collect();
        assert_eq!(distances, [kcore.direct_map; 2], "{what}");
    }
}

#[test]
fn aarch64_whose_memory_does_not_begin_at_zero() {
    for era in ERAS {
        let kcore = Synth {
            machine: SynthMachine::Aarch64,
            // 5.4 and later; PAGE_OFFSET is memory's begin there.
            direct_map: 0xffff_0000_0000_0000_u64.wrapping_sub(0x4000_0000),
            ram: vec![(0x4000_0000, 0x40_0000), (0x4080_0000, 0x1000)],
            text: (0xffff_8000_0801_0000, 0x4021_0000, 0x10_0000),
            ..Synth::new(era)
        };
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(&kcore.headers()).unwrap();
        let at = kcore.offset_of(0x4080_0000);
        file.as_file().write_all_at(&[0x5a; 4096], at).unwrap();
        let dump = open(&file, host(&kcore.iomem())).unwrap();
        assert_eq!(
            dump.memory.present_runs(),
            runs(&[(0x40000, 0x40400), (0x40800, 0x40801)]),
            "{era:?}"
        );
        let mut page = [0; 4096];
        dump.memory.read_page(Pfn(0x40800), &mut page).unwrap();
        assert_eq!(page, [0x5a; 4096], "{era:?}");
    }
}

#[test]
fn ranges_that_begin_and_end_in_mid_page_are_rounded_inward() {
    // As firmware leaves them; the kernel shows whole pages only.
    let kcore = Synth::new(KcoreEra::V3_10);
    let iomem = "00000400-0009ffff : System RAM\n00100000-002ffffe : System RAM\n";
    let error = open(&file_of(&kcore), host(iomem)).err();
    assert!(matches!(error, Some(NoMemory::Strange(_))), "{error:?}");
    let iomem = "00000400-0009f3ff : System RAM\n00100000-003000fe : System RAM\n";
    check(&open(&file_of(&kcore), host(iomem)).unwrap(), "inward");
}

#[test]
fn without_addresses_in_iomem_the_headers_alone_tell_where_they_do() {
    let hidden = "00000000-00000000 : System RAM\n  00000000-00000000 : Kernel code\n";
    for iomem in [hidden, ""] {
        for era in [KcoreEra::V4_12, KcoreEra::V6_1] {
            check(
                &open(&file_of(&Synth::new(era)), host(iomem)).unwrap(),
                "alone",
            );
        }
        let old = open(&file_of(&Synth::new(KcoreEra::V3_10)), host(iomem));
        assert!(matches!(old.err(), Some(NoMemory::Strange(_))));
    }
}

#[test]
fn headers_and_iomem_of_different_machines_are_refused() {
    let iomem = "00001000-0009efff : System RAM\n40000000-7fffffff : System RAM\n";
    for era in ERAS {
        let Err(error) = open(&file_of(&Synth::new(era)), host(iomem)) else {
            panic!("{era:?} is taken");
        };
        let text = error.to_string();
        assert!(text.contains("System RAM of /proc/iomem"), "{text}");
        assert_eq!(text.lines().count(), 1);
    }
}

#[test]
fn ram_that_is_not_shown_is_counted_as_missing() {
    // Memory of a driver, on kernels whose kcore has only the ranges at the top.
    let kcore = Synth::new(KcoreEra::V6_1);
    let iomem =
        kcore.iomem() + "40000000-40ffffff : dax0.0\n  40000000-40007fff : System RAM (kmem)\n";
    let dump = open(&file_of(&kcore), host(&iomem)).unwrap();
    assert_eq!(dump.memory.coverage().absent, 8);
    assert_eq!(dump.info.warnings.len(), 1);
    assert_eq!(dump.memory.state(Pfn(0x40000)), PageState::Absent);
}

#[test]
fn what_the_kernel_withholds_is_no_page_of_zeroes() {
    let kcore = Synth::new(KcoreEra::V6_1);
    let flags = tempfile::tempfile().unwrap();
    flags.set_len(0x300 * 8).unwrap();
    for (pfn, bit) in [
        (0x50, 19),
        (0x120, 23),
        (0x121, 20),
        (0x2ff, 19),
        (0x200, 5),
    ] {
        flags
            .write_all_at(&(1u64 << bit).to_le_bytes(), pfn * 8)
            .unwrap();
    }
    let host = Host {
        flags: Some(flags),
        ..host(&kcore.iomem())
    };
    let dump = open(&file_of(&kcore), host).unwrap();
    let expected = [(1, 0x50), (0x51, 0x9f), (0x100, 0x120), (0x122, 0x2ff)];
    assert_eq!(dump.memory.present_runs(), runs(&expected));
    let coverage = Coverage {
        present: 0x9e + 0x200 - 4,
        unreadable: 4,
        ..Coverage::default()
    };
    assert_eq!(dump.memory.coverage(), coverage);
    assert_eq!(dump.memory.state(Pfn(0x121)), PageState::Unreadable);
    let mut pages = vec![0xee; 64 * 4096];
    let fault = dump.memory.read_pages(Pfn(0x110), &mut pages).unwrap_err();
    assert_eq!(fault.addr, PhysAddr(0x120 << 12));
    assert!(
        fault.reason.to_string().contains("withheld by the kernel"),
        "{fault}"
    );
    for (index, page) in pages.chunks(4096).enumerate() {
        let expected = match index as u64 {
            index @ 0..0x10 => ((0x110 + index) << 12).to_le_bytes(),
            _ => [0xee; 8],
        };
        assert_eq!(page[..8], expected, "{index}");
    }
}

#[test]
fn pages_of_many_ranges_are_read_at_once_up_to_the_first_that_is_none() {
    let kcore = Synth {
        // Two ranges that meet.
        ram: vec![(0x10_0000, 0x8000), (0x10_8000, 0x8000)],
        text: (0xffff_ffff_8110_0000, 0x10_0000, 0x4000),
        ..Synth::new(KcoreEra::V6_1)
    };
    let dump = open(&file_of(&kcore), host(&kcore.iomem())).unwrap();
    let mut pages = vec![0; 17 * 4096];
    let fault = dump.memory.read_pages(Pfn(0x100), &mut pages).unwrap_err();
    assert_eq!(fault.addr, PhysAddr(0x110 << 12));
    for (index, page) in pages.chunks(4096).take(16).enumerate() {
        assert_eq!(page[..8], ((0x100 + index as u64) << 12).to_le_bytes());
    }
}

#[test]
fn reading_is_no_faster_than_it_may_be() {
    let kcore = Synth::new(KcoreEra::V6_1);
    let file = file_of(&kcore);
    let rate = NonZeroU64::new(8 << 20);
    let dump = memory(
        file.path(),
        file.reopen().unwrap(),
        host(&kcore.iomem()),
        rate,
    )
    .unwrap();
    let start = std::time::Instant::now();
    let mut pages = vec![0; 16 * 4096];
    for pfn in (0x100..0x300).step_by(16) {
        dump.memory.read_pages(Pfn(pfn), &mut pages).unwrap();
    }
    // 2 MiB, of which the first pages may be a burst.
    assert!(start.elapsed().as_millis() > 150, "{:?}", start.elapsed());
}

#[test]
fn memory_that_the_file_does_not_have_is_unreadable() {
    let kcore = Synth::new(KcoreEra::V6_1);
    let file = file_of(&kcore);
    file.as_file()
        .set_len(kcore.offset_of(0x20_0000) + 100)
        .unwrap();
    let dump = open(&file, host(&kcore.iomem())).unwrap();
    let mut pages = vec![0; 8 * 4096];
    let fault = dump.memory.read_pages(Pfn(0x1fc), &mut pages).unwrap_err();
    assert_eq!(fault.addr, PhysAddr(0x200 << 12));
    assert_eq!(pages[3 * 4096..3 * 4096 + 8], 0x1f_f000u64.to_le_bytes());
}

#[test]
fn vmcoreinfo_of_old_kernels_is_in_memory() {
    let text = b"OSRELEASE=3.10.0\nPAGESIZE=4096\n";
    let mut note = [11u32, text.len() as u32, 0].map(u32::to_le_bytes).concat();
    note.extend(b"VMCOREINFO\0\0");
    note.extend(text);
    for era in [KcoreEra::V3_10, KcoreEra::V4_12] {
        let kcore = Synth::new(era);
        let file = file_of(&kcore);
        // Across two pages.
        let place = 0x20_0fe8;
        file.as_file()
            .write_all_at(&note, kcore.offset_of(place))
            .unwrap();
        let with = |vmcoreinfo: &str| {
            let host = Host {
                vmcoreinfo: Some(vmcoreinfo.as_bytes().to_vec()),
                ..host(&kcore.iomem())
            };
            open(&file, host).unwrap().info.vmcoreinfo
        };
        assert_eq!(
            with("0x200fe8 1024\n").as_deref(),
            Some(&text[..]),
            "{era:?}"
        );
        for wrong in [
            "0x200ff0 1024",
            "0x200fe8 8",
            "0xa0000 1024",
            "0x200fe8 ffffffff",
            "?",
        ] {
            assert_eq!(with(wrong), None, "{era:?} {wrong}");
        }
    }
}

#[test]
fn hostile_headers_are_an_answer_and_not_a_failure() {
    let kcore = Synth::new(KcoreEra::V6_1);
    let whole = kcore.headers();
    let field = |at: usize, value: u64, len: usize| {
        let mut bytes = whole.clone();
        bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
        bytes
    };
    // The program headers of the first RAM and of the text.
    let (ram, text) = (64 + 56 * 4, 64 + 56);
    let cases = [
        ("empty", Vec::new()),
        ("cut in the ELF header", whole[..40].to_vec()),
        ("cut in the program headers", whole[..64 + 30].to_vec()),
        ("no segments", field(56, 0, 2)),
        ("more segments than e_phnum counts", field(56, 0xffff, 2)),
        ("another kind of file", field(16, 2, 2)),
        ("32 bits", field(4, 1, 1)),
        ("program headers nowhere", field(32, 1 << 40, 8)),
        ("RAM without end", field(ram + 32, u64::MAX, 8)),
        ("RAM of 2 PiB", field(ram + 32, 1 << 51, 8)),
        ("RAM beyond all addresses", field(ram + 24, 1 << 60, 8)),
        ("offset without end", field(ram + 8, u64::MAX - 4096, 8)),
    ];
    for (what, bytes) in cases {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        match open(&file, host(&kcore.iomem())) {
            Err(NoMemory::Strange(why)) => {
                assert!(!why.is_empty() && why.lines().count() == 1, "{what}: {why}");
            }
            Err(other) => panic!("{what}: {other}"),
            // What is left makes sense: then no page is where none is.
            Ok(dump) => {
                let frames: u64 = dump.memory.present_runs().iter().map(|run| run.len()).sum();
                assert!(frames <= 0x9e + 0x200, "{what}: {frames}");
            }
        }
    }
    // The text does not count as RAM, whatever it says.
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&field(text + 24, 0x10_0000, 8)).unwrap();
    let dump = open(&file, host(&kcore.iomem())).unwrap();
    assert_eq!(
        dump.memory.present_runs(),
        runs(&[(1, 0x9f), (0x100, 0x300)])
    );
}

/// One wrong word anywhere in the headers: whatever is taken for RAM is RAM.
#[test]
fn no_damaged_word_makes_memory_of_what_is_none() {
    for era in ERAS {
        let kcore = Synth::new(era);
        let whole = kcore.headers();
        let file = file_of(&kcore);
        let write = |at: usize, word: &[u8]| file.as_file().write_all_at(word, at as u64).unwrap();
        let mut taken = 0;
        for at in (0..64 + 56 * 8).step_by(8) {
            let word = u64::from_le_bytes(whole[at..at + 8].try_into().unwrap());
            for wrong in [0, 1, u64::MAX, word ^ 0x1000, word ^ 1 << 40, word << 1] {
                write(at, &wrong.to_le_bytes());
                let opened = open(&file, host(&kcore.iomem()));
                write(at, &whole[at..at + 8]);
                let Ok(dump) = opened else { continue };
                taken += 1;
                for run in dump.memory.present_runs() {
                    let what = format!("{era:?}: {wrong:#x} at {at}: {run:?}");
                    let is_ram = |&(start, size): &(u64, u64)| {
                        start >> 12 <= run.start.0 && run.end.0 <= (start + size) >> 12
                    };
                    assert!(kcore.ram.iter().any(is_ram), "{what}");
                }
            }
        }
        assert!(taken > 50, "{era:?}: {taken}");
    }
}

#[test]
fn segments_that_overlap_are_refused() {
    let kcore = Synth {
        ram: vec![(0x10_0000, 0x10_0000), (0x18_0000, 0x10_0000)],
        ..Synth::new(KcoreEra::V6_1)
    };
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&kcore.headers()).unwrap();
    let error = open(&file, host("")).err();
    assert!(matches!(error, Some(NoMemory::Strange(_))), "{error:?}");
}

#[test]
fn what_is_no_file_of_the_kernel_is_told_from_none_and_from_one_that_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = || open_at(folder.path(), &OpenOptions::default()).err();
    assert_eq!(open(), Some(NoMemory::NotThere));
    let path = folder.path().join("kcore");
    // As containers hide it.
    std::os::unix::fs::symlink("/dev/null", &path).unwrap();
    assert_eq!(open(), Some(NoMemory::Masked));
    fs::remove_file(&path).unwrap();
    // A regular file is no better, whoever put it there.
    fs::write(&path, Synth::new(KcoreEra::V6_1).headers()).unwrap();
    assert_eq!(open(), Some(NoMemory::Masked));
    assert!(!is_kcore(&path));
    assert!(!is_kcore(Path::new("/proc/meminfo")));
    assert!(is_kcore(Path::new("/proc/kcore")));
    assert!(is_of_procfs(Path::new("/proc/self/status")));
    assert!(!is_of_procfs(Path::new("/proc/self")) && !is_of_procfs(Path::new("/dev/null")));
    assert!(!is_kcore(&folder.path().join("nothing/kcore")));
    for (root, locked_down, advice) in [
        (false, true, "run pagehound as root"),
        (true, false, "run pagehound on the host itself"),
        (true, true, "a dump by kdump has the pages"),
    ] {
        let text = NoMemory::Denied { root, locked_down }.to_string();
        assert!(text.contains(advice), "{text}");
    }
}

#[test]
fn a_pipe_in_place_of_a_file_of_the_kernel_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("iomem");
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).unwrap();
    assert_eq!(text(&fifo), None);
    fs::write(folder.path().join("file"), "x").unwrap();
    assert_eq!(text(&folder.path().join("file")).unwrap(), b"x");
}
