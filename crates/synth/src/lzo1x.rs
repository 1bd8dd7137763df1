//! An LZO1X compressor: correct, not good. The bitstream is the one that
//! `Documentation/staging/lzo.rst` of the kernel describes.

use std::collections::HashMap;

/// Farthest a long match ("M3") reaches back.
const MAX_DISTANCE: usize = 16384;

/// Compresses `input`, which is not empty, into an LZO1X block.
pub fn compress(input: &[u8]) -> Vec<u8> {
    assert!(!input.is_empty(), "LZO1X has no empty block");
    let mut out = Vec::new();
    let mut seen: HashMap<[u8; 4], usize> = HashMap::new();
    let mut pos = 0;
    let mut literals = 0; // where pending literals begin
    while pos < input.len() {
        let found = key(input, pos).and_then(|key| seen.insert(key, pos));
        match found.filter(|at| pos - at <= MAX_DISTANCE) {
            Some(at) => {
                let len = match_len(input, at, pos);
                put_literals(&mut out, &input[literals..pos]);
                put_match(&mut out, len, pos - at);
                pos += len;
                literals = pos;
            }
            None => pos += 1,
        }
    }
    put_literals(&mut out, &input[literals..]);
    // A match of distance 16384 in the far class ends the stream.
    out.extend([0x11, 0, 0]);
    out
}

fn key(input: &[u8], pos: usize) -> Option<[u8; 4]> {
    input.get(pos..pos + 4)?.try_into().ok()
}

fn match_len(input: &[u8], at: usize, pos: usize) -> usize {
    input[at..]
        .iter()
        .zip(&input[pos..])
        .take_while(|(a, b)| a == b)
        .count()
}

/// Literals in front of a match or of the end.
fn put_literals(out: &mut Vec<u8>, literals: &[u8]) {
    let len = literals.len();
    if out.is_empty() && (1..=238).contains(&len) {
        // Only the first instruction can hold so few of them by itself.
        out.push(17 + len as u8);
    } else if len == 0 {
        return;
    } else if len <= 3 {
        // In the two low bits of the match before: its second byte from the end.
        let state = out.len() - 2;
        out[state] |= len as u8;
    } else if len <= 18 {
        out.push(len as u8 - 3);
    } else {
        out.push(0);
        put_length(out, len - 18);
    }
    out.extend_from_slice(literals);
}

/// A match of at least 3 bytes ("M3"): `001LLLLL`, then distance - 1 above two
/// bits that count the literals after it.
fn put_match(out: &mut Vec<u8>, len: usize, distance: usize) {
    if len <= 33 {
        out.push(0x20 | (len as u8 - 2));
    } else {
        out.push(0x20);
        put_length(out, len - 33);
    }
    out.extend((((distance - 1) as u16) << 2).to_le_bytes());
}

/// A length that does not fit its instruction: 255 for each zero byte.
fn put_length(out: &mut Vec<u8>, mut len: usize) {
    while len > 255 {
        out.push(0);
        len -= 255;
    }
    out.push(len as u8);
}

#[cfg(test)]
mod tests {
    use super::compress;

    fn round_trip(input: &[u8]) {
        let packed = compress(input);
        let mut out = vec![0; input.len()];
        assert_eq!(lzo::decompress_into(&packed, &mut out), Ok(input.len()));
        assert_eq!(out, input);
    }

    #[test]
    fn every_kind_of_instruction_comes_back() {
        let mut noise = 1u32;
        let mut random = |len: usize| -> Vec<u8> {
            let mut next = || {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8
            };
            (0..len).map(|_| next()).collect()
        };
        for first in [1, 2, 3, 4, 17, 18, 19, 238, 239, 255, 300, 600, 4096, 65536] {
            let mut input = random(first);
            round_trip(&input);
            // Matches with 0 to 19 literals between them.
            for literals in 0..20 {
                input.extend_from_within(..input.len().min(first / 2 + 3));
                input.extend(random(literals));
            }
            round_trip(&input);
        }
        round_trip(&[0; 4096]);
        round_trip(&[7; 65536]);
    }
}
