//! Archives of hosts: unpacked, read entry by entry, and asked for as a tree of files.

use std::path::PathBuf;

use pagehound_hunt::host::{HostFiles, ledger};
use pagehound_live::saved;
use pagehound_live::tar::{Archive, Bounds, Reader};
use pagehound_procfs::Tree;

/// Small, so that what a short input unpacks to takes no time.
const BOUNDS: Bounds = Bounds {
    entries: 1 << 10,
    bytes: 4 << 20,
    kept: 1 << 20,
};

/// Entries of which the tree is asked for everything.
const ASKED: usize = 64;

pub(crate) fn run(bytes: &[u8]) {
    entries(bytes);
    let tree = Archive::read(bytes, BOUNDS, |_| true);
    ask(&tree);
    if let Ok(Some(host)) = saved::open(bytes, BOUNDS, PathBuf::from("input")) {
        ask(&host.files);
        if let Ok(files) = HostFiles::of(&host.files, "input".to_owned()) {
            let _ = ledger(&files);
        }
    }
}

/// Names stay inside, content is as long as the entry says, an end is an end.
fn entries(bytes: &[u8]) {
    let mut reader = Reader::new(bytes, BOUNDS);
    while let Ok(Some(entry)) = reader.next_entry() {
        let parts = entry.path.split('/');
        assert!(
            parts.clone().all(|part| !matches!(part, "" | "." | "..")),
            "{}",
            entry.path
        );
        match reader.content(u64::MAX) {
            Ok(text) => assert!(!text.cut && entry.size <= text.bytes.len() as u64),
            Err(_) => break,
        }
    }
    assert!(matches!(reader.next_entry(), Ok(None)));
}

/// What resolves is in the tree under that name, and nothing is read twice as two things.
fn ask(tree: &Archive) {
    let paths: Vec<&str> = tree.paths().take(ASKED).collect();
    for path in paths {
        let up = format!("{path}/..");
        let _ = (tree.link(path), tree.names(path), tree.resolve(&up));
        if let Some(resolved) = tree.resolve(path) {
            assert!(!resolved.split('/').any(|part| part == ".."), "{resolved}");
            assert_eq!(tree.resolve(&resolved).as_deref(), Some(resolved.as_str()));
            assert_eq!(tree.read(path, 64), tree.read(&resolved, 64));
        }
    }
}
