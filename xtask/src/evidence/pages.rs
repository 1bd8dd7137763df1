//! Pages that between them have every kind of claim. Which they are, the guest's own
//! truth and drgn say, not pagehound.

use anyhow::{Context, Result};
use pagehound_testdata::{KINDS, Truth};

use super::typed::Tools;

/// A page, and why it is one to ask about.
pub(super) struct Chosen {
    pub(super) pfn: u64,
    pub(super) what: String,
}

/// Pages that the kernel itself uses, as what finds them in drgn. Of Python's own
/// nothing but expressions, so that each is a line.
const OF_THE_KERNEL: [(&str, &str); 9] = [
    (
        "slab",
        "virt_to_page(next(list_for_each_entry('struct kmem_cache', \
         prog['slab_caches'].address_of_(), 'list')))",
    ),
    ("task's slab", "virt_to_page(find_task(prog, 1))"),
    ("stack", "vmalloc_to_page(prog, find_task(prog, 1).stack)"),
    (
        "vmalloc area",
        "next(area.vm.pages[0] for area in list_for_each_entry('struct vmap_area', \
         prog['vmap_area_list'].address_of_(), 'list') if area.vm and area.vm.nr_pages)",
    ),
    ("page table", "virt_to_page(find_task(prog, 1).mm.pgd)"),
    (
        "free page",
        "next(page for node in for_each_online_pgdat(prog) for zone in node.node_zones \
         for head in zone.free_area[0].free_list if head.next \
         for page in list_for_each_entry('struct page', head.address_of_(), 'lru'))",
    ),
    (
        "free block",
        "next(page for node in for_each_online_pgdat(prog) for zone in node.node_zones \
         for order in range(1, 11) for head in zone.free_area[order].free_list if head.next \
         for page in list_for_each_entry('struct page', head.address_of_(), 'lru'))",
    ),
    (
        "pipe",
        "next(pipe.bufs[0].page for task in for_each_task(prog) \
         for _, file in for_each_file(task) \
         if file.f_op == prog['pipefifo_fops'].address_of_() \
         for pipe in [cast('struct pipe_inode_info *', file.private_data)] \
         if pipe.bufs[0].page)",
    ),
    (
        "memory set aside at boot",
        "virt_to_page(prog['mem_section'])",
    ),
];

/// The first block of each kind that was planted; of larger ones its second page too,
/// and a second block where the kind is blocks that were split.
pub(super) fn planted(truth: &Truth) -> Vec<Chosen> {
    let mut chosen = Vec::new();
    for (kind, name, _) in KINDS {
        let mut blocks = truth.planted().filter(|block| block.kind == kind);
        let Some(first) = blocks.next() else { continue };
        let mut add = |pfn: u64, what: String| chosen.push(Chosen { pfn, what });
        add(first.pfn, name.to_owned());
        if first.order > 0 {
            add(first.pfn + 1, format!("{name}, second page"));
        } else if let Some(second) = blocks.next().filter(|_| name == "split") {
            add(second.pfn, format!("{name}, second"));
        }
    }
    chosen
}

/// Pages that drgn finds by what the kernel calls them.
pub(super) fn of_the_kernel(tools: &Tools) -> Result<Vec<Chosen>> {
    let lines: Vec<String> = OF_THE_KERNEL
        .iter()
        .map(|(_, page)| format!("print(int(page_to_pfn({page})))"))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut chosen = Vec::new();
    for ((what, _), answer) in OF_THE_KERNEL.iter().zip(tools.drgn(&lines)?) {
        let pfn = answer.trim().parse();
        chosen.push(Chosen {
            pfn: pfn.with_context(|| format!("drgn finds no {what}: {answer}"))?,
            what: (*what).to_owned(),
        });
    }
    Ok(chosen)
}
