//! Figures of runs, out of what libFuzzer prints, and the table of them.

use crate::root;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// A line a run.
const RUNS: &str = "runs.jsonl";

/// What one run did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures {
    target: String,
    /// Day on which it ended, in UTC.
    date: String,
    cpu_seconds: f64,
    executions: u64,
    /// Edges of our own crates that some input of the corpus takes.
    edges: u64,
    /// Those, by how often they are taken.
    features: u64,
    /// Inputs in the corpus, seeds among them.
    corpus: u64,
    /// Of the slowest input, in whole seconds.
    slowest_seconds: u64,
    peak_mib: u64,
    /// Input that the target did not bear.
    pub(super) found: Option<String>,
}

impl Figures {
    /// Out of the log of a run.
    pub(super) fn of(target: &str, log: &str, cpu_seconds: f64) -> Figures {
        let mut figures = Figures {
            target: target.to_owned(),
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            cpu_seconds,
            ..Figures::default()
        };
        for line in log.lines() {
            if let Some((name, number)) = line
                .strip_prefix("stat::")
                .and_then(|stat| stat.split_once(':'))
            {
                let number = number.trim().parse().unwrap_or(0);
                match name {
                    "number_of_executed_units" => figures.executions = number,
                    "slowest_unit_time_sec" => figures.slowest_seconds = number,
                    "peak_rss_mb" => figures.peak_mib = number,
                    _ => {}
                }
            } else if let Some((_, input)) = line.split_once("Test unit written to ") {
                // Inputs that are merely slow are written too, and the run goes on.
                if !input.contains("-slow-unit-") {
                    figures.found = Some(input.to_owned());
                }
            } else if line.starts_with('#') {
                // `#2048 NEW cov: 314 ft: 1592 corp: 65/3589b lim: 8192 …`
                let words: Vec<&str> = line.split_whitespace().collect();
                for pair in words.windows(2) {
                    let number = pair[1].split('/').next().unwrap_or_default().parse();
                    match (pair[0], number) {
                        ("cov:", Ok(number)) => figures.edges = number,
                        ("ft:", Ok(number)) => figures.features = number,
                        ("corp:", Ok(number)) => figures.corpus = number,
                        _ => {}
                    }
                }
            }
        }
        figures
    }

    /// For people.
    pub(super) fn line(&self) -> String {
        let Figures {
            target,
            executions,
            cpu_seconds,
            edges,
            features,
            corpus,
            slowest_seconds,
            peak_mib,
            ..
        } = self;
        format!(
            "{target}: {executions} executions in {cpu_seconds:.0} s of CPU; {edges} edges, \
             {features} features, {corpus} inputs; slowest {slowest_seconds} s, {peak_mib} MiB{}",
            match &self.found {
                Some(input) => format!("; FOUND {input}"),
                None => String::new(),
            }
        )
    }

    /// Takes in a later run of the same target.
    fn add(&mut self, run: &Figures) {
        self.date.clone_from(&run.date);
        self.cpu_seconds += run.cpu_seconds;
        self.executions += run.executions;
        self.edges = self.edges.max(run.edges);
        self.features = self.features.max(run.features);
        self.corpus = run.corpus;
        self.peak_mib = self.peak_mib.max(run.peak_mib);
    }
}

/// Keeps the figures of a run in the folder.
pub(super) fn append(keep: &Path, figures: &Figures) -> anyhow::Result<()> {
    let path = keep.join(RUNS);
    let line = serde_json::to_string(figures)? + "\n";
    let file = OpenOptions::new().create(true).append(true).open(&path);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .with_context(|| path.display().to_string())
}

/// Ends the figures; what stands below is written by hand and stays.
const FINDINGS: &str = "\n## Findings\n";

/// Writes the table of `fuzz/RESULTS.md` by the runs kept in the folder.
pub(super) fn write_results(keep: &Path) -> anyhow::Result<()> {
    let path = keep.join(RUNS);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let runs: Result<Vec<Figures>, _> = text.lines().map(serde_json::from_str).collect();
    let path = root().join("fuzz/RESULTS.md");
    let before = fs::read_to_string(&path).unwrap_or_default();
    let findings = before.find(FINDINGS).and_then(|at| before.get(at..));
    let results = table(&runs?) + findings.unwrap_or(FINDINGS);
    fs::write(&path, results).with_context(|| path.display().to_string())
}

fn table(runs: &[Figures]) -> String {
    let mut targets: BTreeMap<&str, Figures> = BTreeMap::new();
    for run in runs {
        let of_target = || Figures {
            target: run.target.clone(),
            ..Figures::default()
        };
        let target = targets.entry(&run.target);
        target.or_insert_with(of_target).add(run);
    }
    let days = runs.iter().map(|run| run.date.as_str());
    let (first, last) = (days.clone().min(), days.max());
    let seconds: f64 = targets.values().map(|target| target.cpu_seconds).sum();
    let mut text = format!(
        "# The campaign\n\n{} to {}, {:.1} hours of CPU time in all. Written by `cargo xtask fuzz --keep DIR --results` \
         out of what libFuzzer printed; edges and features are of pagehound's own crates, not of its dependencies. \
         Executions of a run that ended with a finding are counted up to there.\n\n\
         | target | executions | CPU seconds | edges | features | inputs | peak, MiB |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
        first.unwrap_or_default(),
        last.unwrap_or_default(),
        seconds / 3600.0
    );
    for (name, target) in &targets {
        let _ = writeln!(
            text,
            "| {name} | {} | {:.0} | {} | {} | {} | {} |",
            pagehound_model::thousands(target.executions),
            target.cpu_seconds,
            pagehound_model::thousands(target.edges),
            pagehound_model::thousands(target.features),
            pagehound_model::thousands(target.corpus),
            target.peak_mib,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "INFO: seed corpus: files: 3 min: 9b max: 900b total: 1000b rss: 40Mb\n\
        #4\tINITED cov: 100 ft: 200 corp: 3/1000b exec/s: 0 rss: 41Mb\n\
        #2048\tNEW    cov: 314 ft: 1592 corp: 65/3589b lim: 8192 exec/s: 1024 rss: 50Mb L: 20/99 MS: 1 CopyPart-\n\
        #9000\tDONE   cov: 315 ft: 1600 corp: 70/4Kb lim: 8192 exec/s: 900 rss: 51Mb\n\
        stat::number_of_executed_units: 9000\nstat::slowest_unit_time_sec:       0\n\
        stat::peak_rss_mb:              51\n";

    #[test]
    fn figures_are_what_the_last_lines_say() {
        let figures = Figures::of("btf", LOG, 9.5);
        assert_eq!((figures.executions, figures.peak_mib), (9000, 51));
        assert_eq!(
            (figures.edges, figures.features, figures.corpus),
            (315, 1600, 70)
        );
        assert_eq!(figures.found, None);
    }

    #[test]
    fn a_finding_is_named_and_a_slow_input_is_none() {
        let slow = "artifact_prefix='x'; Test unit written to /k/found/btf-slow-unit-1\n";
        assert_eq!(Figures::of("btf", slow, 1.0).found, None);
        let crash = "artifact_prefix='x'; Test unit written to /k/found/btf-crash-2\n";
        let figures = Figures::of("btf", &format!("{LOG}{crash}"), 1.0);
        assert_eq!(figures.found.as_deref(), Some("/k/found/btf-crash-2"));
    }

    #[test]
    fn runs_of_a_target_are_added_up() {
        let first = Figures::of("btf", LOG, 3600.0);
        let mut second = first.clone();
        second.edges = 300;
        let text = table(&[first, second]);
        assert!(text.contains("2.0 hours of CPU time"), "{text}");
        assert!(
            text.contains("| btf | 18,000 | 7200 | 315 | 1,600 | 70 | 51 |"),
            "{text}"
        );
    }
}
