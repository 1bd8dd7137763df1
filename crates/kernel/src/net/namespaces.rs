//! Network namespaces, also on kernels whose symbols do not name them.

use std::collections::HashSet;

use pagehound_vmcore::VirtAddr;

use super::whole_or_part;
use crate::kernel::{Kernel, KernelError};
use crate::layouts::Field;
use crate::sweep::sweep;
use crate::virt::VirtualRead;

/// More namespaces than a host has.
const MOST_NAMESPACES: usize = 1 << 15;
/// How far from `init_uts_ns` the kernel's other data can lie.
const DATA_SPAN: u64 = 16 << 20;

impl Kernel<'_> {
    /// Addresses of all `struct net`, `init_net` first.
    pub(super) fn net_namespaces(&self) -> Result<Vec<VirtAddr>, KernelError> {
        let first = match self.address("init_net") {
            Some(first) => first,
            None => self
                .net_namespace_of_init()
                .ok_or(KernelError::NoSymbol("init_net"))?,
        };
        let mut namespaces = vec![first];
        let listed = match self.address("net_namespace_list") {
            Some(head) => whole_or_part(self.list_of(head, Field::NetList, MOST_NAMESPACES)),
            // The list is a ring: it can be entered anywhere, and then its head
            // is met among the namespaces.
            None => {
                let ring = self.member(first, Field::NetList)?;
                let mut all = whole_or_part(self.list_of(ring, Field::NetList, MOST_NAMESPACES));
                all.retain(|&namespace| self.is_net_namespace(namespace));
                all
            }
        };
        namespaces.extend(listed);
        let mut seen = HashSet::new();
        namespaces.retain(|namespace| seen.insert(*namespace));
        Ok(namespaces)
    }

    /// `init_net` through `init_nsproxy`, which has a pointer to it beside one
    /// to `init_uts_ns`, whose address VMCOREINFO tells: kernels without
    /// CONFIG_KALLSYMS_ALL have no symbols for data.
    fn net_namespace_of_init(&self) -> Option<VirtAddr> {
        let uts = self.vmcoreinfo.symbol("init_uts_ns")?;
        let to_uts = self.layouts.get(Field::NsproxyUtsNs)?.offset;
        let to_net = self.layouts.get(Field::NsproxyNetNs)?.offset;
        let (start, end) = (
            VirtAddr(uts.0.saturating_sub(DATA_SPAN) & !7),
            VirtAddr(uts.0.saturating_add(DATA_SPAN)),
        );
        let (found, _) = sweep(&self.memory, start, end, 0, |window| {
            let words = window.bytes.chunks_exact(8).zip((window.base..).step_by(8));
            let at = words.filter(|(word, _)| **word == uts.0.to_le_bytes());
            at.map(|(_, at)| VirtAddr(at.wrapping_sub(to_uts).wrapping_add(to_net)))
                .filter_map(|at| self.memory.ptr(at).ok())
                .find(|&namespace| self.is_net_namespace(namespace))
        });
        found
    }

    /// Whether a `struct net` lies there: its first device is its loopback.
    fn is_net_namespace(&self, namespace: VirtAddr) -> bool {
        let loopback = || {
            let head = self.member(namespace, Field::NetDevBaseHead).ok()?;
            let first = self.memory.ptr(head).ok()?;
            let link = self.layouts.get(Field::NetDevList)?.offset;
            let device = VirtAddr(first.0.wrapping_sub(link));
            let name = self.member(device, Field::NetDevName).ok()?;
            let index = self.field(device, Field::NetDevIfindex).ok()?;
            Some(index == 1 && self.memory.cstr(name, 16).ok()? == b"lo")
        };
        loopback() == Some(true)
    }
}
