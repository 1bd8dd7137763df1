//! How a file is packed, by its first bytes.

use std::io::{self, BufRead, Read};

/// Memory for one block of xz, in KiB: `xz -9` asks for 65 MiB, sos for nine at most.
/// zstd's own bound is 128 MiB.
const XZ_MEMORY: u32 = 80 << 10;

/// How files of sos are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Xz,
    Gzip,
    Zstd,
    Not,
}

impl Packing {
    /// Of a file that begins with `head`.
    pub(super) fn of(head: &[u8]) -> Packing {
        let signatures: [(&[u8], Packing); 3] = [
            (b"\xfd7zXZ\0", Packing::Xz),
            (b"\x1f\x8b", Packing::Gzip),
            (b"\x28\xb5\x2f\xfd", Packing::Zstd),
        ];
        let mut signatures = signatures.into_iter();
        let found = signatures.find(|(signature, _)| head.starts_with(signature));
        found.map_or(Packing::Not, |(_, packing)| packing)
    }

    /// What is packed in `packed`; several streams, one behind the other, are one file.
    ///
    /// # Errors
    /// There is no memory for the decoder.
    pub(super) fn unpack<'a>(self, packed: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Packing::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(packed, true, XZ_MEMORY)),
            Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
            Packing::Not => Box::new(packed),
        })
    }
}
