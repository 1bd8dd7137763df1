//! Rings and buffers written here by the rules of the kernel's own comments
//! (printk_ringbuffer.h; printk.c of 4.19), with members at places no kernel
//! has, so that only VMCOREINFO can tell them.

use super::*;
use crate::virt::VirtFault;

const BASE: u64 = 0xffff_8880_0001_0000;

/// Memory from `BASE` on.
struct Memory(Vec<u8>);

impl Memory {
    fn put(&mut self, at: u64, bytes: &[u8]) {
        let from = (at - BASE) as usize;
        self.0[from..from + bytes.len()].copy_from_slice(bytes);
    }
}

impl VirtualRead for Memory {
    fn read(&self, addr: VirtAddr, buf: &mut [u8]) -> Result<(), VirtFault> {
        let from = addr.0.wrapping_sub(BASE) as usize;
        let bytes = self.0.get(from..).and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(bytes.ok_or(VirtFault::NotMapped(addr))?);
        Ok(())
    }
}

mod ring {
    use super::*;

    const INFO: &str = "OSRELEASE=7.0\n\
        OFFSET(printk_ringbuffer.desc_ring)=8\nOFFSET(printk_ringbuffer.text_data_ring)=80\n\
        OFFSET(prb_desc_ring.count_bits)=4\nOFFSET(prb_desc_ring.descs)=8\n\
        OFFSET(prb_desc_ring.infos)=16\nOFFSET(prb_desc_ring.head_id)=24\n\
        OFFSET(prb_desc_ring.tail_id)=32\n\
        OFFSET(prb_data_ring.size_bits)=0\nOFFSET(prb_data_ring.data)=16\n\
        SIZE(prb_desc)=32\nOFFSET(prb_desc.state_var)=8\nOFFSET(prb_desc.text_blk_lpos)=16\n\
        OFFSET(prb_data_blk_lpos.begin)=0\nOFFSET(prb_data_blk_lpos.next)=8\n\
        SIZE(printk_info)=112\nOFFSET(printk_info.seq)=0\nOFFSET(printk_info.ts_nsec)=8\n\
        OFFSET(printk_info.text_len)=16\nOFFSET(printk_info.caller_id)=20\n\
        OFFSET(printk_info.dev_info)=44\n\
        OFFSET(dev_printk_info.subsystem)=0\nOFFSET(dev_printk_info.device)=16\n\
        LENGTH(printk_info_subsystem)=16\nLENGTH(printk_info_device)=48\n";
    const RING: u64 = BASE + 0x10;
    const DESCS: u64 = BASE + 0x100;
    const INFOS: u64 = BASE + 0x300;
    const DATA: u64 = BASE + 0x800;
    const COMMITTED: u64 = 1 << 62;
    const FINALIZED: u64 = 2 << 62;
    const REUSABLE: u64 = 3 << 62;

    /// 8 descriptors, 256 bytes of text.
    pub(super) fn ring(tail: u64, head: u64) -> Memory {
        let mut memory = Memory(vec![0; 0x900]);
        memory.put(BASE, &RING.to_le_bytes());
        memory.put(RING + 8 + 4, &3u32.to_le_bytes());
        memory.put(RING + 8 + 8, &DESCS.to_le_bytes());
        memory.put(RING + 8 + 16, &INFOS.to_le_bytes());
        memory.put(RING + 8 + 24, &head.to_le_bytes());
        memory.put(RING + 8 + 32, &tail.to_le_bytes());
        memory.put(RING + 80, &8u32.to_le_bytes());
        memory.put(RING + 80 + 16, &DATA.to_le_bytes());
        memory
    }

    /// A descriptor and its info: level 6, facility 3, caller CPU 5.
    fn desc(memory: &mut Memory, id: u64, state: u64, begin: u64, next: u64, text_len: u16) {
        let (desc, info) = (DESCS + id % 8 * 32, INFOS + id % 8 * 112);
        memory.put(desc + 8, &(id | state).to_le_bytes());
        memory.put(desc + 16, &begin.to_le_bytes());
        memory.put(desc + 24, &next.to_le_bytes());
        memory.put(info, &(id + 1000).to_le_bytes());
        memory.put(info + 8, &id.wrapping_mul(1_000_000).to_le_bytes());
        memory.put(info + 16, &text_len.to_le_bytes());
        memory.put(info + 18, &[3, 6 << 5 | 0x1a]);
        memory.put(info + 20, &(1u32 << 31 | 5).to_le_bytes());
    }

    /// A record with its text block at `begin`, which it wraps by itself.
    fn record(memory: &mut Memory, id: u64, begin: u64, text: &[u8]) -> u64 {
        let size = (8 + text.len() as u64).next_multiple_of(8);
        let fits = begin % 256 + size <= 256;
        let start = if fits {
            begin
        } else {
            begin.next_multiple_of(256)
        };
        desc(
            memory,
            id,
            FINALIZED,
            begin,
            start + size,
            text.len() as u16,
        );
        memory.put(DATA + start % 256, &id.to_le_bytes());
        memory.put(DATA + start % 256 + 8, text);
        start + size
    }

    pub(super) fn read(memory: &Memory) -> Result<Log, KernelError> {
        let vmcoreinfo = Vmcoreinfo::parse(INFO.as_bytes()).unwrap();
        let layouts = Layouts::resolve(&vmcoreinfo, None);
        let source = LogSource {
            memory,
            vmcoreinfo: &vmcoreinfo,
            layouts: &layouts,
            limit: 1 << 20,
        };
        super::super::ring::read(source, VirtAddr(BASE))
    }

    fn texts(log: &Log) -> Vec<&str> {
        let texts = log.records.iter().map(|record| record.text.as_slice());
        texts
            .map(|text| std::str::from_utf8(text).unwrap())
            .collect()
    }

    #[test]
    fn records_are_read_with_all_they_say() {
        let mut memory = ring(6, 7);
        let next = record(&mut memory, 6, 0, b"first");
        record(&mut memory, 7, next, b"second line\n  and more");
        memory.put(INFOS + 7 * 112 + 44, b"pci\0junk");
        memory.put(INFOS + 7 * 112 + 60, b"+pci:0000:01:00.0\0");
        let log = read(&memory).unwrap();
        assert_eq!((log.lost, &log.problem), (0, &None));
        assert_eq!(texts(&log), ["first", "second line\n  and more"]);
        assert_eq!(log.records[0].device, None);
        let second = &log.records[1];
        assert_eq!((second.seq, second.ts_nsec), (1007, 7_000_000));
        assert_eq!((second.level, second.facility), (6, 3));
        assert_eq!(second.caller, Some(Caller::Cpu(5)));
        let device = second.device.as_ref().unwrap();
        assert_eq!(device.subsystem, b"pci");
        assert_eq!(device.name(), Some(&b"0000:01:00.0"[..]));
        assert_eq!(
            second.lines().collect::<Vec<_>>(),
            ["[    0.007000] second line", "[    0.007000]   and more"]
        );
    }

    #[test]
    fn a_text_that_does_not_fit_before_the_end_lies_at_the_start() {
        let mut memory = ring(1, 3);
        let next = record(&mut memory, 1, 256 * 7 + 200, b"before the end");
        assert_eq!(next, 256 * 7 + 224);
        let next = record(&mut memory, 2, next, b"does not fit before the end");
        assert_eq!(next, 256 * 8 + 40);
        record(&mut memory, 3, next, b"after");
        let log = read(&memory).unwrap();
        assert_eq!(log.problem, None);
        assert_eq!(
            texts(&log),
            ["before the end", "does not fit before the end", "after"]
        );
    }

    #[test]
    fn a_text_may_end_with_the_ring() {
        let mut memory = ring(1, 1);
        let next = record(&mut memory, 1, 256 * 3 + 232, b"to the very end.");
        assert_eq!(next, 256 * 4);
        assert_eq!(texts(&read(&memory).unwrap()), ["to the very end."]);
    }

    #[test]
    fn ids_wrap_below_the_state_bits() {
        let last = (1 << 62) - 1;
        let mut memory = ring(last, 0);
        let next = record(&mut memory, last, 0, b"last");
        record(&mut memory, 0, next, b"first again");
        assert_eq!(texts(&read(&memory).unwrap()), ["last", "first again"]);
    }

    #[test]
    fn only_records_that_are_whole_count() {
        let mut memory = ring(1, 7);
        let mut next = 0;
        for id in 1..=7 {
            next = record(&mut memory, id, next, b"text");
        }
        desc(&mut memory, 1, COMMITTED, 0, 16, 4);
        desc(&mut memory, 2, 0, 16, 32, 4);
        desc(&mut memory, 3, REUSABLE, 32, 48, 4);
        // An empty line, and a text there was no room for.
        desc(&mut memory, 4, FINALIZED, 3, 3, 0);
        desc(&mut memory, 5, FINALIZED, 1, 1, 4);
        // Longer than its block: cut to it.
        desc(&mut memory, 6, FINALIZED, 80, 96, 4000);
        // The descriptor was reused for a later record.
        memory.put(DESCS + 7 * 32 + 8, &(FINALIZED | 15).to_le_bytes());
        let log = read(&memory).unwrap();
        assert_eq!(texts(&log), ["text", "", "text\0\0\0\0"]);
        assert_eq!(log.lost, 1);
        assert!(log.problem.unwrap().contains("0x5"));
    }

    #[test]
    fn a_text_that_was_overwritten_is_lost_and_said_to_be() {
        let mut memory = ring(1, 2);
        let next = record(&mut memory, 1, 0, b"old");
        record(&mut memory, 2, next, b"new");
        memory.put(DATA, &9u64.to_le_bytes());
        let log = read(&memory).unwrap();
        assert_eq!((texts(&log), log.lost), (vec!["new"], 1));
        assert_eq!(
            log.problem.as_deref(),
            Some("record with id 0x1: its text now belongs to id 0x9")
        );
    }

    #[test]
    fn impossible_sizes_end_with_a_reason() {
        for (at, value) in [
            (RING + 12, 27),
            (RING + 12, 20),
            (RING + 80, 32),
            (RING + 80, 21),
        ] {
            let mut memory = ring(1, 1);
            record(&mut memory, 1, 0, b"text");
            memory.put(at, &u32::to_le_bytes(value));
            let log = read(&memory).unwrap();
            assert_eq!(log.records.len(), 0);
            assert!(log.problem.unwrap().contains(&value.to_string()));
        }
    }

    #[test]
    fn a_tail_far_behind_gives_the_ring_before_the_head() {
        let mut memory = ring(100, 5);
        record(&mut memory, 5, 0, b"text");
        let log = read(&memory).unwrap();
        assert_eq!(texts(&log), ["text"]);
        assert!(log.problem.unwrap().contains("more than its 8 descriptors"));
    }

    #[test]
    fn descriptors_that_cannot_be_read_are_counted() {
        let mut memory = ring(1, 4);
        record(&mut memory, 4, 0, b"text");
        memory.put(RING + 8 + 8, &(BASE - 64).to_le_bytes());
        let log = read(&memory).unwrap();
        // The first two descriptors lie outside: of ids 1 to 4 that is 1.
        assert_eq!(log.lost, 1);
        assert!(log.problem.unwrap().contains("not mapped"));
    }

    #[test]
    fn a_kernel_that_does_not_tell_its_layout_is_an_error() {
        let memory = ring(1, 1);
        let vmcoreinfo = Vmcoreinfo::parse(b"OSRELEASE=6.1\n").unwrap();
        let layouts = Layouts::resolve(&vmcoreinfo, None);
        let source = LogSource {
            memory: &memory,
            vmcoreinfo: &vmcoreinfo,
            layouts: &layouts,
            limit: 1 << 20,
        };
        let error = super::super::ring::read(source, VirtAddr(BASE)).unwrap_err();
        assert!(error.to_string().contains("prb_desc"), "{error}");
    }

    #[test]
    fn junk_is_survived() {
        let mut seed = 1u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        };
        for _ in 0..2000 {
            let mut memory = ring(1, 6);
            let mut next = 0;
            for id in 1..=6 {
                next = record(&mut memory, id, next, b"some text");
            }
            for _ in 0..1 + random() % 8 {
                let at = BASE + random() % 0x8f8;
                let word = [
                    random(),
                    u64::MAX - random() % 16,
                    random() << 31,
                    random() % 512,
                ];
                memory.put(at, &word[random() as usize % 4].to_le_bytes());
            }
            if let Ok(log) = read(&memory) {
                let text: usize = log.records.iter().map(|record| record.text.len()).sum();
                assert!(log.records.len() <= 1 << 15 && text <= 1 << 20);
            }
        }
    }
}

mod records {
    use super::*;
    use crate::printk::records::{Variables, read};

    /// The header of 5.4 with CONFIG_PRINTK_CALLER, 20 bytes used of 24.
    const INFO: &str = "OSRELEASE=5.4\nSIZE(printk_log)=24\n\
        OFFSET(printk_log.ts_nsec)=0\nOFFSET(printk_log.len)=8\n\
        OFFSET(printk_log.text_len)=10\nOFFSET(printk_log.dict_len)=12\n\
        OFFSET(printk_log.caller_id)=16\n";
    /// The header of RHEL 7's 3.10.
    const OLD_INFO: &str = "OSRELEASE=3.10.0\nSIZE(log)=16\n\
        OFFSET(log.ts_nsec)=0\nOFFSET(log.len)=8\nOFFSET(log.text_len)=10\n\
        OFFSET(log.dict_len)=12\n";
    const BUFFER: u64 = BASE + 0x100;
    const LEN: u32 = 256;
    const NEWLINE: u8 = 2;
    const PREFIX: u8 = 4;
    const CONT: u8 = 8;

    fn buffer(first: u32, next: u32) -> Memory {
        let mut memory = Memory(vec![0; 0x100 + LEN as usize]);
        memory.put(BASE, &BUFFER.to_le_bytes());
        memory.put(BASE + 8, &LEN.to_le_bytes());
        memory.put(BASE + 12, &first.to_le_bytes());
        memory.put(BASE + 16, &next.to_le_bytes());
        memory.put(BASE + 24, &700u64.to_le_bytes());
        memory
    }

    /// Writes a record at `at` and returns where the next one goes.
    fn record(memory: &mut Memory, at: u32, header: u32, flags: u8, text: &str, dict: &str) -> u32 {
        let len = (header + (text.len() + dict.len()) as u32).next_multiple_of(8);
        let to = BUFFER + u64::from(at);
        memory.put(to, &2_500_000_000u64.to_le_bytes());
        memory.put(to + 8, &(len as u16).to_le_bytes());
        memory.put(to + 10, &(text.len() as u16).to_le_bytes());
        memory.put(to + 12, &(dict.len() as u16).to_le_bytes());
        memory.put(to + 14, &[1, flags | 4 << 5]);
        if header > 16 {
            memory.put(to + 16, &77u32.to_le_bytes());
        }
        memory.put(to + u64::from(header), text.as_bytes());
        memory.put(to + u64::from(header) + text.len() as u64, dict.as_bytes());
        at + len
    }

    fn log(memory: &Memory, info: &str) -> Log {
        let vmcoreinfo = Vmcoreinfo::parse(info.as_bytes()).unwrap();
        let layouts = Layouts::resolve(&vmcoreinfo, None);
        let source = LogSource {
            memory,
            vmcoreinfo: &vmcoreinfo,
            layouts: &layouts,
            limit: 1 << 20,
        };
        let variables = Variables {
            log_buf: VirtAddr(BASE),
            len: VirtAddr(BASE + 8),
            first: VirtAddr(BASE + 12),
            next: VirtAddr(BASE + 16),
            first_seq: Some(VirtAddr(BASE + 24)),
        };
        read(source, &variables).unwrap()
    }

    fn texts(log: &Log) -> Vec<String> {
        let texts = log.records.iter().map(|record| record.text.as_slice());
        texts.map(printable).collect()
    }

    #[test]
    fn records_are_read_with_all_they_say() {
        for (info, header, caller) in [(INFO, 24, Some(Caller::Thread(77))), (OLD_INFO, 16, None)] {
            let mut memory = buffer(0, 0);
            let dict = "SUBSYSTEM=pci\0DEVICE=+pci:0000:01:00.0";
            let at = record(&mut memory, 0, header, NEWLINE | PREFIX, "one", dict);
            let at = record(&mut memory, at, header, NEWLINE | PREFIX, "two", "");
            memory.put(BASE + 16, &at.to_le_bytes());
            let log = log(&memory, info);
            assert_eq!(
                (texts(&log), log.lost),
                (vec!["one".into(), "two".into()], 0)
            );
            assert_eq!(log.problem, None);
            let one = &log.records[0];
            assert_eq!((one.seq, one.ts_nsec), (700, 2_500_000_000));
            assert_eq!((one.level, one.facility, one.caller), (4, 1, caller));
            let device = one.device.as_ref().unwrap();
            assert_eq!(device.name(), Some(&b"0000:01:00.0"[..]));
            assert_eq!((log.records[1].seq, &log.records[1].device), (701, &None));
        }
    }

    #[test]
    fn a_record_of_length_zero_leads_to_the_start() {
        let mut memory = buffer(200, 0);
        assert_eq!(record(&mut memory, 200, 24, NEWLINE, "before", ""), 232);
        // 24 bytes are left: an empty header.
        let next = record(&mut memory, 0, 24, NEWLINE, "after", "");
        memory.put(BASE + 16, &next.to_le_bytes());
        assert_eq!(texts(&log(&memory, INFO)), ["before", "after"]);
    }

    #[test]
    fn pieces_of_a_line_become_one() {
        let mut memory = buffer(0, 0);
        let at = record(&mut memory, 0, 24, PREFIX | CONT, "ata1:", "");
        let at = record(&mut memory, at, 24, CONT, " SATA", "");
        let at = record(&mut memory, at, 24, CONT | NEWLINE, " link up", "");
        let at = record(&mut memory, at, 24, PREFIX | CONT, "cut off", "");
        let at = record(&mut memory, at, 24, PREFIX | NEWLINE, "other", "");
        memory.put(BASE + 16, &at.to_le_bytes());
        let log = log(&memory, INFO);
        assert_eq!(texts(&log), ["ata1: SATA link up", "cut off", "other"]);
        assert_eq!(log.records[2].seq, 704);
    }

    #[test]
    fn broken_lengths_end_the_log_with_a_reason() {
        for len in [8u16, 0xffff] {
            let mut memory = buffer(0, 200);
            let at = record(&mut memory, 0, 24, NEWLINE, "good", "");
            memory.put(BUFFER + u64::from(at) + 8, &len.to_le_bytes());
            let log = log(&memory, INFO);
            assert_eq!(texts(&log), ["good"]);
            assert_eq!(
                log.problem,
                Some(format!(
                    "record at offset {at:#x} of log_buf: its length is {len}"
                ))
            );
        }
        // Two empty records: round and round.
        let log = log(&buffer(8, 4), INFO);
        assert!(log.problem.is_some());
    }

    #[test]
    fn a_text_longer_than_its_record_is_cut() {
        let mut memory = buffer(0, 32);
        record(&mut memory, 0, 24, NEWLINE, "12345678", "");
        memory.put(BUFFER + 10, &[0xff; 4]);
        assert_eq!(texts(&log(&memory, INFO)), ["12345678"]);
    }

    #[test]
    fn a_buffer_larger_than_memory_is_not_believed() {
        let mut memory = buffer(0, 32);
        memory.put(BASE + 8, &u32::MAX.to_le_bytes());
        let log = log(&memory, INFO);
        assert!(log.problem.unwrap().contains("log_buf_len"));
    }

    #[test]
    fn junk_is_survived() {
        let mut seed = 7u64;
        let mut random = move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        };
        for _ in 0..2000 {
            let mut memory = buffer(0, 0);
            let mut at = 0;
            for _ in 0..5 {
                at = record(&mut memory, at, 24, PREFIX | NEWLINE, "some text", "");
            }
            memory.put(BASE + 16, &at.to_le_bytes());
            for _ in 0..1 + random() % 6 {
                let to = BASE + 8 + random() % (0xf0 + u64::from(LEN));
                memory.put(to, &(random() as u32).to_le_bytes());
            }
            let log = log(&memory, INFO);
            let text: usize = log.records.iter().map(|record| record.text.len()).sum();
            assert!(log.records.len() <= 32 && text <= 2 * LEN as usize);
        }
    }
}
