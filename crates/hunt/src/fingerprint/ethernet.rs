//! Ethernet frames in a page, parsed and not guessed: a frame counts when what
//! its type says follows does follow, checksum included where there is one; or,
//! whatever its type, when it is addressed to a device of this machine.

use pagehound_vmcore::Mac;

/// An Ethernet frame found in a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Offset of the destination address in the page.
    pub offset: u16,
    /// Destination MAC address.
    pub dst: Mac,
}

/// Bytes before the type: two addresses.
const ADDRESSES: usize = 12;
/// The largest frame a driver receives into pages (9,000 bytes MTU and headers),
/// rounded up.
const MAX_PAYLOAD: usize = 9216;

/// EtherTypes whose payload is looked at: IPv4, ARP, 802.1Q, IPv6, 802.1ad.
const TYPES: [[u8; 2]; 5] = [
    [0x08, 0x00],
    [0x08, 0x06],
    [0x81, 0x00],
    [0x86, 0xdd],
    [0x88, 0xa8],
];
/// VLAN tags one inside the other.
const TAGS: usize = 3;

/// The frames of a page, by offset. Frames start at even offsets (buffers are
/// aligned, NET_IP_ALIGN is 0 or 2). A frame inside another one's payload (a
/// tunnel) does not count.
pub fn frames(page: &[u8], devices: &[Mac]) -> Vec<Frame> {
    let mut found: Vec<Frame> = Vec::new();
    let mut next = ADDRESSES;
    for at in places(page, devices) {
        if at < next || at + 4 > page.len() {
            continue;
        }
        let Some(length) = payload(page, at, TAGS).or_else(|| addressed(page, at, devices)) else {
            continue;
        };
        let start = at - ADDRESSES;
        if let (Some(dst), Some(src)) = (address(page, start), address(page, start + 6))
            && plausible(dst, src)
        {
            found.push(Frame {
                offset: start as u16,
                dst,
            });
            next = at + 2 + length.max(2);
        }
    }
    found
}

/// Where types of frames may lie, ascending: at a known type, and behind what
/// begins like the address of a device. Most pages have none.
fn places(page: &[u8], devices: &[Mac]) -> Vec<usize> {
    // A bit for each value of two bytes.
    let mut wanted = [0u64; 1024];
    let slot = |[low, high]: [u8; 2]| (usize::from(high) << 2 | usize::from(low >> 6), low & 63);
    let starts = devices
        .iter()
        .map(|&Mac([first, second, ..])| [first, second]);
    for (index, bit) in TYPES.into_iter().chain(starts).map(slot) {
        if let Some(bits) = wanted.get_mut(index) {
            *bits |= 1 << bit;
        }
    }
    let mut places = Vec::new();
    for (at, &pair) in (0..).step_by(2).zip(page.as_chunks::<2>().0) {
        let (index, bit) = slot(pair);
        if wanted.get(index).is_some_and(|bits| bits >> bit & 1 == 1) {
            if TYPES.contains(&pair) {
                places.push(at);
            }
            places.push(at + ADDRESSES);
        }
    }
    places.sort_unstable();
    places
}

fn address(page: &[u8], at: usize) -> Option<Mac> {
    Mac::starting(page.get(at..)?)
}

/// The least a frame to one of `devices` with a type of its own, or a length
/// as of IEEE 802.3, can hold.
fn addressed(page: &[u8], at: usize, devices: &[Mac]) -> Option<usize> {
    let dst = address(page, at - ADDRESSES)?;
    if !devices.contains(&dst) {
        return None;
    }
    let kind = u16::from_be_bytes([*page.get(at)?, *page.get(at + 1)?]);
    // Types begin at 0x600, lengths end at 1500; between is neither.
    (kind >= 0x600 || (1..=1500).contains(&kind)).then_some(46)
}

/// A source is never a group address, and neither is nobody's.
fn plausible(dst: Mac, src: Mac) -> bool {
    !src.is_group() && !dst.is_zero() && dst != src
}

/// Length of the payload if a type at `at` is followed by what it announces,
/// after at most `tags` VLAN tags.
fn payload(page: &[u8], at: usize, tags: usize) -> Option<usize> {
    let kind = [*page.get(at)?, *page.get(at + 1)?];
    let body = page.get(at + 2..)?;
    match kind {
        [0x08, 0x00] => ipv4(body),
        [0x08, 0x06] => arp(body),
        [0x86, 0xdd] => ipv6(body),
        // 802.1Q and 802.1ad: a tag, then a type again.
        [0x81, 0x00] | [0x88, 0xa8] => {
            payload(page, at + 4, tags.checked_sub(1)?).map(|length| length + 4)
        }
        _ => None,
    }
}

fn ipv4(body: &[u8]) -> Option<usize> {
    let first = *body.first()?;
    let header = usize::from(first & 0xf) * 4;
    if first >> 4 != 4 || header < 20 {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([*body.get(2)?, *body.get(3)?]));
    let words = body.get(..header)?;
    let sum: u32 = words
        .chunks_exact(2)
        .filter_map(|pair| Some(u32::from(u16::from_be_bytes(pair.try_into().ok()?))))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    // A sender that leaves the sum to its card stores zero.
    let unset = body.get(10..12) == Some(&[0, 0]);
    let sane = (header..=MAX_PAYLOAD).contains(&length) && *body.get(8)? != 0;
    (sane && (folded == 0xffff || unset && known_protocol(*body.get(9)?))).then_some(length)
}

fn ipv6(body: &[u8]) -> Option<usize> {
    let length = usize::from(u16::from_be_bytes([*body.get(4)?, *body.get(5)?]));
    let next = *body.get(6)?;
    let hops = *body.get(7)?;
    let source = body.get(8..24)?;
    let extension = matches!(next, 0 | 43 | 44 | 60);
    let sane = body.first()? >> 4 == 6 && hops != 0 && source.first() != Some(&0xff);
    (sane && length <= MAX_PAYLOAD && (known_protocol(next) || extension)).then_some(length + 40)
}

fn arp(body: &[u8]) -> Option<usize> {
    // Ethernet and IPv4 addresses, request or reply.
    let fixed = body.get(..6)? == [0, 1, 8, 0, 6, 4];
    let operation = u16::from_be_bytes([*body.get(6)?, *body.get(7)?]);
    (fixed && (1..=4).contains(&operation)).then_some(28)
}

/// ICMP, IGMP, IP in IP, TCP, UDP, IPv6, GRE, ESP, AH, ICMPv6, OSPF, VRRP, SCTP.
fn known_protocol(number: u8) -> bool {
    matches!(
        number,
        1 | 2 | 4 | 6 | 17 | 41 | 47 | 50 | 51 | 58 | 89 | 112 | 132
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 894 framing of an RFC 791 header with the checksum worked out by hand.
    fn udp(at: usize, Mac(dst): Mac) -> Vec<u8> {
        let mut page = vec![0; 4096];
        let mut frame = Vec::new();
        frame.extend(dst);
        frame.extend([0x52, 0x54, 0, 1, 2, 3, 8, 0]);
        // The example of RFC 1071 as every textbook has it: sum b861.
        frame.extend([
            0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8,
            0, 0xc7,
        ]);
        page[at..at + frame.len()].copy_from_slice(&frame);
        page
    }

    #[test]
    fn a_frame_is_found_wherever_it_begins() {
        let mac = Mac([0x24, 0x6e, 0x96, 0x43, 0x3e, 0x38]);
        for at in [0, 2, 64, 192, 2048 + 64] {
            let found = frames(&udp(at, mac), &[]);
            assert_eq!(found.len(), 1, "at {at}");
            assert_eq!((found[0].offset, found[0].dst), (at as u16, mac));
        }
    }

    #[test]
    fn a_wrong_checksum_is_no_frame() {
        let mut page = udp(0, Mac([2, 0, 0, 0, 0, 1]));
        page[20] ^= 1;
        assert_eq!(frames(&page, &[]), []);
    }

    #[test]
    fn a_tagged_frame_and_an_arp_request_are_frames() {
        let mut page = udp(0, Mac([2, 0, 0, 0, 0, 1]));
        page.splice(12..12, [0x81, 0, 0, 7]);
        assert_eq!(frames(&page, &[]).len(), 1);
        let mut arp = vec![0; 64];
        arp[..6].fill(0xff);
        arp[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        arp[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        assert_eq!(frames(&arp, &[])[0].dst, Mac([0xff; 6]));
    }

    #[test]
    fn tags_end() {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let tagged = |tags: usize| {
            let mut page = udp(0, mac);
            page.splice(12..12, [0x88, 0xa8, 0, 7].repeat(tags));
            frames(&page, &[])
                .iter()
                .filter(|frame| frame.dst == mac)
                .count()
        };
        assert_eq!((tagged(2), tagged(TAGS), tagged(TAGS + 1)), (1, 1, 0));
    }

    #[test]
    fn a_frame_of_any_type_counts_when_a_device_is_addressed() {
        let mac = Mac([0x24, 0x6e, 0x96, 0x43, 0x3e, 0x38]);
        let mut page = vec![0; 4096];
        page[64..70].copy_from_slice(&mac.0);
        // 0x88b5 is IEEE's local experimental type.
        page[70..78].copy_from_slice(&[2, 0, 0, 0, 0, 9, 0x88, 0xb5]);
        assert_eq!(frames(&page, &[]), []);
        assert_eq!(frames(&page, &[mac])[0].offset, 64);
    }

    #[test]
    fn noise_and_text_hold_no_frames() {
        assert_eq!(frames(&[b'E'; 4096], &[]), []);
        assert_eq!(frames(&[0; 4096], &[]), []);
        assert_eq!(frames(&[0xff; 4096], &[]), []);
        assert_eq!(frames(&[], &[]), []);
    }
}
