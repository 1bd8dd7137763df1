//! Reports for tests.

use pagehound_model::{Finding, Module, NetDevice, Report, Unaccounted, Verdict};

/// The numbers of the reference case: frames received by em1 and em2 (e1000) lost.
pub(crate) fn report() -> Report {
    let text = include_str!("../../../tests/fixtures/reference.json");
    serde_json::from_str(text).unwrap()
}

/// The same host without a leak.
pub(crate) fn healthy() -> Report {
    let mut report = report();
    report.verdict = Verdict::None;
    report.host.name = Some("db8".into());
    report.findings.clear();
    let held = report.unaccounted.held_pages;
    let lost = report.unaccounted.pages - held;
    report.unaccounted = Unaccounted {
        pages: held,
        bytes: held * 4096,
        held_pages: held,
        ..Unaccounted::default()
    };
    for row in &mut report.ledger {
        match row.class.as_str() {
            "raw" => row.pages -= lost,
            "free" => row.pages += lost,
            _ => {}
        }
        row.bytes = row.pages * 4096;
        row.counter = None;
    }
    report
}

pub(crate) fn device(name: &str, driver: &str, firmware: Option<&str>) -> NetDevice {
    NetDevice {
        name: name.to_owned(),
        driver: Some(driver.to_owned()),
        module: Some(driver.to_owned()),
        firmware: firmware.map(str::to_owned),
        ..NetDevice::default()
    }
}

pub(crate) fn module(name: &str, version: Option<&str>) -> Module {
    Module {
        name: name.to_owned(),
        version: version.map(str::to_owned),
        srcversion: None,
        build_id: None,
        taints: String::new(),
    }
}

/// The finding of frames, as if another driver had received them.
pub(crate) fn frames_of(driver: &str) -> Finding {
    let mut finding = report().findings.swap_remove(0);
    for owner in &mut finding.owners {
        owner.driver = Some(driver.to_owned());
        owner.module = Some(driver.to_owned());
    }
    finding.allocators.clear();
    finding
}
