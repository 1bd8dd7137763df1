//! What an `sk_buff` is built in: fragments, and its head where that lies in a
//! page and not in a slab.

use std::collections::HashSet;

use pagehound_vmcore::VirtAddr;

use super::Search;
use crate::layouts::Field;
use crate::virt::VirtualRead;

/// A fragment: the page, or what stands for it, then length and offset
/// (`bio_vec` up to 6.8, `skb_frag` before and since).
pub(super) const FRAG: u64 = 16;
/// Red-black trees deeper than this hold more than memory does.
const DEEPEST: usize = 64;

impl Search<'_> {
    /// The buffers of a queue whose `sk_buff_head` lies at `queue`.
    pub(super) fn skb_queue(&mut self, owner: u32, queue: VirtAddr, what: &str) {
        let kernel = self.kernel;
        let Ok(first) = kernel.memory.ptr(queue) else {
            return;
        };
        self.below(what, queue, |search| {
            let mut seen = HashSet::new();
            let mut skb = first;
            while skb.0 != 0 && skb != queue && seen.insert(skb) && search.left > 0 {
                search.skb(owner, skb, 0);
                match kernel.pointer(skb, Field::SkbNext) {
                    Ok(next) => skb = next,
                    Err(_) => break,
                }
            }
        });
    }

    /// The buffers of a tree whose `rb_root` lies at `root`; they begin with
    /// their `rb_node`: the colour and parent, right, left.
    pub(super) fn skb_tree(&mut self, owner: u32, root: VirtAddr, what: &str) {
        let kernel = self.kernel;
        let Ok(first) = kernel.memory.ptr(root) else {
            return;
        };
        self.below(what, root, |search| {
            let mut seen = HashSet::new();
            let mut waiting = vec![first];
            while let Some(skb) = waiting.pop() {
                let known = skb.0 == 0 || !seen.insert(skb);
                if known || waiting.len() > DEEPEST || search.left == 0 {
                    continue;
                }
                search.skb(owner, skb, 0);
                waiting
                    .extend([8, 16].map(|at| kernel.memory.ptr(skb.add(at)).unwrap_or_default()));
            }
        });
    }

    /// One buffer, with those it is a list of.
    fn skb(&mut self, owner: u32, skb: VirtAddr, depth: usize) {
        let kernel = self.kernel;
        let place = || {
            let head = kernel.pointer(skb, Field::SkbHead)?;
            let end = kernel.field(skb, Field::SkbEnd)?;
            Ok::<_, crate::kernel::KernelError>((head, end))
        };
        let Ok((head, end)) = place() else { return };
        // `end` counts from `head` on 64-bit kernels.
        let shared = head.add(end);
        self.below("sk_buff", skb, |search| {
            search.memory(owner, head, 1);
            let Ok(frags) = kernel.field(shared, Field::SharedFrags) else {
                return;
            };
            let Some(array) = kernel.layouts.get(Field::SharedFragArray) else {
                return;
            };
            for index in 0..frags.min(array.size / FRAG) {
                let frag = shared.add(array.offset + index * FRAG);
                if let Ok(page) = kernel.memory.ptr(frag) {
                    search.below("skb_frag", frag, |search| search.page(owner, page));
                }
            }
            let mut next = kernel
                .pointer(shared, Field::SharedFragList)
                .unwrap_or_default();
            let mut seen = HashSet::new();
            while next.0 != 0 && depth < 2 && seen.insert(next) && search.left > 0 {
                search.skb(owner, next, depth + 1);
                next = kernel.pointer(next, Field::SkbNext).unwrap_or_default();
            }
        });
    }
}
