//! `pagehound read`: memory as hex, with what it points to.

use super::Context;
use crate::args;
use crate::exit::Exit;
use crate::output;
use crate::render;
use anyhow::ensure;
use pagehound_kernel::{Kernel, Pages, VirtualRead, area_at};
use pagehound_vmcore::{PageCache, Pfn, PhysAddr, VirtAddr};
use std::io::{self, Write};

/// Words on a line.
const COLUMNS: u64 = 2;

/// More than this is a job for a dump file of its own.
const MOST: u64 = 1 << 20;

pub(super) fn run(args: &args::Read, context: &Context) -> anyhow::Result<Exit> {
    ensure!(
        args.count <= MOST,
        "COUNT {} is more than {MOST} words",
        args.count
    );
    let dump = pagehound_vmcore::open(args.target.file()?)?;
    let kernel = super::open_kernel(&dump, context)?;
    let mut words = Vec::new();
    let mut fault = None;
    let cache = PageCache::new(dump.memory.as_ref(), 16);
    for index in 0..args.count {
        let at = args.address.wrapping_add(index * 8);
        let word = if args.physical {
            let mut bytes = [0; 8];
            cache
                .read(PhysAddr(at), &mut bytes)
                .map(|()| u64::from_le_bytes(bytes))
                .map_err(anyhow::Error::new)
        } else {
            kernel.memory.u64(VirtAddr(at)).map_err(anyhow::Error::new)
        };
        match word {
            Ok(word) => words.push(word),
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
    }
    // The words can be read without a map of all pages; it only says more.
    let pages = Pages::of(&kernel)
        .map_err(|error| output::note(&format!("no map of pages: {error}")))
        .ok();
    output::plain(|out| print(args.address, &words, &kernel, pages.as_ref(), out))?;
    match fault {
        Some(error) => Err(error),
        None => Ok(Exit::OK),
    }
}

/// Two words a line with the text they hold, as crash's `rd` prints them, and
/// what each points to.
fn print(
    address: u64,
    words: &[u64],
    kernel: &Kernel<'_>,
    pages: Option<&Pages>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut at = address;
    for line in words.chunks(COLUMNS as usize) {
        write!(out, "{at:016x}: ")?;
        let mut text = String::new();
        for word in line {
            write!(out, " {word:016x}")?;
            text.extend(word.to_le_bytes().map(|byte| {
                if (b' '..=b'~').contains(&byte) {
                    byte as char
                } else {
                    '.'
                }
            }));
        }
        let pad = 17 * (COLUMNS as usize).saturating_sub(line.len());
        write!(out, "{:pad$}   {text}", "")?;
        let named: Vec<String> = line
            .iter()
            .filter_map(|word| points_to(*word, kernel, pages))
            .collect();
        writeln!(
            out,
            "{}{}",
            if named.is_empty() { "" } else { "   " },
            named.join(", ")
        )?;
        at = at.wrapping_add(8 * COLUMNS);
    }
    Ok(())
}

/// What a kernel pointer points to: a page by its class (and slab cache), a
/// `struct page`, a vmalloc area, a symbol.
fn points_to(word: u64, kernel: &Kernel<'_>, pages: Option<&Pages>) -> Option<String> {
    let addr = VirtAddr(word);
    if word >> 63 == 0 {
        return None;
    }
    if let Some(pages) = pages {
        if let Some(phys) = kernel.memory.space.direct.phys(addr) {
            return Some(page(phys.pfn(kernel.page_shift()), pages));
        }
        if let Some(pfn) = pages.memmap.pfn(addr) {
            return Some(format!("struct page of {}", page(pfn, pages)));
        }
        if let Some(area) = area_at(&pages.areas, addr) {
            let caller = area.vm.as_ref().and_then(|vm| symbol(vm.caller, kernel));
            return Some(format!(
                "vmalloc{}",
                caller
                    .map(|caller| format!(" by {caller}"))
                    .unwrap_or_default()
            ));
        }
    }
    symbol(addr, kernel)
}

fn page(pfn: Pfn, pages: &Pages) -> String {
    let class = pages.map.class(pfn).name();
    let head = pages.map.head(pfn);
    let cache = pages
        .slabs
        .slab(head)
        .and_then(|slab| pages.slabs.cache(slab));
    let cache = cache
        .map(|cache| format!(" {}", render::escape(&cache.name)))
        .unwrap_or_default();
    format!("pfn {:#x} {class}{cache}", pfn.0)
}

fn symbol(addr: VirtAddr, kernel: &Kernel<'_>) -> Option<String> {
    let symbol = kernel.symbols.as_ref()?.lookup(addr)?;
    let name = render::escape(symbol.name);
    Some(if symbol.offset_in == 0 {
        name
    } else {
        format!("{name}+{:#x}", symbol.offset_in)
    })
}
