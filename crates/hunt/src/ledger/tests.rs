//! When a difference from the kernel's own count is worth a warning.

use super::*;
use crate::testing::DEMO;
use pagehound_vmcore::Pfn;

fn warns(class: Class, found: u64, counted: u64) -> bool {
    let counter = Counter {
        name: "COUNTER".into(),
        pages: counted,
    };
    let warning = compare(
        class,
        found,
        &counter,
        &Counts::default(),
        &DEMO.kernel,
        &DEMO.pages,
    );
    if let Some(text) = &warning {
        assert!(
            text.contains("COUNTER") && text.contains(&thousands(counted)),
            "{text}"
        );
    }
    warning.is_some()
}

#[test]
fn small_differences_are_tolerated() {
    // 64 pages of a small class, half a per cent of a large one.
    assert!(!warns(Class::Free, 1064, 1000) && !warns(Class::Free, 936, 1000));
    assert!(warns(Class::Free, 1065, 1000) && warns(Class::Free, 935, 1000));
    assert!(!warns(Class::File, 1_005_000, 1_000_000));
    assert!(warns(Class::File, 1_005_001, 1_000_000));
}

/// NR_ANON_MAPPED forgets the pages that are unmapped from a huge page.
#[test]
fn anonymous_pages_are_compared_by_those_that_are_mapped() {
    let mapped = DEMO.pages.mapped_anon;
    assert!(!warns(Class::Anon, mapped + 100_000, mapped));
    assert!(warns(Class::Anon, mapped, mapped + 1000));
}

/// SUnreclaim counts large kmalloc, which has no slab page: only more slab
/// than was counted is strange.
#[test]
fn slab_may_fall_short_of_its_counter() {
    assert!(!warns(Class::Slab, 0, 100_000));
    assert!(warns(Class::Slab, 1065, 1000));
}

/// NR_PAGETABLE counts the levels that carry the type mark.
#[test]
fn page_tables_are_compared_by_those_that_are_marked() {
    let marked = DEMO.pages.typed_tables;
    assert!(!warns(Class::PageTable, 1_000_000, marked));
    assert!(warns(Class::PageTable, marked, marked + 1000));
}

#[test]
fn rows_add_up_and_agree_with_the_kernel_of_the_dump() {
    let (rows, warnings) = ledger(&DEMO.kernel, &DEMO.pages, &Counts::default());
    let sum: u64 = rows.iter().map(|row| row.pages).sum();
    assert_eq!(sum, DEMO.pages.map.end().0);
    assert!(rows.iter().all(|row| row.bytes == row.pages * 4096));
    assert_eq!(warnings, Vec::<String>::new());
}

/// Rows of the table in `calculate_normal_threshold()`, mm/vmstat.c: CPUs, MiB of the
/// zone, threshold.
#[test]
fn thresholds_are_those_of_the_kernel_s_own_table() {
    for (cpus, mib, expected) in [
        (1, 950, 8),
        (2, 950, 16),
        (2, 1536, 20),
        (2, 3072, 24),
        (2, 6144, 28),
        (2, 12_288, 32),
        (2, 100, 4),
        (4, 12_288, 48),
        (8, 950, 32),
        (16, 100, 10),
        (16, 900, 40),
        (1024, 12_288, 125),
        (1024, 24_576, 125),
    ] {
        assert_eq!(threshold(mib << 20, cpus), expected, "{cpus} {mib}");
    }
}

#[test]
fn only_zones_with_memory_and_believable_cpus_count() {
    let zone = |mib: u64| Zone {
        addr: pagehound_vmcore::VirtAddr(0),
        node: 0,
        start: Pfn(0),
        spanned: 1 << 20,
        present: mib << 8,
        managed: mib << 8,
    };
    let zones = [zone(100), zone(3072), zone(0)];
    let most = |cpus| unfolded(zones.iter(), cpus, 4096);
    assert_eq!(most(Some(2)), Some((4 + 24) * 2));
    assert_eq!(most(None), None);
    assert_eq!((most(Some(0)), most(Some(u32::MAX))), (None, None));
}

/// What reports are compared by, names classes that there are.
#[test]
fn classes_that_the_model_names_exist() {
    let outside = pagehound_model::OUTSIDE_MEM_TOTAL.into_iter();
    let apart = pagehound_model::COUNTED_APART.into_iter().map(|(_, of)| of);
    let unaccounted = pagehound_model::UNACCOUNTED.into_iter();
    for name in outside.chain(apart).chain(unaccounted).chain(["free_pcp"]) {
        assert!(Class::from_name(name).is_some(), "{name}");
    }
}
