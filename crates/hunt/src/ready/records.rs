//! Whether the kernel writes down who allocates.

use pagehound_procfs::{Tree, read_line, read_number};

use super::{Check, Facts};

/// Longest configuration of a kernel: a third of it in distributions.
const MOST: u64 = 1 << 20;

/// Of files that are `saved`, one that is not there says nothing.
pub(super) fn checks(tree: &dyn Tree, facts: &Facts, saved: bool) -> Vec<Check> {
    let built = Built::of(tree);
    vec![
        page_owner(facts, &built).optional(),
        profiling(tree, &built, saved).optional(),
    ]
}

/// The configuration the kernel was built with, where distributions keep it.
struct Built(Option<String>);

impl Built {
    fn of(tree: &dyn Tree) -> Built {
        let release = read_line(tree, "proc/sys/kernel/osrelease");
        let text = release.and_then(|release| {
            // A name, not a path.
            let release = release.rsplit('/').next()?;
            tree.read(&format!("boot/config-{release}"), MOST).ok()
        });
        Built(text.map(|text| String::from_utf8_lossy(&text.bytes).into_owned()))
    }

    /// Whether it has `option`; none where that is not known.
    fn has(&self, option: &str) -> Option<bool> {
        let text = self.0.as_deref()?;
        Some(
            text.lines()
                .any(|line| line.strip_prefix(option) == Some("=y")),
        )
    }
}

fn page_owner(facts: &Facts, built: &Built) -> Check {
    const NAME: &str = "page owner";
    const OPTION: &str = "CONFIG_PAGE_OWNER";
    if built.has(OPTION) == Some(false) {
        let advice = format!("a kernel with {OPTION} names who allocated each page");
        return Check::no(NAME, "the kernel is built without it", advice);
    }
    if facts.is_set("page_owner") {
        return Check::ok(NAME, "the kernel keeps who allocated each page");
    }
    let advice = match built.has(OPTION) {
        Some(true) => "boot with page_owner=on to have allocators named".to_owned(),
        _ => {
            format!("boot with page_owner=on, if the kernel has {OPTION}, to have allocators named")
        }
    };
    Check::no(NAME, "off", advice)
}

fn profiling(tree: &dyn Tree, built: &Built, saved: bool) -> Check {
    const NAME: &str = "allocation profiling";
    const OPTION: &str = "CONFIG_MEM_ALLOC_PROFILING";
    match read_number(tree, "proc/sys/vm/mem_profiling") {
        Some(1) => Check::ok(
            NAME,
            "the kernel counts what each line of its code has allocated",
        ),
        Some(_) => Check::no(
            NAME,
            "off",
            "sysctl.vm.mem_profiling=1 on the kernel's command line, to have all from the start",
        ),
        None if built.has(OPTION) == Some(true) => Check::no(
            NAME,
            "turned off for good",
            "sysctl.vm.mem_profiling=1 on the kernel's command line",
        ),
        None if saved && built.has(OPTION).is_none() => {
            Check::unknown(NAME, "of these saved files it cannot be told")
        }
        None => Check::no(
            NAME,
            "the kernel is built without it",
            format!("a kernel since 6.10 with {OPTION} names the lines that allocate"),
        ),
    }
}
