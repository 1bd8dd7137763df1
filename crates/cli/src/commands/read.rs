//! `pagehound read`: memory as hex, with what it points to.

use super::Context;
use crate::args;
use crate::exit::Exit;
use crate::output;
use crate::render;
use anyhow::ensure;
use pagehound_kernel::{Kernel, VirtualRead};
use pagehound_vmcore::{PageCache, PhysAddr, VirtAddr};
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
    output::plain(|out| print(args.address, &words, &kernel, out))?;
    match fault {
        Some(error) => Err(error),
        None => Ok(Exit::OK),
    }
}

/// Two words a line with the text they hold, as crash's `rd` prints them, and
/// what each points to.
fn print(address: u64, words: &[u64], kernel: &Kernel<'_>, out: &mut dyn Write) -> io::Result<()> {
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
            .filter_map(|word| points_to(*word, kernel))
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

/// The symbol a word lies in, with its offset.
fn points_to(word: u64, kernel: &Kernel<'_>) -> Option<String> {
    let symbol = kernel.symbols.as_ref()?.lookup(VirtAddr(word))?;
    let name = render::escape(symbol.name);
    Some(match symbol.offset_in {
        0 => name,
        offset => format!("{name}+{offset:#x}"),
    })
}
