//! What is kept of units when there are too many different ones.

use pagehound_model::Content;
use pagehound_vmcore::Mac;

use super::*;

fn frame(address: u32, offsets: &[u32]) -> Traits {
    let [a, b, c, d] = address.to_be_bytes();
    Traits::of_frames(Mac([2, 0, a, b, c, d]), offsets.iter().copied())
}

#[test]
fn units_have_what_was_set() {
    let mut table = Table::new(3);
    table.change(0, |_| Some(frame(1, &[0, 2048])));
    table.change(2, |_| Some(Traits::of(Content::Zero)));
    assert_eq!(table.get(0), Some(&frame(1, &[0, 2048])));
    assert_eq!(table.get(1), None);
    assert_eq!(table.get(2), Some(&Traits::of(Content::Zero)));
    assert_eq!(table.get(3), None);
    assert_eq!(table.counts(), [1, 1]);
    // Changed, starting from what it had.
    table.change(2, |known| known.copied());
    table.change(0, |_| None);
    assert_eq!(table.get(2), Some(&Traits::of(Content::Zero)));
}

#[test]
fn too_many_places_of_frames_are_forgotten_and_common_ones_stay() {
    let units = WITH_OFFSETS + 1000;
    let mut table = Table::new(units);
    table.change(0, |_| Some(frame(1, &[0])));
    for unit in 1..units {
        table.change(unit, |_| Some(frame(1, &[0, 2 * unit as u32])));
    }
    let last = table.get(units - 1).unwrap();
    assert_eq!(last, &frame(1, &[0]));
    assert_eq!(table.get(WITH_OFFSETS / 2).unwrap().offsets().count(), 2);
}

#[test]
fn too_many_addresses_are_nobodys() {
    let units = WITH_ADDRESS + 1000;
    let mut table = Table::new(units + 2);
    for unit in 0..units {
        table.change(unit, |_| Some(frame(unit as u32, &[])));
    }
    assert_eq!(table.get(0), Some(&frame(0, &[])));
    assert_eq!(table.get(units - 1), Some(&Traits::of(Content::Ethernet)));
    // An address that is known stays known, and so does what has none.
    table.change(units, |_| Some(frame(5, &[64])));
    table.change(units + 1, |_| Some(Traits::of(Content::Text)));
    assert_eq!(table.get(units), Some(&frame(5, &[])));
    assert_eq!(table.get(units + 1), Some(&Traits::of(Content::Text)));
}
