use pagehound_vmcore::{Mac, VirtAddr};
use proptest::prelude::*;

use super::*;
use crate::testing::log;

const BOND: Mac = Mac([0x24, 0x6e, 0x96, 0x43, 0x3e, 0x38]);
const SECOND: Mac = Mac([0x24, 0x6e, 0x96, 0x43, 0x3e, 0x3a]);

fn device(name: &str) -> NetDevice {
    NetDevice {
        addr: VirtAddr(0),
        namespace: VirtAddr(1),
        namespace_inum: None,
        node: None,
        name: name.to_owned(),
        ifindex: 1,
        dev_addr: None,
        perm_addr: None,
        upper: None,
        uppers: Vec::new(),
        lower: Vec::new(),
        kind: None,
        driver: None,
        module: None,
        bus: None,
        bus_address: None,
        pci_address: None,
        up: true,
        flags: 0x1003,
        mtu: 1500,
        stats: None,
    }
}

fn on_pci(name: &str, address: &str, driver: &str) -> NetDevice {
    NetDevice {
        driver: Some(driver.to_owned()),
        module: Some(driver.to_owned()),
        bus: Some("pci".to_owned()),
        bus_address: Some(address.to_owned()),
        pci_address: Some(address.to_owned()),
        ..device(name)
    }
}

/// Name, driver, bus address, upper device.
type Told = (String, Option<String>, Option<String>, Option<String>);

fn told(attribution: &Attribution, mac: Mac) -> Vec<Told> {
    let owners = attribution.owners(mac).into_iter();
    owners.map(|o| (o.name, o.driver, o.bus, o.upper)).collect()
}

fn owner(name: &str, driver: &str, bus: &str, upper: Option<&str>) -> Told {
    let some = |text: &str| Some(text.to_owned());
    (
        name.to_owned(),
        some(driver),
        some(bus),
        upper.map(str::to_owned),
    )
}

#[test]
fn the_log_of_the_reference_case_names_the_driver() {
    let attribution = Attribution::new(
        &[],
        &log(&[
            "i40e 0000:01:00.0: fw 6.80.48603 api 1.7 nvm 6.00 0x800034ea 18.3.6",
            "i40e 0000:01:00.0: MAC address: 24:6e:96:43:3e:38",
            "i40e 0000:01:00.0: Added LAN device PF0 bus=0x01 dev=0x00 func=0x00",
            "i40e 0000:01:00.1: MAC address: 24:6e:96:43:3e:3a",
            "i40e 0000:01:00.0 em1: renamed from eth0",
            "i40e 0000:01:00.1 em2: renamed from eth1",
            "bond0: Enslaving em1 as an active interface with an up link",
            "i40e 0000:01:00.0 em1: already using mac address 24:6e:96:43:3e:38",
            "i40e 0000:01:00.1 em2: set new mac address 24:6e:96:43:3e:38",
            "bond0: Enslaving em2 as an active interface with an up link",
        ]),
    );
    assert_eq!(
        told(&attribution, BOND),
        [
            owner("em1", "i40e", "0000:01:00.0", Some("bond0")),
            owner("em2", "i40e", "0000:01:00.1", Some("bond0")),
        ]
    );
    assert_eq!(
        told(&attribution, SECOND),
        [owner("em2", "i40e", "0000:01:00.1", Some("bond0"))]
    );
    let evidence = attribution.evidence(BOND);
    assert_eq!(
        evidence[0],
        "log: i40e 0000:01:00.0: MAC address: 24:6e:96:43:3e:38"
    );
    assert_eq!(
        told(&attribution, Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56])),
        []
    );
    assert_eq!(attribution.addresses().collect::<Vec<_>>(), [BOND, SECOND]);
}

#[test]
fn slaves_take_the_address_of_the_first() {
    let mut lines = vec![
        "e1000 0000:00:03.0 em1: (PCI:33MHz:32-bit) 24:6e:96:43:3e:38",
        "e1000 0000:00:04.0 em2: (PCI:33MHz:32-bit) 24:6e:96:43:3e:3a",
        "bond0: (slave em1): Enslaving as a backup interface with a down link",
        "bond0: (slave em2): Enslaving as a backup interface with a down link",
    ];
    let em1 = owner("em1", "e1000", "0000:00:03.0", Some("bond0"));
    let em2 = owner("em2", "e1000", "0000:00:04.0", Some("bond0"));
    let attribution = Attribution::new(&[], &log(&lines));
    assert_eq!(told(&attribution, BOND), [em1, em2.clone()]);
    assert_eq!(told(&attribution, SECOND), [em2]);
    assert_eq!(
        attribution.evidence(BOND)[1],
        "log: em2 and em1 are slaves of bond0, whose slaves share one address"
    );
    lines.push("bond0: (slave em2): Releasing backup interface");
    let attribution = Attribution::new(&[], &log(&lines));
    assert_eq!(
        told(&attribution, BOND),
        [owner("em1", "e1000", "0000:00:03.0", Some("bond0"))]
    );
    assert_eq!(
        told(&attribution, SECOND),
        [owner("em2", "e1000", "0000:00:04.0", None)]
    );
}

#[test]
fn a_single_line_is_enough() {
    let line = "i40e 0000:01:00.0 em1: already using mac address 24:6e:96:43:3e:38";
    let attribution = Attribution::new(&[], &log(&[line]));
    assert_eq!(
        told(&attribution, BOND),
        [owner("em1", "i40e", "0000:01:00.0", None)]
    );
    assert_eq!(attribution.evidence(BOND), [format!("log: {line}")]);
}

#[test]
fn a_device_keeps_its_address_through_renames() {
    let attribution = Attribution::new(
        &[],
        &log(&[
            "e1000 0000:00:03.0 eth0: (PCI:33MHz:32-bit) 24:6e:96:43:3e:38",
            "e1000 0000:00:04.0 eth1: (PCI:33MHz:32-bit) 24:6e:96:43:3e:3a",
            "e1000 0000:00:03.0 rename2: renamed from eth0",
            "e1000 0000:00:04.0 eth0: renamed from eth1",
            "e1000 0000:00:03.0 eth1: renamed from rename2",
        ]),
    );
    assert_eq!(
        told(&attribution, BOND),
        [owner("eth1", "e1000", "0000:00:03.0", None)]
    );
    assert_eq!(
        told(&attribution, SECOND),
        [owner("eth0", "e1000", "0000:00:04.0", None)]
    );
}

#[test]
fn a_rename_that_is_not_in_the_log_is_seen_by_the_address_on_the_bus() {
    let attribution = Attribution::new(
        &[],
        &log(&[
            "igb 0000:07:00.0: eth0: (PCIe:5.0Gb/s:Width x4) 24:6e:96:43:3e:38",
            "igb 0000:07:00.0 em1: igb: em1 NIC Link is Up 1000 Mbps",
            "igb 0000:07:00.1: eth1: (PCIe:5.0Gb/s:Width x4) 24:6e:96:43:3e:3a",
            "systemd-udevd[221]: renamed network interface eth1 to em2",
        ]),
    );
    assert_eq!(
        told(&attribution, BOND),
        [owner("em1", "igb", "0000:07:00.0", None)]
    );
    assert_eq!(
        told(&attribution, SECOND),
        [owner("em2", "igb", "0000:07:00.1", None)]
    );
}

#[test]
fn two_ports_of_one_function_stay_two() {
    let attribution = Attribution::new(
        &[],
        &log(&[
            "mlx4_en 0000:05:00.0 eth0: addr 24:6e:96:43:3e:38",
            "mlx4_en 0000:05:00.0 eth1: addr 24:6e:96:43:3e:3a",
        ]),
    );
    assert_eq!(
        told(&attribution, BOND),
        [owner("eth0", "mlx4_en", "0000:05:00.0", None)]
    );
    assert_eq!(
        told(&attribution, SECOND),
        [owner("eth1", "mlx4_en", "0000:05:00.0", None)]
    );
}

#[test]
fn both_sources_are_told_where_they_agree() {
    let devices = [
        NetDevice {
            dev_addr: Some(BOND),
            kind: Some("bond".to_owned()),
            lower: vec!["em1".to_owned(), "em2".to_owned()],
            ..device("bond0")
        },
        NetDevice {
            dev_addr: Some(BOND),
            perm_addr: Some(SECOND),
            upper: Some("bond0".to_owned()),
            ..on_pci("em2", "0000:01:00.1", "i40e")
        },
        NetDevice {
            dev_addr: Some(BOND),
            perm_addr: Some(BOND),
            upper: Some("bond0".to_owned()),
            ..on_pci("em1", "0000:01:00.0", "i40e")
        },
    ];
    let line = "i40e 0000:01:00.0 em1: already using mac address 24:6e:96:43:3e:38";
    let attribution = Attribution::new(&devices, &log(&[line]));
    assert_eq!(
        told(&attribution, BOND),
        [
            owner("em2", "i40e", "0000:01:00.1", Some("bond0")),
            owner("em1", "i40e", "0000:01:00.0", Some("bond0")),
        ]
    );
    assert_eq!(
        attribution.evidence(BOND),
        [
            "net_device em2 has this address".to_owned(),
            "net_device em1 has this address".to_owned(),
            format!("log: {line}"),
        ]
    );
    assert_eq!(
        attribution.evidence(SECOND),
        ["net_device em2 has this as its permanent address"]
    );
    assert_eq!(
        told(&attribution, SECOND),
        [owner("em2", "i40e", "0000:01:00.1", Some("bond0"))]
    );
}

#[test]
fn a_virtual_device_stands_for_those_below_it_and_else_for_itself() {
    let vlan = Mac([0x52, 0x54, 0, 1, 2, 3]);
    let alone = Mac([0x52, 0x54, 0, 4, 5, 6]);
    let devices = [
        NetDevice {
            dev_addr: Some(vlan),
            kind: Some("macvlan".to_owned()),
            lower: vec!["bond0".to_owned()],
            ..device("mv0")
        },
        NetDevice {
            dev_addr: Some(BOND),
            kind: Some("bond".to_owned()),
            // A loop no kernel makes must not hang anybody.
            lower: vec!["em1".to_owned(), "mv0".to_owned()],
            ..device("bond0")
        },
        NetDevice {
            dev_addr: Some(BOND),
            upper: Some("bond0".to_owned()),
            ..on_pci("em1", "0000:01:00.0", "i40e")
        },
        NetDevice {
            dev_addr: Some(alone),
            module: Some("tun".to_owned()),
            ..device("tap0")
        },
    ];
    let attribution = Attribution::new(&devices, &Log::default());
    assert_eq!(
        told(&attribution, vlan),
        [owner("em1", "i40e", "0000:01:00.0", Some("bond0"))]
    );
    assert_eq!(
        attribution.evidence(vlan),
        ["em1 lies below mv0, which has this address"]
    );
    assert_eq!(
        told(&attribution, alone),
        [("tap0".to_owned(), None, None, None)]
    );
}

#[test]
fn the_devices_of_the_machine_are_those_with_hardware_and_those_above_them() {
    let devices = [
        NetDevice {
            dev_addr: Some(BOND),
            kind: Some("bond".to_owned()),
            lower: vec!["em1".to_owned()],
            ..device("bond0")
        },
        NetDevice {
            dev_addr: Some(BOND),
            perm_addr: Some(SECOND),
            upper: Some("bond0".to_owned()),
            ..on_pci("em1", "0000:01:00.0", "i40e")
        },
        device("veth7"),
    ];
    // The driver tells its firmware before the interface has a name.
    let lines = [
        "i40e 0000:01:00.0: fw 6.0.48442 api 1.7 nvm 6.01 0x800035cf 1.1747.0",
        "pci 0000:00:01.0: PIIX3: Enabling Passive Release",
    ];
    let attribution = Attribution::new(&devices, &log(&lines));
    let bond = model::NetDevice {
        name: "bond0".into(),
        mac: Some(BOND.to_string()),
        kind: Some("bond".into()),
        ..model::NetDevice::default()
    };
    let em1 = model::NetDevice {
        name: "em1".into(),
        mac: Some(BOND.to_string()),
        driver: Some("i40e".into()),
        module: Some("i40e".into()),
        bus: Some("0000:01:00.0".into()),
        firmware: Some("6.0.48442".into()),
        upper: Some("bond0".into()),
        kind: None,
    };
    assert_eq!(attribution.netdevs(), [bond, em1]);
}

#[test]
fn programs_cannot_claim_an_address() {
    let mut log = log(&["i40e 0000:01:00.0 em1: already using mac address 24:6e:96:43:3e:38"]);
    log.records[0].facility = 1;
    assert_eq!(told(&Attribution::new(&[], &log), BOND), []);
}

#[cfg(feature = "corpus")]
#[test]
fn the_address_of_the_leak_is_that_of_two_devices_under_a_bond() {
    // The corpus' README: bond0 over em1 and em2, MAC 24:6e:96:43:3e:38, and
    // the e1000 driver.
    for file in [
        "bond-leak-6.1-x86_64.kdump",
        "bond-leak-6.1-x86_64-d31-lzo.kdump",
    ] {
        let dump = pagehound_vmcore::open(&pagehound_testdata::corpus(file)).unwrap();
        for without_btf in [false, true] {
            let kernel = Kernel::open(
                &dump,
                pagehound_kernel::Options {
                    without_btf,
                    ..pagehound_kernel::Options::default()
                },
            )
            .unwrap();
            let attribution = Attribution::of(&kernel, &kernel.log().unwrap());
            let owners = told(&attribution, BOND);
            assert_eq!(
                owners,
                [
                    owner("em1", "e1000", "0000:00:03.0", Some("bond0")),
                    owner("em2", "e1000", "0000:00:04.0", Some("bond0")),
                ],
                "{file} without_btf {without_btf}"
            );
            let evidence = attribution.evidence(BOND);
            let logged = evidence.iter().any(|text| {
                text == "log: e1000 0000:00:03.0 eth0: (PCI:33MHz:32-bit) 24:6e:96:43:3e:38"
            });
            assert!(logged, "{file}: {evidence:?}");
            let in_memory = evidence.contains(&"net_device em1 has this address".to_owned());
            assert_eq!(in_memory, !without_btf, "{file}: {evidence:?}");
            assert_eq!(attribution.warnings.is_empty(), !without_btf);
        }
    }
}

/// Lines of the words that mean something, in any order.
fn jumbled_line() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "i40e",
        "0000:01:00.0",
        "0000:01:00.0:",
        "virtio0",
        "em1",
        "em1:",
        "eth0",
        "eth0:",
        "bond0:",
        "(slave",
        "em1):",
        "em2):",
        "Enslaving",
        "Releasing",
        "renamed",
        "from",
        "port",
        "1(em1)",
        "entered",
        "forwarding",
        "state",
        "Port",
        "device",
        "added",
        "systemd-udevd[1]:",
        "network",
        "interface",
        "to",
        "(unregistering):",
        "24:6e:96:43:3e:38",
        "24:6e:96:43:3e:3a",
        ":",
        "",
        "(",
    ]);
    prop::collection::vec(words, 0..9).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn no_log_is_too_strange(lines in prop::collection::vec(jumbled_line(), 0..40)) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let attribution = Attribution::new(&[], &log(&lines));
        for mac in attribution.addresses() {
            // An address that is known has an owner, and a reason to name it.
            prop_assert!(!attribution.owners(mac).is_empty());
            prop_assert!(!attribution.evidence(mac).is_empty());
        }
    }

    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,80}") {
        let attribution = Attribution::new(&[], &log(&[&text]));
        prop_assert!(attribution.addresses().count() <= 4);
    }
}

#[test]
fn an_address_of_a_virtual_machine_leads_to_the_uplink_of_its_bridge() {
    let guest = Mac([0x52, 0x54, 0x00, 0x11, 0x22, 0x33]);
    let tap = Mac([0xfe, 0x54, 0x00, 0x11, 0x22, 0x33]);
    let under = |device: NetDevice| NetDevice {
        upper: Some("br0".to_owned()),
        uppers: vec!["br0".to_owned()],
        ..device
    };
    let vnet = under(NetDevice {
        dev_addr: Some(tap),
        ..device("vnet0")
    });
    let bridge = NetDevice {
        lower: vec!["em1".to_owned(), "vnet0".to_owned()],
        ..device("br0")
    };
    let uplink = under(on_pci("em1", "0000:01:00.0", "i40e"));
    let attribution = Attribution::new(&[uplink, vnet.clone(), bridge], &log(&[]));
    assert_eq!(
        told(&attribution, guest),
        [owner("em1", "i40e", "0000:01:00.0", Some("br0"))]
    );
    assert_eq!(
        attribution.evidence(guest),
        ["a virtual machine has this address: vnet0 is its tap, under br0"]
    );
    // Another guest's address is nobody's; without an uplink the tap is named.
    let other = Mac([0x52, 0x54, 0x00, 0x11, 0x22, 0x34]);
    assert_eq!(told(&attribution, other), []);
    let alone = Attribution::new(&[vnet], &log(&[]));
    let names: Vec<String> = told(&alone, guest).into_iter().map(|told| told.0).collect();
    assert_eq!(names, ["vnet0"]);
}

/// Buffers that wait in such a device are named by nothing in memory.
#[test]
fn drivers_with_pools_in_hardware_are_known() {
    let with = |driver: &str| {
        let device = on_pci("eth0", "0002:01:00.1", driver);
        let attribution = Attribution::new(&[device], &Log::default());
        attribution.pool_in_hardware().map(str::to_owned)
    };
    assert_eq!(with("mvpp2"), Some("mvpp2".to_owned()));
    assert_eq!(with("i40e"), None);
}
