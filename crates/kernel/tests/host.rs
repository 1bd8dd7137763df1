//! Log, net devices, modules and identity of real dumps, held against what the
//! guests said of themselves just before the dump, and against crash 8.0.2.

#![cfg(feature = "corpus")]
#![allow(clippy::unwrap_used, reason = "a failing helper fails its test")]

use pagehound_kernel::layouts::Field;
use pagehound_kernel::{Kernel, Log, NetDevice, Options, Symbolizer};
use pagehound_testdata::corpus;
use pagehound_vmcore::{Dump, Mac, VirtAddr, open};

const FIRST: Mac = Mac([0x24, 0x6e, 0x96, 0x43, 0x3e, 0x38]);
const SECOND: Mac = Mac([0x24, 0x6e, 0x96, 0x43, 0x3e, 0x3a]);

/// Name of the dump, driver of em1 and em2, where they are on their bus.
const DUMPS: [(&str, &str, [&str; 2]); 6] = [
    (
        "bond-leak-6.1-x86_64",
        "e1000",
        ["0000:00:03.0", "0000:00:04.0"],
    ),
    (
        "bond-leak-6.1-x86_64-d31-lzo",
        "e1000",
        ["0000:00:03.0", "0000:00:04.0"],
    ),
    (
        "healthy-6.1-x86_64",
        "e1000",
        ["0000:00:03.0", "0000:00:04.0"],
    ),
    ("mixed-5.10-x86_64", "virtio_net", ["virtio0", "virtio1"]),
    ("frames-7.2-x86_64", "virtio_net", ["virtio0", "virtio1"]),
    ("frames-6.1-arm64", "virtio_net", ["virtio0", "virtio1"]),
];

fn dump(name: &str) -> Dump {
    open(&corpus(&format!("{name}.kdump"))).unwrap()
}

fn kernel(dump: &Dump) -> Kernel<'_> {
    Kernel::open(dump, Options::default()).unwrap()
}

/// The lines of one section of the truth file.
fn truth(name: &str, section: &str) -> Vec<String> {
    let text = std::fs::read_to_string(corpus(&format!("{name}.truth.txt"))).unwrap();
    let head = format!("== {section}");
    let lines = text.lines().skip_while(|line| *line != head).skip(1);
    lines
        .take_while(|line| !line.starts_with("== "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_log_begins_with_the_kernel_that_wrote_it_and_has_no_gap() {
    for (name, ..) in DUMPS {
        let dump = dump(name);
        for without_btf in [false, true] {
            let kernel = Kernel::open(
                &dump,
                Options {
                    without_btf,
                    ..Options::default()
                },
            )
            .unwrap();
            let log = kernel.log().unwrap();
            assert_eq!((log.lost, &log.problem), (0, &None), "{name}");
            assert!(log.records.len() > 200, "{name}: {}", log.records.len());
            let seqs: Vec<u64> = log.records.iter().map(|record| record.seq).collect();
            let expected: Vec<u64> = (0..log.records.len() as u64).collect();
            assert_eq!(seqs, expected, "{name}");
            let version = truth(name, "version").remove(0);
            let cmdline = truth(name, "cmdline").remove(0);
            let has = |text: &str| log.records.iter().any(|r| r.text == text.as_bytes());
            assert!(has(&version), "{name}: {version}");
            let on_x86 = has(&format!("Command line: {cmdline}"));
            assert!(
                on_x86 || has(&format!("Kernel command line: {cmdline}")),
                "{name}"
            );
        }
    }
}

#[test]
fn records_name_the_device_they_are_about() {
    let dump = dump("bond-leak-6.1-x86_64");
    let log = kernel(&dump).log().unwrap();
    let text = b"e1000 0000:00:03.0 eth0: (PCI:33MHz:32-bit) 24:6e:96:43:3e:38";
    let record = log
        .records
        .iter()
        .find(|record| record.text == text)
        .unwrap();
    let device = record.device.as_ref().unwrap();
    assert_eq!(device.subsystem, b"pci");
    assert_eq!(device.name(), Some(&b"0000:00:03.0"[..]));
    // KERN_INFO, by the kernel.
    assert_eq!((record.level, record.facility), (6, 0));
}

/// FNV-1a, 64 bits.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// As crash prints it: later lines of a record are indented.
fn as_crash(log: &Log) -> String {
    let mut out = String::new();
    for record in &log.records {
        for (number, line) in record.lines().enumerate() {
            let (time, text) = line.split_once("] ").unwrap();
            match number {
                0 => out.push_str(&format!("{time}] {text}\n")),
                _ => out.push_str(&format!("{:15}{text}\n", "")),
            }
        }
    }
    out
}

#[test]
fn the_log_is_what_crash_prints() {
    // Lines and hash of the output of crash's command `log`, with the kernel's
    // debuginfo at hand.
    for (name, lines, hash) in [
        ("bond-leak-6.1-x86_64", 399, 0xf846_5c9c_6b1f_0214),
        ("bond-leak-6.1-x86_64-d31-lzo", 448, 0xc8d6_aeda_2b91_1bc7),
        ("healthy-6.1-x86_64", 404, 0x427e_17e6_8c97_c78a),
    ] {
        let dump = dump(name);
        let text = as_crash(&kernel(&dump).log().unwrap());
        assert_eq!((text.lines().count(), fnv(&text)), (lines, hash), "{name}");
    }
}

#[test]
fn modules_are_those_of_proc_modules() {
    for (name, ..) in DUMPS {
        let dump = dump(name);
        let kernel = kernel(&dump);
        let told: Vec<(String, u64, u64)> = kernel
            .modules()
            .unwrap()
            .into_iter()
            .map(|module| (module.name, module.size, module.base.0))
            .collect();
        // name size users by state address (taints)
        let expected: Vec<(String, u64, u64)> = truth(name, "modules")
            .iter()
            .map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                let address = words
                    .iter()
                    .find_map(|word| word.strip_prefix("0x"))
                    .unwrap();
                let address = u64::from_str_radix(address, 16).unwrap();
                (words[0].to_owned(), words[1].parse().unwrap(), address)
            })
            .collect();
        assert!(expected.len() >= 8, "{name}");
        assert_eq!(told, expected, "{name}");
    }
}

#[test]
fn taints_of_modules_are_those_of_proc_modules() {
    // O is bit 12 (out of tree), E bit 13 (unsigned).
    for (name, ..) in DUMPS {
        let dump = dump(name);
        for module in kernel(&dump).modules().unwrap() {
            let lines = truth(name, "modules");
            let start = format!("{} ", module.name);
            let line = lines.iter().find(|line| line.starts_with(&start)).unwrap();
            let shown = line.split_once('(').map_or("", |(_, taints)| taints);
            for (letter, bit) in [('O', 12), ('E', 13)] {
                let tainted = module.taints >> bit & 1 == 1;
                assert_eq!(tainted, shown.contains(letter), "{name}: {line}");
            }
        }
    }
}

fn named<'a>(devices: &'a [NetDevice], name: &str) -> &'a NetDevice {
    devices.iter().find(|device| device.name == name).unwrap()
}

#[test]
fn the_bond_and_what_is_below_it() {
    for (name, driver, buses) in DUMPS {
        let dump = dump(name);
        let devices = kernel(&dump).net_devices().unwrap();
        let names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
        assert_eq!((devices.len(), names[0]), (4, "lo"), "{name}: {names:?}");
        let bond = named(&devices, "bond0");
        assert_eq!(bond.kind.as_deref(), Some("bond"), "{name}");
        assert_eq!(bond.dev_addr, Some(FIRST), "{name}");
        assert_eq!(bond.lower, ["em1", "em2"], "{name}");
        assert_eq!((&bond.driver, &bond.bus_address), (&None, &None), "{name}");
        assert_eq!(bond.module.as_deref(), Some("bonding"), "{name}");
        for (slave, own, bus) in [("em1", FIRST, buses[0]), ("em2", SECOND, buses[1])] {
            let slave = named(&devices, slave);
            assert_eq!(slave.dev_addr, Some(FIRST), "{name}");
            assert_eq!(slave.perm_addr, Some(own), "{name}");
            assert_eq!(slave.upper.as_deref(), Some("bond0"), "{name}");
            assert_eq!(slave.driver.as_deref(), Some(driver), "{name}");
            assert_eq!(slave.module.as_deref(), Some(driver), "{name}");
            assert_eq!(slave.bus_address.as_deref(), Some(bus), "{name}");
            let pci = slave.bus.as_deref() == Some("pci");
            assert_eq!(pci, driver == "e1000", "{name}");
            // IFF_SLAVE, set by the bond.
            assert_eq!((slave.up, slave.flags & 0x800), (true, 0x800), "{name}");
        }
        let lo = named(&devices, "lo");
        assert_eq!(
            (lo.dev_addr, lo.mtu, lo.ifindex),
            (None, 65536, 1),
            "{name}"
        );
        // IFF_LOOPBACK.
        assert_eq!(lo.flags & 8, 8, "{name}");
    }
}

#[test]
fn net_devices_are_where_crash_has_them() {
    let dump = dump("bond-leak-6.1-x86_64");
    let devices = kernel(&dump).net_devices().unwrap();
    // The output of crash's command `net`.
    for (name, addr) in [
        ("lo", 0xff3b_5415_01aa_f000),
        ("bond0", 0xff3b_5415_0282_3000),
        ("em1", 0xff3b_5415_02b1_c000),
        ("em2", 0xff3b_5415_02b1_8000),
    ] {
        assert_eq!(named(&devices, name).addr, VirtAddr(addr));
    }
}

#[test]
fn the_host_says_who_it_is() {
    for (name, ..) in DUMPS {
        let dump = dump(name);
        let kernel = kernel(&dump);
        let uname = kernel.uname().unwrap();
        let version = truth(name, "version").remove(0);
        assert!(
            version.starts_with(&format!("Linux version {} ", uname.release)),
            "{name}"
        );
        assert!(version.ends_with(&uname.version), "{name}");
        assert_eq!(
            (uname.sysname.as_str(), uname.nodename.as_str()),
            ("Linux", "(none)")
        );
        assert_eq!(uname.machine, kernel.memory.space.machine.name());
    }
    // DATE and UPTIME of crash: 15:19:41 UTC, 23 seconds after boot.
    let dump = dump("bond-leak-6.1-x86_64");
    let host = kernel(&dump).host();
    assert_eq!(host.time, Some(1_795_360_781));
    assert_eq!(host.boot_time, Some(1_795_360_781 - 23));
}

#[test]
fn addresses_in_modules_have_names() {
    for (name, ..) in DUMPS {
        let dump = dump(name);
        let kernel = kernel(&dump);
        let symbolizer = kernel.symbolizer();
        let has_data = kernel.address("init_net").is_some();
        for module in symbolizer.modules() {
            let told = symbolizer.symbolize(module.addr).unwrap();
            let tail = format!(" [{}]", module.name);
            if has_data {
                assert!(told.starts_with("__this_module+0x0/0x"), "{name}: {told}");
                assert!(told.ends_with(&tail), "{name}: {told}");
            } else {
                assert_eq!(told, tail.trim(), "{name}");
            }
            assert_eq!(symbolizer.module(module.addr), Some(module));
        }
        image_has_names(&symbolizer, &kernel, name);
    }
}

fn image_has_names(symbolizer: &Symbolizer<'_>, kernel: &Kernel<'_>, name: &str) {
    let schedule = kernel.address("schedule").unwrap();
    let told = symbolizer.symbolize(schedule.add(5)).unwrap();
    assert!(told.starts_with("schedule+0x5/0x"), "{name}: {told}");
    let direct = VirtAddr(kernel.memory.space.direct.virt.start);
    assert_eq!(symbolizer.symbolize(direct.add(4096)), None, "{name}");
    assert_eq!(symbolizer.symbolize(VirtAddr(0)), None, "{name}");
    assert_eq!(symbolizer.symbolize(VirtAddr(u64::MAX)), None, "{name}");
}

#[test]
fn functions_of_a_module_have_the_names_crash_gives_them() {
    let dump = dump("bond-leak-6.1-x86_64");
    let kernel = kernel(&dump);
    let symbolizer = kernel.symbolizer();
    // Crash's command `sym ADDRESS`, offsets in decimal.
    for (addr, name, offset, module) in [
        (0xffff_ffff_c06c_9000, "e1000_clean_rx_irq", 640, "e1000"),
        (0xffff_ffff_c06c_8040, "e1000_setup_rctl", 16, "e1000"),
        (0xffff_ffff_c06c_a345, "e1000_set_rx_mode", 5, "e1000"),
        (0xffff_ffff_c069_0000, "bond_validate_arp", 368, "bonding"),
        (
            0xffff_ffff_c064_c345,
            "virtnet_alloc_queues",
            405,
            "virtio_net",
        ),
        (0xffff_ffff_c066_6345, "process_rx_list", 149, "tls"),
        (
            0xffff_ffff_c060_b000,
            "vring_del_virtqueue",
            0,
            "virtio_ring",
        ),
    ] {
        let told = symbolizer.symbolize(VirtAddr(addr)).unwrap();
        let (symbol, module) = (format!("{name}+{offset:#x}/"), format!(" [{module}]"));
        assert!(
            told.starts_with(&symbol) && told.ends_with(&module),
            "{told}"
        );
    }
    // Behind the last symbol: crash says num_TxDescriptors+26484, a variable of
    // a few bytes.
    let told = symbolizer.symbolize(VirtAddr(0xffff_ffff_c06e_fff8));
    assert_eq!(told.as_deref(), Some("[e1000]"));
}

#[test]
fn wrong_layouts_give_less_but_nothing_worse() {
    // Every member moved, as a hostile dump's BTF may have it.
    let dump = dump("healthy-6.1-x86_64");
    let mut kernel = kernel(&dump);
    let right = kernel.layouts.clone();
    for field in Field::ALL {
        for offset in [0, 8, 1 << 12, u64::MAX - 7] {
            kernel.layouts = right.clone().with_offset(*field, offset);
            let log = kernel.log().unwrap_or_default();
            assert!(log.records.len() <= 1 << 16);
            let devices = kernel.net_devices().unwrap_or_default();
            assert!(devices.len() <= 1 << 18);
            let _ = kernel.host();
            let symbolizer = kernel.symbolizer();
            for module in symbolizer.modules() {
                let _ = symbolizer.symbolize(module.base.add(64));
            }
        }
    }
}

#[test]
fn without_types_the_error_names_the_member() {
    let dump = dump("healthy-6.1-x86_64");
    let kernel = Kernel::open(
        &dump,
        Options {
            without_btf: true,
            ..Options::default()
        },
    )
    .unwrap();
    let error = kernel.net_devices().unwrap_err().to_string();
    assert_eq!(
        error,
        "neither VMCOREINFO nor the types of this kernel tell net.dev_base_head"
    );
    let error = kernel.modules().unwrap_err().to_string();
    assert_eq!(
        error,
        "neither VMCOREINFO nor the types of this kernel tell module.list"
    );
}
