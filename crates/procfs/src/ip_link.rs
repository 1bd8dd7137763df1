//! Network devices by what `ip -s -d link` and `ethtool -i` print, which archives of sos
//! have where they have little of `/sys/class/net`.

use crate::NetDevice;
use crate::netdevs::is_mac;

/// Most devices that are looked at.
const MAX_DEVICES: usize = 1 << 16;

/// The devices with hardware behind them or devices below them, by name. `link` is what
/// `ip -s -d link` printed, `ethtool` gives what `ethtool -i` printed of a device. Lines
/// that say nothing known are passed over.
pub fn ip_link(link: &str, ethtool: impl Fn(&str) -> Option<String>) -> Vec<NetDevice> {
    let mut devices: Vec<NetDevice> = Vec::new();
    for line in link.lines() {
        if line.starts_with(|first: char| first.is_ascii_digit()) {
            if devices.len() == MAX_DEVICES {
                break;
            }
            devices.extend(begin(line));
        } else if let Some(device) = devices.last_mut() {
            detail(device, line.trim());
        }
    }
    for device in &mut devices {
        let text = ethtool(&device.name).unwrap_or_default();
        let field = |name: &str| {
            let mut lines = text.lines();
            let value = lines.find_map(|line| line.strip_prefix(name))?.trim();
            (!matches!(value, "" | "N/A")).then(|| value.to_owned())
        };
        device.driver = field("driver:");
        device.firmware = field("firmware-version:");
        // Devices without hardware have a driver there, too.
        device.bus = field("bus-info:")
            .filter(|bus| bus.contains([':', '.']))
            .or(device.bus.take());
    }
    let uppers: Vec<String> = devices.iter().filter_map(|it| it.upper.clone()).collect();
    devices.retain(|device| device.bus.is_some() || uppers.contains(&device.name));
    devices.sort_by(|one, other| one.name.cmp(&other.name));
    devices
}

/// `2: em1@bond0: <BROADCAST,SLAVE,UP> mtu 1500 qdisc mq master bond0 state UP`.
fn begin(line: &str) -> Option<NetDevice> {
    let (_, rest) = line.split_once(": ")?;
    let (name, rest) = rest.split_once(": <")?;
    let name = name.split('@').next()?;
    let mut words = rest.split(' ').skip_while(|word| *word != "master");
    Some(NetDevice {
        name: name.to_owned(),
        upper: words.nth(1).map(str::to_owned),
        ..NetDevice::default()
    })
}

/// A line below that: the address, then what kind of device it is.
fn detail(device: &mut NetDevice, line: &str) {
    let mut words = line.split(' ');
    match words.next() {
        Some("link/ether") => {
            device.mac = words.next().filter(|mac| is_mac(mac)).map(str::to_owned);
        }
        Some(kind @ ("bond" | "bridge" | "team")) => device.kind = Some(kind.to_owned()),
        Some("vlan") if line.contains("protocol") => device.kind = Some("vlan".to_owned()),
        _ => {}
    }
    // Since iproute2 5.13.
    let mut words = line.split(' ').skip_while(|word| *word != "parentdev");
    if let Some(bus) = words.nth(1) {
        device.bus = Some(bus.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As iproute2 5.10 to 6.1 print it (`print_linkinfo` of `ip/ipaddress.c`).
    const LINK: &str = "\
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00 promiscuity 0 minmtu 0 maxmtu 0 addrgenmode eui64
    RX: bytes  packets  errors  dropped missed  mcast
    353515980  382184   0       0       0       0
2: em1: <BROADCAST,MULTICAST,SLAVE,UP,LOWER_UP> mtu 1500 qdisc mq master bond0 state UP mode DEFAULT group default qlen 1000
    link/ether 24:6e:96:43:3e:38 brd ff:ff:ff:ff:ff:ff promiscuity 0 minmtu 68 maxmtu 9702
    bond_slave state ACTIVE mii_status UP link_failure_count 0 perm_hwaddr 24:6e:96:43:3e:38 queue_id 0 addrgenmode none
3: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1400 qdisc pfifo_fast state UP mode DEFAULT group default qlen 1000
    link/ether 02:fc:00:00:00:01 brd ff:ff:ff:ff:ff:ff promiscuity 0 addrgenmode eui64 parentbus virtio parentdev virtio2
4: bond0: <BROADCAST,MULTICAST,MASTER,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP mode DEFAULT group default qlen 1000
    link/ether 24:6e:96:43:3e:38 brd ff:ff:ff:ff:ff:ff promiscuity 0 minmtu 68 maxmtu 65535
    bond mode active-backup active_slave em1 miimon 100 updelay 0
5: bond0.7@bond0: <BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state UP mode DEFAULT group default qlen 1000
    link/ether 24:6e:96:43:3e:38 brd ff:ff:ff:ff:ff:ff promiscuity 0
    vlan protocol 802.1Q id 7 <REORDER_HDR> addrgenmode eui64
";

    fn ethtool(name: &str) -> Option<String> {
        let text = match name {
            "em1" => {
                "driver: ixgbe\nversion: 6.1.0\nfirmware-version: 0x800009e0\nexpansion-rom-version:\nbus-info: 0000:01:00.0\n"
            }
            "eth0" => {
                "driver: virtio_net\nversion: 1.0.0\nfirmware-version:\nbus-info: 0000:00:03.0\n"
            }
            "bond0" => "driver: bonding\nversion: 6.1.0\nfirmware-version: 2\nbus-info:\n",
            _ => return None,
        };
        Some(text.to_owned())
    }

    #[test]
    fn devices_are_told_with_driver_firmware_and_place() {
        let text = |text: &str| Some(text.to_owned());
        let device = |name: &str, mac: &str, driver: &str| NetDevice {
            name: name.to_owned(),
            mac: text(mac),
            driver: text(driver),
            ..NetDevice::default()
        };
        let bond0 = NetDevice {
            kind: text("bond"),
            firmware: text("2"),
            ..device("bond0", "24:6e:96:43:3e:38", "bonding")
        };
        let em1 = NetDevice {
            bus: text("0000:01:00.0"),
            firmware: text("0x800009e0"),
            upper: text("bond0"),
            ..device("em1", "24:6e:96:43:3e:38", "ixgbe")
        };
        let eth0 = NetDevice {
            bus: text("0000:00:03.0"),
            ..device("eth0", "02:fc:00:00:00:01", "virtio_net")
        };
        assert_eq!(ip_link(LINK, ethtool), [bond0, em1, eth0]);
    }

    #[test]
    fn less_text_tells_less() {
        let devices = ip_link(LINK, |_| None);
        let names: Vec<_> = devices.iter().map(|device| device.name.as_str()).collect();
        assert_eq!(names, ["bond0", "eth0"]);
        assert_eq!(devices[1].bus.as_deref(), Some("virtio2"));
        assert_eq!(ip_link("", ethtool), []);
        assert_eq!(
            ip_link(
                "1\n: <\n2: : <\n link/ether\n7: x: <> master\nparentdev",
                ethtool
            ),
            []
        );
    }
}
