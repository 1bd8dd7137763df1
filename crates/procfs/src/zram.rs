//! `/sys/block/zram*/mm_stat`: memory of zram devices (since 4.1).

use crate::tree::{Tree, read_line};

/// One device that has memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZramDevice {
    /// For example `zram0`.
    pub name: String,
    /// Bytes of data that it holds.
    pub data: u64,
    /// Bytes of memory that it has for them: pages of its pool.
    pub memory: u64,
}

/// The devices that hold something, by name. The columns of `mm_stat` are original,
/// compressed and used bytes, and more (Documentation/admin-guide/blockdev/zram.rst).
pub fn read_zram(tree: &dyn Tree) -> Vec<ZramDevice> {
    let names = tree.names("sys/block").unwrap_or_default();
    let names = names.into_iter().filter(|name| name.starts_with("zram"));
    let device = |name: String| {
        let text = read_line(tree, &format!("sys/block/{name}/mm_stat"))?;
        let words: Vec<&str> = text.split_ascii_whitespace().take(3).collect();
        let [data, _, memory] = words.as_slice() else {
            return None;
        };
        Some(ZramDevice {
            data: data.parse().ok()?,
            memory: memory.parse().ok()?,
            name,
        })
    };
    names
        .filter_map(device)
        .filter(|device| device.memory > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Root;

    #[test]
    fn devices_with_memory() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("zram0", "1000000 300000 327680 0 327680 12 0 0 0\n"),
            ("zram1", "0 0 0 0 0 0 0 0 0\n"),
            ("zram2", "x\n"),
            ("sda", "1 2 3\n"),
        ] {
            let path = folder.path().join("sys/block").join(name);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("mm_stat"), text).unwrap();
        }
        let zram0 = ZramDevice {
            name: "zram0".into(),
            data: 1_000_000,
            memory: 327_680,
        };
        assert_eq!(read_zram(&Root::open(folder.path()).unwrap()), [zram0]);
    }
}
