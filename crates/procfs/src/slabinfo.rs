//! `/proc/slabinfo`, version 2.x (mm/slab_common.c, `cache_show`). Root only since 3.x
//! on most distributions.
//!
//! `name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables a b c :
//! slabdata <active_slabs> <num_slabs> <sharedavail>`

use crate::line::{Line, ParseError, Rows, decimal};

/// One slab cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlabCache<'a> {
    /// Name; merged caches show under the name of one of them. May hold blanks.
    pub name: &'a str,
    /// Objects in use. Under SLUB objects on per-CPU slabs all count as used.
    pub active_objs: u64,
    /// Objects there is room for.
    pub num_objs: u64,
    /// Bytes an object takes, padding included.
    pub objsize: u64,
    /// Objects in one slab.
    pub objs_per_slab: u64,
    /// Pages of one slab.
    pub pages_per_slab: u64,
    /// Slabs.
    pub num_slabs: u64,
}

impl SlabCache<'_> {
    /// Pages of all slabs, at most `u64::MAX`.
    pub fn pages(&self) -> u64 {
        self.num_slabs.saturating_mul(self.pages_per_slab)
    }
}

/// The caches of a slabinfo. The first line must say version 2.
pub fn slabinfo(text: &[u8]) -> Rows<'_, SlabCache<'_>> {
    Rows::new("slabinfo", text, row)
}

fn row<'a>(line: &Line<'a>) -> Result<Option<SlabCache<'a>>, ParseError> {
    let text = line.as_str()?;
    if let Some(version) = text.strip_prefix("slabinfo - version: ") {
        return if version.starts_with("2.") {
            Ok(None)
        } else {
            Err(line.error("expected slabinfo version 2.x"))
        };
    }
    if text.starts_with('#') {
        return Ok(None);
    }
    cache(text).map(Some).ok_or_else(|| {
        line.error("expected `name` and 5 numbers, `: tunables`, `: slabdata` and 3 numbers")
    })
}

/// A name with blanks in it confuses a parser that starts on the left, so the five
/// numbers are taken from the right.
fn cache(text: &str) -> Option<SlabCache<'_>> {
    let (head, tail) = text.split_once(" : tunables ")?;
    let (_, slabdata) = tail.split_once(" : slabdata ")?;
    let mut slabs = slabdata.split_ascii_whitespace().map(decimal);
    let (_active, num_slabs) = (slabs.next()??, slabs.next()??);

    let mut head = head.trim_ascii();
    let mut number = || {
        let (rest, last) = head.rsplit_once([' ', '\t'])?;
        head = rest.trim_ascii_end();
        decimal(last)
    };
    let pages_per_slab = number()?;
    let objs_per_slab = number()?;
    let objsize = number()?;
    let num_objs = number()?;
    let active_objs = number()?;
    (!head.is_empty()).then_some(SlabCache {
        name: head,
        active_objs,
        num_objs,
        objsize,
        objs_per_slab,
        pages_per_slab,
        num_slabs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize>\n";

    #[test]
    fn a_cache() {
        let text = format!(
            "{HEAD}kmalloc-2k           312    320   2048   16    8 : tunables    0    0    0 : slabdata     20     20      0\n"
        );
        let caches: Vec<_> = slabinfo(text.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(caches.len(), 1);
        let cache = caches[0];
        assert_eq!(cache.name, "kmalloc-2k");
        assert_eq!(
            (cache.active_objs, cache.num_objs, cache.objsize),
            (312, 320, 2048)
        );
        assert_eq!(
            (cache.objs_per_slab, cache.pages_per_slab, cache.num_slabs),
            (16, 8, 20)
        );
        assert_eq!(cache.pages(), 160);
    }

    #[test]
    fn a_name_with_blanks_and_the_statistics_of_slab_debugging() {
        let text = "my cache: v2  1 2 3 4 5 : tunables 1 2 3 : slabdata 6 7 8 : globalstat 1 2 3\n";
        let cache = slabinfo(text.as_bytes()).next().unwrap().unwrap();
        assert_eq!(
            (cache.name, cache.active_objs, cache.num_slabs),
            ("my cache: v2", 1, 7)
        );
    }

    #[test]
    fn other_lines_are_errors() {
        for bad in [
            "slabinfo - version: 1.1",
            "kmalloc-8 1 2 3 4 5",
            "1 2 3 4 5 : tunables 1 2 3 : slabdata 6 7 8",
            "a 1 2 3 4 x : tunables 1 2 3 : slabdata 6 7 8",
            "a 1 2 3 4 5 : tunables 1 2 3 : slabdata 6",
        ] {
            assert!(slabinfo(bad.as_bytes()).next().unwrap().is_err(), "{bad}");
        }
    }
}
