//! VMCOREINFO: the few facts a kernel exports about itself for dump tools.
//!
//! The text is lines of `key=value` (include/linux/vmcore_info.h, in
//! crash_core.h up to 6.8). `SYMBOL()` values are hex without `0x`, with KASLR
//! applied; `OFFSET`, `SIZE` and `LENGTH` are unsigned decimal; `NUMBER()` is
//! signed decimal, for some arm64 keys and `VMALLOC_START` hex with `0x`.

mod find;

use std::ops::Range;

use pagehound_vmcore::VirtAddr;

use crate::build_id::BuildId;

pub use find::{FoundVmcoreinfo, Searched, find_in_memory};

/// The kernel's buffer is one page, and no supported page is larger than this.
const MAX_TEXT: usize = 64 << 10;

/// A text that is not VMCOREINFO.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum VmcoreinfoError {
    /// Nothing before the first NUL.
    #[error("VMCOREINFO is empty: the dump was written without it; let its memory be searched")]
    Empty,
    /// No line `OSRELEASE=…`, which every kernel writes first.
    #[error(
        "VMCOREINFO of {len} bytes has no OSRELEASE line (it begins with \"{begin}\"): \
         damaged, or not VMCOREINFO; let the dump's memory be searched"
    )]
    NoOsrelease {
        /// Bytes up to the first NUL.
        len: usize,
        /// Its first bytes, escaped.
        begin: String,
    },
}

/// A parsed VMCOREINFO text. Keys and values are printable ASCII.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vmcoreinfo {
    text: String,
    /// Key and value of each line, as ranges of `text`, in the text's order.
    lines: Vec<(Range<usize>, Range<usize>)>,
    /// Indices into `lines`, sorted by key, equal keys in order.
    by_key: Vec<usize>,
    osrelease: Range<usize>,
}

impl Vmcoreinfo {
    /// Parses the text up to its first NUL.
    ///
    /// A line without a line feed at its end is dropped: the kernel cuts the text
    /// where its page is full, and half an address is worse than none. Lines
    /// without `=` or with unprintable bytes are skipped. At most 64 KiB are read.
    ///
    /// # Errors
    /// [`VmcoreinfoError`] if the text is empty or has no `OSRELEASE`.
    pub fn parse(bytes: &[u8]) -> Result<Vmcoreinfo, VmcoreinfoError> {
        let bytes = bytes.get(..MAX_TEXT).unwrap_or(bytes);
        let bytes = bytes.split(|&b| b == 0).next().unwrap_or_default();
        if bytes.is_empty() {
            return Err(VmcoreinfoError::Empty);
        }
        let mut text = String::with_capacity(bytes.len());
        let mut lines = Vec::new();
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            let Some(line) = line.strip_suffix(b"\n") else {
                break;
            };
            let Some((key, value)) = key_and_value(line) else {
                continue;
            };
            let start = text.len();
            text.push_str(key);
            let middle = text.len();
            text.push_str(value);
            lines.push((start..middle, middle..text.len()));
        }
        let mut by_key: Vec<usize> = (0..lines.len()).collect();
        by_key.sort_by_key(|&i| lines.get(i).and_then(|(key, _)| text.get(key.clone())));
        let mut info = Vmcoreinfo {
            text,
            lines,
            by_key,
            osrelease: 0..0,
        };
        let Some(osrelease) = info.find("OSRELEASE").filter(|value| !value.is_empty()) else {
            let begin = bytes.get(..24).unwrap_or(bytes).escape_ascii().to_string();
            return Err(VmcoreinfoError::NoOsrelease {
                len: bytes.len(),
                begin,
            });
        };
        info.osrelease = osrelease;
        Ok(info)
    }

    /// The kernel's release, as `uname -r` prints it.
    pub fn osrelease(&self) -> &str {
        self.slice(&self.osrelease)
    }

    /// `PAGESIZE`, in bytes.
    pub fn page_size(&self) -> Option<u64> {
        self.raw("PAGESIZE")?.parse().ok()
    }

    /// `SYMBOL(name)`: where the kernel has this symbol, KASLR applied.
    pub fn symbol(&self, name: &str) -> Option<VirtAddr> {
        let hex = self.raw(&format!("SYMBOL({name})"))?;
        u64::from_str_radix(hex, 16).ok().map(VirtAddr)
    }

    /// `SIZE(name)`, in bytes.
    pub fn size(&self, name: &str) -> Option<u64> {
        self.raw(&format!("SIZE({name})"))?.parse().ok()
    }

    /// `OFFSET(name)`, in bytes; the name is `struct.member`, as in `page.flags`.
    pub fn offset(&self, name: &str) -> Option<u64> {
        self.raw(&format!("OFFSET({name})"))?.parse().ok()
    }

    /// `LENGTH(name)`: elements of an array.
    pub fn length(&self, name: &str) -> Option<u64> {
        self.raw(&format!("LENGTH({name})"))?.parse().ok()
    }

    /// `NUMBER(name)`. Hex values above `i64::MAX` (addresses) come out negative:
    /// cast them back with `as u64`.
    pub fn number(&self, name: &str) -> Option<i64> {
        let value = self.raw(&format!("NUMBER({name})"))?;
        match value.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok().map(u64::cast_signed),
            None => value.parse().ok(),
        }
    }

    /// `BUILD-ID` of vmlinux (5.9 and later).
    pub fn build_id(&self) -> Option<BuildId> {
        BuildId::parse(self.raw("BUILD-ID")?)
    }

    /// The value of a key as written, `SYMBOL(_stext)` for instance; the first if
    /// the key is there more than once.
    pub fn raw(&self, key: &str) -> Option<&str> {
        self.find(key).map(|range| self.slice(&range))
    }

    /// Every key with its value, in the order of the text.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines
            .iter()
            .map(|(key, value)| (self.slice(key), self.slice(value)))
    }

    fn key_at(&self, index: usize) -> &str {
        self.lines.get(index).map_or("", |(key, _)| self.slice(key))
    }

    fn find(&self, key: &str) -> Option<Range<usize>> {
        let at = self.by_key.partition_point(|&i| self.key_at(i) < key);
        let &index = self.by_key.get(at)?;
        let (found, value) = self.lines.get(index)?;
        (self.slice(found) == key).then(|| value.clone())
    }

    fn slice(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

fn key_and_value(line: &[u8]) -> Option<(&str, &str)> {
    let line = std::str::from_utf8(line).ok()?;
    let printable = line.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    line.split_once('=')
        .filter(|(key, _)| printable && !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"OSRELEASE=6.1.0-56-cloud-amd64\n\
        BUILD-ID=0123456789abcdef0123456789abcdef01234567\n\
        PAGESIZE=4096\n\
        SYMBOL(_stext)=ffffffff81000000\n\
        OFFSET(page.flags)=0\n\
        SIZE(page)=64\n\
        LENGTH(zone.free_area)=11\n\
        NUMBER(phys_base)=-16777216\n\
        NUMBER(kimage_voffset)=0xffff7fffc0000000\n\
        KERNELOFFSET=1c00000\n\
        CRASHTIME=1700000000\n";

    #[test]
    fn every_kind_of_value_is_read() {
        let info = Vmcoreinfo::parse(TEXT).unwrap();
        assert_eq!(info.osrelease(), "6.1.0-56-cloud-amd64");
        assert_eq!(info.page_size(), Some(4096));
        assert_eq!(info.symbol("_stext"), Some(VirtAddr(0xffff_ffff_8100_0000)));
        assert_eq!(info.offset("page.flags"), Some(0));
        assert_eq!(info.size("page"), Some(64));
        assert_eq!(info.length("zone.free_area"), Some(11));
        assert_eq!(info.number("phys_base"), Some(-16_777_216));
        assert_eq!(
            info.number("kimage_voffset").map(i64::cast_unsigned),
            Some(0xffff_7fff_c000_0000)
        );
        assert_eq!(info.raw("KERNELOFFSET"), Some("1c00000"));
        assert_eq!(
            info.build_id().map(|id| id.to_string()).as_deref(),
            Some("0123456789abcdef0123456789abcdef01234567")
        );
        assert_eq!(info.raw("CRASHTIME"), Some("1700000000"));
        assert_eq!(info.symbol("phys_base"), None);
        assert_eq!(info.number("PAGE_SIZE"), None);
    }

    #[test]
    fn entries_keep_the_order_of_the_text() {
        let info = Vmcoreinfo::parse(TEXT).unwrap();
        let text: String = info.entries().map(|(k, v)| format!("{k}={v}\n")).collect();
        assert_eq!(text.as_bytes(), TEXT);
    }

    #[test]
    fn a_cut_last_line_is_dropped() {
        let cut = TEXT.get(..TEXT.len() - 26).unwrap();
        assert!(cut.ends_with(b"KERNELOFFSET=1c0"), "{}", cut.escape_ascii());
        let info = Vmcoreinfo::parse(cut).unwrap();
        assert_eq!(info.raw("KERNELOFFSET"), None);
        assert_eq!(info.number("phys_base"), Some(-16_777_216));
    }

    #[test]
    fn the_text_ends_at_a_nul() {
        let info = Vmcoreinfo::parse(b"OSRELEASE=5.4\nPAGESIZE=4096\n\0PAGESIZE=1\nX=2\n").unwrap();
        assert_eq!(info.page_size(), Some(4096));
        assert_eq!(info.raw("X"), None);
    }

    #[test]
    fn the_first_of_two_equal_keys_counts() {
        let info = Vmcoreinfo::parse(b"OSRELEASE=5.4\nX=1\nX=2\n").unwrap();
        assert_eq!(info.raw("X"), Some("1"));
    }

    #[test]
    fn what_is_no_line_of_vmcoreinfo_is_skipped() {
        let info = Vmcoreinfo::parse(b"junk\n=1\nK\xff=1\nOSRELEASE=5.4\nA=\x1b[2J\n\n").unwrap();
        assert_eq!(info.entries().collect::<Vec<_>>(), [("OSRELEASE", "5.4")]);
    }

    #[test]
    fn numbers_that_do_not_fit_are_none() {
        let info = Vmcoreinfo::parse(
            b"OSRELEASE=5.4\nSIZE(page)=18446744073709551616\nSYMBOL(x)=1ffffffffffffffff\n\
              NUMBER(y)=0x\nNUMBER(z)=9223372036854775808\nOFFSET(a.b)=-1\n",
        )
        .unwrap();
        assert_eq!(info.size("page"), None);
        assert_eq!(info.symbol("x"), None);
        assert_eq!(info.number("y"), None);
        assert_eq!(info.number("z"), None);
        assert_eq!(info.offset("a.b"), None);
    }

    #[test]
    fn texts_without_a_release_are_refused() {
        assert_eq!(Vmcoreinfo::parse(b""), Err(VmcoreinfoError::Empty));
        assert_eq!(
            Vmcoreinfo::parse(b"\0OSRELEASE=5.4\n"),
            Err(VmcoreinfoError::Empty)
        );
        let err = Vmcoreinfo::parse(b"\x7fELF\n").unwrap_err();
        assert_eq!(
            err,
            VmcoreinfoError::NoOsrelease {
                len: 5,
                begin: "\\x7fELF\\n".into()
            }
        );
        assert!(Vmcoreinfo::parse(b"OSRELEASE=\n").is_err());
        // A line that lost its line feed may have lost digits too.
        assert!(Vmcoreinfo::parse(b"OSRELEASE=5.1").is_err());
    }

    #[test]
    fn no_more_than_a_page_of_the_largest_size_is_read() {
        let mut text = b"OSRELEASE=5.4\n".to_vec();
        text.resize(MAX_TEXT, b'\n');
        text.extend_from_slice(b"X=1\n");
        assert_eq!(Vmcoreinfo::parse(&text).unwrap().raw("X"), None);
    }
}
