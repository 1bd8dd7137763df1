//! Addresses of symbols: four encodings, told apart by `_stext`.

use pagehound_vmcore::VirtAddr;

use super::KallsymsError;
use super::names::Names;
use crate::VirtualRead;

/// How kallsyms encodes addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Encoding {
    /// 64-bit addresses (up to 6.10, the only choice before 4.6).
    Absolute,
    /// Unsigned 32-bit offsets from `kallsyms_relative_base` (4.6 to 6.19).
    BaseRelative,
    /// Signed: from 0 up the value itself, below 0 `kallsyms_relative_base` - 1 -
    /// value (CONFIG_KALLSYMS_ABSOLUTE_PERCPU, 4.6 to 6.14, x86_64).
    AbsolutePercpu,
    /// Signed 32-bit distances from the table entry itself (7.0, a081b5789255).
    PlaceRelative,
}

impl Encoding {
    /// Bytes of a table entry.
    fn width(self) -> u64 {
        if self == Encoding::Absolute { 8 } else { 4 }
    }
}

/// A place where the addresses may be, with the encodings that are possible there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) encoding: Encoding,
    pub(super) table: VirtAddr,
    /// Value of `kallsyms_relative_base`; unused by encodings without one.
    pub(super) base: u64,
}

impl Place {
    /// The address in the entry with this index.
    fn decode(&self, index: u64, entry: &[u8]) -> Option<u64> {
        if self.encoding == Encoding::Absolute {
            return Some(u64::from_le_bytes(entry.try_into().ok()?));
        }
        let raw = u32::from_le_bytes(entry.try_into().ok()?);
        let signed = i64::from(raw.cast_signed());
        Some(match self.encoding {
            Encoding::BaseRelative => self.base.wrapping_add(raw.into()),
            Encoding::AbsolutePercpu if signed >= 0 => raw.into(),
            Encoding::AbsolutePercpu => self
                .base
                .wrapping_sub(1)
                .wrapping_sub(signed.cast_unsigned()),
            _ => self
                .table
                .0
                .wrapping_add(index * 4)
                .wrapping_add(signed.cast_unsigned()),
        })
    }

    fn puts(&self, read: &dyn VirtualRead, index: usize, at: VirtAddr) -> bool {
        let mut entry = [0; 8];
        let width = self.encoding.width();
        let Some(entry) = entry.get_mut(..width as usize) else {
            return false;
        };
        let from = self.table.add(index as u64 * width);
        read.read(from, entry).is_ok() && self.decode(index as u64, entry) == Some(at.0)
    }
}

/// Reads all addresses from the first place that gives `_stext` its address.
pub(super) fn read(
    read: &dyn VirtualRead,
    places: &[Place],
    names: &Names,
    stext: VirtAddr,
) -> Result<(Encoding, Vec<u64>), KallsymsError> {
    let indices: Vec<usize> = names.positions("_stext").take(16).collect();
    let place = places
        .iter()
        .find(|place| indices.iter().any(|&index| place.puts(read, index, stext)))
        .ok_or(KallsymsError::Encoding {
            symbols: names.len(),
            stext,
        })?;
    let width = place.encoding.width() as usize;
    let mut bytes = vec![0; names.len() * width];
    let table = match place.encoding {
        Encoding::Absolute => "kallsyms_addresses",
        _ => "kallsyms_offsets",
    };
    read.read(place.table, &mut bytes)
        .map_err(|fault| KallsymsError::Read { table, fault })?;
    let decoded = bytes
        .chunks_exact(width)
        .zip(0..)
        .filter_map(|(e, i)| place.decode(i, e));
    Ok((place.encoding, decoded.collect()))
}
