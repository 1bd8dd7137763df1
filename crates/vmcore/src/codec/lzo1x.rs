//! Decompressing LZO1X blocks. The bitstream is the one that
//! `Documentation/staging/lzo.rst` of the kernel describes, version 0.
//!
//! The library for it copies byte by byte: on compressible pages this takes a
//! twentieth of its time, on noise two thirds (bench/RESULTS.md).

/// Why a block cannot be decompressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum LzoError {
    #[error("lzo: the block ends too early, at byte {0}")]
    Input(usize),
    #[error("lzo: the block holds more than a page")]
    Output,
    #[error("lzo: a match reaches back before the page, at byte {0}")]
    Distance(usize),
    #[error("lzo: the block goes on behind its end mark, at byte {0}")]
    Trailing(usize),
}

/// What the instruction before left behind, which decides what the smallest
/// instructions mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// A match with no literals behind it, or nothing.
    Match,
    /// One to three literals.
    FewLiterals,
    /// A run of literals.
    Literals,
}

/// Decompresses `data` into `page`; returns how many bytes that were.
pub(crate) fn decompress(data: &[u8], page: &mut [u8]) -> Result<usize, LzoError> {
    let mut from = Input { data, at: 0 };
    let mut to = Output { page, at: 0 };
    let mut before = Before::Match;
    // A first byte above 17 is a number of literals; 17 begins newer versions of
    // the stream, which this one cannot begin with: nothing lies before it.
    if let Some(&first @ 18..) = data.first() {
        from.at = 1;
        let count = usize::from(first - 17);
        to.literals(&mut from, count)?;
        before = match count {
            ..4 => Before::FewLiterals,
            _ => Before::Literals,
        };
    }
    loop {
        let instruction = from.byte()?;
        let small = usize::from(instruction);
        // Length, distance, and the byte whose two lowest bits count the literals
        // that follow.
        let (length, distance, tail) = match (instruction, before) {
            (128.., _) => {
                let far = usize::from(from.byte()?) << 3;
                (
                    5 + (small >> 5 & 3),
                    1 + far + (small >> 2 & 7),
                    instruction,
                )
            }
            (64.., _) => {
                let far = usize::from(from.byte()?) << 3;
                (
                    3 + (small >> 5 & 1),
                    1 + far + (small >> 2 & 7),
                    instruction,
                )
            }
            (32.., _) => {
                let length = 2 + from.length(small & 31, 31)?;
                let [low, high] = from.two()?;
                (length, 1 + offset(low, high), low)
            }
            (16.., _) => {
                let length = 2 + from.length(small & 7, 7)?;
                let [low, high] = from.two()?;
                let distance = 16384 + ((small & 8) << 11) + offset(low, high);
                // The end, which is always written so.
                if distance == 16384 && length == 3 {
                    break;
                }
                (length, distance, low)
            }
            (_, Before::Match) => {
                let count = 3 + from.length(small, 15)?;
                to.literals(&mut from, count)?;
                before = Before::Literals;
                continue;
            }
            (_, Before::FewLiterals) => {
                let far = usize::from(from.byte()?) << 2;
                (2, 1 + far + (small >> 2), instruction)
            }
            (_, Before::Literals) => {
                let far = usize::from(from.byte()?) << 2;
                (3, 2049 + far + (small >> 2), instruction)
            }
        };
        to.repeat(distance, length, from.at)?;
        let literals = usize::from(tail & 3);
        before = Before::Match;
        if literals > 0 {
            to.literals(&mut from, literals)?;
            before = Before::FewLiterals;
        }
    }
    match from.at == data.len() {
        true => Ok(to.at),
        false => Err(LzoError::Trailing(from.at)),
    }
}

/// The 14 bits of distance in the two bytes behind a long instruction.
fn offset(low: u8, high: u8) -> usize {
    usize::from(u16::from_le_bytes([low, high]) >> 2)
}

/// Bytes that are copied at a time, past the end of what is wanted where there is
/// room: most copies are shorter.
const STEP: usize = 16;

struct Input<'a> {
    data: &'a [u8],
    at: usize,
}

impl Input<'_> {
    #[inline(always)]
    fn byte(&mut self) -> Result<u8, LzoError> {
        let byte = *self.data.get(self.at).ok_or(LzoError::Input(self.at))?;
        self.at += 1;
        Ok(byte)
    }

    #[inline(always)]
    fn two(&mut self) -> Result<[u8; 2], LzoError> {
        Ok([self.byte()?, self.byte()?])
    }

    /// A length: `short`, or where that is zero, `most` and what follows, a byte
    /// of zero standing for 255.
    #[inline(always)]
    fn length(&mut self, short: usize, most: usize) -> Result<usize, LzoError> {
        if short > 0 {
            return Ok(short);
        }
        let mut length = most;
        loop {
            match self.byte()? {
                0 => length += 255,
                last => return Ok(length + usize::from(last)),
            }
        }
    }
}

struct Output<'a> {
    page: &'a mut [u8],
    at: usize,
}

impl Output<'_> {
    #[inline(always)]
    fn literals(&mut self, from: &mut Input<'_>, count: usize) -> Result<(), LzoError> {
        let rest = from.data.get(from.at..).unwrap_or_default();
        let room = self.page.get_mut(self.at..).unwrap_or_default();
        if rest.len() < count {
            return Err(LzoError::Input(from.data.len()));
        }
        if room.len() < count {
            return Err(LzoError::Output);
        }
        match (rest.first_chunk::<STEP>(), room.first_chunk_mut::<STEP>()) {
            (Some(rest), Some(room)) if count <= STEP => *room = *rest,
            _ => {
                for (to, from) in room.get_mut(..count).into_iter().zip(rest.get(..count)) {
                    to.copy_from_slice(from);
                }
            }
        }
        from.at += count;
        self.at += count;
        Ok(())
    }

    /// Repeats `length` bytes from `distance` before; they may overlap.
    #[inline(always)]
    fn repeat(&mut self, distance: usize, length: usize, at: usize) -> Result<(), LzoError> {
        let start = self
            .at
            .checked_sub(distance)
            .ok_or(LzoError::Distance(at))?;
        let end = self.at + length;
        if end > self.page.len() {
            return Err(LzoError::Output);
        }
        let chunk = self
            .page
            .get(start..)
            .and_then(|from| from.first_chunk::<STEP>());
        if let Some(&chunk) = chunk
            && length <= STEP
            && distance >= STEP
            && let Some(room) = self
                .page
                .get_mut(self.at..)
                .and_then(|to| to.first_chunk_mut())
        {
            *room = chunk;
        } else {
            // What repeats doubles with every copy.
            let mut done = self.at;
            while done < end {
                let part = (done - start).min(end - done);
                self.page.copy_within(start..start + part, done);
                done += part;
            }
        }
        self.at = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unpacked(data: &[u8], room: usize) -> Result<Vec<u8>, LzoError> {
        let mut page = vec![0xee; room];
        let len = decompress(data, &mut page)?;
        Ok(page[..len].to_vec())
    }

    #[test]
    fn instructions_of_every_kind() {
        // By hand, from the description of the stream.
        let end = [0x11, 0, 0];
        let cases: [(&[u8], &[u8]); 5] = [
            // Literals by the first byte, then a match of 3 from 1 before.
            (
                &[17 + 4, b'a', b'b', b'c', b'd', 0b0100_0000, 0],
                b"abcdddd",
            ),
            // The same with one literal behind the match.
            (&[17 + 1, b'x', 0b0110_0001, 0, b'y'], b"xxxxxy"),
            // Literals by a run of 3 + 1, and a match of 2 + 3 two before.
            (
                &[1, b'1', b'2', b'3', b'4', 0b0010_0011, 0b0000_0100, 0],
                b"123434343",
            ),
            // Two bytes from within a KiB, after one literal.
            (&[17 + 1, b'q', 0b0000_0000, 0], b"qqq"),
            // A match of 5 + 1.
            (&[17 + 2, b'a', b'b', 0b1010_0100, 0], b"abababab"),
        ];
        for (data, want) in cases {
            assert_eq!(unpacked(&[data, &end].concat(), 64).as_deref(), Ok(want));
        }
        // 3 + 15 + 2 * 255 + 4 literals, and 2 + 31 + 255 + 200 of them again.
        let literals: Vec<u8> = (0..532_u32).map(|n| n as u8).collect();
        let mut data = vec![0, 0, 0, 4];
        data.extend(&literals);
        data.extend([0b0010_0000, 0, 200]);
        data.extend((531_u16 << 2).to_le_bytes());
        data.extend(end);
        let mut want = literals.clone();
        want.extend(&literals[..488]);
        assert_eq!(unpacked(&data, 4096), Ok(want));
    }

    #[test]
    fn broken_blocks_are_errors() {
        assert_eq!(unpacked(&[], 64), Err(LzoError::Input(0)));
        assert_eq!(unpacked(&[21, b'a', b'b'], 64), Err(LzoError::Input(3)));
        assert_eq!(
            unpacked(&[21, 1, 2, 3, 4, 0x40, 9], 64),
            Err(LzoError::Distance(7))
        );
        assert_eq!(
            unpacked(&[21, 1, 2, 3, 4, 0x11, 0, 0], 3),
            Err(LzoError::Output)
        );
        assert_eq!(
            unpacked(&[21, 1, 2, 3, 4, 0x11, 0, 0, 7], 64),
            Err(LzoError::Trailing(8))
        );
    }

    /// Bytes that repeat, and noise.
    fn page() -> impl Strategy<Value = Vec<u8>> {
        let piece = (prop::collection::vec(any::<u8>(), 1..60), 1usize..40);
        prop::collection::vec(piece, 1..40).prop_map(|pieces| {
            let mut page: Vec<u8> = pieces
                .iter()
                .flat_map(|(bytes, times)| bytes.repeat(*times))
                .collect();
            page.resize(4096, 0);
            page
        })
    }

    proptest! {
        #[test]
        fn undoes_what_compressors_do(page in page()) {
            let packed = pagehound_synth::compress_lzo1x(&page);
            prop_assert_eq!(unpacked(&packed, 4096), Ok(page));
        }

        #[test]
        fn agrees_with_the_library_on_damaged_blocks(
            page in page(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut packed = pagehound_synth::compress_lzo1x(&page);
            for (at, byte) in damage {
                let at = at.index(packed.len());
                packed[at] = byte;
            }
            packed.truncate(cut.index(packed.len()) + 1);
            let mut theirs = vec![0; 4096];
            let library = lzo::decompress_into(&packed, &mut theirs);
            let library = library.ok().map(|len| theirs[..len].to_vec());
            prop_assert_eq!(unpacked(&packed, 4096).ok(), library);
        }
    }
}
