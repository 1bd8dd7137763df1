//! `/proc/sysvipc/shm`: segments of System V shared memory of this IPC namespace
//! (ipc/shm.c). The columns are found by their headings.

use crate::line::{Line, Lines, ParseError, decimal};

/// One segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShmSegment {
    /// Its number.
    pub id: u64,
    /// Bytes that are in memory: shmem, or huge pages for SHM_HUGETLB.
    pub rss: u64,
    /// Process that made it.
    pub creator: u64,
}

/// The segments. None on kernels whose file has no column `rss` (before 2.6.36).
///
/// # Errors
/// A row that does not have a number in each of these columns.
pub fn sysvipc_shm(text: &[u8]) -> Result<Vec<ShmSegment>, ParseError> {
    let mut lines = Lines::new("sysvipc/shm", text);
    let Some(heading) = lines.next() else {
        return Ok(Vec::new());
    };
    let names: Vec<&str> = heading.as_str()?.split_ascii_whitespace().collect();
    let column = |name| names.iter().position(|&known| known == name);
    let (Some(id), Some(rss), Some(creator)) = (column("shmid"), column("rss"), column("cpid"))
    else {
        return Ok(Vec::new());
    };
    let segment = |line: Line<'_>| {
        let words = line.as_str()?.split_ascii_whitespace();
        let value = |column: usize| {
            let word = words.clone().nth(column).and_then(decimal);
            word.ok_or_else(|| line.error("expected numbers below shmid, cpid and rss"))
        };
        Ok(ShmSegment {
            id: value(id)?,
            rss: value(rss)?,
            creator: value(creator)?,
        })
    };
    lines.map(segment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADING: &str = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      \
        atime      dtime      ctime                   rss                  swap\n";

    #[test]
    fn columns_are_found_by_their_heading() {
        let row = "         0         33  1600               4194304   711   711      2  1000  1000  1000  1000 \
            1700000000          0 1700000000               2097152                     0\n";
        let text = format!("{HEADING}{row}");
        let segment = ShmSegment {
            id: 33,
            rss: 2 << 20,
            creator: 711,
        };
        assert_eq!(sysvipc_shm(text.as_bytes()), Ok(vec![segment]));
        assert_eq!(sysvipc_shm(b"key shmid perms\n1 2 3\n"), Ok(vec![]));
        assert_eq!(sysvipc_shm(b""), Ok(vec![]));
        let bad = format!("{HEADING}1 2 3\n");
        assert_eq!(sysvipc_shm(bad.as_bytes()).unwrap_err().line, 2);
    }
}
