//! The tables by their shape, where VMCOREINFO does not name them (before 6.0).
//!
//! In read-only data, in this order: kallsyms_num_syms, names, markers, (6.1 and
//! 6.2: seqs_of_names,) token_table, token_index. The addresses come before
//! num_syms up to 6.2 and after token_index from 6.4 on. The ten digits are tokens
//! of their own in every kernel, which gives the token table away; everything else
//! follows from it, and the markers confirm it.

use memchr::memmem::Finder;
use pagehound_vmcore::VirtAddr;

use super::addresses::{Encoding, Place};
use super::locate::Tables;
use super::names::{LengthForm, MAX_SYMBOLS, Names, TOKEN_INDEX, Tokens, matches_markers};
use super::{Kallsyms, KallsymsError};
use crate::VirtualRead;
use crate::sweep::{read_pages, sweep};

const DIGITS: &[u8] = b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\0";
/// How far tokens and their index may reach on both sides of the digits; they take
/// 1 to 2 KiB.
const TOKENS: u64 = 16 << 10;
/// How far before the token table the number of symbols may lie.
const REACHES: [u64; 2] = [4 << 20, 32 << 20];
/// Token tables to look behind; a kernel has one.
const MAX_TOKEN_TABLES: usize = 16;
/// Fewer symbols would make chance finds possible.
const MIN_SYMBOLS: usize = 256;
/// Names to walk in one search for the number of symbols.
const WALK_BUDGET: u64 = 1 << 24;

pub(super) fn find(
    read: &dyn VirtualRead,
    start: VirtAddr,
    end: VirtAddr,
    stext: VirtAddr,
) -> Result<Kallsyms, KallsymsError> {
    let finder = Finder::new(DIGITS);
    let mut candidates = 0;
    let mut failure = None;
    let (found, unreadable) = sweep(read, start, end, TOKENS, |window| {
        for hit in finder.find_iter(&window.bytes) {
            if !window.own.contains(&(window.base + hit as u64)) || candidates == MAX_TOKEN_TABLES {
                continue;
            }
            let Some((tokens, table, after)) = tokens_around(&window.bytes, window.base, hit)
            else {
                continue;
            };
            candidates += 1;
            match from_tokens(read, start, &tokens, table, after, stext) {
                Some(Ok(kallsyms)) => return Some(kallsyms),
                Some(Err(error)) => failure = Some(error),
                None => {}
            }
        }
        None
    });
    let not_found = || {
        failure.unwrap_or(KallsymsError::NotFound {
            start,
            end,
            unreadable,
        })
    };
    found.ok_or_else(not_found)
}

/// Takes the digits at `hit` for the tokens 48 to 57. Returns the tokens, where
/// their table begins and where their index ends.
fn tokens_around(window: &[u8], base: u64, hit: usize) -> Option<(Tokens, u64, u64)> {
    let following = window.get(hit..)?;
    let following = following.get(..TOKENS as usize).unwrap_or(following);
    let end = hit + memchr::memchr_iter(0, following).nth(255 - usize::from(b'0'))? + 1;
    [4, 8].into_iter().find_map(|align| {
        let index_at = (base + end as u64).checked_next_multiple_of(align)?;
        let index = window
            .get((index_at - base) as usize..)?
            .get(..TOKEN_INDEX)?;
        let digit = index.get(2 * usize::from(b'0')..)?.first_chunk()?;
        let begin = hit.checked_sub(usize::from(u16::from_le_bytes(*digit)))?;
        let tokens = Tokens::new(window.get(begin..end)?, index)?;
        Some((tokens, base + begin as u64, index_at + TOKEN_INDEX as u64))
    })
}

/// Looks before the token table for the number of symbols with their names behind
/// it. `None` if there is no such thing.
fn from_tokens(
    read: &dyn VirtualRead,
    start: VirtAddr,
    tokens: &Tokens,
    table: u64,
    after: u64,
    stext: VirtAddr,
) -> Option<Result<Kallsyms, KallsymsError>> {
    REACHES.into_iter().find_map(|reach| {
        let from = table
            .saturating_sub(reach)
            .max(start.0)
            .checked_next_multiple_of(8)?;
        let (before, _) = read_pages(read, from, table);
        let (num_syms, names) = find_names(&before, from, tokens)?;
        let places = places(read, num_syms, names.len() as u64, after);
        Some(Kallsyms::from_tables(Tables { names, places }, read, stext))
    })
}

/// The number of symbols in `bytes`, which lie at `base`, a multiple of 8: its
/// address, and the names behind it.
fn find_names(bytes: &[u8], base: u64, tokens: &Tokens) -> Option<(u64, Names)> {
    let mut budget = WALK_BUDGET;
    for (at, word) in (0..).step_by(4).zip(bytes.chunks_exact(4)) {
        let count = u32::from_le_bytes(word.try_into().ok()?) as usize;
        if !(MIN_SYMBOLS..=MAX_SYMBOLS).contains(&count) || count > (bytes.len() - at) / 2 {
            continue;
        }
        // Aligned to 8 up to 6.19 (and 8 bytes long up to 4.19), to 4 since.
        let gap_is_zero = bytes.get(at + 4..at + 8) == Some(&[0; 4]);
        let skip = if at % 8 == 0 && gap_is_zero { 8 } else { 4 };
        let names = bytes.get(at + skip..)?;
        let names_at = base + (at + skip) as u64;
        for form in LengthForm::BOTH {
            if matches_markers(names, names_at, count, form, tokens, &mut budget) {
                let names = Names::decode(names, count, form, tokens)?;
                return Some((base + at as u64, names));
            }
        }
        if budget == 0 {
            return None;
        }
    }
    None
}

/// Where the addresses of `count` symbols may lie: behind the token index, or
/// before the number of symbols.
fn places(read: &dyn VirtualRead, num_syms: u64, count: u64, after: u64) -> Vec<Place> {
    let mut places = Vec::new();
    let mut add = |encoding, table, base| {
        places.push(Place {
            encoding,
            table: VirtAddr(table),
            base,
        });
    };
    let offsets = (count * 4).next_multiple_of(8);
    let behind = (after, after.saturating_add(offsets));
    let ahead = (
        num_syms.saturating_sub(8 + offsets),
        num_syms.saturating_sub(8),
    );
    for (table, base_at) in [behind, ahead] {
        if let Ok(base) = read.u64(VirtAddr(base_at)) {
            add(Encoding::AbsolutePercpu, table, base);
            add(Encoding::BaseRelative, table, base);
        }
    }
    add(Encoding::PlaceRelative, after, 0);
    add(Encoding::Absolute, after, 0);
    add(Encoding::Absolute, num_syms.saturating_sub(count * 8), 0);
    places
}
