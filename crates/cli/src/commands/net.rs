//! `pagehound net`: the network devices.

use super::Context;
use crate::args;
use crate::exit::Exit;
use crate::input;
use crate::output;
use crate::redact;
use crate::render::table::{self, Column, Kind, Row};
use crate::render::{self, page};
use anyhow::anyhow;
use pagehound_hunt::is_damaged;
use pagehound_kernel::{Kernel, NetDevice};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io;

/// Columns a name keeps beside the others (of 15, IFNAMSIZ less its NUL).
const NAME: usize = 8;

/// The value of [`Devices::schema`].
pub(crate) const SCHEMA: &str = "pagehound.net/1";

/// What `net --json` prints.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Devices {
    pub(crate) schema: Cow<'static, str>,
    target: String,
    devices: Vec<Device>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Device {
    name: String,
    ifindex: u32,
    up: bool,
    mac: Option<String>,
    permanent_mac: Option<String>,
    upper: Option<String>,
    lower: Vec<String>,
    kind: Option<String>,
    driver: Option<String>,
    module: Option<String>,
    bus: Option<String>,
    mtu: u32,
    rx_packets: Option<u64>,
    tx_packets: Option<u64>,
}

pub(super) fn run(args: &args::Net, context: &Context) -> anyhow::Result<Exit> {
    let devices = match input::capture(&args.target, &args.others.parts)? {
        Some(capture) => {
            let lacks = || anyhow!("{}: {}", args.target, capture.lacks("network devices"));
            capture.net.as_ref().ok_or_else(lacks).cloned()?
        }
        None => {
            let parts = &args.others.parts;
            let dump = input::dump_with_notes(&args.target, parts, context.reading())?;
            let devices = devices(&args.target.to_string(), &context.kernel(&dump)?)?;
            if is_damaged(&dump) && devices.devices.iter().all(|device| device.name == "lo") {
                output::note(&format!(
                    "{}: the dump is damaged: there may be more devices in what is missing of it",
                    args.target
                ));
            }
            devices
        }
    };
    if devices.devices.is_empty() {
        output::note(&format!(
            "{}: the kernel has no network device, or what leads to them is not in the dump",
            args.target
        ));
    }
    if args.json {
        output::plain(|out| render::json(&devices, out))?;
    } else {
        output::page(|page| print(&devices.devices, page))?;
    }
    Ok(Exit::OK)
}

/// The network devices of a kernel, which is in the dump at `path`.
pub(crate) fn devices(path: &str, kernel: &Kernel<'_>) -> anyhow::Result<Devices> {
    Ok(Devices {
        schema: Cow::Borrowed(SCHEMA),
        target: path.to_owned(),
        devices: kernel.net_devices()?.into_iter().map(device).collect(),
    })
}

impl Devices {
    /// Takes out what tells of the site: path, and MAC addresses beyond the vendor's half.
    pub(crate) fn redact(&mut self) {
        "DUMP".clone_into(&mut self.target);
        for device in &mut self.devices {
            for mac in [&mut device.mac, &mut device.permanent_mac]
                .into_iter()
                .flatten()
            {
                *mac = redact::mac(mac);
            }
        }
    }
}

fn device(device: NetDevice) -> Device {
    Device {
        mac: device.dev_addr.map(|mac| mac.to_string()),
        permanent_mac: device.perm_addr.map(|mac| mac.to_string()),
        bus: device.pci_address.or(device.bus_address),
        rx_packets: device.stats.map(|stats| stats.rx_packets),
        tx_packets: device.stats.map(|stats| stats.tx_packets),
        name: device.name,
        ifindex: device.ifindex,
        up: device.up,
        upper: device.upper,
        lower: device.lower,
        kind: device.kind,
        driver: device.driver,
        module: device.module,
        mtu: device.mtu,
    }
}

fn print(devices: &[Device], page: &mut page::Page) -> io::Result<()> {
    let row = |device: &Device| {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let driver = device.driver.clone().or_else(|| device.kind.clone());
        Row {
            style: page::PLAIN,
            cells: vec![
                device.name.clone(),
                if device.up { "up" } else { "down" }.to_owned(),
                or_dash(&device.mac),
                or_dash(&device.upper),
                or_dash(&driver),
                or_dash(&device.module),
                or_dash(&device.bus),
            ],
        }
    };
    let rows: Vec<Row> = devices.iter().map(row).collect();
    let left = |heading| Column {
        heading,
        kind: Kind::Left { label: NAME },
    };
    let columns = [
        Column {
            heading: "NAME",
            kind: Kind::Label { least: 0 },
        },
        left(""),
        left("MAC"),
        left("UPPER"),
        left("DRIVER"),
        left("MODULE"),
        left("BUS"),
    ];
    table::print(&columns, &rows, page)
}
