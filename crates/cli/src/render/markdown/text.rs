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
    let runs = text.split(|c| c != '`').map(str::len);
    let fence = "`".repeat(runs.max().unwrap_or(0) + 1);
    match text.contains('`') {
        true => format!("{fence} {text} {fence}"),
        false => format!("{fence}{text}{fence}"),
    }
}

/// Plain text in which what stands in backquotes is code.
pub(super) fn with_code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(number, part)| match number % 2 {
            0 => plain(part),
            _ => code(part),
        })
        .collect()
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
}
