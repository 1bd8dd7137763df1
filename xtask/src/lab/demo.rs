//! The small dump that the repository carries: a real leak, filtered as a
//! distribution's kdump does it, without the kernel's code.

use std::env;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::{self as own, Command};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::dump::Way;
use super::qmp::Format;
use super::scenario::{Scenario, Variant};
use super::target::Target;
use super::{cache, elf, guest, process, repack};

const NAME: &str = "leak-6.1-x86_64";
/// Every clone of the repository carries the dump.
const SIZE_LIMIT: usize = 9 << 20;
const FILTER_LIMIT: Duration = Duration::from_secs(120);

/// Boots the demo's guest and writes dump and truth to `out`.
pub(super) fn make(out: &Path) -> Result<()> {
    cache::create(out)?;
    let dir = env::temp_dir().join(format!("pagehound-demo-{}", own::id()));
    let scenario = Scenario::named("demo")?;
    let ways = [Way::Qemu(Format::Elf)];
    let taken = guest::take(&Target::USUAL, &scenario, &Variant::PLAIN, &ways, &dir)?;
    let core = taken.dumps.first().context("no dump was taken")?;
    let truth = fs::read(&taken.truth).context("cannot read the truth")?;

    let straight = dir.join("straight.elf");
    let core = fs::read(core).context("cannot read the dump")?;
    fs::write(&straight, elf::straighten(&core)?).context("cannot write the dump")?;
    let filtered = dir.join("filtered.kdump");
    process::run(
        Command::new("makedumpfile")
            .args(["-c", "-d", "31"])
            .arg(&straight)
            .arg(&filtered),
        &dir.join("makedumpfile.log"),
        FILTER_LIMIT,
    )?;
    let code = kernel_code(&String::from_utf8_lossy(&truth))
        .context("the truth's iomem has no line `Kernel code`")?;
    let filtered = fs::read(&filtered).context("cannot read the filtered dump")?;
    let packed = repack::repack(&filtered, &code)?;
    ensure!(
        packed.len() <= SIZE_LIMIT,
        "the demo has {} bytes, above {SIZE_LIMIT}",
        packed.len()
    );

    let dump = out.join(format!("{NAME}.kdump"));
    fs::write(&dump, &packed).with_context(|| format!("cannot write {}", dump.display()))?;
    let path = out.join(format!("{NAME}.truth.txt"));
    fs::write(&path, truth).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}: {} bytes", dump.display(), packed.len());
    fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))
}

/// Frames that hold nothing but kernel code. `/proc/iomem` gives an inclusive
/// end, and its last page may hold what follows the code.
fn kernel_code(truth: &str) -> Option<Range<usize>> {
    let line = truth.lines().find(|line| line.ends_with(": Kernel code"))?;
    let (start, end) = line.trim().split(" : ").next()?.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    Some(start.div_ceil(4096)..end.checked_add(1)? / 4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_whole_pages_of_the_inclusive_range() {
        let truth =
            "== iomem\n  08000000-08e01d31 : Kernel code\n  09000000-098eafff : Kernel rodata\n";
        assert_eq!(kernel_code(truth), Some(0x8000..0x8e01));
        assert_eq!(
            kernel_code("  00001000-00002fff : Kernel code\n"),
            Some(1..3)
        );
        assert_eq!(kernel_code("== iomem\n"), None);
    }
}
