//! The page map of a capture: `pages.map`, behind the number of kinds it may use.

use std::collections::BTreeMap;

use pagehound_live::capture::{Stretch, StretchMap};

use crate::input::Input;

/// Frames of a block that the map is counted in.
const BLOCK: u64 = 1 << 15;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let Some(kinds) = input.u16() else {
        return;
    };
    let Ok(map) = StretchMap::parse(input.0.to_vec(), kinds.into()) else {
        return;
    };
    let mut end = 0;
    for (first, stretch) in map.stretches() {
        assert_eq!(first, end);
        end += stretch.frames();
        assert_eq!(map.at(first), Some((first, stretch.clone())));
        assert_eq!(map.at(end - 1), Some((first, stretch)));
    }
    assert_eq!(end, map.frames());
    assert_eq!(map.at(end), None);
    let coarse = map.coarser(BLOCK, |code| code);
    let coarse = StretchMap::parse(coarse, kinds.into()).expect("what we wrote we read");
    assert!(coarse.exact_frames() <= map.exact_frames());
    assert_eq!(counts(&coarse), counts(&map));
}

fn counts(map: &StretchMap) -> BTreeMap<u32, u64> {
    let mut counts = BTreeMap::new();
    for (_, stretch) in map.stretches() {
        let kinds = match stretch {
            Stretch::Run { code, frames } => vec![(code, frames)],
            Stretch::Mixed(kinds) => kinds,
        };
        for (code, frames) in kinds {
            *counts.entry(code).or_insert(0) += frames;
        }
    }
    counts
}
