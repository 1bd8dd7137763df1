//! A search in 8 GiB, in one format: pagehound beside what it cannot beat and
//! beside crash and drgn.

use std::path::Path;

use anyhow::{Context, Result};

use super::contestant::{Contestant, version};
use super::inputs::{self, Format};
use super::rivals::{self, Rival};
use super::table::{Ratio, Seconds, ratios, rows};
use super::{Arguments, THREADS};
use crate::paths::name;

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
            // More threads would hand on empty results for all the other pages.
            start: search(&[VALUE], 1, &["-s", "0", "-l", "1000"]),
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

impl Field {
    /// What a search takes without starting.
    fn work(&self, search: &Contestant) -> Seconds {
        Seconds::whole(search) - Seconds::whole(&self.start)
    }

    fn goals(&self) -> Vec<Ratio> {
        let whole = Seconds::whole(&self.limit);
        let limit = Seconds::inner(&self.limit);
        let search = Seconds::whole(&self.search);
        let mut list = Vec::new();
        if let Some(diagnose) = &self.diagnose {
            list.push(Ratio::at_least(
                "speed of the search to the read loop's, whole processes",
                whole / search,
                0.8,
            ));
            list.push(Ratio::at_most(
                "`diagnose` to the read loop, whole processes",
                Seconds::whole(diagnose) / whole,
                3.0,
            ));
        } else {
            list.push(Ratio::at_least(
                "speed of the search to the decompressor's, work alone",
                limit / self.work(&self.search),
                0.9,
            ));
        }
        list.push(Ratio::at_most(
            "five searches in one command to one, whole processes",
            Seconds::whole(&self.five) / search,
            1.3,
        ));
        let gain = self.work(&self.single) / self.work(&self.search);
        list.push(Ratio::at_least(
            "gain of the search from a second core to the limit's own, work alone",
            gain / (Seconds::inner(&self.limit_single) / limit),
            0.95,
        ));
        list
    }

    fn goals_beside(&self, rival: &Rival, format: Format) -> Vec<Ratio> {
        let (searching, whole) = match (format, rival.name) {
            (Format::Elf, "crash") => (10.0, Some(20.0)),
            (Format::Elf, _) => (8.0, Some(3.0)),
            (Format::Zlib, _) => (4.0, None),
            _ => (1.8, None),
        };
        let name = rival.name;
        let mut list = vec![Ratio::at_least(
            &format!("{name}'s search to pagehound's, work alone"),
            rival.searching() / self.work(&self.search),
            searching,
        )];
        list.extend(whole.map(|goal| {
            let value = Seconds::whole(&rival.search) / Seconds::whole(&self.search);
            Ratio::at_least(
                &format!("{name} to pagehound, whole processes"),
                value,
                goal,
            )
        }));
        list
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
    let (rivals, failures) = if arguments.rivals > 0 {
        let elf = inputs::dump(Format::Elf, xtask)?;
        rivals::measure(&dump, &elf, pagehound, arguments)?
    } else {
        Default::default()
    };
    let mut text = write(format, &dump, &field, &rivals)?;
    for failure in failures {
        text.push_str(&format!("\n{failure}\n"));
    }
    Ok(text)
}

/// The section's text.
fn write(format: Format, dump: &Path, field: &Field, rivals: &[Rival]) -> Result<String> {
    let done = field.limit.runs.iter().find_map(|run| run.done);
    let bytes = done.map_or(0, |done| done.bytes);
    let mut text = format!(
        "`{}`, {} MiB, holds {} MiB of memory.\n\n",
        name(dump),
        std::fs::metadata(dump)?.len() >> 20,
        bytes >> 20,
    );
    let mut measured = vec![
        (&field.search, Some(field.work(&field.search))),
        (&field.start, None),
        (&field.limit, Some(Seconds::inner(&field.limit))),
        (&field.five, Some(field.work(&field.five))),
        (&field.single, Some(field.work(&field.single))),
        (
            &field.limit_single,
            Some(Seconds::inner(&field.limit_single)),
        ),
    ];
    let copy = field.copy.iter();
    measured.extend(copy.map(|copy| (copy, Some(Seconds::inner(copy)))));
    measured.extend(field.diagnose.iter().map(|diagnose| (diagnose, None)));
    for rival in rivals {
        measured.push((&rival.search, Some(rival.searching())));
        measured.push((&rival.start, None));
    }
    text.push_str(&rows(&measured, bytes)?);
    text.push('\n');
    let mut list = field.goals();
    for rival in rivals {
        list.extend(field.goals_beside(rival, format));
    }
    text.push_str(&ratios(&list)?);
    Ok(text)
}
