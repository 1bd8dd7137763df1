//! What was wanted of an archive, as a tree of files.

use super::path::clean;
use super::reader::{Bounds, Kind, Reader, TarError};
use pagehound_procfs::{Text, Tree, Unread};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::Bound;

/// Longest file that is kept whole, in bytes: as much as is read of one in a folder.
const MAX_FILE: u64 = 64 << 20;

/// What an entry costs beside its path and content, at most.
const PER_ENTRY: u64 = 128;

/// So many links may lead to one file: `/sys` needs three.
const MAX_HOPS: usize = 16;

/// So many parts may be on the way, those of links too: `/sys` has 25 at most.
const MAX_STEPS: usize = 128;

/// At most so many names of a folder are listed.
const MAX_NAMES: usize = 1 << 16;

/// Files, links and folders of an archive, in memory. As a [`Tree`] its paths are
/// relative to [`below`](Archive::below); links are followed up to there, never further.
#[derive(Debug)]
pub struct Archive {
    nodes: BTreeMap<String, Node>,
    below: String,
    /// Why the archive was not read to its end; all before that is there.
    pub stopped: Option<TarError>,
    /// Entries without a name that could be used.
    pub left_out: u64,
    /// Entries that were wanted and not kept, because there were too many or too long
    /// ones before.
    pub not_kept: u64,
}

#[derive(Debug)]
enum Node {
    File {
        bytes: Vec<u8>,
        cut: bool,
    },
    Link(String),
    /// A path from the archive's top.
    SameAs(String),
    Folder,
}

impl Archive {
    /// Keeps of the archive in `source` what `wanted` says, by path from its top: of
    /// equal names the first, of a file its first 64 MiB, and no more than
    /// [`Bounds::kept`] in all.
    pub fn read(source: impl Read, bounds: Bounds, wanted: impl Fn(&str) -> bool) -> Archive {
        let mut reader = Reader::new(source, bounds);
        let mut archive = Archive::empty();
        let first =
            |archive: &Archive, path: &str| Ok(wanted(path) && !archive.nodes.contains_key(path));
        archive.stopped = archive.keep(&mut reader, bounds.kept, first).err();
        archive.left_out = reader.left_out();
        archive
    }

    /// All of an archive that must be as it was written: sound to the end of `source`,
    /// with nothing behind it, and no name twice.
    ///
    /// # Errors
    /// It is not.
    pub fn whole(source: impl Read, bounds: Bounds) -> Result<Archive, TarError> {
        let mut reader = Reader::new(source, bounds);
        let mut archive = Archive::empty();
        let once = |archive: &Archive, path: &str| match archive.nodes.contains_key(path) {
            true => Err(TarError::Twice(path.to_owned())),
            false => Ok(true),
        };
        archive.keep(&mut reader, bounds.kept, once)?;
        reader.finish()?;
        archive.left_out = reader.left_out();
        Ok(archive)
    }

    fn empty() -> Archive {
        Archive {
            nodes: BTreeMap::new(),
            below: String::new(),
            stopped: None,
            left_out: 0,
            not_kept: 0,
        }
    }

    fn keep<R: Read>(
        &mut self,
        reader: &mut Reader<R>,
        mut room: u64,
        wanted: impl Fn(&Archive, &str) -> Result<bool, TarError>,
    ) -> Result<(), TarError> {
        while let Some(entry) = reader.next_entry()? {
            if !wanted(self, &entry.path)? {
                continue;
            }
            let target = match &entry.kind {
                Kind::Link(target) | Kind::SameAs(target) => target.len() as u64,
                _ => 0,
            };
            let name = PER_ENTRY + entry.path.len() as u64 + target;
            let Some(left) = room.checked_sub(name + entry.size.min(MAX_FILE)) else {
                self.not_kept += 1;
                continue;
            };
            let node = match entry.kind {
                Kind::File => {
                    let text = reader.content(MAX_FILE)?;
                    Node::File {
                        bytes: text.bytes,
                        cut: text.cut,
                    }
                }
                Kind::Link(target) => Node::Link(target),
                Kind::SameAs(target) => Node::SameAs(target),
                Kind::Folder => Node::Folder,
                Kind::Other => continue,
            };
            room = left;
            self.nodes.insert(entry.path, node);
        }
        Ok(())
    }

    /// From now on, the tree is what lies in `folder`; empty for all.
    pub fn below(&mut self, folder: &str) {
        self.below = clean(folder).unwrap_or_default();
    }

    /// Paths from the archive's top to all that was kept.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    /// The path from the archive's top that `path` leads to, all links followed.
    fn follow(&self, path: &str) -> Option<String> {
        let mut ahead: Vec<&str> = parts(path).rev().collect();
        let mut at = self.below.clone();
        let (mut steps, mut hops) = (0, 0);
        while let Some(part) = ahead.pop() {
            steps += 1;
            if steps > MAX_STEPS {
                return None;
            }
            let folder = at.len();
            if part == ".." {
                (folder > self.below.len()).then(|| at.truncate(at.rfind('/').unwrap_or(0)))?;
                continue;
            }
            if folder > 0 {
                at.push('/');
            }
            at.push_str(part);
            let target = match self.nodes.get(&at) {
                Some(Node::Link(target)) if !target.starts_with('/') => {
                    at.truncate(folder);
                    target
                }
                Some(Node::SameAs(target)) => {
                    at.clone_from(&self.below);
                    inside(target, &self.below)?
                }
                Some(Node::File { .. }) if ahead.is_empty() => continue,
                Some(Node::Folder) => continue,
                None if self.has_below(&at) => continue,
                _ => return None,
            };
            hops += 1;
            if hops > MAX_HOPS {
                return None;
            }
            ahead.extend(parts(target).rev());
        }
        Some(at)
    }

    /// Whether there is something in `folder`.
    fn has_below(&self, folder: &str) -> bool {
        let start = format!("{folder}/");
        let next = self.nodes.range(start.clone()..).next();
        next.is_some_and(|(path, _)| path.starts_with(&start))
    }
}

/// The parts of a path, without those that say nothing.
fn parts(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    let parts = path.split('/');
    parts.filter(|part| !matches!(*part, "" | "."))
}

/// `path` as it is called in `folder`; none if it is not there.
fn inside<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let path = path.strip_prefix(folder)?;
    if folder.is_empty() {
        Some(path)
    } else {
        path.strip_prefix('/')
    }
}

/// The folder a path lies in, and its last part.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// What `name` is called in `folder`, seen from the top.
fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

impl Tree for Archive {
    fn read(&self, path: &str, most: u64) -> Result<Text, Unread> {
        let path = self.follow(path).ok_or(Unread::NotThere)?;
        let Some(Node::File { bytes, cut, .. }) = self.nodes.get(&path) else {
            return Err(Unread::Other("no regular file".to_owned()));
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let start = bytes.get(..most);
        Ok(Text {
            bytes: start.unwrap_or(bytes).to_vec(),
            cut: *cut || bytes.len() > most,
        })
    }

    fn names(&self, folder: &str) -> Result<Vec<String>, Unread> {
        let folder = self.follow(folder).ok_or(Unread::NotThere)?;
        if let Some(Node::File { .. }) = self.nodes.get(&folder) {
            return Err(Unread::NotThere);
        }
        let start = joined(&folder, "");
        let mut names = BTreeSet::new();
        let mut from = Bound::Excluded(start.clone());
        while let Some((path, _)) = self.nodes.range((from, Bound::Unbounded)).next() {
            let Some(name) = path.strip_prefix(&start) else {
                break;
            };
            if names.len() == MAX_NAMES {
                break;
            }
            let (name, from_next) = match name.split_once('/') {
                // Behind all that is in this folder: 0 follows `/` in ASCII.
                Some((name, _)) => (name, Bound::Included(format!("{start}{name}0"))),
                None => (name, Bound::Excluded(path.clone())),
            };
            names.insert(name.to_owned());
            from = from_next;
        }
        Ok(names.into_iter().collect())
    }

    fn link(&self, path: &str) -> Option<String> {
        let path = clean(path)?;
        let (folder, name) = split(&path);
        match self.nodes.get(&joined(&self.follow(folder)?, name))? {
            Node::Link(target) => Some(target.clone()),
            _ => None,
        }
    }

    fn resolve(&self, path: &str) -> Option<String> {
        let path = self.follow(path)?;
        if path == self.below {
            return Some(String::new());
        }
        inside(&path, &self.below).map(str::to_owned)
    }
}
