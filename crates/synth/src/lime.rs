//! Memory images: LiME's, AVML's and raw ones.

use std::io::Write;

use snap::write::FrameEncoder;

use crate::image::{Image, Page};

/// Whose image it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LimeStyle {
    /// LiME: a range for each run of memory.
    #[default]
    Lime,
    /// AVML without compression: LiME's format in blocks, without those of zeroes.
    AvmlPlain,
    /// AVML's own format.
    Avml,
}

/// Bytes of AVML's largest block.
const AVML_BLOCK: usize = 16 << 20;

/// How an image is written.
#[derive(Clone, Debug, Default)]
pub struct LimeOptions {
    /// Whose image it is.
    pub style: LimeStyle,
    /// Further ranges before the others: physical address and bytes, aligned to
    /// nothing.
    pub extra: Vec<(u64, Vec<u8>)>,
    /// Blocks of zeroes have a header and nothing behind it, as AVML wrote them for
    /// some time.
    pub headers_of_zeroes: bool,
}

impl Image {
    /// The image as ranges of memory, each behind a header. Pages that are not
    /// present are not in it.
    pub fn write_lime(&self, options: &LimeOptions) -> Vec<u8> {
        let mut ranges = options.extra.clone();
        for (&pfn, page) in &self.pages {
            let Page::Present(bytes) = page else {
                continue;
            };
            let paddr = pfn * self.page_size as u64;
            match ranges.last_mut() {
                Some((start, run)) if *start + run.len() as u64 == paddr => run.extend(bytes),
                _ => ranges.push((paddr, bytes.clone())),
            }
        }
        let mut out = Vec::new();
        for (start, bytes) in &ranges {
            let block = match options.style {
                LimeStyle::Lime => bytes.len(),
                LimeStyle::AvmlPlain | LimeStyle::Avml => AVML_BLOCK,
            };
            for (index, part) in bytes.chunks(block).enumerate() {
                put_range(&mut out, start + (index * block) as u64, part, options);
            }
        }
        out
    }

    /// The image as raw memory: every page at its address, zeroes between.
    pub fn write_raw(&self) -> Vec<u8> {
        let mut out = vec![0; self.end() as usize * self.page_size];
        for (&pfn, page) in &self.pages {
            if let Page::Present(bytes) = page {
                let at = pfn as usize * self.page_size;
                out[at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
        out
    }
}

fn put_range(out: &mut Vec<u8>, start: u64, bytes: &[u8], options: &LimeOptions) {
    let (magic, version) = match options.style {
        LimeStyle::Lime | LimeStyle::AvmlPlain => (0x4c69_4d45_u32, 1_u32),
        LimeStyle::Avml => (0x4c4d_5641, 2),
    };
    let left_out = options.style != LimeStyle::Lime && bytes.iter().all(|&byte| byte == 0);
    if left_out && !options.headers_of_zeroes {
        return;
    }
    out.extend(magic.to_le_bytes());
    out.extend(version.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend((start + bytes.len() as u64 - 1).to_le_bytes());
    out.extend([0; 8]);
    if left_out {
        return;
    }
    if options.style != LimeStyle::Avml {
        out.extend(bytes);
        return;
    }
    let mut frames = FrameEncoder::new(Vec::new());
    // A vector takes all that is written to it; flushed, the encoder keeps nothing.
    let written = frames.write_all(bytes).and_then(|()| frames.flush());
    assert!(written.is_ok(), "{written:?}");
    let packed = frames.get_ref();
    out.extend(packed);
    out.extend((packed.len() as u64).to_le_bytes());
}
