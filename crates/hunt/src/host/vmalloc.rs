//! What lies in the vmalloc range, and whether kernel stacks do.

use super::facts::Facts;
use pagehound_procfs::{Area, AreaFlags, ParseError, vmallocinfo};

/// Functions vmallocinfo shows as the caller of a stack: the one that called
/// copy_process(), which takes the return address of its own caller
/// (kernel/fork.c, alloc_thread_stack_node).
const FORKS: [&str; 8] = [
    "kernel_clone",
    "_do_fork",
    "do_fork",
    "fork_idle",
    "create_io_thread",
    "copy_process",
    "dup_task_struct",
    "alloc_thread_stack_node",
];

/// Sums over the areas of a vmallocinfo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct VmallocSums {
    /// Pages that vmalloc() took. Areas of ioremap and percpu chunks have none.
    pub(super) pages: u64,
    /// Of these, pages of kernel stacks.
    pub(super) stack_pages: u64,
    /// Bytes of address space of percpu chunks, which are populated in part only.
    pub(super) percpu_bytes: u64,
    /// Whether callers have names, so that stacks could be told.
    pub(super) named: bool,
}

/// Pages that the area took. vmap() with VM_MAP_PUT_PAGES (5.10) has pages=, but they can
/// be somebody's: i915 maps shmem so. The kernel does not count them either.
pub(super) fn own_pages(area: &Area<'_>) -> u64 {
    let pages = area.pages.unwrap_or(0);
    if area.flags.contains(AreaFlags::VMAP) {
        0
    } else {
        pages
    }
}

/// Whether the area, of `pages` pages, is a stack. arm64's shadow call stacks come from
/// fork too, but are one page of 4 KiB.
pub(super) fn is_stack(area: &Area<'_>, pages: u64, page_kb: u64) -> bool {
    area.function().is_some_and(|it| FORKS.contains(&it)) && pages.saturating_mul(page_kb) >= 8
}

/// Adds up a vmallocinfo.
pub(super) fn sums(text: &[u8], page_kb: u64) -> Result<VmallocSums, ParseError> {
    let mut sums = VmallocSums::default();
    for area in vmallocinfo(text) {
        let area = area?;
        let pages = own_pages(&area);
        sums.pages = sums.pages.saturating_add(pages);
        let Some(function) = area.function() else {
            continue;
        };
        sums.named = true;
        if is_stack(&area, pages, page_kb) {
            sums.stack_pages = sums.stack_pages.saturating_add(pages);
        }
        if function == "pcpu_get_vm_areas" {
            sums.percpu_bytes = sums.percpu_bytes.saturating_add(area.size);
        }
    }
    Ok(sums)
}

/// What `VmallocUsed` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Pages in vmalloc areas: since 5.3 (97105f0ab7b8).
    Pages,
    /// Address space, with ioremap, vmap and guard pages: up to 4.3.
    AddressSpace,
    /// A constant 0: from 4.4 (a5ad88ce8c7f) to 5.2. Also a counter that fell below
    /// zero, as it did until 6.14 when mappings that own their pages were freed.
    Nothing,
}

/// The meaning is told from the other field: `VmallocChunk` is the largest hole of the
/// range, never 0 in practice, up to 4.3, and a constant 0 since. The fields' presence
/// would not do: RHEL 7's 3.10 has `Percpu` and counts address space.
pub(super) fn meaning(facts: &Facts<'_>) -> Meaning {
    match (facts.kb("VmallocUsed"), facts.info.kb("VmallocChunk")) {
        (0, _) => Meaning::Nothing,
        (_, None | Some(0)) => Meaning::Pages,
        (_, Some(_)) => Meaning::AddressSpace,
    }
}

/// Memory in the vmalloc range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vmalloc {
    /// What it really is, as far as known.
    pub(super) kb: i64,
    /// What the hand formula takes.
    pub(super) classic_kb: i64,
    pub(super) source: String,
    pub(super) classic_source: String,
    pub(super) note: Option<String>,
}

/// Takes the best source there is.
pub(super) fn vmalloc(facts: &Facts<'_>) -> Vmalloc {
    let used = facts.kb("VmallocUsed");
    let summed = facts.vmalloc.map(|sums| facts.pages_kb(sums.pages));
    let field = || "meminfo VmallocUsed".to_owned();
    let list = || "vmallocinfo, sum of pages=".to_owned();
    let because_zero = "VmallocUsed is a constant 0 on 4.4 to 5.2 (a5ad88ce8c7f)";
    match (meaning(facts), summed) {
        (Meaning::Pages, summed) => {
            let differs = summed.filter(|sum| (sum - used).abs() > used / 16 + 1024);
            Vmalloc {
                kb: used,
                classic_kb: used,
                source: field(),
                classic_source: field(),
                note: differs
                    .map(|sum| format!("vmallocinfo adds up to {sum} kB: read at another time?")),
            }
        }
        (Meaning::AddressSpace, Some(sum)) => Vmalloc {
            kb: sum,
            classic_kb: used,
            source: list(),
            classic_source: field(),
            note: Some(format!(
                "up to 4.3 VmallocUsed is address space, device memory and guard pages included; the pages are {sum} kB"
            )),
        },
        (Meaning::AddressSpace, None) => Vmalloc {
            kb: used,
            classic_kb: used,
            source: field(),
            classic_source: field(),
            note: Some(
                "up to 4.3 VmallocUsed is address space, device memory and guard pages included: \
                 too much is accounted for here; vmallocinfo would tell the pages"
                    .to_owned(),
            ),
        },
        (Meaning::Nothing, Some(sum)) => Vmalloc {
            kb: sum,
            classic_kb: sum,
            source: list(),
            classic_source: format!("{}; {because_zero}", list()),
            note: None,
        },
        (Meaning::Nothing, None) => Vmalloc {
            kb: 0,
            classic_kb: 0,
            source: field(),
            classic_source: format!("{}; {because_zero}, vmallocinfo would tell", field()),
            note: Some(format!(
                "{because_zero}: vmalloc memory is among the unaccounted; vmallocinfo would tell it"
            )),
        },
    }
}

/// Whether kernel stacks are part of the vmalloc figure, and why that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stacks {
    pub(super) in_vmalloc: bool,
    pub(super) why: String,
}

/// With VMAP_STACK (ba14a194a434; x86 4.9, arm64 4.14) a stack is a vmalloc area and
/// is counted in KernelStack as well. No field says whether the kernel was built so.
///
/// Where vmallocinfo names callers, it decides: with VMAP_STACK every stack but the
/// first task's is an area that fork asked for, without it there is none. KernelStack
/// drifts by some stacks a CPU, and areas of dead tasks are kept for reuse, hence
/// "half".
///
/// Otherwise the counters must do. A figure that counts address space is from before
/// VMAP_STACK. One that counts pages is from 5.3 or later, where VMAP_STACK is the
/// default of every architecture that has it; and it cannot hold the stacks if it is
/// smaller than they are.
pub(super) fn stacks(facts: &Facts<'_>, vmalloc_kb: i64) -> Stacks {
    let stack_kb = facts.kb("KernelStack");
    let (in_vmalloc, why) = match facts.vmalloc {
        _ if stack_kb == 0 => (false, "there is nothing to count twice".to_owned()),
        Some(sums) if sums.named => {
            let found = facts.pages_kb(sums.stack_pages);
            let inside = found >= stack_kb / 2 && vmalloc_kb >= stack_kb;
            (inside, format!("vmallocinfo shows {found} kB of stacks"))
        }
        _ if vmalloc_kb < stack_kb => (
            false,
            format!("{vmalloc_kb} kB in the vmalloc range cannot hold them"),
        ),
        _ if meaning(facts) == Meaning::AddressSpace => (
            false,
            "VmallocChunk is not 0: a kernel from before VMAP_STACK".to_owned(),
        ),
        _ => (
            true,
            "assumed: VmallocUsed counts pages (5.3 or later), and VMAP_STACK is the default there; \
             vmallocinfo would prove it"
                .to_owned(),
        ),
    };
    Stacks { in_vmalloc, why }
}
