//! Known leaks as text.

use super::number::count;
use super::page::{FAINT, LABEL, PLAIN, Page};
use super::table::{self, Column, Kind, Row};
use pagehound_known::{Affected, Backports, Basis, Leak, LookAlike, NotLost, in_order};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;

/// Releases that the list tells of an entry.
const RELEASES: usize = 3;

/// Up to this many entries are told in full.
const IN_FULL: usize = 3;

/// What `known --check` tells.
#[derive(Serialize)]
pub(crate) struct Check {
    pub(crate) schema: &'static str,
    pub(crate) target: String,
    /// Release, as `uname -r` prints it.
    pub(crate) kernel: String,
    /// The mainline or stable release it is made of.
    pub(crate) version: Option<String>,
    /// Whose kernel it is, where its version says nothing of its fixes.
    pub(crate) vendor: Option<&'static str>,
    /// Loaded modules.
    pub(crate) modules: usize,
    /// Drivers of network devices stand for modules that cannot be read.
    pub(crate) by_drivers: bool,
    /// Leaks of loaded modules.
    pub(crate) affected: Vec<Entry>,
    /// Leaks of code that every kernel has built in.
    pub(crate) built_in: Vec<Entry>,
}

/// A leak that the host can have.
#[derive(Serialize)]
pub(crate) struct Entry {
    fix: &'static str,
    subject: &'static str,
    /// The loaded module; none where the code is always built in.
    module: Option<&'static str>,
    what: &'static str,
    /// First release with the fix, by branch.
    fixed_in: BTreeMap<String, String>,
    /// Whether stable releases may have the fix although the list does not know.
    backports_unknown: bool,
}

impl From<Affected> for Entry {
    fn from(affected: Affected) -> Entry {
        let Affected { leak, module } = affected;
        Entry {
            fix: &leak.fix,
            subject: &leak.subject,
            module,
            what: &leak.what,
            fixed_in: leak.fixed_in(),
            backports_unknown: leak.backports == Backports::Unknown,
        }
    }
}

/// The list: in full where it is short.
pub(crate) fn list(leaks: &[&Leak], look_alikes: &[&LookAlike], page: &mut Page) -> io::Result<()> {
    if leaks.len() <= IN_FULL {
        for (number, leak) in leaks.iter().enumerate() {
            if number > 0 {
                page.gap()?;
            }
            in_full(leak, page)?;
        }
    } else {
        let rows: Vec<Row> = leaks
            .iter()
            .map(|leak| {
                row(vec![
                    leak.fix.clone(),
                    modules(leak),
                    releases(leak),
                    match leak.not_lost {
                        Some(why) => format!("{} ({})", leak.subject, not_lost_text(why)),
                        None => leak.subject.clone(),
                    },
                ])
            })
            .collect();
        table::print(&columns("MODULES", "FIXED IN"), &rows, page)?;
    }
    if !look_alikes.is_empty() {
        if !leaks.is_empty() {
            page.gap()?;
        }
        page.line(LABEL, "Not to be taken for a leak")?;
        for one in look_alikes {
            page.paragraph(2, PLAIN, &format!("{}: {}", one.name, one.why))?;
            page.paragraph(
                4,
                FAINT,
                &format!("told as {}; {}", one.instead, one.source),
            )?;
        }
    }
    Ok(())
}

fn in_full(leak: &Leak, page: &mut Page) -> io::Result<()> {
    page.line(LABEL, &format!("{}  {}", leak.fix, leak.subject))?;
    page.item(
        "In",
        &format!("{} (modules: {})", leak.subsystem, modules(leak)),
    )?;
    page.item("Lost", &leak.what)?;
    let basis = match leak.basis {
        Basis::Observed => "seen by somebody",
        Basis::Inferred => "by its code",
    };
    page.item("Mark", &format!("{} ({basis})", leak.fingerprint))?;
    if let Some(commit) = &leak.introduced_by {
        page.item("Since", commit)?;
    }
    let ranges: Vec<String> = leak.ranges.iter().map(ToString::to_string).collect();
    page.item("Kernels", &ranges.join(", "))?;
    page.item(
        "",
        "A..B: from A to B, which has it no more; a branch's own range counts for it",
    )?;
    page.item("Fixed in", &in_order(&leak.fixed_in()).join(", "))?;
    if leak.backports == Backports::Unknown {
        page.item("", "which stable releases have the fix is not on record")?;
    }
    if let Some(not_lost) = leak.not_lost {
        page.item("But", not_lost_text(not_lost))?;
    }
    page.item("Source", &leak.source)
}

/// Which leaks a host can have.
pub(crate) fn check(check: &Check, page: &mut Page) -> io::Result<()> {
    let what = match check.by_drivers {
        true => "driver of a network device (its modules cannot be read)",
        false => "loaded module",
    };
    let modules = match (check.modules, check.by_drivers) {
        (1, true) => format!("1 {what}"),
        (many, true) => format!("{many} drivers of network devices (its modules cannot be read)"),
        (many, false) => count(many as u64, what),
    };
    let number = count(check.affected.len() as u64, "known leak");
    let headline = match (&check.version, check.vendor) {
        _ if check.modules == 0 => format!(
            "{}: its modules are not known, so neither is which leaks they have",
            check.kernel
        ),
        (Some(version), _) if check.by_drivers && check.affected.is_empty() => format!(
            "{} (made of {version}): its modules cannot be read, so which leaks they have is not \
             known; none is of {}, which the log names",
            check.kernel,
            match check.modules {
                1 => "the driver of a network device".to_owned(),
                many => format!("the {many} drivers of network devices"),
            }
        ),
        (Some(version), _) if check.affected.is_empty() => format!(
            "none of the known leaks is in {} (made of {version}) with its {modules}",
            check.kernel
        ),
        (Some(version), _) => format!(
            "{} (made of {version}) with its {modules} can have {number}",
            check.kernel
        ),
        (None, Some(vendor)) => format!(
            "{} is a kernel of {vendor}: its version does not tell which fixes it has. For its \
             {modules}, fixes of {number} came to mainline after this kernel began: look for \
             these commits in its changelog; leaks of the kernel's own code are left out",
            check.kernel
        ),
        (None, None) => format!(
            "{}: which release this kernel is made of is not known, so neither is which leaks it has",
            check.kernel
        ),
    };
    page.paragraph(0, LABEL, &headline)?;
    let version = check.version.as_deref();
    if !check.affected.is_empty() {
        page.gap()?;
        entries(&check.affected, version, page)?;
    }
    if !check.built_in.is_empty() {
        page.gap()?;
        page.line(
            LABEL,
            "Besides, in the kernel's own code, whatever is loaded",
        )?;
        entries(&check.built_in, version, page)?;
    }
    page.gap()?;
    page.paragraph(
        0,
        FAINT,
        "A driver that is built into the kernel is not among its modules, and a module from \
         outside the kernel's tree has its own versions. `pagehound known COMMIT` tells more.",
    )
}

fn entries(entries: &[Entry], version: Option<&str>, page: &mut Page) -> io::Result<()> {
    let rows: Vec<Row> = entries
        .iter()
        .map(|entry| {
            row(vec![
                entry.fix.to_owned(),
                entry.module.unwrap_or("the kernel").to_owned(),
                fixed_for(entry, version),
                entry.subject.to_owned(),
            ])
        })
        .collect();
    table::print(&columns("MODULE", "FIXED IN"), &rows, page)
}

fn columns(modules: &'static str, fixed: &'static str) -> [Column; 4] {
    [
        Column {
            heading: "FIX",
            kind: Kind::Label { least: 12 },
        },
        Column {
            heading: modules,
            kind: Kind::Left { label: 12 },
        },
        Column {
            heading: fixed,
            kind: Kind::Left { label: 12 },
        },
        Column {
            heading: "SUBJECT",
            kind: Kind::Rest,
        },
    ]
}

fn row(cells: Vec<String>) -> Row {
    Row {
        style: PLAIN,
        cells,
    }
}

fn modules(leak: &Leak) -> String {
    match leak.modules.as_slice() {
        [] => "the kernel".to_owned(),
        some => some.join(", "),
    }
}

/// The mainline release with the fix.
fn latest(fixed_in: &BTreeMap<String, String>) -> String {
    fixed_in.get("mainline").cloned().unwrap_or_default()
}

/// The release to go to: of the kernel's own branch, or mainline's.
fn fixed_for(entry: &Entry, version: Option<&str>) -> String {
    let branch = version.map(|version| {
        let numbers: Vec<&str> = version.split('.').take(2).collect();
        numbers.join(".")
    });
    let own = branch.and_then(|branch| entry.fixed_in.get(&branch).cloned());
    match (own, entry.backports_unknown) {
        (Some(own), _) => own,
        (None, true) => format!("{} (or a stable one)", latest(&entry.fixed_in)),
        (None, false) => latest(&entry.fixed_in),
    }
}

/// The releases with the fix, the newest first, as far as a column has room.
fn releases(leak: &Leak) -> String {
    let fixed_in = leak.fixed_in();
    let releases = in_order(&fixed_in);
    let newest = releases.iter().rev().take(RELEASES).copied();
    let newest: Vec<&str> = newest.collect();
    let more = if releases.len() > RELEASES {
        ", \u{2026}"
    } else {
        ""
    };
    format!("{}{more}", newest.join(", "))
}

fn not_lost_text(not_lost: NotLost) -> &'static str {
    match not_lost {
        NotLost::InMap => "lost within a map of a fixed size: memory does not grow",
        NotLost::Counter => "only a counter is wrong: no page is lost",
        NotLost::Held => "held, and given back in the end",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_that_the_log_names_are_not_all_modules() {
        let told = Check {
            schema: "",
            target: String::new(),
            kernel: "6.1.5".to_owned(),
            version: Some("6.1.5".to_owned()),
            vendor: None,
            modules: 2,
            by_drivers: true,
            affected: Vec::new(),
            built_in: Vec::new(),
        };
        let text = crate::output::text(|page| check(&told, page)).unwrap();
        let text = String::from_utf8(text).unwrap();
        let begin = "6.1.5 (made of 6.1.5): its modules cannot be read, so which leaks they have";
        assert!(text.starts_with(begin), "{text}");
    }
}
