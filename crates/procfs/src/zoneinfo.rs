//! `/proc/zoneinfo`: one block a zone (mm/vmstat.c, `zoneinfo_show_print`).
//!
//! A node's own counters (`per-node stats`, since 4.8) stand in the block of its
//! first zone that has memory; before 4.8 they were the zone's.

use crate::line::{Line, Lines, ParseError, decimal};

/// One zone of one node. All counts are pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone<'a> {
    /// NUMA node.
    pub node: u32,
    /// `DMA`, `DMA32`, `Normal`, `HighMem`, `Movable`, `Device`.
    pub name: &'a str,
    /// Free pages in the buddy lists; those on per-CPU lists are not among them.
    pub free: u64,
    /// Frames from the zone's first to its last, holes included.
    pub spanned: u64,
    /// Frames that exist.
    pub present: u64,
    /// Frames handed to the page allocator (3.9 and later); over all zones this is
    /// `MemTotal`.
    pub managed: Option<u64>,
    /// Free pages on the per-CPU lists: in no counter of meminfo.
    pub pcp_count: u64,
    /// CPUs that have such lists in this zone.
    pub pcp_cpus: u32,
    /// First frame of the zone.
    pub start_pfn: Option<u64>,
    /// The block's lines after its heading.
    body: &'a [u8],
}

impl Zone<'_> {
    /// A counter of the block such as `nr_zspages`, zone's or node's; `None` if the
    /// kernel has none of that name, or the node's counters stand in another block.
    pub fn stat(&self, name: &str) -> Option<u64> {
        Lines::new("zoneinfo", self.body).find_map(|line| {
            let mut words = line.as_str().ok()?.split_ascii_whitespace();
            (words.next() == Some(name)).then(|| words.next().and_then(decimal))?
        })
    }
}

/// Reads a zoneinfo.
///
/// # Errors
/// Text before the first `Node n, zone NAME`, or a size or list count that is no
/// number.
pub fn zoneinfo(text: &[u8]) -> Result<Vec<Zone<'_>>, ParseError> {
    let mut zones: Vec<Zone<'_>> = Vec::new();
    let mut lines = Lines::new("zoneinfo", text);
    let mut body = text;
    // `high` and `low` are the zone's above `pagesets` and a list's below.
    let mut in_pagesets = false;
    while let Some(line) = lines.next() {
        if line.text.trim_ascii_start().starts_with(b"Node ") {
            end_block(&mut zones, body, &line);
            zones.push(heading(&line)?);
            body = lines.rest();
            in_pagesets = false;
        } else if let Some(zone) = zones.last_mut() {
            read(zone, &line, &mut in_pagesets)?;
        } else {
            return Err(line.error("expected `Node n, zone NAME` first"));
        }
    }
    if let Some(zone) = zones.last_mut() {
        zone.body = body;
    }
    Ok(zones)
}

/// Cuts the block that ended before `next`. `body` starts after the block's heading.
fn end_block<'a>(zones: &mut [Zone<'a>], body: &'a [u8], next: &Line<'a>) {
    if let Some(zone) = zones.last_mut() {
        let length = (next.text.as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
        zone.body = body.get(..length).unwrap_or(body);
    }
}

fn heading<'a>(line: &Line<'a>) -> Result<Zone<'a>, ParseError> {
    let shape = || line.error("expected `Node n, zone NAME`");
    let mut words = line.as_str()?.split_ascii_whitespace();
    let (Some("Node"), Some(node), Some("zone"), Some(name), None) = (
        words.next(),
        words.next(),
        words.next(),
        words.next(),
        words.next(),
    ) else {
        return Err(shape());
    };
    Ok(Zone {
        node: node
            .strip_suffix(',')
            .and_then(decimal)
            .and_then(|node| node.try_into().ok())
            .ok_or_else(shape)?,
        name,
        free: 0,
        spanned: 0,
        present: 0,
        managed: None,
        pcp_count: 0,
        pcp_cpus: 0,
        start_pfn: None,
        body: &[],
    })
}

/// Takes one line of a zone's block. Lines that are not asked for stay unread.
fn read(zone: &mut Zone<'_>, line: &Line<'_>, in_pagesets: &mut bool) -> Result<(), ParseError> {
    let mut words = line.as_str()?.split_ascii_whitespace();
    let mut key = words.next().unwrap_or_default();
    if key == "pages" {
        key = words.next().unwrap_or_default();
    }
    let mut number = || {
        words
            .next()
            .and_then(decimal)
            .ok_or_else(|| line.error("expected a number"))
    };
    match key {
        "pagesets" => *in_pagesets = true,
        "free" => zone.free = number()?,
        "spanned" => zone.spanned = number()?,
        "present" => zone.present = number()?,
        "managed" => zone.managed = Some(number()?),
        "cpu:" if *in_pagesets => zone.pcp_cpus = zone.pcp_cpus.saturating_add(1),
        "count:" if *in_pagesets => zone.pcp_count = zone.pcp_count.saturating_add(number()?),
        "start_pfn:" => zone.start_pfn = Some(number()?),
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_of_6_x() {
        let text = b"Node 0, zone      DMA\n  per-node stats\n      nr_inactive_anon 0\n      nr_mapped    441\n  \
            pages free     3808\n        boost    0\n        min      34\n        spanned  4095\n        present  3998\n        \
            managed  3840\n        cma      0\n        protection: (0, 193, 193, 193, 193)\n      nr_free_pages 3808\n      \
            nr_zspages   7\n  pagesets\n    cpu: 0\n              count:    12\n              high:     3\n              \
            batch:    1\n  vm stats threshold: 4\n    cpu: 1\n              count: 30\n  node_unreclaimable:  0\n  \
            start_pfn:           1\nNode 1, zone   Normal\n  pages free     5\n        present  6\n      nr_zspages   9\n";
        let zones = zoneinfo(text).unwrap();
        let [dma, normal] = zones.as_slice() else {
            panic!("two zones, not {}", zones.len());
        };
        assert_eq!((dma.node, dma.name, dma.free), (0, "DMA", 3808));
        assert_eq!(
            (dma.spanned, dma.present, dma.managed),
            (4095, 3998, Some(3840))
        );
        assert_eq!(
            (dma.pcp_count, dma.pcp_cpus, dma.start_pfn),
            (42, 2, Some(1))
        );
        assert_eq!(
            (dma.stat("nr_zspages"), dma.stat("nr_mapped")),
            (Some(7), Some(441))
        );
        assert_eq!((normal.node, normal.name, normal.free), (1, "Normal", 5));
        assert_eq!(
            (normal.stat("nr_zspages"), normal.stat("nr_mapped")),
            (Some(9), None)
        );
        assert_eq!((normal.managed, normal.pcp_count), (None, 0));
    }

    #[test]
    fn a_zone_of_3_10() {
        // Four blanks before counters, `all_unreclaimable`, no per-node part.
        let text = b"Node 0, zone    DMA32\n  pages free     81340\n        min      1000\n        scanned  0\n        \
            spanned  1044480\n        present  782294\n        managed  760000\n    nr_free_pages 81340\n    nr_inactive_anon 5\n        \
            protection: (0, 0, 0, 0)\n  pagesets\n    cpu: 0\n              count: 170\n              high:  186\n              \
            batch: 31\n  vm stats threshold: 36\n  all_unreclaimable: 0\n  start_pfn:         4096\n  inactive_ratio:    4\n";
        let zones = zoneinfo(text).unwrap();
        assert_eq!(zones.len(), 1);
        assert_eq!((zones[0].managed, zones[0].pcp_count), (Some(760_000), 170));
        assert_eq!(zones[0].stat("nr_free_pages"), Some(81_340));
    }

    #[test]
    fn what_is_no_zoneinfo_is_an_error() {
        for (bad, line) in [
            ("pages free 1\n", 1),
            ("Node x, zone DMA\n", 1),
            ("Node 0, zone DMA extra\n", 1),
            ("Node 4294967296, zone DMA\n", 1),
            ("Node 0, zone DMA\n  pages free x\n", 2),
            ("Node 0, zone DMA\n managed -1\n", 2),
        ] {
            assert_eq!(zoneinfo(bad.as_bytes()).unwrap_err().line, line, "{bad:?}");
        }
        assert!(zoneinfo(b"").unwrap().is_empty());
    }
}
