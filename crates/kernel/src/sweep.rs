//! Looking for something in the kernel image, where not every page can be read.

use std::ops::Range;

use pagehound_vmcore::VirtAddr;

use crate::VirtualRead;

const PAGE: u64 = 4096;
const WINDOW: u64 = 1 << 20;
const MAX_RANGE: u64 = 1 << 30;

/// A part of the image.
pub(crate) struct Window {
    /// Its bytes, zero where a page cannot be read.
    pub(crate) bytes: Vec<u8>,
    /// Where they begin.
    pub(crate) base: u64,
    /// The addresses that are this window's own; the rest is shared with its
    /// neighbours.
    pub(crate) own: Range<u64>,
}

/// Shows `look` the range `start..end` (of at most 1 GiB) in windows that overlap
/// by `overlap` bytes to both sides, until it returns something. The number counts
/// bytes that could not be read.
pub(crate) fn sweep<T>(
    read: &dyn VirtualRead,
    start: VirtAddr,
    end: VirtAddr,
    overlap: u64,
    mut look: impl FnMut(&Window) -> Option<T>,
) -> (Option<T>, u64) {
    let end = end.0.min(start.0.saturating_add(MAX_RANGE));
    let mut window = Window {
        bytes: Vec::new(),
        base: start.0,
        own: start.0..start.0,
    };
    let mut unreadable = 0;
    while window.own.end < end {
        let own_end = window.own.end.saturating_add(WINDOW).min(end);
        window.own = window.own.end..own_end;
        let base = window.own.start.saturating_sub(overlap).max(start.0);
        window
            .bytes
            .drain(..((base - window.base) as usize).min(window.bytes.len()));
        window.base = base;
        let have = base.saturating_add(window.bytes.len() as u64);
        let (more, missing) = read_pages(read, have, own_end.saturating_add(overlap).min(end));
        window.bytes.extend_from_slice(&more);
        unreadable += missing;
        if let Some(found) = look(&window) {
            return (Some(found), unreadable);
        }
    }
    (None, unreadable)
}

/// The bytes of `from..to`, zero where a page cannot be read, and how many such.
pub(crate) fn read_pages(read: &dyn VirtualRead, from: u64, to: u64) -> (Vec<u8>, u64) {
    let mut bytes = vec![0; to.saturating_sub(from) as usize];
    if read.read(VirtAddr(from), &mut bytes).is_ok() {
        return (bytes, 0);
    }
    let mut missing = 0;
    let mut at = from;
    let mut rest = bytes.as_mut_slice();
    while !rest.is_empty() {
        let len = rest.len().min((PAGE - at % PAGE) as usize);
        let (page, behind) = rest.split_at_mut(len);
        if read.read(VirtAddr(at), page).is_err() {
            page.fill(0);
            missing += len as u64;
        }
        at = at.saturating_add(len as u64);
        rest = behind;
    }
    (bytes, missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VirtFault;

    /// Bytes that tell their address; every 64th page is missing.
    struct Ramp;

    const START: u64 = 0xffff_ffff_8100_0000;

    fn byte(addr: u64) -> u8 {
        let missing = (addr / PAGE).is_multiple_of(64);
        if missing { 0 } else { (addr / 7) as u8 }
    }

    impl VirtualRead for Ramp {
        fn read(&self, addr: VirtAddr, buf: &mut [u8]) -> Result<(), VirtFault> {
            for (i, slot) in buf.iter_mut().enumerate() {
                let at = addr.add(i as u64).0;
                if (at / PAGE).is_multiple_of(64) {
                    return Err(VirtFault::NotMapped(VirtAddr(at)));
                }
                *slot = byte(at);
            }
            Ok(())
        }
    }

    #[test]
    fn windows_own_every_address_once_and_see_their_neighbours() {
        let end = START + 3 * WINDOW + 12_345;
        let mut expected = START;
        let (found, unreadable) = sweep(&Ramp, VirtAddr(START), VirtAddr(end), 5000, |window| {
            assert_eq!(window.own.start, expected);
            expected = window.own.end;
            assert_eq!(window.base, START.max(window.own.start - 5000));
            assert_eq!(
                window.base + window.bytes.len() as u64,
                end.min(window.own.end + 5000)
            );
            assert!(
                (window.base..)
                    .zip(&window.bytes)
                    .all(|(at, &seen)| seen == byte(at))
            );
            None::<()>
        });
        assert_eq!(found, None);
        assert_eq!(expected, end);
        // 3 MiB and 4 pages are 772 pages; one of each 64 is missing.
        assert_eq!(unreadable, 13 * PAGE);
    }

    #[test]
    fn the_end_of_the_address_space_is_an_end() {
        let (found, _) = sweep(&Ramp, VirtAddr(u64::MAX - 9), VirtAddr(u64::MAX), 4, |_| {
            None::<()>
        });
        assert_eq!(found, None);
        let (found, _) = sweep(&Ramp, VirtAddr(9), VirtAddr(3), 4, |_| Some(()));
        assert_eq!(found, None);
    }
}
