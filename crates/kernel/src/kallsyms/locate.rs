//! The tables by their names, from VMCOREINFO.

use pagehound_vmcore::VirtAddr;

use super::KallsymsError;
use super::addresses::{Encoding, Place};
use super::names::{LengthForm, MAX_SYMBOLS, Names, TOKEN_INDEX, Tokens, matches_markers};
use crate::{VirtualRead, Vmcoreinfo};

/// Names, markers and (6.1, 6.2) the order of names, up to the token table.
const MAX_NAMES: u64 = 64 << 20;
/// An index of 16 bits reaches no further.
const MAX_TOKENS: u64 = 66 << 10;

/// Decoded names, and where their addresses may be.
pub(super) struct Tables {
    pub(super) names: Names,
    pub(super) places: Vec<Place>,
}

impl Tables {
    pub(super) fn named(
        info: &Vmcoreinfo,
        read: &dyn VirtualRead,
    ) -> Result<Tables, KallsymsError> {
        let need = |name, key| info.symbol(name).ok_or(KallsymsError::Key(key));
        let names = need("kallsyms_names", "SYMBOL(kallsyms_names)")?;
        let num_syms = need("kallsyms_num_syms", "SYMBOL(kallsyms_num_syms)")?;
        let token_table = need("kallsyms_token_table", "SYMBOL(kallsyms_token_table)")?;
        let token_index = need("kallsyms_token_index", "SYMBOL(kallsyms_token_index)")?;
        let names = decode(read, names, num_syms, token_table, token_index)?;
        Ok(Tables {
            names,
            places: places(info, read)?,
        })
    }
}

fn decode(
    read: &dyn VirtualRead,
    names: VirtAddr,
    num_syms: VirtAddr,
    token_table: VirtAddr,
    token_index: VirtAddr,
) -> Result<Names, KallsymsError> {
    let bad = |table, addr, problem| KallsymsError::Table {
        table,
        addr,
        problem,
    };
    let index = fetch(
        read,
        "kallsyms_token_index",
        token_index,
        TOKEN_INDEX as u64,
    )?;
    let table = span(
        read,
        "kallsyms_token_table",
        token_table,
        token_index,
        MAX_TOKENS,
    )?;
    let tokens = Tokens::new(&table, &index).ok_or_else(|| {
        bad(
            "kallsyms_token_index",
            token_index,
            "does not index the strings of the token table",
        )
    })?;
    // unsigned long up to 4.19, u32 since.
    let fault = |fault| KallsymsError::Read {
        table: "kallsyms_num_syms",
        fault,
    };
    let count = read.u32(num_syms).map_err(fault)? as usize;
    // The names end before the token table in every release, markers between them.
    let bytes = span(read, "kallsyms_names", names, token_table, MAX_NAMES)?;
    if count > MAX_SYMBOLS || count > bytes.len() / 2 {
        return Err(bad(
            "kallsyms_num_syms",
            num_syms,
            "more symbols than names have room for",
        ));
    }
    let mut budget = u64::MAX;
    LengthForm::BOTH
        .into_iter()
        .find(|&form| matches_markers(&bytes, names.0, count, form, &tokens, &mut budget))
        .and_then(|form| Names::decode(&bytes, count, form, &tokens))
        .ok_or_else(|| {
            bad(
                "kallsyms_names",
                names,
                "does not decode, or end at its markers",
            )
        })
}

fn places(info: &Vmcoreinfo, read: &dyn VirtualRead) -> Result<Vec<Place>, KallsymsError> {
    let mut places = Vec::new();
    if let Some(table) = info.symbol("kallsyms_addresses") {
        places.push(Place {
            encoding: Encoding::Absolute,
            table,
            base: 0,
        });
    }
    if let Some(table) = info.symbol("kallsyms_offsets") {
        if let Some(at) = info.symbol("kallsyms_relative_base") {
            let fault = |fault| KallsymsError::Read {
                table: "kallsyms_relative_base",
                fault,
            };
            let base = read.u64(at).map_err(fault)?;
            places.push(Place {
                encoding: Encoding::AbsolutePercpu,
                table,
                base,
            });
            places.push(Place {
                encoding: Encoding::BaseRelative,
                table,
                base,
            });
        }
        places.push(Place {
            encoding: Encoding::PlaceRelative,
            table,
            base: 0,
        });
    }
    if places.is_empty() {
        return Err(KallsymsError::Key("SYMBOL(kallsyms_offsets)"));
    }
    Ok(places)
}

fn span(
    read: &dyn VirtualRead,
    table: &'static str,
    from: VirtAddr,
    to: VirtAddr,
    limit: u64,
) -> Result<Vec<u8>, KallsymsError> {
    match to.0.checked_sub(from.0) {
        Some(len) if len <= limit => fetch(read, table, from, len),
        _ => {
            let problem = "the table that should follow it does not, or lies too far off";
            Err(KallsymsError::Table {
                table,
                addr: from,
                problem,
            })
        }
    }
}

fn fetch(
    read: &dyn VirtualRead,
    table: &'static str,
    from: VirtAddr,
    len: u64,
) -> Result<Vec<u8>, KallsymsError> {
    let mut bytes = vec![0; len as usize];
    read.read(from, &mut bytes)
        .map_err(|fault| KallsymsError::Read { table, fault })?;
    Ok(bytes)
}
