//! Network devices of all namespaces: names, addresses, what drives them and
//! what lies above and below them.

mod namespaces;

use std::collections::{HashMap, HashSet};

use pagehound_vmcore::{Mac, VirtAddr};

use crate::kernel::{Kernel, KernelError};
use crate::layouts::Field;
use crate::modules::Module;
use crate::text::printable;
use crate::virt::VirtualRead;

/// More devices than a host has in all its namespaces.
const MOST_DEVICES: usize = 1 << 16;
/// More upper or lower devices than one device has, and than all have.
const MOST_ADJACENT: usize = 1 << 12;
const MOST_ADJACENT_OF_ALL: usize = 1 << 18;
/// A device lies at most this deep below its bus (a USB port behind hubs).
const MOST_PARENTS: usize = 16;
/// `IFF_UP`.
const UP: u64 = 1;

/// A network device. Strings are safe to print.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NetDevice {
    /// Address of its `struct net_device`.
    pub addr: VirtAddr,
    /// Address of the `struct net` it is in.
    pub namespace: VirtAddr,
    /// Number of that namespace as `/proc/PID/ns/net` shows it: `net:[4026531840]`.
    pub namespace_inum: Option<u32>,
    /// NUMA node of the device behind it, if it is near one.
    pub node: Option<u32>,
    /// Interface name.
    pub name: String,
    /// Interface index, unique within the namespace.
    pub ifindex: u32,
    /// The address it has now, if it has one of 6 bytes that is not all zero.
    pub dev_addr: Option<Mac>,
    /// The address it was made with.
    pub perm_addr: Option<Mac>,
    /// Name of its master: bond, bridge, team or VRF.
    pub upper: Option<String>,
    /// Names of all devices stacked upon it, masters and VLANs alike.
    pub uppers: Vec<String>,
    /// Names of the devices it is stacked upon.
    pub lower: Vec<String>,
    /// Kind of a virtual device, as `ip link` names it: `bond`, `vlan`, …
    pub kind: Option<String>,
    /// Driver of the device behind it.
    pub driver: Option<String>,
    /// Kernel module of that driver; without a driver the module whose
    /// operations the device has. `None` if they are built in.
    pub module: Option<String>,
    /// Bus of the device behind it, for example `pci` or `virtio`.
    pub bus: Option<String>,
    /// Name on that bus, for example `0000:01:00.0` or `virtio0`.
    pub bus_address: Option<String>,
    /// Address of the PCI function it lies behind, if it does.
    pub pci_address: Option<String>,
    /// Whether it is up (`IFF_UP`).
    pub up: bool,
    /// `IFF_*` flags.
    pub flags: u32,
    /// Largest packet in bytes, without the link header.
    pub mtu: u32,
    /// What the device itself counts in `net_device.stats`; `None` where it
    /// counts nothing there, as drivers with counters of their own do.
    pub stats: Option<NetStats>,
}

/// Counters of `net_device.stats`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "names of struct net_device_stats")]
pub struct NetStats {
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
}

/// What the device tree says of the device behind an interface.
#[derive(Default)]
struct Behind {
    driver: Option<String>,
    owner: Option<VirtAddr>,
    bus: Option<String>,
    bus_address: Option<String>,
    pci_address: Option<String>,
    node: Option<u32>,
}

impl Kernel<'_> {
    /// All network devices, by namespace, the first one's first. What cannot be
    /// read of a device is left out; a list that breaks gives what came before.
    ///
    /// # Errors
    /// If this kernel's tables do not tell where namespaces and devices are.
    pub fn net_devices(&self) -> Result<Vec<NetDevice>, KernelError> {
        let modules = self.modules().unwrap_or_default();
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        // Lists that meet each other must not be walked once for each head.
        let mut left = MOST_DEVICES;
        for namespace in self.net_namespaces()? {
            let devices = self.devices_in(namespace, left)?;
            left -= devices.len().min(left);
            for addr in devices {
                if !seen.insert(addr) {
                    break;
                }
                match self.net_device(addr, namespace, &modules) {
                    Ok(device) => found.push(device),
                    Err(KernelError::Unknown(unknown)) => return Err(unknown.into()),
                    Err(_) => break,
                }
            }
        }
        self.net_neighbours(&mut found);
        Ok(found)
    }

    /// Addresses of the `struct net_device` of one namespace, at most `limit`.
    fn devices_in(&self, namespace: VirtAddr, limit: usize) -> Result<Vec<VirtAddr>, KernelError> {
        let head = self.member(namespace, Field::NetDevBaseHead)?;
        Ok(whole_or_part(self.list_of(head, Field::NetDevList, limit)))
    }

    /// Modules that drive the devices of the first namespace, by address: the
    /// way to the list of modules where no symbol says where it begins. At most
    /// `limit`.
    pub(crate) fn net_driver_modules(&self, limit: usize) -> Vec<VirtAddr> {
        let mut seen = HashSet::new();
        let first = self.net_namespaces().unwrap_or_default().into_iter().next();
        let devices = first.and_then(|namespace| self.devices_in(namespace, MOST_DEVICES).ok());
        devices
            .into_iter()
            .flatten()
            .filter_map(|device| self.behind(device)?.owner)
            .filter(|owner| seen.insert(*owner))
            .take(limit)
            .collect()
    }

    fn net_device(
        &self,
        addr: VirtAddr,
        namespace: VirtAddr,
        modules: &[Module],
    ) -> Result<NetDevice, KernelError> {
        let name = self.member(addr, Field::NetDevName)?;
        let flags = self.field(addr, Field::NetDevFlags)?;
        let behind = self.behind(addr).unwrap_or_default();
        let module_at = |inside: VirtAddr| {
            let module = modules.iter().find(|module| module.contains(inside))?;
            Some(module.name.clone())
        };
        let module = match behind.owner {
            Some(owner) => self.module_name(owner),
            None => self
                .pointer(addr, Field::NetDevOps)
                .ok()
                .filter(|_| behind.driver.is_none())
                .and_then(module_at),
        };
        Ok(NetDevice {
            addr,
            namespace,
            namespace_inum: self
                .field(namespace, Field::NetInum)
                .ok()
                .map(|number| number as u32),
            node: behind.node,
            name: printable(&self.memory.cstr(name, 16)?),
            ifindex: self.field(addr, Field::NetDevIfindex)? as u32,
            dev_addr: self.dev_addr(addr),
            perm_addr: self.perm_addr(addr),
            upper: None,
            uppers: Vec::new(),
            lower: Vec::new(),
            kind: self
                .some_pointer(addr, Field::NetDevRtnlLinkOps)
                .and_then(|ops| self.text_at(ops, Field::RtnlKind)),
            driver: behind.driver,
            module,
            bus: behind.bus,
            bus_address: behind.bus_address,
            pci_address: behind.pci_address,
            up: flags & UP != 0,
            flags: flags as u32,
            mtu: self.field(addr, Field::NetDevMtu)? as u32,
            stats: self.net_stats(addr),
        })
    }

    fn dev_addr(&self, addr: VirtAddr) -> Option<Mac> {
        // A pointer since 2.6.31; an array no kernel of ours has.
        let at = self.some_pointer(addr, Field::NetDevAddr)?;
        self.mac(addr, at)
    }

    fn perm_addr(&self, addr: VirtAddr) -> Option<Mac> {
        let at = self.member(addr, Field::NetDevPermAddr).ok()?;
        self.mac(addr, at)
    }

    fn mac(&self, addr: VirtAddr, at: VirtAddr) -> Option<Mac> {
        let mut mac = Mac::default();
        let length = self.field(addr, Field::NetDevAddrLen).ok()?;
        if length != mac.0.len() as u64 {
            return None;
        }
        self.memory.read(at, &mut mac.0).ok()?;
        (!mac.is_zero()).then_some(mac)
    }

    fn behind(&self, addr: VirtAddr) -> Option<Behind> {
        let own = self.member(addr, Field::NetDevDevice).ok()?;
        let parent = self.some_pointer(own, Field::DeviceParent)?;
        let bus_of = |device: VirtAddr| {
            let bus = self.some_pointer(device, Field::DeviceBus)?;
            self.text_at(bus, Field::BusName)
        };
        let driver = self.some_pointer(parent, Field::DeviceDriver);
        let mut behind = Behind {
            driver: driver.and_then(|driver| self.text_at(driver, Field::DriverName)),
            owner: driver.and_then(|driver| self.some_pointer(driver, Field::DriverOwner)),
            bus: bus_of(parent),
            bus_address: self.text_at(parent, Field::DeviceName),
            pci_address: None,
            // NUMA_NO_NODE is -1.
            node: self
                .field(parent, Field::DeviceNode)
                .ok()
                .map(|node| node as u32)
                .filter(|node| *node != u32::MAX),
        };
        let mut device = Some(parent);
        for _ in 0..MOST_PARENTS {
            let Some(at) = device else { break };
            if bus_of(at).as_deref() == Some("pci") {
                behind.pci_address = self.text_at(at, Field::DeviceName);
                break;
            }
            device = self.some_pointer(at, Field::DeviceParent);
        }
        Some(behind)
    }

    pub(crate) fn module_name(&self, module: VirtAddr) -> Option<String> {
        let at = self.member(module, Field::ModuleName).ok()?;
        let name = self.memory.cstr(at, 64).ok()?;
        Some(printable(&name)).filter(|name| !name.is_empty())
    }

    fn net_stats(&self, addr: VirtAddr) -> Option<NetStats> {
        let stats = self.member(addr, Field::NetDevStats).ok()?;
        let counter = |field: Field| self.field(stats, field).ok();
        let stats = NetStats {
            rx_packets: counter(Field::StatsRxPackets)?,
            rx_bytes: counter(Field::StatsRxBytes)?,
            tx_packets: counter(Field::StatsTxPackets)?,
            tx_bytes: counter(Field::StatsTxBytes)?,
        };
        (stats != NetStats::default()).then_some(stats)
    }

    /// Fills in the names of upper and lower devices.
    fn net_neighbours(&self, devices: &mut [NetDevice]) {
        let names: HashMap<VirtAddr, String> = devices
            .iter()
            .map(|device| (device.addr, device.name.clone()))
            .collect();
        let mut left = MOST_ADJACENT_OF_ALL;
        for device in devices {
            for (at, master) in self.adjacent(device.addr, Field::NetDevUpper, &mut left) {
                let Some(name) = names.get(&at) else { continue };
                device.uppers.push(name.clone());
                if master {
                    device.upper = Some(name.clone());
                }
            }
            let lower = self.adjacent(device.addr, Field::NetDevLower, &mut left);
            let lower = lower.iter().filter_map(|(at, _)| names.get(at));
            device.lower.extend(lower.cloned());
        }
    }

    /// Devices on one of a device's lists of neighbours, and whether each is
    /// its master; `left` is how many more are read. There are such lists since
    /// 3.13 (2f268f129c2d).
    fn adjacent(&self, device: VirtAddr, list: Field, left: &mut usize) -> Vec<(VirtAddr, bool)> {
        let Ok(head) = self.member(device, list) else {
            return Vec::new();
        };
        let limit = MOST_ADJACENT.min(*left);
        let entries = whole_or_part(self.list_of(head, Field::AdjacentList, limit));
        *left -= entries.len().min(*left);
        entries
            .into_iter()
            .map_while(|entry| {
                let at = self.pointer(entry, Field::AdjacentDev).ok()?;
                let master = self.field(entry, Field::AdjacentMaster).ok()?;
                Some((at, master & 1 == 1))
            })
            .collect()
    }

    fn some_pointer(&self, base: VirtAddr, field: Field) -> Option<VirtAddr> {
        self.pointer(base, field).ok().filter(|at| at.0 != 0)
    }

    /// Name of a device with its driver, for example `e1000 0000:00:03.0`.
    pub(crate) fn device_name(&self, device: VirtAddr) -> Option<String> {
        let name = self.text_at(device, Field::DeviceName);
        let driver = self.some_pointer(device, Field::DeviceDriver);
        let driver = driver.and_then(|driver| self.text_at(driver, Field::DriverName));
        match (driver, name) {
            (Some(driver), Some(name)) => Some(format!("{driver} {name}")),
            (one, other) => one.or(other),
        }
    }

    /// The string a member points to.
    fn text_at(&self, base: VirtAddr, field: Field) -> Option<String> {
        let at = self.some_pointer(base, field)?;
        let text = self.memory.cstr(at, 256).ok()?;
        Some(printable(&text)).filter(|text| !text.is_empty())
    }
}

/// The entries of a list, or those before it breaks.
pub(crate) fn whole_or_part(
    list: Result<Vec<VirtAddr>, (Vec<VirtAddr>, KernelError)>,
) -> Vec<VirtAddr> {
    match list {
        Ok(entries) | Err((entries, _)) => entries,
    }
}
