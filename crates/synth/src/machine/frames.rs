//! Ethernet frames to the machine (RFC 894), with IPv4 (RFC 791) and TCP (RFC 9293) or
//! UDP (RFC 768), checksums included (RFC 1071).

use super::BOND_MAC;
use super::build::Random;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// A frame of 60 to 1,514 bytes from one of a few hosts of the segment.
pub(super) fn frame(random: &mut Random) -> Vec<u8> {
    let host = random.below(12) as u8;
    let protocol = if random.below(3) == 0 { UDP } else { TCP };
    let source = [10, 20, host, random.below(250) as u8 + 1];
    let target = [10, 20, 40, 7];
    let segment = segment(random, protocol, [source, target]);
    let mut packet = Vec::new();
    packet.extend([0x45, 0]);
    packet.extend((20 + segment.len() as u16).to_be_bytes());
    packet.extend((random.next() as u16).to_be_bytes());
    // May not be fragmented; 61 hops left; no sum yet.
    packet.extend([0x40, 0, 61, protocol, 0, 0]);
    packet.extend(source);
    packet.extend(target);
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum);
    packet.extend(segment);

    let mut frame = BOND_MAC.to_vec();
    frame.extend([0x00, 0x22, 0x56, 0xa1, 0x07, host]);
    frame.extend([0x08, 0x00]);
    frame.extend(packet);
    frame.resize(frame.len().max(60), 0);
    frame
}

fn segment(random: &mut Random, protocol: u8, addresses: [[u8; 4]; 2]) -> Vec<u8> {
    let from = 1024 + random.below(60000) as u16;
    let mut data = vec![0; random.below(1440) as usize];
    for bytes in data.chunks_mut(8) {
        let word = random.next().to_le_bytes();
        bytes.copy_from_slice(&word[..bytes.len()]);
    }
    let mut segment = Vec::new();
    segment.extend(from.to_be_bytes());
    let sum_at = if protocol == TCP {
        segment.extend(443_u16.to_be_bytes());
        segment.extend((random.next() as u32).to_be_bytes());
        segment.extend((random.next() as u32).to_be_bytes());
        // Five words of header, ACK and PSH, the window; sum, no urgent data.
        segment.extend([0x50, 0x18, 0x01, 0xf5, 0, 0, 0, 0]);
        16
    } else {
        segment.extend(4789_u16.to_be_bytes());
        segment.extend((8 + data.len() as u16).to_be_bytes());
        segment.extend([0, 0]);
        6
    };
    segment.extend(data);
    let mut summed: Vec<u8> = addresses.concat();
    summed.extend([0, protocol]);
    summed.extend((segment.len() as u16).to_be_bytes());
    summed.extend(&segment);
    let sum = checksum(&summed);
    segment[sum_at..sum_at + 2].copy_from_slice(&sum);
    segment
}

fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low)))
        .sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}
