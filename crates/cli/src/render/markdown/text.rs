//! Text that stays text in Markdown, whatever is in it.

use crate::render::escape;
use std::io::{self, Write};

/// Characters that mean something in Markdown or in the HTML it may hold.
const SPECIAL: &str = "\\`*_{}[]<>#|~&!$";

/// `text` as one line of plain text.
pub(super) fn plain(text: &str) -> String {
    let text = escape(text);
    // What trackers make links and mentions of, whatever is escaped in it.
    if ["@", "://", "www.", "GH-"]
        .iter()
        .any(|link| text.contains(link))
    {
        return code(&text);
    }
    let mut safe = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        // Within a word it is a letter like others.
        let joins = |c: char| c.is_alphanumeric();
        let within = c == '_' && joins(before) && rest.peek().copied().is_some_and(joins);
        if SPECIAL.contains(c) && !within {
            safe.push('\\');
        }
        safe.push(c);
        before = c;
    }
    // A line that begins so would be a list or a heading.
    let begins = safe.trim_start().starts_with(['-', '+', '=']);
    if begins {
        format!("\\{}", safe.trim_start())
    } else {
        safe
    }
}

/// `text` as code on one line, between as many backquotes as it takes.
pub(super) fn code(text: &str) -> String {
    // A bar ends a cell of a table even in code.
    let text = escape(text).replace('|', "\u{2502}");
    let fence = "`".repeat(longest_run(&text) + 1);
    match text.contains('`') {
        true => format!("{fence} {text} {fence}"),
        false => format!("{fence}{text}{fence}"),
    }
}

/// Plain text in which what stands in backquotes is code. A name with backquotes of its
/// own makes code and text change places, and no more.
pub(super) fn with_code(text: &str) -> String {
    let mut line = String::new();
    let parts = text.split('`').enumerate();
    for (number, part) in parts.filter(|(_, part)| !part.is_empty()) {
        let part = match number % 2 {
            0 => plain(part),
            _ => code(part),
        };
        // Backquotes that touch are one run, and neither piece would end where it should.
        if line.ends_with('`') && part.starts_with('`') {
            line.push(' ');
        }
        line.push_str(&part);
    }
    line
}

/// Backquotes that begin and end a block in which `text` stands as it is.
pub(super) fn block_fence(text: &str) -> String {
    "`".repeat(longest_run(text).max(2) + 1)
}

/// The most backquotes that stand together in `text`.
fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or(0)
}

/// A table, a row a line.
pub(super) struct Table {
    lines: Vec<String>,
}

impl Table {
    pub(super) fn new(headings: &[&str]) -> Table {
        let rule = vec!["---"; headings.len()];
        Table {
            lines: vec![
                format!("| {} |", headings.join(" | ")),
                format!("| {} |", rule.join(" | ")),
            ],
        }
    }

    /// Adds a row of cells that are Markdown already.
    pub(super) fn row(&mut self, cells: &[String]) {
        self.lines.push(format!("| {} |", cells.join(" | ")));
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        for line in &self.lines {
            writeln!(out, "{line}")?;
        }
        writeln!(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_out_of_a_dump_is_neither_markup_nor_html() {
        assert_eq!(plain("em1"), "em1");
        assert_eq!(plain("_em_"), "\\_em\\_");
        assert_eq!(plain("kmalloc_cg|x"), "kmalloc_cg\\|x");
        assert_eq!(plain("<img src=x>"), "\\<img src=x\\>");
        assert_eq!(plain("a\n# b"), "a\\\\x0a\\# b");
        assert_eq!(plain("- item"), "\\- item");
        assert_eq!(plain("see http://x.example"), "`see http://x.example`");
        assert_eq!(plain("@user"), "`@user`");
        assert_eq!(code("a`b"), "`` a`b ``");
        assert_eq!(code("a|b"), "`a\u{2502}b`");
        assert_eq!(
            with_code("run `ethtool -S em1` now_"),
            "run `ethtool -S em1` now\\_"
        );
    }

    /// What of a line of Markdown is neither a code span nor escaped, and so may mean
    /// something (CommonMark 0.31, 6.1 and 2.4).
    fn outside_code(line: &str) -> String {
        let mut outside = String::new();
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            if c == '\\' {
                let mut escaped = rest.chars();
                rest = match escaped.nth(1) {
                    Some(c) if c.is_ascii_punctuation() => escaped.as_str(),
                    _ => &rest[1..],
                };
                continue;
            }
            let run = rest.len() - rest.trim_start_matches('`').len();
            if run == 0 {
                outside.push(c);
                rest = &rest[c.len_utf8()..];
                continue;
            }
            let (mark, after) = rest.split_at(run);
            // It ends with the next run that is as long.
            let mut runs = after.match_indices(mark).filter(|(at, _)| {
                !after[..*at].ends_with('`') && !after[at + run..].starts_with('`')
            });
            rest = match runs.next() {
                Some((at, _)) => &after[at + run..],
                None => {
                    outside.push_str(mark);
                    after
                }
            };
        }
        outside
    }

    #[test]
    fn the_check_itself() {
        assert_eq!(outside_code("a `b` c"), "a  c");
        assert_eq!(outside_code("``a`b`` c"), " c");
        assert_eq!(outside_code("`a`` b"), "`a`` b");
        assert_eq!(outside_code("\\<a\\` `<`"), "a ");
        assert_eq!(outside_code("`a``<b>`` `c`"), "c`");
        assert_eq!(outside_code("`a``<b>"), "`a``<b>");
    }

    /// Every name of up to four such pieces, in sentences that say what to do.
    #[test]
    fn no_name_makes_markup_of_a_sentence_with_code() {
        let pieces = ["`", "``", "@", "a", "<b>", "[l](//e)", "|", "\\"];
        let mut names = vec![String::new()];
        let mut from = 0;
        for _ in 0..4 {
            let until = names.len();
            for index in from..until {
                for piece in pieces {
                    names.push(format!("{}{piece}", names[index]));
                }
            }
            from = until;
        }
        for name in names {
            for sentence in [
                format!("watch `ledger` beside `ethtool -S {name}`, an hour apart"),
                format!("boot with `slub_debug=U,{name}`: slab/{name}/alloc_traces tells"),
                format!("`pagehound {name}` tells"),
                format!("{name} is not of the tree"),
            ] {
                let line = with_code(&sentence);
                let outside = outside_code(&line);
                let means = |c| "<[|@`".contains(c);
                assert!(!outside.contains(means), "{name:?}: {line}: {outside}");
            }
        }
    }

    #[test]
    fn a_block_is_not_ended_by_what_stands_in_it() {
        assert_eq!(block_fence("a `b`"), "```");
        assert_eq!(block_fence("a\n````\nb"), "`````");
    }
}
