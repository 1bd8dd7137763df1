//! Short stable names of findings: parts with slashes between.

use pagehound_kernel::printable;
use pagehound_model::Content;
use pagehound_vmcore::{Mac, hex};

use crate::fingerprint::Key;

/// What sets orphans apart: their content, their order, and whether they once
/// were cache.
pub(super) fn orphans(key: Key, order: u32, detached: bool) -> String {
    let class = if detached { "detached/" } else { "" };
    format!("{class}{}/o{order}", group(key))
}

/// What pages of a group have in common.
pub(super) fn group(key: Key) -> String {
    match key {
        Key::Ethernet(Mac(mac)) => format!("ethernet/{}", hex(&mac, "")),
        Key::Anchor(anchor) => {
            let bytes = hex(&anchor.value.to_le_bytes(), "");
            format!("pattern/{bytes}@{}", anchor.offset)
        }
        Key::Kind(Content::Zero) => "zero".into(),
        Key::Kind(Content::Random) => "random".into(),
        Key::Kind(Content::Text) => "text".into(),
        Key::Kind(Content::Pointers) => "pointers".into(),
        Key::Kind(Content::PageTable) => "page-table".into(),
        Key::Kind(_) => "mixed".into(),
        Key::Absent => "absent".into(),
    }
}

/// A name out of the dump as one part: without slashes, and safe to print.
pub(super) fn part(name: &str) -> String {
    let escaped = name.replace('%', "%25").replace('/', "%2f");
    printable(escaped.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_out_of_the_dump_are_one_part() {
        assert_eq!(part("skbuff_head_cache"), "skbuff_head_cache");
        assert_eq!(part("a/b"), "a%2fb");
        assert_eq!(part("a%2fb"), "a%252fb");
        assert_eq!(part("\x1b[2J\n"), "\\x1b[2J\\x0a");
    }

    #[test]
    fn equal_content_has_an_equal_name() {
        let mac = Key::Ethernet(Mac([0x24, 0x6e, 0x96, 0x43, 0x3e, 0x38]));
        assert_eq!(group(mac), "ethernet/246e96433e38");
        assert_eq!(orphans(mac, 0, false), "ethernet/246e96433e38/o0");
        assert_eq!(
            orphans(Key::Kind(Content::Zero), 2, true),
            "detached/zero/o2"
        );
    }
}
