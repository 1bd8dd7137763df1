//! VMCOREINFO (`crash_save_vmcoreinfo_init()` of `kernel/crash_core.c`,
//! `arch_crash_save_vmcoreinfo()` of `arch/x86/kernel/machine_kexec_64.c`,
//! `log_buf_vmcoreinfo_setup()` of `kernel/printk/printk.c`).

use std::fmt::Write;

use super::Options;
use super::addresses::PAGE;
use super::build::Build;
use super::variables::{MAX_NUMNODES, SECTIONS};

impl Build {
    /// The text, which also lies in memory: in a page of its own, and with the header
    /// of a note in two pages that `alloc_pages_exact()` gave; both in the image before
    /// 4.13.
    pub(super) fn write_vmcoreinfo(&mut self, options: &Options) -> String {
        let era = self.era;
        let symbol = |name: &str| {
            // A macro for the root of the tables.
            let of = match name {
                "swapper_pg_dir" => era.root,
                name => name,
            };
            let address = match name {
                // Of an array that is behind a pointer, where that points: 83e3c48729d9
                // (4.14).
                "mem_section" if era.allocated_sections => self.tables.sections,
                _ => self.variables.address(of),
            };
            format!("SYMBOL({name})={address:x}\n")
        };
        let symbols = |names: &[&str]| names.iter().copied().map(symbol).collect::<String>();
        let keys = &era.vmcoreinfo;
        let mut text = format!("OSRELEASE={}\nPAGESIZE={PAGE}\n", options.release);
        text += &symbols(&["init_uts_ns", "node_online_map", "swapper_pg_dir", "_stext"]);
        text += &symbols(&["vmap_area_list", "mem_section"]);
        let roots = SECTIONS / (PAGE / era.section);
        let _ = writeln!(text, "LENGTH(mem_section)={roots}");
        text += keys.offsets;
        text += &symbols(&["log_buf", "log_buf_len", "log_first_idx"]);
        text += &symbols(keys.log_symbols);
        text += &symbols(&["log_next_idx"]);
        text += keys.log;
        text += keys.numbers;
        text += &symbols(keys.symbols);
        let _ = writeln!(text, "LENGTH(node_data)={MAX_NUMNODES}");
        text += keys.end;
        text += "CRASHTIME=1508750000\n";
        assert!(text.len() <= PAGE as usize, "VMCOREINFO_BYTES");

        let [mut data, mut note] =
            ["vmcoreinfo_data", "vmcoreinfo_note"].map(|name| self.variables.address(name));
        if era.vmcoreinfo_pages {
            let pages = [era.direct(self.single()), era.direct(self.exact_pages(2))];
            self.write_u64(data, pages[0]);
            self.write_u64(note, pages[1]);
            [data, note] = pages;
        }
        self.write(data, text.as_bytes());
        self.write_u32(note, 11);
        self.write_u32(note + 4, text.len() as u32);
        self.write(note + 12, b"VMCOREINFO");
        self.write(note + 24, text.as_bytes());
        text
    }
}
