//! What the program that writes a dump keeps of memory, and about how much that is.

use pagehound_procfs::Meminfo;

/// Kinds of pages that makedumpfile leaves out, as bits of its dump level
/// (makedumpfile(8)); pages of the kernel's own that hold data are kept at any level.
const CACHE: u32 = 2;
const PRIVATE_CACHE: u32 = 4;
const USER: u32 = 8;
const FREE: u32 = 16;

/// What compression leaves of what the kernel has, in tenths: kernels' memory compresses
/// to half of it and less, pages full of noise do not.
const COMPRESSED: u64 = 6;

/// How a dump is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    /// makedumpfile's dump level, 0 for other programs.
    pub(super) level: u32,
    pub(super) compressed: bool,
    /// Data are erased by a configuration of its own.
    pub(super) erased: bool,
}

impl Kept {
    /// By the command line; none for a program that is not known.
    pub(super) fn of(collector: &str) -> Option<Kept> {
        let mut words = collector.split_ascii_whitespace();
        let program = words.next()?.rsplit('/').next()?;
        let mut kept = Kept {
            level: 0,
            compressed: false,
            erased: false,
        };
        match program {
            "makedumpfile" => {}
            "cp" | "scp" | "dd" => return Some(kept),
            _ => return None,
        }
        while let Some(word) = words.next() {
            match word {
                "-c" | "-l" | "-p" | "-z" => kept.compressed = true,
                "--config" | "--eppic" => kept.erased = true,
                _ => {
                    if let Some(level) = word.strip_prefix("-d") {
                        let level = if level.is_empty() {
                            words.next()?
                        } else {
                            level
                        };
                        // Others are tried where there is too little room.
                        let first = level.split(',').next()?;
                        kept.level = first.parse().ok()?;
                    }
                }
            }
        }
        Some(kept)
    }

    /// Bytes of such a dump, estimated by what the kernel counts now; `outside` are kB that
    /// are not in MemTotal.
    pub(super) fn estimate(self, info: &Meminfo<'_>, outside: u64) -> Option<u64> {
        let kb = |name| info.kb(name).unwrap_or(0);
        let has = |bit| self.level & bit != 0;
        let mut kept = info.kb("MemTotal")?.saturating_add(outside);
        // No counter tells how much of the cache is of which of the two sorts.
        if has(CACHE) && has(PRIVATE_CACHE) {
            // Shared memory is among it, and left out as well.
            kept = kept
                .saturating_sub(kb("Cached"))
                .saturating_sub(kb("Buffers"));
            if !has(USER) {
                // Of the swap cache a part is in AnonPages as well.
                kept = kept.saturating_sub(kb("SwapCached"));
            }
        }
        if has(USER) {
            kept = kept
                .saturating_sub(kb("AnonPages"))
                .saturating_sub(kb("Hugetlb"));
        }
        if has(FREE) {
            kept = kept.saturating_sub(kb("MemFree"));
        }
        let bytes = kept.saturating_mul(1024);
        Some(match self.compressed {
            true => bytes / 10 * COMPRESSED,
            false => bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pagehound_procfs::meminfo;

    #[test]
    fn command_lines() {
        let kept = |line| Kept::of(line).map(|kept| (kept.level, kept.compressed, kept.erased));
        assert_eq!(kept("makedumpfile -c -d 31"), Some((31, true, false)));
        let fedora = "makedumpfile -l --message-level 7 -d 31";
        assert_eq!(kept(fedora), Some((31, true, false)));
        assert_eq!(kept("/sbin/makedumpfile -d17"), Some((17, false, false)));
        assert_eq!(kept("makedumpfile -F -z -d 1,31"), Some((1, true, false)));
        assert_eq!(kept("makedumpfile"), Some((0, false, false)));
        let erased = "makedumpfile -d 31 --config /etc/makedumpfile.conf";
        assert_eq!(kept(erased), Some((31, false, true)));
        assert_eq!(kept("cp --sparse=always"), Some((0, false, false)));
        for other in [
            "",
            "/opt/dump.sh -d 31",
            "makedumpfile -d",
            "makedumpfile -d x",
        ] {
            assert_eq!(kept(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_left_out_does_not_count() {
        let text = "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 20 kB\nCached: 200 kB\n\
                    SwapCached: 0 kB\nAnonPages: 300 kB\n";
        let info = meminfo(text.as_bytes()).unwrap();
        let kib = |line: &str| Kept::of(line).unwrap().estimate(&info, 0).unwrap() / 1024;
        assert_eq!(kib("cp"), 1000);
        assert_eq!(kib("makedumpfile -d 1"), 1000);
        assert_eq!(kib("makedumpfile -d 16"), 900);
        assert_eq!(kib("makedumpfile -d 31"), 380);
        assert_eq!(kib("makedumpfile -d 31 -l"), 228);
        // One sort of cache only, and how much that is no counter tells.
        assert_eq!(kib("makedumpfile -d 2"), 1000);
        let kept = Kept::of("makedumpfile -d 31").unwrap();
        assert_eq!(kept.estimate(&info, 16), Some(396 * 1024));
        let small = meminfo(b"MemTotal: 10 kB\nMemFree: 100 kB\n").unwrap();
        let kept = Kept::of("makedumpfile -d 31").unwrap();
        assert_eq!(kept.estimate(&small, 0), Some(0));
        assert_eq!(
            kept.estimate(&meminfo(b"MemFree: 1 kB\n").unwrap(), 0),
            None
        );
        let huge = format!(
            "MemTotal: {} kB\nCached: {0} kB\nBuffers: {0} kB\n",
            u64::MAX
        );
        assert_eq!(
            kept.estimate(&meminfo(huge.as_bytes()).unwrap(), 0),
            Some(0)
        );
    }
}
