//! `pagehound read` of a capture: of the pages whose bytes it has.

use super::print;
use crate::args::{self, Place};
use crate::capture::{Capture, CapturedPages};
use crate::exit::Exit;
use crate::output;
use crate::render;
use anyhow::{Context, bail};
use pagehound_kernel::Linear;
use pagehound_vmcore::{PageCache, Pfn, PhysAddr, VirtAddr};

pub(super) fn run(args: &args::Read, place: &Place, capture: &Capture) -> anyhow::Result<Exit> {
    let (memory, pages) = capture.memory("pages")?;
    let direct = memory.direct_map.as_ref().and_then(|map| map.linear());
    let address = match place {
        Place::Address(address) => *address,
        Place::Symbol { name, .. } => bail!(
            "sampled: no symbols are in a capture, so not where {} is; give an address in hex",
            render::escape(name)
        ),
    };
    let content = capture.content()?;
    let cache = PageCache::new(content.memory.as_ref(), 16);
    let mut words = Vec::new();
    let mut fault = None;
    for index in 0..args.count {
        let at = address.wrapping_add(index * 8);
        let phys = match &direct {
            _ if args.physical => Some(PhysAddr(at)),
            Some(direct) => direct.phys(VirtAddr(at)),
            None => None,
        };
        let phys = phys.with_context(|| {
            format!(
                "sampled: {at:x} is not in the direct map, and the capture has no page tables; \
                 for a physical address add --physical"
            )
        });
        let mut bytes = [0; 8];
        let read = phys.and_then(|phys| {
            let read = cache.read(phys, &mut bytes);
            read.with_context(|| format!("sampled: the bytes at {at:x} are not in the capture"))
        });
        match read {
            Ok(()) => words.push(u64::from_le_bytes(bytes)),
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
    }
    let shift = memory.page_size.ilog2();
    let name = |word: VirtAddr| page(pages, direct.as_ref()?, word, shift);
    output::plain(|out| print(address, &words, name, out))?;
    fault.map_or(Ok(Exit::OK), Err)
}

/// The page that `word` points to, by its class where that is known.
fn page(pages: &CapturedPages, direct: &Linear, word: VirtAddr, shift: u32) -> Option<String> {
    let Pfn(pfn) = direct.phys(word)?.pfn(shift);
    let facts = pages.exactly(Pfn(pfn));
    let class = facts.map_or("of a class not told", |facts| facts.class.name());
    Some(format!("page {pfn:#x} {class}"))
}
