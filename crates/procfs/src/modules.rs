//! `/proc/modules` (kernel/module, `m_show`):
//! `name size refcount users state address [taints]`.

use crate::line::{Line, ParseError, Rows, decimal, hex};

/// What a module is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleState {
    /// Loaded.
    Live,
    /// Being loaded.
    Loading,
    /// Being unloaded.
    Unloading,
}

/// One module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module<'a> {
    /// Name, with `_` where the file name may have `-`.
    pub name: &'a str,
    /// Bytes of code and data.
    pub size: u64,
    /// References; `None` on kernels that cannot unload modules.
    pub refcount: Option<u64>,
    /// Whether it can never be unloaded.
    pub permanent: bool,
    /// State.
    pub state: ModuleState,
    /// Where its code starts; `None` or 0 where the kernel does not say.
    pub address: Option<u64>,
    /// Taint letters, for example `OE`; empty if there are none.
    pub taints: &'a str,
    /// The fourth column: `-`, or names with a comma after each.
    users: &'a str,
}

impl<'a> Module<'a> {
    /// The modules that use this one.
    pub fn used_by(&self) -> impl Iterator<Item = &'a str> {
        self.users
            .split(',')
            .filter(|name| !matches!(*name, "" | "-" | "[permanent]"))
    }
}

/// The modules, latest loaded first.
pub fn modules(text: &[u8]) -> Rows<'_, Module<'_>> {
    Rows::new("modules", text, |line| module(line).map(Some))
}

fn module<'a>(line: &Line<'a>) -> Result<Module<'a>, ParseError> {
    let shape = || line.error("expected `name size refcount users state address`");
    let mut words = line.as_str()?.split_ascii_whitespace();
    let (Some(name), Some(size), Some(refcount), Some(users), Some(state), Some(address)) = (
        words.next(),
        words.next(),
        words.next(),
        words.next(),
        words.next(),
        words.next(),
    ) else {
        return Err(shape());
    };
    let taints = words.next().unwrap_or_default();
    Ok(Module {
        name,
        size: decimal(size).ok_or_else(shape)?,
        refcount: match refcount {
            "-" => None,
            number => Some(decimal(number).ok_or_else(shape)?),
        },
        permanent: users.split(',').any(|user| user == "[permanent]"),
        state: match state {
            "Live" => ModuleState::Live,
            "Loading" => ModuleState::Loading,
            "Unloading" => ModuleState::Unloading,
            _ => return Err(shape()),
        },
        address: hex(address),
        taints: taints.trim_start_matches('(').trim_end_matches(')'),
        users,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Module<'_> {
        modules(text.as_bytes()).next().unwrap().unwrap()
    }

    #[test]
    fn users_taints_and_address() {
        let module =
            one("virtio 20480 3 virtio_net,virtio_blk,virtio_pci, Live 0xffffffffc02c5000 (E)\n");
        assert_eq!(
            (module.name, module.size, module.refcount),
            ("virtio", 20480, Some(3))
        );
        assert_eq!(
            module.used_by().collect::<Vec<_>>(),
            ["virtio_net", "virtio_blk", "virtio_pci"]
        );
        assert_eq!(module.address, Some(0xffff_ffff_c02c_5000));
        assert_eq!((module.state, module.taints), (ModuleState::Live, "E"));
        assert!(!module.permanent);
    }

    #[test]
    fn permanent_unused_and_hidden() {
        let module = one("heldleak 16384 0 [permanent], Live 0x0000000000000000 (OE)");
        assert!(module.permanent);
        assert_eq!((module.used_by().count(), module.address), (0, Some(0)));
        let module = one("bonding 192512 - - Loading 0x(____ptrval____)");
        assert_eq!(
            (module.refcount, module.address, module.taints),
            (None, None, "")
        );
        assert_eq!(
            (module.state, module.used_by().count()),
            (ModuleState::Loading, 0)
        );
    }

    #[test]
    fn other_lines_are_errors() {
        for bad in [
            "a",
            "a 1 0 - Live",
            "a x 0 - Live 0x0",
            "a 1 x - Live 0x0",
            "a 1 0 - Dead 0x0",
        ] {
            assert!(modules(bad.as_bytes()).next().unwrap().is_err(), "{bad}");
        }
    }
}
