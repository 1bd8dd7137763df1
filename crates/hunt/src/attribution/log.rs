//! Devices as the log tells of them, line by line.

use std::collections::{HashMap, HashSet};

use pagehound_kernel::{Log, printable};
use pagehound_vmcore::Mac;

use super::line::{Event, Line, parse};

/// More devices than a host has; a log full of junk ends here.
const MOST_DEVICES: usize = 1 << 14;
/// More addresses than are told of one device.
const MOST_ADDRESSES: usize = 32;
/// Lines longer than this are cut in evidence, in characters.
const LINE_SHOWN: usize = 160;

/// A device the log tells of.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Logged {
    /// Driver.
    pub(super) driver: Option<String>,
    /// Address on its bus.
    pub(super) bus: Option<String>,
    /// Its last name.
    pub(super) name: Option<String>,
    /// The bond, team or bridge it is a slave of.
    pub(super) upper: Option<String>,
    /// Addresses, each with the line that tells it.
    pub(super) macs: Vec<(Mac, String)>,
    /// Kind of a virtual device with slaves.
    pub(super) kind: Option<&'static str>,
    /// Number of the record by which it became a slave of `upper`.
    pub(super) joined: Option<usize>,
    /// Numbers of the first and the last record about it.
    first: usize,
    last: usize,
}

/// What the log tells of devices.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Told {
    /// All that were named, had an address or a slave.
    pub(super) devices: Vec<Logged>,
    /// Version of the firmware, by address on the bus.
    pub(super) firmware: HashMap<String, String>,
}

#[derive(Default)]
struct Reader {
    devices: Vec<Logged>,
    firmware: HashMap<String, String>,
    /// Device with this address on its bus and this name.
    on_bus: HashMap<(String, Option<String>), usize>,
    /// Device that has this name now.
    by_name: HashMap<String, usize>,
}

/// Reads what the log tells of devices.
pub(super) fn read(log: &Log) -> Told {
    let mut reader = Reader::default();
    for (number, record) in log.records.iter().enumerate() {
        let about = record
            .device
            .as_ref()
            .and_then(|device| device.name())
            .map(printable);
        for text in record.text.split(|&b| b == b'\n') {
            let text = printable(text);
            let known = |name: &str| reader.by_name.contains_key(name);
            let line = parse(&text, about.as_deref(), &known);
            // Facilities other than the kernel's are written by programs.
            if record.facility == 0 || matches!(line.event, Some(Event::RenamedFrom(_))) {
                reader.take(&line, &text, number);
            }
        }
    }
    Told {
        firmware: std::mem::take(&mut reader.firmware),
        devices: reader.finish(),
    }
}

impl Reader {
    fn take(&mut self, line: &Line<'_>, text: &str, number: usize) {
        if let (Some(Event::RenamedFrom(from)), Some(to)) = (line.event, line.name) {
            self.rename(line.device.map(|(_, bus)| bus), from, to);
        }
        if let (Some((_, bus)), Some(version)) = (line.device, line.firmware)
            && self.firmware.len() < MOST_DEVICES
        {
            self.firmware.insert(bus.to_owned(), version.to_owned());
        }
        let index = match line.device {
            // Buses speak of all their devices: only interfaces count here.
            Some(_) if line.name.is_none() && line.macs.is_empty() => return,
            Some((driver, bus)) => self.on_bus(driver, bus, line.name, number),
            None => match (line.name, line.event, line.macs.is_empty()) {
                (Some(name), Some(Event::Slave { .. }), _) => self.named(name, number),
                (Some(name), _, _) => self.by_name.get(name).copied(),
                _ => None,
            },
        };
        let Some(device) = index.and_then(|index| self.devices.get_mut(index)) else {
            return;
        };
        device.last = number;
        for &mac in &line.macs {
            let new = device
                .macs
                .iter()
                .filter(|(known, _)| *known == mac)
                .count()
                < 2;
            if new && device.macs.len() < MOST_ADDRESSES {
                let shown: String = text.chars().take(LINE_SHOWN).collect();
                device.macs.push((mac, shown));
            }
        }
        if let Some(Event::Slave {
            upper,
            kind,
            joined,
            ..
        }) = line.event
        {
            let member = device.upper.as_deref() == Some(upper);
            if joined && !member {
                device.upper = Some(upper.to_owned());
                device.joined = Some(number);
            } else if !joined && member {
                device.upper = None;
                device.joined = None;
            }
            let upper = self.named(upper, number);
            if let Some(upper) = upper.and_then(|upper| self.devices.get_mut(upper)) {
                upper.kind = Some(kind);
            }
        }
    }

    /// The device at an address on a bus: with this name, or the one that had
    /// none yet.
    fn on_bus(
        &mut self,
        driver: &str,
        bus: &str,
        name: Option<&str>,
        number: usize,
    ) -> Option<usize> {
        let key = (bus.to_owned(), name.map(str::to_owned));
        let known = self.on_bus.get(&key).copied();
        let index = match (known, name) {
            (Some(index), _) => index,
            (None, None) => self.add(number)?,
            (None, Some(name)) => {
                let nameless = self.on_bus.remove(&(bus.to_owned(), None));
                let busless = self.by_name.get(name).copied().filter(|&index| {
                    let device = self.devices.get(index);
                    device.is_some_and(|device| device.bus.is_none() && device.kind.is_none())
                });
                match nameless.or(busless) {
                    Some(index) => index,
                    None => self.add(number)?,
                }
            }
        };
        let device = self.devices.get_mut(index)?;
        device.driver = Some(driver.to_owned());
        device.bus = Some(bus.to_owned());
        if let Some(name) = name {
            device.name = Some(name.to_owned());
            self.by_name.insert(name.to_owned(), index);
        }
        self.on_bus.insert(key, index);
        Some(index)
    }

    fn named(&mut self, name: &str, number: usize) -> Option<usize> {
        if let Some(&index) = self.by_name.get(name) {
            return Some(index);
        }
        let index = self.add(number)?;
        self.devices.get_mut(index)?.name = Some(name.to_owned());
        self.by_name.insert(name.to_owned(), index);
        Some(index)
    }

    fn add(&mut self, number: usize) -> Option<usize> {
        if self.devices.len() >= MOST_DEVICES {
            return None;
        }
        self.devices.push(Logged {
            first: number,
            last: number,
            ..Logged::default()
        });
        Some(self.devices.len() - 1)
    }

    fn rename(&mut self, bus: Option<&str>, from: &str, to: &str) {
        let on_bus = bus.and_then(|bus| {
            let old = (bus.to_owned(), Some(from.to_owned()));
            self.on_bus.get(&old).copied()
        });
        let by_name = self.by_name.get(from).copied().filter(|&index| {
            let device = self.devices.get(index);
            device.is_some_and(|device| bus.is_none() || device.bus.as_deref() == bus)
        });
        let Some(index) = on_bus.or(by_name) else {
            return;
        };
        if self.by_name.get(from) == Some(&index) {
            self.by_name.remove(from);
        }
        self.by_name.insert(to.to_owned(), index);
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        device.name = Some(to.to_owned());
        if let Some(bus) = device.bus.clone() {
            self.on_bus.remove(&(bus.clone(), Some(from.to_owned())));
            self.on_bus.insert((bus, Some(to.to_owned())), index);
        }
        for slave in &mut self.devices {
            if slave.upper.as_deref() == Some(from) {
                slave.upper = Some(to.to_owned());
            }
        }
    }

    /// Puts names of one device together where the line that renamed it is
    /// not, or no longer, in the log.
    fn finish(mut self) -> Vec<Logged> {
        let mut by_bus: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, device) in self.devices.iter().enumerate() {
            if let (Some(bus), Some(_)) = (&device.bus, &device.name) {
                by_bus.entry(bus).or_default().push(index);
            }
        }
        let pairs: Vec<(usize, usize)> = by_bus
            .into_values()
            .filter_map(|mut indices| {
                indices.sort_by_key(|&index| self.devices.get(index).map(|d| d.first));
                match indices[..] {
                    [old, new] => Some((old, new)),
                    _ => None,
                }
            })
            .collect();
        let mut gone = HashSet::new();
        for (old, new) in pairs {
            let (Some(before), Some(after)) = (self.devices.get(old), self.devices.get(new)) else {
                continue;
            };
            if is_earlier_name(before, after) {
                let macs = before.macs.clone();
                if let Some(after) = self.devices.get_mut(new) {
                    after.macs.splice(0..0, macs);
                }
                gone.insert(old);
            }
        }
        let mut index = 0;
        self.devices.retain(|_| {
            index += 1;
            !gone.contains(&(index - 1))
        });
        self.devices
    }
}

/// Whether `after` is `before` under a later name: the kernel's own `eth0`
/// gave way to another name, and no address speaks against it. A function with
/// two ports has two names from the kernel.
fn is_earlier_name(before: &Logged, after: &Logged) -> bool {
    let by_kernel = |device: &Logged| {
        let number = device
            .name
            .as_deref()
            .and_then(|name| name.strip_prefix("eth"));
        number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
    };
    let shared = |(mac, _): &(Mac, String)| before.macs.iter().any(|(known, _)| known == mac);
    before.last < after.first
        && by_kernel(before)
        && !by_kernel(after)
        && (before.macs.is_empty() || after.macs.is_empty() || after.macs.iter().any(shared))
}
