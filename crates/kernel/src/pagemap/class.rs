//! The classes: one a page, and they add up to all pages.

/// What a page is used for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Class {
    /// Has a `struct page`, but there is no memory behind it.
    Hole,
    /// Its `struct page` cannot be read.
    Unknown,
    /// Free, in the buddy allocator.
    Free,
    /// Free, on a per-CPU list.
    FreePcp,
    /// Slab.
    Slab,
    /// `kmalloc` too large for a slab, where page types tell it (6.15 on).
    LargeKmalloc,
    /// Anonymous user memory, mapped or in the swap cache.
    Anon,
    /// Page cache of files and block devices.
    File,
    /// Shared memory and tmpfs.
    Shmem,
    /// hugetlb pools.
    Hugetlb,
    /// Page tables.
    PageTable,
    /// `vmalloc` memory, modules included.
    Vmalloc,
    /// Kernel stacks.
    KernelStack,
    /// Per-CPU memory.
    PerCpu,
    /// The kernel's own code and data.
    KernelImage,
    /// The memory map itself.
    MemMap,
    /// Set aside at boot.
    Reserved,
    /// Set aside for the crash kernel.
    CrashKernel,
    /// Taken offline, or given to the hypervisor by a balloon.
    Offline,
    /// Taken out of use for a memory error.
    HwPoison,
    /// Owned by a page_pool of a network driver.
    PagePool,
    /// zsmalloc, where page types tell it (6.11 on).
    Zsmalloc,
    /// Cache or user page that has lost its owner but not its last reference.
    Detached,
    /// Allocated, and none of the above: what no counter shows.
    Raw,
    /// Changed hands while a live host was looked at: words in it count as references,
    /// whoever has it.
    Moving,
}

impl Class {
    /// Every class, in the order of the ledger.
    pub const ALL: &[Class] = &[
        Class::Free,
        Class::FreePcp,
        Class::Anon,
        Class::File,
        Class::Shmem,
        Class::Hugetlb,
        Class::Slab,
        Class::LargeKmalloc,
        Class::PageTable,
        Class::Vmalloc,
        Class::KernelStack,
        Class::PerCpu,
        Class::PagePool,
        Class::Zsmalloc,
        Class::Offline,
        Class::HwPoison,
        Class::KernelImage,
        Class::MemMap,
        Class::Reserved,
        Class::CrashKernel,
        Class::Hole,
        Class::Unknown,
        Class::Moving,
        Class::Detached,
        Class::Raw,
    ];

    /// Name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Class::Hole => "hole",
            Class::Unknown => "unknown",
            Class::Free => "free",
            Class::FreePcp => "free_pcp",
            Class::Slab => "slab",
            Class::LargeKmalloc => "large_kmalloc",
            Class::Anon => "anonymous",
            Class::File => "file",
            Class::Shmem => "shmem",
            Class::Hugetlb => "hugetlb",
            Class::PageTable => "page_table",
            Class::Vmalloc => "vmalloc",
            Class::KernelStack => "kernel_stack",
            Class::PerCpu => "percpu",
            Class::KernelImage => "kernel_image",
            Class::MemMap => "memmap",
            Class::Reserved => "reserved",
            Class::CrashKernel => "crash_kernel",
            Class::Offline => "offline",
            Class::HwPoison => "hwpoison",
            Class::PagePool => "page_pool",
            Class::Zsmalloc => "zsmalloc",
            Class::Detached => "detached",
            Class::Raw => "raw",
            Class::Moving => "moving",
        }
    }

    /// The class of a name that [`name`](Self::name) gives.
    pub fn from_name(name: &str) -> Option<Class> {
        Class::ALL
            .iter()
            .copied()
            .find(|class| class.name() == name)
    }

    /// Whether a page of this class is nobody's as far as counters go.
    pub fn is_unaccounted(self) -> bool {
        matches!(self, Class::Raw | Class::Detached)
    }

    /// Whether the orphan census decides over a page of this class: pages that
    /// no counter shows, and those of page_pools, which are marked as theirs
    /// also when nobody has them any more.
    pub fn is_censused(self) -> bool {
        self.is_unaccounted() || self == Class::PagePool
    }

    /// Whether words in such a page are references once it is itself held
    /// (census rule 5): what sk_buffs are built in lies in pages of pools too.
    pub fn is_read_when_held(self) -> bool {
        matches!(self, Class::Raw | Class::PagePool)
    }

    /// Whether words in such a page are references (census rules 1 and 2).
    /// Slab pages are, except for their free objects.
    pub fn is_root(self) -> bool {
        match self {
            Class::Slab
            | Class::LargeKmalloc
            | Class::PageTable
            | Class::Vmalloc
            | Class::KernelStack
            | Class::PerCpu
            | Class::KernelImage
            | Class::Reserved
            | Class::Moving => true,
            Class::Hole
            | Class::Unknown
            | Class::Free
            | Class::FreePcp
            | Class::Anon
            | Class::File
            | Class::Shmem
            | Class::Hugetlb
            | Class::MemMap
            | Class::CrashKernel
            | Class::Offline
            | Class::HwPoison
            | Class::PagePool
            | Class::Zsmalloc
            | Class::Detached
            | Class::Raw => false,
        }
    }

    pub(super) fn from_code(code: u8) -> Class {
        Class::ALL
            .iter()
            .copied()
            .find(|&class| class as u8 == code)
            .unwrap_or(Class::Unknown)
    }
}
