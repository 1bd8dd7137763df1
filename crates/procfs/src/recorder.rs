//! What was read of a tree, kept: so that the same can be read again elsewhere.

use crate::tree::{Text, Tree, Unread};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// So many links may lead to one file.
const MAX_HOPS: usize = 16;

/// A file or link that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// What was read of a regular file.
    File(Vec<u8>),
    /// What a symbolic link says.
    Link(String),
}

/// A tree that keeps what is read of it. Files are kept where they are, and each link on
/// the way to one too, so that asking a copy of these gives the same.
pub struct Recorder<'a> {
    tree: &'a dyn Tree,
    seen: RefCell<BTreeMap<String, Recorded>>,
}

impl<'a> Recorder<'a> {
    /// Keeps what is read of `tree` from now on.
    pub fn new(tree: &'a dyn Tree) -> Recorder<'a> {
        Recorder {
            tree,
            seen: RefCell::default(),
        }
    }

    /// What was read, by path.
    pub fn into_recorded(self) -> BTreeMap<String, Recorded> {
        self.seen.into_inner()
    }

    /// Where `path` is, all links followed, which are kept.
    fn place(&self, path: &str) -> Option<String> {
        let mut ahead: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut at = String::new();
        let mut hops = 0;
        while let Some(part) = ahead.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    at.truncate(at.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = joined(&at, &part);
            let Some(target) = self.tree.link(&next) else {
                at = next;
                continue;
            };
            hops += 1;
            if hops > MAX_HOPS || target.starts_with('/') {
                return None;
            }
            ahead.extend(target.rsplit('/').map(str::to_owned));
            self.keep(next, Recorded::Link(target));
        }
        Some(at)
    }

    fn keep(&self, path: String, what: Recorded) {
        self.seen.borrow_mut().insert(path, what);
    }
}

fn joined(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}

impl Tree for Recorder<'_> {
    fn read(&self, path: &str, most: u64) -> Result<Text, Unread> {
        let text = self.tree.read(path, most)?;
        if let Some(place) = self.place(path) {
            self.keep(place, Recorded::File(text.bytes.clone()));
        }
        Ok(text)
    }

    fn names(&self, folder: &str) -> Result<Vec<String>, Unread> {
        let names = self.tree.names(folder)?;
        // Some are asked for by name only: `lower_em1` of a bond.
        if let Some(place) = self.place(folder) {
            for name in &names {
                let path = joined(&place, name);
                if let Some(target) = self.tree.link(&path) {
                    self.keep(path, Recorded::Link(target));
                }
            }
        }
        Ok(names)
    }

    fn link(&self, path: &str) -> Option<String> {
        let target = self.tree.link(path)?;
        self.place(path);
        Some(target)
    }

    fn resolve(&self, path: &str) -> Option<String> {
        let resolved = self.tree.resolve(path)?;
        self.place(path);
        Some(resolved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Root, read_netdevs, read_number};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    /// Writes what was recorded below a folder.
    fn written(recorded: &BTreeMap<String, Recorded>, folder: &Path) {
        for (path, what) in recorded {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match what {
                Recorded::File(bytes) => fs::write(path, bytes).unwrap(),
                Recorded::Link(target) => symlink(target, path).unwrap(),
            }
        }
    }

    #[test]
    fn a_copy_of_what_was_read_reads_the_same() {
        let (real, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |path: &str| real.path().join(path);
        let em1 = "sys/devices/pci0000:00/0000:00:03.0/net/em1";
        let bond0 = "sys/devices/virtual/net/bond0";
        for folder in [
            "sys/class/net",
            "sys/bus/pci/drivers/e1000",
            "sys/module/e1000",
            "proc/7/net",
            em1,
            bond0,
        ] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        let link = |target: &str, path: &str| symlink(target, at(path)).unwrap();
        link(&format!("../../{}", &em1[4..]), "sys/class/net/em1");
        link("../../devices/virtual/net/bond0", "sys/class/net/bond0");
        link("../../../0000:00:03.0", &format!("{em1}/device"));
        link(
            "../../../bus/pci/drivers/e1000",
            "sys/devices/pci0000:00/0000:00:03.0/driver",
        );
        link(
            "../../../../module/e1000",
            "sys/bus/pci/drivers/e1000/module",
        );
        link(
            "../../../pci0000:00/0000:00:03.0/net/em1",
            &format!("{bond0}/lower_em1"),
        );
        link("self/net", "proc/net");
        link("7", "proc/self");
        fs::write(at(&format!("{em1}/address")), "24:6e:96:43:3e:38\n").unwrap();
        fs::write(at("proc/7/net/sockstat"), "12").unwrap();
        fs::write(at("proc/7/secret"), "x").unwrap();
        let root = Root::open(real.path()).unwrap();
        let recorder = Recorder::new(&root);
        let devices = read_netdevs(&recorder).unwrap();
        assert_eq!(devices.len(), 2);
        assert_eq!(devices[1].driver.as_deref(), Some("e1000"));
        assert_eq!(read_number(&recorder, "proc/net/sockstat"), Some(12));
        assert!(recorder.read("proc/nothing", 9).is_err());
        let recorded = recorder.into_recorded();
        assert!(!recorded.contains_key("proc/7/secret"));
        written(&recorded, copy.path());
        let root = Root::open(copy.path()).unwrap();
        assert_eq!(read_netdevs(&root).unwrap(), devices);
        assert_eq!(read_number(&root, "proc/net/sockstat"), Some(12));
    }
}
