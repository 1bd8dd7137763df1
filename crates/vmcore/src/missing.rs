//! Which file the user may have meant.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Names looked at in a folder, and names suggested.
const LOOK_AT: usize = 10_000;
const SUGGEST: usize = 3;

/// Files beside the missing `path` whose names are close to its, closest first.
pub(crate) fn similar_to(path: &Path) -> Vec<PathBuf> {
    let Some(wanted) = path.file_name().map(fold) else {
        return Vec::new();
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let mut close: Vec<(usize, PathBuf)> = files_in(folder.unwrap_or(Path::new(".")))
        .filter_map(|found| {
            let name = fold(found.file_name()?);
            let distance = if name.starts_with(&wanted) || wanted.starts_with(&name) {
                1
            } else {
                edits(&wanted, &name)
            };
            let name = Path::new(found.file_name()?);
            let shown = folder.map_or_else(|| name.to_owned(), |folder| folder.join(name));
            (distance <= (wanted.len() / 3).max(1)).then_some((distance, shown))
        })
        .collect();
    close.sort();
    close
        .into_iter()
        .map(|(_, path)| path)
        .take(SUGGEST)
        .collect()
}

/// Files in `folder` named as kdump, makedumpfile and hypervisors name dumps.
pub(crate) fn likely_dumps_in(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = files_in(folder)
        .filter(|path| {
            let name = path.file_name().map(fold).unwrap_or_default();
            let is = |text: &str| name == text.chars().collect::<Vec<_>>();
            let ends = |text: &str| name.ends_with(&text.chars().collect::<Vec<_>>());
            let starts = |text: &str| name.starts_with(&text.chars().collect::<Vec<_>>());
            (is("vmcore")
                || starts("dump.")
                || starts("vmcore.")
                || starts("core.")
                || ends(".kdump"))
                && !ends(".txt")
        })
        .collect();
    found.sort();
    found
}

/// The files in `folder`.
pub(crate) fn files_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .take(LOOK_AT)
        .flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
}

fn fold(name: &OsStr) -> Vec<char> {
    name.to_string_lossy()
        .to_lowercase()
        .chars()
        .take(255)
        .collect()
}

/// Levenshtein's distance.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b) {
            let replaced = diagonal + usize::from(from != to);
            diagonal = *cell;
            left = replaced.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_levenshteins() {
        let edits = |a: &str, b: &str| {
            edits(
                &a.chars().collect::<Vec<_>>(),
                &b.chars().collect::<Vec<_>>(),
            )
        };
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", ""), 3);
        assert_eq!(edits("vmcore", "vmcore"), 0);
    }
}
