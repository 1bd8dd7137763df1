//! Answers against the claims they are to show.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::answers::{bytes, hex, matches, numbers, words};
use super::{Answer, PageAnswers, holding};

/// `(tool, line)` of all lines that `why --json` printed, in their order.
///
/// # Errors
///
/// When it has none.
pub fn lines(why: &Value) -> Result<Vec<(String, String)>> {
    let lines = why["reproduce"].as_array().context("no lines")?;
    let each = |line: &Value| Some((line["tool"].as_str()?.into(), line["line"].as_str()?.into()));
    let lines: Option<Vec<_>> = lines.iter().map(each).collect();
    lines.filter(|all| !all.is_empty()).context("no lines")
}

/// Compares what `why --json --show-content` says of a page with the answers to the
/// lines it prints. Returns how many answers were compared, which is all of them.
///
/// # Errors
///
/// When lines are others than those answered, or an answer is not what is claimed.
pub fn compare(why: &Value, page: &PageAnswers) -> Result<usize> {
    let facts = Facts(why);
    let answered = page.answers.iter();
    let answered: Vec<_> = answered
        .map(|answer| (answer.tool.clone(), answer.line.clone()))
        .collect();
    let printed = lines(why)?;
    ensure!(
        printed == answered,
        "lines are not those that were answered: {:?}",
        printed
            .iter()
            .filter(|line| !answered.contains(line))
            .chain(answered.iter().filter(|line| !printed.contains(line)))
            .collect::<Vec<_>>()
    );
    let mut named = BTreeSet::new();
    let mut differences = Vec::new();
    let all = why["reproduce"].as_array().into_iter().flatten();
    for (line, answer) in all.zip(&page.answers) {
        let claim = line["claim"].as_str().unwrap_or_default();
        let checked = match claim {
            "page" => facts.page(answer),
            "class" => facts.class(answer),
            "unit" => facts.unit(answer),
            "page_struct" => facts.page_struct(answer),
            "held_by" => holding::check(&facts, answer),
            "named_by" => facts.named_by(answer, &mut named),
            "patterns" => facts.pattern(answer),
            "content" => facts.content(answer),
            _ => Err(anyhow::anyhow!("no such claim")),
        };
        if let Err(error) = checked {
            let Answer { tool, line, text } = answer;
            differences.push(format!("{claim}: {error:#}\n{tool}> {line}\n{text}"));
        }
    }
    let whole = [
        holding::check_links(&facts, &page.answers),
        facts.all_words(&named),
    ];
    differences.extend(
        whole
            .into_iter()
            .filter_map(|checked| Some(format!("{:#}", checked.err()?))),
    );
    ensure!(
        differences.is_empty(),
        "page {}, {}: {}",
        page.pfn,
        page.what,
        differences.join("\n")
    );
    Ok(page.answers.len())
}

/// What `why` says of a page.
pub(super) struct Facts<'a>(pub(super) &'a Value);

impl Facts<'_> {
    pub(super) fn hex(&self, pointer: &str) -> Result<u64> {
        let value = self.0.pointer(pointer).and_then(Value::as_str);
        value.and_then(hex).with_context(|| format!("no {pointer}"))
    }

    pub(super) fn number(&self, pointer: &str) -> Result<u64> {
        let value = self.0.pointer(pointer).and_then(Value::as_u64);
        value.with_context(|| format!("no {pointer}"))
    }

    pub(super) fn class_name(&self) -> &str {
        self.0["class"].as_str().unwrap_or_default()
    }

    /// The page's number in the unit, times `size`, before an address of it.
    pub(super) fn first(&self, of_page: &str, size: u64) -> Result<u64> {
        let before = self.number("/pfn")? - self.number("/unit/first")?;
        Ok(self.hex(of_page)? - before * size)
    }

    /// Whether a word is an address in the page or in its `struct page`.
    pub(super) fn names(&self, word: u64, pfn: u64) -> Result<bool> {
        let away = |here: u64, size: u64| {
            let there = (pfn.wrapping_sub(self.number("/pfn")?)).wrapping_mul(size);
            anyhow::Ok(word.wrapping_sub(here.wrapping_add(there)) < size)
        };
        Ok(away(self.hex("/virtual")?, PAGE)? || away(self.hex("/page_struct_at")?, STRUCT)?)
    }

    /// Physical addresses and words that it lists.
    pub(super) fn words(&self) -> Result<BTreeSet<(u64, u64)>> {
        let words = self.0["named_by"]["words"].as_array().context("no words")?;
        let total = self.number("/named_by/counting")? + self.number("/named_by/barred")?;
        ensure!(
            words.len() as u64 == total,
            "not all words are listed: choose another page"
        );
        let each = |word: &Value| Some((hex(word["at"].as_str()?)?, hex(word["word"].as_str()?)?));
        let words: Option<_> = words.iter().map(each).collect();
        words.context("a word that is none")
    }

    fn named_by(&self, answer: &Answer, named: &mut BTreeSet<(u64, u64)>) -> Result<()> {
        if answer.line.starts_with("search") {
            named.extend(matches(&answer.text).context("no matches")?);
            return Ok(());
        }
        let (at, word) = holding::word(answer)?;
        ensure!(self.words()?.contains(&(at, word)), "{at:x}: {word:x}");
        Ok(())
    }

    /// Checks that crash's searches found what is listed, and that nothing else is.
    fn all_words(&self, named: &BTreeSet<(u64, u64)>) -> Result<()> {
        equal(named, &self.words()?).context("the words that name it")
    }

    fn pattern(&self, answer: &Answer) -> Result<()> {
        let (offset, found) = self.memory(answer)?;
        let patterns = self.0["patterns"].as_array().into_iter().flatten();
        let pairs = |pattern: &Value| {
            let hex = pattern["hex"].as_str().unwrap_or_default().as_bytes();
            let pair = |pair: &[u8]| u8::from_str_radix(&String::from_utf8_lossy(pair), 16).ok();
            hex.chunks(2).map(pair).collect::<Vec<_>>()
        };
        let fits = |pattern: &Value| {
            let wanted = pairs(pattern);
            pattern["offset"].as_u64() == Some(offset)
                && wanted.len() == found.len()
                && wanted
                    .iter()
                    .zip(&found)
                    .all(|(wanted, byte)| wanted.is_none_or(|wanted| wanted == *byte))
        };
        ensure!(patterns.into_iter().any(fits), "no pattern at {offset}");
        Ok(())
    }

    fn content(&self, answer: &Answer) -> Result<()> {
        let (_, found) = self.memory(answer)?;
        let shown = self.0["content"].as_array().context("no content")?;
        let lines = shown.iter().filter_map(Value::as_str).collect::<Vec<_>>();
        equal(&bytes(&lines.join("\n"), found.len()), &Some(found))
    }

    /// Where in the page an answer's bytes lie, and the bytes.
    fn memory(&self, answer: &Answer) -> Result<(u64, Vec<u8>)> {
        let (at, count) = match answer.tool.as_str() {
            "crash" => answer.line.strip_prefix("rd -8 -p ").and_then(|rest| {
                let (at, count) = rest.split_once(' ')?;
                Some((hex(at)?, count.parse().ok()?))
            }),
            _ => answer.line.split_once("prog.read(").and_then(|(_, rest)| {
                let (at, rest) = rest.split_once(", ")?;
                Some((hex(at)?, rest.split_once(',')?.0.parse().ok()?))
            }),
        }
        .context("a line that reads nothing")?;
        let found = match answer.tool.as_str() {
            "crash" => bytes(&answer.text, count),
            _ => {
                let pairs = answer.text.split_whitespace();
                pairs
                    .map(|pair| u8::from_str_radix(pair, 16).ok())
                    .collect()
            }
        };
        let found: Vec<u8> = found.context("no bytes")?;
        equal(&found.len(), &count)?;
        Ok((at - self.hex("/physical")?, found))
    }
}

/// Sizes on x86-64, whose dumps these are.
const PAGE: u64 = 4096;
pub(super) const STRUCT: u64 = 64;

/// All words of an answer that is a dump of memory.
pub(super) fn all_words(answer: &Answer, count: usize) -> Option<Vec<u64>> {
    match answer.tool.as_str() {
        "crash" => words(&answer.text, count),
        _ => numbers(&answer.text).filter(|words| words.len() == count),
    }
}

pub(super) fn equal<T: PartialEq + std::fmt::Debug>(found: &T, claimed: &T) -> Result<()> {
    ensure!(found == claimed, "{found:x?}, but pagehound: {claimed:x?}");
    Ok(())
}
