//! `/dev/kmsg`: the kernel log, a record a line
//! (Documentation/ABI/testing/dev-kmsg in the kernel's source).

use crate::line::decimal;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsgRecord {
    /// Severity, 0 (emergency) to 7 (debug).
    pub level: u8,
    /// Syslog facility, 0 for the kernel's own messages.
    pub facility: u8,
    /// Number of the record since boot.
    pub seq: u64,
    /// Microseconds since boot.
    pub micros: u64,
    /// The message; bytes of anybody, escape before printing.
    pub text: Vec<u8>,
}

/// The records of `text`; lines that are none, such as those of devices, are left out.
pub fn kmsg(text: &[u8]) -> impl Iterator<Item = KmsgRecord> + '_ {
    let lines = text.split(|&byte| byte == b'\n');
    lines.filter_map(|line| record(std::str::from_utf8(line).ok()?))
}

/// `6,339,5140900,-;NET: Registered protocol family 10`.
fn record(line: &str) -> Option<KmsgRecord> {
    let (prefix, message) = line.split_once(';')?;
    let mut fields = prefix.split(',').map(decimal);
    let mut number = || fields.next().flatten();
    let (priority, seq, micros) = (number()?, number()?, number()?);
    Some(KmsgRecord {
        level: (priority & 7) as u8,
        facility: u8::try_from(priority >> 3).ok()?,
        seq,
        micros,
        text: unescaped(message),
    })
}

/// Bytes that `\x0a` and the like stand for.
fn unescaped(message: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let digits = after.strip_prefix('x').and_then(|digits| digits.get(..2));
        // A sign would be taken for a part of the number.
        let digits = digits.filter(|digits| digits.bytes().all(|it| it.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(b'\\');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

impl KmsgRecord {
    /// The record as the kernel would write it, with the line feed.
    pub fn line(&self) -> Vec<u8> {
        let priority = u32::from(self.facility) << 3 | u32::from(self.level);
        let mut line = format!("{priority},{},{},-;", self.seq, self.micros).into_bytes();
        for &byte in &self.text {
            if (0x20..0x7f).contains(&byte) && byte != b'\\' {
                line.push(byte);
            } else {
                line.extend(format!("\\x{byte:02x}").bytes());
            }
        }
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the kernel's document, with what follows records of devices.
    #[test]
    fn records_as_the_kernel_documents_them() {
        let text = b"7,160,424069,-;pci_root PNP0A03:00: host bridge window [io  0x0000-0x0cf7] (ignored)\n \
            SUBSYSTEM=acpi\n DEVICE=+acpi:PNP0A03:00\n6,339,5140900,-;NET: Registered protocol family 10\n\
            30,340,5690716,-,caller=T1;udevd[80]: starting version 181\n";
        let records: Vec<KmsgRecord> = kmsg(text).collect();
        let told: Vec<_> = records
            .iter()
            .map(|it| (it.level, it.facility, it.seq, it.micros))
            .collect();
        assert_eq!(
            told,
            [
                (7, 0, 160, 424_069),
                (6, 0, 339, 5_140_900),
                (6, 3, 340, 5_690_716)
            ]
        );
        assert_eq!(records[1].text, b"NET: Registered protocol family 10");
        assert_eq!(
            records[1].line(),
            b"6,339,5140900,-;NET: Registered protocol family 10\n"
        );
        assert_eq!(
            records[2].line(),
            b"30,340,5690716,-;udevd[80]: starting version 181\n"
        );
    }

    /// printk.c, `msg_add_ext_text`: what is not printed, the backslash, and all above 126.
    #[test]
    fn what_a_line_cannot_have_is_escaped_and_comes_back() {
        let record = KmsgRecord {
            level: 4,
            facility: 1,
            seq: 7,
            micros: 0,
            text: b"a\nb\\x41 \x1b\xff;,-\xc3\xa4".to_vec(),
        };
        let line = record.line();
        assert_eq!(line, b"12,7,0,-;a\\x0ab\\x5cx41 \\x1b\\xff;,-\\xc3\\xa4\n");
        assert_eq!(kmsg(&line).collect::<Vec<_>>(), [record]);
    }

    #[test]
    fn what_is_no_record_is_left_out() {
        let text =
            b"\n;x\n1;x\n1,2;x\na,2,3,-;x\n1,2,3,-\n-1,2,3,-;x\n99999,1,1,-;x\n6,1,2,-;a\\xzz\\\n";
        let records: Vec<KmsgRecord> = kmsg(text).collect();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].text, b"a\\xzz\\");
    }
}
