//! Types of loaded modules, which the kernel keeps where it verifies BPF.

use std::collections::HashSet;
use std::sync::Arc;

use pagehound_vmcore::VirtAddr;

use super::Btf;
use crate::kernel::Kernel;
use crate::layouts::Field;
use crate::net::whole_or_part;

/// More modules than any kernel loads.
const MOST_MODULES: usize = 1 << 12;
/// Bytes of types of all modules together: more than a host with hundreds of them has.
const MOST_BYTES: u64 = 24 << 20;

impl Kernel<'_> {
    /// Reads the types of loaded modules (CONFIG_DEBUG_INFO_BTF_MODULES), and places
    /// members that the kernel's own types do not have. What cannot be read is left
    /// out.
    pub(crate) fn read_module_types(&mut self) {
        // They go on where the kernel's own BTF ends.
        let own = self.types.clone().filter(|_| self.vmlinux.is_none());
        let Some(base) = own else { return };
        self.module_types = self.all_module_types(&base);
        self.layouts.add(&base, &self.module_types);
    }

    fn all_module_types(&self, base: &Arc<Btf>) -> Vec<(String, Btf)> {
        let Some(head) = self.address("btf_modules") else {
            return Vec::new();
        };
        let mut left = MOST_BYTES;
        let mut seen = HashSet::new();
        let entries = whole_or_part(self.list_of(head, Field::BtfModuleList, MOST_MODULES));
        let mut read = |entry: VirtAddr| {
            let module = self.pointer(entry, Field::BtfModuleModule).ok()?;
            let btf = self.pointer(entry, Field::BtfModuleBtf).ok()?;
            let data = self.pointer(btf, Field::BtfData).ok()?;
            let size = self.field(btf, Field::BtfDataSize).ok()?;
            left = left.checked_sub(size).filter(|_| seen.insert(data))?;
            let types = Btf::of_module(base, &self.memory, data, size).ok()?;
            Some((self.module_name(module)?, types))
        };
        entries.into_iter().filter_map(&mut read).collect()
    }
}
