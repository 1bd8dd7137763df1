//! Addresses and page frame numbers as distinct types.

use std::fmt;

/// No machine has wider physical addresses (x86-64: 52 bits, arm64 LPA2: 52).
pub(crate) const PHYS_END: u64 = 1 << 52;

/// log2 of the page size where nothing says it: most kernels use pages of 4 KiB.
pub(crate) const DEFAULT_PAGE_SHIFT: u32 = 12;

/// A physical address of the dumped machine, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PhysAddr(pub u64);

/// A kernel (or user) virtual address of the dumped machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VirtAddr(pub u64);

/// A page frame number: a physical address divided by the page size.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Pfn(pub u64);

impl PhysAddr {
    /// The frame this address lies in, for pages of `1 << page_shift` bytes.
    pub fn pfn(self, page_shift: u32) -> Pfn {
        Pfn(self.0 >> page_shift)
    }
}

impl VirtAddr {
    /// The address `bytes` further up, wrapping as the hardware does.
    #[must_use]
    #[allow(
        clippy::should_implement_trait,
        reason = "`+` would hide that it wraps"
    )]
    pub fn add(self, bytes: u64) -> VirtAddr {
        VirtAddr(self.0.wrapping_add(bytes))
    }
}

impl Pfn {
    /// The first byte of this frame, for pages of `1 << page_shift` bytes.
    pub fn addr(self, page_shift: u32) -> PhysAddr {
        PhysAddr(self.0 << page_shift)
    }
}

/// A half-open range of page frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct PfnRange {
    /// First frame of the range.
    pub start: Pfn,
    /// First frame after the range.
    pub end: Pfn,
}

impl PfnRange {
    /// Number of frames in the range; an inverted range is empty.
    pub fn len(self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// Whether the range holds no frame.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether `pfn` lies in the range.
    pub fn contains(self, pfn: Pfn) -> bool {
        self.start <= pfn && pfn < self.end
    }
}

macro_rules! hex_fmt {
    ($type:ident) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({:#x})"), self.0)
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
        impl fmt::LowerHex for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }
    };
}
hex_fmt!(PhysAddr);
hex_fmt!(VirtAddr);
hex_fmt!(Pfn);
