//! `pagehound read`: memory as hex, with what it points to.

mod captured;

use super::Context;
use crate::args::{self, Place};
use crate::exit::Exit;
use crate::output;
use crate::render;
use anyhow::{Context as _, ensure};
use pagehound_kernel::{Kernel, Pages, Symbolizer, VirtFault, VirtualRead, area_at};
use pagehound_vmcore::{PageCache, Pfn, PhysAddr, VirtAddr};
use std::io::{self, Write};

/// Words on a line.
const COLUMNS: usize = 2;

/// More words than this are a job for another tool.
const MOST: u64 = 1 << 20;

pub(super) fn run(args: &args::Read, context: &Context) -> anyhow::Result<Exit> {
    args.target
        .stands_first("read", std::slice::from_ref(&args.place))?;
    let place = args.place().map_err(anyhow::Error::msg)?;
    ensure!(
        args.count <= MOST,
        "COUNT {} is more than {MOST} words",
        args.count
    );
    if let Some(capture) = crate::input::capture(&args.target, &args.others.parts)? {
        return captured::run(args, &place, &capture);
    }
    let dump = crate::input::dump_with_notes(&args.target, &args.others.parts, context.reading())?;
    let kernel = context.kernel(&dump)?;
    let address = match &place {
        Place::Address(address) => *address,
        Place::Symbol { name, offset } => symbol(&kernel, name)?.0.wrapping_add(*offset),
    };
    let cache = PageCache::new(dump.memory.as_ref(), 16);
    let mut words = Vec::new();
    let mut fault = None;
    for index in 0..args.count {
        let at = address.wrapping_add(index * 8);
        let word = if args.physical {
            let mut bytes = [0; 8];
            let read = cache.read(PhysAddr(at), &mut bytes);
            read.map(|()| u64::from_le_bytes(bytes))
                .map_err(anyhow::Error::new)
        } else {
            let read = kernel.memory.u64(VirtAddr(at));
            read.map_err(|fault| match fault {
                VirtFault::Memory { addr, .. } if !kernel.is_mapped(addr) => {
                    VirtFault::NotMapped(addr).into()
                }
                // The lower half of the addresses is that of processes.
                fault if at >> 63 == 0 => anyhow::anyhow!(
                    "{fault}; this is no kernel address: for a physical one add --physical"
                ),
                fault => anyhow::Error::new(fault),
            })
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
    let pages = Pages::of(&kernel, context.making());
    let names = Names {
        kernel: &kernel,
        symbols: kernel.symbolizer(),
        pages: pages
            .map_err(|error| output::note(&format!("no map of pages: {error}")))
            .ok(),
    };
    output::plain(|out| print(address, &words, |word| names.of(word), out))?;
    fault.map_or(Ok(Exit::OK), Err)
}

/// The address of a symbol of the kernel image.
fn symbol(kernel: &Kernel<'_>, name: &str) -> anyhow::Result<VirtAddr> {
    let address = kernel.address(name).with_context(|| {
        let why = match &kernel.symbols {
            Some(_) => "the kernel image has no such symbol",
            None => "the symbols of this kernel cannot be read",
        };
        format!("{}: {why}; give an address in hex", render::escape(name))
    })?;
    // Where per-CPU variables are linked at zero, these addresses are offsets.
    ensure!(
        address.0 >> 63 == 1,
        "{name} is a per-CPU variable, at {:#x} from each CPU's own area{}",
        address.0,
        kernel.percpu(address, 0).map_or(String::new(), |there| {
            format!("; CPU 0 has it at {:x}", there.0)
        })
    );
    Ok(address)
}

/// Two words a line with the text they hold, as crash's `rd` prints them, and
/// what each points to.
fn print(
    address: u64,
    words: &[u64],
    name: impl Fn(VirtAddr) -> Option<String>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut at = address;
    for line in words.chunks(COLUMNS) {
        let hex: String = line.iter().map(|word| format!(" {word:016x}")).collect();
        let bytes: Vec<u8> = line.iter().flat_map(|word| word.to_le_bytes()).collect();
        let named: Vec<String> = line
            .iter()
            .filter_map(|word| name(VirtAddr(*word)))
            .collect();
        let text = format!(
            "{at:016x}: {hex:<34}   {:<16}   {}",
            render::ascii(&bytes),
            named.join(", ")
        );
        writeln!(out, "{}", text.trim_end())?;
        at = at.wrapping_add(8 * COLUMNS as u64);
    }
    Ok(())
}

/// Names what pointers point to.
struct Names<'a> {
    kernel: &'a Kernel<'a>,
    symbols: Symbolizer<'a>,
    pages: Option<Pages>,
}

impl Names<'_> {
    /// A page by its class (and slab cache), a `struct page`, a vmalloc area, a
    /// symbol; nothing for a word that is no kernel address.
    fn of(&self, addr: VirtAddr) -> Option<String> {
        if addr.0 >> 63 == 0 {
            return None;
        }
        if let Some(pages) = &self.pages {
            if let Some(phys) = self.kernel.memory.space.direct.phys(addr) {
                return Some(page(phys.pfn(self.kernel.page_shift()), pages));
            }
            if let Some(pfn) = pages.memmap.pfn(addr) {
                return Some(format!("struct page of {}", page(pfn, pages)));
            }
        }
        if let Some(symbol) = self.symbols.symbolize(addr) {
            return Some(symbol);
        }
        let area = area_at(&self.pages.as_ref()?.areas, addr)?;
        let caller = area
            .vm
            .as_ref()
            .and_then(|vm| self.symbols.symbolize(vm.caller));
        Some(caller.map_or("vmalloc".to_owned(), |caller| {
            format!("vmalloc by {caller}")
        }))
    }
}

fn page(pfn: Pfn, pages: &Pages) -> String {
    let class = pages.map.class(pfn).name();
    let slab = pages.slabs.slab(pages.map.head(pfn));
    let cache = slab.and_then(|slab| pages.slabs.cache(slab));
    let cache = cache.map(|cache| format!(" {}", render::escape(&cache.name)));
    format!("page {:#x} {class}{}", pfn.0, cache.unwrap_or_default())
}
