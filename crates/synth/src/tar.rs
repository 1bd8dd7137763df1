//! Tar archives in POSIX.1-2001's ustar format, longer names by extended headers.

use crate::bytes::put;

/// An archive, entry by entry.
#[derive(Clone, Debug)]
pub struct Tar {
    bytes: Vec<u8>,
    modified: u64,
}

impl Tar {
    /// Entries that follow were last written `modified` seconds after 1970.
    pub fn new(modified: u64) -> Tar {
        Tar {
            bytes: Vec::new(),
            modified,
        }
    }

    /// A regular file.
    #[must_use]
    pub fn file(mut self, path: &str, content: &[u8]) -> Tar {
        self = self.header(path, b'0', content.len() as u64, "");
        self.content(content)
    }

    /// A symbolic link that says `target`.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Tar {
        self.header(path, b'2', 0, target)
    }

    /// Another name of the file at `target`.
    #[must_use]
    pub fn same_as(self, path: &str, target: &str) -> Tar {
        self.header(path, b'1', 0, target)
    }

    /// A folder.
    #[must_use]
    pub fn folder(self, path: &str) -> Tar {
        self.header(&format!("{path}/"), b'5', 0, "")
    }

    /// A header of any `kind` that says any `size`, of which nothing need follow.
    #[must_use]
    pub fn header(mut self, path: &str, kind: u8, size: u64, target: &str) -> Tar {
        let long: Vec<_> = [("path", path), ("linkpath", target)]
            .into_iter()
            .filter(|(_, value)| value.len() > 100)
            .collect();
        if !long.is_empty() {
            let records: String = long.iter().map(|(key, value)| record(key, value)).collect();
            self = self.header("x", b'x', records.len() as u64, "");
            self = self.content(records.as_bytes());
        }
        let block = header(path, kind, size, target, self.modified);
        self.bytes.extend(block);
        self
    }

    /// What stands behind a header, filled to whole blocks.
    #[must_use]
    pub fn content(mut self, content: &[u8]) -> Tar {
        self.bytes.extend(content);
        let filled = self.bytes.len().next_multiple_of(512);
        self.bytes.resize(filled, 0);
        self
    }

    /// The archive, with the two blocks of zeroes that end it.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.unended();
        bytes.extend([0; 1024]);
        bytes
    }

    /// The same without its end.
    pub fn unended(&self) -> Vec<u8> {
        self.bytes.clone()
    }
}

/// A record of an extended header: its length counts itself.
fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let lengths = rest.len() + 1..;
    let mut texts = lengths.map(|length| (length, format!("{length}{rest}")));
    let fits = texts.find(|(length, text)| *length == text.len());
    fits.map(|(_, text)| text).unwrap_or_default()
}

fn header(path: &str, kind: u8, size: u64, target: &str, modified: u64) -> Vec<u8> {
    let first = |text: &str| text.as_bytes()[..text.len().min(100)].to_vec();
    let mut block = vec![0; 512];
    put(&mut block, 0, &first(path));
    put(&mut block, 100, b"0000644\0");
    put(&mut block, 108, b"0000000\0");
    put(&mut block, 116, b"0000000\0");
    if size < 1 << 33 {
        put(&mut block, 124, format!("{size:011o}\0").as_bytes());
    } else {
        // As GNU tar has it: a high bit, then the number from its highest byte on.
        put(&mut block, 124, &[0x80, 0, 0, 0]);
        put(&mut block, 128, &size.to_be_bytes());
    }
    put(&mut block, 136, format!("{modified:011o}\0").as_bytes());
    put(&mut block, 156, &[kind]);
    put(&mut block, 157, &first(target));
    put(&mut block, 257, b"ustar\x0000");
    seal_tar_header(&mut block);
    block
}

/// Makes the sum of a header right.
pub fn seal_tar_header(block: &mut [u8]) {
    block[148..156].fill(b' ');
    let sum: u32 = block[..512].iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}
