//! `bench/RESULTS.md`: a section for each part, each as it was measured last.

use anyhow::{Context, Result};

const HEAD: &str = "# What pagehound costs

Written by `cargo xtask bench`. Each section is of one run: its commands took turns, after one
run that is not counted; files are in the page cache. Where the machine had other work, single figures
say little and ratios within a section hold.

`limit read` sums all words of the memory where the file is mapped, `limit copy` those of a plain copy
of 1 GiB, `limit unpack` decompresses all pages one by one, each with nothing else to do, the last with
pagehound's own decompressors. Work alone is what they time themselves; of others it is the wall time
without that of the same command that only starts: with 4 KiB to search, or up to the prompt. pagehound
can be faster than both limits: it copies from the page cache, which costs less than the page faults of a
mapping, and decompresses the block that all pages of zeroes share once for each piece of work. Where
medians and processor time disagree on a goal (unclear), other work on the machine slowed one of the two
more.
";

/// Puts `text` as the section `title` in place of the one that is there.
pub(super) fn replace(title: &str, machine: &str, text: &str) -> Result<()> {
    let path = crate::root().join("bench/RESULTS.md");
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let section = format!("{machine}\n\n{}\n", text.trim_end());
    std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
    std::fs::write(&path, replaced(&old, title, &section))
        .with_context(|| path.display().to_string())
}

fn replaced(old: &str, title: &str, section: &str) -> String {
    let mut sections: Vec<(String, String)> = old
        .split("\n## ")
        .skip(1)
        .filter_map(|text| text.split_once('\n'))
        .map(|(title, text)| (title.to_owned(), format!("{}\n", text.trim())))
        .collect();
    match sections.iter_mut().find(|(known, _)| known == title) {
        Some((_, text)) => section.clone_into(text),
        None => sections.push((title.to_owned(), section.to_owned())),
    }
    let mut out = HEAD.to_owned();
    for (title, text) in sections {
        out.push_str(&format!("\n## {title}\n\n{text}"));
    }
    out
}

/// Date, processor, cores, memory and load of this machine.
pub(super) fn machine() -> String {
    let now = jiff::Timestamp::now().to_string();
    let date = now.split('T').next().unwrap_or_default();
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        text.lines()
            .find(|line| line.starts_with(key))
            .and_then(|line| line.split_once(':'))
            .map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let total = value(&read("/proc/meminfo"), "MemTotal");
    let kib: u64 = total
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let load = read("/proc/loadavg");
    format!(
        "{date}. {}, {} cores, {} GiB, load {} before the first run.",
        value(&read("/proc/cpuinfo"), "model name"),
        std::thread::available_parallelism().map_or(1, usize::from),
        kib >> 20,
        load.split(' ').next().unwrap_or("unknown"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_the_place_of_its_older_self() {
        let first = replaced("# anything\n", "A", "one\n");
        let second = replaced(&first, "B", "two\n");
        let third = replaced(&second, "A", "three\n");
        assert_eq!(third, format!("{HEAD}\n## A\n\nthree\n\n## B\n\ntwo\n"));
        assert_eq!(replaced(&third, "B", "two\n"), third);
    }
}
