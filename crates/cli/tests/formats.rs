//! Every container, with the same machine in it: opens, tells how much of the memory
//! is there, finds the planted pages and no others, and of a damaged copy claims no
//! more than is true. Prints the table that ARCHITECTURE.md has.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on must fail"
)]

use pagehound_synth::machine::{Crashed, Options, v4_13};
use pagehound_synth::{
    Compression, ElfOptions, ElfStyle, Flatten, Image, KdumpOptions, LimeOptions, LimeStyle,
};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PAGE: usize = 4096;

fn pagehound() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pagehound"))
}

/// How the files of a dump are given.
#[derive(Clone, Copy, PartialEq)]
enum Given {
    AsFiles,
    ByPipe,
}

/// What coverage a container must show of a machine of which nothing is left out.
#[derive(Clone, Copy, PartialEq)]
enum Shows {
    /// All that the machine has.
    All,
    /// The same; what is no memory is zero too, and zeroes may be holes of the file.
    HolesToo,
    /// Blocks of zeroes are left out.
    NoZeroes,
    /// Some frames are missing.
    Less,
}

struct Row {
    name: &'static str,
    files: Vec<Vec<u8>>,
    given: Given,
    shows: Shows,
    /// The files are damaged as they are.
    damaged: bool,
}

fn row(name: &'static str, bytes: Vec<u8>) -> Row {
    Row {
        name,
        files: vec![bytes],
        given: Given::AsFiles,
        shows: Shows::All,
        damaged: false,
    }
}

fn kdump(image: &Image, change: impl FnOnce(&mut KdumpOptions)) -> Vec<u8> {
    let mut options = KdumpOptions::default();
    change(&mut options);
    image.write_kdump(&options)
}

fn elf(image: &Image, change: impl FnOnce(&mut ElfOptions)) -> Vec<u8> {
    let mut options = ElfOptions::default();
    change(&mut options);
    image.write_elf(&options)
}

fn lime(image: &Image, style: LimeStyle) -> Vec<u8> {
    image.write_lime(&LimeOptions {
        style,
        ..LimeOptions::default()
    })
}

/// What a row is called, and how it is made.
type Maker = (&'static str, fn(&Image) -> Row);

/// The machine in every container; one at a time, for each is large.
fn rows() -> Vec<Maker> {
    fn parts(image: &Image) -> Vec<Vec<u8>> {
        let part = |from, to| kdump(image, |options| options.split = Some(from..to));
        vec![part(0, 20_000), part(20_000, 41_000), part(41_000, 1 << 16)]
    }
    vec![
        ("elf", |image| row("elf", elf(image, |_| ()))),
        ("elf, QEMU", |image| {
            let qemu = elf(image, |options| options.style = ElfStyle::Qemu);
            row("elf, QEMU", qemu)
        }),
        ("elf, flattened", |image| {
            let flat = elf(image, |options| {
                options.flattened = Some(Flatten::default());
            });
            row("elf, flattened", flat)
        }),
        ("kdump, zlib", |image| {
            row("kdump, zlib", kdump(image, |_| ()))
        }),
        ("kdump, LZO", |image| {
            let lzo = kdump(image, |options| options.compression = Compression::Lzo);
            row("kdump, LZO", lzo)
        }),
        ("kdump, Snappy", |image| {
            let snappy = kdump(image, |options| options.compression = Compression::Snappy);
            row("kdump, Snappy", snappy)
        }),
        ("kdump, Zstandard", |image| {
            let zstd = kdump(image, |options| options.compression = Compression::Zstd);
            row("kdump, Zstandard", zstd)
        }),
        ("kdump, flattened (makedumpfile -F, QEMU)", |image| {
            let flat = kdump(image, |options| {
                options.flattened = Some(Flatten::default());
            });
            row("kdump, flattened (makedumpfile -F, QEMU)", flat)
        }),
        ("kdump, split in three", |image| Row {
            files: parts(image),
            ..row("kdump, split in three", Vec::new())
        }),
        ("kdump, one of three files", |image| Row {
            files: parts(image).into_iter().take(1).collect(),
            shows: Shows::Less,
            damaged: true,
            ..row("kdump, one of three files", Vec::new())
        }),
        ("kdump, incomplete (disk full)", |image| {
            let mut image = image.clone();
            for pfn in 60_000..1 << 16 {
                image = image.lost(pfn);
            }
            Row {
                shows: Shows::Less,
                damaged: true,
                ..row(
                    "kdump, incomplete (disk full)",
                    kdump(&image, |options| options.status = 0x8),
                )
            }
        }),
        ("kdump, erase information", |image| {
            let erased = image.clone().erased("erase some_driver.key\n");
            row("kdump, erase information", kdump(&erased, |_| ()))
        }),
        ("LiME", |image| row("LiME", lime(image, LimeStyle::Lime))),
        ("LiME by AVML", |image| Row {
            shows: Shows::NoZeroes,
            ..row("LiME by AVML", lime(image, LimeStyle::AvmlPlain))
        }),
        ("AVML", |image| Row {
            shows: Shows::NoZeroes,
            ..row("AVML", lime(image, LimeStyle::Avml))
        }),
        ("raw", |image| Row {
            shows: Shows::HolesToo,
            ..row("raw", image.write_raw())
        }),
        ("raw, sparse file", |image| Row {
            shows: Shows::HolesToo,
            ..row("raw, sparse file", image.write_raw())
        }),
        ("standard input", |image| Row {
            given: Given::ByPipe,
            ..row(
                "standard input",
                kdump(image, |options| {
                    options.flattened = Some(Flatten::default());
                }),
            )
        }),
    ]
}

/// The row's files in `folder`, cut to `percent` of their length each.
fn write(row: &Row, folder: &Path, percent: usize) -> Vec<PathBuf> {
    let file = |(index, bytes): (usize, &Vec<u8>)| {
        let path = folder.join(format!("part{index}"));
        let bytes = &bytes[..bytes.len() * percent / 100];
        if row.name.contains("sparse") {
            let mut file = File::create(&path).unwrap();
            for (at, page) in bytes.chunks(PAGE).enumerate() {
                if page.iter().any(|&byte| byte != 0) {
                    file.seek(SeekFrom::Start((at * PAGE) as u64)).unwrap();
                    file.write_all(page).unwrap();
                }
            }
            file.set_len(bytes.len() as u64).unwrap();
        } else {
            fs::write(&path, bytes).unwrap();
        }
        path
    };
    row.files.iter().enumerate().map(file).collect()
}

fn diagnose(row: &Row, files: &[PathBuf], args: &[&str]) -> (Output, Value) {
    let mut command = pagehound();
    command.args(["diagnose", "--json"]).args(args);
    let output = match row.given {
        Given::AsFiles => command.args(files).output().unwrap(),
        Given::ByPipe => {
            // Not the file itself: what can be read at random is not copied.
            let mut child = command
                .arg("-")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(&fs::read(&files[0]).unwrap()).unwrap();
            drop(stdin);
            child.wait_with_output().unwrap()
        }
    };
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        panic!("{}: {error}: {stderr}", row.name)
    });
    (output, json)
}

fn pages(report: &Value, state: &str) -> u64 {
    report["target"]["coverage"][state].as_u64().unwrap()
}

/// Whether the answer of a whole dump is the truth.
fn right(row: &Row, report: &Value, all: &Value, lost: u64) -> (bool, bool) {
    let state = |state| pages(report, state);
    let has = |state| pages(all, state);
    let whole = state("absent") == 0 && state("unreadable") == 0;
    let coverage = match row.shows {
        Shows::All => report["target"]["coverage"] == all["target"]["coverage"],
        Shows::HolesToo => {
            let all = has("present") + has("outside");
            whole && state("present") + state("excluded") + state("outside") == all
        }
        Shows::NoZeroes => {
            whole
                && state("present") + state("excluded") == has("present")
                && state("outside") == has("outside")
        }
        Shows::Less => state("present") < has("present") && state("absent") > 0,
    };
    let verdict = report["verdict"] == "lost" && report["unaccounted"]["lost_pages"] == lost;
    (coverage, verdict)
}

/// An answer that claims no more than a damaged dump can show, or a clear error.
fn modest(output: &Output, report: &Value, lost: u64) -> Result<&'static str, String> {
    if output.status.code() == Some(2) {
        let error = report["error"].as_str().unwrap_or_default();
        return if !error.is_empty() && !error.contains('\n') {
            Ok("error")
        } else {
            Err(format!("no clear error: {report}"))
        };
    }
    let told = !report["warnings"].as_array().unwrap().is_empty();
    let claims = report["verdict"] == "lost" || report["complete"] == true;
    let found = report["unaccounted"]["lost_pages"].as_u64().unwrap();
    if told && !claims && found <= lost {
        Ok("partial")
    } else {
        Err(format!("{}: told {told}, {found} lost", report["verdict"]))
    }
}

#[test]
fn every_container() {
    let Crashed { image, lost, .. } = v4_13(&Options::default());
    let image = image.whole();
    let lost = lost.len() as u64;
    let mut all = None;
    let mut wrong = Vec::new();
    let mut table = Vec::new();
    println!("| container | opens | coverage | verdict | damaged copy |\n|---|---|---|---|---|");
    for (name, make) in rows() {
        let row = make(&image);
        let folder = tempfile::tempdir().unwrap();
        let files = write(&row, folder.path(), 100);
        let (output, report) = diagnose(&row, &files, &[]);
        let opens = report["schema"] == "pagehound.report/1";
        let all = all.get_or_insert_with(|| report.clone());
        let mut cells = vec![if opens { "yes" } else { "no" }.to_owned()];
        if row.damaged {
            let (coverage, _) = right(&row, &report, all, lost);
            cells.push(if coverage { "right" } else { "WRONG" }.to_owned());
            cells.push(report["verdict"].as_str().unwrap().to_owned());
            cells.push(match modest(&output, &report, lost) {
                Ok(how) => how.to_owned(),
                Err(why) => format!("WRONG: {why}"),
            });
        } else {
            let (coverage, verdict) = right(&row, &report, all, lost);
            cells.push(if coverage {
                "right".to_owned()
            } else {
                format!("WRONG: {}", report["target"]["coverage"])
            });
            cells.push(if verdict {
                "right".to_owned()
            } else {
                format!(
                    "WRONG: {} {}, {}",
                    report["verdict"], report["unaccounted"]["lost_pages"], report["warnings"]
                )
            });
            // Little memory, and files that are read and not mapped, change nothing.
            if row.files.len() > 1 || matches!(name, "AVML" | "raw, sparse file") {
                let (_, limited) = diagnose(&row, &files, &["--mem-limit", "96M"]);
                for part in ["verdict", "target", "unaccounted", "ledger"] {
                    assert_eq!(limited[part], report[part], "{name}");
                }
            }
            let files = write(&row, folder.path(), 70);
            let (output, report) = diagnose(&row, &files, &[]);
            cells.push(match modest(&output, &report, lost) {
                Ok(how) => how.to_owned(),
                Err(why) => format!("WRONG: {why}"),
            });
        }
        let line = format!("| {name} | {} |", cells.join(" | "));
        println!("{line}");
        table.push(line.clone());
        if line.contains("WRONG") || line.contains("| no |") {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let told = include_str!("../../../ARCHITECTURE.md")
        .lines()
        .skip_while(|line| !line.starts_with("| container | opens |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    assert!(told.eq(&table), "ARCHITECTURE.md: {}", table.join("\n"));
}

/// What is said of a compressed dump is typed into a shell, and answers.
#[test]
fn the_pipe_that_a_compressed_dump_names_works() {
    let folder = tempfile::tempdir().unwrap();
    let dump = fs::read(pagehound_testdata::demo()).unwrap();
    let path = folder.path().join("it's packed.gz");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&dump).unwrap();
    fs::write(&path, packed.finish().unwrap()).unwrap();

    let refused = pagehound().arg("info").arg(&path).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8(refused.stderr).unwrap();
    let (_, pipe) = told.trim().split_once("or without a copy: ").unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_pagehound")).parent().unwrap();
    let line = format!("PATH={}:$PATH; {pipe} --json", bin.display());
    let typed = Command::new("sh").args(["-c", &line]).output().unwrap();
    let report: Value = serde_json::from_slice(&typed.stdout).unwrap();
    let direct = pagehound()
        .args(["diagnose", "--json"])
        .arg(pagehound_testdata::demo())
        .output()
        .unwrap();
    let direct: Value = serde_json::from_slice(&direct.stdout).unwrap();
    assert_eq!(report["verdict"], direct["verdict"]);
    assert_eq!(report["unaccounted"], direct["unaccounted"]);
    assert_eq!(report["ledger"], direct["ledger"]);
    assert_eq!(report["target"]["path"], "-");
}

#[test]
fn standard_input_that_is_no_dump() {
    let run = |input: &[u8], folder: &str| {
        let mut child = pagehound()
            .args(["info", "-"])
            .env("TMPDIR", folder)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A reader that has refused already is gone.
        let _ = stdin.write_all(input);
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let here = std::env::temp_dir().display().to_string();
    let empty = run(b"", &here);
    assert!(empty.starts_with("pagehound: -: empty"), "{empty}");
    let packed = run(b"\x28\xb5\x2f\xfd packed", &here);
    assert!(
        packed.contains("zstd -dc FILE | pagehound diagnose -"),
        "{packed}"
    );
    let nowhere = run(b"KDUMP   ", "/nowhere");
    assert!(nowhere.contains("set TMPDIR"), "{nowhere}");
}

#[test]
fn a_file_that_is_no_dump_was_searched_for_a_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noise");
    fs::write(&path, [0xa5; 3 * PAGE]).unwrap();
    let refused = pagehound().arg("info").arg(&path).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(
        told.contains("and no kernel's VMCOREINFO in it; give a dump"),
        "{told}"
    );
}

/// The other files of a split dump stand behind the target or, where something else
/// does, behind --part.
#[test]
fn the_files_of_a_split_dump() {
    let mut image = Image::new(PAGE).vmcoreinfo("OSRELEASE=6.1.0\nPAGESIZE=4096\n");
    for pfn in 0..64 {
        image.set_page(pfn, format!("frame {pfn}").into_bytes());
    }
    let folder = tempfile::tempdir().unwrap();
    let part = |name: &str, from, to| {
        let path = folder.path().join(name);
        fs::write(
            &path,
            kdump(&image, |options| options.split = Some(from..to)),
        )
        .unwrap();
        path
    };
    let (a, b) = (part("web.1", 0, 32), part("web.2", 32, 64));
    let info = |files: &[&Path]| -> Value {
        let output = pagehound().args(["info", "--json"]).args(files).output();
        serde_json::from_slice(&output.unwrap().stdout).unwrap()
    };
    let both = info(&[&b, &a]);
    assert_eq!(both["coverage"]["present"], 64);
    assert_eq!(both["incomplete"], false);
    let one = info(&[&a]);
    assert_eq!(one["coverage"]["present"], 32);
    assert_eq!(one["incomplete"], true);
    let told = " of the same folder too: web.2";
    assert!(
        one["warnings"][0].as_str().unwrap().ends_with(told),
        "{one}"
    );
    let diagnose = |args: &[&str]| {
        let mut command = pagehound();
        command.args(["diagnose", "--json"]).args(args).arg(&a);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let folder = folder.path().to_str().unwrap();
    let plain = diagnose(&[]);
    assert!(plain.contains(told) && plain.contains(folder), "{plain}");
    let redacted = diagnose(&["--redact"]);
    assert!(
        redacted.contains(" of the same folder too: [redacted]"),
        "{redacted}"
    );
    assert!(
        !redacted.contains("web.2") && !redacted.contains(folder),
        "{redacted}"
    );
    let search = |parts: &[&Path]| {
        let mut command = pagehound();
        command
            .arg("search")
            .arg(&a)
            .args(["--physical", "--text", "frame 40"]);
        for part in parts {
            command.arg("--part").arg(part);
        }
        command.output().unwrap().status.code()
    };
    assert_eq!(search(&[&b]), Some(0));
    assert_eq!(search(&[]), Some(1));
}

/// Real dumps as images: what is found in them and how much of them is there is the same
/// without a note and a header that say so. QEMU's dumps have all pages.
#[cfg(feature = "corpus")]
#[test]
fn real_dumps_as_images() {
    use pagehound_vmcore::Pfn;
    for name in [
        "healthy-6.1-x86_64",
        "mixed-5.10-x86_64",
        "frames-6.1-arm64",
    ] {
        let path = pagehound_testdata::corpus(&format!("{name}.kdump"));
        let original = row(name, Vec::new());
        let (_, wanted) = diagnose(&original, std::slice::from_ref(&path), &[]);
        let dump = pagehound_vmcore::open(&path).unwrap();
        let mut image = Image::new(dump.memory.page_size());
        let mut page = vec![0; dump.memory.page_size()];
        for run in dump.memory.present_runs() {
            for pfn in run.start.0..run.end.0 {
                dump.memory.read_page(Pfn(pfn), &mut page).unwrap();
                image.set_page(pfn, page.clone());
            }
        }
        for style in [LimeStyle::Lime, LimeStyle::Avml] {
            let image = row(name, lime(&image, style));
            let folder = tempfile::tempdir().unwrap();
            let files = write(&image, folder.path(), 100);
            let (_, report) = diagnose(&image, &files, &[]);
            assert_eq!(report["verdict"], wanted["verdict"], "{name} {style:?}");
            let lost = |report: &Value| report["unaccounted"]["lost_pages"].clone();
            assert_eq!(lost(&report), lost(&wanted), "{name} {style:?}");
            let absent = pages(&report, "absent") + pages(&report, "unreadable");
            assert_eq!(absent, 0, "{name} {style:?}");
            if style == LimeStyle::Lime {
                let coverage = |report: &Value| report["target"]["coverage"].clone();
                assert_eq!(coverage(&report), coverage(&wanted), "{name}");
            }
        }
    }
}
