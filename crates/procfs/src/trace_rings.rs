//! Ring buffers of tracing, in tracefs: `/sys/kernel/tracing` or, before 4.1,
//! `/sys/kernel/debug/tracing`; root only.

use crate::line::decimal;
use crate::tree::{Tree, Unread, read_line};

/// The rings of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceRings {
    /// Name of the instance; none for the one that is always there.
    pub instance: Option<String>,
    /// kB that each CPU's ring has for records.
    pub size_kb: Vec<u64>,
    /// kB of a piece of the ring, where it need not be a page (6.8 and later).
    pub piece_kb: Option<u64>,
}

impl TraceRings {
    /// Bytes of all rings: pieces for the records, of which each has a header of 16
    /// bytes, and one that readers swap in (kernel/trace/ring_buffer.c).
    pub fn bytes(&self, page_size: u64) -> u64 {
        let piece = self
            .piece_kb
            .unwrap_or(0)
            .saturating_mul(1024)
            .max(page_size);
        let payload = piece.saturating_sub(16).max(1);
        let rings = self.size_kb.iter().map(|kb| {
            let pieces = kb.saturating_mul(1024).div_ceil(payload).max(2);
            pieces.saturating_add(1).saturating_mul(piece)
        });
        rings.fold(0, u64::saturating_add)
    }
}

/// The rings of all instances.
///
/// # Errors
/// There is no tracefs, or this user may not list it.
pub fn read_trace_rings(tree: &dyn Tree) -> Result<Vec<TraceRings>, Unread> {
    let has_rings = |folder: &&str| tree.names(&format!("{folder}/per_cpu")).is_ok();
    let folders = ["sys/kernel/tracing", "sys/kernel/debug/tracing"];
    let Some(folder) = folders.iter().copied().find(has_rings) else {
        tree.names("sys/kernel/tracing")?;
        return Err(Unread::NotThere);
    };
    let mut all = vec![rings(tree, folder, None)];
    let instances = tree.names(&format!("{folder}/instances"));
    for name in instances.unwrap_or_default() {
        all.push(rings(
            tree,
            &format!("{folder}/instances/{name}"),
            Some(name),
        ));
    }
    all.retain(|rings| !rings.size_kb.is_empty());
    Ok(all)
}

/// Where a ring was never used, its file says what it has, and as what it would begin:
/// `7 (expanded: 1408)`.
fn rings(tree: &dyn Tree, folder: &str, instance: Option<String>) -> TraceRings {
    let cpus = tree.names(&format!("{folder}/per_cpu"));
    let size = |cpu: String| {
        let text = read_line(tree, &format!("{folder}/per_cpu/{cpu}/buffer_size_kb"))?;
        decimal(text.split_ascii_whitespace().next()?)
    };
    let piece = read_line(tree, &format!("{folder}/buffer_subbuf_size_kb"));
    TraceRings {
        instance,
        size_kb: cpus
            .unwrap_or_default()
            .into_iter()
            .filter_map(size)
            .collect(),
        piece_kb: piece.and_then(|text| decimal(&text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Root;

    #[test]
    fn rings_of_all_instances() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join("sys/kernel/tracing").join(path);
        let write = |path: &str, text: &str| {
            std::fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            std::fs::write(at(path), text).unwrap();
        };
        let root = Root::open(folder.path()).unwrap();
        assert_eq!(read_trace_rings(&root), Err(Unread::NotThere));
        write("per_cpu/cpu0/buffer_size_kb", "7 (expanded: 1408)\n");
        write("per_cpu/cpu1/buffer_size_kb", "7 (expanded: 1408)\n");
        write("instances/x/per_cpu/cpu0/buffer_size_kb", "1408\n");
        write("instances/x/buffer_subbuf_size_kb", "8\n");
        let rings = read_trace_rings(&root).unwrap();
        assert_eq!(rings.len(), 2);
        // Two pages and the reader's, for each CPU.
        assert_eq!(rings[0].bytes(4096), 2 * 3 * 4096);
        assert_eq!(rings[1].instance.as_deref(), Some("x"));
        // 1,441,792 bytes are 176.3 times 8,176.
        assert_eq!(rings[1].bytes(4096), 178 * 8192);
        // 354 pages: 1,441,792 bytes are 353.4 times 4,080.
        let plain = TraceRings {
            piece_kb: None,
            ..rings[1].clone()
        };
        assert_eq!(plain.bytes(4096), 355 * 4096);
    }
}
