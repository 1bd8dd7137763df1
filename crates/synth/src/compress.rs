//! Page compression.

use std::io::Write;

use flate2::write::ZlibEncoder;

use crate::kdump::Compression;

/// `page` and its `page_desc.flags`; as it is where compression does not shrink
/// it, as all writers do. Of mixed methods, `rank` says which.
pub fn compress(method: Compression, rank: usize, page: &[u8]) -> (Vec<u8>, u32) {
    let (packed, flags) = match method {
        Compression::Plain => return (page.to_vec(), 0),
        Compression::Zlib => (zlib(page), 0x1),
        Compression::Lzo => (crate::lzo1x::compress(page), 0x2),
        Compression::Snappy => (snappy(page), 0x4),
        Compression::Zstd => (zstd(page), 0x20),
        Compression::Mixed => {
            let methods = [
                Compression::Zlib,
                Compression::Lzo,
                Compression::Plain,
                Compression::Snappy,
                Compression::Zstd,
            ];
            return compress(methods[rank % methods.len()], rank, page);
        }
    };
    if packed.len() < page.len() {
        (packed, flags)
    } else {
        (page.to_vec(), 0)
    }
}

/// `disk_dump_header.status` that announces the method.
pub(crate) fn status(method: Compression) -> u32 {
    match method {
        Compression::Plain | Compression::Mixed => 0,
        Compression::Zlib => 0x1,
        Compression::Lzo => 0x2,
        Compression::Snappy => 0x4,
        Compression::Zstd => 0x20,
    }
}

fn zlib(page: &[u8]) -> Vec<u8> {
    let mut out = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(page)
        .and_then(|()| out.finish())
        .unwrap_or_default()
}

fn snappy(page: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new()
        .compress_vec(page)
        .unwrap_or_default()
}

fn zstd(page: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(page, 1).unwrap_or_default()
}
