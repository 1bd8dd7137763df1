//! The binary as a shell sees it: what it prints, where, and its status.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use assert_cmd::Command;
use pagehound_testdata::demo;
use std::path::{Path, PathBuf};

/// What the demo's guest said of itself.
fn truth() -> PathBuf {
    demo().with_extension("truth.txt")
}

struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

fn pagehound<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    let output = Command::cargo_bin("pagehound")
        .unwrap()
        .args(args)
        .output()
        .unwrap();
    Ran {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn help_of_every_command() {
    let definition = pagehound::args::Cli::definition();
    let mut texts = pagehound(["--help"]).stdout;
    for command in definition.get_subcommands() {
        let ran = pagehound([command.get_name(), "--help"]);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
        assert!(
            ran.stdout.contains("Examples:"),
            "{} has no examples",
            command.get_name()
        );
        texts += &format!("\n--- {} ---\n{}", command.get_name(), ran.stdout);
    }
    insta::assert_snapshot!(texts);
}

#[test]
fn a_path_that_does_not_exist_suggests_and_never_falls_back_to_live() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vmcore.db7"), "x").unwrap();
    let ran = pagehound([folder.path().join("vmcore.bd7")]);
    assert_eq!((ran.status, ran.stdout.as_str()), (2, ""));
    let suggestion = format!(
        "did you mean `{}`?\n",
        folder.path().join("vmcore.db7").display()
    );
    assert!(ran.stderr.ends_with(&suggestion), "{}", ran.stderr);
}

#[test]
fn a_mistyped_command_is_taken_for_a_path_and_told_apart() {
    let ran = pagehound(["serach"]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("`pagehound search`"), "{}", ran.stderr);
}

#[test]
fn a_mistyped_command_with_arguments_is_told_too() {
    for (line, command) in [
        ("serach 0000383e43966e24 vmcore -m ffff", "search"),
        ("--color never serch vmcore --text x", "search"),
    ] {
        let ran = pagehound(line.split(' '));
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{line}");
        let said = format!("did you mean `{command}`?");
        assert!(ran.stderr.contains(&said), "{line}: {}", ran.stderr);
    }
    // This may be a dump in two files.
    let ran = pagehound(["diagnos", "vmcore"]);
    let said = "diagnos: there is no such file; did you mean the command `pagehound diagnose`?";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    let ran = pagehound(["diagnose", "vmcore", "vmcore"]);
    assert!(!ran.stderr.contains("did you mean"), "{}", ran.stderr);
}

#[test]
fn a_pattern_before_the_target_is_told() {
    let dump = demo();
    let ran = pagehound([
        "search".as_ref(),
        "0000383e43966e24".as_ref(),
        dump.as_os_str(),
    ]);
    assert_eq!(ran.status, 2);
    let right = format!("`pagehound search {} 0000383e43966e24`", dump.display());
    assert!(ran.stderr.contains(&right), "{}", ran.stderr);
    for (command, place) in [("why", "0x12"), ("read", "ffff880100400000")] {
        let ran = pagehound([command.as_ref(), place.as_ref(), dump.as_os_str()]);
        let right = format!(
            "the target stands first, as in `pagehound {command} {} {place}`",
            dump.display()
        );
        assert!(ran.stderr.contains(&right), "{}", ran.stderr);
    }
}

#[test]
fn options_of_other_commands_are_not_taken_for_values() {
    for (line, tip) in [
        (
            "vmcore --physical",
            "of `pagehound why`, `pagehound search`, `pagehound read`\n",
        ),
        (
            "ledger vmcore -w",
            "'-w' is an option of `pagehound search`\n",
        ),
        (
            "search vmcore --physicl 1",
            "a similar argument exists: '--physical'\n",
        ),
    ] {
        let ran = pagehound(line.split(' '));
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{line}");
        assert!(ran.stderr.contains(tip), "{line}: {}", ran.stderr);
        assert!(!ran.stderr.contains("-- -"), "{line}: {}", ran.stderr);
    }
    let ran = pagehound(["ledger", "vmcore", "--nobody-has-this"]);
    assert!(!ran.stderr.contains("tip:"), "{}", ran.stderr);
}

#[test]
fn errors_of_several_lines_stay_readable() {
    let demo = demo();
    let search = |pattern: &str| {
        let args = ["search".as_ref(), demo.as_os_str(), "--regex".as_ref()];
        pagehound(args.into_iter().chain([pattern.as_ref()]))
    };
    let ran = search("ab(");
    assert_eq!(ran.status, 2);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!(lines.len() > 2, "{}", ran.stderr);
    assert!(
        lines[0].starts_with("pagehound: regular expression `ab(`"),
        "{lines:?}"
    );
    assert!(
        lines[1..].iter().all(|line| line.starts_with("  ")),
        "{lines:?}"
    );
    let place = lines.iter().find(|line| line.trim() == "^").unwrap();
    let text = lines.iter().find(|line| line.trim() == "ab(").unwrap();
    assert_eq!(place.find('^'), text.find('('), "{lines:?}");
    let ran = search("\x1b[2J(");
    assert!(ran.stderr.contains("\\x1b[2J("), "{}", ran.stderr);
    assert!(!ran.stderr.contains('\x1b'), "{}", ran.stderr);
}

/// Runs with standard output on a device that takes nothing.
fn into_full_device(args: &[&std::ffi::OsStr]) -> (i32, String) {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = std::process::Command::new(assert_cmd::cargo::cargo_bin("pagehound"))
        .args(args)
        .stdout(full)
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let (demo, truth) = (demo(), truth());
    let (demo, truth) = (demo.as_os_str(), truth.as_os_str());
    for args in [
        &["--help".as_ref()][..],
        &["search".as_ref(), "--help".as_ref()],
        &["--version".as_ref()],
        &["--json".as_ref(), truth],
        &[truth],
        &["info".as_ref(), demo],
        &["log".as_ref(), demo],
        &[
            "search".as_ref(),
            demo,
            "--text".as_ref(),
            "Linux version".as_ref(),
        ],
        &[
            "info".as_ref(),
            "--json".as_ref(),
            "/nowhere/vmcore".as_ref(),
        ],
    ] {
        let (status, stderr) = into_full_device(args);
        assert_eq!(status, 2, "{args:?}: {stderr}");
        assert!(
            stderr.contains("pagehound: standard output: No space left on device"),
            "{args:?}: {stderr}"
        );
    }
}

#[test]
fn what_is_no_dump_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let text = folder.path().join("text");
    std::fs::write(&text, "hello\n").unwrap();
    for path in [folder.path(), &empty, &text] {
        for command in ["diagnose", "info", "ledger"] {
            let ran = pagehound([command.as_ref(), path.as_os_str()]);
            assert_eq!(
                (ran.status, ran.stdout.as_str()),
                (2, ""),
                "{command} {}",
                path.display()
            );
            assert!(
                ran.stderr
                    .starts_with(&format!("pagehound: {}: ", path.display())),
                "{}",
                ran.stderr
            );
        }
    }
}

#[test]
fn what_the_system_says_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let meminfo = folder.path().join("meminfo");
    std::fs::write(&meminfo, "MemTotal: 1 kB\nMemFree: x kB\n").unwrap();
    let ran = pagehound(["ledger".as_ref(), meminfo.as_os_str()]);
    let (place, problem) = ran.stderr.trim_end().split_once("meminfo: ").unwrap();
    assert!(place.starts_with("pagehound: "), "{}", ran.stderr);
    let half = problem.split(": ").next().unwrap();
    assert_eq!(problem.matches(half).count(), 1, "{}", ran.stderr);
}

#[test]
fn of_a_small_rest_it_is_asked_whether_it_grows() {
    let folder = tempfile::tempdir().unwrap();
    let meminfo = folder.path().join("meminfo");
    let told = |free: u32| {
        let text = format!("MemTotal: 1000000 kB\nMemFree: {free} kB\n");
        std::fs::write(&meminfo, text).unwrap();
        pagehound([meminfo.as_os_str()]).stdout
    };
    let small = told(995_000);
    assert!(small.contains("see whether it grows"), "{small}");
    assert!(!small.contains("take a dump"), "{small}");
    let large = told(900_000);
    assert!(large.contains("take a dump"), "{large}");
}

#[test]
fn counters_as_markdown_speak_of_no_dump() {
    let saved = saved_host();
    let ran = pagehound([saved.as_os_str(), "--md".as_ref()]);
    let (title, _) = ran.stdout.split_once('\n').unwrap();
    assert!(title.ends_with(" in no counter of the kernel"), "{title}");
    for wrong in ["in the dump;", "too little could be read", "(meminfo)"] {
        assert!(!ran.stdout.contains(wrong), "{wrong}: {}", ran.stdout);
    }
}

#[test]
fn zeroes_without_end_are_no_dump() {
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(assert_cmd::cargo::cargo_bin("pagehound"))
        .args(["info", "-"])
        .env("TMPDIR", folder.path())
        .stdin(std::fs::File::open("/dev/zero").unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("zeroes, and no end"), "{said}");
}

#[test]
fn errors_are_json_where_json_is_asked_for() {
    for args in [
        &["diagnose", "--json", "/nowhere/vmcore"][..],
        &["--json", "/nowhere/vmcore"],
        &["info", "/nowhere/vmcore", "--json"],
        &["ledger", "--json", "--no-such-option"],
        &["--json", "ledger"],
    ] {
        let ran = pagehound(args);
        assert_eq!((ran.status, ran.stderr.as_str()), (2, ""), "{args:?}");
        let error = json(&ran.stdout);
        assert_eq!(error["schema"], "pagehound.error/1");
        assert!(
            error["error"]
                .as_str()
                .is_some_and(|text| text.len() > 10 && !text.contains('\n')),
            "{error}"
        );
    }
}

#[test]
fn options_of_the_default_command_do_not_vanish_before_another() {
    let ran = pagehound(["--quiet", "ledger"]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("put it after"), "{}", ran.stderr);
    assert_eq!(
        pagehound(["--color", "never", "ledger"]).status,
        0,
        "this one is everybody's"
    );
}

#[test]
fn a_file_called_like_a_command_is_reached_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ledger"), "hello").unwrap();
    let run = |arg: &str| {
        let mut command = Command::cargo_bin("pagehound").unwrap();
        command
            .current_dir(folder.path())
            .arg(arg)
            .output()
            .unwrap()
    };
    assert_eq!(run("ledger").status.code(), Some(0), "the command");
    assert_eq!(
        run("./ledger").status.code(),
        Some(2),
        "the file, which is no dump"
    );
}

/// The counters of the reference guest, as the guest wrote them, and the sum
/// of the formula worked out by hand from them.
#[test]
fn hand_formula_of_a_saved_host() {
    let truth = truth();
    let ran = pagehound([
        "ledger".as_ref(),
        "--classic".as_ref(),
        "--json".as_ref(),
        truth.as_os_str(),
    ]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let text = std::fs::read_to_string(&truth).unwrap();
    let field = |name: &str| -> i64 {
        let line = text
            .lines()
            .find(|line| line.split(':').next() == Some(name))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let huge = field("HugePages_Total") * field("Hugepagesize");
    let plus = field("MemTotal") - huge;
    let minus = [
        "Buffers",
        "Cached",
        "AnonPages",
        "MemFree",
        "Slab",
        "VmallocUsed",
        "PageTables",
        "KernelStack",
    ];
    let expected = plus - minus.iter().map(|name| field(name)).sum::<i64>();
    let classic = json(&ran.stdout);
    assert_eq!(classic["schema"], "pagehound.classic/1");
    assert_eq!(classic["unaccounted_kb"], expected);
}

#[test]
fn a_host_without_a_dump_is_undecided() {
    let truth = truth();
    let ran = pagehound(["--json".as_ref(), truth.as_os_str()]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let value = json(&ran.stdout);
    let schema = jsonschema::validator_for(pagehound_model::schema().as_value()).unwrap();
    assert!(schema.is_valid(&value));
    let report: pagehound_model::Report = serde_json::from_value(value).unwrap();
    assert_eq!(report.contradictions(), Vec::<String>::new());
    assert_eq!(report.verdict, pagehound_model::Verdict::Incomplete);
}

/// A folder of files as a live host has them; what is worked out from them by hand is in
/// the tests of `host::parts`.
fn saved_host() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/host")
}

#[test]
fn the_ledger_of_a_folder_of_saved_files() {
    let folder = saved_host();
    let ran = pagehound(["ledger".as_ref(), folder.as_os_str()]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(ran.stdout);
    let all = pagehound(["ledger".as_ref(), "--all".as_ref(), folder.as_os_str()]);
    let told = |text: &str| text.contains("    n_tty_open ");
    assert!(told(&all.stdout) && !told(&ran.stdout), "{}", all.stdout);
}

#[test]
fn the_report_of_a_host_has_the_parts_of_its_rows() {
    let folder = saved_host();
    let ran = pagehound(["--json".as_ref(), folder.as_os_str()]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let value = json(&ran.stdout);
    let schema = jsonschema::validator_for(pagehound_model::schema().as_value()).unwrap();
    assert!(schema.is_valid(&value));
    let mut report: pagehound_model::Report = serde_json::from_value(value).unwrap();
    assert_eq!(report.contradictions(), Vec::<String>::new());
    let inodes = report
        .explained
        .iter()
        .find(|part| part.name == "cache ext4_inode_cache");
    let inodes = inodes.unwrap();
    assert_eq!(
        (inodes.bytes, inodes.class.as_str()),
        (273_504 << 10, "slab")
    );
    // Parts of more than there is.
    report.explained[0].bytes = report.target.mem_total_bytes;
    let told = report.contradictions();
    assert!(told[0].starts_with("parts of slab: "), "{told:?}");
}

#[test]
fn the_report_goes_where_it_is_told() {
    let truth = truth();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.txt");
    let args = [
        truth.as_os_str(),
        "--color".as_ref(),
        "always".as_ref(),
        "-o".as_ref(),
        file.as_os_str(),
    ];
    let ran = pagehound(args);
    assert_eq!((ran.status, ran.stdout.as_str()), (0, ""));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.starts_with("UNACCOUNTED"),
        "no styles in files: {text}"
    );
    let ran = pagehound([file.as_os_str(), "-o".as_ref(), file.as_os_str()]);
    assert_eq!(ran.status, 2, "this is no dump");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    let nowhere = folder.path().join("nowhere/report.txt");
    let ran = pagehound([demo().as_os_str(), "-o".as_ref(), nowhere.as_os_str()]);
    assert_eq!(ran.status, 2);
    let system = std::io::Error::from_raw_os_error(2);
    assert_eq!(
        ran.stderr,
        format!("pagehound: {}: {system}\n", nowhere.display())
    );
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "nothing but the report");
    let quiet = pagehound([truth.as_os_str(), "-q".as_ref()]);
    assert_eq!((quiet.status, quiet.stdout.as_str()), (0, ""));
}

#[test]
fn colour_is_for_terminals() {
    let truth = truth();
    let run =
        |color: &str| pagehound([truth.as_os_str(), "--color".as_ref(), color.as_ref()]).stdout;
    assert!(!run("auto").contains('\x1b'));
    assert!(!run("never").contains('\x1b'));
    assert!(run("always").contains("\x1b["));
}

#[test]
fn what_a_dump_says_of_itself() {
    let ran = pagehound(["info".as_ref(), "--json".as_ref(), demo().as_os_str()]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let info = json(&ran.stdout);
    assert_eq!(info["schema"], "pagehound.info/1");
    assert_eq!(
        (&info["format"], &info["dump_level"]),
        (&"kdump".into(), &31.into())
    );
    assert_eq!(
        (&info["arch"], &info["page_size"]),
        (&"x86_64".into(), &4096.into())
    );
    assert!(
        info["release"]
            .as_str()
            .is_some_and(|kernel| kernel.starts_with("6.1.")),
        "{info}"
    );
}

#[test]
fn a_closed_pipe_ends_quietly() {
    use std::io::Read;
    use std::process::Stdio;
    let dump = demo();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("pagehound"))
        .args(["search".as_ref(), dump.as_os_str(), "0".as_ref()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 8];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        !stderr.contains("pipe") && !stderr.contains("panic"),
        "{stderr}"
    );
}

/// Where this runs there may be a `/proc/kcore` or none, for this user or not.
#[test]
fn a_live_host_has_memory_or_one_line_says_why_not() {
    for target in ["live", "/proc/kcore"] {
        let ran = pagehound(["info", target, "--json"]);
        let info = json(&ran.stdout);
        if ran.status == 0 {
            assert_eq!(info["format"], "live");
            assert!(info["coverage"]["present"].as_u64() > Some(1000));
        } else {
            assert_eq!((ran.status, ran.stderr.as_str()), (2, ""));
            let error = info["error"].as_str().unwrap();
            assert!(error.starts_with("live: "), "{error}");
            assert!(error.contains("/proc/kcore"), "{error}");
            // What the program does not know is no reason.
            assert!(!error.contains("None"), "{error}");
        }
        let ran = pagehound(["info", target]);
        assert_eq!(ran.stderr.lines().count(), usize::from(ran.status != 0));
    }
    let has_memory = pagehound(["info", "live"]).status == 0;
    // The counters tell what they can all the same.
    let ran = pagehound(["diagnose", "live", "--json"]);
    assert_eq!(ran.stderr, "");
    let report = json(&ran.stdout);
    let warnings = report["warnings"].as_array().unwrap();
    let why = warnings
        .iter()
        .filter_map(|warning| warning.as_str())
        .filter(|warning| warning.starts_with("pages were not looked at: "));
    if has_memory {
        assert!(matches!(ran.status, 0 | 1 | 3), "{}", ran.status);
        assert_eq!(why.count(), 0, "{warnings:?}");
    } else {
        assert_eq!(ran.status, 0);
        assert_eq!(why.count(), 1, "{warnings:?}");
    }
    assert!(report["ledger"].as_array().unwrap().len() > 5);
    let ran = pagehound(["diagnose", "live", "--quick", "--json"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    // Of this host alone.
    let ran = pagehound(["info", "live", "--part", "/proc/meminfo"]);
    assert_eq!(ran.status, 2);
}

#[test]
fn a_rate_at_which_no_answer_would_come_is_refused() {
    for (rate, status) in [("200M", 0), ("1M", 0), ("1M5", 2), ("1000", 2), ("0", 2)] {
        let demo = demo();
        let ran = pagehound([
            "info".as_ref(),
            demo.as_os_str(),
            "--max-rate".as_ref(),
            rate.as_ref(),
        ]);
        assert_eq!(ran.status, status, "{rate}: {}", ran.stderr);
    }
}
