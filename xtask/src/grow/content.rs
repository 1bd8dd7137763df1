//! What is in the pages of the new memory.

use anyhow::{Context, Result};
use pagehound_kernel::{Kernel, MemMap, Pages};
use pagehound_vmcore::{Mac, Pfn};

use super::plan::{Frame, PLACES, Plan};
use super::random::Random;
use super::{Layout, PAGE};

/// Words in a page.
const WORDS: u64 = PAGE / 8;
/// Pages of received frames that differ, for each place in the page.
const DIFFERENT: usize = 2048;
/// Pages full of words that differ.
pub(super) const KINDS: usize = 1024;

/// Addresses of the struct pages of all that is held, a page's worth at a time:
/// by turns in pages with an owner and in directories, whose own struct pages
/// further pages with an owner name.
pub(super) struct Pointers {
    rooted: Vec<Vec<u64>>,
    directories: Vec<Vec<u64>>,
}

impl Pointers {
    /// Pages with an owner that `held` frames take at most.
    pub(super) fn most_pages(held: u64) -> u64 {
        let all = held.div_ceil(WORDS);
        all - all / 2 + (all / 2).div_ceil(WORDS)
    }

    /// Directories that `held` frames take.
    pub(super) fn directories(held: u64) -> u64 {
        held.div_ceil(WORDS) / 2
    }

    pub(super) fn of(plan: &Plan, memmap: &MemMap) -> Self {
        let address = |pfn: &u64| memmap.page(Pfn(*pfn)).0;
        let (mut held, mut own) = (Vec::new(), Vec::new());
        let visited: Result<()> = plan.each(|pfn, frame| {
            match frame {
                Frame::Held => held.push(pfn),
                Frame::Directory => own.push(pfn),
                _ => {}
            }
            Ok(())
        });
        debug_assert!(visited.is_ok());
        let mut pointers = Self {
            rooted: Vec::new(),
            directories: Vec::new(),
        };
        for (index, some) in held.chunks(WORDS as usize).enumerate() {
            let words = some.iter().map(address).collect();
            match index % 2 {
                0 => pointers.rooted.push(words),
                _ => pointers.directories.push(words),
            }
        }
        let own = own.chunks(WORDS as usize);
        let own = own.map(|some| some.iter().map(address).collect());
        pointers.rooted.extend(own);
        pointers
    }

    /// Fills a page with an owner; those beyond the last are zero.
    pub(super) fn rooted(&self, index: usize, page: &mut [u8]) {
        fill(self.rooted.get(index), page);
    }

    /// Fills a directory.
    pub(super) fn directory(&self, index: usize, page: &mut [u8]) {
        fill(self.directories.get(index), page);
    }
}

fn fill(words: Option<&Vec<u64>>, page: &mut [u8]) {
    page.fill(0);
    for (word, place) in words.into_iter().flatten().zip(page.chunks_exact_mut(8)) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

/// A page as tables and objects have it: nothing, numbers, addresses of struct
/// pages and of pages with an owner; none of what is lost or held.
pub(super) fn words(
    layout: &Layout,
    plan: &Plan,
    pages: &Pages,
    kernel: &Kernel<'_>,
    random: &mut Random,
) -> Vec<u8> {
    let direct = &kernel.memory.space.direct;
    let rooted = (layout.rooted.end - layout.rooted.start) * PAGE;
    let mut page = Vec::with_capacity(PAGE as usize);
    for _ in 0..WORDS {
        let word = match random.below(16) {
            0..8 => 0,
            8..12 => random.below(1 << 20),
            12..14 => pages.memmap.page(Pfn(plan.other(random))).0,
            _ => {
                let phys = layout.rooted.start * PAGE + random.below(rooted) / 8 * 8;
                direct.virt.start + (phys - direct.phys)
            }
        };
        page.extend_from_slice(&word.to_le_bytes());
    }
    page
}

/// Received Ethernet frames to a device of the base, by their place in the page.
pub(super) struct Frames {
    pub(super) by_place: Vec<Vec<Vec<u8>>>,
}

impl Frames {
    /// Frames to the first device that has a driver and an address.
    pub(super) fn to(kernel: &Kernel<'_>, random: &mut Random) -> Result<Self> {
        let devices = kernel.net_devices()?;
        let mac = devices
            .iter()
            .filter(|device| device.driver.is_some())
            .find_map(|device| device.dev_addr)
            .context("the base has no network device with a driver and an address")?;
        let by_place = PLACES
            .iter()
            .map(|(_, place)| (0..DIFFERENT).map(|_| page(*place, mac, random)).collect())
            .collect();
        Ok(Self { by_place })
    }
}

/// A page with a UDP datagram to `mac`, whose data is text and numbers.
fn page(place: usize, mac: Mac, random: &mut Random) -> Vec<u8> {
    let data = 18 + random.below(1454) as usize;
    let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17, 0, 0];
    ip.extend_from_slice(&[10, 0, 0, random.next() as u8, 10, 0, 0, 1]);
    put16(&mut ip, 2, 20 + 8 + data);
    put16(&mut ip, 4, random.below(1 << 16) as usize);
    let sum = checksum(&ip);
    put16(&mut ip, 10, sum);

    let mut page = vec![0; place];
    page.extend_from_slice(&mac.0);
    page.extend_from_slice(&[0x52, 0x54, 0, 0xbe, 0xef, random.next() as u8]);
    page.extend_from_slice(&[8, 0]);
    page.extend_from_slice(&ip);
    page.extend_from_slice(&[0x13, 0x88, 0x13, 0x89]);
    page.extend_from_slice(&((8 + data) as u16).to_be_bytes());
    page.extend_from_slice(&[0, 0]);
    let end = page.len() + data;
    while page.len() < end {
        let record = format!("sample={:05} ", random.below(100_000));
        page.extend_from_slice(record.as_bytes());
        page.extend_from_slice(&random.next().to_le_bytes());
    }
    page.truncate(end);
    page.resize(PAGE as usize, 0);
    page
}

fn put16(bytes: &mut [u8], at: usize, value: usize) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&(value as u16).to_be_bytes());
    }
}

/// Of an IP header whose own field is zero (RFC 791).
fn checksum(header: &[u8]) -> usize {
    let sum: usize = header
        .chunks_exact(2)
        .map(|pair| {
            pair.iter()
                .fold(0, |word, byte| word << 8 | usize::from(*byte))
        })
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !(folded + (folded >> 16)) & 0xffff
}
