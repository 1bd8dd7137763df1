//! `/sys/kernel/dmabuf/buffers/<inode>/`: buffers that devices share (5.12 and later,
//! where CONFIG_DMABUF_SYSFS_STATS is set).

use crate::tree::{Tree, read_line, read_number};

/// Buffers of one exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DmaBufs {
    /// Who made them, for example the heap `system` or the driver `i915`.
    pub exporter: String,
    /// Bytes of all.
    pub bytes: u64,
}

/// The buffers by exporter, in the order of their names.
pub fn read_dmabufs(tree: &dyn Tree) -> Vec<DmaBufs> {
    let folder = "sys/kernel/dmabuf/buffers";
    let mut exporters = std::collections::BTreeMap::new();
    for inode in tree.names(folder).unwrap_or_default() {
        let exporter = read_line(tree, &format!("{folder}/{inode}/exporter_name"));
        let size = read_number(tree, &format!("{folder}/{inode}/size"));
        if let (Some(exporter), Some(size)) = (exporter, size) {
            let sum: &mut u64 = exporters.entry(exporter).or_default();
            *sum = sum.saturating_add(size);
        }
    }
    let exporters = exporters.into_iter();
    exporters
        .map(|(exporter, bytes)| DmaBufs { exporter, bytes })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Root;

    #[test]
    fn buffers_are_added_up_by_exporter() {
        let folder = tempfile::tempdir().unwrap();
        for (inode, exporter, size) in [
            ("7", "system\n", "4096\n"),
            ("8", "i915\n", "8192\n"),
            ("9", "system\n", "12288\n"),
            ("10", "system\n", "x\n"),
        ] {
            let path = folder.path().join("sys/kernel/dmabuf/buffers").join(inode);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("exporter_name"), exporter).unwrap();
            std::fs::write(path.join("size"), size).unwrap();
        }
        let found = read_dmabufs(&Root::open(folder.path()).unwrap());
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.exporter.as_str(), it.bytes))
            .collect();
        assert_eq!(found, [("i915", 8192), ("system", 16384)]);
    }
}
