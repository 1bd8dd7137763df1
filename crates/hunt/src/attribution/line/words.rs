//! The words of a line: names, addresses on a bus, MAC addresses.

use pagehound_vmcore::Mac;

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

/// The version in `fw 6.0.48442 api 1.7` (i40e), `firmware 1.5.2` (ice), `firmware
/// version: 16.35.3006` (mlx5_core), `FW version is 10.2.405.0` (be2net): what follows
/// the word and looks like one.
pub(super) fn firmware(text: &str) -> Option<&str> {
    let mut words = text.split_ascii_whitespace();
    let is_firmware = |word: &&str| {
        let word = word.trim_end_matches([':', '=']);
        ["fw", "firmware"]
            .iter()
            .any(|of| word.eq_ignore_ascii_case(of))
    };
    words.find(is_firmware)?;
    let filler = |word: &&str| {
        let word = word.trim_end_matches([':', '=']);
        ["version", "ver", "is"]
            .iter()
            .any(|of| word.eq_ignore_ascii_case(of))
    };
    let version = words
        .find(|word| !filler(word))?
        .trim_end_matches([',', ';']);
    let numbers = version.trim_start_matches(['v', 'V']);
    let looks_like_one = numbers.contains('.')
        && numbers.starts_with(|first: char| first.is_ascii_digit())
        && (3..=32).contains(&version.len());
    looks_like_one.then_some(version)
}

/// A driver's name.
pub(super) fn is_driver(word: &str) -> bool {
    let of_name = |b: u8| b.is_ascii_alphanumeric() || b"_-+.".contains(&b);
    (1..=32).contains(&word.len()) && word.bytes().all(of_name)
}

/// An interface name: `dev_valid_name()` of the kernel, less what cannot be
/// told from other words.
pub(super) fn is_name(word: &str) -> bool {
    let first = word.bytes().next();
    (1..16).contains(&word.len())
        && first.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && word
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"/:%()[]\\,=".contains(&b))
}

/// Addresses that tell a device by their form: PCI `0000:01:00.0`, virtio
/// `virtio0`, USB `2-1.4:1.0`, platform `1a000000.ethernet`.
pub(super) fn is_bus_address(word: &str) -> bool {
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
pub(super) fn macs(text: &str) -> Vec<Mac> {
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
        let text = std::str::from_utf8(window).unwrap_or_default();
        let Ok(mac) = text.parse::<Mac>() else {
            continue;
        };
        if !mac.is_group() && !mac.is_zero() && !found.contains(&mac) {
            found.push(mac);
        }
    }
    found
}
