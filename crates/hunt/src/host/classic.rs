//! The formula people work out by hand from a saved `/proc/meminfo`.

use super::facts::Facts;
use super::terms::{Term, terms, unaccounted_kb};
use super::vmalloc::vmalloc;
use super::{HostError, HostFiles};
use serde::Serialize;

/// What a step does to the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Sign {
    /// Starts the sum.
    #[serde(rename = "+")]
    Plus,
    /// Is subtracted.
    #[serde(rename = "-")]
    Minus,
    /// Is the sum so far.
    #[serde(rename = "=")]
    Equals,
}

/// One line of the formula.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Name in the formula, for example `VmallocUsed`.
    pub name: &'static str,
    /// Value, kB; never negative unless `sign` is `=`.
    pub kb: i64,
    /// What happens to it.
    pub sign: Sign,
    /// Where it comes from, for example `meminfo MemTotal`.
    pub source: String,
}

/// Something the formula misses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The term it belongs to.
    pub name: &'static str,
    /// What it adds to the formula's result, kB; negative where the formula calls
    /// memory unaccounted that a counter has.
    pub kb: i64,
    /// File and field of the right figure.
    pub source: String,
    /// Why.
    pub text: String,
}

/// The formula, step by step, and what it misses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Classic {
    /// The lines in order. Two are sums: `MemKernel` and, last, `UnaccountedPages`.
    pub steps: Vec<Step>,
    /// Memory the kernel has for itself: neither free nor user's nor cache.
    pub mem_kernel_kb: i64,
    /// The part of it that no counter shows, by the formula.
    pub unaccounted_kb: i64,
    /// The same in pages, rounded towards 0.
    pub unaccounted_pages: i64,
    /// Bytes in a page.
    pub page_size: u64,
    /// How the page size is known.
    pub page_size_source: &'static str,
    /// What the formula misses, the largest first.
    pub missed: Vec<Note>,
    /// `unaccounted_kb` plus the `kb` of all of `missed`: the `unaccounted` row of the
    /// host's ledger.
    pub corrected_kb: i64,
    /// What was left out of the input or is missing, and figures that are no rows.
    pub notes: Vec<String>,
}

/// Works the formula out:
/// MemKernel = MemTotal - Buffers - Cached - AnonPages - HugePages_Total * Hugepagesize -
/// MemFree; UnaccountedPages = MemKernel - (Slab + VmallocUsed + PageTables + KernelStack +
/// HardwareCorrupted + Bounce).
///
/// # Errors
/// There is no meminfo, or it lacks what nothing can be said without.
pub fn classic(files: &HostFiles) -> Result<Classic, HostError> {
    let mut facts = Facts::new(files)?;
    let (terms, notes) = terms(&mut facts);
    let mut sum = Sum::default();
    let meminfo = |name: &str| format!("meminfo {name}");
    sum.step(
        "MemTotal",
        facts.mem_total_kb,
        Sign::Plus,
        meminfo("MemTotal"),
    );
    for name in ["Buffers", "Cached", "AnonPages"] {
        sum.step(name, facts.kb(name), Sign::Minus, meminfo(name));
    }
    let huge = terms.iter().find(|term| term.name == "huge pages");
    sum.step(
        "HugePages_Total x Hugepagesize",
        huge.map_or(0, |term| term.classic_kb),
        Sign::Minus,
        format!(
            "meminfo {} x {} kB",
            facts.info.count("HugePages_Total").unwrap_or(0),
            facts.kb("Hugepagesize")
        ),
    );
    sum.step(
        "MemFree",
        facts.mem_free_kb,
        Sign::Minus,
        meminfo("MemFree"),
    );
    let mem_kernel_kb = sum.equals("MemKernel");
    sum.step("Slab", facts.kb("Slab"), Sign::Minus, meminfo("Slab"));
    let vmalloc = vmalloc(&facts);
    sum.step(
        "VmallocUsed",
        vmalloc.classic_kb,
        Sign::Minus,
        vmalloc.classic_source,
    );
    for name in ["PageTables", "KernelStack", "HardwareCorrupted", "Bounce"] {
        sum.step(name, facts.kb(name), Sign::Minus, meminfo(name));
    }
    let formula_kb = sum.equals("UnaccountedPages");
    Ok(Classic {
        steps: sum.steps,
        mem_kernel_kb,
        unaccounted_kb: formula_kb,
        unaccounted_pages: formula_kb / facts.pages_kb(1).max(1),
        page_size: facts.page.kb * 1024,
        page_size_source: facts.page.source,
        missed: missed(&terms),
        corrected_kb: unaccounted_kb(&facts, &terms),
        notes: facts
            .notes
            .into_iter()
            .chain(notes)
            .chain(files.absent())
            .collect(),
    })
}

/// The terms the formula has no figure for, or not the right one.
fn missed(terms: &[Term]) -> Vec<Note> {
    let mut missed: Vec<_> = terms
        .iter()
        .filter(|term| term.kb != term.classic_kb)
        .map(|term| Note {
            name: term.name,
            kb: term.classic_kb - term.kb,
            source: term.source.clone(),
            text: term.note.clone().unwrap_or_default(),
        })
        .collect();
    missed.sort_by_key(|note| std::cmp::Reverse(note.kb.abs()));
    missed
}

/// A sum that keeps its steps.
#[derive(Default)]
struct Sum {
    steps: Vec<Step>,
    kb: i64,
}

impl Sum {
    fn step(&mut self, name: &'static str, kb: i64, sign: Sign, source: String) {
        match sign {
            Sign::Plus => self.kb += kb,
            Sign::Minus => self.kb -= kb,
            Sign::Equals => {}
        }
        self.steps.push(Step {
            name,
            kb,
            sign,
            source,
        });
    }

    fn equals(&mut self, name: &'static str) -> i64 {
        self.step(
            name,
            self.kb,
            Sign::Equals,
            "sum of the lines above".to_owned(),
        );
        self.kb
    }
}
