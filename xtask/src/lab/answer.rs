//! What pagehound says of a dump.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use pagehound_model::{Report, SCHEMA, State, Verdict};
use serde::Deserialize;

use super::named::is_called;

/// Which pagehound answers.
#[derive(Args)]
pub(super) struct Binary {
    /// The pagehound binary [default: the checkout's release build]
    #[arg(long, value_name = "FILE")]
    pub(super) pagehound: Option<PathBuf>,
}

impl Binary {
    pub(super) fn path(&self) -> Result<PathBuf> {
        if let Some(path) = &self.pagehound {
            ensure!(path.exists(), "there is no {}", path.display());
            return Ok(path.clone());
        }
        // This program is <target>/<profile>/xtask.
        let own = env::current_exe().context("cannot tell where this program is")?;
        let target = own
            .parent()
            .and_then(Path::parent)
            .context("no target folder")?;
        let path = target.join("release/pagehound");
        if !path.exists() {
            bail!(
                "no {}: `cargo build --release`, or --pagehound FILE",
                path.display()
            );
        }
        Ok(path)
    }
}

/// Who has a page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Owner {
    /// Kind and name, with a blank between them.
    pub(super) name: String,
    pub(super) pid: Option<u32>,
}

/// How `pages` is asked.
pub(super) const PAGES: [&str; 3] = ["--format", "jsonl", "--allocators"];

/// Its answer to one dump.
pub(super) struct Answer {
    /// Frame numbers of all pages it calls lost.
    pub(super) lost: BTreeSet<u64>,
    /// Who allocated them, where the kernel's records tell.
    pub(super) allocators: BTreeMap<u64, String>,
    /// Runs of pages that have an owner, by the first: their end and the owner.
    owned: BTreeMap<u64, (u64, Owner)>,
    /// How long `diagnose` took.
    pub(super) seconds: f64,
    /// What `diagnose --json` printed.
    report: Report,
}

impl Answer {
    /// Asks about `dump`.
    pub(super) fn of(binary: &Binary, dump: &Path) -> Result<Self> {
        let program = binary.path()?;
        let start = Instant::now();
        let report = ask(Command::new(&program)
            .arg("diagnose")
            .arg(dump)
            .arg("--json"))?;
        let seconds = start.elapsed().as_secs_f64();
        let report = parse(&report)?;
        let mut rows = Vec::new();
        // Without page structs to be read no page is called anything.
        if report.verdict != Verdict::Incomplete {
            rows = runs(&ask(Command::new(&program)
                .arg("pages")
                .arg(dump)
                .args(PAGES))?)?;
        }
        Ok(Self::new(&rows, seconds, report))
    }

    /// What it said elsewhere: what `diagnose --json` printed, and `pages` with [`PAGES`].
    pub(super) fn told(report: &str, pages: &str) -> Result<Self> {
        let report = parse(report)?;
        let seconds = report.timing.seconds;
        Ok(Self::new(&runs(pages)?, seconds, report))
    }

    fn new(rows: &[Row], seconds: f64, report: Report) -> Self {
        let lost = rows.iter().filter(|row| row.state == "lost");
        let allocators = lost.clone().filter_map(|row| {
            let allocator = row.allocator.clone()?;
            Some((row.pfn..row.pfn + row.count).map(move |pfn| (pfn, allocator.clone())))
        });
        let owned = rows.iter().filter_map(|row| {
            let kind = row.holder_kind.as_ref()?;
            let name = format!("{kind} {}", row.holder.as_deref().unwrap_or_default());
            let pid = row.holder_pid;
            Some((row.pfn, (row.pfn + row.count, Owner { name, pid })))
        });
        Self {
            allocators: allocators.flatten().collect(),
            lost: lost.flat_map(|row| row.pfn..row.pfn + row.count).collect(),
            owned: owned.collect(),
            seconds,
            report,
        }
    }

    /// Who has a page.
    pub(super) fn owner(&self, pfn: u64) -> Option<&Owner> {
        let (_, (end, owner)) = self.owned.range(..=pfn).next_back()?;
        (pfn < *end).then_some(owner)
    }

    /// Pages of all owners that are called so.
    pub(super) fn pages_of(&self, name: &str, pid: Option<u32>) -> u64 {
        let owned = self.owned.iter();
        owned
            .filter(|(_, (_, owner))| is_called(owner, name, pid))
            .map(|(start, (end, _))| end - start)
            .sum()
    }

    /// Slab objects or vmalloc areas out of reach.
    pub(super) fn forgotten(&self, kind: &str, name: &str) -> u64 {
        let heap = self.report.heap.iter();
        let wanted = heap.filter(|loss| loss.kind == kind && loss.name.starts_with(name));
        wanted.map(|loss| loss.count).sum()
    }

    /// Pages of findings that are charged to control groups with such a path.
    pub(super) fn charged_to(&self, is_wanted: impl Fn(&str) -> bool) -> u64 {
        let findings = self.report.findings.iter();
        let groups = findings.flat_map(|finding| &finding.cgroups);
        let wanted = groups.filter(|group| is_wanted(&group.path));
        wanted.map(|group| group.pages).sum()
    }

    /// Control groups that are removed and not gone.
    pub(super) fn dying_groups(&self) -> u64 {
        self.report.dying_cgroups.count
    }

    /// Lost pages on a NUMA node.
    pub(super) fn lost_on_node(&self, node: u32) -> u64 {
        let findings = self.report.findings.iter();
        let lost = findings.filter(|finding| finding.verdict == State::Lost);
        let pages = lost.flat_map(|finding| &finding.nodes);
        let there = pages.filter(|pages| pages.node == node);
        there.map(|pages| pages.pages).sum()
    }

    /// The control group: pages missed, pages checked.
    pub(super) fn control(&self) -> (u64, u64) {
        let control = self.report.control;
        (control.missed, control.checked)
    }

    /// The release of the dump's kernel.
    pub(super) fn kernel(&self) -> &str {
        &self.report.target.kernel
    }

    /// The answer in one word, as the report spells it.
    pub(super) fn verdict(&self) -> &'static str {
        match self.report.verdict {
            Verdict::Lost => "lost",
            Verdict::Suspect => "suspect",
            Verdict::None => "none",
            Verdict::Incomplete => "incomplete",
        }
    }

    /// Drivers that own lost pages.
    pub(super) fn drivers(&self) -> BTreeSet<&str> {
        let findings = self.report.findings.iter();
        findings
            .filter(|finding| finding.verdict == State::Lost)
            .flat_map(|finding| &finding.owners)
            .filter_map(|owner| owner.driver.as_deref())
            .collect()
    }

    /// Classes of pages of which the kernel itself counts another number, and
    /// by how many pages it is less than what was found.
    pub(super) fn ledger(&self) -> Vec<(&str, i64)> {
        let rows = self.report.ledger.iter();
        rows.filter_map(|row| {
            let counted = row.counter.as_ref()?.pages;
            let difference = row.pages.cast_signed() - counted.cast_signed();
            (difference != 0).then_some((row.class.as_str(), difference))
        })
        .collect()
    }
}

/// Reads a report and sees that it is one to go by: of this schema, and unless
/// nothing could be decided, with a control group.
fn parse(json: &str) -> Result<Report> {
    let report: Report = serde_json::from_str(json).context("what diagnose printed")?;
    ensure!(
        report.schema == SCHEMA,
        "the report is {:?}, not {SCHEMA:?}",
        report.schema
    );
    ensure!(
        report.verdict == Verdict::Incomplete || report.control.checked > 0,
        "the control group is empty"
    );
    Ok(report)
}

/// What a pagehound command prints. Exit codes up to 3 except 2 are answers.
fn ask(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    match output.status.code() {
        Some(0 | 1 | 3) => String::from_utf8(output.stdout).context("pagehound printed no UTF-8"),
        _ => bail!("{command:?} ended with {}", output.status),
    }
}

/// A row of `pages --format jsonl`, as far as it is compared.
#[derive(Deserialize)]
struct Row {
    pfn: u64,
    count: u64,
    state: String,
    holder_kind: Option<String>,
    holder: Option<String>,
    holder_pid: Option<u32>,
    allocator: Option<String>,
}

fn runs(lines: &str) -> Result<Vec<Row>> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("{line:?} is no page")))
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::ops::Range;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn rows_are_runs_of_pages() {
        let run = |state: &str, holder: Value| {
            let row = json!({"pfn": 10, "count": 3, "class": "raw", "order": 0, "refcount": 1,
                             "state": state, "finding": 1, "holder_kind": holder,
                             "holder": "dd", "holder_pid": 7, "allocator": "take [pagelab]"});
            let rows = runs(&format!("{row}\n")).unwrap();
            Answer::new(&rows, 0.0, of_kernel("6.1").report)
        };
        let lost = run("lost", Value::Null);
        assert_eq!(lost.lost, BTreeSet::from([10, 11, 12]));
        assert_eq!(lost.owner(10), None);
        assert_eq!(lost.allocators[&12], "take [pagelab]");
        let held = run("held", json!("pipe"));
        assert!(held.lost.is_empty() && held.allocators.is_empty());
        assert_eq!(held.owner(12).unwrap().name, "pipe dd");
        assert_eq!((held.owner(9), held.owner(13)), (None, None));
        assert_eq!(held.pages_of("pipe", Some(7)), 3);
        assert_eq!(held.pages_of("pipe", Some(8)), 0);
        assert!(runs("pfn,count\n").is_err());
        assert!(runs("{\"pfn\": 1}\n").is_err());
    }

    /// The answer to a dump in which these pages have these owners.
    pub(in crate::lab) fn with_owners(owners: &[(Range<u64>, &str, Option<u32>)]) -> Answer {
        let owned = owners.iter().map(|(pages, name, pid)| {
            let (name, pid) = ((*name).to_owned(), *pid);
            (pages.start, (pages.end, Owner { name, pid }))
        });
        Answer {
            owned: owned.collect(),
            ..of_kernel("6.1")
        }
    }

    /// A finding with owners that have such drivers.
    fn finding(verdict: &str, drivers: &[Option<&str>]) -> Value {
        let owner = |driver: &Option<&str>| {
            json!({"kind": "netdev", "name": "em1", "mac": null, "driver": driver, "module": null,
                   "bus": null, "upper": null, "role": null})
        };
        json!({
            "id": 1, "signature": "", "group": null, "verdict": verdict, "reach": "referenced",
            "pages": 1, "bytes": 4096, "order": null, "estimate": null, "content": "mixed",
            "patterns": [], "owners": drivers.iter().map(owner).collect::<Vec<_>>(),
            "holders": [], "nodes": [], "evidence": [], "confidence": "possible",
            "known_issues": [], "sample_pfns": [],
        })
    }

    fn row(class: &str, pages: u64, counted: Option<u64>) -> Value {
        let counter = counted.map(|pages| json!({"name": "NR", "pages": pages}));
        json!({"class": class, "pages": pages, "bytes": 0, "counter": counter})
    }

    fn report() -> Value {
        json!({
            "schema": SCHEMA, "tool_version": "", "verdict": "lost", "complete": true,
            "host": {"name": null, "boot_id": null, "captured_at": null},
            "target": {
                "path": "", "format": "kdump", "kernel": "", "arch": "x86_64", "page_size": 4096,
                "pages": 17, "mem_total_bytes": 0, "dump_level": null,
                "coverage": {"present": 0, "excluded": 0, "absent": 0, "unreadable": 0, "outside": 0},
            },
            "ledger": [row("free", 7, Some(7)), row("slab", 5, Some(8)), row("raw", 5, None)],
            "unaccounted": {"pages": 0, "bytes": 0, "lost_pages": 0, "suspect_pages": 0,
                            "held_pages": 0, "unknown_pages": 0},
            "control": {"checked": 9, "missed": 1},
            "findings": [finding("lost", &[Some("e1000"), None]), finding("held", &[Some("other")])],
            "warnings": [],
            "timing": {"seconds": 0.0, "bytes_read": 0},
        })
    }

    /// The answer to a dump of a kernel of that release.
    pub(in crate::lab) fn of_kernel(release: &str) -> Answer {
        let mut report = report();
        report["target"]["kernel"] = json!(release);
        Answer {
            lost: BTreeSet::new(),
            allocators: BTreeMap::new(),
            owned: BTreeMap::new(),
            seconds: 0.0,
            report: parse(&report.to_string()).unwrap(),
        }
    }

    #[test]
    fn owners_are_those_of_lost_pages_and_the_ledger_what_differs() {
        let answer = of_kernel("6.1");
        assert_eq!(answer.control(), (1, 9));
        assert_eq!(answer.verdict(), "lost");
        assert_eq!(answer.drivers(), BTreeSet::from(["e1000"]));
        assert_eq!(answer.ledger(), [("slab", -3)]);
    }

    #[test]
    fn a_report_that_says_too_little_is_refused() {
        let with = |pointer: &str, value: Value| {
            let mut report = report();
            *report.pointer_mut(pointer).unwrap() = value;
            parse(&report.to_string())
        };
        assert!(with("/control/checked", json!(1)).is_ok());
        assert!(with("/control/checked", json!(0)).is_err());
        assert!(with("/schema", json!("pagehound.report/0")).is_err());
        assert!(with("/verdict", json!("guilty")).is_err());
        assert!(with("/control", json!({"missed": 0})).is_err());
        let mut incomplete = report();
        incomplete["verdict"] = json!("incomplete");
        incomplete["control"] = json!({"checked": 0, "missed": 0});
        assert!(parse(&incomplete.to_string()).is_ok());
    }
}
