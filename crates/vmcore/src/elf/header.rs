//! The headers of an ELF core, checked.

use zerocopy::{FromZeros, IntoBytes};

use super::layout::{EM_AARCH64, EM_X86_64, ET_CORE, Ehdr, PN_XNUM, PT_LOAD, PT_NOTE, Phdr, Shdr};
use crate::addr::PHYS_END;
use crate::error::Defect;
use crate::notes::{Note, read_notes};
use crate::ranges::Range;
use crate::source::Source;
use crate::{LoadSegment, Machine, PhysAddr, VirtAddr};

/// What the headers say.
#[derive(Default)]
pub(super) struct Headers {
    pub(super) machine: Option<Machine>,
    pub(super) segments: Vec<LoadSegment>,
    /// The segments that have a physical address.
    pub(super) ranges: Vec<Range>,
    pub(super) notes: Vec<Note>,
    /// Offset behind the table of program headers.
    end: u64,
    /// The table of program headers ends beyond the file.
    pub(super) cut_short: bool,
    /// Segments contradict each other.
    pub(super) contradict: bool,
    pub(super) warnings: Vec<String>,
}

/// An ELF file of another kind than a core of a machine.
pub(super) enum Mismatch {
    /// `e_type` is not `ET_CORE`.
    NotACore(u16),
    /// Not 64-bit little-endian.
    OtherClass,
    /// The core of a process.
    Process,
    /// Tables that contradict themselves.
    Defect(Defect),
}

impl From<Defect> for Mismatch {
    fn from(defect: Defect) -> Self {
        Self::Defect(defect)
    }
}

fn defect(field: &'static str, offset: u64, problem: String) -> Defect {
    Defect {
        format: "ELF core",
        field,
        offset,
        problem,
    }
}

impl Headers {
    /// Reads the headers, at most `most` of them, and the notes they point to.
    pub(super) fn read(source: &Source, most: u64) -> Result<Self, Mismatch> {
        let mut ehdr = Ehdr::new_zeroed();
        source
            .read_at(0, ehdr.as_mut_bytes())
            .map_err(|e| defect("Elf64_Ehdr", 0, e.to_string()))?;
        let [_, _, _, _, class, data, ..] = ehdr.e_ident;
        if (class, data) != (super::layout::ELFCLASS64, super::layout::ELFDATA2LSB) {
            return Err(Mismatch::OtherClass);
        }
        if ehdr.e_type.get() != ET_CORE {
            return Err(Mismatch::NotACore(ehdr.e_type.get()));
        }
        if usize::from(ehdr.e_phentsize.get()) != size_of::<Phdr>() {
            let problem = format!("{}, expected 56", ehdr.e_phentsize.get());
            return Err(defect("e_phentsize", 54, problem).into());
        }
        let mut headers = Self::default();
        match ehdr.e_machine.get() {
            EM_X86_64 => headers.machine = Some(Machine::X86_64),
            EM_AARCH64 => headers.machine = Some(Machine::Aarch64),
            other => headers.warnings.push(format!(
                "e_machine {other} is neither x86_64 (62) nor aarch64 (183)"
            )),
        }
        let phnum = phnum(source, &ehdr)?;
        if phnum > most {
            let problem = format!("{phnum}, expected at most {most}");
            return Err(defect("e_phnum", 56, problem).into());
        }
        headers.read_program_headers(source, ehdr.e_phoff.get(), phnum)?;
        if headers.segments.is_empty() {
            let problem = "no PT_LOAD segment".to_owned();
            return Err(defect("e_phnum", 56, problem).into());
        }
        Ok(headers)
    }

    fn read_program_headers(
        &mut self,
        source: &Source,
        phoff: u64,
        phnum: u64,
    ) -> Result<(), Defect> {
        const SIZE: u64 = size_of::<Phdr>() as u64;
        let stored = source.len().saturating_sub(phoff) / SIZE;
        if stored == 0 {
            let problem = format!("{phoff:#x} lies beyond the end of the file");
            return Err(defect("e_phoff", 32, problem));
        }
        self.cut_short = stored < phnum;
        let mut note_bytes = 0u64;
        for index in 0..phnum.min(stored) {
            let mut phdr = Phdr::new_zeroed();
            let at = phoff + index * SIZE; // within the file
            if source.read_at(at, phdr.as_mut_bytes()).is_err() {
                self.cut_short = true;
                self.end = at;
                return Ok(());
            }
            match phdr.p_type.get() {
                PT_NOTE => {
                    let (offset, size) = (phdr.p_offset.get(), phdr.p_filesz.get());
                    // Together they are no longer than the file, or some of them are
                    // the same bytes: those would be kept as often as they are named.
                    let stored = size.min(source.len().saturating_sub(offset));
                    note_bytes = note_bytes.saturating_add(stored);
                    if note_bytes <= source.stored_len() {
                        read_notes(source, offset, size, &mut self.notes);
                    }
                }
                PT_LOAD => self.add_segment(&phdr),
                _ => {}
            }
        }
        self.end = phoff + phnum.min(stored) * SIZE;
        Ok(())
    }

    /// No byte of a core is memory at two addresses, or the headers' own. Of segments
    /// that say so one is wrong, and nobody knows which: none is memory.
    pub(super) fn leave_out_contradictions(&mut self) {
        let mut by_offset: Vec<usize> = (0..self.ranges.len()).collect();
        by_offset.retain(|&index| self.ranges.get(index).is_some_and(|range| range.stored > 0));
        by_offset.sort_by_key(|&index| self.ranges.get(index).map(|range| range.at));
        let mut wrong = vec![false; self.ranges.len()];
        // The one that reaches furthest of those so far.
        let mut furthest: Option<(usize, Range)> = None;
        for index in by_offset {
            let Some(&range) = self.ranges.get(index) else {
                continue;
            };
            let mut set =
                |index: usize| wrong.iter_mut().skip(index).take(1).for_each(|w| *w = true);
            // Then it is this one, whatever else it meets.
            if range.at < self.end {
                set(index);
                continue;
            }
            let end = |range: &Range| range.at + range.stored;
            if let Some((other, before)) = furthest
                && range.at < end(&before)
                && range.start.wrapping_sub(range.at) != before.start.wrapping_sub(before.at)
            {
                set(index);
                set(other);
            }
            if furthest.is_none_or(|(_, before)| end(&before) < end(&range)) {
                furthest = Some((index, range));
            }
        }
        let all = self.ranges.len();
        let mut is_wrong = wrong.into_iter();
        self.ranges.retain(|_| is_wrong.next() != Some(true));
        let left_out = all - self.ranges.len();
        if left_out > 0 {
            self.contradict = true;
            self.warnings.push(format!(
                "{left_out} PT_LOAD segments are left out: by their p_offset they share bytes of the file \
                 with memory elsewhere or with the headers; the program headers are damaged"
            ));
        }
    }

    fn add_segment(&mut self, phdr: &Phdr) {
        let (paddr, offset) = (phdr.p_paddr.get(), phdr.p_offset.get());
        // QEMU writes p_offset -1 for memory it did not save.
        let filesz = if offset == u64::MAX {
            0
        } else {
            phdr.p_filesz.get()
        };
        let memsz = phdr.p_memsz.get().max(filesz);
        self.segments.push(LoadSegment {
            vaddr: VirtAddr(phdr.p_vaddr.get()),
            paddr: PhysAddr(paddr),
            memsz,
            filesz,
            offset,
        });
        // Kernels mark segments without a physical address by -1.
        if paddr == u64::MAX {
            return;
        }
        let fits = paddr.checked_add(memsz).is_some_and(|end| end <= PHYS_END)
            && (filesz == 0 || offset.checked_add(filesz).is_some());
        if fits {
            self.ranges.push(Range {
                start: paddr,
                stored: filesz,
                len: memsz,
                at: offset,
            });
        } else {
            self.warnings.push(format!(
                "a PT_LOAD segment is left out: p_paddr {paddr:#x}, p_memsz {memsz:#x}, p_offset {offset:#x} \
                 is beyond all physical addresses"
            ));
        }
    }

    /// Cores of processes have no physical addresses.
    pub(super) fn is_process(&self) -> bool {
        self.segments.len() > 1 && self.segments.iter().all(|segment| segment.paddr.0 == 0)
    }
}

/// The number of program headers, which may not fit `e_phnum`.
fn phnum(source: &Source, ehdr: &Ehdr) -> Result<u64, Defect> {
    if ehdr.e_phnum.get() != PN_XNUM {
        return Ok(u64::from(ehdr.e_phnum.get()));
    }
    let mut shdr = Shdr::new_zeroed();
    let at = ehdr.e_shoff.get();
    if at == 0 {
        return Ok(u64::from(PN_XNUM));
    }
    source
        .read_at(at, shdr.as_mut_bytes())
        .map_err(|e| defect("section header 0 (PN_XNUM)", at, e.to_string()))?;
    Ok(u64::from(shdr.sh_info.get()))
}
