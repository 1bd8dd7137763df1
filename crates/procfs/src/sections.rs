//! Several files in one: each starts after a line `== name` and ends at the next.

use crate::line::Lines;

/// One of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// First word after `==`, without folders in front: `== /proc/meminfo` is `meminfo`.
    pub name: &'a str,
    /// The lines up to the next heading.
    pub text: &'a [u8],
}

/// Whether a file that starts with `head` consists of sections.
pub fn looks_like_sections(head: &[u8]) -> bool {
    Lines::new("sections", head)
        .next()
        .is_some_and(|line| heading(line.text).is_some())
}

/// The sections of `text`, in order. Lines before the first heading belong to none.
pub fn sections(text: &[u8]) -> impl Iterator<Item = Section<'_>> {
    let mut lines = Lines::new("sections", text);
    let mut next = None;
    std::iter::from_fn(move || {
        let name = match next.take() {
            Some(name) => name,
            None => lines.find_map(|line| heading(line.text))?,
        };
        let start = lines.rest();
        let mut length = start.len();
        for line in lines.by_ref() {
            next = heading(line.text);
            if next.is_some() {
                length = (line.text.as_ptr() as usize).saturating_sub(start.as_ptr() as usize);
                break;
            }
        }
        Some(Section {
            name,
            text: start.get(..length).unwrap_or(start),
        })
    })
}

fn heading(line: &[u8]) -> Option<&str> {
    let rest = std::str::from_utf8(line.strip_prefix(b"== ")?).ok()?;
    let word = rest.split_ascii_whitespace().next()?;
    Some(word.rsplit('/').next().unwrap_or(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_ends_where_the_next_begins() {
        let text = b"lost\n== /proc/meminfo\nMemTotal: 1 kB\n\n== planted (pfn kind order)\n1 2 3\n==x\n== end\n== last";
        let parts: Vec<_> = sections(text).map(|part| (part.name, part.text)).collect();
        assert_eq!(
            parts,
            [
                ("meminfo", &b"MemTotal: 1 kB\n\n"[..]),
                ("planted", b"1 2 3\n==x\n"),
                ("end", b""),
                ("last", b""),
            ]
        );
        assert!(!looks_like_sections(text));
        assert!(looks_like_sections(b"\n== meminfo\n"));
        assert!(!looks_like_sections(b"MemTotal: 1 kB\n"));
    }
}
