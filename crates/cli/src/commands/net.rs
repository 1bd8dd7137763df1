//! `pagehound net`: the network devices.

use super::Context;
use crate::args;
use crate::exit::Exit;
use crate::output;
use crate::render::table::{self, Column, Kind, Row};
use crate::render::{self, page};
use pagehound_hunt::is_damaged;
use pagehound_kernel::NetDevice;
use serde::Serialize;
use std::io;

/// Columns a name keeps beside the others (of 15, IFNAMSIZ less its NUL).
const NAME: usize = 8;

/// What `net --json` prints.
#[derive(Serialize)]
struct Devices {
    schema: &'static str,
    target: String,
    devices: Vec<Device>,
}

#[derive(Serialize)]
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
    let dump = crate::input::dump_with_notes(&args.target, &args.others.parts, context.reading())?;
    let kernel = context.kernel(&dump)?;
    let devices: Vec<Device> = kernel.net_devices()?.into_iter().map(device).collect();
    if is_damaged(&dump) && devices.iter().all(|device| device.name == "lo") {
        output::note(&format!(
            "{}: the dump is damaged: there may be more devices in what is missing of it",
            args.target
        ));
    }
    let devices = Devices {
        schema: "pagehound.net/1",
        target: args.target.to_string(),
        devices,
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
