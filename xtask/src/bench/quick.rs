//! A first answer from a sample: how long it takes, and how often its bounds hold.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use pagehound_model::Report;

use super::contestant::Contestant;
use super::table::{Ratio, Seconds, ratios, rows};
use super::{Arguments, inputs, verdict};

/// Seconds for a machine of 1 TiB, and for one of 640 MiB.
const GOALS: [f64; 2] = [5.0, 0.3];
/// Peak memory with 1 TiB.
const PEAK: u64 = 600 << 20;
/// Samples whose bounds are looked at, and how many must hold the truth.
const SEEDS: (u64, u64) = (100, 93);

/// Measures `diagnose --quick`, with 1 TiB and with the dump of the verdict.
pub(super) fn section(arguments: &Arguments, pagehound: &Path, xtask: &Path) -> Result<String> {
    let small = verdict::dump(arguments)?;
    let large = inputs::large(&small, xtask)?;
    let mut field = Vec::new();
    for dump in [&large, &small] {
        let mut quick = verdict::pagehound(pagehound, dump)?.with("--quick");
        quick.run()?;
        for round in 1..=arguments.runs {
            println!("quick, round {round}");
            quick.round()?;
        }
        field.push(quick);
    }
    let bytes = |dump: &Path| -> Result<u64> {
        let target = report(pagehound, dump, &["--quick"])?.target;
        Ok(target.pages * target.page_size)
    };
    let mut text = String::new();
    let mut list = Vec::new();
    for ((quick, dump), goal) in field.iter().zip([&large, &small]).zip(GOALS) {
        let bytes = bytes(dump)?;
        text.push_str(&rows(&[(quick, None)], bytes)?);
        text.push('\n');
        let what = format!("seconds to the first answer, {} MiB", bytes >> 20);
        list.push(Ratio::at_most(&what, Seconds::whole(quick), goal));
    }
    let mut full = verdict::pagehound(pagehound, &large)?;
    println!("all of the large one");
    full.round()?;
    text.push_str(&rows(&[(&full, None)], bytes(&large)?)?);
    text.push('\n');
    text.push_str(&ratios(&list)?);
    let peak = field.first().map_or(0, Contestant::peak);
    writeln!(
        text,
        "\nPeak memory with 1 TiB: {} MiB, of {} allowed.",
        peak >> 20,
        PEAK >> 20
    )?;
    let truth = report(pagehound, &large, &[])?.unaccounted.pages;
    let mut held = 0;
    for seed in 1..=SEEDS.0 {
        let seed = seed.to_string();
        let quick = report(pagehound, &large, &["--quick", "--seed", &seed])?;
        let bounds = quick.unaccounted.estimate;
        let bounds = bounds.context("a sample without bounds")?;
        held += u64::from((bounds.low..=bounds.high).contains(&truth));
    }
    writeln!(
        text,
        "\nThe bounds of {} samples of the large one held what all of it has, {truth} pages, \
         {held} times; at least {} are due.",
        SEEDS.0, SEEDS.1
    )?;
    Ok(text)
}

fn report(pagehound: &Path, dump: &Path, options: &[&str]) -> Result<Report> {
    let output = Command::new(pagehound)
        .args(["diagnose", "--json"])
        .args(options)
        .arg(dump)
        .output()?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}
