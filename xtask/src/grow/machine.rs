//! The machine of the base dump, open for changes.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context, Result, ensure};
use pagehound_kernel::Kernel;
use pagehound_kernel::layouts::Field;
use pagehound_vmcore::{PageState, Pfn, VirtAddr};

use super::PAGE;

/// Memory of the base with changes, and frames of the new memory.
pub(super) struct Machine<'k> {
    pub(super) kernel: &'k Kernel<'k>,
    changed: BTreeMap<u64, Vec<u8>>,
    /// Frames of the new memory to be had, [`take`](Self::take) by take.
    left: Range<u64>,
}

impl<'k> Machine<'k> {
    pub(super) fn new(kernel: &'k Kernel<'k>, new: Range<u64>) -> Self {
        let changed = new.clone().map(|pfn| (pfn, vec![0; PAGE as usize]));
        Self {
            kernel,
            changed: changed.collect(),
            left: new,
        }
    }

    /// A frame of the new memory, all zeroes.
    pub(super) fn take(&mut self) -> Result<u64> {
        self.left.next().context("too few frames were set aside")
    }

    /// Whether a frame was changed.
    pub(super) fn has(&self, pfn: u64) -> bool {
        self.changed.contains_key(&pfn)
    }

    /// A page as it is now; one that the base left out is zero.
    pub(super) fn read_page(&self, pfn: u64, page: &mut [u8]) -> Result<()> {
        let memory = self.kernel.dump.memory.as_ref();
        match self.changed.get(&pfn) {
            Some(bytes) => page.copy_from_slice(bytes),
            None if memory.state(Pfn(pfn)) == PageState::Excluded => page.fill(0),
            None => memory.read_page(Pfn(pfn), page)?,
        }
        Ok(())
    }

    /// Writes at a physical address, within a page.
    pub(super) fn write(&mut self, phys: u64, bytes: &[u8]) -> Result<()> {
        let (pfn, offset) = (phys / PAGE, (phys % PAGE) as usize);
        if !self.has(pfn) {
            let mut page = vec![0; PAGE as usize];
            self.read_page(pfn, &mut page)?;
            self.changed.insert(pfn, page);
        }
        let page = self.changed.get_mut(&pfn).context("a page of its own")?;
        let part = page.get_mut(offset..offset + bytes.len());
        part.context("crosses a page")?.copy_from_slice(bytes);
        Ok(())
    }

    /// A word at a physical address.
    pub(super) fn word(&self, phys: u64) -> Result<u64> {
        let mut page = vec![0; PAGE as usize];
        self.read_page(phys / PAGE, &mut page)?;
        let at = (phys % PAGE) as usize;
        let bytes = page.get(at..at + 8).context("crosses a page")?;
        Ok(u64::from_le_bytes(bytes.try_into()?))
    }

    /// Where a virtual address of the base lies.
    pub(super) fn phys(&self, at: VirtAddr) -> Result<u64> {
        Ok(self.kernel.phys(at)?.0)
    }

    /// The address in the direct map of a physical address, new memory included.
    pub(super) fn direct(&self, phys: u64) -> u64 {
        let direct = &self.kernel.memory.space.direct;
        direct
            .virt
            .start
            .wrapping_add(phys.wrapping_sub(direct.phys))
    }

    /// Sets a word at a virtual address of the base.
    pub(super) fn set(&mut self, at: VirtAddr, value: u64) -> Result<()> {
        let phys = self.phys(at)?;
        self.write(phys, &value.to_le_bytes())
    }

    /// Adds to a word at a virtual address of the base.
    pub(super) fn add(&mut self, at: VirtAddr, more: u64) -> Result<()> {
        let value = self.word(self.phys(at)?)?;
        self.set(at, value.wrapping_add(more))
    }

    /// The place of a member that pagehound does not read.
    pub(super) fn member(&self, path: &str) -> Result<u64> {
        let btf = self
            .kernel
            .types
            .as_ref()
            .context("the base has no types")?;
        let member = btf.member(path);
        Ok(member.with_context(|| format!("BTF has no {path}"))?.offset)
    }

    /// Adds to a member of the structure at `base`.
    pub(super) fn add_field(&mut self, base: VirtAddr, field: Field, more: u64) -> Result<()> {
        let place = self.kernel.layouts.place(field)?;
        ensure!(place.size == 8, "{} is no word", field.name());
        self.add(base.add(place.offset), more)
    }
}
