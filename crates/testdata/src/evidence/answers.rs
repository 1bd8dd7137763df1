//! Reading what crash and drgn print.

/// A number in hex, with or without a prefix, and with what it ends a list.
pub(super) fn hex(text: &str) -> Option<u64> {
    let text = text.trim().trim_end_matches([',', ':']);
    u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok()
}

/// All numbers of an answer that is nothing else.
pub(super) fn numbers(answer: &str) -> Option<Vec<u64>> {
    answer.split_whitespace().map(hex).collect()
}

/// `address: word` a line, as crash's `search` prints.
pub(super) fn matches(answer: &str) -> Option<Vec<(u64, u64)>> {
    let parse = |line: &str| {
        let (at, word) = line.split_once(':')?;
        Some((hex(at)?, hex(word)?))
    };
    answer.lines().map(parse).collect()
}

/// The words of crash's `rd`, without the text beside them.
pub(super) fn words(answer: &str, mut count: usize) -> Option<Vec<u64>> {
    let mut words = Vec::new();
    for line in answer.lines() {
        let (_, rest) = line.split_once(':')?;
        let here = count.min(2);
        for word in rest.split_whitespace().take(here) {
            words.push(hex(word)?);
        }
        count -= here;
    }
    (count == 0).then_some(words)
}

/// The bytes of crash's `rd -8`, likewise.
pub(super) fn bytes(answer: &str, mut count: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for line in answer.lines() {
        let (_, rest) = line.split_once(':')?;
        let here = count.min(16);
        for pair in rest.split_whitespace().take(here) {
            bytes.push(u8::from_str_radix(pair, 16).ok()?);
        }
        count -= here;
    }
    (count == 0).then_some(bytes)
}

/// The value of a member as both print structures: after `name =`, of a nested
/// structure its `inner` member. drgn names the type in between.
pub(super) fn member(answer: &str, name: &str, inner: Option<&str>) -> Option<u64> {
    let starts = |line: &&str, name: &str| {
        let line = line.trim_start().trim_start_matches('.');
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(" ="))
    };
    let mut lines = answer.lines().skip_while(|line| !starts(line, name));
    let line = match inner {
        Some(inner) => lines.find(|line| starts(line, inner))?,
        None => lines.next()?,
    };
    let (_, value) = line.split_once('=')?;
    let value = value.trim().trim_end_matches(',');
    let value = value.rsplit_once(')').map_or(value, |(_, value)| value);
    // Crash tells a pointer's symbol behind it, drgn before.
    let value = value.split(" <").next().unwrap_or(value);
    let value = value.rsplit_once("= ").map_or(value, |(_, value)| value);
    match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => value.parse::<i128>().ok().map(|value| value as u64),
    }
}

/// The words of the line below the heading that begins with these words, in what
/// crash prints.
pub(super) fn below<'a>(answer: &'a str, heading: &str) -> Option<Vec<&'a str>> {
    let begins = |line: &&str| {
        let mut words = line.split_whitespace();
        heading.split(' ').all(|word| words.next() == Some(word))
    };
    let mut lines = answer.lines();
    lines.find(begins)?;
    Some(lines.next()?.split_whitespace().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    // As crash 8.0.2 and drgn 0.3.0 print them.
    const CRASH: &str = "  flags = 0xfffffc0000000,\n  _refcount = {\n    counter = 0x0\n  },\n\
                         \x20       lru = {\n          next = 0xfffff40680119001 <held>,\n          prev = 0x1\n        },\n";
    const DRGN: &str = "*(struct page *)0xfffff40680004800 = {\n\t.flags = (unsigned long)4503598553628672,\n\
                        \t._mapcount = (atomic_t){\n\t\t.counter = (int)-1,\n\t},\n\
                        \t.lru = (struct list_head){\n\t\t.next = (struct list_head *)held+0x8 = 0xffffffffc05bf070,\n";

    #[test]
    fn members_of_structures() {
        assert_eq!(member(CRASH, "flags", None), Some(0xf_ffff_c000_0000));
        assert_eq!(member(CRASH, "_refcount", Some("counter")), Some(0));
        let next = member(CRASH, "lru", Some("next"));
        assert_eq!(next, Some(0xffff_f406_8011_9001));
        assert_eq!(member(CRASH, "lru", Some("prev")), Some(1));
        assert_eq!(member(CRASH, "mapping", None), None);
        assert_eq!(member(DRGN, "flags", None), Some(0xf_ffff_c000_0000));
        assert_eq!(member(DRGN, "_mapcount", Some("counter")), Some(u64::MAX));
        let next = member(DRGN, "lru", Some("next"));
        assert_eq!(next, Some(0xffff_ffff_c05b_f070));
    }

    #[test]
    fn memory() {
        let line = "          120000:  5452015ea1005452 0045000802000a00   RT..^.RT......E.\n";
        let two = [0x5452_015e_a100_5452, 0x0045_0008_0200_0a00];
        assert_eq!(words(line, 2), Some(two.to_vec()));
        assert_eq!(words(line, 3), None);
        let line = "  120000:  52 54 00 a1 5e 01                      ab..^.\n";
        assert_eq!(bytes(line, 6), Some(vec![0x52, 0x54, 0, 0xa1, 0x5e, 1]));
        let found = matches("65de108: fffff406801977c0\n5976f0: 1\n");
        assert_eq!(
            found,
            Some(vec![(0x65d_e108, 0xffff_f406_8019_77c0), (0x59_76f0, 1)])
        );
        assert_eq!(matches("search: no such address\n"), None);
        assert_eq!(matches(""), Some(Vec::new()));
    }
}
