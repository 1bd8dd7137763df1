//! Which machine this is: its names, its boot, its clock.

use pagehound_vmcore::{Utsname, VirtAddr, hex};

use crate::kernel::{Kernel, KernelError};
use crate::layouts::{Field, Unknown};
use crate::text::printable;
use crate::virt::VirtualRead;

/// Bytes of each field of `struct new_utsname`, NUL included.
const UTS_FIELD: u64 = 65;

/// The machine the dump was taken from, as far as its memory tells.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HostInfo {
    /// What `uname` prints; safe to print.
    pub uname: Option<Utsname>,
    /// `/proc/sys/kernel/random/boot_id`, if anybody ever read it: the kernel
    /// makes it up when it is first asked for.
    pub boot_id: Option<String>,
    /// Seconds since 1970 by the kernel's clock when the memory was captured.
    pub time: Option<u64>,
    /// Seconds since 1970 at which the kernel booted.
    pub boot_time: Option<u64>,
}

impl Kernel<'_> {
    /// What is known of the machine; what cannot be read is left out.
    pub fn host(&self) -> HostInfo {
        let clock = self.timekeeper();
        HostInfo {
            uname: self.uname().ok(),
            boot_id: self.boot_id(),
            time: clock.map(|(now, _)| now),
            boot_time: clock.and_then(|(_, boot)| boot),
        }
    }

    /// What `uname` prints on the machine, in the first UTS namespace; safe to
    /// print.
    ///
    /// # Errors
    /// If `init_uts_ns` is not to be found or read, or holds something else.
    pub fn uname(&self) -> Result<Utsname, KernelError> {
        let namespace = self.symbol("init_uts_ns")?;
        let at = match self.layouts.get(Field::UtsName) {
            Some(place) => namespace.add(place.offset),
            // Exported since 5.15; before, it came behind a reference count.
            None => [0, 4]
                .map(|offset| namespace.add(offset))
                .into_iter()
                .find(|&at| self.memory.cstr(at, 8).is_ok_and(|name| name == b"Linux"))
                .ok_or(Unknown(Field::UtsName.name()))?,
        };
        let field = |index: u64| -> Result<String, KernelError> {
            let text = self.memory.cstr(at.add(index * UTS_FIELD), 64);
            let text = text.map_err(|fault| KernelError::Read {
                what: "new_utsname",
                fault,
            })?;
            Ok(printable(&text))
        };
        Ok(Utsname {
            sysname: field(0)?,
            nodename: field(1)?,
            release: field(2)?,
            version: field(3)?,
            machine: field(4)?,
            domainname: field(5)?,
        })
    }

    fn boot_id(&self) -> Option<String> {
        let mut id = [0; 16];
        let at = self.address("sysctl_bootid")?;
        self.memory.read(at, &mut id).ok()?;
        uuid(id)
    }

    /// The wall clock and the time of boot, in seconds since 1970.
    fn timekeeper(&self) -> Option<(u64, Option<u64>)> {
        // A sequence count and the timekeeper, which is aligned to 8; since 6.17
        // the first of several such pairs (auxiliary clocks).
        let offset = self
            .layouts
            .get(Field::TkTimekeeper)
            .map_or(8, |place| place.offset);
        let pair = ["tk_core", "timekeeper_data"]
            .into_iter()
            .find_map(|name| self.address(name))?;
        let clock: VirtAddr = pair.add(offset);
        let now = self.field(clock, Field::TimekeeperXtimeSec).ok()?;
        // Later than 2001, earlier than 2242: else this is no clock.
        if !(1 << 30..1 << 33).contains(&now) {
            return None;
        }
        let boot = || {
            let real = self.field(clock, Field::TimekeeperOffsReal).ok()?;
            let boot = self.field(clock, Field::TimekeeperOffsBoot).ok()?;
            let seconds = real.checked_sub(boot)? / 1_000_000_000;
            (seconds <= now).then_some(seconds)
        };
        Some((now, boot()))
    }
}

/// A UUID as `%pU` prints it; `None` where the kernel has not made it yet, for
/// which `proc_do_uuid()` takes a zero in the byte that holds the variant.
fn uuid(id: [u8; 16]) -> Option<String> {
    if id[8] == 0 {
        return None;
    }
    let parts = [0..4, 4..6, 6..8, 8..10, 10..16].map(|range| id.get(range));
    let parts: Option<Vec<&[u8]>> = parts.into_iter().collect();
    let parts: Vec<String> = parts?.into_iter().map(|part| hex(part, "")).collect();
    Some(parts.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_written_byte_by_byte() {
        // The example of RFC 4122, section 3.
        let id = 0xf81d_4fae_7dec_11d0_a765_00a0_c91e_6bf6_u128.to_be_bytes();
        let text = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
        assert_eq!(uuid(id).as_deref(), Some(text));
        assert_eq!(uuid([0; 16]), None);
    }
}
