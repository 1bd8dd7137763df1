//! Devices with all that memory and log tell of them.

use std::collections::HashMap;

use pagehound_kernel::NetDevice;
use pagehound_model::{self as model, Owner};
use pagehound_vmcore::Mac;

use super::log::{Logged, Told};

/// How a device comes by an address, the strongest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum How {
    /// `net_device.dev_addr`.
    Current,
    /// `net_device.perm_addr`.
    Permanent,
    /// A line of the log.
    Log,
}

/// An address of a device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Known {
    pub(super) mac: Mac,
    pub(super) how: How,
    /// The same as a sentence, or the line of the log.
    pub(super) text: String,
}

/// A device.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) driver: Option<String>,
    pub(super) module: Option<String>,
    /// Address on its bus, of the PCI function where it lies behind one.
    pub(super) bus: Option<String>,
    /// Version of its firmware.
    pub(super) firmware: Option<String>,
    pub(super) upper: Option<String>,
    pub(super) node: Option<u32>,
    /// Network namespace, if it is not the first.
    pub(super) namespace: Option<String>,
    /// Index of the upper device.
    pub(super) upper_index: Option<usize>,
    /// By the log: when it became a slave of the upper device.
    pub(super) joined: Option<usize>,
    /// Indices of the devices below it.
    pub(super) lower: Vec<usize>,
    pub(super) kind: Option<String>,
    pub(super) known: Vec<Known>,
    /// Read from `struct net_device`, not from the log alone.
    pub(super) in_memory: bool,
}

impl Device {
    /// Whether there is hardware, or what passes for it, behind the device.
    pub(super) fn is_physical(&self) -> bool {
        self.driver.is_some() || self.bus.is_some()
    }

    /// How it comes by `mac`, if it does.
    pub(super) fn how(&self, mac: Mac) -> Option<How> {
        let known = self.known.iter().filter(|known| known.mac == mac);
        known.map(|known| known.how).min()
    }

    /// As a part of the machine.
    pub(super) fn netdev(&self) -> model::NetDevice {
        // The address it has now stands first.
        let mac = self.known.iter().min_by_key(|known| known.how);
        model::NetDevice {
            name: self.name.clone(),
            mac: mac.map(|known| known.mac.to_string()),
            driver: self.driver.clone(),
            module: self.module.clone(),
            bus: self.bus.clone(),
            firmware: self.firmware.clone(),
            upper: self.upper.clone(),
            kind: self.kind.clone(),
        }
    }

    /// As an owner of `mac`.
    pub(super) fn owner(&self, mac: Mac) -> Owner {
        Owner {
            kind: "netdev".to_owned(),
            name: self.name.clone(),
            mac: Some(mac.to_string()),
            driver: self.driver.clone(),
            module: self.module.clone(),
            bus: self.bus.clone(),
            upper: self.upper.clone(),
            node: self.node,
            namespace: self.namespace.clone(),
            role: None,
        }
    }
}

/// Puts both sources together: what the log tells of a device in memory goes
/// to that device; devices only the log knows follow.
pub(super) fn join(in_memory: &[NetDevice], told: Told) -> Vec<Device> {
    // Namespaces come in order, that of init first.
    let first = in_memory.first().map(|device| device.namespace);
    let mut devices: Vec<Device> = in_memory
        .iter()
        .map(|device| Device {
            namespace: device
                .namespace_inum
                .filter(|_| Some(device.namespace) != first)
                .map(|number| format!("net:[{number}]")),
            ..from_memory(device)
        })
        .collect();
    for log in told.devices {
        let lines = log.macs.iter().map(|(mac, line)| Known {
            mac: *mac,
            how: How::Log,
            text: format!("log: {line}"),
        });
        match same(in_memory, &log).and_then(|index| devices.get_mut(index)) {
            Some(device) => device.known.extend(lines),
            None => devices.push(Device {
                known: lines.collect(),
                ..from_log(log)
            }),
        }
    }
    for device in &mut devices {
        let firmware = device.bus.as_ref().and_then(|bus| told.firmware.get(bus));
        device.firmware = firmware.cloned();
    }
    link(&mut devices, in_memory);
    devices
}

fn from_memory(device: &NetDevice) -> Device {
    let mut known = Vec::new();
    if let Some(mac) = device.dev_addr {
        known.push(Known {
            mac,
            how: How::Current,
            text: format!("net_device {} has this address", device.name),
        });
    }
    if let Some(mac) = device.perm_addr.filter(|mac| Some(*mac) != device.dev_addr) {
        known.push(Known {
            mac,
            how: How::Permanent,
            text: format!(
                "net_device {} has this as its permanent address",
                device.name
            ),
        });
    }
    Device {
        name: device.name.clone(),
        driver: device.driver.clone(),
        module: device.module.clone(),
        bus: device
            .pci_address
            .clone()
            .or_else(|| device.bus_address.clone()),
        upper: device.upper.clone(),
        node: device.node,
        kind: device.kind.clone(),
        known,
        in_memory: true,
        ..Device::default()
    }
}

fn from_log(log: Logged) -> Device {
    Device {
        name: log.name.or_else(|| log.bus.clone()).unwrap_or_default(),
        driver: log.driver,
        bus: log.bus,
        upper: log.upper,
        joined: log.joined,
        kind: log.kind.map(str::to_owned),
        ..Device::default()
    }
}

/// The device in memory that the log speaks of: at its address and with its
/// name; or the only one at its address, renamed since; or, where the log
/// knows no address, with its name.
fn same(in_memory: &[NetDevice], log: &Logged) -> Option<usize> {
    let name = log.name.as_deref();
    let Some(bus) = log.bus.as_deref() else {
        return in_memory
            .iter()
            .position(|device| Some(device.name.as_str()) == name);
    };
    let at_address = |device: &NetDevice| {
        device.bus_address.as_deref() == Some(bus) || device.pci_address.as_deref() == Some(bus)
    };
    let mut found = in_memory
        .iter()
        .enumerate()
        .filter(|(_, device)| at_address(device));
    let first = found.next()?;
    let rest: Vec<_> = found.collect();
    if rest.is_empty() {
        return Some(first.0);
    }
    std::iter::once(first)
        .chain(rest)
        .find(|(_, device)| Some(device.name.as_str()) == name)
        .map(|(index, _)| index)
}

/// Turns names of upper and lower devices into indices. A name is looked for
/// in the device's own namespace first.
fn link(devices: &mut [Device], in_memory: &[NetDevice]) {
    let mut by_name: HashMap<(u64, &str), usize> = HashMap::new();
    let mut anywhere: HashMap<String, usize> = HashMap::new();
    for (index, device) in in_memory.iter().enumerate() {
        by_name
            .entry((device.namespace.0, &device.name))
            .or_insert(index);
    }
    for (index, device) in devices.iter().enumerate() {
        anywhere.entry(device.name.clone()).or_insert(index);
    }
    let find = |namespace: Option<u64>, name: &str| {
        let near = namespace.and_then(|namespace| by_name.get(&(namespace, name)));
        near.or_else(|| anywhere.get(name)).copied()
    };
    let mut below: Vec<(usize, usize)> = Vec::new();
    for (index, device) in devices.iter_mut().enumerate() {
        let here = in_memory.get(index);
        let namespace = here.map(|device| device.namespace.0);
        device.upper_index = device
            .upper
            .as_deref()
            .and_then(|upper| find(namespace, upper))
            .filter(|&upper| upper != index);
        match here {
            Some(here) => {
                let lower = here.lower.iter().filter_map(|name| find(namespace, name));
                below.extend(lower.map(|lower| (index, lower)));
            }
            None => below.extend(device.upper_index.map(|upper| (upper, index))),
        }
    }
    for (upper, lower) in below {
        if let Some(device) = devices.get_mut(upper)
            && !device.lower.contains(&lower)
        {
            device.lower.push(lower);
        }
    }
}
