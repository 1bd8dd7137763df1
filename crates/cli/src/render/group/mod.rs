//! Many hosts, as text.

mod answer;
mod traits;

use super::Detail;
use super::number::{count, thousands};
use super::page::{FAINT, Page};
use pagehound_compare::{
    ALPHA, Adjusted, Association, GroupComparison, Interval, Proportion, Standing, Trait, TraitKind,
};
use std::collections::BTreeMap;
use std::io;

/// Traits of the same hosts that are named, unless all are asked for.
const NAMES: usize = 3;

/// Reports left out that are named for one reason.
const PATHS: usize = 3;

/// What the hosts that leak have in common, how sure that is, and what was taken for
/// it but is not.
pub fn group(group: &GroupComparison, detail: Detail, page: &mut Page) -> io::Result<()> {
    let (style, word, text) = answer::answer(group);
    page.headline(style, word, &text, "")?;
    page.gap()?;
    page.item("Hosts", &hosts(group))?;
    left_out(group, page)?;
    for note in &group.notes {
        page.item("Note", note)?;
    }
    for (index, of) in group.associations.iter().enumerate() {
        match of.standing {
            Standing::Cohort => cohort(group, index, of, page)?,
            Standing::Inseparable => {
                let text = format!(
                    "{}: {}; too few hosts have one of the two and not the other to tell them apart",
                    names(of, detail),
                    against(of)
                );
                page.item("Or", &text)?;
            }
            Standing::Explained | Standing::Chance => {}
        }
    }
    traits::explained(group, detail, page)?;
    traits::table(group, detail, page)?;
    if group.associations.is_empty() {
        return Ok(());
    }
    page.gap()?;
    let adjusted = match group.adjusted.len() {
        0 => "",
        _ => " Adjusted: exact test of Mantel and Haenszel.",
    };
    let text = format!(
        "Difference: 95 % interval by Newcombe's method 10. p: Fisher's exact test, two-sided, corrected \
         for {} by Holm's.{adjusted}",
        count(group.tests, "trait")
    );
    page.paragraph(0, FAINT, &text)
}

/// `13 of 14 hosts with it leak, 1 of 26 without`.
fn against(of: &Association) -> String {
    format!(
        "{} with it leak, {} without",
        part(of.with, "hosts "),
        part(of.without, "")
    )
}

fn part(of: Proportion, what: &str) -> String {
    if of.hosts == 0 {
        return "no host".to_owned();
    }
    format!(
        "{} of {} {what}",
        thousands(of.leaking),
        thousands(of.hosts)
    )
    .trim_end()
    .to_owned()
}

/// The traits of one row but those that hold another one: `module m tainted OE` says
/// no more than `module m` where the same hosts have both.
fn distinct(of: &Association) -> Vec<&Trait> {
    let is_build = |of: &Trait| {
        matches!(
            of.kind,
            TraitKind::ModuleVersion | TraitKind::ModuleSource | TraitKind::ModuleTaints
        )
    };
    let has_module = |name: &str| {
        let mut traits = of.traits.iter();
        traits.any(|of| of.kind == TraitKind::Module && of.name == name)
    };
    let traits = of.traits.iter();
    traits
        .filter(|of| !is_build(of) || !has_module(&of.name))
        .collect()
}

/// The traits of one row; of many that the same hosts have the nearest to a leak.
fn names(of: &Association, detail: Detail) -> String {
    let (traits, told) = match detail {
        Detail::All => (of.traits.iter().collect(), usize::MAX),
        Detail::Usual => (distinct(of), NAMES),
    };
    let (told, rest) = traits.split_at(told.min(traits.len()));
    let told: Vec<String> = told.iter().map(|of| of.to_string()).collect();
    match rest.len() {
        0 => told.join(" = "),
        more => format!("{} = {} more", told.join(" = "), thousands(more as u64)),
    }
}

fn hosts(group: &GroupComparison) -> String {
    let mut text = format!(
        "{} of {} leak",
        thousands(group.leaking),
        count(group.hosts, "host")
    );
    if let Some(part) = &group.signature {
        text += &format!(" (findings with `{part}`)");
    }
    text += &format!("; {} read", count(group.reports, "report"));
    if group.copies > 0 {
        text += &format!(
            ", {} of a moment and machine that another one counts for (copies)",
            thousands(group.copies)
        );
    }
    let again = group.again.saturating_sub(group.copies);
    if again > 0 {
        text += &format!(
            ", {} of a boot that another one counts for",
            thousands(again)
        );
    }
    text
}

/// Reports that do not count, by reason.
fn left_out(group: &GroupComparison, page: &mut Page) -> io::Result<()> {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for left_out in &group.left_out {
        reasons
            .entry(&left_out.why)
            .or_default()
            .push(&left_out.path);
    }
    for (why, paths) in reasons {
        let told: Vec<&str> = paths.iter().take(PATHS).copied().collect();
        let more = if paths.len() > told.len() {
            ", …"
        } else {
            ""
        };
        page.item(
            "Left out",
            &format!(
                "{} ({}{more}): {why}",
                count(paths.len() as u64, "report"),
                told.join(", ")
            ),
        )?;
    }
    Ok(())
}

/// How sure the cohort is, and that it remains whatever else is held fixed.
fn cohort(
    group: &GroupComparison,
    index: usize,
    of: &Association,
    page: &mut Page,
) -> io::Result<()> {
    let text = format!(
        "{}: of a hundred hosts {} more leak with it; odds ratio {}; p {} after correction",
        names(of, Detail::Usual),
        points(of.difference),
        odds(of.odds_ratio),
        p(of.p_corrected)
    );
    page.item("Cohort", &text)?;
    let others: Vec<&Adjusted> = group
        .adjusted
        .iter()
        .filter(|pair| pair.of == index && pair.p_value < ALPHA)
        .collect();
    let worst = others.iter().max_by(|a, b| a.p_value.total_cmp(&b.p_value));
    if let Some(worst) = worst {
        let number = others.len() as u64;
        let lows = others.iter().filter_map(|pair| pair.odds_ratio.low);
        let text = format!(
            "it still matters among hosts alike in {}: p at most {}, odds ratio above {:.1}",
            if number == 1 {
                "the other trait that goes along".to_owned()
            } else {
                format!("any of the {} that go along", count(number, "other trait"))
            },
            p(worst.p_value),
            lows.fold(f64::INFINITY, f64::min)
        );
        page.item("", &text)?;
    }
    if distinct(of).len() > 1 {
        page.item(
            "",
            "the same hosts have all of these: nothing here tells one from another",
        )?;
    }
    Ok(())
}

/// `88.6 (63.0 to 95.7)`, of a hundred.
fn points(interval: Interval) -> String {
    let percent = |value: Option<f64>| value.unwrap_or(0.0) * 100.0;
    format!(
        "{:.1} ({:.1} to {:.1})",
        percent(interval.estimate),
        percent(interval.low),
        percent(interval.high)
    )
}

/// `130 (12.1 to 4,200)`; what is not bounded is `∞`.
fn odds(interval: Interval) -> String {
    let number = |value: Option<f64>| match value {
        None => "∞".to_owned(),
        Some(value) if value >= 100.0 => thousands(value as u64),
        Some(value) => format!("{value:.1}"),
    };
    format!(
        "{} ({} to {})",
        number(interval.estimate),
        number(interval.low),
        number(interval.high)
    )
}

fn p(value: f64) -> String {
    if value < 0.0001 {
        "<0.0001".to_owned()
    } else {
        format!("{value:.4}")
    }
}
