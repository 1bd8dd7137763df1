//! `/sys/class/net`: the network devices and their drivers.

use crate::tree::{Tree, Unread, link_name, read_line};

/// Where they are.
const FOLDER: &str = "sys/class/net";

/// A network device, as far as `/sys` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetDevice {
    /// Interface name.
    pub name: String,
    /// MAC address, `aa:bb:cc:dd:ee:ff`, if it has one.
    pub mac: Option<String>,
    /// Driver.
    pub driver: Option<String>,
    /// Kernel module of the driver; none where it is built in.
    pub module: Option<String>,
    /// Address on its bus, of the PCI function where it lies behind one.
    pub bus: Option<String>,
    /// Version of its firmware, which `/sys` does not tell.
    pub firmware: Option<String>,
    /// Upper device, such as a bond.
    pub upper: Option<String>,
    /// Kind of a virtual device, for example `bond`.
    pub kind: Option<String>,
}

/// The devices with hardware behind them or devices below them, by name. What of a
/// device cannot be read is left out.
///
/// # Errors
/// They cannot be listed.
pub fn read_netdevs(tree: &dyn Tree) -> Result<Vec<NetDevice>, Unread> {
    let names = tree.names(FOLDER)?;
    Ok(names.iter().filter_map(|name| device(tree, name)).collect())
}

fn device(tree: &dyn Tree, name: &str) -> Option<NetDevice> {
    let at = |path: &str| format!("{FOLDER}/{name}/{path}");
    let links = tree.names(&format!("{FOLDER}/{name}")).ok()?;
    let linked = |prefix: &str| {
        let mut links = links.iter().filter_map(|link| link.strip_prefix(prefix));
        links.next().map(str::to_owned)
    };
    let hardware = tree.resolve(&at("device"));
    let lower = linked("lower_");
    if hardware.is_none() && lower.is_none() {
        return None;
    }
    let kind = read_line(tree, &at("uevent")).and_then(|text| {
        let mut types = text
            .lines()
            .filter_map(|line| line.strip_prefix("DEVTYPE="));
        types.next().map(str::to_owned)
    });
    Some(NetDevice {
        name: name.to_owned(),
        mac: read_line(tree, &at("address")).filter(|mac| is_mac(mac)),
        driver: link_name(tree, &at("device/driver")),
        module: link_name(tree, &at("device/driver/module")),
        bus: hardware.as_deref().and_then(bus),
        firmware: None,
        upper: linked("upper_"),
        kind,
    })
}

/// Whether it is an address of Ethernet, and one at all.
pub(crate) fn is_mac(text: &str) -> bool {
    let mut pairs = text.split(':');
    let sound = pairs.all(|pair| pair.len() == 2 && pair.bytes().all(|it| it.is_ascii_hexdigit()));
    sound && text.len() == "aa:bb:cc:dd:ee:ff".len() && text != "00:00:00:00:00:00"
}

/// The PCI function that a device's folder lies in (a virtio device is one level
/// further down), else its own name.
fn bus(folder: &str) -> Option<String> {
    let mut names = folder.rsplit('/');
    let pci = names.clone().find(|name| is_pci(name));
    pci.or(names.next()).map(str::to_owned)
}

/// `0000:01:00.0`.
fn is_pci(name: &str) -> bool {
    let parts: Vec<&str> = name.split([':', '.']).collect();
    let widths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let digits = parts.concat();
    widths == [4, 2, 2, 1] && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Root;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn devices(root: &Path) -> Vec<NetDevice> {
        read_netdevs(&Root::open(root).unwrap()).unwrap()
    }

    /// A `/sys` with em1 (e1000, under bond0), eth0 (virtio), lo.
    fn sys() -> tempfile::TempDir {
        let sys = tempfile::tempdir().unwrap();
        let at = |path: &str| sys.path().join("sys").join(path);
        for folder in [
            "class/net",
            "module/e1000",
            "bus/pci/drivers/e1000",
            "bus/virtio/drivers/virtio_net",
            "devices/pci0000:00/0000:00:03.0/net/em1",
            "devices/pci0000:00/0000:00:04.0/virtio2/net/eth0",
            "devices/virtual/net/bond0",
            "devices/virtual/net/lo",
        ] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        let link = |target: &str, path: &str| symlink(target, at(path)).unwrap();
        let em1 = "devices/pci0000:00/0000:00:03.0/net/em1";
        let eth0 = "devices/pci0000:00/0000:00:04.0/virtio2/net/eth0";
        let bond0 = "devices/virtual/net/bond0";
        for (name, folder) in [
            ("em1", em1),
            ("eth0", eth0),
            ("bond0", bond0),
            ("lo", "devices/virtual/net/lo"),
        ] {
            link(&format!("../../{folder}"), &format!("class/net/{name}"));
        }
        link("../../../0000:00:03.0", &format!("{em1}/device"));
        link(
            "../../../bus/pci/drivers/e1000",
            "devices/pci0000:00/0000:00:03.0/driver",
        );
        link("../../../../module/e1000", "bus/pci/drivers/e1000/module");
        link("../../../virtio2", &format!("{eth0}/device"));
        link(
            "../../../../bus/virtio/drivers/virtio_net",
            "devices/pci0000:00/0000:00:04.0/virtio2/driver",
        );
        link(
            "../../../../virtual/net/bond0",
            &format!("{em1}/upper_bond0"),
        );
        link(
            "../../../pci0000:00/0000:00:03.0/net/em1",
            &format!("{bond0}/lower_em1"),
        );
        fs::write(at(&format!("{em1}/address")), "24:6e:96:43:3e:38\n").unwrap();
        fs::write(at("devices/virtual/net/lo/address"), "00:00:00:00:00:00\n").unwrap();
        fs::write(
            at(&format!("{bond0}/uevent")),
            "DEVTYPE=bond\nINTERFACE=bond0\n",
        )
        .unwrap();
        fs::write(at("class/net/bonding_masters"), "bond0\n").unwrap();
        sys
    }

    #[test]
    fn devices_are_told_with_driver_and_place() {
        let sys = sys();
        let devices = devices(sys.path());
        let text = |text: &str| Some(text.to_owned());
        let em1 = NetDevice {
            name: "em1".into(),
            mac: text("24:6e:96:43:3e:38"),
            driver: text("e1000"),
            module: text("e1000"),
            bus: text("0000:00:03.0"),
            firmware: None,
            upper: text("bond0"),
            kind: None,
        };
        let eth0 = NetDevice {
            name: "eth0".into(),
            driver: text("virtio_net"),
            bus: text("0000:00:04.0"),
            ..NetDevice::default()
        };
        let bond0 = NetDevice {
            name: "bond0".into(),
            kind: text("bond"),
            ..NetDevice::default()
        };
        assert_eq!(devices, [bond0, em1, eth0]);
        let empty = tempfile::tempdir().unwrap();
        let nothing = read_netdevs(&Root::open(empty.path()).unwrap());
        assert_eq!(nothing, Err(Unread::NotThere));
    }

    #[test]
    fn links_out_of_a_copy_are_not_followed() {
        let (copy, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let eth0 = copy.path().join("sys/class/net/eth0");
        fs::create_dir_all(&eth0).unwrap();
        fs::write(other.path().join("address"), "24:6e:96:43:3e:38\n").unwrap();
        symlink(other.path(), eth0.join("device")).unwrap();
        symlink(other.path().join("address"), eth0.join("address")).unwrap();
        assert_eq!(devices(copy.path()), []);
        // Nor is anything read for ever.
        fs::create_dir(eth0.join("lower_em1")).unwrap();
        symlink("/dev/zero", eth0.join("uevent")).unwrap();
        let devices = devices(copy.path());
        assert_eq!((devices.len(), devices[0].mac.as_deref()), (1, None));
    }

    #[test]
    fn addresses_are_told_from_other_text() {
        assert!(is_pci("0000:01:00.0") && is_pci("10de:ff:1f.7"));
        assert!(!is_pci("virtio2") && !is_pci("0000:01:00") && !is_pci("pci0000:00"));
        assert!(is_mac("24:6e:96:43:3e:38"));
        assert!(!is_mac("00:00:00:00:00:00") && !is_mac("24:6e") && !is_mac("x"));
    }
}
