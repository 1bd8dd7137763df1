//! Extended headers of the pax interchange format.

/// What the records of one extended header say of the entries that they are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) path: Option<String>,
    pub(super) target: Option<String>,
    pub(super) size: Option<u64>,
    /// Seconds since 1970, without their fraction.
    pub(super) modified: Option<u64>,
    /// What follows is a map of holes and what lies between them, not the file.
    pub(super) sparse: bool,
}

impl Records {
    /// Reads records `LENGTH KEYWORD=VALUE\n`, where LENGTH is that of the whole record
    /// in decimal. Keywords nobody here asks for are passed over; an empty value takes
    /// back what a header before said. None where the grammar is broken or a value is
    /// no number: what such an entry is called, or how long it is, is not known.
    pub(super) fn of(mut text: &[u8]) -> Option<Records> {
        let mut records = Records::default();
        let mut sparse_name = None;
        while !text.is_empty() {
            let (record, rest) = record(text)?;
            text = rest;
            let equals = record.iter().position(|&byte| byte == b'=')?;
            let (keyword, value) = (&record[..equals], record.get(equals + 1..)?);
            let string = || std::str::from_utf8(value).ok().map(str::to_owned);
            match keyword {
                _ if value.is_empty() => {}
                b"path" => records.path = Some(string()?),
                b"linkpath" => records.target = Some(string()?),
                b"size" => records.size = Some(decimal(value)?),
                // Before 1970 is no moment of a capture.
                b"mtime" => records.modified = decimal(seconds(value)),
                _ if keyword.starts_with(b"GNU.sparse.") => {
                    records.sparse = true;
                    if keyword == b"GNU.sparse.name" {
                        sparse_name = Some(string()?);
                    }
                }
                _ => {}
            }
        }
        // `path` is then what programs call it that know nothing of holes.
        records.path = sparse_name.or(records.path);
        Some(records)
    }

    /// These records, and of those they do not have what `before` says.
    pub(super) fn or(self, before: &Records) -> Records {
        Records {
            path: self.path.or_else(|| before.path.clone()),
            target: self.target.or_else(|| before.target.clone()),
            size: self.size.or(before.size),
            modified: self.modified.or(before.modified),
            sparse: self.sparse || before.sparse,
        }
    }
}

/// The first record without its length and newline, and what is behind it.
fn record(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().take(20).position(|&byte| byte == b' ')?;
    let length = usize::try_from(decimal(&text[..space])?).ok()?;
    let (record, rest) = text.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    Some((record, rest))
}

/// What is before the point.
fn seconds(value: &[u8]) -> &[u8] {
    value.split(|&byte| byte == b'.').next().unwrap_or_default()
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    let number: u64 = plain.then(|| digits.parse().ok())??;
    (number < 1 << 63).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_by_their_length() {
        // POSIX.1: the length counts its own digits, the space and the newline.
        let text =
            b"22 path=a name\nof two\n30 mtime=1700000000.123456789\n15 size=123456\n12 uid=1000\n";
        let records = Records {
            path: Some("a name\nof two".to_owned()),
            modified: Some(1_700_000_000),
            size: Some(123_456),
            ..Records::default()
        };
        assert_eq!(Records::of(text), Some(records));
        assert_eq!(Records::of(b""), Some(Records::default()));
        assert!(Records::of(b"22 GNU.sparse.major=1\n").unwrap().sparse);
        // Before 1970.
        assert_eq!(Records::of(b"12 mtime=-1\n"), Some(Records::default()));
    }

    #[test]
    fn broken_records_are_none() {
        for broken in [
            &b"path=x\n"[..],
            b"9 path=x",
            b"999999999999999999999 path=x\n",
            b"0 \n",
            b"3 \n",
            b"7 path\n",
            b"11 size=1x\n",
            b"28 size=9223372036854775808\n",
            b"10 path=\xff\n",
            b"8 path=x\n",
            b"\n",
        ] {
            assert_eq!(Records::of(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn later_headers_count_before_earlier_ones() {
        let global = Records::of(b"12 path=old\n17 mtime=1000000\n").unwrap();
        let local = Records::of(b"12 path=new\n").unwrap();
        let both = local.or(&global);
        assert_eq!(
            (both.path.as_deref(), both.modified),
            (Some("new"), Some(1_000_000))
        );
    }
}
