//! Lines of the kernel log that tell what is in no counter.
//!
//! What stands in front of a message does no harm: nothing, `[    0.000000] `, or the
//! `6,71,133344,-;` of `/dev/kmsg`.

use crate::line::{Lines, decimal};

/// The per-CPU memory that the kernel had before there was a page allocator (mm/percpu.c,
/// `pcpu_embed_first_chunk`, `pcpu_dump_alloc_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstChunk {
    /// Pages it has for each CPU.
    pub pages_per_cpu: u64,
    /// Units, of which `Percpu` counts the pages, and the units that are a possible
    /// CPU's; none where the log does not tell. Only these have pages behind them.
    pub units: Option<(u64, u64)>,
}

/// The line `percpu: Embedded 53 pages/cpu s185496 r0 d31592 u1048576` (`PERCPU:` on
/// older kernels), or `percpu: 53 4K pages/cpu …` where pages were mapped, and the lines
/// `pcpu-alloc: [0] 0 1 [1] 2 -`.
pub fn first_chunk(log: &[u8]) -> Option<FirstChunk> {
    let mut pages_per_cpu = None;
    let (mut units, mut cpus) = (0u64, 0u64);
    for line in Lines::new("log", log) {
        let Ok(line) = line.as_str() else { continue };
        if let Some(text) = after(line, "ercpu: ").or(after(line, "PERCPU: ")) {
            let words: Vec<&str> = text.split_ascii_whitespace().take(4).collect();
            let pages = match words.as_slice() {
                ["Embedded", pages, "pages/cpu", ..] | [pages, _, "pages/cpu", ..] => pages,
                _ => continue,
            };
            pages_per_cpu = pages_per_cpu.or(decimal(pages));
        } else if let Some(text) = after(line, "pcpu-alloc: [") {
            let words = text.split_ascii_whitespace();
            for unit in words.filter(|word| !word.starts_with('[') && !word.ends_with(']')) {
                units += 1;
                cpus += u64::from(decimal(unit).is_some());
            }
        }
    }
    Some(FirstChunk {
        pages_per_cpu: pages_per_cpu?,
        units: (cpus > 0).then_some((units, cpus)),
    })
}

/// Parts of the kernel's image in kB, of the line `Memory: 3218364K/25165432K available
/// (18468K kernel code, 2544K rwdata, 10276K rodata, 3728K init, 1168K bss, …)`. The
/// part `init` is freed after boot and not among them.
pub fn kernel_image_kb(log: &[u8]) -> Option<u64> {
    Lines::new("log", log).find_map(|line| {
        let text = after(line.as_str().ok()?, "Memory: ")?;
        let (_, parts) = text.split_once(" available (")?;
        let kept = ["kernel code", "rwdata", "rodata", "bss"];
        let sizes = parts.split([',', ')']).filter_map(|part| {
            let (size, name) = part.trim_ascii().split_once(' ')?;
            kept.contains(&name)
                .then(|| decimal(size.strip_suffix(['K', 'k'])?))?
        });
        let sizes: Vec<u64> = sizes.collect();
        (!sizes.is_empty()).then(|| sizes.iter().fold(0, |sum: u64, &kb| sum.saturating_add(kb)))
    })
}

/// What follows `lead` in `line`.
fn after<'a>(line: &'a str, lead: &str) -> Option<&'a str> {
    line.split_once(lead).map(|(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_chunk_by_the_lines_of_several_kernels() {
        let log = b"6,70,128414,-;setup_percpu: NR_CPUS:256 nr_cpu_ids:2\n\
            6,71,133344,-;percpu: Embedded 53 pages/cpu s185496 r0 d31592 u1048576\n";
        let chunk = first_chunk(log).unwrap();
        assert_eq!((chunk.pages_per_cpu, chunk.units), (53, None));
        let log = b"[    0.000000] PERCPU: Embedded 26 pages/cpu @ffff88007fc00000 s76824 r8192 d21480 u524288\n\
            [    0.000000] pcpu-alloc: s76824 r8192 d21480 u524288 alloc=1*2097152\n\
            [    0.000000] pcpu-alloc: [0] 0 1 2 - [1] 3 4 5 - \n";
        let chunk = first_chunk(log).unwrap();
        assert_eq!((chunk.pages_per_cpu, chunk.units), (26, Some((8, 6))));
        let chunk = first_chunk(b"percpu: 31 4K pages/cpu s1 r2 d3\n").unwrap();
        assert_eq!(chunk.pages_per_cpu, 31);
        assert_eq!(
            first_chunk(b"percpu: Embedded x pages/cpu\nMemory: 1\n"),
            None
        );
    }

    #[test]
    fn the_image_without_what_is_freed() {
        let log = b"[0.3] Memory: 3218364K/25165432K available (18468K kernel code, 2544K rwdata, \
            10276K rodata, 3728K init, 1168K bss, 496380K reserved, 0K cma-reserved)\n";
        assert_eq!(kernel_image_kb(log), Some(18468 + 2544 + 10276 + 1168));
        assert_eq!(kernel_image_kb(b"Memory: 1K/2K available ()\n"), None);
        assert_eq!(kernel_image_kb(b"Memory: usage\n"), None);
    }
}
