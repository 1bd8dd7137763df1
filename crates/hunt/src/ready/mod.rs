//! Whether a host could give evidence: of a crash, and while it runs. Files are read, and
//! nothing else is done.

mod config;
mod dump;
mod here;
mod kept;
mod records;
#[cfg(test)]
mod tests;

use pagehound_procfs::{Tree, Unread, read_line};
use serde::Serialize;

/// How a check ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is there.
    Ok,
    /// It is not.
    No,
    /// It cannot be told.
    Unknown,
}

/// One thing that evidence depends on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    /// Its name, which stays.
    pub name: &'static str,
    /// How it ended.
    pub state: State,
    /// Whether there is no evidence without it, or only less.
    pub needed: bool,
    /// What was found; one line.
    pub found: String,
    /// What to do about it; one line.
    #[serde(rename = "do")]
    pub advice: Option<String>,
}

impl Check {
    fn new(name: &'static str, state: State, found: impl Into<String>) -> Check {
        Check {
            name,
            state,
            needed: true,
            found: found.into(),
            advice: None,
        }
    }

    fn ok(name: &'static str, found: impl Into<String>) -> Check {
        Check::new(name, State::Ok, found)
    }

    fn no(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Check {
        Check {
            advice: Some(advice.into()),
            ..Check::new(name, State::No, found)
        }
    }

    fn unknown(name: &'static str, found: impl Into<String>) -> Check {
        Check::new(name, State::Unknown, found)
    }

    /// Without it there is less evidence, not none.
    fn optional(self) -> Check {
        Check {
            needed: false,
            ..self
        }
    }
}

/// Whether `/proc/kcore` of the running host can be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kcore {
    /// It can.
    Readable,
    /// Not by this user, who is not root: whether by root is not known.
    ForRoot,
    /// It cannot; one line that says why and what helps.
    Barred(String),
}

/// What is there, and what lacks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Readiness {
    /// Whether all that is needed is there.
    pub ready: bool,
    /// In the order in which they are told.
    pub checks: Vec<Check>,
    /// What changes what a dump can tell; sentences.
    pub notes: Vec<String>,
    /// What takes a dump, and crashes the host; none where there would be no dump.
    pub trigger: Option<&'static str>,
}

/// What crashes a host at once, for root: sysrq(8) of kernel-admin's guide.
const TRIGGER: &str = "echo c > /proc/sysrq-trigger";

/// Looks at the files of a host in `tree`. `kcore` is what became of opening it, if it is
/// the host this runs on; of another, disks and kcore are not looked at.
pub fn ready(tree: &dyn Tree, kcore: Option<Kcore>) -> Readiness {
    let here = kcore.is_some();
    let free = |folder: &str| here.then(|| here::free_bytes(folder)).flatten();
    assess(tree, kcore, &free)
}

/// The same with what `free` says of the bytes that are free in a folder.
fn assess(tree: &dyn Tree, kcore: Option<Kcore>, free: &dyn Fn(&str) -> Option<u64>) -> Readiness {
    let facts = Facts::of(tree);
    let saved = kcore.is_none();
    let mut checks = dump::checks(tree, &facts, free);
    checks.extend(here::checks(tree, kcore));
    checks.extend(records::checks(tree, &facts, saved));
    let loaded = |check: &Check| check.name == dump::LOADED && check.state == State::Ok;
    let can_trigger = tree.read("proc/sysrq-trigger", 0) != Err(Unread::NotThere);
    Readiness {
        ready: checks
            .iter()
            .all(|check| !check.needed || check.state == State::Ok),
        trigger: (can_trigger && checks.iter().any(loaded)).then_some(TRIGGER),
        notes: notes(tree, &facts),
        checks,
    }
}

/// What several checks ask for.
struct Facts {
    /// Words of the kernel's command line.
    cmdline: Vec<String>,
    config: Option<config::Config>,
}

impl Facts {
    fn of(tree: &dyn Tree) -> Facts {
        let cmdline = read_line(tree, "proc/cmdline").unwrap_or_default();
        let words = cmdline.split_ascii_whitespace().map(str::to_owned);
        Facts {
            cmdline: words.collect(),
            config: config::read(tree),
        }
    }

    /// What the last parameter of that name is set to.
    fn parameter(&self, name: &str) -> Option<&str> {
        let mut words = self.cmdline.iter().rev();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    fn is_set(&self, name: &str) -> bool {
        matches!(self.parameter(name), Some("1" | "on" | "y" | "Y"))
            || self.cmdline.iter().any(|word| word == name)
    }
}

/// What of the kernel's settings changes what a dump tells.
fn notes(tree: &dyn Tree, facts: &Facts) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |text: &str| notes.push(text.to_owned());
    if read_line(tree, "proc/sys/kernel/panic_on_oops").as_deref() == Some("0") {
        note(
            "panic_on_oops is 0: an oops ends a process and leaves no dump; `sysctl kernel.panic_on_oops=1` makes it a crash",
        );
    }
    if facts.is_set("crash_kexec_post_notifiers") {
        note(
            "crash_kexec_post_notifiers: drivers are told of the panic before the dump is taken, and one that hangs leaves none",
        );
    }
    if facts.is_set("init_on_free") || facts.is_set("page_poison") {
        note(
            "init_on_free or page_poison: free pages hold nothing; lost pages are not free and keep what they hold",
        );
    }
    if tree.read(".dockerenv", 0).is_ok() || tree.read("run/.containerenv", 0).is_ok() {
        note("these are a container's files: look on the host itself");
    }
    notes
}
