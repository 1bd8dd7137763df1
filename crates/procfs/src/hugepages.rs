//! `/sys/kernel/mm/hugepages/hugepages-<size>kB/`: the pools of huge pages, one folder
//! a size. meminfo's `HugePages_*` show the default size only.

use crate::line::decimal;
use crate::tree::{Tree, Unread, read_number};

/// Where they are.
const FOLDER: &str = "sys/kernel/mm/hugepages";

/// More sizes than any architecture has (powerpc has 5).
const MAX_POOLS: usize = 64;

/// The pool of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HugepagePool {
    /// Bytes of one huge page.
    pub page_size: u64,
    /// Huge pages in the pool, free or used (`nr_hugepages`, surplus included).
    pub total: u64,
    /// Those that nobody uses (`free_hugepages`).
    pub free: u64,
}

impl HugepagePool {
    /// Bytes of the pool; `None` if that is more than 64 bits hold.
    pub fn bytes(&self) -> Option<u64> {
        self.total.checked_mul(self.page_size)
    }
}

/// The page size in bytes that a folder's name stands for: `hugepages-2048kB`.
pub fn pool_page_size(folder: &str) -> Option<u64> {
    let kb = folder.strip_prefix("hugepages-")?.strip_suffix("kB")?;
    decimal(kb)?.checked_mul(1024)
}

/// The pools, smallest page first. Folders that are not a pool, or whose counts cannot
/// be read, are left out.
///
/// # Errors
/// They cannot be listed, for example because the kernel has no huge pages.
pub fn read_hugepages(tree: &dyn Tree) -> Result<Vec<HugepagePool>, Unread> {
    read_hugepages_in(tree, FOLDER)
}

/// The same of `folder`: nodes have pools of their own, in `node<number>/hugepages`.
///
/// # Errors
/// They cannot be listed.
pub fn read_hugepages_in(tree: &dyn Tree, folder: &str) -> Result<Vec<HugepagePool>, Unread> {
    let pool = |name: &String| {
        let count = |file| read_number(tree, &format!("{folder}/{name}/{file}"));
        Some(HugepagePool {
            page_size: pool_page_size(name)?,
            total: count("nr_hugepages")?,
            free: count("free_hugepages").unwrap_or(0),
        })
    };
    let names = tree.names(folder)?;
    let mut pools: Vec<HugepagePool> = names.iter().filter_map(pool).take(MAX_POOLS).collect();
    pools.sort_unstable_by_key(|pool| pool.page_size);
    Ok(pools)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Root;

    #[test]
    fn the_size_is_in_the_name() {
        assert_eq!(pool_page_size("hugepages-2048kB"), Some(2 << 20));
        assert_eq!(pool_page_size("hugepages-1048576kB"), Some(1 << 30));
        for bad in [
            "hugepages-kB",
            "hugepages-2M",
            "x",
            "hugepages-18446744073709551615kB",
        ] {
            assert_eq!(pool_page_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn pools_are_read_and_other_folders_left_out() {
        let root = tempfile::tempdir().unwrap();
        for (folder, total, free) in [
            ("hugepages-1048576kB", "1\n", "1\n"),
            ("hugepages-2048kB", "300\n", "20\n"),
            ("hugepages-64kB", "what\n", "0\n"),
            ("other", "5\n", "5\n"),
        ] {
            let path = root.path().join(FOLDER).join(folder);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("nr_hugepages"), total).unwrap();
            std::fs::write(path.join("free_hugepages"), free).unwrap();
        }
        let pools = read_hugepages(&Root::open(root.path()).unwrap()).unwrap();
        assert_eq!(
            pools,
            [
                HugepagePool {
                    page_size: 2 << 20,
                    total: 300,
                    free: 20
                },
                HugepagePool {
                    page_size: 1 << 30,
                    total: 1,
                    free: 1
                },
            ]
        );
        assert_eq!(pools[0].bytes(), Some(600 << 20));
        let empty = tempfile::tempdir().unwrap();
        let nothing = read_hugepages(&Root::open(empty.path()).unwrap());
        assert_eq!(nothing, Err(Unread::NotThere));
    }
}
