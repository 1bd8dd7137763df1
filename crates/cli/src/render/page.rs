//! Lines on the terminal: wrapped, indented, and escaped without exception.

use super::escape;
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};

/// Lost pages, errors.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Suspect pages, gaps.
pub const DOUBT: Style = AnsiColor::Yellow.on_default().bold();
/// Nothing to worry about.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Labels and headings.
pub const LABEL: Style = Style::new().bold();
/// What is seldom read.
pub const FAINT: Style = Style::new().dimmed();
/// No style.
pub const PLAIN: Style = Style::new();

/// Column at which the text beside a label begins.
const INDENT: usize = 12;

/// Writes lines of at most `width` columns where it can break them at blanks.
pub struct Page<'a> {
    out: &'a mut dyn Write,
    width: usize,
}

impl<'a> Page<'a> {
    /// A page that is written to `out`, styles included: the stream behind it
    /// strips them where they are not wanted.
    pub fn new(out: &'a mut dyn Write, width: usize) -> Self {
        Page {
            out,
            width: width.max(40),
        }
    }

    /// Columns there are.
    pub fn width(&self) -> usize {
        self.width
    }

    /// An empty line.
    pub fn gap(&mut self) -> io::Result<()> {
        writeln!(self.out)
    }

    /// `text` from column `indent` on.
    pub fn paragraph(&mut self, indent: usize, style: Style, text: &str) -> io::Result<()> {
        for line in wrap(&escape(text), self.width.saturating_sub(indent)) {
            writeln!(self.out, "{:indent$}{style}{line}{style:#}", "")?;
        }
        Ok(())
    }

    /// `text` beside a label that says what it is about.
    pub fn item(&mut self, label: &str, text: &str) -> io::Result<()> {
        let mut label = label;
        for line in wrap(&escape(text), self.width.saturating_sub(INDENT)) {
            writeln!(self.out, "  {LABEL}{label:<8}{LABEL:#}  {line}")?;
            label = "";
        }
        Ok(())
    }

    /// `text`, and at the right edge of its last line another word.
    pub fn ends(&mut self, style: Style, text: &str, right: &str) -> io::Result<()> {
        let (lines, right) = (wrap(&escape(text), self.width), escape(right));
        let Some((last, lines)) = lines.split_last() else {
            return Ok(());
        };
        for line in lines {
            writeln!(self.out, "{style}{line}{style:#}")?;
        }
        let room = self.width.saturating_sub(last.chars().count() + 2);
        if room < right.chars().count() {
            writeln!(self.out, "{style}{last}{style:#}")?;
            writeln!(
                self.out,
                "{style}{right:>width$}{style:#}",
                width = self.width
            )
        } else {
            writeln!(self.out, "{style}{last}  {right:>room$}{style:#}")
        }
    }

    /// `text` as it is, on one line, where the text of an item begins.
    pub fn indented(&mut self, text: &str) -> io::Result<()> {
        self.line(PLAIN, &format!("{:INDENT$}{text}", ""))
    }

    /// A styled word, `text`, and at the right edge another word.
    pub fn headline(
        &mut self,
        style: Style,
        word: &str,
        text: &str,
        right: &str,
    ) -> io::Result<()> {
        let (text, right) = (escape(text), escape(right));
        let indent = if word.is_empty() {
            0
        } else {
            word.chars().count() + 2
        };
        let room = self
            .width
            .saturating_sub(indent + right.chars().count() + 2);
        let gap = if indent == 0 { "" } else { "  " };
        write!(self.out, "{style}{word}{style:#}{gap}")?;
        for (number, line) in wrap(&text, room).into_iter().enumerate() {
            match number {
                0 if right.is_empty() => writeln!(self.out, "{LABEL}{line}{LABEL:#}")?,
                0 => writeln!(
                    self.out,
                    "{LABEL}{line:<room$}{LABEL:#}  {style}{right}{style:#}"
                )?,
                _ => writeln!(self.out, "{:indent$}{LABEL}{line}{LABEL:#}", "")?,
            }
        }
        Ok(())
    }

    /// `text` as one line, however long.
    pub fn line(&mut self, style: Style, text: &str) -> io::Result<()> {
        writeln!(self.out, "{style}{}{style:#}", escape(text).trim_end())
    }
}

/// Breaks `text` at blanks into lines of at most `width` characters; a longer
/// word has a line of its own. At least one line.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(
            wrap("one  incomprehensible two", 5),
            ["one", "incomprehensible", "two"]
        );
        assert_eq!(wrap("", 5), [""]);
    }
}
