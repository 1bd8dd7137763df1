//! Whose a MAC address is: from the net devices in the dump's memory and from
//! the kernel's log, each of which also does alone.
//!
//! A frame at the start of a lost page names the device that filled it by its
//! destination address. Slaves of a bond share one address, so an address can
//! have several owners; a bond, bridge or VLAN owns one only where no device
//! with a driver does.

mod devices;
mod line;
mod log;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};

use pagehound_kernel::{Kernel, Log, NetDevice};
use pagehound_model::{self as model, Owner};
use pagehound_vmcore::Mac;

use devices::{Device, How};

/// Log lines told as evidence for one device.
const LINES_TOLD: usize = 2;

/// Drivers whose devices keep free receive buffers to themselves, by physical
/// address: of a buffer that waits there, memory knows nothing. Names as the
/// device's driver has them, under drivers/net/ethernet.
const POOLS_IN_HARDWARE: [&str; 9] = [
    // freescale/dpaa/Makefile and freescale/fman/Makefile, whose MAC devices
    // the net devices stand under: buffer pools of BMan.
    "fsl_dpa",
    "fsl_dpaa_mac",
    // freescale/dpaa2/dpaa2-eth.c and dpaa2-switch.c: pools of QBMan.
    "fsl_dpaa2_eth",
    "fsl_dpaa2_switch",
    // marvell/mvpp2/mvpp2.h: the buffer manager.
    "mvpp2",
    // marvell/octeontx2/nic/otx2_pf.c and otx2_vf.c: NPA; the name followed the
    // module's (otx2_pf.c DRV_NAME).
    "rvu_nicpf",
    "rvu_nicvf",
    "octeontx2-nicpf",
    "octeontx2-nicvf",
];

/// Which devices have which MAC address.
#[derive(Clone, Debug, Default)]
pub struct Attribution {
    devices: Vec<Device>,
    /// What limits the answers, a sentence each.
    pub warnings: Vec<String>,
}

impl Attribution {
    /// Reads the net devices of `kernel` and what `log` says of devices.
    pub fn of(kernel: &Kernel<'_>, log: &Log) -> Attribution {
        let mut warnings = Vec::new();
        let devices = kernel.net_devices().unwrap_or_else(|error| {
            warnings.push(format!(
                "net devices cannot be read ({error}): MAC addresses are known from the log alone"
            ));
            Vec::new()
        });
        if let Some(problem) = &log.problem {
            warnings.push(format!("the kernel's log is not whole: {problem}"));
        }
        Attribution {
            warnings,
            ..Attribution::new(&devices, log)
        }
    }

    /// The same from devices already read.
    pub fn new(devices: &[NetDevice], log: &Log) -> Attribution {
        Attribution {
            devices: devices::join(devices, log::read(log)),
            warnings: Vec::new(),
        }
    }

    /// Who has, or was made with, this address: devices with a driver, those
    /// that have it now first; with none of those, the devices below a virtual
    /// device that has it; with none of those either, that virtual device. An
    /// address of a virtual machine leads to the devices below its bridge.
    pub fn owners(&self, mac: Mac) -> Vec<Owner> {
        self.find(mac)
            .into_iter()
            .filter_map(|index| self.devices.get(index))
            .map(|device| device.owner(mac))
            .collect()
    }

    /// What says so, a sentence each, by owner in the order of
    /// [`owners`](Self::owners). Safe to print.
    pub fn evidence(&self, mac: Mac) -> Vec<String> {
        let mut told = Vec::new();
        for index in self.find(mac) {
            let Some(device) = self.devices.get(index) else {
                continue;
            };
            let mut lines = 0;
            let before = told.len();
            for known in device.known.iter().filter(|known| known.mac == mac) {
                lines += usize::from(known.how == How::Log);
                if known.how != How::Log || lines <= LINES_TOLD {
                    told.push(known.text.clone());
                }
            }
            if told.len() == before {
                told.extend(self.why_through_another(index, mac));
            }
        }
        told
    }

    /// The machine's devices: those with hardware behind them, and those stacked upon
    /// others. Ends of pairs and taps, of which hosts have thousands, are left out.
    pub fn netdevs(&self) -> Vec<model::NetDevice> {
        let told = self.devices.iter().filter(|device| {
            // A name in the log may be that of another device's part.
            let is_netdev = device.in_memory || !device.known.is_empty() || device.upper.is_some();
            is_netdev && device.is_physical() || !device.lower.is_empty()
        });
        told.map(Device::netdev).collect()
    }

    /// Names of the devices with a driver near a NUMA node.
    pub fn near(&self, node: u32) -> Vec<&str> {
        let near = self.devices.iter();
        let near = near.filter(|device| device.node == Some(node) && device.driver.is_some());
        near.map(|device| device.name.as_str()).collect()
    }

    /// A driver of this host whose device has buffers that nothing in memory
    /// refers to.
    pub fn pool_in_hardware(&self) -> Option<&str> {
        self.devices
            .iter()
            .filter_map(|device| device.driver.as_deref())
            .find(|driver| POOLS_IN_HARDWARE.contains(driver))
    }

    /// Every address that some device has or had, in order.
    pub fn addresses(&self) -> impl Iterator<Item = Mac> {
        let all: BTreeSet<Mac> = self
            .devices
            .iter()
            .flat_map(|device| device.known.iter().map(|known| known.mac))
            .collect();
        all.into_iter()
    }

    /// Devices to name for `mac`, see [`owners`](Self::owners).
    fn find(&self, mac: Mac) -> Vec<usize> {
        let mut direct: Vec<(How, usize)> = self
            .devices
            .iter()
            .enumerate()
            .filter_map(|(index, device)| Some((device.how(mac)?, index)))
            .collect();
        if direct.is_empty() {
            return self.behind_tap(mac);
        }
        direct.sort_unstable();
        let (physical, virtual_only): (Vec<_>, Vec<_>) = direct
            .into_iter()
            .map(|(_, index)| index)
            .partition(|&index| self.is_physical(index));
        if physical.is_empty() {
            let below = self.physical_below(&virtual_only);
            return match below.is_empty() {
                true => virtual_only,
                false => below,
            };
        }
        let siblings = self.siblings_in_bond(&physical);
        physical.into_iter().chain(siblings).collect()
    }

    /// The tap of a virtual machine whose network card has this address:
    /// libvirt gives it the same one with 0xfe for its first byte.
    fn tap(&self, mac: Mac) -> Option<usize> {
        let [_, rest @ ..] = mac.0;
        let [a, b, c, d, e] = rest;
        let tap = Mac([0xfe, a, b, c, d, e]);
        let is_tap = |device: &Device| device.how(tap) == Some(How::Current);
        self.devices
            .iter()
            .position(|device| is_tap(device) && !device.is_physical())
    }

    /// Where frames for a virtual machine come in: below the bridge its tap is
    /// a port of; the tap itself where there is no such device.
    fn behind_tap(&self, mac: Mac) -> Vec<usize> {
        let Some(tap) = self.tap(mac) else {
            return Vec::new();
        };
        let bridge = self.devices.get(tap).and_then(|tap| tap.upper_index);
        let uplinks = self.physical_below(bridge.as_slice());
        if uplinks.is_empty() {
            vec![tap]
        } else {
            uplinks
        }
    }

    fn is_physical(&self, index: usize) -> bool {
        self.devices.get(index).is_some_and(Device::is_physical)
    }

    /// The devices with a driver that `devices` are stacked upon, however deep.
    fn physical_below(&self, devices: &[usize]) -> Vec<usize> {
        let mut seen: HashSet<usize> = devices.iter().copied().collect();
        let mut todo = devices.to_vec();
        let mut found = Vec::new();
        while let Some(index) = todo.pop() {
            if self.is_physical(index) {
                found.push(index);
            }
            let lower = self.devices.get(index).map(|device| &device.lower);
            for &below in lower.into_iter().flatten() {
                if seen.insert(below) {
                    todo.push(below);
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// Slaves of the same bond or team, where only the log tells of them: all
    /// take the address of the slave that came first.
    fn siblings_in_bond(&self, owners: &[usize]) -> Vec<usize> {
        let mut siblings = Vec::new();
        for bond in owners.iter().filter_map(|&index| self.bond_of(index)) {
            for &index in &bond.lower {
                let known = owners.contains(&index) || siblings.contains(&index);
                let slave = self.devices.get(index);
                if !known && slave.is_some_and(|slave| slave.is_physical() && !slave.in_memory) {
                    siblings.push(index);
                }
            }
        }
        siblings
    }

    /// The bond or team that has the address of this device, known from the
    /// log alone.
    fn bond_of(&self, index: usize) -> Option<&Device> {
        let slave = self.devices.get(index).filter(|slave| !slave.in_memory)?;
        let bond = self.devices.get(slave.upper_index?)?;
        let slaves = bond
            .lower
            .iter()
            .filter_map(|&lower| self.devices.get(lower));
        let first = slaves.filter_map(|slave| slave.joined).min();
        let is_bond = matches!(bond.kind.as_deref(), Some("bond" | "team"));
        (is_bond && slave.joined == first).then_some(bond)
    }

    /// Why a device is named that does not have the address itself.
    fn why_through_another(&self, index: usize, mac: Mac) -> Option<String> {
        let device = self.devices.get(index)?;
        let has_it = |other: &&Device| other.how(mac).is_some();
        let upper = self
            .devices
            .iter()
            .filter(has_it)
            .find(|other| !other.is_physical());
        if let Some(upper) = upper {
            return Some(format!(
                "{} lies below {}, which has this address",
                device.name, upper.name
            ));
        }
        if let Some(tap) = self.tap(mac).and_then(|tap| self.devices.get(tap)) {
            let bridge = tap.upper.as_deref().unwrap_or("no bridge");
            return Some(format!(
                "a virtual machine has this address: {} is its tap, under {bridge}",
                tap.name
            ));
        }
        let bond = self.devices.get(device.upper_index?)?;
        let first = self
            .devices
            .iter()
            .filter(has_it)
            .find(|other| other.upper_index == device.upper_index)?;
        Some(format!(
            "log: {} and {} are slaves of {}, whose slaves share one address",
            device.name, first.name, bond.name
        ))
    }
}
