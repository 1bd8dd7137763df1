//! Ways to break a dump.

use std::fmt;

use anyhow::Result;

use super::fields;

/// What is done to a copy.
pub(super) enum Breakage {
    /// It ends after `len` bytes.
    Cut { len: u64 },
    /// Other bytes from `at` on.
    Write {
        at: u64,
        bytes: Vec<u8>,
        /// The field they lie in; empty for a single byte anywhere.
        field: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Cut,
    Field,
    Flip,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Cut => "cut",
            Kind::Field => "field 0, 1, max",
            Kind::Flip => "one byte",
        })
    }
}

impl Breakage {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Breakage::Cut { .. } => Kind::Cut,
            Breakage::Write { field, .. } if field.is_empty() => Kind::Flip,
            Breakage::Write { .. } => Kind::Field,
        }
    }
}

impl fmt::Display for Breakage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Breakage::Cut { len } => write!(f, "cut at {len}"),
            Breakage::Write { at, bytes, field } => {
                write!(f, "{field} at {at:#x} =")?;
                bytes.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
            }
        }
    }
}

/// Every field of the headers at 0, at 1, and at its highest as a number without
/// and with a sign.
pub(super) fn fields(dump: &[u8]) -> Result<Vec<Breakage>> {
    let mut breakages = Vec::new();
    for field in fields::of(dump)? {
        let mut values = vec![vec![0; field.len], vec![0xff; field.len]];
        if field.len <= 8 {
            let mut one = vec![0; field.len];
            one.iter_mut().take(1).for_each(|byte| *byte = 1);
            let mut highest = vec![0xff; field.len];
            highest
                .iter_mut()
                .skip(field.len - 1)
                .for_each(|byte| *byte = 0x7f);
            for mut value in [one, highest] {
                if field.big_endian {
                    value.reverse();
                }
                values.push(value);
            }
        }
        breakages.extend(values.into_iter().map(|bytes| Breakage::Write {
            at: field.at as u64,
            bytes,
            field: field.name.clone(),
        }));
    }
    Ok(breakages)
}

/// `count` single bytes changed, by turns anywhere and in what is not a page.
pub(super) fn flips(dump: &[u8], count: u64, seed: u64) -> Result<Vec<Breakage>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let describing = fields::describing(dump)?;
    let long: u64 = describing.iter().map(|span| span.len() as u64).sum();
    let mut draw = |number: u64| {
        let mut at = random.u64(0..dump.len() as u64);
        if number % 2 == 1 {
            let mut left = random.u64(0..long);
            for span in &describing {
                if left < span.len() as u64 {
                    at = span.start as u64 + left;
                    break;
                }
                left -= span.len() as u64;
            }
        }
        let old = dump.get(at as usize).copied().unwrap_or(0);
        let bytes = vec![old ^ random.u8(1..)];
        Breakage::Write {
            at,
            bytes,
            field: String::new(),
        }
    };
    Ok((0..count).map(&mut draw).collect())
}

/// `count` lengths, spread evenly, the longest first: one byte is missing.
pub(super) fn cuts(len: u64, count: u64) -> Vec<Breakage> {
    let at = |number| len * number / count;
    let lens = (0..count).rev().map(|number| match number + 1 == count {
        true => len - 1,
        false => at(number),
    });
    lens.map(|len| Breakage::Cut { len }).collect()
}
