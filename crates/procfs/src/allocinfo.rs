//! `/proc/allocinfo`: what every line of code has allocated, on kernels with memory
//! allocation profiling (lib/alloc_tag.c, 6.10). Readable by root only.
//!
//! `allocinfo - version: 1.0`, from 6.18 on 2.0, a heading, then
//! `<bytes> <calls> <file>:<line> [<module>] func:<name>`, in 2.0 with
//! `accurate:no` behind it where counters missed allocations.

use crate::line::{Line, ParseError, Rows, decimal};

/// A line of code that allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocSite<'a> {
    /// Bytes allocated and not freed yet; below zero where CPUs' counters were
    /// read at different times.
    pub bytes: i64,
    /// Allocations not freed yet.
    pub calls: u64,
    /// Source file, as the compiler was given it.
    pub file: &'a str,
    /// Line in it.
    pub line: u64,
    /// The module, where it is not the kernel's own code.
    pub module: Option<&'a str>,
    /// The function.
    pub function: &'a str,
    /// False where the kernel says that it could not count everything.
    pub accurate: bool,
}

/// The lines of an allocinfo, in the order of the file. The first line must say
/// version 1 or 2.
pub fn allocinfo(text: &[u8]) -> Rows<'_, AllocSite<'_>> {
    Rows::new("allocinfo", text, row)
}

fn row<'a>(line: &Line<'a>) -> Result<Option<AllocSite<'a>>, ParseError> {
    let text = line.as_str()?.trim_ascii_start();
    if let Some(version) = text.strip_prefix("allocinfo - version: ") {
        let known = version.starts_with("1.") || version.starts_with("2.");
        return known
            .then_some(None)
            .ok_or_else(|| line.error("expected allocinfo version 1.x or 2.x"));
    }
    if text.starts_with('#') {
        return Ok(None);
    }
    site(text)
        .map(Some)
        .ok_or_else(|| line.error("expected `bytes calls file:line [module] func:name`"))
}

fn site(text: &str) -> Option<AllocSite<'_>> {
    let (place, what) = text.split_once(" func:")?;
    let (bytes, rest) = place.split_once(' ')?;
    let (calls, rest) = rest.trim_ascii_start().split_once(' ')?;
    let (place, module) = match rest.split_once(" [") {
        Some((place, module)) => (place, Some(module.strip_suffix(']')?)),
        None => (rest, None),
    };
    let (file, line) = place.rsplit_once(':')?;
    let mut words = what.split(' ');
    let function = words.next().filter(|name| !name.is_empty())?;
    Some(AllocSite {
        bytes: bytes.parse().ok()?,
        calls: decimal(calls)?,
        file,
        line: decimal(line)?,
        module,
        function,
        accurate: words.all(|word| word != "accurate:no"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of a guest of 6.12.117 with profiling on.
    const V1: &str = "allocinfo - version: 1.0\n\
        #     <size>  <calls> <tag info>\n    \
        27148288     6628 drivers/net/ethernet/intel/e1000/e1000_main.c:4513 [e1000] func:e1000_alloc_jumbo_rx_buffers \n     \
        6815744     1664 mm/shmem.c:1812 func:shmem_alloc_folio \n";

    #[test]
    fn lines_of_version_1() {
        let sites: Vec<_> = allocinfo(V1.as_bytes()).collect::<Result<_, _>>().unwrap();
        assert_eq!(
            sites,
            [
                AllocSite {
                    bytes: 27_148_288,
                    calls: 6628,
                    file: "drivers/net/ethernet/intel/e1000/e1000_main.c",
                    line: 4513,
                    module: Some("e1000"),
                    function: "e1000_alloc_jumbo_rx_buffers",
                    accurate: true,
                },
                AllocSite {
                    bytes: 6_815_744,
                    calls: 1664,
                    file: "mm/shmem.c",
                    line: 1812,
                    module: None,
                    function: "shmem_alloc_folio",
                    accurate: true,
                },
            ]
        );
    }

    /// Documentation/filesystems/proc.rst since 6.18.
    #[test]
    fn version_2_marks_what_was_not_counted() {
        let text = "allocinfo - version: 2.0\n#     <size>  <calls> <tag info>\n           \
            0        0 arch/x86/kernel/alternative.c:127 func:__its_alloc accurate:no \n      \
            -4096        0 a.c:1 func:f \n";
        let sites: Vec<_> = allocinfo(text.as_bytes()).map(Result::unwrap).collect();
        assert_eq!(
            (sites[0].function, sites[0].accurate),
            ("__its_alloc", false)
        );
        assert_eq!((sites[1].bytes, sites[1].accurate), (-4096, true));
    }

    #[test]
    fn other_lines_and_versions_are_errors() {
        for bad in [
            "allocinfo - version: 3.0",
            "hello",
            "1 2 a.c:1",
            "1 2 a.c func:f",
            "x 2 a.c:1 func:f",
            "1 -2 a.c:1 func:f",
            "1 2 a.c:1 [m func:f",
            "1 2 a.c:1 func:",
        ] {
            assert!(allocinfo(bad.as_bytes()).next().unwrap().is_err(), "{bad}");
        }
    }
}
