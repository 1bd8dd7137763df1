use super::*;

const MAC: Mac = Mac([0x24, 0x6e, 0x96, 0x43, 0x3e, 0x38]);

fn line(text: &str) -> Line<'_> {
    parse(text, None, &|_| false)
}

#[test]
fn lines_of_drivers() {
    // Each driver's own wording, from the format strings of its source.
    let lines = [
        (
            "i40e 0000:01:00.0 em1: already using mac address 24:6e:96:43:3e:38",
            "i40e",
            "0000:01:00.0",
            Some("em1"),
        ),
        (
            "i40e 0000:01:00.0 em1: set new mac address 24:6e:96:43:3e:38",
            "i40e",
            "0000:01:00.0",
            Some("em1"),
        ),
        (
            "i40e 0000:01:00.0 em1: returning to hw mac address 24:6e:96:43:3e:38",
            "i40e",
            "0000:01:00.0",
            Some("em1"),
        ),
        (
            "i40e 0000:01:00.0: MAC address: 24:6e:96:43:3e:38",
            "i40e",
            "0000:01:00.0",
            None,
        ),
        (
            "e1000 0000:00:04.0 eth0: (PCI:33MHz:32-bit) 24:6e:96:43:3e:38",
            "e1000",
            "0000:00:04.0",
            Some("eth0"),
        ),
        (
            "e1000e 0000:00:19.0 eth0: (PCI Express:2.5GT/s:Width x1) 24:6e:96:43:3e:38",
            "e1000e",
            "0000:00:19.0",
            Some("eth0"),
        ),
        (
            "igb 0000:07:00.0: eth0: (PCIe:5.0Gb/s:Width x4) 24:6e:96:43:3e:38",
            "igb",
            "0000:07:00.0",
            Some("eth0"),
        ),
        (
            "ixgbe 0000:04:00.0: 24:6e:96:43:3e:38",
            "ixgbe",
            "0000:04:00.0",
            None,
        ),
        (
            "tg3 0000:02:00.0 eth0: Tigon3 [partno(BCM95720) rev 5720000] (PCI Express) MAC address 24:6e:96:43:3e:38",
            "tg3",
            "0000:02:00.0",
            Some("eth0"),
        ),
        (
            "bnxt_en 0000:18:00.0 eth0: Broadcom BCM57414 found at mem 9d410000, node addr 24:6e:96:43:3e:38",
            "bnxt_en",
            "0000:18:00.0",
            Some("eth0"),
        ),
        (
            "r8169 0000:02:00.0 eth0: RTL8168g/8111g, 24:6e:96:43:3e:38, XID 4c0, IRQ 126",
            "r8169",
            "0000:02:00.0",
            Some("eth0"),
        ),
        (
            "cdc_ether 1-2:2.0 eth0: register 'cdc_ether' at usb-0000:00:14.0-2, CDC Ethernet Device, 24:6e:96:43:3e:38",
            "cdc_ether",
            "1-2:2.0",
            Some("eth0"),
        ),
        (
            "mvneta f1070000.ethernet eth0: Using device tree mac address 24:6e:96:43:3e:38",
            "mvneta",
            "f1070000.ethernet",
            Some("eth0"),
        ),
        (
            "virtio_net virtio3 eth2: Assigned random MAC address 24:6E:96:43:3E:38",
            "virtio_net",
            "virtio3",
            Some("eth2"),
        ),
        (
            "sky2 0000:03:00.0 eth1 (unregistering): addr 24:6e:96:43:3e:38",
            "sky2",
            "0000:03:00.0",
            Some("eth1"),
        ),
        (
            "atlantic 0000:05:00.0 (unnamed net_device) (uninitialized): addr 24:6e:96:43:3e:38",
            "atlantic",
            "0000:05:00.0",
            None,
        ),
        (
            "e1000e 0000:00:19.0 0000:00:19.0 (uninitialized): addr 24:6e:96:43:3e:38",
            "e1000e",
            "0000:00:19.0",
            None,
        ),
    ];
    for (text, driver, bus, name) in lines {
        let line = line(text);
        assert_eq!(line.device, Some((driver, bus)), "{text}");
        assert_eq!(line.name, name, "{text}");
        assert_eq!(line.macs, [MAC], "{text}");
    }
}

#[test]
fn addresses_of_others_are_not_the_devices() {
    for text in [
        "i40e 0000:01:00.0: Setting MAC 24:6e:96:43:3e:38 on VF 0",
        "i40e 0000:01:00.0 em1: error adding filter for 24:6e:96:43:3e:38",
        "ixgbe 0000:04:00.0 em1: 12 Spoofed packets detected from 24:6e:96:43:3e:38",
        "i40e 0000:01:00.0: addr 01:00:5e:00:00:01, ff:ff:ff:ff:ff:ff, 00:00:00:00:00:00",
        "i40e 0000:01:00.0: guid 24:6e:96:43:3e:38:00:01",
        "wlan0: authenticate with 24:6e:96:43:3e:38",
        "audit: key 24:6e:96:43:3e:38",
        "pci 0000:24:6e.9: BAR",
    ] {
        assert_eq!(line(text).macs, Vec::<Mac>::new(), "{text}");
    }
}

#[test]
fn the_device_noted_beside_a_line_needs_no_form() {
    let text = "hv_netvsc 000d3a1b-2c3d eth0: mac 24:6e:96:43:3e:38";
    assert_eq!(line(text).device, None);
    let line = parse(text, Some("000d3a1b-2c3d"), &|_| false);
    assert_eq!(line.device, Some(("hv_netvsc", "000d3a1b-2c3d")));
    assert_eq!(
        (line.name, line.macs.as_slice()),
        (Some("eth0"), &[MAC][..])
    );
}

#[test]
fn renames() {
    let renamed = line("e1000 0000:00:04.0 em1: renamed from eth0");
    assert_eq!(renamed.device, Some(("e1000", "0000:00:04.0")));
    assert_eq!(renamed.name, Some("em1"));
    assert_eq!(renamed.event, Some(Event::RenamedFrom("eth0")));
    let up = line("veth3: renamed from eth0 (while UP)");
    assert_eq!(
        (up.name, up.event),
        (Some("veth3"), Some(Event::RenamedFrom("eth0")))
    );
    let udev = line("systemd-udevd[221]: renamed network interface eth1 to em2");
    assert_eq!(
        (udev.name, udev.event),
        (Some("em2"), Some(Event::RenamedFrom("eth1")))
    );
}

#[test]
fn slaves_and_ports() {
    let joined = |text, upper, lower, kind, joined| {
        let event = Event::Slave {
            upper,
            lower,
            kind,
            joined,
        };
        assert_eq!(line(text).event, Some(event), "{text}");
    };
    joined(
        "bond0: (slave em1): Enslaving as a backup interface with a down link",
        "bond0",
        "em1",
        "bond",
        true,
    );
    joined(
        "bond0: (slave em1): link status definitely up, 1000 Mbps full duplex",
        "bond0",
        "em1",
        "bond",
        true,
    );
    joined(
        "bond0: (slave em1): Releasing backup interface",
        "bond0",
        "em1",
        "bond",
        false,
    );
    joined(
        "bond0: Enslaving em1 as an active interface with an up link",
        "bond0",
        "em1",
        "bond",
        true,
    );
    joined(
        "bonding: bond0: enslaving p1p1 as a backup interface with a down link.",
        "bond0",
        "p1p1",
        "bond",
        true,
    );
    joined(
        "bond0: Releasing active interface em1",
        "bond0",
        "em1",
        "bond",
        false,
    );
    joined("team0: Port device em1 added", "team0", "em1", "team", true);
    joined(
        "br0: port 1(em1) entered forwarding state",
        "br0",
        "em1",
        "bridge",
        true,
    );
    assert_eq!(line("br0: port 1(em1) entered disabled state").event, None);
    let held = line(
        "bond0: (slave em1): the permanent HWaddr of slave - 24:6e:96:43:3e:38 - is still in use by bond",
    );
    assert_eq!((held.name, held.macs.as_slice()), (Some("em1"), &[MAC][..]));
}

#[test]
fn other_lines_say_nothing() {
    for text in [
        "",
        " ",
        ":",
        "pci 0000:00:03.0: reg 0x10: [mem 0xfebc0000-0xfebdffff]",
        "e1000: em1 NIC Link is Up 1000 Mbps Full Duplex, Flow Control: RX",
        "PCI: Using configuration type 1 for base access",
        "x (slave ",
        "b: (slave ",
        "b: port (",
        "24:6e:96:43:3e:38",
    ] {
        let line = line(text);
        assert_eq!((line.macs.len(), line.event), (0, None), "{text}");
    }
}

#[test]
fn firmware_is_what_looks_like_a_version() {
    for (text, version) in [
        // i40e_main.c, i40e_probe().
        (
            "i40e 0000:01:00.0: fw 6.0.48442 api 1.7 nvm 6.01 0x800035cf 1.1747.0",
            Some("6.0.48442"),
        ),
        // ice_main.c, ice_probe().
        (
            "ice 0000:17:00.0: firmware 1.5.2 api 1.7.5 nvm 2.40 build 0x70000000",
            Some("1.5.2"),
        ),
        // mlx5/core/main.c, mlx5_init_one().
        (
            "mlx5_core 0000:03:00.0: firmware version: 16.35.3006",
            Some("16.35.3006"),
        ),
        // be_main.c, be_setup().
        (
            "be2net 0000:04:00.0: FW version is 10.2.405.0",
            Some("10.2.405.0"),
        ),
        ("i40e 0000:01:00.0: fw is busy", None),
        ("ice 0000:17:00.0: firmware", None),
        ("i40e 0000:01:00.0 em1: NIC Link is Up, 10 Gbps", None),
        ("fw 6.0.48442", None),
    ] {
        assert_eq!(line(text).firmware, version, "{text}");
    }
}
