//! `/sys/devices/system/node/node*/meminfo`: the counters of each NUMA node
//! (drivers/base/node.c), `Node 0 MemTotal: 1 kB`.

use crate::tree::Tree;

/// Longest such file: some forty lines.
const MAX_MEMINFO: u64 = 1 << 14;

/// Counters of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeText {
    /// Its number.
    pub node: u32,
    /// Its counters, as [`meminfo`](crate::meminfo()) reads them.
    pub meminfo: Vec<u8>,
}

/// The nodes, by number.
pub fn read_nodes(tree: &dyn Tree) -> Vec<NodeText> {
    let folder = "sys/devices/system/node";
    let names = tree.names(folder).unwrap_or_default();
    let mut nodes: Vec<NodeText> = names
        .iter()
        .filter_map(|name| {
            let node = name.strip_prefix("node")?.parse().ok()?;
            let text = tree.read(&format!("{folder}/{name}/meminfo"), MAX_MEMINFO);
            Some(NodeText {
                node,
                meminfo: without_lead(&text.ok()?.bytes),
            })
        })
        .collect();
    nodes.sort_unstable_by_key(|node| node.node);
    nodes
}

/// The lines without `Node 0 ` in front.
fn without_lead(text: &[u8]) -> Vec<u8> {
    let lines = text.split(|&byte| byte == b'\n').filter_map(|line| {
        let rest = line.trim_ascii_start().strip_prefix(b"Node ")?;
        let blank = rest.iter().position(|&byte| byte == b' ')?;
        rest.get(blank + 1..)
    });
    let lines: Vec<&[u8]> = lines.collect();
    lines.join(&b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Root, meminfo};

    #[test]
    fn nodes_are_read_as_meminfo() {
        let folder = tempfile::tempdir().unwrap();
        for node in ["node10", "node0", "nodex"] {
            let path = folder.path().join("sys/devices/system/node").join(node);
            std::fs::create_dir_all(&path).unwrap();
            let text = "\nNode 0 MemTotal:       24684096 kB\nNode 0 HugePages_Total:     3\n";
            std::fs::write(path.join("meminfo"), text).unwrap();
        }
        let nodes = read_nodes(&Root::open(folder.path()).unwrap());
        let numbers: Vec<u32> = nodes.iter().map(|node| node.node).collect();
        assert_eq!(numbers, [0, 10]);
        let info = meminfo(&nodes[0].meminfo).unwrap();
        assert_eq!(info.kb("MemTotal"), Some(24_684_096));
        assert_eq!(info.count("HugePages_Total"), Some(3));
    }
}
