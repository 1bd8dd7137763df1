//! What one line of the kernel's log says of a net device.
//!
//! `dev_info()` writes `driver address: text`, `netdev_info()` writes
//! `driver address name: text` for a device on a bus and `name: text` for a
//! virtual one; older drivers write `driver address: name: text` by hand.

mod words;

#[cfg(test)]
mod tests;

use pagehound_vmcore::Mac;

use words::{firmware, is_bus_address, is_driver, is_name, macs};

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
    /// Version of the device's firmware.
    pub(super) firmware: Option<&'a str>,
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
        firmware: device.and_then(|_| firmware(rest)),
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
