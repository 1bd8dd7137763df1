//! Answers on who holds a page.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::Answer;
use super::answers::{below, hex, matches, member, numbers};
use super::compare::{Facts, all_words, equal};

/// How far the begin of a slab object may be from the word in it.
const OBJECT: u64 = 8192;

/// Checks the answer to a line on a holder.
pub(super) fn check(facts: &Facts<'_>, answer: &Answer) -> Result<()> {
    let line = answer.line.as_str();
    if line.starts_with("rd -p ") || line.contains("physical=True)))") {
        let (at, word) = word(answer)?;
        return names_next(facts, at, word);
    }
    if line.starts_with("rd ") || line.contains(" in range(") {
        // Which page's it is, and whose it names, `check_links` knows.
        all_words(answer, 8).context("no words")?;
        return Ok(());
    }
    if line.starts_with("search ") || line.starts_with("found = ") {
        found(answer).context("no matches")?;
        return Ok(());
    }
    if line.contains("_refcount") {
        let count = match answer.tool.as_str() {
            "crash" => member(&answer.text, "_refcount", Some("counter")),
            _ => hex(&answer.text),
        };
        ensure!(count.is_some_and(|count| count > 0), "not in use");
        return Ok(());
    }
    if line.starts_with("vtop ") || line.contains("follow_phys") {
        let phys = match answer.tool.as_str() {
            "crash" => below(&answer.text, "VIRTUAL PHYSICAL").and_then(|words| hex(words.get(1)?)),
            _ => hex(&answer.text),
        };
        let phys = phys.context("not mapped")?;
        let first = facts.number("/unit/first")?;
        let unit = first..first + facts.number("/unit/pages")?;
        ensure!(unit.contains(&(phys >> 12)), "{phys:x}");
        return Ok(());
    }
    let at = address(line).context("a line without an address")?;
    let phys = at.wrapping_sub(facts.hex("/virtual")?) as i64 + facts.hex("/physical")? as i64;
    let lies_in = link(facts, "object_at", at)
        .or_else(|| link(facts, "word_at", phys as u64))
        .or_else(|| preceding(facts, answer));
    let lies_in = lies_in.and_then(|link| link["lies_in"].as_str());
    let (kind, name) = lies_in
        .and_then(|lies_in| lies_in.split_once(' '))
        .context("of nothing that holds it")?;
    match kind {
        "slab" => slab(answer, name.split(" (or ").next().unwrap_or(name)),
        "symbol" => {
            let name = name.split('+').next().unwrap_or(name);
            let mut words = answer.text.split(|next: char| !is_of_names(next));
            ensure!(words.any(|word| word == name), "not {name}");
            Ok(())
        }
        _ => area(answer, &format!("{kind} {name}")),
    }
}

/// The links of the chain, each of which an answer of both tools must show.
pub(super) fn check_links(facts: &Facts<'_>, answers: &[Answer]) -> Result<()> {
    for link in links(facts) {
        let (Some(names), Some(from)) = (link["names"].as_u64(), link["from"].as_u64()) else {
            continue;
        };
        let text = link["text"].as_str().unwrap_or_default();
        for tool in ["crash", "drgn"] {
            let mut answers = answers.iter().filter(|answer| answer.tool == tool);
            let shown = if text.contains("the struct page of") {
                let there = facts
                    .hex("/page_struct_at")?
                    .wrapping_add(from.wrapping_sub(facts.number("/pfn")?).wrapping_mul(64));
                let answer = answers.find(|answer| address(&answer.line) == Some(there));
                let words = answer.and_then(|answer| all_words(answer, 8));
                let words = words.with_context(|| format!("no line of {tool} for: {text}"))?;
                let named: Result<Vec<bool>> =
                    words.iter().map(|&word| facts.names(word, names)).collect();
                named?.contains(&true)
            } else if text.contains("a word in page") {
                let places: BTreeSet<u64> = answers.filter_map(found).flatten().collect();
                places.iter().any(|at| at >> 12 == from)
            } else if text.contains("hardware table") {
                // Of a group that lies in tables, the table is not known.
                let known = from != names;
                let mut places = answers
                    .filter(|answer| answer.line.contains("fff0000000000fff"))
                    .filter_map(found)
                    .flatten();
                (tool == "drgn" && !known) || places.any(|at| !known || at >> 12 == from)
            } else {
                true
            };
            ensure!(shown, "{tool} does not show: {text}");
        }
    }
    Ok(())
}

/// The slab cache that an answer names.
pub(super) fn slab(answer: &Answer, cache: &str) -> Result<()> {
    let name = match answer.tool.as_str() {
        "crash" => below(&answer.text, "CACHE OBJSIZE").and_then(|words| words.last().copied()),
        _ => Some(answer.text.trim()),
    };
    equal(&name, &Some(cache))
}

/// The vmalloc area or stack that an answer names.
pub(super) fn area(answer: &Answer, holder: &str) -> Result<()> {
    let at = address(&answer.line).context("a line without an address")?;
    if let Some(stack) = holder.strip_prefix("stack ")
        && answer.tool == "drgn"
    {
        let (name, pid) = stack.split_once(" (pid ").unwrap_or((stack, ""));
        let shown = format!("task stack: {} (", pid.trim_end_matches(')'));
        let same = answer.text.starts_with(&shown) || pid.is_empty();
        ensure!(
            same && answer.text.contains(&format!("({name})")),
            "{holder}"
        );
        return Ok(());
    }
    // Both print where the area begins and ends.
    let range = answer.text.split_whitespace().collect::<Vec<_>>();
    let ends = match answer.tool.as_str() {
        "crash" => range
            .windows(3)
            .find(|words| words[1] == "-")
            .and_then(|words| Some((hex(words[0])?, hex(words[2])?))),
        _ => range.iter().find_map(|word| {
            let (start, end) = word.split_once('-')?;
            Some((hex(start)?, hex(end)?))
        }),
    };
    let (start, end) = ends.with_context(|| format!("no area, but {holder}"))?;
    ensure!((start..end).contains(&at), "{at:x} is not in it");
    Ok(())
}

/// The address and value of the one word that an answer shows.
pub(super) fn word(answer: &Answer) -> Result<(u64, u64)> {
    let at = address(&answer.line).context("a line without an address")?;
    let words = all_words(answer, 1).context("no word")?;
    Ok((at, words[0]))
}

/// Whether the word names what the chain says it does.
fn names_next(facts: &Facts<'_>, at: u64, word: u64) -> Result<()> {
    let links: Vec<&Value> = links(facts).collect();
    let is_it = |link: &&Value| link["word_at"].as_str().and_then(hex) == Some(at);
    let place = links.iter().position(is_it).context("no such link")?;
    if let Some(pfn) = links[place]["names"].as_u64() {
        let pages = match pfn == facts.number("/unit/first")? {
            true => facts.number("/unit/pages")?,
            false => 1,
        };
        for pfn in pfn..pfn + pages {
            if facts.names(word, pfn)? {
                return Ok(());
            }
        }
        bail!("{word:x} does not name it");
    }
    // A step up names the object that the word before lies in.
    let below = links[..place].iter().rev();
    let below = below
        .filter_map(|link| hex(link["word_at"].as_str()?))
        .next();
    let below = below.context("nothing below")?;
    let virt = below
        .wrapping_sub(facts.hex("/physical")?)
        .wrapping_add(facts.hex("/virtual")?);
    ensure!(
        virt.abs_diff(word) < OBJECT,
        "{word:x} is not near {virt:x}"
    );
    Ok(())
}

/// Physical addresses that a search found.
fn found(answer: &Answer) -> Option<Vec<u64>> {
    match answer.line.as_str() {
        line if line.starts_with("search ") => Some(
            matches(&answer.text)?
                .into_iter()
                .map(|(at, _)| at)
                .collect(),
        ),
        line if line.starts_with("found = ") => numbers(&answer.text),
        _ => None,
    }
}

fn links<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = &'a Value> {
    facts.0["held_by"].as_array().into_iter().flatten()
}

fn link<'a>(facts: &'a Facts<'_>, member: &str, at: u64) -> Option<&'a Value> {
    links(facts).find(|link| link[member].as_str().and_then(hex) == Some(at))
}

/// The link of an address that is no physical one: of those with a word the one of
/// the same place in a page.
fn preceding<'a>(facts: &'a Facts<'_>, answer: &Answer) -> Option<&'a Value> {
    let at = address(&answer.line)?;
    links(facts).find(|link| {
        let word = link["word_at"].as_str().and_then(hex);
        word.is_some_and(|word| word & 0xfff == at & 0xfff)
    })
}

/// The address in a line.
fn address(line: &str) -> Option<u64> {
    let digits = |text: &str| {
        let end = text.find(|next: char| !next.is_ascii_hexdigit());
        u64::from_str_radix(&text[..end.unwrap_or(text.len())], 16).ok()
    };
    match line.split_once("0x") {
        Some((_, rest)) => digits(rest),
        None => line
            .split_whitespace()
            .skip(1)
            .filter(|word| word.len() > 3 && !word.contains('.'))
            .find_map(digits),
    }
}

fn is_of_names(next: char) -> bool {
    next.is_ascii_alphanumeric() || next == '_'
}
