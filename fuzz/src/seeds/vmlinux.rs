//! Files with debug information, of each version of DWARF and each way to pack it.

use pagehound_synth::vmlinux::{Member, Packing, Section, Type, Unit, elf_file, symbols};

use super::Seed;

pub(super) fn vmlinux() -> Vec<Seed> {
    vec![
        ("dwarf-3", file(3, Packing::None)),
        ("dwarf-4", file(4, Packing::None)),
        ("dwarf-4-zlib", file(4, Packing::Zlib)),
        ("dwarf-5", file(5, Packing::None)),
        ("dwarf-5-zstd", file(5, Packing::Zstd)),
    ]
}

fn file(version: u8, packing: Packing) -> Vec<u8> {
    let mut note = vec![4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0];
    note.extend(b"GNU\0");
    note.extend(1..=20);
    let banner = b"Linux version %s\n\0Linux version 6.1.0 (root@build) (gcc 12.2.0) #1 SMP\n\0";
    let mut sections = vec![
        Section::new(".notes", note),
        Section::new(".rodata", banner.to_vec()),
    ];
    let debug = unit(version).sections().into_iter();
    sections.extend(debug.map(|section| section.packed(packing)));
    sections.extend(symbols(&[
        ("_stext", 0xffff_ffff_8100_0000),
        ("init_task", 0xffff_ffff_8200_0000),
        ("runqueues", 0x2_0000),
        ("$d", 0xffff_ffff_8100_0010),
    ]));
    elf_file(&sections)
}

fn member(name: &str, of: Type, at: u8) -> Member<'_> {
    Member {
        name,
        of,
        at,
        bits: None,
    }
}

/// One of each kind of type, with the names that are asked for.
fn unit(version: u8) -> Unit {
    let mut unit = Unit::new(version);
    let long = unit.int("long unsigned int", 8);
    let int = unit.int("int", 4);
    let pointer = unit.pointer();
    let constant = unit.constant(int);
    let counter = [member("counter", constant, 0)];
    let counter = unit.structure("", 4, &counter);
    let atomic = unit.typedef("atomic_t", counter);
    let links = [member("next", pointer, 0), member("prev", pointer, 8)];
    let list = unit.structure("list_head", 16, &links);
    let either = [member("lru", list, 0), member("private", long, 0)];
    let either = unit.union("", 16, &either);
    let members = [
        member("flags", long, 0),
        member("", either, 8),
        member("_refcount", atomic, 24),
    ];
    unit.structure("page", 64, &members);
    unit.declared("address_space");
    let area = [member("free_list", list, 0), member("nr_free", long, 16)];
    let area = unit.structure("free_area", 24, &area);
    let areas = unit.array(area, 11);
    let members = [
        member("zone_start_pfn", long, 0),
        member("free_area", areas, 16),
    ];
    unit.structure("zone", 512, &members);
    let bits = |first, bits| Some((4, first, bits));
    let members = [
        member("counters", long, 16),
        Member {
            bits: bits(0, 16),
            ..member("inuse", int, 16)
        },
        Member {
            bits: bits(16, 15),
            ..member("objects", int, 16)
        },
    ];
    unit.structure("slab", 64, &members);
    let values = [("NR_FREE_PAGES", 0), ("NR_BOUNCE", -1)];
    unit.enumeration("zone_stat_item", &values);
    unit
}
