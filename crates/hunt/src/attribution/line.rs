//! What one line of the kernel's log says of a net device.
//!
//! `dev_info()` writes `driver address: text`, `netdev_info()` writes
//! `driver address name: text` for a device on a bus and `name: text` for a
//! virtual one; older drivers write `driver address: name: text` by hand.

use pagehound_kernel::Mac;

/// A parsed line.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Line<'a> {
    /// Driver and address on its bus.
    pub(super) device: Option<(&'a str, &'a str)>,
    /// Interface.
    pub(super) name: Option<&'a str>,
    /// Addresses the line ascribes to that device.
    pub(super) macs: Vec<Mac>,
    /// What happened.
    pub(super) event: Option<Event<'a>>,
}

/// What happened to an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event<'a> {
    /// It had this name before.
    RenamedFrom(&'a str),
    /// It is a slave or port of a virtual device of this kind, or no longer.
    Slave {
        /// The bond, team or bridge.
        upper: &'a str,
        /// The slave.
        lower: &'a str,
        /// Kind of the upper device.
        kind: &'static str,
        /// Whether it is one now.
        joined: bool,
    },
}

/// Words in lines about addresses of others: virtual functions, peers, what a
/// filter matches, access points.
const OF_OTHERS: [&str; 15] = [
    "vf",
    "vfs",
    "filter",
    "filters",
    "multicast",
    "peer",
    "remote",
    "gateway",
    "neighbor",
    "neighbour",
    "spoof",
    "spoofed",
    "source",
    "authenticate",
    "associate",
];

/// States `netdev_info()` puts between the name and the colon.
const STATES: [&str; 6] = [
    "(uninitialized)",
    "(unregistering)",
    "(unregistered)",
    "(released)",
    "(dummy)",
    "(unknown)",
];

/// Parses a line. `about` is the device that `dev_printk()` noted beside it,
/// `known` tells whether a word is the name of an interface met before.
pub(super) fn parse<'a>(
    text: &'a str,
    about: Option<&str>,
    known: &dyn Fn(&str) -> bool,
) -> Line<'a> {
    if let Some(renamed) = renamed_by_udev(text) {
        return renamed;
    }
    let (device, name, rest) = match prefix(text, about, known) {
        Some(found) => found,
        None => {
            let text = text.strip_prefix("bonding: ").unwrap_or(text);
            match named(text) {
                Some((name, rest)) => (None, Some(name), rest),
                None => return Line::default(),
            }
        }
    };
    let event = event(name, rest);
    let mut line = Line {
        device,
        name,
        macs: Vec::new(),
        event,
    };
    // What a bond says of a slave's address is the slave's.
    if let Some(Event::Slave { lower, .. }) = event {
        line.name = Some(lower);
    }
    // A line without a device can be about anything.
    if device.is_some() || line.name.is_some_and(known) || event.is_some() {
        line.macs = macs(rest);
    }
    line
}

type Prefix<'a> = (Option<(&'a str, &'a str)>, Option<&'a str>, &'a str);

/// `driver address: …`, `driver address name: …`, `driver address: name: …`.
fn prefix<'a>(
    text: &'a str,
    about: Option<&str>,
    known: &dyn Fn(&str) -> bool,
) -> Option<Prefix<'a>> {
    let (driver, after) = text.split_once(' ')?;
    if !is_driver(driver) {
        return None;
    }
    let (word, rest) = after.split_once(' ').unwrap_or((after, ""));
    let address = word.strip_suffix(':').unwrap_or(word);
    if !(is_bus_address(address) || about == Some(address)) {
        return None;
    }
    let device = Some((driver, address));
    if word.ends_with(':') {
        // By hand: a name is told from any other word by its digit.
        let by_hand = named(rest)
            .filter(|(name, _)| known(name) || name.ends_with(|last: char| last.is_ascii_digit()));
        return Some(match by_hand {
            Some((name, rest)) => (device, Some(name), rest),
            None => (device, None, rest),
        });
    }
    if let Some((name, rest)) = named(rest) {
        let name = Some(name).filter(|&name| name != address);
        return Some((device, name, rest));
    }
    let (word, after) = rest.split_once(' ')?;
    if known(word) {
        return Some((device, Some(word), after));
    }
    // Before it has a name: `(unnamed net_device) (uninitialized): text`, or
    // the bus address in its place.
    let unnamed = word.starts_with('(') || word == address;
    let (_, rest) = rest.split_once(": ").filter(|_| unnamed)?;
    Some((device, None, rest))
}

/// `name: rest`, `name, rest`, `name (state): rest`.
fn named(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once(' ')?;
    if let Some(name) = word.strip_suffix([':', ',']) {
        return is_name(name).then_some((name, rest));
    }
    let (state, rest) = rest.split_once(": ")?;
    (is_name(word) && STATES.contains(&state)).then_some((word, rest))
}

fn event<'a>(name: Option<&'a str>, rest: &'a str) -> Option<Event<'a>> {
    if let Some(from) = rest.strip_prefix("renamed from ") {
        let from = first_word(from);
        return is_name(from).then_some(Event::RenamedFrom(from));
    }
    let upper = name?;
    let (kind, lower, joined) = slave_of_bond(rest)
        .or_else(|| port_of_team(rest))
        .or_else(|| port_of_bridge(rest))?;
    (is_name(lower) && lower != upper).then_some(Event::Slave {
        upper,
        lower,
        kind,
        joined,
    })
}

type Slave<'a> = (&'static str, &'a str, bool);

fn slave_of_bond(rest: &str) -> Option<Slave<'_>> {
    // Since 5.4: every message about a slave begins so.
    if let Some(rest) = rest.strip_prefix("(slave ") {
        let (lower, what) = rest.split_once("): ")?;
        let left = what.starts_with("Releasing") || what.starts_with("Removing");
        return Some(("bond", lower, !left));
    }
    const JOINED: [&str; 4] = [
        "Enslaving ",
        "enslaving ",
        "Adding slave ",
        "making interface ",
    ];
    const LEFT: [&str; 3] = [
        "Releasing active interface ",
        "Releasing backup interface ",
        "Removing slave ",
    ];
    let after = |words: &[&str]| words.iter().find_map(|word| rest.strip_prefix(*word));
    let (lower, joined) = match after(&JOINED) {
        Some(rest) => (rest, true),
        None => (after(&LEFT)?, false),
    };
    let lower = first_word(lower);
    Some(("bond", lower.trim_end_matches(['.', ',']), joined))
}

fn port_of_team(rest: &str) -> Option<Slave<'_>> {
    let rest = rest.strip_prefix("Port device ")?;
    let (lower, what) = rest.split_once(' ')?;
    match what {
        "added" => Some(("team", lower, true)),
        "removed" => Some(("team", lower, false)),
        _ => None,
    }
}

/// `port 1(em1) entered forwarding state`. A port enters the disabled state
/// when it leaves and when its link goes down alike: that says nothing.
fn port_of_bridge(rest: &str) -> Option<Slave<'_>> {
    let (number, rest) = rest.strip_prefix("port ")?.split_once('(')?;
    let (lower, what) = rest.split_once(") entered ")?;
    let counts = number.bytes().all(|b| b.is_ascii_digit()) && !what.starts_with("disabled");
    counts.then_some(("bridge", lower, true))
}

/// udev's own message, of kernels that did not report renames.
fn renamed_by_udev(text: &str) -> Option<Line<'_>> {
    let (_, names) = text.split_once(": renamed network interface ")?;
    let (from, to) = names.split_once(" to ")?;
    let to = first_word(to);
    (is_name(from) && is_name(to)).then_some(Line {
        name: Some(to),
        event: Some(Event::RenamedFrom(from)),
        ..Line::default()
    })
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

fn is_driver(word: &str) -> bool {
    let of_name = |b: u8| b.is_ascii_alphanumeric() || b"_-+.".contains(&b);
    (1..=32).contains(&word.len()) && word.bytes().all(of_name)
}

/// An interface name: `dev_valid_name()` of the kernel, less what cannot be
/// told from other words.
fn is_name(word: &str) -> bool {
    let first = word.bytes().next();
    (1..16).contains(&word.len())
        && first.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && word
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"/:%()[]\\,=".contains(&b))
}

/// Addresses that tell a device by their form: PCI `0000:01:00.0`, virtio
/// `virtio0`, USB `2-1.4:1.0`, platform `1a000000.ethernet`.
fn is_bus_address(word: &str) -> bool {
    is_pci(word)
        || word.strip_prefix("virtio").is_some_and(is_decimal)
        || is_usb(word)
        || is_platform(word)
}

fn is_pci(word: &str) -> bool {
    let hex = |part: &str, digits: std::ops::RangeInclusive<usize>| {
        digits.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let mut parts = word.split(':');
    let (domain, bus, rest) = (parts.next(), parts.next(), parts.next());
    let slot = rest.and_then(|rest| rest.split_once('.'));
    parts.next().is_none()
        && domain.is_some_and(|domain| hex(domain, 4..=8))
        && bus.is_some_and(|bus| hex(bus, 2..=2))
        && slot.is_some_and(|(slot, function)| hex(slot, 2..=2) && hex(function, 1..=1))
}

fn is_usb(word: &str) -> bool {
    let interface = word.split_once(':').and_then(|(port, interface)| {
        let (bus, ports) = port.split_once('-')?;
        let (configuration, number) = interface.split_once('.')?;
        Some(
            is_decimal(bus)
                && ports.split('.').all(is_decimal)
                && is_decimal(configuration)
                && is_decimal(number),
        )
    });
    interface == Some(true)
}

fn is_platform(word: &str) -> bool {
    word.split_once('.').is_some_and(|(address, name)| {
        (4..=16).contains(&address.len())
            && address.bytes().all(|b| b.is_ascii_hexdigit())
            && (2..=32).contains(&name.len())
            && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}

fn is_decimal(word: &str) -> bool {
    (1..=10).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit())
}

/// The unicast addresses a text ascribes to its own device.
fn macs(text: &str) -> Vec<Mac> {
    const TEXT: usize = "24:6e:96:43:3e:38".len();
    let of_others = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| {
            OF_OTHERS
                .iter()
                .any(|other| word.eq_ignore_ascii_case(other))
        });
    if of_others {
        return Vec::new();
    }
    let part_of_mac = |b: Option<&u8>| b.is_some_and(|&b| b.is_ascii_hexdigit() || b == b':');
    let bytes = text.as_bytes();
    let mut found: Vec<Mac> = Vec::new();
    for (start, window) in bytes.windows(TEXT).enumerate() {
        let before = start.checked_sub(1).and_then(|at| bytes.get(at));
        if part_of_mac(before) || part_of_mac(bytes.get(start + TEXT)) {
            continue;
        }
        let Some(mac) = mac(window) else { continue };
        if mac[0] & 1 == 0 && mac != Mac::default() && !found.contains(&mac) {
            found.push(mac);
        }
    }
    found
}

/// Six pairs of hex digits with colons between.
fn mac(text: &[u8]) -> Option<Mac> {
    let digit = |b: u8| (b as char).to_digit(16);
    let mut mac = Mac::default();
    for (byte, part) in mac.iter_mut().zip(text.chunks(3)) {
        let (&high, &low) = (part.first()?, part.get(1)?);
        if part.get(2).is_some_and(|&b| b != b':') {
            return None;
        }
        *byte = (digit(high)? << 4 | digit(low)?) as u8;
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = [0x24, 0x6e, 0x96, 0x43, 0x3e, 0x38];

    fn line(text: &str) -> Line<'_> {
        parse(text, None, &|_| false)
    }

    #[test]
    fn lines_of_drivers() {
        // Each driver's own wording, from the format strings of its source.
        let lines = [
            (
                "i40e 0000:01:00.0 em1: already using mac address 24:6e:96:43:3e:38",
                "i40e",
                "0000:01:00.0",
                Some("em1"),
            ),
            (
                "i40e 0000:01:00.0 em1: set new mac address 24:6e:96:43:3e:38",
                "i40e",
                "0000:01:00.0",
                Some("em1"),
            ),
            (
                "i40e 0000:01:00.0 em1: returning to hw mac address 24:6e:96:43:3e:38",
                "i40e",
                "0000:01:00.0",
                Some("em1"),
            ),
            (
                "i40e 0000:01:00.0: MAC address: 24:6e:96:43:3e:38",
                "i40e",
                "0000:01:00.0",
                None,
            ),
            (
                "e1000 0000:00:04.0 eth0: (PCI:33MHz:32-bit) 24:6e:96:43:3e:38",
                "e1000",
                "0000:00:04.0",
                Some("eth0"),
            ),
            (
                "e1000e 0000:00:19.0 eth0: (PCI Express:2.5GT/s:Width x1) 24:6e:96:43:3e:38",
                "e1000e",
                "0000:00:19.0",
                Some("eth0"),
            ),
            (
                "igb 0000:07:00.0: eth0: (PCIe:5.0Gb/s:Width x4) 24:6e:96:43:3e:38",
                "igb",
                "0000:07:00.0",
                Some("eth0"),
            ),
            (
                "ixgbe 0000:04:00.0: 24:6e:96:43:3e:38",
                "ixgbe",
                "0000:04:00.0",
                None,
            ),
            (
                "tg3 0000:02:00.0 eth0: Tigon3 [partno(BCM95720) rev 5720000] (PCI Express) MAC address 24:6e:96:43:3e:38",
                "tg3",
                "0000:02:00.0",
                Some("eth0"),
            ),
            (
                "bnxt_en 0000:18:00.0 eth0: Broadcom BCM57414 found at mem 9d410000, node addr 24:6e:96:43:3e:38",
                "bnxt_en",
                "0000:18:00.0",
                Some("eth0"),
            ),
            (
                "r8169 0000:02:00.0 eth0: RTL8168g/8111g, 24:6e:96:43:3e:38, XID 4c0, IRQ 126",
                "r8169",
                "0000:02:00.0",
                Some("eth0"),
            ),
            (
                "cdc_ether 1-2:2.0 eth0: register 'cdc_ether' at usb-0000:00:14.0-2, CDC Ethernet Device, 24:6e:96:43:3e:38",
                "cdc_ether",
                "1-2:2.0",
                Some("eth0"),
            ),
            (
                "mvneta f1070000.ethernet eth0: Using device tree mac address 24:6e:96:43:3e:38",
                "mvneta",
                "f1070000.ethernet",
                Some("eth0"),
            ),
            (
                "virtio_net virtio3 eth2: Assigned random MAC address 24:6E:96:43:3E:38",
                "virtio_net",
                "virtio3",
                Some("eth2"),
            ),
            (
                "sky2 0000:03:00.0 eth1 (unregistering): addr 24:6e:96:43:3e:38",
                "sky2",
                "0000:03:00.0",
                Some("eth1"),
            ),
            (
                "atlantic 0000:05:00.0 (unnamed net_device) (uninitialized): addr 24:6e:96:43:3e:38",
                "atlantic",
                "0000:05:00.0",
                None,
            ),
            (
                "e1000e 0000:00:19.0 0000:00:19.0 (uninitialized): addr 24:6e:96:43:3e:38",
                "e1000e",
                "0000:00:19.0",
                None,
            ),
        ];
        for (text, driver, bus, name) in lines {
            let line = line(text);
            assert_eq!(line.device, Some((driver, bus)), "{text}");
            assert_eq!(line.name, name, "{text}");
            assert_eq!(line.macs, [MAC], "{text}");
        }
    }

    #[test]
    fn addresses_of_others_are_not_the_devices() {
        for text in [
            "i40e 0000:01:00.0: Setting MAC 24:6e:96:43:3e:38 on VF 0",
            "i40e 0000:01:00.0 em1: error adding filter for 24:6e:96:43:3e:38",
            "ixgbe 0000:04:00.0 em1: 12 Spoofed packets detected from 24:6e:96:43:3e:38",
            "i40e 0000:01:00.0: addr 01:00:5e:00:00:01, ff:ff:ff:ff:ff:ff, 00:00:00:00:00:00",
            "i40e 0000:01:00.0: guid 24:6e:96:43:3e:38:00:01",
            "wlan0: authenticate with 24:6e:96:43:3e:38",
            "audit: key 24:6e:96:43:3e:38",
            "pci 0000:24:6e.9: BAR",
        ] {
            assert_eq!(line(text).macs, Vec::<Mac>::new(), "{text}");
        }
    }

    #[test]
    fn the_device_noted_beside_a_line_needs_no_form() {
        let text = "hv_netvsc 000d3a1b-2c3d eth0: mac 24:6e:96:43:3e:38";
        assert_eq!(line(text).device, None);
        let line = parse(text, Some("000d3a1b-2c3d"), &|_| false);
        assert_eq!(line.device, Some(("hv_netvsc", "000d3a1b-2c3d")));
        assert_eq!(
            (line.name, line.macs.as_slice()),
            (Some("eth0"), &[MAC][..])
        );
    }

    #[test]
    fn renames() {
        let renamed = line("e1000 0000:00:04.0 em1: renamed from eth0");
        assert_eq!(renamed.device, Some(("e1000", "0000:00:04.0")));
        assert_eq!(renamed.name, Some("em1"));
        assert_eq!(renamed.event, Some(Event::RenamedFrom("eth0")));
        let up = line("veth3: renamed from eth0 (while UP)");
        assert_eq!(
            (up.name, up.event),
            (Some("veth3"), Some(Event::RenamedFrom("eth0")))
        );
        let udev = line("systemd-udevd[221]: renamed network interface eth1 to em2");
        assert_eq!(
            (udev.name, udev.event),
            (Some("em2"), Some(Event::RenamedFrom("eth1")))
        );
    }

    #[test]
    fn slaves_and_ports() {
        let joined = |text, upper, lower, kind, joined| {
            let event = Event::Slave {
                upper,
                lower,
                kind,
                joined,
            };
            assert_eq!(line(text).event, Some(event), "{text}");
        };
        joined(
            "bond0: (slave em1): Enslaving as a backup interface with a down link",
            "bond0",
            "em1",
            "bond",
            true,
        );
        joined(
            "bond0: (slave em1): link status definitely up, 1000 Mbps full duplex",
            "bond0",
            "em1",
            "bond",
            true,
        );
        joined(
            "bond0: (slave em1): Releasing backup interface",
            "bond0",
            "em1",
            "bond",
            false,
        );
        joined(
            "bond0: Enslaving em1 as an active interface with an up link",
            "bond0",
            "em1",
            "bond",
            true,
        );
        joined(
            "bonding: bond0: enslaving p1p1 as a backup interface with a down link.",
            "bond0",
            "p1p1",
            "bond",
            true,
        );
        joined(
            "bond0: Releasing active interface em1",
            "bond0",
            "em1",
            "bond",
            false,
        );
        joined("team0: Port device em1 added", "team0", "em1", "team", true);
        joined(
            "br0: port 1(em1) entered forwarding state",
            "br0",
            "em1",
            "bridge",
            true,
        );
        assert_eq!(line("br0: port 1(em1) entered disabled state").event, None);
        let held = line(
            "bond0: (slave em1): the permanent HWaddr of slave - 24:6e:96:43:3e:38 - is still in use by bond",
        );
        assert_eq!((held.name, held.macs.as_slice()), (Some("em1"), &[MAC][..]));
    }

    #[test]
    fn other_lines_say_nothing() {
        for text in [
            "",
            " ",
            ":",
            "pci 0000:00:03.0: reg 0x10: [mem 0xfebc0000-0xfebdffff]",
            "e1000: em1 NIC Link is Up 1000 Mbps Full Duplex, Flow Control: RX",
            "PCI: Using configuration type 1 for base access",
            "x (slave ",
            "b: (slave ",
            "b: port (",
            "24:6e:96:43:3e:38",
        ] {
            let line = line(text);
            assert_eq!((line.macs.len(), line.event), (0, None), "{text}");
        }
    }
}
