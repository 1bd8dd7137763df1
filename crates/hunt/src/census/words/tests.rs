//! Which words name which pages: a direct map of 1 GiB at 0xffff888000000000
//! and a memory map of 64-byte `struct page`s at 0xffffea0000000000.

use super::*;

const DIRECT: u64 = 0xffff_8880_0000_0000;
const MEMMAP: u64 = 0xffff_ea00_0000_0000;
const FRAMES: u64 = 1 << 18;

fn naming() -> Naming {
    Naming {
        direct: Linear {
            virt: DIRECT..DIRECT + (1 << 30),
            phys: 0,
        },
        memmap: MEMMAP..MEMMAP + FRAMES * 64,
        page_struct: 64,
        page_shift: 12,
        end: FRAMES,
    }
}

fn page(word: u64) -> Option<u64> {
    naming().page(word).map(|pfn| pfn.0)
}

#[test]
fn an_address_names_its_page_wherever_in_it_it_points() {
    assert_eq!(page(DIRECT), Some(0));
    assert_eq!(page(DIRECT + 0x1234), Some(1));
    assert_eq!(page(DIRECT + 0x1fff), Some(1));
    assert_eq!(page(DIRECT + (1 << 30) - 1), Some(FRAMES - 1));
    assert_eq!(page(DIRECT + (1 << 30)), None);
    assert_eq!(page(DIRECT - 1), None);
}

#[test]
fn a_struct_page_is_named_by_any_address_in_it() {
    // A pointer, a list head in it, and the tags of netmem, scatterlists and
    // xarrays.
    for tag in [0, 1, 2, 3, 8, 63] {
        assert_eq!(page(MEMMAP + 7 * 64 + tag), Some(7));
    }
    assert_eq!(page(MEMMAP + FRAMES * 64), None);
    assert_eq!(page(MEMMAP - 1), None);
}

#[test]
fn numbers_and_other_addresses_name_nothing() {
    for word in [
        0,
        1,
        u64::MAX,
        0x7fff_ffff_f000,
        0xffff_ffff_8100_0000,
        FRAMES,
    ] {
        assert_eq!(page(word), None, "{word:#x}");
    }
}

/// Memory that begins at 1 GiB, as on arm64 boards.
#[test]
fn a_direct_map_need_not_begin_at_frame_zero() {
    let naming = Naming {
        direct: Linear {
            virt: DIRECT..DIRECT + (1 << 28),
            phys: 1 << 30,
        },
        end: (1 << 18) + (1 << 16),
        ..naming()
    };
    assert_eq!(naming.page(DIRECT + 0x5000), Some(Pfn((1 << 18) + 5)));
    assert_eq!(naming.phys(DIRECT), Some(PhysAddr(1 << 30)));
    // Never beyond the map.
    let short = Naming { end: 4, ..naming };
    assert_eq!(short.page(DIRECT + 0x5000), None);
}

#[test]
fn the_start_of_a_page_is_an_address_of_its_first_byte() {
    let naming = naming();
    assert!(naming.is_start(DIRECT + 0x3000));
    assert!(!naming.is_start(DIRECT + 0x3001));
    // A struct page pointer is what receive rings hold.
    assert!(!naming.is_start(MEMMAP + 0x3000));
}

#[test]
fn kernel_pointers_are_of_the_upper_half_and_no_error_numbers() {
    let naming = naming();
    for word in [DIRECT, MEMMAP, 0xffff_ffff_8100_0000, 0xffff_c900_0000_1000] {
        assert!(naming.is_kernel_pointer(word), "{word:#x}");
    }
    // -1, -ENOMEM, a user's address, text.
    for word in [
        u64::MAX,
        -12_i64 as u64,
        0x7f00_1234_5678,
        0x6c6c_6568_6f20_7768,
    ] {
        assert!(!naming.is_kernel_pointer(word), "{word:#x}");
    }
}

#[test]
fn entries_have_a_frame_of_this_machine_and_a_bit_below() {
    let naming = naming();
    assert_eq!(naming.frame_entry(0x5003), Some(Pfn(5)));
    assert_eq!(naming.frame_entry(1 << 63 | 0x5007), Some(Pfn(5)));
    assert_eq!(naming.frame_entry(0x5000), None, "no permission");
    assert_eq!(naming.frame_entry(0x3), None, "frame zero");
    assert_eq!(
        naming.frame_entry((FRAMES << 12) | 3),
        None,
        "no such frame"
    );
    assert_eq!(naming.frame_entry(u64::MAX), None);
}
