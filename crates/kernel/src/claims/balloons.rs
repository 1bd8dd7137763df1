//! Memory that a guest gave back to its hypervisor: pages of the type offline, which
//! the driver of the balloon keeps on a list.

use std::collections::HashMap;

use pagehound_vmcore::VirtAddr;

use super::{Kind, Search};
use crate::layouts::Field;
use crate::pagemap::Class;
use crate::symbolizer::Symbolizer;

/// Drivers that take pages away without noting in `struct page` that they did.
const SILENT: [(&str, Kind); 3] = [
    ("hv_balloon", Kind::Balloon),
    ("vmw_balloon", Kind::Balloon),
    ("virtio_mem", Kind::Unplugged),
];

impl Search<'_> {
    /// Pages of balloons: `page->private` is the `balloon_dev_info` that has them
    /// (`balloon_page_insert()` of the kernel).
    pub(super) fn balloons(&mut self) {
        let pages = self.pages;
        let symbols = self.kernel.symbolizer();
        let mut structs = pages.memmap.struct_pages(self.kernel);
        let mut owners: HashMap<u64, Option<u32>> = HashMap::new();
        for head in pages.map.heads(Class::Offline) {
            let Some(bytes) = structs.get(head) else {
                continue;
            };
            let device = VirtAddr(pages.decoder.words(bytes).private());
            let owner = match owners.get(&device.0) {
                Some(owner) => *owner,
                None => {
                    let named = self.balloon(device, &symbols);
                    let owner = named.map(|(kind, name)| {
                        // Of a driver that is built in it is a function.
                        let mut modules = symbols.modules().iter();
                        let module = modules.any(|module| module.name == name);
                        let owner = self.owner(kind, name.clone(), None);
                        if let Some(claimant) = self.claims.claimants.get_mut(owner as usize) {
                            claimant.module = module.then_some(name);
                        }
                        owner
                    });
                    owners.insert(device.0, owner);
                    owner
                }
            };
            if let Some(owner) = owner {
                self.below("balloon_dev_info", device, |search| {
                    search.frame(owner, head);
                });
            }
        }
    }

    /// The kind and the driver of a balloon: the module that has it, or whose function
    /// moves its pages; of a driver that notes nothing, the only one that is loaded.
    fn balloon(&self, device: VirtAddr, symbols: &Symbolizer<'_>) -> Option<(Kind, String)> {
        let migrate = self.kernel.pointer(device, Field::BalloonMigrate).ok();
        let module = [migrate, Some(device)]
            .into_iter()
            .flatten()
            .find_map(|at| symbols.module(at));
        if let Some(module) = module {
            return Some((Kind::Balloon, module.name.clone()));
        }
        if let Some(function) = migrate
            && let Some(name) = symbols.symbolize(function)
        {
            return Some((Kind::Balloon, name));
        }
        let loaded = |name: &str| symbols.modules().iter().any(|module| module.name == name);
        let mut silent = SILENT.iter().filter(|(name, _)| loaded(name));
        match (silent.next(), silent.next()) {
            (Some(&(name, kind)), None) => Some((kind, name.to_owned())),
            _ => None,
        }
    }
}
