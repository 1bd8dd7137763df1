//! Compressed pages.

use pagehound_synth::compress_lzo1x;
use pagehound_vmcore::{Codec, decompress};

use crate::input::Input;

const CODECS: [Codec; 5] = [
    Codec::Plain,
    Codec::Zlib,
    Codec::Lzo,
    Codec::Snappy,
    Codec::Zstd,
];

pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let (Some(codec), Some(len)) = (input.u8(), input.u16()) else {
        return;
    };
    let codec = CODECS[usize::from(codec) % CODECS.len()];
    let mut page = vec![0xa5; usize::from(len)];
    let outcome = decompress(codec, input.0, &mut page);
    // What one page left behind changes nothing for the next.
    let mut again = vec![0x5a; usize::from(len)];
    assert_eq!(decompress(codec, input.0, &mut again), outcome);
    if outcome.is_ok() {
        assert_eq!(page, again);
    }
    // LZO1X has no empty block.
    if input.0.is_empty() {
        return;
    }
    let packed = compress_lzo1x(input.0);
    let mut back = vec![0; input.0.len()];
    assert_eq!(decompress(Codec::Lzo, &packed, &mut back), Ok(()));
    assert_eq!(back, input.0);
}
