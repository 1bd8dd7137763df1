//! The guest's initrd: an uncompressed `newc` cpio archive
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::frames::Mac;
use super::kernel::Kernel;
use super::modules::Module;
use super::scenario::Scenario;
use super::{cache, frames, holder, live};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
/// Device numbers of `/dev/console`, which init's standard output needs
/// before devtmpfs is mounted.
const CONSOLE: (u32, u32, u32) = (0o020_600, 5, 1);

/// What goes into an initrd for some ways of dumping only.
#[derive(Default)]
pub(super) struct More<'a> {
    /// Lines for the guest's second kernel: then also what it takes to load and run
    /// that one.
    pub(super) captures: &'a str,
    /// A static pagehound, to be run in the guest.
    pub(super) pagehound: Option<&'a Path>,
    /// Whether it is asked before the guest is dumped.
    pub(super) live: bool,
}

/// Packs busybox, the modules and the scenario's plan.
pub(super) fn build(
    kernel: &Kernel,
    scenario: &Scenario,
    mac: Mac,
    more: &More<'_>,
) -> Result<Vec<u8>> {
    let guest = cache::sources().join("guest");
    let mut archive = Archive::default();
    for dir in [
        "bin", "dev", "proc", "sys", "modules", "host", "lib", "lib64",
    ] {
        archive.add(dir, DIRECTORY, (0, 0), &[])?;
    }
    archive.add("dev/console", CONSOLE.0, (CONSOLE.1, CONSOLE.2), &[])?;
    archive.add("bin/busybox", PROGRAM, (0, 0), &kernel.programs.busybox()?)?;
    for (name, path) in holder::NAMES.iter().zip(&kernel.holders) {
        archive.add(&format!("bin/{name}"), PROGRAM, (0, 0), &read(path)?)?;
    }
    archive.add("init", PROGRAM, (0, 0), &read(&guest.join("init"))?)?;
    let mut order = archive.modules(&kernel.load(scenario.modules)?)?;
    if !more.captures.is_empty() {
        let share = archive.modules(&kernel.share()?)?;
        archive.add("modules/share", FILE, (0, 0), share.as_bytes())?;
        for name in ["capture", "share"] {
            archive.add(name, PROGRAM, (0, 0), &read(&guest.join(name))?)?;
        }
        archive.add("captures", FILE, (0, 0), more.captures.as_bytes())?;
        for (name, content) in kernel.programs.crash_tools()? {
            archive.add(&name, PROGRAM, (0, 0), &content)?;
        }
    }
    if let Some(program) = more.pagehound {
        archive.add("bin/pagehound", PROGRAM, (0, 0), &read(program)?)?;
        let script = read(&cache::checkout().join("contrib/kdump-report"))?;
        archive.add("bin/kdump-report", PROGRAM, (0, 0), &script)?;
    }
    if more.live {
        archive.add("live", FILE, (0, 0), live::questions(mac).as_bytes())?;
    }
    archive.add("modules/pagelab.ko", FILE, (0, 0), &read(&kernel.module)?)?;
    order.push_str(&format!("pagelab port={}\n", frames::PORT));
    archive.add("modules/order", FILE, (0, 0), order.as_bytes())?;
    let arch = kernel.target.arch;
    let machine = format!(
        "report={}\nconsole={}\nkexec={}\n",
        arch.report(),
        arch.console(),
        arch.kexec_option(),
    );
    archive.add("machine", FILE, (0, 0), machine.as_bytes())?;
    archive.add("plan", FILE, (0, 0), scenario.plan().as_bytes())?;
    archive.add("frames.bin", FILE, (0, 0), &frames::pages(mac, 16))?;
    archive.end()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds modules and returns the lines by which the guest loads them.
    fn modules(&mut self, modules: &[Module]) -> Result<String> {
        let mut order = String::new();
        for (name, content) in modules {
            self.add(&format!("modules/{name}.ko"), FILE, (0, 0), content)?;
            let options = if name == "bonding" {
                " max_bonds=0"
            } else {
                ""
            };
            order.push_str(&format!("{name}{options}\n"));
        }
        Ok(order)
    }

    fn add(&mut self, name: &str, mode: u32, device: (u32, u32), data: &[u8]) -> Result<()> {
        self.entries += 1;
        let size = u32::try_from(data.len()).with_context(|| format!("{name} is too large"))?;
        let name_size = u32::try_from(name.len() + 1).context("a name is too long")?;
        // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor,
        // rdevmajor, rdevminor, namesize, check.
        let fields = [
            self.entries,
            mode,
            0,
            0,
            1,
            0,
            size,
            0,
            0,
            device.0,
            device.1,
            name_size,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend_from_slice(data);
        self.align();
        Ok(())
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn end(mut self) -> Result<Vec<u8>> {
        self.add("TRAILER!!!", 0, (0, 0), &[])?;
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_has_aligned_entries_with_hexadecimal_sizes() {
        let mut archive = Archive::default();
        archive.add("plan", FILE, (0, 0), b"bond=1").unwrap();
        let bytes = archive.end().unwrap();
        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(&bytes[14..22], b"000081a4", "mode");
        assert_eq!(&bytes[54..62], b"00000006", "file size");
        assert_eq!(&bytes[94..102], b"00000005", "name size with its zero");
        assert_eq!(&bytes[110..115], b"plan\0");
        assert_eq!(
            &bytes[116..122],
            b"bond=1",
            "data starts at a multiple of four"
        );
        assert_eq!(&bytes[124..130], b"070701", "so does the next entry");
    }
}
