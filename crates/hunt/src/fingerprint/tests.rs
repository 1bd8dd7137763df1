//! Kinds of content, anchors and groups.

use super::content::classify;
use super::*;
use crate::testing::DEMO;
use pagehound_scan::Pass;

fn kind(page: &[u8]) -> Content {
    classify(page, &DEMO.naming)
}

fn page(words: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let mut page: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    page.resize(4096, 0);
    page
}

/// splitmix64, whose output passes every test of randomness.
fn noise() -> impl Iterator<Item = u64> {
    (1..=512_u64).map(|n| {
        let mut bits = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    })
}

#[test]
fn content_is_told_by_what_there_is_of_it() {
    assert_eq!(kind(&[0; 4096]), Content::Zero);
    assert_eq!(kind(&page(noise())), Content::Random);
    let mut text = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n".to_vec();
    text.resize(4096, 0);
    assert_eq!(kind(&text), Content::Text);
    // A short word is no text.
    let mut word = b"init".to_vec();
    word.resize(4096, 0);
    assert_eq!(kind(&word), Content::Mixed);
    let direct = DEMO.kernel.memory.space.direct.virt.start;
    assert_eq!(
        kind(&page((0..64).map(|n| direct + n * 0x340))),
        Content::Pointers
    );
    assert_eq!(
        kind(&page((1..100).map(|n| n << 12 | 0x63))),
        Content::PageTable
    );
    assert_eq!(kind(&page((0..64).map(|n| n << 33))), Content::Mixed);
}

#[test]
fn anchors_part_groups_by_what_they_share() {
    let rings = DEMO.of_kind("order2");
    let stale = DEMO.of_kind("stale");
    let both: Vec<Pfn> = rings.iter().chain(&stale).copied().collect();
    let anchors = found(&both);
    let anchor = |pfn: &Pfn| {
        let page = DEMO.kernel.memory.cache.page(*pfn).unwrap();
        anchors::of_page(&page, &DEMO.naming, &anchors).unwrap()
    };
    for group in [&rings, &stale] {
        assert!(group.iter().all(|pfn| anchor(pfn) == anchor(&group[0])));
    }
    assert_ne!(anchor(&rings[0]), anchor(&stale[0]));
    // LABR, at the beginning of the block or another of its words.
    let text = b"LABRING2 of 0000";
    let at = usize::from(anchor(&rings[0]).offset);
    assert_eq!(anchor(&rings[0]).value.to_le_bytes(), text[at..at + 4]);
}

#[test]
fn fewer_than_a_group_have_no_anchor() {
    let few = &DEMO.of_kind("order2")[..GROUP - 1];
    assert_eq!(found(few), []);
}

fn found(heads: &[Pfn]) -> Vec<Anchor> {
    let units = heads.iter().copied();
    anchors::find(&DEMO.kernel, &DEMO.naming, heads.len(), units)
}

#[test]
fn received_frames_are_grouped_by_the_address_they_were_sent_to() {
    let memory = DEMO.kernel.dump.memory.as_ref();
    let prints = Fingerprints::of(
        &DEMO.kernel,
        &DEMO.pages,
        &Arc::new(Units::of(&DEMO.pages.map)),
        &DEMO.naming,
        &Pass::new(memory),
        &[],
    );
    let mac = Mac([0x52, 0x54, 0x00, 0xa1, 0x5e, 0x01]);
    let frames = DEMO.of_kind("frames");
    let right = frames
        .iter()
        .filter(|&&pfn| prints.key(pfn) == Key::Ethernet(mac))
        .count();
    assert!(right * 1000 >= frames.len() * 995, "{right}");
    assert_eq!(prints.main_key(frames.iter().copied()), Key::Ethernet(mac));
    assert_eq!(prints.content(frames.iter().copied()), Content::Ethernet);
    let patterns = prints.patterns(
        &DEMO.kernel,
        Key::Ethernet(mac),
        frames.len(),
        frames.iter().copied(),
    );
    assert_eq!(
        (patterns[0].offset, &patterns[0].bytes),
        (0, &mac.0.map(Some).to_vec())
    );
    // The pages of alloc_pages_exact() were never written.
    assert_eq!(
        prints.key(DEMO.of_kind("split")[1]),
        Key::Kind(Content::Zero)
    );
    assert_eq!(prints.content(std::iter::empty()), Content::Mixed);
}

#[test]
fn broadcasts_go_with_the_device_that_received_most() {
    let (device, other) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
    let broadcast = Mac([0xff; 6]);
    let kinds = [
        Key::Ethernet(device),
        Key::Ethernet(other),
        Key::Ethernet(broadcast),
        Key::Kind(Content::Text),
    ];
    let mut keys = kinds;
    join_group_addresses(&mut keys, &[5, 1, 1, 9]);
    let text = kinds[3];
    assert_eq!(keys, [kinds[0], kinds[1], kinds[0], text]);
    // With nobody to go with they stay: traits that no unit has do not count.
    let mut alone = kinds;
    join_group_addresses(&mut alone, &[0, 0, 1, 9]);
    assert_eq!(alone, kinds);
}

#[test]
fn orders_are_rounded_up() {
    let block = DEMO.of_kind("order2")[0];
    assert_eq!(order(&DEMO.pages, block), 2);
    assert_eq!(order(&DEMO.pages, DEMO.of_kind("frames")[0]), 0);
    assert_eq!((share(1, 3), share(0, 0)), (0.3333, 0.0));
}
