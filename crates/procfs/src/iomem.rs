//! `/proc/iomem`: the tree of physical address ranges (kernel/resource.c).
//! Two blanks of indent a level; `start-end : name`, the end inclusive.
//! All addresses are 0 for readers without CAP_SYS_ADMIN (since 4.4).

use crate::line::{Line, ParseError, Rows, hex};

/// One range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource<'a> {
    /// Level in the tree, 0 at the top: a child lies inside the last range above it
    /// that has a smaller depth.
    pub depth: usize,
    /// First physical address.
    pub start: u64,
    /// First physical address after the range; `u64::MAX` also for the one range that
    /// ends with the address space.
    pub end: u64,
    /// Name, for example `System RAM`.
    pub name: &'a str,
}

/// The ranges of an iomem, parents before children.
pub fn iomem(text: &[u8]) -> Rows<'_, Resource<'_>> {
    Rows::new("iomem", text, |line| resource(line).map(Some))
}

/// Whether `resources` came from a reader to whom the kernel shows no addresses: every
/// range is one byte at 0.
pub fn addresses_hidden(resources: &[Resource<'_>]) -> bool {
    !resources.is_empty()
        && resources
            .iter()
            .all(|range| (range.start, range.end) == (0, 1))
}

fn resource<'a>(line: &Line<'a>) -> Result<Resource<'a>, ParseError> {
    let shape = || line.error("expected `start-end : name`, hexadecimal, end not before start");
    let text = line.as_str()?;
    let row = text.trim_start_matches(' ');
    let (range, name) = row.split_once(" : ").ok_or_else(shape)?;
    let (start, last) = range.split_once('-').ok_or_else(shape)?;
    let start = hex(start).ok_or_else(shape)?;
    let last = hex(last).filter(|&last| last >= start).ok_or_else(shape)?;
    Ok(Resource {
        depth: (text.len() - row.len()) / 2,
        start,
        end: last.saturating_add(1),
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_become_exclusive_and_indent_becomes_depth() {
        let text = b"00001000-0009fbff : System RAM\n10000000-febfffff : PCI Bus 0000:00\n  fe000000-fe003fff : 0000:00:03.0\n    \
            fe000000-fe003fff : virtio-pci-modern\nfffffffffffff000-ffffffffffffffff : x : y\n";
        let rows: Vec<_> = iomem(text).map(Result::unwrap).collect();
        assert_eq!(
            (rows[0].start, rows[0].end, rows[0].name),
            (0x1000, 0x9fc00, "System RAM")
        );
        assert_eq!(
            rows.iter().map(|row| row.depth).collect::<Vec<_>>(),
            [0, 0, 1, 2, 0]
        );
        assert_eq!((rows[4].end, rows[4].name), (u64::MAX, "x : y"));
        assert!(!addresses_hidden(&rows));
    }

    #[test]
    fn an_unprivileged_reader_sees_zeros() {
        let text = b"00000000-00000000 : System RAM\n  00000000-00000000 : Kernel code\n";
        let rows: Vec<_> = iomem(text).map(Result::unwrap).collect();
        assert!(addresses_hidden(&rows));
        assert!(!addresses_hidden(&[]));
    }

    #[test]
    fn other_lines_are_errors() {
        for bad in [
            "System RAM",
            "1000 : x",
            "2000-1fff : x",
            "x-y : z",
            "0-10000000000000000 : z",
        ] {
            assert!(iomem(bad.as_bytes()).next().unwrap().is_err(), "{bad}");
        }
    }
}
