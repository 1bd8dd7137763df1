//! The printk ring buffer (kernel/printk/printk_ringbuffer.h): descriptors and
//! what is known of each record in two arrays, texts in a third ring.

use pagehound_vmcore::VirtAddr;

use super::{
    Log, LogDevice, LogRecord, LogSource, caller, facility_and_level, member, structure, uint,
};
use crate::kernel::KernelError;
use crate::layouts::{Field, Place, Struct};

/// The two highest bits of a descriptor's state word are its state, the rest
/// is its id.
const ID_MASK: u64 = !(3 << 62);
/// States with a text: committed, and finalized (no longer extended).
const WITH_TEXT: [u64; 2] = [1, 2];
/// `LOG_BUF_LEN_MAX` is 1 << 31, with one descriptor for each 32 bytes.
const MOST_COUNT_BITS: u64 = 26;
const MOST_SIZE_BITS: u64 = 31;
/// Lpos of a record without text: an empty line.
const EMPTY_LINE: u64 = 3;
/// Bytes of the id before each text.
const TEXT_ID: u64 = 8;

struct Ring<'a> {
    source: LogSource<'a>,
    descs: VirtAddr,
    infos: VirtAddr,
    count_bits: u64,
    data: VirtAddr,
    size_bits: u64,
    desc_size: u64,
    info_size: u64,
    places: Places,
}

/// Members of one record's structures.
struct Places {
    state: Place,
    lpos_begin: u64,
    lpos_next: u64,
    seq: Place,
    ts_nsec: Place,
    text_len: Place,
    caller_id: Option<Place>,
    subsystem: (u64, usize),
    device: (u64, usize),
}

/// Where a record's text lies.
enum Block {
    /// At this offset of the text ring, id included, this long.
    At(u64, u64),
    /// An empty line.
    Empty,
    /// Nowhere: it never was, or was overwritten.
    Lost,
}

/// Reads the ring that the pointer at `prb` points to.
pub(super) fn read(source: LogSource<'_>, prb: VirtAddr) -> Result<Log, KernelError> {
    let places = Places::of(source)?;
    let layouts = source.layouts;
    let sizes = (
        layouts.size(Struct::PrbDesc)?,
        layouts.size(Struct::PrintkInfo)?,
    );
    let desc_ring = layouts.offset(Field::PrbDescRing)?;
    let data_ring = layouts.offset(Field::PrbTextDataRing)?;
    let word = |base: VirtAddr, field: Field| -> Result<u64, KernelError> {
        let place = layouts.place(field)?;
        let at = base.add(place.offset);
        let read = match place.size {
            4 => source.memory.u32(at).map(u64::from),
            _ => source.memory.u64(at),
        };
        read.map_err(|fault| KernelError::Read {
            what: field.name(),
            fault,
        })
    };
    let ring = source.memory.ptr(prb)?;
    let (descs, texts) = (ring.add(desc_ring), ring.add(data_ring));
    let mut log = Log::default();
    let ring = Ring {
        source,
        descs: VirtAddr(word(descs, Field::PrbDescs)?),
        infos: VirtAddr(word(descs, Field::PrbInfos)?),
        count_bits: word(descs, Field::PrbCountBits)?,
        data: VirtAddr(word(texts, Field::PrbData)?),
        size_bits: word(texts, Field::PrbSizeBits)?,
        desc_size: sizes.0,
        info_size: sizes.1,
        places,
    };
    let (head, tail) = (
        word(descs, Field::PrbHeadId)? & ID_MASK,
        word(descs, Field::PrbTailId)? & ID_MASK,
    );
    if let Err(problem) = ring.check() {
        log.note(problem);
        return Ok(log);
    }
    ring.records(head, tail, &mut log);
    Ok(log)
}

impl Places {
    fn of(source: LogSource<'_>) -> Result<Places, KernelError> {
        let layouts = source.layouts;
        let lpos = layouts.offset(Field::PrbTextBlkLpos)?;
        let dev_info = layouts.offset(Field::PrintkInfoDevInfo)?;
        let text = |field: Field, length: &str| -> Result<(u64, usize), KernelError> {
            let place = layouts.place(field)?;
            let size = source.vmcoreinfo.length(length).unwrap_or(place.size);
            Ok((
                dev_info.saturating_add(place.offset),
                usize::try_from(size).unwrap_or(usize::MAX),
            ))
        };
        Ok(Places {
            state: layouts.place(Field::PrbStateVar)?,
            lpos_begin: lpos.saturating_add(layouts.offset(Field::PrbLposBegin)?),
            lpos_next: lpos.saturating_add(layouts.offset(Field::PrbLposNext)?),
            seq: layouts.place(Field::PrintkInfoSeq)?,
            ts_nsec: layouts.place(Field::PrintkInfoTsNsec)?,
            text_len: layouts.place(Field::PrintkInfoTextLen)?,
            caller_id: layouts.get(Field::PrintkInfoCallerId),
            subsystem: text(Field::DevInfoSubsystem, "printk_info_subsystem")?,
            device: text(Field::DevInfoDevice, "printk_info_device")?,
        })
    }
}

impl Ring<'_> {
    fn check(&self) -> Result<(), String> {
        let fits = |bits: u64, size: u64| {
            1u64.checked_shl(bits as u32)
                .and_then(|count| count.checked_mul(size))
                .is_some_and(|bytes| bytes <= self.source.limit)
        };
        if self.count_bits > MOST_COUNT_BITS || !fits(self.count_bits, self.desc_size) {
            let bits = self.count_bits;
            return Err(format!(
                "prb_desc_ring.count_bits is {bits}, more descriptors than the dump has memory for"
            ));
        }
        if self.size_bits > MOST_SIZE_BITS || !fits(self.size_bits, 1) {
            let bits = self.size_bits;
            return Err(format!(
                "prb_data_ring.size_bits is {bits}, more text than the dump has memory for"
            ));
        }
        Ok(())
    }

    fn records(&self, head: u64, tail: u64, log: &mut Log) {
        let count = 1u64 << self.count_bits;
        let mut records = head.wrapping_sub(tail) & ID_MASK;
        if records >= count {
            log.note(format!(
                "prb_desc_ring goes from id {tail:#x} to {head:#x}, more than its {count} descriptors"
            ));
            records = count - 1;
        }
        // Texts do not overlap: together they are no longer than their ring.
        let mut text_left = 1u64 << self.size_bits;
        for back in (0..=records).rev() {
            let id = head.wrapping_sub(back) & ID_MASK;
            match self.record(id, text_left) {
                Ok(Some(record)) => {
                    text_left = text_left.saturating_sub(record.text.len() as u64);
                    log.records.push(record);
                }
                Ok(None) => {}
                Err(problem) => {
                    log.lost += 1;
                    log.note(format!("record with id {id:#x}: {problem}"));
                }
            }
        }
    }

    /// The record of one id; `None` if the descriptor holds none.
    fn record(&self, id: u64, text_left: u64) -> Result<Option<LogRecord>, String> {
        const SHORT: &str = "VMCOREINFO puts a member beyond its structure";
        let index = id & ((1 << self.count_bits) - 1);
        let desc_at = self.descs.add(index.wrapping_mul(self.desc_size));
        let desc = structure(self.source, desc_at, self.desc_size)?;
        let state = member(&desc, self.places.state).ok_or(SHORT)?;
        if state & ID_MASK != id || !WITH_TEXT.contains(&(state >> 62)) {
            // Being written, or reused since.
            return Ok(None);
        }
        let begin = uint(&desc, self.places.lpos_begin, 8).ok_or(SHORT)?;
        let next = uint(&desc, self.places.lpos_next, 8).ok_or(SHORT)?;
        let info_at = self.infos.add(index.wrapping_mul(self.info_size));
        let info = structure(self.source, info_at, self.info_size)?;
        let text_len = member(&info, self.places.text_len).ok_or(SHORT)?;
        let lengths_end = self.places.text_len.offset.saturating_add(2);
        let (facility, level, _) = facility_and_level(&info, lengths_end).ok_or(SHORT)?;
        let caller_id = self
            .places
            .caller_id
            .and_then(|place| uint(&info, place.offset, 4));
        Ok(Some(LogRecord {
            seq: member(&info, self.places.seq).ok_or(SHORT)?,
            ts_nsec: member(&info, self.places.ts_nsec).ok_or(SHORT)?,
            level,
            facility,
            caller: caller_id.map(|id| caller(id as u32)),
            text: self.text(id, begin, next, text_len.min(text_left))?,
            device: self.device(&info),
        }))
    }

    fn text(&self, id: u64, begin: u64, next: u64, text_len: u64) -> Result<Vec<u8>, String> {
        let (at, size) = match self.block(begin, next) {
            Block::At(at, size) => (self.data.add(at), size),
            Block::Empty => return Ok(Vec::new()),
            Block::Lost => return Err("its text was dropped or overwritten".to_owned()),
        };
        let stored = source_u64(self.source, at)?;
        if stored != id {
            return Err(format!("its text now belongs to id {stored:#x}"));
        }
        // A record that was truncated keeps the length its text would have had.
        let mut text = vec![0; text_len.min(size - TEXT_ID) as usize];
        let read = self.source.memory.read(at.add(TEXT_ID), &mut text);
        read.map_err(|fault| fault.to_string())?;
        Ok(text)
    }

    fn block(&self, begin: u64, next: u64) -> Block {
        if begin & 1 == 1 || next & 1 == 1 {
            return match (begin, next) {
                (EMPTY_LINE, EMPTY_LINE) => Block::Empty,
                _ => Block::Lost,
            };
        }
        let size = 1u64 << self.size_bits;
        let (index, wraps) = (
            |lpos: u64| lpos & (size - 1),
            |lpos: u64| lpos >> self.size_bits,
        );
        // A block that ends with the ring ends before the next wrap.
        let last = next.wrapping_sub(1);
        let block = if wraps(begin) == wraps(last) {
            (index(begin), next.wrapping_sub(begin))
        } else if wraps(begin).wrapping_add(1) & (u64::MAX >> self.size_bits) == wraps(last) {
            // A block that does not fit before the end lies at the start.
            (0, index(last) + 1)
        } else {
            return Block::Lost;
        };
        match block {
            (at, len) if (TEXT_ID..=size).contains(&len) => Block::At(at, len),
            _ => Block::Lost,
        }
    }

    fn device(&self, info: &[u8]) -> Option<LogDevice> {
        let text = |(offset, size): (u64, usize)| -> Option<Vec<u8>> {
            let bytes = info.get(usize::try_from(offset).ok()?..)?;
            let bytes = bytes.get(..size.min(bytes.len()))?;
            bytes.split(|&b| b == 0).next().map(<[u8]>::to_vec)
        };
        let device = LogDevice {
            subsystem: text(self.places.subsystem)?,
            device: text(self.places.device)?,
        };
        (device != LogDevice::default()).then_some(device)
    }
}

fn source_u64(source: LogSource<'_>, at: VirtAddr) -> Result<u64, String> {
    source.memory.u64(at).map_err(|fault| fault.to_string())
}
