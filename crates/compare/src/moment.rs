//! What tells that two reports are of the same moment of the same machine.

use crate::diff::is_generic;
use pagehound_model::Report;

/// What a report says that no other moment and no other machine says as well: sums of
/// pages to the page, at one second. Redaction leaves all of it as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    captured_at: Option<String>,
    kernel: String,
    build: Option<String>,
    pages: u64,
    mem_total_bytes: u64,
    /// Class, its pages, and the kernel's own count of them.
    ledger: Vec<(String, u64, Option<u64>)>,
    /// Name and driver.
    devices: Vec<(String, Option<String>)>,
}

impl Moment {
    pub(crate) fn of(report: &Report) -> Self {
        let target = &report.target;
        let ledger = report.ledger.iter().map(|row| {
            let counter = row.counter.as_ref().map(|counter| counter.pages);
            (row.class.clone(), row.pages, counter)
        });
        let devices = report.netdevs.iter();
        Moment {
            captured_at: report.host.captured_at.clone(),
            kernel: target.kernel.clone(),
            build: target.build.clone(),
            pages: target.pages,
            mem_total_bytes: target.mem_total_bytes,
            ledger: ledger.collect(),
            devices: devices
                .map(|device| (device.name.clone(), device.driver.clone()))
                .collect(),
        }
    }
}

/// The name of the report's host, if it is one that tells hosts apart.
pub(crate) fn name(report: &Report) -> Option<&str> {
    let name = report.host.name.as_deref();
    name.filter(|name| !is_generic(name))
}

/// Whether both can be one, as far as both tell it.
pub(crate) fn agree<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.zip(other).is_none_or(|(one, other)| one == other)
}
