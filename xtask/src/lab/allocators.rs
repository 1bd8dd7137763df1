//! Whether the lost pages' allocators are those that allocated them, on kernels
//! that keep records.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use pagehound_testdata::{KINDS, Truth};

use super::answer::Answer;

/// Of a lost page's allocator, this share may be another than the one that was.
const WRONG: f64 = 0.005;
/// The share of the planted pages that is on record: an interrupt that allocates
/// while page_owner is at work gets no stack.
const RECORDED: f64 = 0.95;

/// Who allocated the pages of a kind: the function, or whatever function of the
/// modules.
enum Allocated {
    By(&'static str),
    In(&'static [&'static str]),
}

/// Kinds that are allocated in one way. Tags know the innermost function alone,
/// which for small frames is the kernel's own allocator of fragments.
const KNOWN: [(&str, Allocated); 15] = [
    (
        "frames",
        Allocated::In(&[
            "[e1000]",
            "[virtio_net]",
            "page_frag_alloc_1k",
            "__page_frag_cache_refill",
        ]),
    ),
    ("offset64", Allocated::In(&["[pagelab]"])),
    ("offset192", Allocated::In(&["[pagelab]"])),
    ("offset2048", Allocated::In(&["[pagelab]"])),
    ("text", Allocated::By(TAKE)),
    ("order2", Allocated::By(TAKE)),
    ("order3", Allocated::By(TAKE)),
    ("lostcompound", Allocated::By(TAKE)),
    ("zero", Allocated::By(TAKE)),
    ("noise", Allocated::By(TAKE)),
    ("cycle", Allocated::By(TAKE)),
    ("singly", Allocated::By(TAKE)),
    ("doubly", Allocated::By(TAKE)),
    ("stale", Allocated::By(TAKE)),
    ("lostkmalloc", Allocated::By("lose_kmalloc [pagelab]")),
];
/// By which the module's planting functions allocate (`blocks.c`).
const TAKE: &str = "take [pagelab]";

impl Allocated {
    fn fits(&self, name: &str) -> bool {
        match self {
            Allocated::By(function) => name == *function,
            Allocated::In(ends) => ends.iter().any(|end| name.ends_with(end)),
        }
    }
}

/// Pages of a kind by what was said of their allocator.
#[derive(Default)]
struct Sum {
    right: u64,
    wrong: u64,
    unrecorded: u64,
}

/// Prints how the allocators of lost pages compare, where the guest's kernel kept
/// records.
///
/// # Errors
/// When too many are wrong or not on record.
pub(super) fn check(truth: &Truth, answer: &Answer) -> Result<()> {
    let kept = |section| truth.section(section).is_some();
    if !kept("page_owner") && !kept("allocinfo") {
        return Ok(());
    }
    let mut all = Sum::default();
    let mut names: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, allocated) in &KNOWN {
        let number = KINDS.iter().find(|(_, name, _)| name == kind);
        let Some(&(number, ..)) = number else {
            continue;
        };
        let mut sum = Sum::default();
        for pfn in truth.pages(number).intersection(&answer.lost) {
            match answer.allocators.get(pfn).map(String::as_str) {
                Some(name) => {
                    *names.entry(name).or_default() += 1;
                    *if allocated.fits(name) {
                        &mut sum.right
                    } else {
                        &mut sum.wrong
                    } += 1;
                }
                None => sum.unrecorded += 1,
            }
        }
        all.right += sum.right;
        all.wrong += sum.wrong;
        all.unrecorded += sum.unrecorded;
    }
    let recorded = all.right + all.wrong;
    println!(
        "  allocators        {} right, {} wrong, {} not on record",
        all.right, all.wrong, all.unrecorded
    );
    let mut names: Vec<(&str, u64)> = names.into_iter().collect();
    names.sort_by_key(|&(_, pages)| std::cmp::Reverse(pages));
    for (name, pages) in names {
        println!("    {pages:>7}  {name}");
    }
    ensure!(
        all.wrong as f64 <= recorded as f64 * WRONG,
        "goals missed: {} of {recorded} allocators are wrong",
        all.wrong
    );
    ensure!(
        recorded as f64 >= (recorded + all.unrecorded) as f64 * RECORDED,
        "goals missed: of {} lost pages no allocator is known",
        all.unrecorded
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::answer::tests::of_kernel;

    fn judged(sections: &str, allocators: &[(u64, &str)]) -> Result<()> {
        let text = format!("{sections}== leaked\n0\n== planted\n10 1 0\n11 2 0\n== end\n");
        let mut answer = of_kernel("6.1");
        answer.lost = [10, 11].into();
        let named = allocators.iter();
        answer.allocators = named.map(|&(pfn, name)| (pfn, name.to_owned())).collect();
        check(&Truth::parse(&text).unwrap(), &answer)
    }

    #[test]
    fn a_kernel_that_keeps_records_must_name_the_right_functions() {
        let right = [
            (10, "e1000_alloc_jumbo_rx_buffers [e1000]"),
            (11, "take [pagelab]"),
        ];
        let kept = "== page_owner\nx\n";
        assert!(judged(kept, &right).is_ok());
        assert!(judged(kept, &[(10, "take [pagelab]"), right[1]]).is_err());
        assert!(judged(kept, &right[..1]).is_err());
        assert!(judged(kept, &[]).is_err());
        // Debian's keep none.
        assert!(judged("", &[]).is_ok());
    }

    #[test]
    fn every_kind_is_one_of_the_lab() {
        for (name, _) in &KNOWN {
            assert!(KINDS.iter().any(|(_, kind, _)| kind == name), "{name}");
        }
    }
}
