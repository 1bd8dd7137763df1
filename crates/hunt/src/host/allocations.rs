//! Who allocated what, on kernels that keep records of it.

use std::collections::HashMap;

use pagehound_procfs::{allocinfo, page_owner};
use serde::Serialize;

use super::HostFiles;
use crate::allocators::asked;

/// Sites that are listed.
const LISTED: usize = 12;

/// Memory that one function has allocated and not freed yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostAllocation {
    /// The function: of a stack the innermost that is none of the allocator's own.
    pub function: String,
    /// Its module, where it is not the kernel's own.
    pub module: Option<String>,
    /// Source file and line, where the record is of a line.
    pub place: Option<String>,
    /// Bytes.
    pub bytes: u64,
    /// The file this is from: `allocinfo` or `page_owner`.
    pub source: &'static str,
}

/// The largest, and what limits them.
pub(super) fn allocations(files: &HostFiles, page_kb: u64) -> (Vec<HostAllocation>, Vec<String>) {
    let mut notes = Vec::new();
    let mut all = Vec::new();
    if let Some(text) = &files.allocinfo {
        all.extend(largest(by_line(text, &mut notes)));
    }
    if let Some(text) = &files.page_owner {
        all.extend(largest(by_stack(text, page_kb * 1024, &mut notes)));
    }
    (all, notes)
}

fn largest(mut all: Vec<HostAllocation>) -> Vec<HostAllocation> {
    all.sort_by(|one, other| {
        let by_size = other.bytes.cmp(&one.bytes);
        by_size.then_with(|| (&one.function, &one.place).cmp(&(&other.function, &other.place)))
    });
    all.truncate(LISTED);
    all
}

/// By line of code. What the allocator itself took page by page is with the
/// callers as objects once more: only they are told.
fn by_line(text: &[u8], notes: &mut Vec<String>) -> Vec<HostAllocation> {
    let mut all = Vec::new();
    for site in allocinfo(text) {
        let site = match site {
            Ok(site) => site,
            Err(error) => {
                notes.push(format!("{error}; what follows is left out"));
                break;
            }
        };
        let bytes = u64::try_from(site.bytes).unwrap_or(0);
        if bytes == 0 || site.function == SLAB_PAGES {
            continue;
        }
        all.push(HostAllocation {
            function: site.function.to_owned(),
            module: site.module.map(str::to_owned),
            place: Some(format!("{}:{}", site.file, site.line)),
            bytes,
            source: "allocinfo",
        });
    }
    all
}

/// The pages of slabs, whose objects have lines of their own (mm/slub.c).
const SLAB_PAGES: &str = "alloc_slab_page";

fn by_stack(text: &[u8], page: u64, notes: &mut Vec<String>) -> Vec<HostAllocation> {
    let mut sums: HashMap<(String, Option<String>), u64> = HashMap::new();
    for row in page_owner(text) {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                notes.push(format!("{error}; what follows is left out"));
                break;
            }
        };
        let sum = sums.entry(asked(row.stack())).or_default();
        *sum = sum.saturating_add(row.pages.saturating_mul(page));
    }
    sums.into_iter()
        .map(|((function, module), bytes)| HostAllocation {
            function,
            module,
            place: None,
            bytes,
            source: "page_owner",
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_stacks_are_added_up_by_function() {
        let files = HostFiles {
            allocinfo: Some(
                b"allocinfo - version: 1.0\n 4096 1 mm/slub.c:2478 func:alloc_slab_page \n \
                  8192 2 a.c:7 [m] func:f \n 0 0 b.c:1 func:g \n -1 0 b.c:2 func:g \n"
                    .to_vec(),
            ),
            page_owner: Some(
                b" get_page_from_freelist+0x1/0x2\n h+0x1/0x2 [n]\nnr_base_pages: 2\n\n \
                  h+0x9/0xa [n]\nnr_base_pages: 1\n\n i+0x1/0x2\nnr_base_pages: 1\n\nx\n"
                    .to_vec(),
            ),
            ..HostFiles::default()
        };
        let (all, notes) = allocations(&files, 4);
        let told: Vec<_> = all
            .iter()
            .map(|one| (one.function.as_str(), one.module.as_deref(), one.bytes))
            .collect();
        assert_eq!(
            told,
            [
                ("f", Some("m"), 8192),
                ("h", Some("n"), 3 * 4096),
                ("i", None, 4096)
            ]
        );
        assert_eq!(all[0].place.as_deref(), Some("a.c:7"));
        assert_eq!(notes.len(), 1, "{notes:?}");
    }
}
