//! What the drivers of network devices keep: buffers of receive rings, memory of
//! their descriptors. Drivers have no layout in common, so their own types are
//! followed (module BTF): from the private part of the device along all pointers
//! to structs of the same module.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use pagehound_vmcore::{Pfn, VirtAddr};

use super::skb::FRAG;
use super::{Kind, Search};
use crate::btf::{Btf, Member, PointerAt, Target};
use crate::layouts::{Field, Struct};
use crate::pagemap::Class;
use crate::virt::VirtualRead;
use crate::vmalloc::area_at;

/// Types of one module that are looked at; the largest has some ten thousand.
const MOST_SHAPES: usize = 1 << 14;
/// Structs of one driver that are looked at.
const MOST_STRUCTS: usize = 1 << 20;
/// A virtqueue has at most so many (`VIRTQUEUE_MAX_SIZE` of the specification).
const MOST_SLOTS: u64 = 1 << 15;
/// Pages of one buffer, `MAX_SKB_FRAGS` and two.
const MOST_CHAINED: usize = 64;
/// Of a driver without types an array that names fewer pages is not taken for one of
/// buffers.
const FEWEST_BUFFERS: usize = 16;
/// No driver has a struct beyond this; what BTF says is of it is not looked at.
const LARGEST_STRUCT: u64 = 1 << 20;
/// Steps from a driver's private part to such an array: by way of its queues and what
/// these are made of.
const DEEPEST: u32 = 3;
/// Such arrays are looked at up to here: 64 Ki buffers of 64 bytes.
const LARGEST_ARRAY: u64 = 4 << 20;
/// Bytes read for all devices: 64 arrays of the largest.
const MOST_READ: u64 = 256 << 20;
/// `NETDEV_ALIGN`: where the private part begins, without a member of its own.
const PRIVATE_ALIGN: u64 = 32;

impl Search<'_> {
    /// What belongs to the drivers of network devices.
    pub(super) fn receive_rings(&mut self) {
        let kernel = self.kernel;
        let devices = kernel.net_devices().unwrap_or_default();
        let types: HashMap<&str, &Btf> = kernel
            .module_types
            .iter()
            .map(|(module, types)| (module.as_str(), types))
            .collect();
        // A host may have thousands of devices of one driver.
        let mut drivers: HashMap<&str, Types<'_>> = HashMap::new();
        let mut untyped = Untyped {
            seen: HashSet::new(),
            left: MOST_READ,
        };
        for device in &devices {
            let Some(module) = device.module.as_deref() else {
                continue;
            };
            let driver = device.driver.as_deref().unwrap_or(module);
            let name = format!("{} ({driver})", device.name);
            let known = self.claims.claimants.len();
            match types.get(module) {
                Some(types) => {
                    let types = drivers.entry(module).or_insert_with(|| Types::of(types));
                    self.driver(types, device.addr, name);
                }
                None => self.untyped_driver(device.addr, name, &mut untyped),
            }
            for claimant in self.claims.claimants.iter_mut().skip(known) {
                claimant.module = Some(module.to_owned());
            }
        }
    }

    /// What a driver without types keeps: arrays that name many pages, a step or two
    /// from the private part of its device.
    fn untyped_driver(&mut self, device: VirtAddr, name: String, walk: &mut Untyped) {
        let kernel = self.kernel;
        let Some(size) = self.room(device) else {
            return;
        };
        let owner = self.owner(Kind::ReceiveRing, name, None);
        walk.seen.insert(device.0);
        let mut waiting = vec![(device, size, 0)];
        while let Some((at, size, depth)) = waiting.pop() {
            let length = size.min(LARGEST_ARRAY);
            let Some(left) = walk.left.checked_sub(length) else {
                return;
            };
            walk.left = left;
            let mut bytes = vec![0; length as usize];
            if kernel.memory.read(at, &mut bytes).is_err() {
                continue;
            }
            let mut named = HashSet::new();
            for word in bytes.as_chunks::<8>().0 {
                let to = VirtAddr(u64::from_le_bytes(*word));
                let shift = kernel.page_shift();
                let direct = kernel.memory.space.direct.phys(to);
                let direct = direct.map(|phys| phys.pfn(shift));
                let page = self.pages.memmap.pfn(to).or(direct);
                let raw = page.filter(|&pfn| self.pages.map.class(pfn) == Class::Raw);
                if let Some(pfn) = raw {
                    named.insert(self.pages.map.head(pfn));
                } else if depth < DEEPEST
                    && to.0 >> 63 == 1
                    && let Some(size) = self.untyped_room(to)
                    && walk.seen.insert(to.0)
                {
                    waiting.push((to, size, depth + 1));
                }
            }
            if depth > 0 && named.len() >= FEWEST_BUFFERS {
                self.below("an array of the driver", at, |search| {
                    for pfn in named {
                        search.chain(owner, pfn);
                    }
                });
            }
        }
    }

    /// Bytes of what begins at an address, if it is memory of no known type.
    fn untyped_room(&self, at: VirtAddr) -> Option<u64> {
        let pages = self.pages;
        if let Some(phys) = self.kernel.memory.space.direct.phys(at) {
            let head = pages.map.head(phys.pfn(self.kernel.page_shift()));
            let cache = pages
                .slabs
                .slab(head)
                .and_then(|slab| pages.slabs.cache(slab));
            cache.filter(|cache| cache.is_of_sizes())?;
        }
        self.room(at)
    }

    fn driver(&mut self, types: &mut Types<'_>, device: VirtAddr, name: String) {
        let Some((private, shape)) = self.private_part(&types.shapes, device) else {
            return;
        };
        let rings = self.owner(Kind::ReceiveRing, name.clone(), None);
        let others = self.owner(Kind::DeviceMemory, name, None);
        let mut walk = Driver {
            types: types.btf,
            owners: [rings, others],
            seen: HashSet::new(),
            waiting: vec![(private, shape, 1, false)],
            most: 0,
            largest: 1,
        };
        self.below("net_device", device, |search| {
            while let Some((at, id, count, receives)) = walk.waiting.pop() {
                let shape = types.followed(id);
                if shape.size == 0 {
                    continue;
                }
                for index in 0..count {
                    let at = at.add(index * shape.size);
                    search.below(&shape.name, at, |search| {
                        if receives {
                            let size = search.ring_size(&shape, at);
                            walk.most = walk.most.saturating_add(size);
                        }
                        search.members(&mut walk, at, &shape, receives);
                    });
                    if search.left == 0 {
                        return;
                    }
                }
            }
        });
        let most = walk.most.saturating_mul(walk.largest);
        if let Some(claimant) = self.claims.claimants.get_mut(rings as usize) {
            claimant.most = (most > 0).then_some(most);
        }
    }

    /// Pages that a ring may have, one a descriptor and those of its descriptors.
    fn ring_size(&self, shape: &Followed, at: VirtAddr) -> u64 {
        let Some((count, size)) = shape.ring else {
            return 0;
        };
        let read = |member: Member| {
            let mut bytes = [0; 8];
            let size = usize::try_from(member.size).ok()?;
            let place = bytes.get_mut(..size)?;
            self.kernel.memory.read(at.add(member.offset), place).ok()?;
            Some(u64::from_le_bytes(bytes))
        };
        let Some(count) = read(count).filter(|&count| count <= MOST_SLOTS) else {
            return 0;
        };
        let bytes = size.and_then(read).filter(|&size| size <= LARGEST_ARRAY);
        count + bytes.unwrap_or(0).div_ceil(self.kernel.page_size())
    }

    /// Looks at what one struct points to.
    fn members(&mut self, walk: &mut Driver<'_>, at: VirtAddr, shape: &Followed, receives: bool) {
        let mut bytes = vec![0; shape.size.min(LARGEST_STRUCT) as usize];
        if self.kernel.memory.read(at, &mut bytes).is_err() {
            return;
        }
        for pointer in &shape.pointers {
            if !self.step() {
                return;
            }
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
                    if let Some(pfn) = self.pages.memmap.pfn(to) {
                        walk.largest = walk.largest.max(self.pages.map.unit(pfn).len());
                        self.frame(owner, pfn);
                    }
                }
                Target::Struct(id) if types.type_name(id) == "virtqueue" => {
                    let most = self.virtqueue(owner, to);
                    if receives {
                        walk.most = walk.most.saturating_add(most);
                    }
                }
                Target::Struct(_) => {}
                Target::Pointers(id) if types.is_own(id) => {
                    let receives = receives || is_receiving(types.type_name(id));
                    for index in 0..self.elements(to, Some(8)) {
                        if !self.step() {
                            break;
                        }
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

    /// The buffers that a virtqueue has given to its device, each named by where it
    /// begins or, where it is large, by the first page of a chain through
    /// `page->private`. Returns the most pages it may have: of a chain as many as an
    /// `sk_buff` has fragments and one (`add_recvbuf_big()` of virtio_net.c).
    fn virtqueue(&mut self, owner: u32, queue: VirtAddr) -> u64 {
        let kernel = self.kernel;
        // `struct virtqueue` is its first member.
        let states = kernel.pointer(queue, Field::VringState);
        let count = kernel.field(queue, Field::VringNum);
        let size = kernel.layouts.size(Struct::VringDescState);
        let (Ok(states), Ok(count), Ok(size)) = (states, count, size) else {
            return 0;
        };
        let mut longest = 1;
        self.below("vring_virtqueue", queue, |search| {
            for index in 0..count.min(MOST_SLOTS) {
                if !search.step() {
                    break;
                }
                let state = states.add(index * size);
                let Ok(data) = kernel.pointer(state, Field::VringStateData) else {
                    break;
                };
                if let Some(pfn) = search.pages.memmap.pfn(data)
                    && search.chain(owner, pfn) > 1
                {
                    let frags = kernel.layouts.get(Field::SharedFragArray);
                    longest = longest.max(frags.map_or(0, |frags| frags.size / FRAG) + 1);
                }
                if let Some(phys) = kernel.memory.space.direct.phys(data) {
                    let pfn = phys.pfn(kernel.page_shift());
                    longest = longest.max(search.pages.map.unit(pfn).len());
                    search.frame(owner, pfn);
                }
            }
        });
        count.min(MOST_SLOTS).saturating_mul(longest)
    }

    /// The pages of a chain through `page->private`, as drivers make it. Returns how many
    /// there are.
    fn chain(&mut self, owner: u32, first: Pfn) -> usize {
        let pages = self.pages;
        let mut structs = pages.memmap.struct_pages(self.kernel);
        let mut page = Some(first);
        for length in 0..MOST_CHAINED {
            let Some(pfn) = page.filter(|_| self.step()) else {
                return length;
            };
            self.frame(owner, pfn);
            let bytes = structs.get(pfn);
            let next = bytes.map_or(0, |bytes| pages.decoder.words(bytes).private());
            page = pages.memmap.pfn(VirtAddr(next));
        }
        MOST_CHAINED
    }

    /// How many elements of a size there are from an address to the end of the
    /// slab object or vmalloc area it begins; one where it begins none.
    fn elements(&self, at: VirtAddr, size: Option<u64>) -> u64 {
        match (self.room(at), size) {
            (Some(room), Some(size)) => (room / size.max(1)).max(1),
            _ => 1,
        }
    }

    /// Bytes of the slab object or vmalloc area that begins at an address.
    fn room(&self, at: VirtAddr) -> Option<u64> {
        let pages = self.pages;
        let shift = self.kernel.page_shift();
        let object = self.kernel.memory.space.direct.phys(at).and_then(|phys| {
            let object = pages.slabs.object_at(&pages.map, phys, shift)?;
            (object.start == phys && !object.free).then_some(object.size)
        });
        object.or_else(|| {
            let area = area_at(&pages.areas, at)?;
            let count = area.vm.as_ref()?.nr_pages;
            (area.start == at).then_some(count << shift)
        })
    }

    /// The private part of a device and its type: of the module's structs the
    /// largest that has pointers to a `net_device`, all of which are this one.
    fn private_part(&self, shapes: &[Shape], device: VirtAddr) -> Option<(VirtAddr, u32)> {
        let kernel = self.kernel;
        let private = match kernel.layouts.get(Field::NetDevPriv) {
            Some(place) => device.add(place.offset),
            None => {
                let size = kernel.layouts.size(Struct::NetDevice).ok()?;
                device.add(size.next_multiple_of(PRIVATE_ALIGN))
            }
        };
        let fits = |shape: &&Shape| {
            let mut devices = shape.devices.iter();
            devices.all(|&at| kernel.memory.ptr(private.add(at)) == Ok(device))
        };
        let largest = shapes.iter().filter(fits).max_by_key(|shape| shape.size)?;
        Some((private, largest.id))
    }
}

/// The walk through drivers without types.
struct Untyped {
    /// Where something begins that was looked at.
    seen: HashSet<u64>,
    /// Bytes that may still be read.
    left: u64,
}

/// Types of one module, of which a host may have many devices.
struct Types<'t> {
    btf: &'t Btf,
    shapes: Vec<Shape>,
    followed: HashMap<u32, Rc<Followed>>,
}

impl<'t> Types<'t> {
    fn of(btf: &'t Btf) -> Self {
        Types {
            btf,
            shapes: shapes_of(btf),
            followed: HashMap::new(),
        }
    }

    fn followed(&mut self, id: u32) -> Rc<Followed> {
        let followed = self.followed.entry(id);
        Rc::clone(followed.or_insert_with(|| Rc::new(Followed::of(self.btf, id))))
    }
}

/// What is asked of a type time and again.
struct Followed {
    name: String,
    size: u64,
    pointers: Vec<PointerAt>,
    /// Of a ring: Intel's drivers and those made like them have a `count` of
    /// descriptors and bytes of them in `size` beside `desc` (e1000.h, igb.h, ixgbe.h,
    /// i40e_txrx.h, ice_txrx.h).
    ring: Option<(Member, Option<Member>)>,
}

impl Followed {
    fn of(types: &Btf, id: u32) -> Followed {
        let name = types.type_name(id);
        let member = |member: &str| types.member(&format!("{name}.{member}"));
        let ring = member("desc").and_then(|_| Some((member("count")?, member("size"))));
        Followed {
            size: types.type_size(id).unwrap_or(0),
            pointers: types.pointers(id, &mut POINTERS.clone()),
            ring,
            name: name.to_owned(),
        }
    }
}

/// Members looked at for one type, and for all of a module: the largest has some ten
/// thousand structs. Broken BTF may nest without end.
const POINTERS: u32 = 1 << 16;
const ALL_POINTERS: u32 = 1 << 22;

/// A struct of a module that has pointers to network devices.
struct Shape {
    id: u32,
    size: u64,
    /// Where those lie in it; one at least.
    devices: Vec<u64>,
}

fn shapes_of(types: &Btf) -> Vec<Shape> {
    let mut budget = ALL_POINTERS;
    let shape = |id| {
        let pointers = types.pointers(id, &mut budget);
        let devices = pointers.iter().filter(|pointer| match pointer.target {
            Target::Struct(to) => types.type_name(to) == "net_device",
            _ => false,
        });
        let devices: Vec<u64> = devices.map(|pointer| pointer.offset).collect();
        (!devices.is_empty()).then_some(Shape {
            id,
            size: types.type_size(id)?,
            devices,
        })
    };
    types
        .own_structs()
        .take(MOST_SHAPES)
        .filter_map(shape)
        .collect()
}

/// The walk through one driver's structs.
struct Driver<'t> {
    types: &'t Btf,
    /// Of what it receives into, and of the rest.
    owners: [u32; 2],
    seen: HashSet<(u64, u32)>,
    /// Address, type, how many of them, whether they belong to a receive ring.
    waiting: Vec<(VirtAddr, u32, u64, bool)>,
    /// Units that the receive rings may have, where their sizes are known.
    most: u64,
    /// Pages of the largest that was seen.
    largest: u64,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::tests::Blob;
    use crate::testing::{World, direct, slab_of};

    /// Kinds of BTF: include/uapi/linux/btf.h.
    const POINTER: u8 = 2;
    const STRUCT: u8 = 4;

    /// `struct adapter { struct net_device *netdev; struct rx_ring *rx; };`
    /// `struct rx_ring { void *desc; struct buffer *buffers; u32 count, size; };`
    /// `struct buffer { void *data; };`
    fn types() -> Btf {
        let mut blob = Blob::new();
        let int = blob.int("unsigned int", 4);
        let device = blob.composite("net_device", STRUCT, 0, 8, &[("flags", int, 0)]);
        let to_device = blob.add("", POINTER, 0, device, &[]);
        let bytes = blob.add("", POINTER, 0, 0, &[]);
        let buffer = blob.composite("buffer", STRUCT, 0, 8, &[("data", bytes, 0)]);
        let to_buffer = blob.add("", POINTER, 0, buffer, &[]);
        let ring = [
            ("desc", bytes, 0),
            ("buffers", to_buffer, 64),
            ("count", int, 128),
            ("size", int, 160),
        ];
        let ring = blob.composite("rx_ring", STRUCT, 0, 24, &ring);
        let to_ring = blob.add("", POINTER, 0, ring, &[]);
        let members = [("netdev", to_device, 0), ("rx", to_ring, 64)];
        blob.composite("adapter", STRUCT, 0, 16, &members);
        blob.parse()
    }

    /// A device at 0x1000 with its private part at 0x1100 and its ring at 0x1200; the
    /// buffers' array is an object of 1 KiB in the slab, with two buffers in it.
    fn rings(count: u64) -> (Search<'static>, u64) {
        let kernel = World::new()
            .cache(1024)
            .member(Field::NetDevPriv, 0x100, 8)
            .word(0x1100, direct(0x1000).0)
            .word(0x1108, direct(0x1200).0)
            .word(0x1200, direct(0x3_0000).0)
            .word(0x1208, direct(0x5_0000).0)
            .word(0x1210, count | 64 << 32)
            .word(0x5_0000, direct(0x1_0000).0)
            .word(0x5_0008, direct(0x1_1000).0)
            // Of the next object.
            .word(0x5_0400, direct(0x1_2000).0)
            .kernel();
        let kernel = Box::leak(Box::new(kernel));
        let pages = Box::leak(Box::new(slab_of(kernel, 4, VirtAddr(0))));
        let types = types();
        let mut search = Search::new(kernel, pages);
        let name = "em1 (e1000)".into();
        search.driver(&mut Types::of(&types), direct(0x1000), name);
        let most = search.claims.claimants[0].most.unwrap_or(0);
        (search, most)
    }

    #[test]
    fn a_ring_has_its_buffers_and_descriptors() {
        let (search, most) = rings(4);
        let mut units: Vec<u64> = search.claims.units.keys().copied().collect();
        units.sort_unstable();
        assert_eq!(units, [0x10, 0x11, 0x30]);
        assert!(search.claims.units.values().all(|&owner| owner == 0));
        assert_eq!(search.claims.claimants[0].kind, Kind::ReceiveRing);
        // Four buffers, and a page of descriptors.
        assert_eq!(most, 5);
    }

    #[test]
    fn a_count_beyond_any_ring_bounds_nothing() {
        let (search, most) = rings(0xffff_ffff);
        assert_eq!((search.claims.claimants[0].pages, most), (3, 0));
    }
}
