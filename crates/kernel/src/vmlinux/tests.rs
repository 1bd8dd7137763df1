//! DWARF as compilers write it, held against what the compiled program says of itself,
//! and against the BTF of a real kernel.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use pagehound_synth::vmlinux::{Member, Packing, Section, Unit, elf_file};

use super::elf::Elf;
use super::{VmlinuxError, places, units};
use crate::kernel::KernelError;
use crate::layouts::Questions;
use crate::vmcoreinfo::Vmcoreinfo;

/// Structs as a kernel has them: unions without a name, bit-fields, arrays of arrays, a
/// struct with itself behind a pointer, one that is declared only, one of another name.
const SOURCE: &str = r#"
#include <stddef.h>
#include <stdio.h>

typedef struct { volatile int counter; } atomic_t;
struct list_head { struct list_head *next, *prev; };
struct address_space;
enum pageflags { PG_locked, PG_referenced, PG_slab = 9, __NR_PAGEFLAGS = 23 };
enum node_stat_item { NR_NEGATIVE = -3, NR_SLAB = 5 };
typedef enum { WITHOUT_TAG = 7 } zone_stat_item;

struct page {
    unsigned long flags;
    union {
        struct {
            struct list_head lru;
            struct address_space *mapping;
            unsigned long private;
        };
        struct {
            unsigned char compound_dtor, compound_order;
            const atomic_t compound_mapcount;
        };
    };
    union { atomic_t _mapcount; unsigned int page_type; };
    atomic_t _refcount;
} __attribute__((aligned(16)));

struct slab {
    unsigned long flags;
    union {
        unsigned long counters;
        struct { unsigned inuse:16; unsigned objects:15; unsigned frozen:1; };
    };
    long far_away:40, next_to_it:7;
};

struct zone {
    char name[3];
    unsigned long watermark[2][3];
    struct { int order; struct list_head free_list[4]; } free_area[11];
    unsigned long nothing[];
};

/* As a driver may call something else of its own. */
struct kmem_cache { int of_a_driver; };
struct task_struct *only_declared;

struct page page; struct slab slab; struct zone zone; struct kmem_cache other;
enum pageflags flag; enum node_stat_item item; zone_stat_item zone_item;

#define SHOW(type, member) \
    printf(#type "." #member " %zu %zu\n", offsetof(struct type, member), \
           sizeof(((struct type *)0)->member))

int main(void)
{
    SHOW(page, flags); SHOW(page, lru); SHOW(page, lru.prev); SHOW(page, mapping);
    SHOW(page, private); SHOW(page, compound_dtor); SHOW(page, compound_order);
    SHOW(page, compound_mapcount); SHOW(page, _mapcount); SHOW(page, _refcount);
    SHOW(slab, counters); SHOW(zone, name); SHOW(zone, watermark);
    SHOW(zone, free_area); printf("zone.free_area.free_list %zu %zu\n",
        offsetof(struct zone, free_area[0].free_list), sizeof(zone.free_area[0].free_list));
    printf("page %zu\n", sizeof(struct page));
    printf("slab %zu\n", sizeof(struct slab));
    printf("zone %zu\n", sizeof(struct zone));
    return 0;
}
"#;

/// Another file of the same program, which has the struct that is meant.
const SECOND: &str = r#"
struct kmem_cache { long cpu_slab; unsigned size; const char *name; };
struct kmem_cache cache;
"#;

fn compiled(folder: &Path, flags: &[&str]) -> PathBuf {
    let program = folder.join("program");
    let mut sources = Vec::new();
    for (name, text) in [("first.c", SOURCE), ("second.c", SECOND)] {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        sources.push(path);
    }
    let mut cc = Command::new("cc");
    cc.args(flags).args(&sources).arg("-o").arg(&program);
    let output = cc.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cc {flags:?}: {said}");
    program
}

fn asked() -> Questions {
    let structs: [(&str, &[&str]); 6] = [
        ("page", &["lru"]),
        ("slab", &["objects"]),
        ("zone", &["free_area"]),
        ("kmem_cache", &["cpu_slab", "size"]),
        ("task_struct", &["comm"]),
        ("only_in_other_kernels", &["member"]),
    ];
    let structs = structs.map(|(name, members)| (name, members.to_vec()));
    Questions {
        structs: BTreeMap::from(structs),
        enums: &["pageflags", "node_stat_item", "pagetype"],
    }
}

fn agrees(program: &Path) {
    let found = units::types(&Elf::open(program).unwrap(), &asked(), None).unwrap();
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    let types = found.types;
    let says = Command::new(program).output().unwrap().stdout;
    let says = String::from_utf8(says).unwrap();
    let mut lines = 0;
    for line in says.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse::<u64>().unwrap();
        match words.len() {
            3 => {
                let member = types.member(words[0]).expect(words[0]);
                let found = (member.offset, member.size, member.bits);
                assert_eq!(found, (number(1), number(2), None), "{line}");
            }
            _ => assert_eq!(types.size_of(words[0]), Some(number(1)), "{line}"),
        }
        lines += 1;
    }
    assert_eq!(lines, 18);
    // The x86-64 and AArch64 psABIs fill words from the lowest bit.
    for (path, offset, size, bits) in [
        ("slab.inuse", 8, 2, (0, 16)),
        ("slab.objects", 10, 2, (0, 15)),
        ("slab.frozen", 11, 1, (7, 1)),
        ("slab.far_away", 16, 5, (0, 40)),
        ("slab.next_to_it", 21, 1, (0, 7)),
    ] {
        let member = types.member(path).expect(path);
        let found = (member.offset, member.size, member.bits);
        assert_eq!(found, (offset, size, Some(bits)), "{path}");
    }
    assert_eq!(types.enumerator("pageflags", "PG_slab"), Some(9));
    assert_eq!(types.enumerator("pageflags", "__NR_PAGEFLAGS"), Some(23));
    assert_eq!(types.enumerator("node_stat_item", "NR_NEGATIVE"), Some(-3));
    assert_eq!(types.enumerator("node_stat_item", "NR_SLAB"), Some(5));
    // The one with the members that are asked for, from the second file.
    assert_eq!(
        types.member("kmem_cache.cpu_slab").map(|m| m.offset),
        Some(0)
    );
    assert_eq!(types.member("kmem_cache.size").map(|m| m.offset), Some(8));
    assert_eq!(types.size_of("kmem_cache"), Some(24));
    assert_eq!(types.size_of("task_struct"), None);
}

#[test]
fn offsets_are_those_that_the_compiler_gave() {
    for flags in [
        &["-gdwarf-5"][..],
        &["-gdwarf-4"],
        &["-gdwarf-4", "-O2"],
        // Bit-fields counted from the other end, offsets as expressions.
        &["-gdwarf-3", "-gstrict-dwarf"],
        &["-gdwarf-2", "-gstrict-dwarf"],
        &["-gdwarf-5", "-gdwarf64"],
        &["-gdwarf-5", "-gz=zlib"],
        &["-gdwarf-4", "-gz=zlib"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let program = compiled(folder.path(), flags);
        agrees(&program);
    }
    let folder = tempfile::tempdir().unwrap();
    let program = compiled(folder.path(), &["-gdwarf-5"]);
    let mut pack = Command::new("objcopy");
    pack.arg("--compress-debug-sections=zstd").arg(&program);
    assert!(pack.status().unwrap().success());
    agrees(&program);
}

#[test]
fn a_stripped_file_is_not_one_of_a_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let program = compiled(folder.path(), &["-g0"]);
    let elf = Elf::open(&program).unwrap();
    assert!(!elf.has(".debug_info"));
    let error = units::types(&elf, &asked(), None).err().unwrap();
    assert!(
        matches!(
            error,
            KernelError::Vmlinux(VmlinuxError::NoTypes { units: 0, .. })
        ),
        "{error}"
    );
    let error = Elf::open(folder.path()).err().unwrap();
    assert!(matches!(error, VmlinuxError::NotElf { .. }), "{error}");
    let text = folder.path().join("first.c");
    let error = Elf::open(&text).err().unwrap();
    assert!(matches!(error, VmlinuxError::NotElf { .. }), "{error}");
    let error = Elf::open(&folder.path().join("none")).err().unwrap();
    assert!(matches!(error, VmlinuxError::Read { .. }), "{error}");
}

/// What a dump says of itself chooses no file outside the folder.
#[test]
fn a_dump_leads_nowhere_else() {
    let root = Path::new("/usr/lib/debug");
    let of = |text: &str| {
        let info = Vmcoreinfo::parse(text.as_bytes()).unwrap();
        places(root, info.osrelease(), info.build_id())
    };
    let id = "0123456789abcdef0123456789abcdef01234567";
    let expected = [
        "/usr/lib/debug/.build-id/01/23456789abcdef0123456789abcdef01234567.debug",
        "/usr/lib/debug/boot/vmlinux-5.4.0-1-amd64",
        "/usr/lib/debug/lib/modules/5.4.0-1-amd64/vmlinux",
    ]
    .map(PathBuf::from);
    let found = of(&format!("OSRELEASE=5.4.0-1-amd64\nBUILD-ID={id}\n"));
    assert_eq!(found, expected);
    for (release, id) in [
        ("/home/someone", "xx/home/a/b"),
        ("../../../home/someone", ".."),
        ("..", "../../../../../../../../../../etc/passwd"),
        ("5.4/../../..", "01/home/someone/abcdef0123456789abcdef01"),
    ] {
        let found = of(&format!("OSRELEASE={release}\nBUILD-ID={id}\n"));
        assert!(found.is_empty(), "{found:?}");
    }
}

/// Each byte of headers, abbreviations and entries may say anything.
#[test]
fn broken_files_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    for flags in [&["-gdwarf-5"][..], &["-gdwarf-4", "-gz=zlib"]] {
        let program = compiled(folder.path(), flags);
        let whole = std::fs::read(&program).unwrap();
        let path = folder.path().join("broken");
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut answered = 0;
        for round in 0..3000_usize {
            let mut bytes = whole.clone();
            for _ in 0..1 + round % 4 {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let at = (random >> 16) as usize % bytes.len();
                bytes[at] = random as u8;
            }
            if round % 8 == 0 {
                bytes.truncate(whole.len() * (round / 8) / 375);
            }
            std::fs::write(&path, bytes).unwrap();
            let elf = Elf::open(&path).ok();
            let found = elf.and_then(|elf| units::types(&elf, &asked(), None).ok());
            if let Some(units::Found { types, .. }) = found {
                answered += 1;
                let _ = (types.member("page.lru"), types.member("zone.free_area"));
            }
        }
        assert!(answered > 100, "{answered}");
    }
}

/// What is left out is counted: here a unit whose version DWARF does not have, and types
/// in other units, as link-time optimisation leaves them.
#[test]
fn what_is_missing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let program = compiled(folder.path(), &["-gdwarf-5"]);
    // The second unit begins behind the first: length, version.
    let mut bytes = std::fs::read(&program).unwrap();
    let info = Elf::open(&program).unwrap().whole(".debug_info").unwrap();
    let at = memchr::memmem::find(&bytes, &info).unwrap();
    let mut unit = at;
    let mut units = Vec::new();
    while unit < at + info.len() {
        units.push(unit);
        unit += 4 + u32::from_le_bytes(bytes[unit..unit + 4].try_into().unwrap()) as usize;
    }
    assert_eq!(units.len(), 2);
    bytes[units[1] + 4] = 99;
    std::fs::write(&program, bytes).unwrap();
    let found = units::types(&Elf::open(&program).unwrap(), &asked(), None).unwrap();
    assert!(found.types.member("page.lru").is_some());
    assert_eq!(found.types.size_of("kmem_cache"), None);
    let said = "1 of 2 units of DWARF could not be read: members may be missing";
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    assert!(found.warnings[0].ends_with(said), "{:?}", found.warnings);

    let program = compiled(folder.path(), &["-gdwarf-5"]);
    let whole = std::fs::read(&program).unwrap();
    let elf = Elf::open(&program).unwrap();
    let abbreviations = elf.whole(".debug_abbrev").unwrap();
    let at = memchr::memmem::find(&whole, &abbreviations).unwrap();
    // Types of members by their place in the section (DW_FORM_ref_addr), not in the unit
    // (DW_FORM_ref4): of those that have a name, then of all.
    for named_only in [true, false] {
        let mut bytes = whole.clone();
        let mut members = 0;
        for entry in at..at + abbreviations.len() - 8 {
            // DW_TAG_member, without children; a pair of zeroes ends its attributes.
            if bytes[entry..entry + 3] != [bytes[entry], 0x0d, 0] || bytes[entry - 1] != 0 {
                continue;
            }
            let mut pair = entry + 3;
            if named_only && bytes[pair] != 0x03 {
                continue;
            }
            while bytes[pair..pair + 2] != [0, 0] {
                if bytes[pair..pair + 2] == [0x49, 0x13] {
                    bytes[pair + 1] = 0x10;
                    members += 1;
                }
                // DW_FORM_implicit_const has a number here.
                pair += if bytes[pair + 1] == 0x21 { 3 } else { 2 };
            }
        }
        assert!(members > 0);
        std::fs::write(&program, bytes).unwrap();
        let found = units::types(&Elf::open(&program).unwrap(), &asked(), None);
        if named_only {
            let found = found.unwrap();
            assert!(found.types.size_of("page").is_some());
            assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
            let said = &found.warnings[0];
            assert!(said.contains("in other units"), "{said}");
        } else {
            // Its list is in a union without a name.
            let error = found.err().unwrap();
            assert!(
                matches!(
                    error,
                    KernelError::Vmlinux(VmlinuxError::NoTypes { broken: 0, untold, .. }) if untold > 0
                ),
                "{error}"
            );
        }
    }
}

/// What `synth` writes is read the way compilers write it, so that what broken files are
/// made of is sound.
#[test]
fn units_of_each_version() {
    let folder = tempfile::tempdir().unwrap();
    for version in [3, 4, 5] {
        for packing in [Packing::None, Packing::Zlib, Packing::Zstd] {
            let mut sections = kernel_unit(version).sections();
            for section in &mut sections {
                *section = section.clone().packed(packing);
            }
            let found = types_of(folder.path(), &sections).unwrap();
            assert!(found.warnings.is_empty(), "{:?}", found.warnings);
            let of = |path| {
                let member = found.types.member(path).expect(path);
                (member.offset, member.size, member.bits)
            };
            assert_eq!(of("page.lru"), (8, 16, None), "{version}");
            assert_eq!(of("slab.objects"), (8, 1, Some((2, 5))), "{version}");
            assert_eq!(of("zone.free_area"), (16, 11 * 24, None), "{version}");
            assert_eq!(found.types.size_of("page"), Some(64));
            assert_eq!(found.types.enumerator("pageflags", "PG_slab"), Some(9));
            let below = found.types.enumerator("node_stat_item", "NR_NEGATIVE");
            assert_eq!(below, Some(-3), "{version}");
        }
    }
}

/// The structs of [`asked`].
fn kernel_unit(version: u8) -> Unit {
    let mut unit = Unit::new(version);
    let long = unit.int("long unsigned int", 8);
    let pointer = unit.pointer();
    let member = |name, of, at| Member {
        name,
        of,
        at,
        bits: None,
    };
    let links = [member("next", pointer, 0), member("prev", pointer, 8)];
    let list = unit.structure("list_head", 16, &links);
    let both = unit.union(
        "",
        16,
        &[member("lru", list, 0), member("private", long, 0)],
    );
    unit.structure("page", 64, &[member("flags", long, 0), member("", both, 8)]);
    let objects = Member {
        bits: Some((8, 2, 5)),
        ..member("objects", long, 8)
    };
    unit.structure("slab", 16, &[member("flags", long, 0), objects]);
    let area = [member("free_list", list, 0), member("nr_free", long, 16)];
    let area = unit.structure("free_area", 24, &area);
    let areas = unit.array(area, 11);
    unit.structure("zone", 280, &[member("free_area", areas, 16)]);
    unit.enumeration("pageflags", &[("PG_locked", 0), ("PG_slab", 9)]);
    unit.enumeration("node_stat_item", &[("NR_NEGATIVE", -3), ("NR_SLAB", 5)]);
    unit
}

fn types_of(folder: &Path, sections: &[Section]) -> Result<units::Found, KernelError> {
    let path = folder.join("vmlinux");
    std::fs::write(&path, elf_file(sections)).unwrap();
    units::types(&Elf::open(&path)?, &asked(), None)
}

/// `sections` with the one of this name replaced, or added.
fn with(mut sections: Vec<Section>, other: Section) -> Vec<Section> {
    sections.retain(|section| section.name() != other.name());
    sections.push(other);
    sections
}

/// What a header claims is not allocated, and what is packed makes no more of itself than
/// compilers' sections do.
#[test]
fn what_is_packed_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &'static str, packing, claims, why: &str| {
        let bomb = Section::new(name, vec![0; 8 << 20]).packed(packing);
        let bomb = match claims {
            Some(claims) => bomb.claiming(claims),
            None => bomb,
        };
        let sections = with(kernel_unit(5).sections(), bomb);
        let error = types_of(folder.path(), &sections).err().unwrap();
        let said = error.to_string();
        assert!(said.contains(name) && said.contains(why), "{said}");
    };
    for packing in [Packing::Zlib, Packing::Zstd] {
        for name in [
            ".debug_info",
            ".debug_abbrev",
            ".debug_str",
            ".debug_str_offsets",
        ] {
            let more = "more than 32 into each are not expected";
            refused(name, packing, None, more);
        }
        let most = "at most 4 GiB are expected";
        refused(".debug_info", packing, Some(u64::MAX), most);
        let most = "at most 256 MiB are expected";
        refused(".debug_str", packing, Some(512 << 20), most);
    }
}

/// Who waits for the end need not wait for the last unit.
#[test]
fn reading_ends_when_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vmlinux");
    std::fs::write(&path, elf_file(&kernel_unit(4).sections())).unwrap();
    let elf = Elf::open(&path).unwrap();
    let cancel = AtomicBool::new(false);
    assert!(units::types(&elf, &asked(), Some(&cancel)).is_ok());
    cancel.store(true, Ordering::Relaxed);
    let error = units::types(&elf, &asked(), Some(&cancel)).err().unwrap();
    assert!(matches!(error, KernelError::Interrupted), "{error}");
}

/// A kernel with both kinds of types in one file: what BTF says of each row, DWARF does.
#[cfg(feature = "vmlinux")]
#[test]
fn rows_are_those_of_btf() {
    use crate::btf::Btf;
    use crate::layouts::{self, Layouts};

    let path = std::env::var_os("PAGEHOUND_VMLINUX").unwrap();
    let elf = Elf::open(Path::new(&path)).unwrap();
    let begin = std::time::Instant::now();
    let found = units::types(&elf, &layouts::questions(), None).unwrap();
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    let dwarf = found.types;
    eprintln!("{} types in {:?}", dwarf.type_count(), begin.elapsed());
    let btf = Btf::parse(elf.whole(".BTF").unwrap()).unwrap();
    let mut known = 0;
    for path in layouts::paths() {
        assert_eq!(dwarf.member(path), btf.member(path), "{path}");
        known += usize::from(btf.member(path).is_some());
    }
    let release = Vmcoreinfo::parse(b"OSRELEASE=any\n").unwrap();
    let [by_dwarf, by_btf] = [&dwarf, &btf].map(|types| Layouts::resolve(&release, Some(types)));
    assert_eq!(format!("{by_dwarf:?}"), format!("{by_btf:?}"));
    for (of, name) in [
        ("node_stat_item", "NR_FILE_PAGES"),
        ("node_stat_item", "NR_SHMEM"),
        ("zone_stat_item", "NR_FREE_PAGES"),
    ] {
        let value = btf.enumerator(of, name);
        assert!(value.is_some());
        assert_eq!(dwarf.enumerator(of, name), value, "{name}");
    }
    eprintln!("{known} of {} paths", layouts::paths().count());
    assert!(known > 200);
}
