//! What the pages of a leak look like, for programs.

use serde::{Deserialize, Serialize};

/// What pages hold, as far as marks speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// Ethernet frames.
    Ethernet,
}

/// A mark: what is empty says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mark {
    /// What most pages hold.
    pub content: Option<Content>,
    /// The frames were received by the device that they name.
    pub received: bool,
    /// Where frames may begin in a page.
    pub offsets: Vec<u64>,
    /// Orders the blocks may have.
    pub orders: Vec<u32>,
    /// Slab caches one of which has lost the pages.
    pub caches: Vec<String>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found<'a> {
    /// What most pages hold, where a mark can speak of that.
    pub content: Option<Content>,
    /// The frames were received by the device that they name.
    pub received: bool,
    /// Where frames begin in them.
    pub offsets: Vec<u64>,
    /// The order, where all blocks have the same.
    pub order: Option<u32>,
    /// Slab caches through which they are lost.
    pub caches: Vec<&'a str>,
}

impl Mark {
    /// Whether it tells this leak from others of the same module: that there are frames
    /// in pages is true of any leak of a network driver.
    pub fn is_telling(&self) -> bool {
        !self.offsets.is_empty() || !self.caches.is_empty()
    }

    /// Whether what was found looks like that.
    pub fn fits(&self, found: &Found<'_>) -> bool {
        let offsets = || found.offsets.iter().all(|at| self.offsets.contains(at));
        let cache = |cache: &String| found.caches.contains(&cache.as_str());
        self.content
            .is_none_or(|content| found.content == Some(content))
            && (!self.received || found.received)
            && (self.offsets.is_empty() || !found.offsets.is_empty() && offsets())
            && (self.orders.is_empty()
                || found
                    .order
                    .is_some_and(|order| self.orders.contains(&order)))
            && (self.caches.is_empty() || self.caches.iter().any(cache))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_mark_says_must_be_so() {
        let mark = Mark {
            content: Some(Content::Ethernet),
            received: true,
            offsets: vec![0, 192, 2048, 2240],
            orders: vec![0, 1],
            caches: Vec::new(),
        };
        let found = |content: &str, offsets: &[u64], order| Found {
            content: (content == "ethernet").then_some(Content::Ethernet),
            received: true,
            offsets: offsets.to_vec(),
            order,
            caches: Vec::new(),
        };
        assert!(mark.fits(&found("ethernet", &[0], Some(0))));
        assert!(mark.fits(&found("ethernet", &[192, 2240], Some(1))));
        assert!(!mark.fits(&found("ethernet", &[192, 64], Some(0))));
        assert!(!mark.fits(&found("ethernet", &[], Some(0))));
        assert!(!mark.fits(&found("text", &[0], Some(0))));
        assert!(!mark.fits(&found("ethernet", &[0], Some(3))));
        assert!(!mark.fits(&found("ethernet", &[0], None)));
        let sent = Found {
            received: false,
            ..found("ethernet", &[0], Some(0))
        };
        assert!(!mark.fits(&sent));
        assert!(mark.is_telling());
        assert!(Mark::default().fits(&Found::default()));
        assert!(!Mark::default().is_telling());
        let cache = Mark {
            caches: vec!["skbuff_head_cache".into()],
            ..Mark::default()
        };
        assert!(!cache.fits(&Found::default()));
    }
}
