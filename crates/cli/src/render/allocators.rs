//! Who allocated pages, in words.

use super::number::{count, thousands};
use pagehound_model::{Allocator, Finding};

/// Of each kind of record the largest: stacks and lines of code tell different
/// things.
pub(super) fn lines(finding: &Finding) -> Vec<String> {
    let kinds = [Allocator::PAGE_OWNER, Allocator::ALLOCATION_TAGS];
    let first = |source: &str| {
        let mut all = finding.allocators.iter();
        all.find(|allocator| allocator.source == source)
    };
    let largest = kinds.into_iter().filter_map(first);
    largest
        .map(|allocator| line(allocator, finding.pages))
        .collect()
}

/// `allocated by e1000_alloc_rx+0x1a4 [e1000], 1,000 of 1,000 pages (page_owner)`.
fn line(allocator: &Allocator, all: u64) -> String {
    let function = &allocator.function;
    // The place within the function, as the stack has it.
    let is_of = |symbol: &&String| {
        let rest = symbol.strip_prefix(function.as_str());
        rest.is_some_and(|rest| rest.starts_with(['+', '.']))
    };
    let place = allocator.stack.iter().find(is_of);
    let place = place.and_then(|symbol| symbol.split(['/', ' ']).next());
    let place = place.unwrap_or(function);
    let module = allocator.module.as_ref();
    let module = module.map_or(String::new(), |module| format!(" [{module}]"));
    let source = match (&allocator.file, allocator.line) {
        (Some(file), Some(line)) => format!(" at {file}:{line}"),
        _ => String::new(),
    };
    let of = if allocator.looked_at < all {
        format!("a sample of {}", count(allocator.looked_at, "page"))
    } else {
        count(allocator.looked_at, "page")
    };
    format!(
        "allocated by {place}{module}{source}, {} of {of} ({})",
        thousands(allocator.pages),
        allocator.source
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allocator(stack: &[&str], place: Option<(&str, u32)>) -> Allocator {
        Allocator {
            function: "e1000_alloc_rx".into(),
            module: Some("e1000".into()),
            source: Allocator::PAGE_OWNER.into(),
            pages: 1000,
            looked_at: 1200,
            stack: stack.iter().map(|&symbol| symbol.to_owned()).collect(),
            file: place.map(|(file, _)| file.to_owned()),
            line: place.map(|(_, line)| line),
        }
    }

    #[test]
    fn the_place_in_the_function_is_that_of_the_stack() {
        let stack = [
            "__alloc_pages+0x1/0x2",
            "e1000_alloc_rx.isra.0+0x1a4/0x2b0 [e1000]",
        ];
        assert_eq!(
            line(&allocator(&stack, None), 1200),
            "allocated by e1000_alloc_rx.isra.0+0x1a4 [e1000], 1,000 of 1,200 pages (page_owner)"
        );
        // Without a frame of its own, as for pages from before page_owner began.
        let text = line(&allocator(&["e1000_alloc_rx_other+0x1/0x2"], None), 1200);
        assert!(text.starts_with("allocated by e1000_alloc_rx [e1000],"));
    }

    #[test]
    fn a_line_of_code_and_a_sample_are_told() {
        assert_eq!(
            line(&allocator(&[], Some(("main.c", 7))), 5000),
            "allocated by e1000_alloc_rx [e1000] at main.c:7, \
             1,000 of a sample of 1,200 pages (page_owner)"
        );
    }
}
