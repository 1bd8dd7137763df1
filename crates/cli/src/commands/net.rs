//! `pagehound net`: the network devices.

use super::Context;
use crate::args;
use crate::exit::Exit;
use crate::output;
use crate::render::{self, page};
use pagehound_kernel::NetDevice;
use serde::Serialize;
use std::io;

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
    let dump = pagehound_vmcore::open(args.target.file()?)?;
    let kernel = context.kernel(&dump)?;
    let devices = kernel.net_devices()?.into_iter().map(device).collect();
    let devices = Devices {
        schema: "pagehound.net/1",
        target: args.target.to_string(),
        devices,
    };
    if args.json {
        output::plain(|out| render::json(&devices, out))?;
    } else {
        output::page(|page| table(&devices.devices, page))?;
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

fn table(devices: &[Device], page: &mut page::Page) -> io::Result<()> {
    let row = |cells: [&str; 7]| {
        let [name, state, mac, upper, driver, module, bus] = cells;
        format!("{name:<15}  {state:<4}  {mac:<17}  {upper:<15}  {driver:<12}  {module:<12}  {bus}")
    };
    page.line(
        page::LABEL,
        &row(["NAME", "", "MAC", "UPPER", "DRIVER", "MODULE", "BUS"]),
    )?;
    for device in devices {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let driver = device.driver.clone().or_else(|| device.kind.clone());
        let cells = [
            device.name.as_str(),
            if device.up { "up" } else { "down" },
            &or_dash(&device.mac),
            &or_dash(&device.upper),
            &or_dash(&driver),
            &or_dash(&device.module),
            &or_dash(&device.bus),
        ];
        page.line(page::PLAIN, &row(cells))?;
    }
    Ok(())
}
