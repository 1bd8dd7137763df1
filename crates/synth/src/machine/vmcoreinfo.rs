//! VMCOREINFO (`crash_save_vmcoreinfo_init()` of `kernel/crash_core.c`,
//! `arch_crash_save_vmcoreinfo()` of `arch/x86/kernel/machine_kexec_64.c`,
//! `log_buf_vmcoreinfo_setup()` of `kernel/printk/printk.c`).

use std::fmt::Write;

use super::Options;
use super::addresses::{PAGE, direct};
use super::build::Build;
use super::variables::{MAX_NUMNODES, SECTION_ROOTS};

/// Values of the configuration, in the order of the source.
const SIZES_AND_OFFSETS: &str = "\
SIZE(mem_section)=16
OFFSET(mem_section.section_mem_map)=0
SIZE(page)=64
SIZE(pglist_data)=18304
SIZE(zone)=1472
SIZE(free_area)=88
SIZE(list_head)=16
SIZE(nodemask_t)=8
OFFSET(page.flags)=0
OFFSET(page._refcount)=28
OFFSET(page.mapping)=8
OFFSET(page.lru)=32
OFFSET(page._mapcount)=24
OFFSET(page.private)=48
OFFSET(page.compound_dtor)=40
OFFSET(page.compound_order)=44
OFFSET(page.compound_head)=32
OFFSET(pglist_data.node_zones)=0
OFFSET(pglist_data.nr_zones)=17632
OFFSET(pglist_data.node_start_pfn)=17640
OFFSET(pglist_data.node_spanned_pages)=17656
OFFSET(pglist_data.node_id)=17664
OFFSET(zone.free_area)=192
OFFSET(zone.vm_stat)=1280
OFFSET(zone.spanned_pages)=112
OFFSET(free_area.free_list)=0
OFFSET(list_head.next)=0
OFFSET(list_head.prev)=8
OFFSET(vmap_area.va_start)=0
OFFSET(vmap_area.list)=48
LENGTH(zone.free_area)=11
";

const LOG: &str = "\
SIZE(printk_log)=16
OFFSET(printk_log.ts_nsec)=0
OFFSET(printk_log.len)=8
OFFSET(printk_log.text_len)=10
OFFSET(printk_log.dict_len)=12
";

const NUMBERS: &str = "\
LENGTH(free_area.free_list)=5
NUMBER(NR_FREE_PAGES)=0
NUMBER(PG_lru)=5
NUMBER(PG_private)=12
NUMBER(PG_swapcache)=9
NUMBER(PG_slab)=8
NUMBER(PG_hwpoison)=22
NUMBER(PG_head_mask)=32768
NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-128
NUMBER(HUGETLB_PAGE_DTOR)=2
NUMBER(phys_base)=0
";

impl Build {
    /// The text, which also lies in memory: in a page of its own, and with the header
    /// of a note in two pages that `alloc_pages_exact()` gave.
    pub(super) fn write_vmcoreinfo(&mut self, options: &Options) -> String {
        let symbol = |name: &str| {
            // A macro for the root of the tables.
            let of = match name {
                "swapper_pg_dir" => "init_top_pgt",
                name => name,
            };
            format!("SYMBOL({name})={:x}\n", self.variables.address(of))
        };
        let symbols = |names: &[&str]| names.iter().copied().map(symbol).collect::<String>();
        let mut text = format!("OSRELEASE={}\nPAGESIZE={PAGE}\n", options.release);
        text += &symbols(&["init_uts_ns", "node_online_map", "swapper_pg_dir", "_stext"]);
        text += &symbols(&["vmap_area_list", "mem_section"]);
        let _ = writeln!(text, "LENGTH(mem_section)={SECTION_ROOTS}");
        text += SIZES_AND_OFFSETS;
        text += &symbols(&["log_buf", "log_buf_len", "log_first_idx", "clear_idx"]);
        text += &symbols(&["log_next_idx"]);
        text += LOG;
        text += NUMBERS;
        text += &symbols(&["init_top_pgt", "node_data"]);
        let _ = writeln!(text, "LENGTH(node_data)={MAX_NUMNODES}\nKERNELOFFSET=0");
        let _ = writeln!(text, "NUMBER(KERNEL_IMAGE_SIZE)={}", 1 << 30);
        text += "CRASHTIME=1508750000\n";
        assert!(text.len() <= PAGE as usize, "VMCOREINFO_BYTES");

        let data = direct(self.single());
        let note = direct(self.exact_pages(2));
        self.write_u64(self.variables.address("vmcoreinfo_data"), data);
        self.write_u64(self.variables.address("vmcoreinfo_note"), note);
        self.write(data, text.as_bytes());
        self.write_u32(note, 11);
        self.write_u32(note + 4, text.len() as u32);
        self.write(note + 12, b"VMCOREINFO");
        self.write(note + 24, text.as_bytes());
        text
    }
}
