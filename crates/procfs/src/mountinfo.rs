//! `/proc/self/mountinfo`: what is mounted in this mount namespace (fs/proc_namespace.c).
//!
//! `id parent major:minor root mount-point options [fields] - type source super-options`

use crate::line::{ParseError, Rows};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// Device, `major:minor`; the same for several mounts of one file system.
    pub device: &'a str,
    /// Where it is mounted; blanks are not `\040` here.
    pub point: String,
    /// Type of the file system.
    pub kind: &'a str,
}

/// The mounts, in the order of the file.
pub fn mountinfo(text: &[u8]) -> Rows<'_, Mount<'_>> {
    Rows::new("mountinfo", text, |line| mount(line).map(Some))
}

fn mount<'a>(line: &crate::line::Line<'a>) -> Result<Mount<'a>, ParseError> {
    let shape = || line.error("expected `id parent device root point options - type source`");
    let (head, tail) = line.as_str()?.split_once(" - ").ok_or_else(shape)?;
    let mut words = head.split_ascii_whitespace();
    let device = words.nth(2).ok_or_else(shape)?;
    let point = words.nth(1).ok_or_else(shape)?;
    let kind = tail.split_ascii_whitespace().next().ok_or_else(shape)?;
    Ok(Mount {
        device,
        point: unescaped(point),
        kind,
    })
}

/// Blanks, tabs, newlines and backslashes are written as `\` and three octal digits.
fn unescaped(text: &str) -> String {
    let mut pieces = text.split('\\');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = piece
            .get(..3)
            .and_then(|code| u8::from_str_radix(code, 8).ok());
        match code.filter(u8::is_ascii) {
            Some(code) => {
                plain.push(char::from(code));
                plain.push_str(piece.get(3..).unwrap_or_default());
            }
            None => {
                plain.push('\\');
                plain.push_str(piece);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_with_and_without_optional_fields() {
        let text = b"25 24 0:23 / /dev/shm rw,relatime - tmpfs tmpfs rw,size=24684096k\n\
            36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext3 /dev/root rw\n";
        let mounts: Vec<_> = mountinfo(text).map(Result::unwrap).collect();
        assert_eq!(
            (mounts[0].device, mounts[0].point.as_str(), mounts[0].kind),
            ("0:23", "/dev/shm", "tmpfs")
        );
        assert_eq!(
            (mounts[1].point.as_str(), mounts[1].kind),
            ("/mnt 2", "ext3")
        );
        assert_eq!(unescaped("a\\x\\1"), "a\\x\\1");
        for bad in ["", "1 2 3", "1 2 3 4 5 6 - "] {
            assert!(mountinfo(bad.as_bytes()).all(|row| row.is_err()), "{bad}");
        }
    }
}
