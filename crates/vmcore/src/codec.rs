//! Page compression: one page in, exactly one page out, no allocation a page.

use std::cell::RefCell;

/// How a page lies in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Codec {
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
    static DEFLATE: RefCell<libdeflater::Decompressor> = RefCell::new(libdeflater::Decompressor::new());
    static ZSTD: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Decompresses `data` into `page`. Fails where it does not fill `page` exactly;
/// never writes, and never allocates for, more than `page` holds.
pub(crate) fn decompress(codec: Codec, data: &[u8], page: &mut [u8]) -> Result<(), String> {
    let want = page.len();
    let got = match codec {
        Codec::Plain => {
            let source = data
                .get(..want)
                .ok_or("plain page is shorter than a page")?;
            page.copy_from_slice(source);
            want
        }
        Codec::Zlib => DEFLATE
            .with_borrow_mut(|state| state.zlib_decompress(data, page))
            .map_err(|e| format!("zlib: {e}"))?,
        // lzo's errors name their format themselves.
        Codec::Lzo => lzo::decompress_into(data, page).map_err(|e| e.to_string())?,
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
