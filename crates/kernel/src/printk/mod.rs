//! The kernel's log as it lies in memory: the printk ring buffer (5.10 and
//! later, 896fbe20b4e2) or the buffer of variable-length records before it
//! (3.5, 7ff9554bb578). Both are described by VMCOREINFO; no BTF is needed.

mod records;
mod ring;

#[cfg(test)]
mod tests;

use pagehound_vmcore::VirtAddr;

use crate::kernel::{Kernel, KernelError};
use crate::layouts::{Layouts, Place};
use crate::text::printable;
use crate::virt::VirtualRead;
use crate::vmcoreinfo::Vmcoreinfo;

/// Who called printk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caller {
    /// A thread, by its id.
    Thread(u32),
    /// A CPU in interrupt context.
    Cpu(u32),
}

/// The device a record is about, as `dev_printk()` noted it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LogDevice {
    /// Subsystem, for example `pci`; bytes of the dump.
    pub subsystem: Vec<u8>,
    /// `+subsystem:name`, `n` and an interface index, or `b` or `c` and a
    /// device number; bytes of the dump.
    pub device: Vec<u8>,
}

impl LogDevice {
    /// The device's name, where it is given by name: `0000:01:00.0` of
    /// `+pci:0000:01:00.0`.
    pub fn name(&self) -> Option<&[u8]> {
        let rest = self.device.strip_prefix(b"+")?;
        rest.strip_prefix(self.subsystem.as_slice())?
            .strip_prefix(b":")
    }
}

/// One message of the kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogRecord {
    /// Number of the record since boot.
    pub seq: u64,
    /// Nanoseconds since boot, by the scheduler's clock.
    pub ts_nsec: u64,
    /// Severity, 0 (emergency) to 7 (debug).
    pub level: u8,
    /// Syslog facility, 0 for the kernel's own messages.
    pub facility: u8,
    /// Who called, where this kernel notes it.
    pub caller: Option<Caller>,
    /// The message, without a line feed at its end; bytes of the dump.
    pub text: Vec<u8>,
    /// The device it is about.
    pub device: Option<LogDevice>,
}

impl LogRecord {
    /// The message's lines as `dmesg` prints them, each with the time in
    /// brackets; safe to print.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let (seconds, micros) = (
            self.ts_nsec / 1_000_000_000,
            self.ts_nsec / 1000 % 1_000_000,
        );
        self.text
            .split(|&b| b == b'\n')
            .map(move |line| format!("[{seconds:5}.{micros:06}] {}", printable(line)))
    }
}

/// What could be read of the kernel's log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Log {
    /// The records, oldest first.
    pub records: Vec<LogRecord>,
    /// Records that were there but could not be read, or whose text was
    /// overwritten.
    pub lost: u64,
    /// Why the log is not whole, where it is not.
    pub problem: Option<String>,
}

impl Log {
    /// Reads the log out of `source`; `address` is asked for symbols that VMCOREINFO
    /// does not have.
    ///
    /// # Errors
    /// As [`Kernel::log`].
    pub fn read(
        source: LogSource<'_>,
        address: &dyn Fn(&'static str) -> Option<VirtAddr>,
    ) -> Result<Log, KernelError> {
        // VMCOREINFO is asked first: it is there where kallsyms is not.
        let symbol = |name| {
            let told = source.vmcoreinfo.symbol(name);
            told.or_else(|| address(name))
                .ok_or(KernelError::NoSymbol(name))
        };
        match symbol("prb") {
            Ok(prb) => ring::read(source, prb),
            Err(no_ring) => match symbol("log_buf") {
                Ok(log_buf) => {
                    let variables = records::Variables {
                        log_buf,
                        len: symbol("log_buf_len")?,
                        first: symbol("log_first_idx")?,
                        next: symbol("log_next_idx")?,
                        first_seq: address("log_first_seq"),
                    };
                    records::read(source, &variables)
                }
                Err(_) => Err(no_ring),
            },
        }
    }

    /// Notes a problem; the first is the one that is told.
    fn note(&mut self, problem: impl Into<String>) {
        self.problem.get_or_insert_with(|| problem.into());
    }
}

/// Where the log is read from.
#[derive(Clone, Copy)]
pub struct LogSource<'a> {
    /// Kernel memory.
    pub memory: &'a dyn VirtualRead,
    /// Names the buffer and its layout.
    pub vmcoreinfo: &'a Vmcoreinfo,
    /// Places of members, VMCOREINFO's among them.
    pub layouts: &'a Layouts,
    /// Bytes of memory that there are: no buffer is larger.
    pub limit: u64,
}

impl Kernel<'_> {
    /// The kernel's log, oldest record first.
    ///
    /// # Errors
    /// If VMCOREINFO and symbols name no log buffer, or its layout is unknown.
    /// A log that is damaged is no error: what could be read is returned with
    /// the reason why it is not all.
    pub fn log(&self) -> Result<Log, KernelError> {
        let present = self.dump.memory.coverage().present;
        let source = LogSource {
            memory: &self.memory,
            vmcoreinfo: &self.vmcoreinfo,
            layouts: &self.layouts,
            limit: present.saturating_mul(self.page_size()),
        };
        Log::read(source, &|name| self.address(name))
    }
}

/// An unsigned little-endian member of a structure that was read whole.
fn uint(bytes: &[u8], offset: u64, size: usize) -> Option<u64> {
    let from = usize::try_from(offset).ok()?;
    let member = bytes.get(from..)?.get(..size.min(8))?;
    let mut wide = [0; 8];
    wide.get_mut(..member.len())?.copy_from_slice(member);
    Some(u64::from_le_bytes(wide))
}

/// The same, of the member's own size.
fn member(bytes: &[u8], place: Place) -> Option<u64> {
    uint(bytes, place.offset, place.size as usize)
}

/// facility and flags:5/level:3 are the two bytes after the last length, in
/// `printk_info` as in `printk_log`; neither is exported.
fn facility_and_level(bytes: &[u8], lengths_end: u64) -> Option<(u8, u8, u8)> {
    let word = uint(bytes, lengths_end, 2)?;
    let (facility, flags) = (word as u8, (word >> 8) as u8);
    Some((facility, flags >> 5, flags & 0x1f))
}

/// `caller_id` of kernel/printk/printk.c: bit 31 marks a CPU number.
fn caller(id: u32) -> Caller {
    match id >> 31 {
        0 => Caller::Thread(id),
        _ => Caller::Cpu(id & !(1 << 31)),
    }
}

/// A structure as bytes, or why not.
fn structure(source: LogSource<'_>, at: VirtAddr, size: u64) -> Result<Vec<u8>, String> {
    // Larger than any structure of printk; a page holds dozens of them.
    const MOST: u64 = 4096;
    if size == 0 || size > MOST {
        return Err(format!("a structure of {size} bytes"));
    }
    let mut bytes = vec![0; size as usize];
    source
        .memory
        .read(at, &mut bytes)
        .map_err(|fault| fault.to_string())?;
    Ok(bytes)
}
