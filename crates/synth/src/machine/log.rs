//! The kernel's log: records in a ring (`struct printk_log` and `log_store()` of
//! `kernel/printk/printk.c`), and the lines a host prints.

use super::build::Build;
use super::variables::LOG_BUF_LEN;
use super::{BOND_MAC, Options};

/// `sizeof(struct printk_log)`, packed and aligned to 4.
const HEADER: u64 = 16;
/// `LOG_NEWLINE` and `LOG_PREFIX`.
const FLAGS: u8 = 2 | 4;
/// KERN_INFO.
const INFO: u8 = 6;

/// The ring while it is written.
struct Ring {
    bytes: Vec<u8>,
    first: u64,
    next: u64,
    first_seq: u64,
    next_seq: u64,
}

impl Ring {
    fn has_space(&self, size: u64) -> bool {
        let is_empty = self.first_seq == self.next_seq;
        let free = if self.next > self.first || is_empty {
            (LOG_BUF_LEN - self.next).max(self.first)
        } else {
            self.first - self.next
        };
        free >= size + HEADER
    }

    fn length(&self, at: u64) -> u64 {
        let at = at as usize + 8;
        u64::from(u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]]))
    }

    /// The record after that at `at`; one of no length says that the next is at 0.
    fn after(&self, at: u64) -> u64 {
        match self.length(at) {
            0 => self.length(0),
            length => at + length,
        }
    }

    fn store(&mut self, text: &str, dict: &str) {
        let size = (HEADER + (text.len() + dict.len()) as u64).next_multiple_of(4);
        while self.first_seq < self.next_seq && !self.has_space(size) {
            self.first = self.after(self.first);
            self.first_seq += 1;
        }
        if self.next + size + HEADER > LOG_BUF_LEN {
            self.bytes[self.next as usize..][..HEADER as usize].fill(0);
            self.next = 0;
        }
        let mut record = (self.next_seq * 1_310_000_000).to_le_bytes().to_vec();
        for length in [size as usize, text.len(), dict.len()] {
            record.extend((length as u16).to_le_bytes());
        }
        record.extend([0, INFO << 5 | FLAGS]);
        record.extend(text.as_bytes());
        record.extend(dict.as_bytes());
        record.resize(size as usize, 0);
        self.bytes[self.next as usize..][..record.len()].copy_from_slice(&record);
        self.next += size;
        self.next_seq += 1;
    }
}

impl Build {
    /// Writes the log.
    pub(super) fn write_log(&mut self, options: &Options) {
        let mut ring = Ring {
            bytes: vec![0; LOG_BUF_LEN as usize],
            first: 0,
            next: 0,
            first_seq: 0,
            next_seq: 0,
        };
        ring.store(&options.banner_text(), "");
        ring.store(
            "Command line: BOOT_IMAGE=/vmlinuz root=/dev/sda2 ro nokaslr",
            "",
        );
        // Some rounds of the ring, or a few lines.
        let lines = if options.banner { 40 } else { 900 };
        for line in 0..lines {
            ring.store(
                &format!("audit: type=1131 audit({line}.120:{line}): pid=1"),
                "",
            );
        }
        for (text, function) in driver_lines() {
            let dict = match function {
                Some(function) => {
                    format!("SUBSYSTEM=pci\0DEVICE=+pci:0000:01:00.{function}")
                }
                None => String::new(),
            };
            ring.store(&text, &dict);
        }
        let at = |name| self.variables.address(name);
        let [buffer, pointer, len] = ["__log_buf", "log_buf", "log_buf_len"].map(at);
        let [first, next] = ["log_first_idx", "log_next_idx"].map(at);
        let [first_seq, next_seq] = ["log_first_seq", "log_next_seq"].map(at);
        self.write(buffer, &ring.bytes);
        self.write_u64(pointer, buffer);
        self.write_u32(len, LOG_BUF_LEN as u32);
        self.write_u32(first, ring.first as u32);
        self.write_u32(next, ring.next as u32);
        self.write_u64(first_seq, ring.first_seq);
        self.write_u64(next_seq, ring.next_seq);
    }
}

/// What the driver and the bond say (`i40e_probe()` and `i40e_set_mac()` of
/// `i40e_main.c`, `bond_enslave()`), and the PCI function a line is about.
fn driver_lines() -> Vec<(String, Option<u32>)> {
    let bond = BOND_MAC.map(|byte| format!("{byte:02x}")).join(":");
    let other = bond.replace(":38", ":3a");
    let mut lines = vec![(
        "i40e: Intel(R) Ethernet Connection XL710 Network Driver - version 2.1.14-k".to_owned(),
        None,
    )];
    for (function, own) in [(0, &bond), (1, &other)] {
        let device = format!("i40e 0000:01:00.{function}");
        let name = format!("em{}", function + 1);
        for text in [
            format!("{device}: fw 5.40.47690 api 1.5 nvm 5.40 0x80002e8c 18.0.14"),
            format!("{device}: MAC address: {own}"),
            format!("{device} {name}: renamed from eth{function}"),
            format!("{device} {name}: NIC Link is Up, 10 Gbps Full Duplex, Flow Control: None"),
        ] {
            lines.push((text, Some(function)));
        }
    }
    lines.extend([
        (
            format!("i40e 0000:01:00.0 em1: already using mac address {bond}"),
            Some(0),
        ),
        (
            "bond0: Enslaving em1 as a backup interface with an up link".to_owned(),
            None,
        ),
        (
            format!("i40e 0000:01:00.1 em2: set new mac address {bond}"),
            Some(1),
        ),
        (
            "bond0: Enslaving em2 as a backup interface with an up link".to_owned(),
            None,
        ),
    ]);
    lines
}
