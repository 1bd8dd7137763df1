//! Every input that is kept goes through its target, without libFuzzer: seeds, and what
//! was a finding once.

#![allow(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pagehound_fuzz::{TARGETS, seeds};

/// Longest time of one input, in a build without optimization too.
const TIME: Duration = Duration::from_secs(10);

fn folder(what: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(what)
}

/// Files of a folder by name; none where there is no folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let file = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    entries.map(|entry| file(entry.unwrap())).collect()
}

#[test]
fn what_is_kept_is_borne() {
    for target in TARGETS {
        for what in ["corpus", "regressions"] {
            for (name, input) in files(&folder(what).join(target.name)) {
                let name = format!("{what}/{}/{name}", target.name);
                // libFuzzer would cut it.
                assert!(input.len() <= target.max_len, "{name}: too long");
                let begin = Instant::now();
                eprintln!("{name}");
                (target.run)(&input);
                let took = begin.elapsed();
                assert!(took < TIME, "{name}: {took:?}");
            }
        }
    }
}

#[test]
fn seeds_are_as_they_are_made_and_each_folder_is_of_a_target() {
    for target in TARGETS {
        let made: BTreeMap<String, Vec<u8>> = seeds::of(target.name)
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), bytes))
            .collect();
        assert!(!made.is_empty(), "{}: no seeds", target.name);
        let kept = files(&folder("corpus").join(target.name));
        assert!(
            made == kept,
            "{}: run `cargo run -p pagehound-fuzz --bin seeds fuzz/corpus`",
            target.name
        );
    }
    for what in ["corpus", "regressions"] {
        for entry in fs::read_dir(folder(what)).into_iter().flatten() {
            let name = entry.unwrap().file_name();
            assert!(
                TARGETS.iter().any(|target| *target.name == *name),
                "{name:?}"
            );
        }
    }
}
