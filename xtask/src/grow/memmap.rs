//! Struct pages of the new memory.

use anyhow::{Context, Result, ensure};
use pagehound_kernel::layouts::Field;
use pagehound_kernel::{Class, Kernel, Pages};
use pagehound_vmcore::Pfn;

use super::PAGE;
use super::plan::Frame;

/// `sizeof(struct page)`.
const SIZE: usize = 64;
/// Struct pages in a page.
pub(super) const PER_PAGE: u64 = PAGE / SIZE as u64;

/// What `list_del` leaves in `page->lru` (LIST_POISON1 and LIST_POISON2 on top of
/// POISON_POINTER_DELTA).
const TAKEN_OFF: [u64; 2] = [0xdead_0000_0000_0100, 0xdead_0000_0000_0122];

/// A struct page of each kind, the same for all frames: what differs from one
/// to the other (lists, owners) nobody looks at.
pub(super) struct StructPages {
    reserved: [u8; SIZE],
    free: [u8; SIZE],
    free_tail: [u8; SIZE],
    anon: [u8; SIZE],
    raw: [u8; SIZE],
    order: usize,
}

impl StructPages {
    /// Struct pages of the zone that ends last, as this kernel makes them.
    pub(super) fn new(kernel: &Kernel<'_>, pages: &Pages) -> Result<Self> {
        ensure!(
            pages.memmap.page_size == SIZE as u64,
            "struct pages of {} bytes",
            pages.memmap.page_size
        );
        let btf = kernel.types.as_ref().context("the base has no types")?;
        let states = btf
            .enumerator("pageflags", "__NR_PAGEFLAGS")
            .and_then(|count| u32::try_from(count).ok())
            .filter(|count| *count < 64)
            .context("BTF has no __NR_PAGEFLAGS")?;
        let (zone, _) = super::kernel::last_zone(pages)?;
        let read = |pfn: Pfn| -> Option<[u8; SIZE]> {
            let bytes = pages.memmap.read_one(kernel, pfn)?;
            bytes.try_into().ok()
        };
        let flags = kernel.layouts.offset(Field::PageFlagsWord)? as usize;
        let of_zone = (zone.start.0..zone.start.0 + zone.spanned)
            .map(Pfn)
            .find(|&pfn| pages.map.class(pfn) == Class::Free)
            .and_then(read)
            .context("the last zone has no free page")?;
        // Above the states: node, zone, the CPU that used it last.
        let place = u64::from_le_bytes(take(&of_zone, flags)?) & !((1 << states) - 1);

        let lru = kernel.layouts.offset(Field::PageLru)? as usize;
        let refcount = kernel.layouts.offset(Field::PageRefcount)? as usize;
        let mapcount = kernel.layouts.offset(Field::PageMapcount)? as usize;
        let order = kernel.layouts.offset(Field::PagePrivate)? as usize;
        let plain = |state: u64, count: u32| -> Result<[u8; SIZE]> {
            let mut page = [0; SIZE];
            put(&mut page, flags, &(place | state).to_le_bytes())?;
            put(&mut page, mapcount, &u32::MAX.to_le_bytes())?;
            put(&mut page, refcount, &count.to_le_bytes())?;
            Ok(page)
        };
        let mut raw = plain(0, 1)?;
        put(&mut raw, lru, &TAKEN_OFF[0].to_le_bytes())?;
        put(&mut raw, lru + 8, &TAKEN_OFF[1].to_le_bytes())?;
        let mut free = plain(0, 0)?;
        let head = pages.map.heads(Class::Free).find_map(read);
        let head = head.context("the base has no free block")?;
        put(&mut free, mapcount, &take::<4>(&head, mapcount)?)?;
        let mut anon = pages
            .map
            .heads(Class::Anon)
            .filter(|&pfn| !pages.map.is_compound(pfn))
            .filter_map(read)
            .find(|page| pages.decoder.words(page).mapcount_word() == 0)
            .context("the base has no page that one process alone has mapped")?;
        let state = u64::from_le_bytes(take(&anon, flags)?) & ((1 << states) - 1);
        put(&mut anon, flags, &(place | state).to_le_bytes())?;
        Ok(Self {
            reserved: plain(kernel.layouts.flags.reserved, 1)?,
            free,
            free_tail: plain(0, 0)?,
            anon,
            raw,
            order,
        })
    }

    /// The struct page of one set aside at boot.
    pub(super) fn reserved(&self) -> &[u8] {
        &self.reserved
    }

    /// A page of the memory map.
    pub(super) fn page(&self, frames: &[Frame]) -> Vec<u8> {
        let mut page = Vec::with_capacity(PAGE as usize);
        for frame in frames {
            let at = page.len();
            page.extend_from_slice(match frame {
                Frame::Reserved => &self.reserved,
                Frame::Free(_) => &self.free,
                Frame::FreeTail => &self.free_tail,
                Frame::Anon => &self.anon,
                Frame::Leak(_) | Frame::Held | Frame::Directory => &self.raw,
            });
            if let Frame::Free(order) = frame
                && let Some(place) = page.get_mut(at + self.order)
            {
                *place = *order;
            }
        }
        page
    }
}

fn take<const N: usize>(page: &[u8], at: usize) -> Result<[u8; N]> {
    let bytes = page.get(at..at + N).context("beyond struct page")?;
    Ok(bytes.try_into()?)
}

fn put(page: &mut [u8], at: usize, bytes: &[u8]) -> Result<()> {
    let part = page.get_mut(at..at + bytes.len());
    part.context("beyond struct page")?.copy_from_slice(bytes);
    Ok(())
}
