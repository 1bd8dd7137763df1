//! `/proc/buddyinfo`: free blocks by order (mm/vmstat.c, `frag_show_print`).
//! `Node 0, zone      DMA      1      0      0 ...`

use crate::line::{Line, ParseError, Rows, decimal};

/// Most orders a kernel can have: a block must fit into the 64-bit address space.
const MAX_ORDERS: usize = 52;

/// The free blocks of one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeBlocks<'a> {
    /// NUMA node.
    pub node: u32,
    /// Zone, for example `Normal`.
    pub zone: &'a str,
    /// Number of free blocks of `1 << index` pages. 11 of them on most kernels, 14 on
    /// arm64 with 64-KiB pages.
    pub blocks: Vec<u64>,
}

impl FreeBlocks<'_> {
    /// Free pages in all blocks, at most `u64::MAX`.
    pub fn pages(&self) -> u64 {
        self.blocks
            .iter()
            .zip(0..)
            .fold(0, |sum: u64, (&blocks, order)| {
                let block = 1u64.checked_shl(order).unwrap_or(u64::MAX);
                sum.saturating_add(blocks.saturating_mul(block))
            })
    }
}

/// The zones of a buddyinfo.
pub fn buddyinfo(text: &[u8]) -> Rows<'_, FreeBlocks<'_>> {
    Rows::new("buddyinfo", text, |line| zone(line).map(Some))
}

fn zone<'a>(line: &Line<'a>) -> Result<FreeBlocks<'a>, ParseError> {
    let shape = || line.error("expected `Node n, zone NAME blocks ...`");
    let mut words = line.as_str()?.split_ascii_whitespace();
    let (Some("Node"), Some(node), Some("zone"), Some(zone)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(shape());
    };
    let node = node
        .strip_suffix(',')
        .and_then(decimal)
        .and_then(|node| node.try_into().ok());
    let blocks = words
        .map(decimal)
        .take(MAX_ORDERS + 1)
        .collect::<Option<Vec<_>>>()
        .filter(|blocks| (1..=MAX_ORDERS).contains(&blocks.len()));
    Ok(FreeBlocks {
        node: node.ok_or_else(shape)?,
        zone,
        blocks: blocks.ok_or_else(shape)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_all_orders_make_the_free_pages() {
        let text = b"Node 0, zone      DMA      0      0      0      0      0      1      1      1      0      1      3 \n\
            Node 1, zone   Normal      2      0      1\n";
        let zones: Vec<_> = buddyinfo(text).map(Result::unwrap).collect();
        assert_eq!(
            (zones[0].node, zones[0].zone, zones[0].blocks.len()),
            (0, "DMA", 11)
        );
        // 32 + 64 + 128 + 512 + 3 * 1024, the zone's `pages free`.
        assert_eq!(zones[0].pages(), 3808);
        assert_eq!((zones[1].node, zones[1].pages()), (1, 6));
    }

    #[test]
    fn counts_beyond_reason_saturate_and_too_many_orders_are_refused() {
        let text = format!("Node 0, zone DMA 0 {}", u64::MAX);
        let zone = buddyinfo(text.as_bytes()).next().unwrap().unwrap();
        assert_eq!(zone.pages(), u64::MAX);
        let text = format!("Node 0, zone DMA{}", " 1".repeat(53));
        assert!(buddyinfo(text.as_bytes()).next().unwrap().is_err());
        for bad in [
            "Node 0, zone DMA",
            "Node 0 zone DMA 1",
            "Node 0, zone DMA 1 x",
            "x",
        ] {
            assert!(buddyinfo(bad.as_bytes()).next().unwrap().is_err(), "{bad}");
        }
    }
}
