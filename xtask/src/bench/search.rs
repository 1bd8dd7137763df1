//! A search in 8 GiB, in one format: pagehound beside what it cannot beat and
//! beside crash and drgn.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::contestant::{Contestant, version};
use super::inputs::{self, Format};
use super::rivals;
use super::table::{Ratio, ratios, rows};
use super::{Arguments, THREADS};

/// A MAC address in the lower six bytes of a word; the upper two are anything.
pub(super) const VALUE: &str = "0000383e43966e24";
pub(super) const MASK: &str = "ffff000000000000";
const MORE: [&str; 4] = [
    "0000393e43966e24",
    "00003a3e43966e24",
    "00003b3e43966e24",
    "00003c3e43966e24",
];

/// What is measured of one format.
struct Field {
    search: Contestant,
    start: Contestant,
    single: Contestant,
    five: Contestant,
    limit: Contestant,
    limit_single: Contestant,
    copy: Option<Contestant>,
    diagnose: Option<Contestant>,
}

impl Field {
    fn new(format: Format, dump: &Path, pagehound: &Path, xtask: &Path) -> Result<Field> {
        let said = version(pagehound).context("pagehound --version")?;
        let search = |values: &[&str], threads: usize, more: &[&str]| {
            let threads = threads.to_string();
            let mut arguments = vec![Path::new("search"), dump];
            arguments.extend(values.iter().map(Path::new));
            arguments.extend(["-m", MASK, "-p", "--threads", &threads].map(Path::new));
            arguments.extend(more.iter().map(Path::new));
            let mut contestant = Contestant::new(&said, pagehound, &arguments);
            // 1 is nothing found.
            contestant.answers = |status| matches!(status, 0 | 1);
            contestant
        };
        let elf = format == Format::Elf;
        let limit = |what: &str, threads: usize| {
            let threads = threads.to_string();
            let arguments = ["limit", what].map(Path::new);
            let threads = ["--threads", &threads].map(Path::new);
            let arguments = [&arguments[..], &[dump], &threads].concat();
            let mut contestant = Contestant::new("the limit", xtask, &arguments);
            contestant.reports = true;
            contestant
        };
        let work = if elf { "read" } else { "unpack" };
        let five = [&[VALUE], &MORE[..]].concat();
        Ok(Field {
            search: search(&[VALUE], THREADS, &[]),
            start: search(&[VALUE], THREADS, &["-s", "0", "-l", "1000"]),
            single: search(&[VALUE], 1, &[]),
            five: search(&five, THREADS, &[]),
            limit: limit(work, THREADS),
            limit_single: limit(work, 1),
            copy: elf.then(|| limit("copy", THREADS)),
            diagnose: elf
                .then(|| super::verdict::pagehound(pagehound, dump))
                .transpose()?,
        })
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Contestant> {
        [
            &mut self.search,
            &mut self.limit,
            &mut self.five,
            &mut self.start,
            &mut self.single,
            &mut self.limit_single,
        ]
        .into_iter()
        .chain(&mut self.copy)
        .chain(&mut self.diagnose)
    }
}

/// Measures the search in `format` and returns its section of the results.
pub(super) fn section(
    format: Format,
    arguments: &Arguments,
    pagehound: &Path,
    xtask: &Path,
) -> Result<String> {
    let dump = inputs::dump(format, xtask)?;
    let mut field = Field::new(format, &dump, pagehound, xtask)?;
    // Into the page cache.
    field.search.run()?;
    for round in 1..=arguments.runs {
        println!("{format}, round {round}");
        for contestant in field.all() {
            contestant.round()?;
        }
    }
    let rivals = if arguments.rivals > 0 {
        rivals::measure(&dump, pagehound, arguments)?
    } else {
        Vec::new()
    };
    write(format, &dump, &field, &rivals)
}

fn seconds(contestant: &Contestant) -> f64 {
    contestant.wall().median.as_secs_f64()
}

fn write(
    format: Format,
    dump: &PathBuf,
    field: &Field,
    rivals: &[rivals::Rival],
) -> Result<String> {
    let elf = format == Format::Elf;
    let bytes = field
        .limit
        .runs
        .iter()
        .find_map(|run| run.done)
        .map_or(0, |done| done.bytes);
    let mut text = String::new();
    writeln!(
        text,
        "`{}`, {} MiB, holds {} MiB of memory.\n",
        super::contestant::name(dump),
        std::fs::metadata(dump)?.len() >> 20,
        bytes >> 20,
    )?;
    let start = seconds(&field.start);
    let search = seconds(&field.search) - start;
    let mut measured = vec![
        (&field.search, Some(search)),
        (&field.start, None),
        (&field.limit, Some(field.limit.inner())),
        (&field.five, Some(seconds(&field.five) - start)),
        (&field.single, Some(seconds(&field.single) - start)),
        (&field.limit_single, Some(field.limit_single.inner())),
    ];
    measured.extend(field.copy.iter().map(|copy| (copy, Some(copy.inner()))));
    measured.extend(field.diagnose.iter().map(|diagnose| (diagnose, None)));
    for rival in rivals {
        measured.push((&rival.search, Some(rival.searching())));
        measured.push((&rival.start, None));
    }
    text.push_str(&rows(&measured, bytes)?);

    let mut list = Vec::new();
    let limit = field.limit.inner();
    if elf {
        let whole = seconds(&field.limit);
        list.push(Ratio::at_least(
            "speed of the search to the read loop's, whole processes",
            whole / seconds(&field.search),
            0.8,
        ));
        list.push(Ratio::at_most(
            "`diagnose` to the read loop, whole processes",
            field.diagnose.as_ref().map_or(0.0, seconds) / whole,
            3.0,
        ));
    } else {
        list.push(Ratio::at_least(
            "speed of the search to the decompressor's alone",
            limit / search,
            0.9,
        ));
    }
    list.push(Ratio::at_most(
        "five searches in one command to one, whole processes",
        seconds(&field.five) / seconds(&field.search),
        1.3,
    ));
    let single = seconds(&field.single) - start;
    list.push(Ratio::at_least(
        "gain of the search from a second core, to the limit's own",
        (single / search) / (field.limit_single.inner() / limit),
        0.95,
    ));
    for rival in rivals {
        let (searching, whole) = match (elf, rival.name) {
            (true, "crash") => (10.0, Some(20.0)),
            (true, _) => (8.0, Some(3.0)),
            (false, _) if format == Format::Zlib => (4.0, None),
            (false, _) => (1.8, None),
        };
        list.push(Ratio::at_least(
            &format!("{}'s search to pagehound's, without starting", rival.name),
            rival.searching() / search,
            searching,
        ));
        if let Some(wanted) = whole {
            list.push(Ratio::at_least(
                &format!("{} to pagehound, whole processes", rival.name),
                seconds(&rival.search) / seconds(&field.search),
                wanted,
            ));
        }
    }
    text.push('\n');
    text.push_str(&ratios(&list)?);
    Ok(text)
}
