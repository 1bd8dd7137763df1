//! Truth files: what a guest said of itself just before it was dumped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One planted block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Planted {
    /// First frame.
    pub pfn: u64,
    /// What it is, see lab/README.md.
    pub kind: u32,
    /// Frames as a power of two.
    pub order: u32,
}

/// The sections of a truth file.
#[derive(Clone, Debug)]
pub struct Truth {
    sections: BTreeMap<String, String>,
}

impl Truth {
    /// The truth beside a dump: `NAME.truth.txt` for `NAME.kdump`.
    ///
    /// # Panics
    ///
    /// If it cannot be read.
    pub fn beside(dump: &Path) -> Truth {
        let path = dump.with_extension("truth.txt");
        match std::fs::read_to_string(&path) {
            Ok(text) => Truth::parse(&text),
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }

    /// Splits text at its `== name` lines; what follows a name in parentheses
    /// is a remark.
    pub fn parse(text: &str) -> Truth {
        let mut sections: BTreeMap<String, String> = BTreeMap::new();
        let mut name = String::new();
        for line in text.lines() {
            if let Some(title) = line.strip_prefix("== ") {
                name = title.split(" (").next().unwrap_or(title).trim().to_owned();
            } else {
                let section = sections.entry(name.clone()).or_default();
                section.push_str(line);
                section.push('\n');
            }
        }
        Truth { sections }
    }

    /// The lines of a section, empty if there is none of that name.
    pub fn section(&self, name: &str) -> &str {
        self.sections.get(name).map_or("", String::as_str)
    }

    /// Pages the driver counted as leaked, 0 where it counted none.
    pub fn leaked(&self) -> u64 {
        self.section("leaked").trim().parse().unwrap_or(0)
    }

    /// Every planted block.
    pub fn planted(&self) -> Vec<Planted> {
        self.section("planted")
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                Some(Planted {
                    pfn: words.next()?.parse().ok()?,
                    kind: words.next()?.parse().ok()?,
                    order: words.next()?.parse().ok()?,
                })
            })
            .collect()
    }

    /// All frames of the planted blocks of these kinds.
    pub fn frames(&self, kinds: &[u32]) -> BTreeSet<u64> {
        self.planted()
            .into_iter()
            .filter(|block| kinds.contains(&block.kind))
            .flat_map(|block| block.pfn..block.pfn + (1 << block.order))
            .collect()
    }
}
