//! A whole machine in 256 MiB: memory that a kernel's own structures describe, as a
//! crash leaves it, and pages that its network driver has lost.
//!
//! Layouts are those of Linux 3.10, 4.13 and 5.4 on x86_64, read in their source: each
//! file names the files it follows, `era` has what differs. The configuration is a
//! distribution's: NUMA with 64 nodes, sparse memory with vmemmap, SLUB, stacks in
//! vmalloc memory, memory cgroups; no KASLR, so that every address is where the source
//! says.

#![allow(clippy::expect_used, reason = "a machine that does not fit panics")]

mod addresses;
mod build;
mod debug;
mod era;
mod frames;
mod kallsyms;
mod log;
mod memmap;
mod net;
mod nodes;
mod processes;
mod slab;
mod tables;
mod variables;
mod vmalloc;
mod vmcoreinfo;

use crate::Image;
use build::Build;
use era::Era;

/// The address of `bond0` and, since it has slaves, of `em1` and `em2`.
pub const BOND_MAC: [u8; 6] = [0x24, 0x6e, 0x96, 0x43, 0x3e, 0x38];

/// The build id in the notes of the machine's kernel.
pub const BUILD_ID: [u8; 20] = *b"a build id of synth.";

/// What may differ between two machines.
#[derive(Clone, Debug)]
pub struct Options {
    /// `uname -r`.
    pub release: String,
    /// `uname -v`.
    pub version: String,
    /// The compiler, as the banner names it.
    pub compiler: String,
    /// Where in a page received frames begin.
    pub frames_at: Vec<usize>,
    /// The log still has its first line; if not, later ones were written over it.
    pub banner: bool,
    /// The kernel has tables of its symbols.
    pub kallsyms: bool,
    /// Pages that the driver has lost.
    pub lost: usize,
}

impl Options {
    /// What `linux_banner` and the log's first line say.
    pub fn banner_text(&self) -> String {
        format!(
            "Linux version {} (root@build) ({}) {}",
            self.release, self.compiler, self.version
        )
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            release: "4.13.9".to_owned(),
            version: "#1 SMP Sun Oct 22 09:14:33 UTC 2017".to_owned(),
            compiler: "gcc version 7.2.0 (GCC)".to_owned(),
            frames_at: vec![0],
            banner: true,
            kallsyms: true,
            lost: 3000,
        }
    }
}

/// A machine, and what is true of it.
pub struct Crashed {
    /// Its memory; free, file and anonymous pages are left out.
    pub image: Image,
    /// Frames that the driver has lost.
    pub lost: Vec<u64>,
    /// Frames with received data that a ring of the driver still has.
    pub in_rings: Vec<u64>,
    /// Frames that nothing but variables of the kernel name.
    pub held: Vec<u64>,
    /// Frames of the page cache.
    pub cached: Vec<u64>,
    /// Frames of a file in memory.
    pub shmem: Vec<u64>,
    /// Frames of stacks, modules and whatever else `vmalloc()` gave.
    pub vmalloc: Vec<u64>,
    /// Frames of processes' own memory.
    pub anon: Vec<u64>,
    /// Frames of slabs, all of each.
    pub slabs: Vec<u64>,
    /// Symbols of variables with their addresses.
    pub symbols: Vec<(String, u64)>,
    /// Free frames on lists of CPUs.
    pub on_cpus: Vec<u64>,
}

/// The kernels a machine may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 3.10: compound pages by flags, 56 exported facts, the log of `struct log`.
    V3_10,
    /// 4.13: nothing marks page tables.
    V4_13,
    /// 5.4: `struct page` in its new order, the direct map where it is now.
    V5_4,
}

impl Version {
    /// What a machine of this kernel has where nothing else is wanted.
    pub fn options(self) -> Options {
        Options {
            release: self.era().release.to_owned(),
            ..Options::default()
        }
    }

    /// C whose debug information has the structs of this kernel, as far as the machine
    /// has them.
    pub fn debug_source(self) -> String {
        debug::source(self.era())
    }

    fn era(self) -> &'static Era {
        match self {
            Version::V3_10 => &era::V3_10,
            Version::V4_13 => &era::V4_13,
            Version::V5_4 => &era::V5_4,
        }
    }
}

/// A machine with a 4.13 kernel.
pub fn v4_13(options: &Options) -> Crashed {
    machine(Version::V4_13, options)
}

/// A machine with the kernel `version`.
pub fn machine(version: Version, options: &Options) -> Crashed {
    let mut build = Build::new(version.era());
    build.name_kernel(options);
    build.map_memory();
    build.place_sections();
    build.place_percpu();
    let cached = build.cache_file(1200);
    let shmem = build.keep_file(150);
    let anon = build.run_processes();
    build.load_driver();
    let in_rings = build.fill_rings(&options.frames_at);
    let lost = build.lose(options.lost, &options.frames_at);
    let held = build.hold(32);
    build.write_log(options);
    let text = build.write_vmcoreinfo(options);
    let slabs = build.finish_slabs();
    build.place_node();
    if options.kallsyms {
        build.write_kallsyms();
    }
    Crashed {
        lost,
        in_rings,
        held,
        cached,
        shmem,
        anon,
        slabs,
        symbols: build.variables.all(),
        vmalloc: build.areas.frames.clone(),
        on_cpus: build.on_cpus.clone(),
        image: build.finish(&text, options),
    }
}
