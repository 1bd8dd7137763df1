//! What crash and drgn answer to the lines that `why` prints, and whether it is what
//! `why` says.

mod answers;
mod compare;
mod holding;
mod page;

use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};

pub use compare::{compare, lines};

/// A tool's answer to a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// `crash` or `drgn`.
    pub tool: String,
    /// What was typed.
    pub line: String,
    /// What was printed, without blanks at the ends of lines.
    pub text: String,
}

/// The answers for one page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageAnswers {
    /// The page.
    pub pfn: u64,
    /// Why it was chosen.
    pub what: String,
    /// In the order of the lines.
    pub answers: Vec<Answer>,
}

/// What a line begins with that was typed, by the tool.
const PROMPTS: [(&str, &str); 2] = [("crash", "crash> "), ("drgn", ">>> ")];
/// What a page's answers begin with.
const PAGE: &str = "== page ";

/// Reads answers as [`write`] writes them.
///
/// # Errors
///
/// When an answer is to no line, or a line to no page.
pub fn parse(text: &str) -> Result<Vec<PageAnswers>> {
    let mut pages: Vec<PageAnswers> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix(PAGE) {
            let (pfn, what) = rest.split_once(' ').context("a page without a reason")?;
            pages.push(PageAnswers {
                pfn: pfn.parse().with_context(|| line.to_owned())?,
                what: what.to_owned(),
                answers: Vec::new(),
            });
            continue;
        }
        let page = pages
            .last_mut()
            .with_context(|| format!("of no page: {line}"))?;
        let typed = PROMPTS
            .iter()
            .find_map(|(tool, prompt)| Some((tool, line.strip_prefix(prompt)?)));
        if let Some((tool, line)) = typed {
            page.answers.push(Answer {
                tool: (*tool).to_owned(),
                line: line.to_owned(),
                text: String::new(),
            });
            continue;
        }
        let Some(answer) = page.answers.last_mut() else {
            bail!("an answer to nothing: {line}");
        };
        answer.text.push_str(line);
        answer.text.push('\n');
    }
    Ok(pages)
}

/// The answers as a transcript.
///
/// # Errors
///
/// When an answer has a line that would read as one that was typed.
pub fn write(pages: &[PageAnswers]) -> Result<String> {
    let mut text = String::new();
    for page in pages {
        writeln!(text, "{PAGE}{} {}", page.pfn, page.what)?;
        for answer in &page.answers {
            let prompt = PROMPTS.iter().find(|(tool, _)| *tool == answer.tool);
            let (_, prompt) = prompt.with_context(|| format!("no tool: {}", answer.tool))?;
            writeln!(text, "{prompt}{}", answer.line)?;
            text.push_str(&answer.text);
        }
    }
    ensure!(
        parse(&text)? == pages,
        "an answer reads as if it had been typed"
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_reads_as_it_was_written() {
        let text = "== page 7 a page\ncrash> rd -p 10\n  10:  1\n>>> print(1)\n1\n\n>>> x\n";
        let pages = parse(text).unwrap();
        assert_eq!(pages[0].answers[1].text, "1\n\n");
        assert_eq!(pages[0].answers.len(), 3);
        assert_eq!(write(&pages).unwrap(), text);
        assert!(parse("crash> x\n").is_err());
        assert!(parse("== page 7 x\nanswer\n").is_err());
        let mut odd = pages;
        odd[0].answers[0].text = "crash> y\n".to_owned();
        assert!(write(&odd).is_err());
    }
}
