//! What the drivers of network devices keep: buffers of receive rings, memory of
//! their descriptors. Drivers have no layout in common, so their own types are
//! followed (module BTF): from the private part of the device along all pointers
//! to structs of the same module.

use std::collections::HashSet;
use std::sync::Arc;

use pagehound_vmcore::VirtAddr;

use super::Search;
use crate::btf::{Btf, PointerAt, Target};
use crate::layouts::{Field, Struct};
use crate::net::{NetDevice, whole_or_part};
use crate::virt::VirtualRead;
use crate::vmalloc::area_at;

/// More modules than any kernel loads.
const MOST_MODULES: usize = 1 << 12;
/// Structs of one driver that are looked at.
const MOST_STRUCTS: usize = 1 << 20;
/// `NETDEV_ALIGN`: where the private part begins, without a member of its own.
const PRIVATE_ALIGN: u64 = 32;

impl Search<'_> {
    /// What belongs to the drivers of network devices.
    pub(super) fn receive_rings(&mut self) {
        let kernel = self.kernel;
        let Some(base) = &kernel.btf else { return };
        let types = kernel.module_types(base);
        let devices = kernel.net_devices().unwrap_or_default();
        for (module, types) in &types {
            let own = |device: &&NetDevice| device.module.as_ref() == Some(module);
            for device in devices.iter().filter(own) {
                let driver = device.driver.as_deref().unwrap_or(module);
                let name = format!("{} ({driver})", device.name);
                self.driver(types, device.addr, name);
            }
        }
    }

    fn driver(&mut self, types: &Btf, device: VirtAddr, name: String) {
        let Some((private, shape)) = self.private_part(types, device) else {
            return;
        };
        let rings = self.owner("receive ring", name.clone(), None);
        let others = self.owner("device memory", name, None);
        let mut walk = Driver {
            types,
            owners: [rings, others],
            slots: 0,
            seen: HashSet::new(),
            waiting: vec![(private, shape, 1, false)],
        };
        self.below("net_device", device, |search| {
            while let Some((at, id, count, receives)) = walk.waiting.pop() {
                let what = types.type_name(id).to_owned();
                let pointers = types.pointers(id);
                let Some(size) = types.type_size(id).filter(|size| *size > 0) else {
                    continue;
                };
                for index in 0..count {
                    let at = at.add(index * size);
                    search.below(&what, at, |search| {
                        search.members(&mut walk, at, size, &pointers, receives);
                    });
                    if search.left == 0 {
                        return;
                    }
                }
            }
        });
        if let Some(claimant) = self.claims.claimants.get_mut(rings as usize) {
            claimant.most = Some(walk.slots);
        }
    }

    /// Looks at what one struct points to.
    fn members(
        &mut self,
        walk: &mut Driver<'_>,
        at: VirtAddr,
        size: u64,
        pointers: &[PointerAt],
        receives: bool,
    ) {
        let mut bytes = vec![0; size as usize];
        if self.kernel.memory.read(at, &mut bytes).is_err() {
            return;
        }
        for pointer in pointers {
            let word = usize::try_from(pointer.offset).ok();
            let word = word.and_then(|at| bytes.get(at..)?.first_chunk());
            let to = VirtAddr(word.map_or(0, |word| u64::from_le_bytes(*word)));
            if to.0 >> 63 == 0 {
                continue;
            }
            let types = walk.types;
            let name = types.pointer_name(pointer);
            let receives = receives || is_receiving(name);
            let owner = walk.owners[usize::from(!receives)];
            match pointer.target {
                Target::Struct(id) if types.is_own(id) => {
                    let receives = receives || is_receiving(types.type_name(id));
                    walk.follow(to, id, self.elements(to, types.type_size(id)), receives);
                }
                Target::Struct(id) if types.type_name(id) == "page" => {
                    walk.slots += u64::from(receives) * self.unit_at(to);
                    self.page(owner, to);
                }
                Target::Struct(_) => {}
                Target::Pointers(id) if types.is_own(id) => {
                    let receives = receives || is_receiving(types.type_name(id));
                    for index in 0..self.elements(to, Some(8)) {
                        let Ok(to) = self.kernel.memory.ptr(to.add(index * 8)) else {
                            break;
                        };
                        if to.0 >> 63 == 1 {
                            walk.follow(to, id, 1, receives);
                        }
                    }
                }
                Target::Pointers(_) => {}
                Target::Bytes => {
                    let direct = self.kernel.memory.space.direct.phys(to);
                    if let Some(phys) = direct {
                        self.frame(owner, phys.pfn(self.kernel.page_shift()));
                    }
                }
            }
        }
    }

    /// How many elements of a size there are from an address to the end of the
    /// slab object or vmalloc area it begins; one where it begins none.
    fn elements(&self, at: VirtAddr, size: Option<u64>) -> u64 {
        let pages = self.pages;
        let shift = self.kernel.page_shift();
        let object = self.kernel.memory.space.direct.phys(at).and_then(|phys| {
            let object = pages.slabs.object_at(&pages.map, phys, shift)?;
            (object.start == phys && !object.free).then_some(object.size)
        });
        let room = object.or_else(|| {
            let area = area_at(&pages.areas, at)?;
            let pages = u64::from(area.vm.as_ref()?.nr_pages);
            (area.start == at).then_some(pages << shift)
        });
        match (room, size) {
            (Some(room), Some(size)) => (room / size.max(1)).max(1),
            _ => 1,
        }
    }

    /// Pages of the unit that a `struct page` belongs to.
    fn unit_at(&self, page: VirtAddr) -> u64 {
        let pfn = self.pages.memmap.pfn(page);
        pfn.map_or(0, |pfn| self.pages.map.unit(pfn).len())
    }

    /// The private part of a device and its type: of the module's structs the
    /// largest that has pointers to a `net_device`, all of which are this one.
    fn private_part(&self, types: &Btf, device: VirtAddr) -> Option<(VirtAddr, u32)> {
        let kernel = self.kernel;
        let private = match kernel.layouts.get(Field::NetDevPriv) {
            Some(place) => device.add(place.offset),
            None => {
                let size = kernel.layouts.size(Struct::NetDevice).ok()?;
                device.add(size.next_multiple_of(PRIVATE_ALIGN))
            }
        };
        let fits = |id: &u32| {
            let pointers = types.pointers(*id);
            let devices = pointers.iter().filter(|pointer| match pointer.target {
                Target::Struct(to) => types.type_name(to) == "net_device",
                _ => false,
            });
            let mut any = false;
            let all = devices
                .map(|pointer| kernel.memory.ptr(private.add(pointer.offset)))
                .inspect(|_| any = true)
                .all(|to| to == Ok(device));
            all && any
        };
        let structs = types.own_structs().filter(fits);
        let largest = structs.max_by_key(|&id| types.type_size(id))?;
        Some((private, largest))
    }
}

/// The walk through one driver's structs.
struct Driver<'t> {
    types: &'t Btf,
    /// Of what it receives into, and of the rest.
    owners: [u32; 2],
    /// Pages in all places for a receive buffer.
    slots: u64,
    seen: HashSet<(u64, u32)>,
    /// Address, type, how many of them, whether they belong to a receive ring.
    waiting: Vec<(VirtAddr, u32, u64, bool)>,
}

impl Driver<'_> {
    fn follow(&mut self, at: VirtAddr, id: u32, count: u64, receives: bool) {
        if self.seen.len() < MOST_STRUCTS && self.seen.insert((at.0, id)) {
            self.waiting.push((at, id, count, receives));
        }
    }
}

/// Whether a name is of what is received: drivers call it so in all families.
fn is_receiving(name: &str) -> bool {
    name.split('_')
        .any(|part| matches!(part, "rx" | "rxq" | "rq" | "recv" | "receive"))
}

impl crate::kernel::Kernel<'_> {
    /// The types of loaded modules that have any, by the module's name.
    fn module_types(&self, base: &Arc<Btf>) -> Vec<(String, Btf)> {
        let Some(head) = self.address("btf_modules") else {
            return Vec::new();
        };
        let entries = whole_or_part(self.list_of(head, Field::BtfModuleList, MOST_MODULES));
        let read = |entry: VirtAddr| {
            let module = self.pointer(entry, Field::BtfModuleModule).ok()?;
            let btf = self.pointer(entry, Field::BtfModuleBtf).ok()?;
            let data = self.pointer(btf, Field::BtfData).ok()?;
            let size = self.field(btf, Field::BtfDataSize).ok()?;
            let types = Btf::of_module(base, &self.memory, data, size).ok()?;
            Some((self.module_name(module)?, types))
        };
        entries.into_iter().filter_map(read).collect()
    }
}
