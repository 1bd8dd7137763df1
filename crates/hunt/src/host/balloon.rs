//! Whether a balloon's pages are still part of MemTotal.

use super::facts::Facts;

/// Where the balloon's pages are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Balloon {
    /// Whether they count in MemTotal, so that they must be accounted for.
    pub(super) in_total: bool,
    pub(super) why: String,
}

/// `Balloon:` (6.17, 1796819d5528) counts the pages of all drivers, but most drivers
/// take theirs out of MemTotal (adjust_managed_page_count): Xen, Hyper-V, pseries, and
/// virtio unless the host asks for deflation on OOM. VMware's does not.
///
/// Pages taken out are present, but not managed: fewer such pages than the balloon has
/// prove that it did not. Otherwise the device's features decide, if they are told, and
/// the driver, if it is a module; and last, what does not fit into the memory that is otherwise unaccounted for must be outside.
pub(super) fn place(facts: &Facts<'_>, balloon_kb: i64, otherwise_unaccounted_kb: i64) -> Balloon {
    let (in_total, why) = if let Some(reserved) = facts.reserved_kb
        && reserved < balloon_kb
    {
        (
            true,
            format!("only {reserved} kB of present memory are not managed (zoneinfo)"),
        )
    } else if facts.balloon_deflates {
        (
            true,
            "the host asks virtio_balloon to deflate where memory runs out, so it leaves MemTotal alone"
                .to_owned(),
        )
    } else if facts.balloon_module == Some("vmw_balloon") {
        (true, "vmw_balloon leaves MemTotal alone".to_owned())
    } else if let Some(module) = facts.balloon_module {
        (false, format!("{module} takes its pages out of MemTotal"))
    } else if facts.reserved_kb.is_some() || otherwise_unaccounted_kb < balloon_kb {
        (
            false,
            "most drivers take their pages out of MemTotal, and nothing speaks against it here"
                .to_owned(),
        )
    } else {
        (
            true,
            "not certain: zoneinfo would tell whether it is part of MemTotal".to_owned(),
        )
    };
    Balloon { in_total, why }
}

/// The modules of balloon drivers.
pub(super) const MODULES: [&str; 3] = ["vmw_balloon", "virtio_balloon", "hv_balloon"];
