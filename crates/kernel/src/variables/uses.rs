//! Addresses of data that the kernel's arm64 code is made to load: a page by `adrp`,
//! and the rest by what follows (Arm Architecture Reference Manual, C6.2).

use std::ops::Range;

use pagehound_vmcore::{Machine, VirtAddr};

use crate::kernel::{IMAGE_LIMIT, Kernel};
use crate::sweep::sweep;

/// Instructions after an `adrp` within which its register is used: compilers put
/// few others between.
const AHEAD: usize = 12;
/// A variable reaches at most so far behind where code has its address; a larger
/// one has others.
const REACH: u64 = 4096;

/// Which code has the address of which data.
pub(crate) struct Uses {
    /// Address and the instruction that has it, ascending.
    all: Vec<(u64, u64)>,
}

impl Uses {
    /// Reads the kernel's code; of another machine than arm64 there are none.
    pub(crate) fn read(kernel: &Kernel<'_>) -> Uses {
        let symbol = |name| kernel.symbols.as_ref()?.address(name);
        let start = kernel.vmcoreinfo.symbol("_stext");
        let Some(start) = start.filter(|_| kernel.memory.space.machine == Machine::Aarch64) else {
            return Uses { all: Vec::new() };
        };
        let end = symbol("_etext").filter(|end| *end > start);
        Uses::within(kernel, start..end.unwrap_or(start.add(IMAGE_LIMIT)))
    }

    fn within(kernel: &Kernel<'_>, code: Range<VirtAddr>) -> Uses {
        let mut all = Vec::new();
        let overlap = AHEAD as u64 * 4;
        sweep(&kernel.memory, code.start, code.end, overlap, |window| {
            let code: Vec<u32> = window
                .bytes
                .as_chunks()
                .0
                .iter()
                .map(|bytes| u32::from_le_bytes(*bytes))
                .collect();
            for (index, pc) in (window.base..).step_by(4).enumerate().take(code.len()) {
                if let Some(rest) = code.get(index..).filter(|_| window.own.contains(&pc))
                    && let Some(address) = loaded(rest, pc)
                {
                    all.push((address, pc));
                }
            }
            None::<()>
        });
        all.sort_unstable();
        Uses { all }
    }

    /// What code between two addresses uses, ascending.
    pub(crate) fn of(kernel: &Kernel<'_>, code: Range<VirtAddr>) -> Vec<VirtAddr> {
        let uses = Uses::within(kernel, code);
        let mut used: Vec<VirtAddr> = uses.all.iter().map(|(at, _)| VirtAddr(*at)).collect();
        used.dedup();
        used
    }

    /// An instruction that has the address of the variable at `addr`, or of one that
    /// reaches there.
    pub(crate) fn user(&self, addr: VirtAddr) -> Option<VirtAddr> {
        let after = self.all.partition_point(|&(at, _)| at <= addr.0);
        let &(at, _) = self.all.get(after.checked_sub(1)?)?;
        if addr.0 - at >= REACH {
            return None;
        }
        let first = self.all.partition_point(|&(other, _)| other < at);
        self.all.get(first).map(|&(_, pc)| VirtAddr(pc))
    }
}

/// The address that code beginning with an `adrp` at `pc` comes to.
fn loaded(code: &[u32], pc: u64) -> Option<u64> {
    let &adrp = code.first()?;
    if adrp & 0x9f00_0000 != 0x9000_0000 {
        return None;
    }
    let register = adrp & 31;
    let pages = (adrp >> 29 & 3) | (adrp >> 5 & 0x7_ffff) << 2;
    // 21 bits, signed.
    let pages = i64::from(pages << 11) << 32 >> 43;
    let page = (pc & !0xfff).wrapping_add_signed(pages << 12);
    for &instruction in code.iter().skip(1).take(AHEAD) {
        let base = instruction >> 5 & 31;
        let low = u64::from(instruction >> 10 & 0xfff);
        if base == register {
            // ADD (immediate), 64-bit, not shifted.
            if instruction & 0xffc0_0000 == 0x9100_0000 {
                return Some(page.wrapping_add(low));
            }
            // LDR and STR (unsigned immediate), scaled by the size; 128-bit ones say
            // so in the first bit of `opc`.
            if instruction & 0x3b00_0000 == 0x3900_0000 {
                let wide = instruction & 0x0480_0000 == 0x0480_0000;
                let scale = (instruction >> 30) + if wide { 4 } else { 0 };
                return Some(page.wrapping_add(low << scale));
            }
        }
        // Another page into the same register.
        if instruction & 0x9f00_001f == 0x9000_0000 | register {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes as GNU as 2.40 has them for the instructions beside.
    #[test]
    fn addresses_are_those_the_code_comes_to() {
        let pc = 0xffff_8000_0801_0ffc;
        // adrp x0, . + 0x1000; mov x1, x2; add x0, x0, #0x123
        let code = [0xb000_0000, 0xaa02_03e1, 0x9104_8c00];
        assert_eq!(loaded(&code, pc), Some(0xffff_8000_0801_1123));
        // adrp x3, . - 0x1000; ldr w4, [x3, #8]
        let code = [0xf0ff_ffe3, 0xb940_0864];
        assert_eq!(loaded(&code, pc), Some(0xffff_8000_0800_f008));
        // adrp x3, .; str x4, [x3, #0x10]
        let code = [0x9000_0003, 0xf900_0864];
        assert_eq!(loaded(&code, pc), Some(0xffff_8000_0801_0010));
        // adrp x3, .; ldr q0, [x3, #0x20]
        let code = [0x9000_0003, 0x3dc0_0860];
        assert_eq!(loaded(&code, pc), Some(0xffff_8000_0801_0020));
        // Another register; an instruction that is no adrp; none at all.
        assert_eq!(loaded(&[0x9000_0003, 0xf900_0884], pc), None);
        assert_eq!(loaded(&[0xaa02_03e1, 0x9104_8c00], pc), None);
        assert_eq!(loaded(&[], pc), None);
    }
}
