//! What kind of bytes a page holds.

use pagehound_model::Content;

use crate::census::Naming;

/// Share of bytes that must be printable for text.
const TEXT: f64 = 0.85;
/// Fewer printable bytes than this say nothing.
const SHORTEST_TEXT: u32 = 16;
/// Bits a byte above which bytes look random: 4 KiB of true noise has 7.95.
const RANDOM: f64 = 7.5;

/// The content of a page in which no Ethernet frame was found.
pub(super) fn classify(page: &[u8], naming: &Naming) -> Content {
    let mut counts = [0u32; 256];
    for &byte in page {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let size = page.len() as u32;
    let count = |byte: u8| counts.get(usize::from(byte)).copied().unwrap_or(0);
    let zeroes = count(0);
    if zeroes == size {
        return Content::Zero;
    }
    let filled = f64::from(size - zeroes);
    let printable: u32 = (0x20..0x7f).chain([b'\t', b'\n', b'\r']).map(count).sum();
    if printable >= SHORTEST_TEXT && f64::from(printable) >= TEXT * filled {
        return Content::Text;
    }
    if entropy(&counts, size) >= RANDOM {
        return Content::Random;
    }
    let words = || {
        page.chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()))
            .filter(|&word| word != 0)
    };
    let used = words().count();
    let pointers = words()
        .filter(|&word| naming.is_kernel_pointer(word))
        .count();
    let frames = words()
        .filter(|&word| naming.frame_entry(word).is_some())
        .count();
    // A few words say nothing; a page counts as one of these when a quarter of
    // what it holds is.
    if used >= 16 && frames * 2 >= used {
        Content::PageTable
    } else if used >= 4 && pointers * 4 >= used {
        Content::Pointers
    } else {
        Content::Mixed
    }
}

fn entropy(counts: &[u32; 256], size: u32) -> f64 {
    let size = f64::from(size.max(1));
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| {
            let share = f64::from(count) / size;
            -share * share.log2()
        })
        .sum()
}
