//! The kernel's log as `/dev/kmsg` has it.

use pagehound_kernel::LogRecord;
use pagehound_procfs::{KmsgRecord, kmsg};

/// Most bytes of a log that are kept, the last ones: rings are 128 KiB to some MiB.
pub(super) const MOST: usize = 16 << 20;

/// The records as lines; the oldest are left out of a log that is too long.
pub(super) fn lines(records: &[LogRecord]) -> Vec<u8> {
    let line = |record: &LogRecord| {
        KmsgRecord {
            level: record.level,
            facility: record.facility,
            seq: record.seq,
            micros: record.ts_nsec / 1000,
            text: record.text.clone(),
        }
        .line()
    };
    let lines: Vec<Vec<u8>> = records.iter().map(line).collect();
    let mut length = 0usize;
    let kept = lines.iter().rev().take_while(|line| {
        length = length.saturating_add(line.len());
        length <= MOST
    });
    let first = lines.len() - kept.count();
    lines.get(first..).unwrap_or_default().concat()
}

/// The records of such lines.
pub(super) fn records(lines: &[u8]) -> Vec<LogRecord> {
    let record = |record: KmsgRecord| LogRecord {
        seq: record.seq,
        ts_nsec: record.micros.saturating_mul(1000),
        level: record.level,
        facility: record.facility,
        caller: None,
        text: record.text,
        device: None,
    };
    kmsg(lines).map(record).collect()
}
