//! The one place where text from a dump is made fit for a terminal.

use std::fmt::Write;

/// `bytes` as one line of text that cannot move the cursor, change colours or
/// turn the direction of writing: control and format characters and invalid
/// UTF-8 become `\n`, `\t`, `\x1b` or `\u{202e}`.
pub fn escape(bytes: impl AsRef<[u8]>) -> String {
    let mut text = String::new();
    for chunk in bytes.as_ref().utf8_chunks() {
        for c in chunk.valid().chars() {
            push(&mut text, c);
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

fn push(text: &mut String, c: char) {
    let _ = match c {
        '\n' => write!(text, "\\n"),
        '\t' => write!(text, "\\t"),
        _ if c.is_ascii_control() => write!(text, "\\x{:02x}", u32::from(c)),
        _ if c.is_control() || is_format(c) => write!(text, "\\u{{{:x}}}", u32::from(c)),
        _ => write!(text, "{c}"),
    };
}

/// Characters that show nothing but change what is shown around them: line
/// separators, joiners, marks and overrides of direction, the byte order mark,
/// tags (Unicode general category Cf and Zl, Zp, as far as terminals act on them).
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn text_stays_as_it_is() {
        assert_eq!(escape("em1: Überlauf \\x41 漢"), "em1: Überlauf \\x41 漢");
    }

    #[test]
    fn nothing_reaches_the_terminal() {
        assert_eq!(
            escape("a\x1b[31mb\r\n\tc\x7f"),
            "a\\x1b[31mb\\x0d\\n\\tc\\x7f"
        );
        assert_eq!(escape("\u{9b}31m\u{202e}gpj"), "\\u{9b}31m\\u{202e}gpj");
        assert_eq!(escape(b"ok\xff\xc3(\xe2\x82"), "ok\\xff\\xc3(\\xe2\\x82");
    }
}
