//! Page compression: one page in, exactly one page out, no allocation a page.

mod lzo1x;

use std::cell::RefCell;

/// How a page lies in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    /// As it was.
    Plain,
    /// A zlib stream (RFC 1950).
    Zlib,
    /// A bare LZO1X block.
    Lzo,
    /// A raw Snappy block, without frames.
    Snappy,
    /// A Zstandard frame.
    Zstd,
}

thread_local! {
    static INFLATE: RefCell<flate2::Decompress> = RefCell::new(flate2::Decompress::new(true));
    static ZSTD: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Decompresses `data` into `page`; never writes, and never allocates for, more
/// than `page` holds.
///
/// # Errors
/// What is wrong with `data`; also where it does not fill `page` exactly.
pub fn decompress(codec: Codec, data: &[u8], page: &mut [u8]) -> Result<(), String> {
    let want = page.len();
    let got = match codec {
        Codec::Plain => {
            let source = data
                .get(..want)
                .ok_or("plain page is shorter than a page")?;
            page.copy_from_slice(source);
            want
        }
        Codec::Zlib => INFLATE.with_borrow_mut(|state| inflate(state, data, page))?,
        Codec::Lzo => lzo1x::decompress(data, page).map_err(|e| e.to_string())?,
        Codec::Snappy => snap::raw::Decoder::new()
            .decompress(data, page)
            .map_err(|e| e.to_string())?,
        Codec::Zstd => ZSTD.with_borrow_mut(|state| unzstd(state, data, page))?,
    };
    if got == want {
        Ok(())
    } else {
        Err(format!("{codec:?}: {got} bytes, a page has {want}"))
    }
}

fn inflate(state: &mut flate2::Decompress, data: &[u8], page: &mut [u8]) -> Result<usize, String> {
    state.reset(true);
    match state.decompress(data, page, flate2::FlushDecompress::Finish) {
        Ok(flate2::Status::StreamEnd) => Ok(state.total_out() as usize),
        Ok(_) => Err("zlib: the stream does not end where the page does".to_owned()),
        Err(e) => Err(format!("zlib: {e}")),
    }
}

fn unzstd(
    state: &mut Option<zstd::bulk::Decompressor<'static>>,
    data: &[u8],
    page: &mut [u8],
) -> Result<usize, String> {
    let state = match state {
        Some(state) => state,
        None => state.insert(zstd::bulk::Decompressor::new().map_err(|e| format!("zstd: {e}"))?),
    };
    state
        .decompress_to_buffer(data, page)
        .map_err(|e| format!("zstd: {e}"))
}
