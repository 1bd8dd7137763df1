//! `page_owner` and `page_owner_stacks/show_stacks` below `/sys/kernel/debug`: who
//! allocated the pages that are in use, on kernels booted with `page_owner=on`
//! (mm/page_owner.c). Readable by root only.
//!
//! The first has a paragraph an allocation:
//! `Page allocated via order <n>, mask <gfp>, pid <n>, tgid <n> (<name>), ts <ns> ns`,
//! `PFN <n> type … Block … Flags …`, the stack, and more lines that newer kernels
//! add. `pid` and what follows came with 5.11 and later; the frame number is
//! hexadecimal on newer kernels. The second (6.9) has a paragraph a stack, with
//! `nr_base_pages: <n>` below it (6.9 itself says `stack_count`).

use crate::line::{Line, Lines, ParseError, decimal, hex};

/// Pages that were allocated in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnedPages<'a> {
    /// How many pages.
    pub pages: u64,
    /// The first page's frame number; none in a list of stacks.
    pub pfn: Option<u64>,
    /// Who allocated, by thread id and name, where the kernel says so.
    pub pid: Option<u64>,
    /// The thread's name.
    pub comm: Option<&'a str>,
    /// The lines of the stack as they are.
    stack: &'a [u8],
}

impl<'a> OwnedPages<'a> {
    /// Frames of the stack, the innermost first: `function+0x1/0x2 [module]`.
    pub fn stack(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let lines = self.stack.split(|&byte| byte == b'\n');
        lines
            .filter_map(|line| std::str::from_utf8(line.trim_ascii()).ok())
            .filter(|line| !line.is_empty())
    }
}

/// The paragraphs of a `page_owner` or of `show_stacks`, in the order of the file.
/// Ends after the first error. A paragraph that is cut off at the end of the text is
/// left out: the file is longer than what most want of it.
pub fn page_owner(text: &[u8]) -> OwnerRows<'_> {
    OwnerRows {
        text,
        lines: Lines::new(FILE, text),
        failed: false,
    }
}

const FILE: &str = "page_owner";
/// Above any order.
const MOST_ORDER: u64 = 30;

/// See [`page_owner`].
#[derive(Clone, Debug)]
pub struct OwnerRows<'a> {
    text: &'a [u8],
    lines: Lines<'a>,
    failed: bool,
}

/// What has been read of a paragraph.
#[derive(Default)]
struct Paragraph<'a> {
    head: Option<(u64, Option<u64>, Option<&'a str>)>,
    pfn: Option<u64>,
    /// Where its stack lies in the text.
    stack: Option<(usize, usize)>,
}

impl<'a> Iterator for OwnerRows<'a> {
    type Item = Result<OwnedPages<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let row = self.paragraph().transpose();
        self.failed = !matches!(row, Some(Ok(_)));
        row
    }
}

impl<'a> OwnerRows<'a> {
    fn paragraph(&mut self) -> Result<Option<OwnedPages<'a>>, ParseError> {
        let mut read = Paragraph::default();
        loop {
            // The next line decides whether the paragraph ends, and is its own.
            let ahead = self.lines.clone().next();
            let starts = |line: &Line<'_>| line.text.starts_with(b"Page allocated via order ");
            let Some(line) = ahead else {
                return Ok(None);
            };
            if starts(&line) && read.head.is_some() {
                return Ok(Some(self.finish(&read, None)));
            }
            let before = self.text.len() - self.lines.rest().len();
            self.lines.next();
            let after = self.text.len() - self.lines.rest().len();
            if line.text.starts_with(b" ") {
                let begin = read.stack.map_or(before, |(begin, _)| begin);
                read.stack = Some((begin, after));
                continue;
            }
            let text = line.as_str()?;
            if starts(&line) {
                let head = head(text);
                read.head = Some(head.ok_or_else(|| line.error("expected an order"))?);
            } else if let Some(rest) = text.strip_prefix("PFN ") {
                let number = rest.split(' ').next().unwrap_or_default();
                let pfn = match number.strip_prefix("0x") {
                    Some(_) => hex(number),
                    None => decimal(number),
                };
                read.pfn = Some(pfn.ok_or_else(|| line.error("expected a frame number"))?);
            } else if let Some(count) = ["nr_base_pages: ", "stack_count: "]
                .iter()
                .find_map(|key| text.strip_prefix(key))
            {
                let pages = decimal(count).ok_or_else(|| line.error("expected a number"))?;
                return Ok(Some(self.finish(&read, Some(pages))));
            } else if read.head.is_none() && read.stack.is_none() {
                return Err(line.error("expected `Page allocated via order …` or a stack"));
            }
        }
    }

    fn finish(&self, read: &Paragraph<'a>, counted: Option<u64>) -> OwnedPages<'a> {
        let (order, pid, comm) = read.head.unwrap_or_default();
        let stack = read
            .stack
            .and_then(|(begin, end)| self.text.get(begin..end));
        OwnedPages {
            pages: counted.unwrap_or(1 << order),
            pfn: read.pfn,
            pid,
            comm,
            stack: stack.unwrap_or_default(),
        }
    }
}

/// Order, pid and name of a paragraph's first line.
fn head(text: &str) -> Option<(u64, Option<u64>, Option<&str>)> {
    let rest = text.strip_prefix("Page allocated via order ")?;
    let order = rest.split(',').next().and_then(decimal)?;
    let pid = rest.split_once(", pid ").map(|(_, rest)| rest);
    // The name may hold anything; behind it is the time.
    let comm = pid.and_then(|rest| {
        let (_, rest) = rest.split_once(" (")?;
        Some(rest.rsplit_once("), ts ")?.0)
    });
    let pid = pid.and_then(|rest| decimal(rest.split([',', ' ']).next()?));
    (order <= MOST_ORDER).then_some((order, pid, comm))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<OwnedPages<'_>> {
        let rows = page_owner(text.as_bytes());
        rows.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn paragraphs_of_6_1() {
        // The last one may be cut off, and is left out.
        let text = "Page allocated via order 2, mask 0x0(), pid 1, tgid 1 (a), b, (c)), ts 484867086 ns, free_ts 0 ns\n\
            PFN 4096 type Unmovable Block 4 type Unmovable Flags 0x80000000000(section=0|zone=1)\n \
            get_page_from_freelist+0xbdb/0xc40\n \
            e1000_alloc_jumbo_rx_buffers+0x119/0x150 [e1000]\n\
            Page has been migrated, last migrate reason: compaction\n\n\
            Page allocated via order 0, mask 0x0(), pid 1, tgid 1 (init), ts 1 ns, free_ts 0 ns\n\
            PFN 4";
        let rows = all(text);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].pages, rows[0].pfn), (4, Some(4096)));
        assert_eq!((rows[0].pid, rows[0].comm), (Some(1), Some("a), b, (c)")));
        assert_eq!(
            rows[0].stack().collect::<Vec<_>>(),
            [
                "get_page_from_freelist+0xbdb/0xc40",
                "e1000_alloc_jumbo_rx_buffers+0x119/0x150 [e1000]"
            ]
        );
    }

    #[test]
    fn paragraphs_of_older_and_of_newer_kernels() {
        let end = "Page allocated via order 0, mask 0x0()\n";
        let old = format!(
            "Page allocated via order 1, mask 0x24000c0(GFP_KERNEL)\n\
             PFN 7 type Unmovable Block 0 type Movable Flags 0x0()\n f+0x1/0x2\n\n{end}"
        );
        let rows = all(&old);
        assert_eq!((rows[0].pages, rows[0].pid, rows[0].comm), (2, None, None));
        let new = format!(
            "Page allocated via order 0, mask 0xcc0(GFP_KERNEL), pid 5, tgid 4 (x), ts 3 ns\n\
             PFN 0x1f type Unmovable Block 0 type Movable Flags 0x0()\n f+0x1/0x2\n\
             Charged (via objcg) to offline memcg gone\n\n{end}"
        );
        assert_eq!(all(&new)[0].pfn, Some(0x1f));
    }

    /// Documentation/mm/page_owner.rst.
    #[test]
    fn stacks_with_their_pages() {
        let text = " post_alloc_hook+0x177/0x1a0\n xfs_file_read_iter+0x1f0/0x380 [xfs]\n\
            nr_base_pages: 20824\n\n f+0x1/0x2\nstack_count: 3\n\n g+0x1/0x2\n";
        let rows = all(text);
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].pages, rows[0].pfn), (20824, None));
        assert_eq!(rows[0].stack().count(), 2);
        assert_eq!(rows[1].pages, 3);
        assert_eq!(rows[1].stack().collect::<Vec<_>>(), ["f+0x1/0x2"]);
    }

    #[test]
    fn other_lines_are_errors() {
        for bad in [
            "hello\n",
            "Page allocated via order x, mask\n",
            "Page allocated via order 31, mask\n",
            "Page allocated via order 0, mask\nPFN x type\n",
            " f\nnr_base_pages: -1\n",
        ] {
            let mut rows = page_owner(bad.as_bytes());
            assert!(rows.next().unwrap().is_err(), "{bad}");
            assert!(rows.next().is_none());
        }
        assert!(page_owner(b"").next().is_none());
    }
}
