//! Bytes of the dump as text that is safe to print.

/// Bytes of the dump as text: valid UTF-8 stays, while control characters, the
/// marks that turn the direction of writing or are not seen, and broken bytes become `\xNN`,
/// so that no line of a dump can steer the terminal it is printed on. A tab
/// stays a tab; a line feed is escaped like other controls.
pub fn printable(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_printable(c) {
                out.push(c);
            } else {
                let mut buf = [0; 4];
                escape(c.encode_utf8(&mut buf).as_bytes(), &mut out);
            }
        }
        escape(chunk.invalid(), &mut out);
    }
    out
}

/// Whether a character can stand as it is: it is seen, and moves or turns nothing; a tab
/// is one.
pub fn is_printable(c: char) -> bool {
    let turns = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    // Two names that look the same must be the same.
    let hides = matches!(
        c,
        '\u{ad}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200d}'
            | '\u{2060}'..='\u{2064}'
            | '\u{206a}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    // U+2028 and U+2029 end a line, as U+0085 (a control) does.
    let breaks = matches!(c, '\u{2028}' | '\u{2029}');
    c == '\t' || !(c.is_control() || turns || hides || breaks)
}

fn escape(bytes: &[u8], out: &mut String) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    for byte in bytes {
        out.push_str("\\x");
        for nibble in [byte >> 4, byte & 15] {
            out.extend(HEX.get(usize::from(nibble)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_and_controls_do_not() {
        assert_eq!(printable(b"em1: 'up' \\ \"x\"\t1"), "em1: 'up' \\ \"x\"\t1");
        assert_eq!(printable("Gerät".as_bytes()), "Gerät");
        assert_eq!(printable(b"\x1b[2J\n\r\0"), r"\x1b[2J\x0a\x0d\x00");
        assert_eq!(printable(b"a\xff\xfeb"), r"a\xff\xfeb");
        assert_eq!(
            printable("\u{202e}\u{9b}x".as_bytes()),
            r"\xe2\x80\xae\xc2\x9bx"
        );
        let unseen = printable("a\u{61c}b\u{200b}c\u{e0041}d".as_bytes());
        assert_eq!(unseen, r"a\xd8\x9cb\xe2\x80\x8bc\xf3\xa0\x81\x81d");
    }
}
