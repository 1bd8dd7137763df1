//! Saved files that lie in no tree of their own, seen as one.

use pagehound_procfs as procfs;
use procfs::{Root, Text, Tree, Unread};
use std::path::Path;

/// What the file at `path` is called where it lies beside others: `proc/net/sockstat`
/// is `sockstat`. Names below `proc/sys` say too little.
fn plain_name(path: &str) -> Option<&str> {
    if let Some(name) = path.strip_prefix("sys/kernel/debug/") {
        return (!name.contains('/')).then_some(name);
    }
    if path == "dmesg" {
        return Some(path);
    }
    let path = path.strip_prefix("proc/")?;
    let name = path.rsplit('/').next()?;
    (!path.starts_with("sys/")).then_some(name)
}

/// The first `most` bytes.
fn start(bytes: &[u8], most: u64) -> Text {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    Text {
        bytes: bytes.get(..most).unwrap_or(bytes).to_vec(),
        cut: bytes.len() > most,
    }
}

/// A saved meminfo and what lies beside it, see
/// [`HostFiles::from_meminfo_path`](super::HostFiles::from_meminfo_path).
pub(super) struct Companions {
    meminfo: Vec<u8>,
    folder: Option<Root>,
    own_name: String,
}

impl Companions {
    /// Those of the meminfo at `path`, which says `meminfo`.
    pub(super) fn of(path: &Path, meminfo: Vec<u8>) -> Companions {
        let folder = path.parent().unwrap_or(Path::new(""));
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let own_name = path.file_name().and_then(|name| name.to_str());
        Companions {
            meminfo,
            folder: Root::open(folder).ok(),
            own_name: own_name.unwrap_or_default().to_owned(),
        }
    }
}

impl Tree for Companions {
    fn read(&self, path: &str, most: u64) -> Result<Text, Unread> {
        let name = plain_name(path).ok_or(Unread::NotThere)?;
        if name == "meminfo" {
            return Ok(start(&self.meminfo, most));
        }
        let folder = self.folder.as_ref().ok_or(Unread::NotThere)?;
        let name = if self.own_name.contains("meminfo") {
            &self.own_name.replacen("meminfo", name, 1)
        } else {
            name
        };
        // Beside a meminfo lie files of anybody.
        if folder.link(name).is_some() {
            return Err(Unread::Other("no regular file".to_owned()));
        }
        folder.read(name, most)
    }

    fn names(&self, _: &str) -> Result<Vec<String>, Unread> {
        Err(Unread::NotThere)
    }

    fn link(&self, _: &str) -> Option<String> {
        None
    }

    fn resolve(&self, _: &str) -> Option<String> {
        None
    }
}

/// The sections of one file.
pub(super) struct Sections<'a>(Vec<procfs::Section<'a>>);

impl<'a> Sections<'a> {
    pub(super) fn of(text: &'a [u8]) -> Sections<'a> {
        Sections(procfs::sections(text).take(MAX_SECTIONS).collect())
    }
}

/// More sections than there are files that anybody saves.
const MAX_SECTIONS: usize = 1 << 10;

impl Tree for Sections<'_> {
    fn read(&self, path: &str, most: u64) -> Result<Text, Unread> {
        let name = plain_name(path);
        let mut sections = self.0.iter();
        let section = sections.find(|section| Some(section.name) == name);
        section
            .map(|section| start(section.text, most))
            .ok_or(Unread::NotThere)
    }

    fn names(&self, _: &str) -> Result<Vec<String>, Unread> {
        Err(Unread::NotThere)
    }

    fn link(&self, _: &str) -> Option<String> {
        None
    }

    fn resolve(&self, _: &str) -> Option<String> {
        None
    }
}
