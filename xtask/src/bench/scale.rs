//! Whether time grows with the memory and with nothing else.

use std::path::Path;

use anyhow::{Context, Result};

use super::contestant::{Contestant, version};
use super::search::{MASK, VALUE};
use super::table::{Ratio, Seconds, ratios, rows};
use super::{Arguments, THREADS, inputs};
use crate::paths::name;

const GIB: [u64; 3] = [1, 8, 64];

/// A frame in the middle of 8 GiB.
const MIDDLE: u64 = 1 << 20;

/// Measures searches in memories of several sizes, and in one with a page left out.
pub(super) fn section(arguments: &Arguments, pagehound: &Path, xtask: &Path) -> Result<String> {
    let mut field = Vec::new();
    for gib in GIB {
        let dump = inputs::scaled(gib, None, xtask)?;
        field.push((gib, search(pagehound, &dump)?));
    }
    let holed = inputs::scaled(8, Some(MIDDLE), xtask)?;
    let (whole, holed) = (inputs::scaled(8, None, xtask)?, holed);
    let same = matches(pagehound, &whole)? == matches(pagehound, &holed)?;
    field.push((8, search(pagehound, &holed)?));
    for (_, search) in &field {
        search.run()?;
    }
    for round in 1..=arguments.runs {
        println!("sizes, round {round}");
        for (_, search) in &mut field {
            search.round()?;
        }
    }
    let mut text = String::from(
        "The guest's pages again and again, Zstandard; the last with one page left out in the \
         middle.\n\n",
    );
    for (gib, search) in &field {
        text.push_str(&rows(&[(search, Some(Seconds::whole(search)))], gib << 30)?);
        text.push('\n');
    }
    let per_gib = |index: usize| -> Option<Seconds> {
        let (gib, search) = field.get(index)?;
        Some(Seconds::whole(search) / *gib as f64)
    };
    let mut list = Vec::new();
    for (index, what) in [
        (0, "1 GiB"),
        (2, "64 GiB"),
        (3, "8 GiB with a page left out"),
    ] {
        if let (Some(this), Some(of_8)) = (per_gib(index), per_gib(1)) {
            let what = format!("seconds per GiB, {what} to 8 GiB");
            list.push(Ratio::at_most(&what, this / of_8, 1.2));
            list.push(Ratio::at_least(&what, this / of_8, 0.8));
        }
    }
    text.push_str(&ratios(&list)?);
    text.push_str(match same {
        true => "\nWith and without that page the search prints the same lines.\n",
        false => "\nWith and without that page the search prints **different** lines.\n",
    });
    Ok(text)
}

fn search(pagehound: &Path, dump: &Path) -> Result<Contestant> {
    let said = version(pagehound).context("pagehound --version")?;
    let threads = THREADS.to_string();
    let rest = [VALUE, "-m", MASK, "-p", "--threads", &threads].map(Path::new);
    let arguments = [&["search".as_ref(), dump], &rest[..]].concat();
    let mut contestant = Contestant::new(&said, pagehound, &arguments);
    contestant.answers = |status| matches!(status, 0 | 1);
    Ok(contestant)
}

/// Lines that a search prints in `dump`, by the name of the file they are of none.
fn matches(pagehound: &Path, dump: &Path) -> Result<Vec<u8>> {
    let output = std::process::Command::new(pagehound)
        .args([Path::new("search"), dump])
        .args(["--text", "Linux version", "-p"])
        .output()
        .with_context(|| name(dump))?;
    Ok(output.stdout)
}
