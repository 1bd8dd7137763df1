//! What findings of different hosts have in common.

use crate::{Finding, Owner, OwnerRole};
use std::collections::BTreeSet;

impl Finding {
    /// The signature without what is one host's own, so that the same leak has the
    /// same name on every host: for frames the drivers and not the address
    /// (`ethernet/to e1000/o0`), for a pattern that is a kernel address its place
    /// and not its value (`pattern/address@16/o0`). All else is as it stands.
    pub fn kind(&self) -> String {
        let Some(group) = self.group.as_deref() else {
            return self.signature.clone();
        };
        match self.common_group(group) {
            Some(common) => self.signature.replacen(group, &common, 1),
            None => self.signature.clone(),
        }
    }

    /// `group` as other hosts would have it, if that is another one.
    fn common_group(&self, group: &str) -> Option<String> {
        if group.starts_with("ethernet/") {
            return Some(format!("ethernet/{}", frames(&self.owners)));
        }
        let (_, offset) = group.strip_prefix("pattern/")?.split_once('@')?;
        let word = offset.parse::<u64>().ok()? & !7;
        self.has_address_at(word)
            .then(|| format!("pattern/address@{word}"))
    }

    /// Whether the word at `offset` is an address of the kernel's half in all pages:
    /// where it lies is drawn anew at each boot. The widest such half begins at
    /// ff00000000000000, x86-64's with five levels of tables; its last page is error
    /// codes (`IS_ERR_VALUE`) and small negative numbers.
    fn has_address_at(&self, offset: u64) -> bool {
        self.patterns.iter().any(|pattern| {
            let bytes = pattern.bytes();
            let byte = |at: u64| {
                let index = offset.checked_add(at)?.checked_sub(pattern.offset)?;
                *bytes.get(usize::try_from(index).ok()?)?
            };
            let is_error =
                (2..8).all(|at| byte(at) == Some(0xff)) && byte(1).is_some_and(|low| low >= 0xf0);
            let told = byte(5).is_some() && byte(6).is_some();
            byte(7) == Some(0xff) && told && !is_error
        })
    }
}

/// `to e1000`: which end of the frames which drivers are.
fn frames(owners: &[Owner]) -> String {
    let drivers: BTreeSet<&str> = owners
        .iter()
        .filter_map(|owner| owner.driver.as_deref())
        .collect();
    let drivers = match drivers.len() {
        0 => "unknown".to_owned(),
        _ => drivers.into_iter().collect::<Vec<_>>().join("+"),
    };
    let roles: BTreeSet<Option<OwnerRole>> = owners.iter().map(|owner| owner.role).collect();
    let role = if roles == BTreeSet::from([Some(OwnerRole::Destination)]) {
        "to"
    } else if roles == BTreeSet::from([Some(OwnerRole::Source)]) {
        "from"
    } else {
        "of"
    };
    format!("{role} {drivers}")
}

#[cfg(test)]
mod tests {
    use crate::{Finding, Report};

    fn reference() -> Report {
        let text = include_str!("../../../tests/fixtures/reference.json");
        serde_json::from_str(text).unwrap()
    }

    fn frames() -> Finding {
        reference().findings.swap_remove(0)
    }

    #[test]
    fn frames_are_named_by_driver_and_not_by_address() {
        let mut finding = frames();
        assert_eq!(finding.signature, "ethernet/246e96433e38/o0");
        assert_eq!(finding.kind(), "ethernet/to e1000/o0");
        finding.signature += "/through/skbuff_head_cache";
        assert_eq!(
            finding.kind(),
            "ethernet/to e1000/o0/through/skbuff_head_cache"
        );
        finding.signature = "detached/ethernet/246e96433e38/o0".into();
        finding.owners[0].role = None;
        finding.owners[1].driver = Some("igb".into());
        assert_eq!(finding.kind(), "detached/ethernet/of e1000+igb/o0");
        finding.owners.clear();
        assert_eq!(finding.kind(), "detached/ethernet/of unknown/o0");
    }

    #[test]
    fn an_address_is_named_by_its_place() {
        let mut finding = frames();
        // 0xffffffffb3a21040, of which the upper half set the group apart.
        finding.signature = "pattern/ffffffff@20/o0".into();
        finding.group = Some("pattern/ffffffff@20".into());
        finding.patterns[0].offset = 16;
        finding.patterns[0].hex = "4010a2b3ffffffff".into();
        assert_eq!(finding.kind(), "pattern/address@16/o0");
        // Text is not drawn anew.
        finding.patterns[0].hex = "4c414252494e4732".into();
        assert_eq!(finding.kind(), "pattern/ffffffff@20/o0");
        finding.group = Some("pattern/ffffffff@x".into());
        assert_eq!(finding.kind(), finding.signature);
    }

    /// Documentation/arch/x86/x86_64/mm.rst and arch/arm64/memory.rst: the direct map
    /// and modules with four and five levels of tables, arm64's linear map with
    /// addresses of 48 and 52 bits and its image.
    #[test]
    fn addresses_of_all_layouts_are_named_by_their_place() {
        let kind = |word: u64| {
            let mut finding = frames();
            finding.signature = "pattern/x@16/o0".into();
            finding.group = Some("pattern/x@16".into());
            finding.patterns[0].offset = 16;
            let bytes = word.to_le_bytes().map(|byte| format!("{byte:02x}"));
            finding.patterns[0].hex = bytes.concat();
            finding.kind()
        };
        for address in [
            0xffff_8881_0234_5000,
            0xffff_ffff_c012_3000,
            0xff11_0001_0234_5000,
            0xffd4_0000_0040_8000,
            0xffff_0000_0234_5000,
            0xfff0_0000_0234_5000,
            0xffff_8000_1012_3000,
        ] {
            assert_eq!(kind(address), "pattern/address@16/o0", "{address:x}");
        }
        // User space, a counter, no canonical address, and -ENOMEM.
        for other in [
            0x0000_7fff_1234_5000,
            4096,
            0x8000_0000_0000_0000,
            (-12i64) as u64,
        ] {
            assert_eq!(kind(other), "pattern/x@16/o0", "{other:x}");
        }
    }

    #[test]
    fn what_has_no_group_is_its_signature() {
        let mut finding = frames();
        finding.group = None;
        finding.signature = "stray".into();
        assert_eq!(finding.kind(), "stray");
    }
}
