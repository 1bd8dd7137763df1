//! Lines, numbers and errors: what every parser here is made of.

/// Longest piece of an offending line that an error repeats, in bytes.
const SHOWN: usize = 100;

/// A line that is not what its file's grammar asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {reason}: {content:?}")]
pub struct ParseError {
    /// File the text claims to be, for example `meminfo`.
    pub file: &'static str,
    /// Line number, from 1.
    pub line: usize,
    /// What was expected.
    pub reason: &'static str,
    /// The line (its first 100 bytes; bytes that are not UTF-8 are replaced).
    pub content: String,
}

/// One line without its line end, and where it stood.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) file: &'static str,
    pub(crate) number: usize,
    /// May have leading and trailing white space.
    pub(crate) text: &'a [u8],
}

impl<'a> Line<'a> {
    /// The error for this line.
    pub(crate) fn error(&self, reason: &'static str) -> ParseError {
        let shown = self.text.get(..SHOWN).unwrap_or(self.text);
        ParseError {
            file: self.file,
            line: self.number,
            reason,
            content: String::from_utf8_lossy(shown).trim().to_owned(),
        }
    }

    /// The whole line as text.
    pub(crate) fn as_str(&self) -> Result<&'a str, ParseError> {
        std::str::from_utf8(self.text.trim_ascii_end())
            .map_err(|_| self.error("expected text in UTF-8"))
    }
}

/// The lines of `text` that are not blank.
#[derive(Clone, Debug)]
pub(crate) struct Lines<'a> {
    file: &'static str,
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(file: &'static str, text: &'a [u8]) -> Lines<'a> {
        Lines {
            file,
            rest: text,
            number: 0,
        }
    }

    /// The bytes after the line returned last.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|&byte| byte == b'\n');
            let (text, rest) = match end {
                Some(end) => {
                    let (text, rest) = self.rest.split_at(end);
                    (text, rest.get(1..).unwrap_or_default())
                }
                None => (self.rest, Default::default()),
            };
            self.rest = rest;
            self.number += 1;
            if !text.trim_ascii().is_empty() {
                return Some(Line {
                    file: self.file,
                    number: self.number,
                    text,
                });
            }
        }
        None
    }
}

/// Turns a line into a row; `None` for a heading.
type ParseLine<'a, T> = fn(&Line<'a>) -> Result<Option<T>, ParseError>;

/// The rows of a file with one row a line. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Rows<'a, T> {
    lines: Lines<'a>,
    parse: ParseLine<'a, T>,
    failed: bool,
}

impl<'a, T> Rows<'a, T> {
    pub(crate) fn new(file: &'static str, text: &'a [u8], parse: ParseLine<'a, T>) -> Self {
        Rows {
            lines: Lines::new(file, text),
            parse,
            failed: false,
        }
    }
}

impl<T> Iterator for Rows<'_, T> {
    type Item = Result<T, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            let line = self.lines.next()?;
            match (self.parse)(&line) {
                Ok(None) => {}
                Ok(Some(row)) => return Some(Ok(row)),
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// Hexadecimal digits, with or without `0x`.
pub(crate) fn hex(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    // from_str_radix takes a sign, the kernel prints none.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

/// Decimal digits without a sign.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    if text.starts_with('+') {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_as_an_editor_does_and_blank_ones_skipped() {
        let lines: Vec<_> = Lines::new("f", b"a\n\n  b\r\n \nc")
            .map(|line| (line.number, line.text.trim_ascii()))
            .collect();
        assert_eq!(lines, [(1, &b"a"[..]), (3, b"b"), (5, b"c")]);
    }

    #[test]
    fn rows_end_after_an_error_that_names_the_line() {
        let mut rows = Rows::new("f", b"1\nx\n2\n", |line| {
            decimal(line.as_str()?)
                .map(Some)
                .ok_or_else(|| line.error("expected a number"))
        });
        assert_eq!(rows.next(), Some(Ok(1)));
        let error = rows.next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "f, line 2: expected a number: \"x\"");
        assert_eq!(rows.next(), None);
    }

    #[test]
    fn an_error_repeats_no_more_than_a_piece_of_an_endless_line() {
        let text = vec![b'x'; 1 << 20];
        let line = Lines::new("f", &text).next().unwrap();
        assert_eq!(line.error("r").content.len(), SHOWN);
    }

    #[test]
    fn signs_are_no_digits() {
        assert_eq!(decimal("+1"), None);
        assert_eq!(hex("0x+1"), None);
        assert_eq!(hex("ff"), Some(255));
        assert_eq!(hex("0xffffffffffffffff"), Some(u64::MAX));
        assert_eq!(decimal("18446744073709551616"), None);
    }
}
