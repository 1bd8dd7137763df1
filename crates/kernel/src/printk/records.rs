//! The log of 3.5 to 5.9: records of variable length one behind the other in
//! one buffer (`struct printk_log`, `struct log` up to 3.10).

use pagehound_vmcore::VirtAddr;

use super::{
    Log, LogDevice, LogRecord, LogSource, caller, facility_and_level, member, structure, uint,
};
use crate::kernel::KernelError;
use crate::layouts::{Field, Place, Unknown};

/// Flags of a record (`enum log_flags`).
const NEWLINE: u8 = 2;
const PREFIX: u8 = 4;
const CONT: u8 = 8;

/// `LOG_BUF_LEN_MAX`.
const MOST: u64 = 1 << 31;

/// Addresses of the log's variables.
pub(super) struct Variables {
    pub(super) log_buf: VirtAddr,
    pub(super) len: VirtAddr,
    pub(super) first: VirtAddr,
    pub(super) next: VirtAddr,
    /// Number of the first record; not exported.
    pub(super) first_seq: Option<VirtAddr>,
}

struct Places {
    header: u64,
    ts_nsec: Place,
    len: Place,
    text_len: Place,
    dict_len: Place,
    caller_id: Option<Place>,
}

impl Places {
    fn of(source: LogSource<'_>) -> Result<Places, KernelError> {
        let header = ["printk_log", "log"]
            .into_iter()
            .find_map(|name| source.vmcoreinfo.size(name))
            .ok_or(Unknown("printk_log"))?;
        Ok(Places {
            header,
            ts_nsec: source.layouts.place(Field::LogTsNsec)?,
            len: source.layouts.place(Field::LogLen)?,
            text_len: source.layouts.place(Field::LogTextLen)?,
            dict_len: source.layouts.place(Field::LogDictLen)?,
            caller_id: source.layouts.get(Field::LogCallerId),
        })
    }
}

/// What one record says of itself.
struct Header {
    len: u64,
    text_len: u64,
    dict_len: u64,
    flags: u8,
    record: LogRecord,
}

/// Reads the buffer.
pub(super) fn read(source: LogSource<'_>, variables: &Variables) -> Result<Log, KernelError> {
    let places = Places::of(source)?;
    let base = source.memory.ptr(variables.log_buf)?;
    let len = u64::from(source.memory.u32(variables.len)?);
    let first = u64::from(source.memory.u32(variables.first)?);
    let next = u64::from(source.memory.u32(variables.next)?);
    let mut seq = variables
        .first_seq
        .and_then(|at| source.memory.u64(at).ok())
        .unwrap_or(0);
    let mut log = Log::default();
    if len > source.limit.min(MOST) {
        log.note(format!(
            "log_buf_len is {len}, more than the dump has memory for"
        ));
        return Ok(log);
    }
    let mut at = first;
    let mut wrapped = false;
    let mut open = false;
    while at != next {
        let in_buffer = at.checked_add(places.header).is_some_and(|end| end <= len);
        let header = match in_buffer {
            true => header(source, &places, base.add(at), seq),
            false => Err("no room for a record".to_owned()),
        };
        let header = match header {
            Ok(header) => header,
            Err(problem) => {
                log.note(format!("record at offset {at:#x} of log_buf: {problem}"));
                break;
            }
        };
        if header.len == 0 && !wrapped {
            // The rest of the buffer was too short for the next record.
            wrapped = true;
            at = 0;
            continue;
        }
        let end = at.saturating_add(header.len);
        if header.len < places.header || end > len || (wrapped && end > first) {
            let len = header.len;
            log.note(format!(
                "record at offset {at:#x} of log_buf: its length is {len}"
            ));
            break;
        }
        let flags = header.flags;
        match finish(source, &places, base.add(at), &header) {
            // A message that was printed in pieces is one line of the log.
            Ok(record) if open && (flags & CONT != 0 || flags & PREFIX == 0) => {
                match log.records.last_mut() {
                    Some(last) => last.text.extend_from_slice(&record.text),
                    None => log.records.push(record),
                }
            }
            Ok(record) => log.records.push(record),
            Err(problem) => {
                log.lost += 1;
                log.note(format!("record at offset {at:#x} of log_buf: {problem}"));
            }
        }
        open = flags & CONT != 0 && flags & NEWLINE == 0;
        seq = seq.wrapping_add(1);
        at = end;
    }
    Ok(log)
}

fn header(
    source: LogSource<'_>,
    places: &Places,
    at: VirtAddr,
    seq: u64,
) -> Result<Header, String> {
    const SHORT: &str = "VMCOREINFO puts a member beyond its structure";
    let bytes = structure(source, at, places.header)?;
    let lengths_end = places.dict_len.offset.saturating_add(2);
    let (facility, level, flags) = facility_and_level(&bytes, lengths_end).ok_or(SHORT)?;
    let caller_id = places
        .caller_id
        .and_then(|place| uint(&bytes, place.offset, 4));
    Ok(Header {
        len: member(&bytes, places.len).ok_or(SHORT)?,
        text_len: member(&bytes, places.text_len).ok_or(SHORT)?,
        dict_len: member(&bytes, places.dict_len).ok_or(SHORT)?,
        flags,
        record: LogRecord {
            seq,
            ts_nsec: member(&bytes, places.ts_nsec).ok_or(SHORT)?,
            level,
            facility,
            caller: caller_id.map(|id| caller(id as u32)),
            text: Vec::new(),
            device: None,
        },
    })
}

/// Adds text and dictionary, which follow the header.
fn finish(
    source: LogSource<'_>,
    places: &Places,
    at: VirtAddr,
    header: &Header,
) -> Result<LogRecord, String> {
    let room = header.len.saturating_sub(places.header);
    let text_len = header.text_len.min(room);
    let dict_len = header.dict_len.min(room - text_len);
    let mut text = vec![0; (text_len + dict_len) as usize];
    let read = source.memory.read(at.add(places.header), &mut text);
    read.map_err(|fault| fault.to_string())?;
    let dict = text.split_off(text_len as usize);
    Ok(LogRecord {
        text,
        device: device(&dict),
        ..header.record.clone()
    })
}

/// `SUBSYSTEM=pci\0DEVICE=+pci:0000:01:00.0`.
fn device(dict: &[u8]) -> Option<LogDevice> {
    let value = |key: &[u8]| {
        dict.split(|&b| b == 0)
            .find_map(|pair| pair.strip_prefix(key))
            .map(<[u8]>::to_vec)
    };
    Some(LogDevice {
        subsystem: value(b"SUBSYSTEM=")?,
        device: value(b"DEVICE=")?,
    })
}
