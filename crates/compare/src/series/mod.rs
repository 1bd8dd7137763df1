//! Several moments of one host: what grows, how fast, and until when.

mod amounts;
mod result;
#[cfg(test)]
mod tests;

pub use result::{Exhausted, Instant, SERIES_SCHEMA, Series, Sort, Trend};

use crate::diff::{Relative, least, relation};
use crate::moment::{Moment, agree};
use crate::stats::{ALPHA, Run, by_growth, p_of_growth, slope};
use amounts::{Amounts, amounts};
use jiff::Timestamp;
use pagehound_model::Report;

/// Fewest moments that are a series.
pub const FEWEST_MOMENTS: usize = 3;

/// Fewest that can tell growth from chance: of three, every sixth order rises.
const FEWEST_TO_TELL: usize = 4;

/// Most moments: the exact test takes them to the fourth power.
pub const MOST_MOMENTS: usize = 128;

/// Classes that are free, or given back when memory is needed.
const GIVEN_BACK: [&str; 8] = [
    "free",
    "free_pcp",
    "free_on_per_cpu_lists",
    "file",
    "file_cache",
    "buffers",
    "slab_reclaimable",
    "reclaimable_not_slab",
];

const HOUR: f64 = 3600.0;

/// Why reports are no series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoSeries {
    /// There are too few, or too many; so many without copies.
    Count(usize),
    /// This one does not tell when it was.
    NoDate(String),
    /// Two of one second that differ.
    OneSecond(String, String),
    /// Two that are not of one host, and what each is of.
    OtherHost([String; 2], [String; 2]),
    /// Two that do not tell whether they are of one host.
    Unknown(String, String),
}

impl std::fmt::Display for NoSeries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoSeries::Count(count) => write!(
                f,
                "--series compares {FEWEST_MOMENTS} to {MOST_MOMENTS} moments of one host, and here {}",
                match count {
                    1 => "is one".to_owned(),
                    more => format!("are {more}"),
                }
            ),
            NoSeries::NoDate(path) => write!(
                f,
                "{path}: does not tell when it was; give reports that `pagehound --json -o FILE` makes of the live host, \
                 dumps, or archives of sos"
            ),
            NoSeries::OneSecond(one, other) => {
                write!(
                    f,
                    "{one} and {other} are of the same second, and differ: leave one out"
                )
            }
            NoSeries::OtherHost([one, other], [host, another]) => write!(
                f,
                "{one} is of {host}, {other} of {another}: a series is of one host; `pagehound diff {one} {other}` compares two"
            ),
            NoSeries::Unknown(one, other) => write!(
                f,
                "{one} and {other} do not tell whether they are of one host: neither boot id nor host name is in both"
            ),
        }
    }
}

/// What grows over the moments of `reports`, in whatever order they are given.
///
/// # Errors
/// They are not of one host, or do not tell when they were.
pub fn series(reports: &[Report]) -> Result<Series, NoSeries> {
    let mut notes = Vec::new();
    let moments = in_order(reports, &mut notes)?;
    one_host(&moments)?;
    let boots = boots(&moments, &mut notes);
    let reports: Vec<&Report> = moments.iter().map(|(_, report)| *report).collect();
    let seconds: Vec<i64> = moments.iter().map(|(at, _)| *at).collect();
    let all = amounts(&reports, &mut notes);
    let mut rows: Vec<Trend> = all
        .into_iter()
        .filter(|amounts| amounts.differ())
        .map(|amounts| trend(amounts, &seconds, &boots))
        .collect();
    rows.sort_by(|one, other| {
        let by_slope = || by_growth(one.bytes_per_hour, other.bytes_per_hour);
        other.grows.cmp(&one.grows).then_with(by_slope)
    });
    let total = reports
        .last()
        .map_or(0, |report| report.target.mem_total_bytes);
    let least = i64::try_from(least(total)).unwrap_or(i64::MAX);
    let matters = rows.iter().any(|row| {
        let large = row.change_bytes >= least && !is_given_back(row);
        row.grows && (row.sort == Sort::Finding || large)
    });
    if reports.len() < FEWEST_TO_TELL {
        notes.push(format!(
            "{} moments cannot tell growth from chance: take {FEWEST_TO_TELL} or more",
            reports.len()
        ));
    } else if !rows.is_empty() {
        notes.push(format!(
            "of {} amounts, one in twenty would be said to grow by chance alone",
            rows.len()
        ));
    }
    Ok(Series {
        schema: SERIES_SCHEMA.to_owned(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        matters,
        reboots: boots.last().map_or(0, |last| last - 1),
        hours: hours(&seconds, &boots),
        exhausted: exhausted(&rows, reports.last().copied()),
        moments: moments
            .iter()
            .zip(&boots)
            .map(|((at, report), boot)| instant(*at, report, *boot))
            .collect(),
        rows,
        notes,
    })
}

/// Reports by the second they are of, each once.
fn in_order<'a>(
    reports: &'a [Report],
    notes: &mut Vec<String>,
) -> Result<Vec<(i64, &'a Report)>, NoSeries> {
    let mut moments = Vec::new();
    for report in reports {
        let time = report.host.captured_at.as_deref();
        let time = time.and_then(|text| text.parse::<Timestamp>().ok());
        let time = time.ok_or_else(|| NoSeries::NoDate(report.target.path.clone()))?;
        moments.push((time.as_second(), report));
    }
    moments.sort_by_key(|(at, _)| *at);
    let mut once: Vec<(i64, &Report)> = Vec::new();
    for (at, report) in moments {
        let before = once.last().filter(|(before, _)| *before == at);
        let Some((_, before)) = before else {
            once.push((at, report));
            continue;
        };
        let paths = (before.target.path.clone(), report.target.path.clone());
        if Moment::of(before) != Moment::of(report) {
            return Err(NoSeries::OneSecond(paths.0, paths.1));
        }
        notes.push(format!("{} is {} again, and counts once", paths.1, paths.0));
    }
    match once.len() {
        FEWEST_MOMENTS..=MOST_MOMENTS => Ok(once),
        count => Err(NoSeries::Count(count)),
    }
}

fn one_host(moments: &[(i64, &Report)]) -> Result<(), NoSeries> {
    let pairs = moments.iter().zip(moments.iter().skip(1));
    for ((_, one), (_, other)) in pairs {
        let paths = [one, other].map(|report| report.target.path.clone());
        match relation(one, other).relative {
            Relative::SameBoot | Relative::SameHost => {}
            Relative::Others => {
                let host = |report: &Report| report.host.name.clone().unwrap_or_default();
                return Err(NoSeries::OtherHost(paths, [host(one), host(other)]));
            }
            Relative::Unknown => {
                let [one, other] = paths;
                return Err(NoSeries::Unknown(one, other));
            }
        }
    }
    Ok(())
}

/// Which boot each moment is of, from 1 on.
fn boots(moments: &[(i64, &Report)], notes: &mut Vec<String>) -> Vec<u64> {
    let mut boot = 1;
    let mut boots = Vec::new();
    let mut before: Option<&Report> = None;
    for (_, report) in moments {
        let same = before.is_none_or(|before| {
            let ids = (before.host.boot_id.as_ref(), report.host.boot_id.as_ref());
            let kernels = (&before.target.kernel, &report.target.kernel);
            agree(ids.0, ids.1) && kernels.0 == kernels.1
        });
        boot += u64::from(!same);
        boots.push(boot);
        before = Some(report);
    }
    let silent = moments
        .iter()
        .filter(|(_, report)| report.host.boot_id.is_none());
    if silent.count() > 0 {
        notes.push("not all tell their boot id: a reboot between them is not seen".to_owned());
    }
    boots
}

fn instant(at: i64, report: &Report, boot: u64) -> Instant {
    Instant {
        path: report.target.path.clone(),
        captured_at: Timestamp::from_second(at).unwrap_or_default().to_string(),
        boot,
        kernel: report.target.kernel.clone(),
        mem_total_bytes: report.target.mem_total_bytes,
        verdict: report.verdict,
        unaccounted_bytes: report.unaccounted.bytes,
    }
}

fn trend(amounts: Amounts, seconds: &[i64], boots: &[u64]) -> Trend {
    let moments = seconds.iter().zip(boots).zip(&amounts.bytes);
    let told: Vec<(u64, (i64, u64))> = moments
        .filter_map(|((at, boot), bytes)| Some((*boot, (*at, (*bytes)?))))
        .collect();
    let runs: Vec<Run> = told
        .chunk_by(|one, other| one.0 == other.0)
        .map(|run| run.iter().map(|(_, moment)| *moment).collect())
        .collect();
    let of_last = |run: &Run| Some(i128::from(run.last()?.1) - i128::from(run.first()?.1));
    let change = runs.last().and_then(of_last).unwrap_or(0);
    let p_value = (told.len() >= FEWEST_TO_TELL).then(|| p_of_growth(&runs));
    Trend {
        sort: amounts.sort,
        name: amounts.name,
        within: amounts.within,
        change_bytes: i64::try_from(change).unwrap_or(if change < 0 { i64::MIN } else { i64::MAX }),
        bytes_per_hour: slope(&runs).map(|slope| slope * HOUR),
        grows: p_value.is_some_and(|p| p < ALPHA),
        p_value,
        bytes: amounts.bytes,
    }
}

fn hours(seconds: &[i64], boots: &[u64]) -> f64 {
    let moments: Vec<(i64, u64)> = seconds.iter().copied().zip(boots.iter().copied()).collect();
    let pairs = moments.iter().zip(moments.iter().skip(1));
    let within = pairs.filter(|(one, other)| one.1 == other.1);
    let sum: f64 = within
        .map(|(one, other)| other.0.saturating_sub(one.0) as f64)
        .sum();
    sum / HOUR
}

fn is_given_back(row: &Trend) -> bool {
    row.sort == Sort::Class && GIVEN_BACK.contains(&row.name.as_str())
}

/// By the slopes of classes that grow, which do not overlap.
fn exhausted(rows: &[Trend], last: Option<&Report>) -> Option<Exhausted> {
    let growing = rows.iter().filter(|row| {
        let up = row.bytes_per_hour.is_some_and(|slope| slope > 0.0);
        row.sort == Sort::Class && row.grows && up && !is_given_back(row)
    });
    let growing: Vec<&Trend> = growing.collect();
    let rate: f64 = growing.iter().filter_map(|row| row.bytes_per_hour).sum();
    let left = last?
        .ledger
        .iter()
        .filter(|row| GIVEN_BACK.contains(&row.class.as_str()));
    let left = left.fold(0u64, |sum, row| sum.saturating_add(row.bytes));
    (rate > 0.0).then(|| Exhausted {
        hours: left as f64 / rate,
        left_bytes: left,
        classes: growing.iter().map(|row| row.name.clone()).collect(),
        bytes_per_hour: rate,
    })
}
