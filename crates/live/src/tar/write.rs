//! Writing an archive: the `ustar` format of POSIX (pax, "ustar Interchange Format"),
//! which every tar reads.

use std::io::{self, Write};

/// Bytes of a header, and what contents are filled up to.
const BLOCK: usize = 512;
/// What GNU tar writes at once; archives end at a multiple of it.
const RECORD: usize = 20 * BLOCK;
/// Longest name, and longest folder before it.
const NAME: usize = 100;
const PREFIX: usize = 155;
/// Largest content: eleven octal digits.
const MOST: u64 = (1 << 33) - 1;

/// Writes an archive of files and links, all of one owner (root) and of one time.
pub struct TarWriter<W> {
    out: W,
    mtime: u64,
    written: usize,
}

impl<W: Write> TarWriter<W> {
    /// An empty archive whose entries were changed at `mtime`, in seconds since 1970.
    pub fn new(out: W, mtime: u64) -> TarWriter<W> {
        TarWriter {
            out,
            mtime,
            written: 0,
        }
    }

    /// Adds a file that its owner alone can read. `path` is relative.
    ///
    /// # Errors
    /// `InvalidInput` where the format has no place for so long a path or content; and
    /// what writing says.
    pub fn file(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        let length = content.len() as u64;
        let header = self.header(path, b'0', length, "")?;
        self.put(&header)?;
        self.put(content)?;
        let rest = content.len() % BLOCK;
        if rest > 0 {
            self.put(&[0; BLOCK][rest..])?;
        }
        Ok(())
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let header = self.header(path, b'2', 0, target)?;
        self.put(&header)
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// What writing says.
    pub fn finish(mut self) -> io::Result<W> {
        let end = (self.written + 2 * BLOCK).next_multiple_of(RECORD) - self.written;
        self.put(&vec![0; end])?;
        Ok(self.out)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.written += bytes.len();
        Ok(())
    }

    fn header(&self, path: &str, kind: u8, length: u64, target: &str) -> io::Result<[u8; BLOCK]> {
        let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "too long for a tar archive");
        let (prefix, name) = split(path).ok_or_else(too_long)?;
        if target.len() > NAME || length > MOST || self.mtime > MOST {
            return Err(too_long());
        }
        let mode = if kind == b'2' { 0o777 } else { 0o600 };
        let octal = |digits: usize, number: u64| format!("{number:0digits$o}\0");
        let kind = char::from(kind).to_string();
        // In the order of the header; the sum is made with spaces in its own place.
        let before_sum = [
            (NAME, name),
            (8, &octal(7, mode)),
            (8, &octal(7, 0)),
            (8, &octal(7, 0)),
            (12, &octal(11, length)),
            (12, &octal(11, self.mtime)),
        ];
        let from_sum = [
            (8, "        "),
            (1, &kind),
            (NAME, target),
            (6, "ustar\0"),
            (2, "00"),
            (32, "root"),
            (32, "root"),
            (8, &octal(7, 0)),
            (8, &octal(7, 0)),
            (PREFIX, prefix),
        ];
        let sum_at: usize = before_sum.iter().map(|(size, _)| size).sum();
        let mut header = [0; BLOCK];
        let mut rest = header.as_mut_slice();
        for (size, text) in before_sum.into_iter().chain(from_sum) {
            let (field, behind) = rest.split_at_mut_checked(size).ok_or_else(too_long)?;
            let place = field.get_mut(..text.len()).ok_or_else(too_long)?;
            place.copy_from_slice(text.as_bytes());
            rest = behind;
        }
        let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
        let sum = format!("{sum:06o}\0 ");
        if let Some(place) = header.get_mut(sum_at..sum_at + sum.len()) {
            place.copy_from_slice(sum.as_bytes());
        }
        Ok(header)
    }
}

/// `path` as a folder and what is left, where both fit.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= NAME {
        return Some(("", path));
    }
    let slashes = path.match_indices('/');
    let mut parts = slashes.map(|(at, _)| (&path[..at], &path[at + 1..]));
    parts.find(|(prefix, name)| prefix.len() <= PREFIX && name.len() <= NAME && !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    /// By GNU tar, which says what is in it and unpacks it.
    #[test]
    fn gnu_tar_reads_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let long = format!("sys/{}/{}", "a".repeat(120), "b".repeat(90));
        let mut tar = TarWriter::new(Vec::new(), 1_700_000_000);
        tar.file("capture.json", b"{}").unwrap();
        tar.file("proc/meminfo", &[b'x'; 512]).unwrap();
        tar.file(&long, b"").unwrap();
        tar.link("sys/class/net/em1", "../../devices/em1").unwrap();
        let archive = folder.path().join("a.tar");
        let bytes = tar.finish().unwrap();
        assert_eq!(bytes.len() % RECORD, 0);
        fs::write(&archive, bytes).unwrap();
        let run = |args: &[&str]| {
            let ran = Command::new("tar")
                .args(args)
                .arg(&archive)
                .env("TZ", "UTC")
                .output();
            let ran = ran.unwrap();
            assert!(ran.status.success() && ran.stderr.is_empty(), "{ran:?}");
            String::from_utf8(ran.stdout).unwrap()
        };
        let told = run(&["--full-time", "-tvf"]);
        let told: Vec<Vec<&str>> = told
            .lines()
            .map(|line| line.split_ascii_whitespace().collect())
            .collect();
        let entry = |mode: &'static str, size: &'static str| {
            vec![mode, "root/root", size, "2023-11-14", "22:13:20"]
        };
        let wanted = [
            [entry("-rw-------", "2"), vec!["capture.json"]].concat(),
            [entry("-rw-------", "512"), vec!["proc/meminfo"]].concat(),
            [entry("-rw-------", "0"), vec![long.as_str()]].concat(),
            [
                entry("lrwxrwxrwx", "0"),
                vec!["sys/class/net/em1", "->", "../../devices/em1"],
            ]
            .concat(),
        ];
        assert_eq!(told, wanted);
        run(&["-C", folder.path().to_str().unwrap(), "-xf"]);
        let read = |path: &str| fs::read(folder.path().join(path)).unwrap();
        assert_eq!(read("proc/meminfo"), [b'x'; 512]);
        assert_eq!(read("capture.json"), b"{}");
        assert_eq!(read(&long), b"");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut tar = TarWriter::new(Vec::new(), 0);
        let refused =
            |done: io::Result<()>| done.unwrap_err().kind() == io::ErrorKind::InvalidInput;
        assert!(refused(tar.file(&"a".repeat(101), b"")));
        assert!(refused(tar.file(&format!("{}/a", "b".repeat(156)), b"")));
        assert!(refused(tar.link("a", &"b".repeat(101))));
        tar.file(&format!("{}/{}", "b".repeat(155), "a".repeat(100)), b"")
            .unwrap();
        assert_eq!(tar.written, BLOCK);
    }
}
