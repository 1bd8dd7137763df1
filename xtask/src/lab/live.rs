//! What pagehound in a guest says of the guest it runs in, against what it says here
//! of the dump taken right after.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use pagehound_testdata::Truth;
use serde_json::Value;

use super::answer::{self, Binary};
use super::cache;
use super::frames::Mac;
use super::score::check_kernel;

/// What the guest gets beyond its scenario's memory, in MiB: the program, which stays
/// in the initrd's memory, and what it works in.
pub(super) const EXTRA: u32 = 128;
/// Where the section of an answer begins in what the guest reports.
const SECTION: &str = "== live-";
/// The answers that are scored as those to a dump are.
const REPORT: &str = "diagnose";
const PAGES: &str = "pages";
/// How the first is asked for.
const ASK_REPORT: &str = "diagnose @ --json --fail-on never";
/// The capture that the guest leaves in its `/tmp`, and that is read here.
const CAPTURE: &str = "guest.phc";
/// The kind of planted pages that frames were received into.
const FRAMES: u32 = 1;

/// Holds what the guest said against what the dump says; tells what was compared.
type Compare = fn(&str, &str, &Truth) -> Result<String>;

/// Something that is asked: in the guest of `live`, and here of the dump.
struct Question {
    name: &'static str,
    /// The command line; `@` stands for the target, `%` for the guest's MAC address.
    ask: &'static str,
    /// None where the status is all that is compared.
    compare: Option<Compare>,
    /// The status that the guest's pagehound must end with.
    status: i32,
}

/// What a guest is asked of itself.
const QUESTIONS: [Question; 11] = [
    // First: the kernel makes the boot's id when it is first asked for it.
    Question {
        name: "counters",
        ask: "ledger @",
        compare: None,
        status: 0,
    },
    Question {
        name: REPORT,
        ask: ASK_REPORT,
        compare: Some(lost),
        status: 0,
    },
    Question {
        name: PAGES,
        ask: "pages @ --format jsonl --allocators",
        compare: Some(pages),
        status: 0,
    },
    Question {
        name: "capture",
        ask: "capture @ -o /tmp/guest.phc",
        compare: None,
        status: 0,
    },
    Question {
        name: "info",
        ask: "info @ --json",
        compare: Some(info),
        status: 0,
    },
    Question {
        name: "log",
        ask: "log @",
        compare: Some(log),
        status: 0,
    },
    Question {
        name: "net",
        ask: "net @ --json",
        compare: Some(net),
        status: 0,
    },
    // By more threads than the guest has processors: they share no open file of kcore.
    Question {
        name: "search",
        ask: "search @ --mac % --physical --threads 4",
        compare: Some(search),
        status: 0,
    },
    Question {
        name: "read",
        ask: "read @ _stext 4096",
        compare: Some(read),
        status: 0,
    },
    Question {
        name: "nobody",
        ask: "info @",
        compare: None,
        status: 2,
    },
    Question {
        name: "nobody-counters",
        ask: "diagnose @",
        compare: None,
        status: 0,
    },
];

impl Question {
    /// The command line for the guest.
    fn line(&self, mac: Mac) -> String {
        self.ask.replace('@', "live").replace('%', &mac.to_string())
    }
}

/// The guest's `/live`: a name and a command line each; those of names that begin with
/// `nobody` are not asked by root.
pub(super) fn questions(mac: Mac) -> String {
    QUESTIONS
        .iter()
        .map(|question| format!("{} {}\n", question.name, question.line(mac)))
        .collect()
}

/// Puts the answers in what the guest reports into files of `dir`, and returns the
/// rest, the truth.
pub(super) fn keep(report: &str, dir: &Path) -> Result<String> {
    if dir.exists() {
        fs::remove_dir_all(dir).context("cannot remove earlier answers")?;
    }
    cache::create(dir)?;
    let mut truth = String::new();
    let mut answer: Option<(String, String)> = None;
    let write = |answer: Option<(String, String)>| match answer {
        Some((name, text)) => fs::write(dir.join(&name), text)
            .with_context(|| format!("cannot write the answer {name}")),
        None => Ok(()),
    };
    for line in report.lines() {
        if line.starts_with("== ") {
            write(answer.take())?;
            answer = line
                .strip_prefix(SECTION)
                .and_then(|heading| heading.split(' ').next())
                .map(|name| (name.to_owned(), String::new()));
        }
        match &mut answer {
            Some((_, text)) => *text += &format!("{line}\n"),
            None => truth += &format!("{line}\n"),
        }
    }
    write(answer)?;
    Ok(truth)
}

/// An answer of the guest's pagehound.
struct Answer {
    status: i32,
    said: String,
    /// What it said on standard error.
    noted: Vec<String>,
}

impl Answer {
    /// Reads a section: a heading with name and status, lines of standard output behind
    /// a blank, those of standard error behind a `!`.
    fn read(dir: &Path, name: &str) -> Result<Self> {
        let text = fs::read_to_string(dir.join(name))
            .with_context(|| format!("the guest left no answer {name}"))?;
        let (heading, lines) = text.split_once('\n').unwrap_or((&text, ""));
        let status = heading.rsplit(' ').next().unwrap_or_default();
        let status = status
            .parse()
            .with_context(|| format!("the answer {name} has no status"))?;
        let of = |mark: char| {
            lines
                .lines()
                .filter_map(move |line| line.strip_prefix(mark))
        };
        Ok(Self {
            status,
            said: of(' ').flat_map(|line| [line, "\n"]).collect(),
            noted: of('!').map(str::to_owned).collect(),
        })
    }
}

/// Compares all answers in `dir` with what `dump` says, and what they say of pages with
/// the truth. Returns what the guest said, as a dump's answer.
///
/// # Errors
/// With every answer that differs.
pub(super) fn compare(
    binary: &Binary,
    dir: &Path,
    dump: &Path,
    truth: &Truth,
    mac: Mac,
) -> Result<answer::Answer> {
    println!("{}", dir.display());
    let mut wrong = Vec::new();
    for question in &QUESTIONS {
        let name = question.name;
        let result = one(question, binary, dir, dump, truth, mac);
        match &result {
            Ok(told) => println!("  live  {name:<16} {told}"),
            Err(error) => {
                println!("  live  {name:<16} WRONG: {error:#}");
                wrong.push(name);
            }
        }
    }
    match captured(binary, dir, dump, truth) {
        Ok(told) => println!("  live  {CAPTURE:<16} {told}"),
        Err(error) => {
            println!("  live  {CAPTURE:<16} WRONG: {error:#}");
            wrong.push(CAPTURE);
        }
    }
    ensure!(
        wrong.is_empty(),
        "live and dump differ: {}",
        wrong.join(", ")
    );
    let said = |name| Answer::read(dir, name).map(|answer| answer.said);
    let answer = answer::Answer::told(&said(REPORT)?, &said(PAGES)?)?;
    check_kernel(truth, &answer)?;
    Ok(answer)
}

fn one(
    question: &Question,
    binary: &Binary,
    dir: &Path,
    dump: &Path,
    truth: &Truth,
    mac: Mac,
) -> Result<String> {
    let answer = Answer::read(dir, question.name)?;
    let notes = answer.noted.join(" | ");
    ensure!(
        answer.status == question.status,
        "ended with {} instead of {}: {notes}",
        answer.status,
        question.status
    );
    let Some(compare) = question.compare else {
        // One line says why there is no more.
        ensure!(answer.noted.len() <= 1, "more than a line: {notes}");
        return Ok(format!("as it should be: {notes}"));
    };
    let said = ask(binary, question.ask, dump, &mac.to_string())?;
    compare(&answer.said, &said, truth)
}

/// What pagehound says here, of a dump or a capture.
fn ask(binary: &Binary, line: &'static str, target: &Path, mac: &str) -> Result<String> {
    let word = |word: &'static str| match word {
        "@" => target.as_os_str(),
        "%" => OsStr::new(mac),
        word => OsStr::new(word),
    };
    let output = Command::new(binary.path()?)
        .args(line.split(' ').map(word))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .context("cannot start pagehound")?;
    String::from_utf8(output.stdout).context("pagehound printed no UTF-8")
}

/// What the guest's capture says here of what is lost, as the dump is held against it.
fn captured(binary: &Binary, dir: &Path, dump: &Path, truth: &Truth) -> Result<String> {
    let capture = bytes(&Answer::read(dir, CAPTURE)?.said)?;
    let path = dir.with_extension("phc");
    fs::write(&path, &capture).context("cannot write the guest's capture")?;
    let report = |target| ask(binary, ASK_REPORT, target, "");
    let told = lost(&report(&path)?, &report(dump)?, truth)?;
    Ok(format!("{} KiB: {told}", capture.len() / 1024))
}

/// The bytes of a file that the guest wrote in hexadecimal digits.
fn bytes(digits: &str) -> Result<Vec<u8>> {
    let digits: Vec<u8> = digits
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let byte =
        |pair: &[u8]| -> Result<u8> { Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?) };
    digits
        .chunks(2)
        .map(byte)
        .collect::<Result<_>>()
        .context("no hexadecimal digits")
}

/// What does not change while a kernel runs.
fn info(live: &str, dump: &str, _: &Truth) -> Result<String> {
    const SAME: [&str; 10] = [
        "/arch",
        "/page_size",
        "/release",
        "/host",
        "/kernel/version",
        "/kernel/build_id",
        "/kernel/boot_id",
        "/kernel/symbols",
        "/kernel/btf_types",
        "/kernel/direct_map",
    ];
    let (live, dump) = (json(live)?, json(dump)?);
    for field in SAME {
        let (live, dump) = (live.pointer(field), dump.pointer(field));
        ensure!(
            live.is_some() && live == dump,
            "{field}: {live:?}, the dump says {dump:?}"
        );
    }
    // A kernel that crashes adds CRASHTIME.
    let keys = |info: &Value| {
        info.pointer("/kernel/vmcoreinfo_keys")
            .and_then(Value::as_u64)
    };
    let more = keys(&dump)
        .zip(keys(&live))
        .and_then(|(dump, live)| dump.checked_sub(live));
    ensure!(
        matches!(more, Some(0 | 1)),
        "{more:?} keys of VMCOREINFO more in the dump"
    );
    let modules = |info: &Value| {
        let modules = info.pointer("/kernel/modules").and_then(Value::as_array);
        modules.map(|modules| {
            modules
                .iter()
                .map(Value::to_string)
                .collect::<BTreeSet<_>>()
        })
    };
    // A guest that is to crash loads those of the folder it shares once more.
    let of_live = modules(&live).context("no modules")?;
    let of_dump = modules(&dump).context("the dump has no modules")?;
    ensure!(
        !of_live.is_empty() && of_live.is_subset(&of_dump),
        "modules {of_live:?}, the dump says {of_dump:?}"
    );
    ensure!(
        live["format"] == "live" && live["warnings"] == Value::Array(Vec::new()),
        "warnings: {}",
        live["warnings"]
    );
    Ok(format!(
        "{} symbols, {} types",
        live["kernel"]["symbols"], live["kernel"]["btf_types"]
    ))
}

/// What is lost, to one page in a hundred of what was planted, and whose it is.
fn lost(live: &str, dump: &str, truth: &Truth) -> Result<String> {
    let (live, dump) = (json(live)?, json(dump)?);
    let count = |report: &Value| report["unaccounted"]["lost_pages"].as_u64();
    let drivers = |report: &Value| -> BTreeSet<String> {
        let findings = report["findings"].as_array().into_iter().flatten();
        let lost = findings.filter(|finding| finding["verdict"] == "lost");
        let owners = lost.flat_map(|finding| finding["owners"].as_array().into_iter().flatten());
        let drivers = owners.filter_map(|owner| owner["driver"].as_str());
        drivers.map(str::to_owned).collect()
    };
    let planted = truth.lost().len() as u64;
    let found = count(&live).context("no report")?;
    ensure!(
        found.abs_diff(planted) * 100 <= planted.max(100),
        "{found} pages lost of {planted} planted, in the dump {:?}; {}",
        count(&dump),
        live["warnings"]
    );
    ensure!(
        drivers(&live) == drivers(&dump),
        "lost in {:?}, in the dump in {:?}",
        drivers(&live),
        drivers(&dump)
    );
    Ok(format!(
        "{found} of {planted} pages lost, control {} of {} missed, {} s; {}",
        live["control"]["missed"],
        live["control"]["checked"],
        live["timing"]["seconds"],
        live["warnings"]
    ))
}

/// All frames, in either.
fn pages(live: &str, dump: &str, _: &Truth) -> Result<String> {
    let frames = |text: &str| -> Result<u64> {
        text.lines()
            .map(|line| {
                let row = json(line)?;
                row["count"].as_u64().context("a row without a count")
            })
            .sum()
    };
    let (live, dump) = (frames(live)?, frames(dump)?);
    ensure!(
        live > 0 && live == dump,
        "{live} frames, in the dump {dump}"
    );
    Ok(format!("{live} frames"))
}

/// A log only grows, in a guest that lives for a minute.
fn log(live: &str, dump: &str, _: &Truth) -> Result<String> {
    let lines = live.lines().count();
    let other = live
        .lines()
        .zip(dump.lines())
        .find(|(live, dump)| live != dump);
    ensure!(other.is_none(), "lines differ: {other:?}");
    ensure!(
        lines > 0 && lines <= dump.lines().count(),
        "{lines} lines, too many or none"
    );
    Ok(format!("{lines} lines"))
}

/// Devices, but for their counters.
fn net(live: &str, dump: &str, _: &Truth) -> Result<String> {
    let devices = |text| -> Result<Vec<Value>> {
        let mut answer = json(text)?;
        let devices = answer["devices"].as_array_mut().context("no devices")?;
        for device in &mut *devices {
            for counter in ["rx_packets", "tx_packets"] {
                device[counter] = Value::Null;
            }
        }
        Ok(devices.clone())
    };
    let (live, dump) = (devices(live)?, devices(dump)?);
    ensure!(
        !live.is_empty() && live == dump,
        "{live:?}, the dump says {dump:?}"
    );
    Ok(format!("{} devices", live.len()))
}

/// Every page that was planted with a frame is found, and found by both.
/// Elsewhere the search finds what it looks for in its own memory.
fn search(live: &str, dump: &str, truth: &Truth) -> Result<String> {
    let planted = truth.pages(FRAMES);
    let found = |text: &str| -> BTreeSet<u64> {
        let address = |line: &str| u64::from_str_radix(line.split_once(':')?.0, 16).ok();
        let frames = text
            .lines()
            .filter_map(address)
            .map(|address| address >> 12);
        frames.filter(|frame| planted.contains(frame)).collect()
    };
    if planted.is_empty() {
        return Ok("no received frames are planted".to_owned());
    }
    let (live, dump) = (found(live), found(dump));
    ensure!(!dump.is_empty(), "the dump has none");
    ensure!(
        live == dump,
        "{} planted pages, in the dump {}; not in both {:x?}",
        live.len(),
        dump.len(),
        live.symmetric_difference(&dump).take(8).collect::<Vec<_>>()
    );
    Ok(format!("{} of {} planted pages", live.len(), planted.len()))
}

/// The kernel's code.
fn read(live: &str, dump: &str, _: &Truth) -> Result<String> {
    let lines = live.lines().count();
    let differ = live
        .lines()
        .zip(dump.lines())
        .filter(|(live, dump)| live != dump);
    let differ = differ.count() + lines.abs_diff(dump.lines().count());
    ensure!(lines > 0 && differ == 0, "{differ} of {lines} lines differ");
    Ok(format!("{lines} lines"))
}

fn json(text: &str) -> Result<Value> {
    serde_json::from_str(text).context("no JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_the_truth_they_come_with() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("frames.live");
        let report = "== meminfo\nMemTotal: 1 kB\n== live-info 0\n {\n }\n!one note\n\
                      == live-nobody 2\n!refused\n== planted\n1 2 3\n== end\n";
        let truth = keep(report, &dir).unwrap();
        assert_eq!(
            truth,
            "== meminfo\nMemTotal: 1 kB\n== planted\n1 2 3\n== end\n"
        );
        let answer = Answer::read(&dir, "info").unwrap();
        assert_eq!((answer.status, answer.said.as_str()), (0, "{\n}\n"));
        assert_eq!(answer.noted, ["one note"]);
        assert_eq!(Answer::read(&dir, "nobody").unwrap().status, 2);
        assert!(Answer::read(&dir, "log").is_err());
    }

    #[test]
    fn a_file_comes_out_of_the_guest_as_digits() {
        assert_eq!(
            bytes("28b52ffd\n00ff  \n").unwrap(),
            b"\x28\xb5\x2f\xfd\x00\xff"
        );
        assert!(bytes("28b5zz").is_err());
    }

    #[test]
    fn a_log_that_another_kernel_wrote_is_no_beginning_of_the_dumps() {
        let truth = Truth::parse("== planted\n== end\n").unwrap();
        assert!(log("a\nb\n", "a\nb\nc\n", &truth).is_ok());
        assert!(log("a\nx\n", "a\nb\nc\n", &truth).is_err());
        assert!(log("a\nb\nc\n", "a\nb\n", &truth).is_err());
        assert!(log("", "a\n", &truth).is_err());
    }
}
