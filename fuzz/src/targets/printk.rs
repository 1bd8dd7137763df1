//! The log, as ring and as records, and what its lines say of devices. An input is a
//! VMCOREINFO, a NUL, and the memory that it describes.

use pagehound_hunt::attribution::Attribution;
use pagehound_kernel::layouts::Layouts;
use pagehound_kernel::{Log, LogSource, Vmcoreinfo, printable};

use crate::input::Input;
use crate::memory::Virtual;

pub(crate) const BASE: u64 = 0xffff_8880_0001_0000;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let Ok(vmcoreinfo) = Vmcoreinfo::parse(input.text()) else {
        return;
    };
    let bytes = input.0;
    let source = LogSource {
        memory: &Virtual { base: BASE, bytes },
        vmcoreinfo: &vmcoreinfo,
        layouts: &Layouts::resolve(&vmcoreinfo, None),
        limit: bytes.len() as u64,
    };
    let Ok(log) = Log::read(source, &|_| None) else {
        return;
    };
    let texts: usize = log.records.iter().map(|record| record.text.len()).sum();
    assert!(texts <= bytes.len(), "{texts} bytes of text");
    for record in &log.records {
        for line in record.lines() {
            assert_eq!(printable(line.as_bytes()), line);
        }
        if let Some(device) = &record.device {
            let _ = device.name();
        }
    }
    let attribution = Attribution::new(&[], &log);
    for mac in attribution.addresses() {
        let _ = attribution.owners(mac);
        for told in attribution.evidence(mac) {
            assert_eq!(printable(told.as_bytes()), told);
        }
    }
    let _ = (attribution.netdevs(), attribution.pool_in_hardware());
}
