//! Ethernet frames for the guest, sent as UDP datagrams to QEMU's socket
//! network back end on loopback: one datagram is one frame.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Error, Result, bail};

/// UDP destination port by which the module knows the lab's frames.
pub(super) const PORT: u16 = 4242;

const PAGE: usize = 4096;
const HEADERS: usize = 14 + 20 + 8;
/// e1000 copies frames of up to 256 bytes out of their page (its copybreak).
const SMALL: usize = 200;
const LARGE: (usize, usize) = (320, 1500);
/// Frames between two pauses, and the pause: about 5,000 frames a second,
/// which an emulated guest can take without losing most of them.
const BURST: usize = 16;
const PAUSE: Duration = Duration::from_millis(3);

/// A hardware address; the guest's device carries it and frames start with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mac([u8; 6]);

impl Mac {
    pub(super) const fn new(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }

    /// The address after this one, for a second device.
    pub(super) fn next(self) -> Self {
        let [a, b, c, d, e, f] = self.0;
        Self([a, b, c, d, e, f.wrapping_add(1)])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl FromStr for Mac {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bytes: Vec<u8> = text
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16))
            .collect::<Result<_, _>>()
            .with_context(|| format!("{text} is not a hardware address"))?;
        match bytes.try_into() {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => bail!("{text} has not six bytes"),
        }
    }
}

/// One frame: Ethernet, IPv4, UDP, then a payload that differs by `number`.
/// `length` counts from the destination address to the payload's end.
fn frame(mac: Mac, number: u32, length: usize) -> Vec<u8> {
    let length = length.max(HEADERS + 32);
    let ip_length = u16::try_from(length - 14).unwrap_or(u16::MAX);
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(&mac.0);
    bytes.extend_from_slice(&[0x52, 0x54, 0x00, 0x0a, 0x00, 0x02]);
    bytes.extend_from_slice(&[0x08, 0x00]);
    let source = 10 + u8::try_from(number % 4).unwrap_or(0);
    let [identity_high, identity_low] = (number as u16).to_be_bytes();
    let [length_high, length_low] = ip_length.to_be_bytes();
    let mut header = [
        0x45,
        0,
        length_high,
        length_low,
        identity_high,
        identity_low,
        0x40,
        0,
        64,
        17,
        0,
        0,
        192,
        0,
        2,
        source,
        192,
        0,
        2,
        1,
    ];
    let [high, low] = internet_checksum(&header).to_be_bytes();
    header[10] = high;
    header[11] = low;
    bytes.extend_from_slice(&header);
    let source_port = 40_000 + (number % 20_000) as u16;
    bytes.extend_from_slice(&source_port.to_be_bytes());
    bytes.extend_from_slice(&PORT.to_be_bytes());
    bytes.extend_from_slice(&(ip_length - 20).to_be_bytes());
    // A UDP checksum of zero means that there is none.
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(&scrambled(number).to_be_bytes());
    bytes.extend_from_slice(format!("record {number:08} ").as_bytes());
    while bytes.len() < length {
        let line = bytes.len() as u32;
        bytes.extend_from_slice(format!("line {line:04} of the lab's traffic; ").as_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// RFC 1071, over an even number of bytes.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks_exact(2) {
        if let &[high, low] = pair {
            sum += u32::from(u16::from_be_bytes([high, low]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Bits that look random but come out the same in every run (splitmix64).
fn scrambled(number: u32) -> u64 {
    let mut bits = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn large_length(number: u32) -> usize {
    LARGE.0 + (scrambled(number) as usize) % (LARGE.1 - LARGE.0)
}

/// `count` pages with a frame at the start of each, as a receive ring has them.
pub(super) fn pages(mac: Mac, count: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(count as usize * PAGE);
    for number in 0..count {
        let start = bytes.len();
        bytes.extend_from_slice(&frame(mac, number, large_length(number)));
        bytes.resize(start + PAGE, 0);
    }
    bytes
}

/// What the sender sends at the moment; the guest asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    Nothing = 0,
    Large = 1,
    Small = 2,
    Ended = 3,
}

/// A link to one emulated network device.
pub(super) struct Link {
    socket: UdpSocket,
    guest: SocketAddr,
}

impl Link {
    /// Picks two free loopback ports, one of them for QEMU to bind.
    pub(super) fn new() -> Result<Self> {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no free UDP port");
        let socket = bind()?;
        let guest = bind()?.local_addr().context("no free UDP port")?;
        Ok(Self { socket, guest })
    }

    /// Value of QEMU's `-netdev` option for the back end called `id`.
    pub(super) fn netdev(&self, id: &str) -> Result<String> {
        let host = self
            .socket
            .local_addr()
            .context("the socket lost its address")?;
        Ok(format!(
            "socket,id={id},udp={host},localaddr={}",
            self.guest
        ))
    }
}

/// Sends frames from a thread of its own until told to end or dropped.
pub(super) struct Sender {
    wanted: Arc<AtomicU8>,
    thread: Option<JoinHandle<()>>,
}

impl Sender {
    pub(super) fn start(links: Vec<Link>, mac: Mac) -> Self {
        let wanted = Arc::new(AtomicU8::new(Traffic::Nothing as u8));
        let seen = Arc::clone(&wanted);
        let thread = thread::spawn(move || send(&links, mac, &seen));
        Self {
            wanted,
            thread: Some(thread),
        }
    }

    pub(super) fn set(&self, traffic: Traffic) {
        self.wanted.store(traffic as u8, Ordering::Relaxed);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.set(Traffic::Ended);
        if let Some(thread) = self.thread.take() {
            // The thread does nothing that could panic; nothing is lost if it did.
            let _ = thread.join();
        }
    }
}

fn send(links: &[Link], mac: Mac, wanted: &AtomicU8) {
    let mut number = 0_u32;
    loop {
        let wanted = wanted.load(Ordering::Relaxed);
        if wanted == Traffic::Ended as u8 {
            return;
        }
        if wanted != Traffic::Nothing as u8 {
            for link in links {
                for _ in 0..BURST {
                    let length = if wanted == Traffic::Small as u8 {
                        SMALL
                    } else {
                        large_length(number)
                    };
                    let bytes = frame(mac, number, length);
                    // QEMU may not listen yet, or drop what the guest cannot
                    // take: the guest counts what arrives.
                    let _ = link.socket.send_to(&bytes, link.guest);
                    number = number.wrapping_add(1);
                }
            }
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_is_valid_ipv4_udp_to_the_address() {
        let mac: Mac = "52:54:00:a1:5e:01".parse().unwrap();
        let bytes = frame(mac, 70_000, 500);
        assert_eq!(bytes.len(), 500);
        assert_eq!(bytes[..6], [0x52, 0x54, 0, 0xa1, 0x5e, 1]);
        assert_eq!(bytes[12..15], [8, 0, 0x45]);
        assert_eq!(u16::from_be_bytes([bytes[16], bytes[17]]), 486);
        assert_eq!(
            internet_checksum(&bytes[14..34]),
            0,
            "a valid header sums to zero"
        );
        assert_eq!(u16::from_be_bytes([bytes[36], bytes[37]]), PORT);
        assert_eq!(u16::from_be_bytes([bytes[38], bytes[39]]), 466);
    }

    #[test]
    fn checksum_agrees_with_the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(internet_checksum(&bytes), !0xddf2);
    }

    #[test]
    fn large_frames_stay_in_one_page_and_above_the_copybreak() {
        for number in 0..5_000 {
            assert!((257..=1500).contains(&large_length(number)));
        }
    }

    #[test]
    fn addresses_parse_and_print_alike() {
        let mac: Mac = "52:54:00:a1:5e:ff".parse().unwrap();
        assert_eq!(mac.to_string(), "52:54:00:a1:5e:ff");
        assert_eq!(mac.next().to_string(), "52:54:00:a1:5e:00");
        assert!("52:54:00:a1:5e".parse::<Mac>().is_err());
    }
}
