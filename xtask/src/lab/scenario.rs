//! What a guest plants: plain data, one constant a scenario.

use std::ops::RangeInclusive;

use anyhow::{Context, Result};

use super::frames::Mac;

/// Description of one guest and of all it plants.
#[derive(Clone)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// Guest memory in MiB.
    pub(super) memory: u32,
    pub(super) cpus: u32,
    /// Two devices under bond0 instead of one.
    pub(super) bond: bool,
    /// Kinds that something holds, planted by the module, with their counts.
    pub(super) held: &'static [(&'static str, u32)],
    /// Kinds that nothing holds, likewise.
    pub(super) lost: &'static [(&'static str, u32)],
    /// Kinds taken from received frames, with their counts.
    pub(super) takes: &'static [(&'static str, u32)],
    /// Small frames to end with, which stay in the receive ring: a ring has
    /// 256 slots for each device.
    pub(super) small: u32,
    /// Pipes filled with frames.
    pub(super) pipes: u32,
    /// Files of 16 pages of frames in a ramfs.
    pub(super) files: u32,
    /// Kinds that `lab/guest/holder.c` holds from user space, made before the
    /// traffic, with their counts.
    pub(super) holders: &'static [(&'static str, u32)],
    /// The same, made once everything is lost.
    pub(super) users: &'static [(&'static str, u32)],
    /// KiB of trace buffer a CPU, with events on; 0 for no tracing.
    pub(super) trace: u32,
    /// MiB of a zram device, three quarters of it written, or a file system on
    /// it where there is load; 0 for none.
    pub(super) zram: u32,
    /// MiB of swap behind zswap, on a zram device of its own; 0 for none.
    pub(super) swap: u32,
    /// MiB that the hypervisor's balloon takes; 0 for no balloon.
    pub(super) balloon: u32,
    /// Kinds planted by processes in control groups of their own, below `/planted`
    /// and named like the kind, with their counts; the groups of those that are
    /// lost are removed.
    pub(super) charged: &'static [(&'static str, u32)],
    /// Two NUMA nodes of half the memory and half the processors each, the network
    /// device on a bus of the second; x86_64 only.
    pub(super) numa: bool,
    /// Seconds that `lab/guest/load.c` is at work before the dump; 0 for none.
    pub(super) load: u32,
    /// Whether frames go on arriving until the guest stops.
    pub(super) busy: bool,
    /// Modules of the kernel to load besides those of every guest.
    pub(super) modules: &'static [&'static str],
    /// The network device with its properties, as QEMU's `-device` takes them.
    pub(super) nic: &'static str,
    /// QEMU's options for a machine other than its default.
    pub(super) machine: &'static [&'static str],
    /// Kernel parameters; those of [`Variant::append`] come after them.
    pub(super) append: &'static str,
}

/// How the machine differs from the plain one; independent of what is planted.
#[derive(clap::Args)]
pub(super) struct Variant {
    /// Guest memory in MiB, instead of the scenario's own; at least 112
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(MEMORY))]
    pub(super) memory: Option<u32>,
    /// Kernel parameters to add, such as `init_on_free=0`, `pti=on`, `nokaslr`
    #[arg(long, value_name = "PARAMETERS", default_value = "")]
    pub(super) append: String,
    /// Hardware address of the guest, where the frames go
    #[arg(long, default_value_t = MAC)]
    pub(super) mac: Mac,
    /// Page tables of five levels instead of four
    #[arg(long)]
    pub(super) la57: bool,
    /// Leave out the vmcoreinfo device: the dump then has no such note
    #[arg(long)]
    pub(super) no_vmcoreinfo: bool,
}

impl Variant {
    /// The machine without any difference.
    pub(super) const PLAIN: Self = Self {
        memory: None,
        append: String::new(),
        mac: MAC,
        la57: false,
        no_vmcoreinfo: false,
    };
}

/// From the lab's smallest guest to more than any host has.
const MEMORY: RangeInclusive<i64> = 112..=1 << 20;

/// A locally chosen address in QEMU's range.
const MAC: Mac = Mac::new([0x52, 0x54, 0x00, 0xa1, 0x5e, 0x01]);

const HELD: &[(&str, u32)] = &[
    ("array", 400),
    ("vmalloc", 200),
    ("split", 24),
    ("tagged", 100),
    ("compound", 32),
    ("private", 200),
    ("chain", 200),
    ("stack", 4),
    ("percpu", 1),
    ("objects", 8),
    ("slab", 2000),
];

const LOST: &[(&str, u32)] = &[
    ("text", 500),
    ("order2", 100),
    ("lostcompound", 50),
    ("zero", 100),
    ("noise", 300),
    ("cycle", 300),
    ("stale", 320),
];

const FRAMES: Scenario = Scenario {
    name: "frames",
    about: "one e1000; frames lost, frames on a list, frames in the ring, pipes and files; every kind",
    memory: 256,
    cpus: 2,
    bond: false,
    held: HELD,
    lost: LOST,
    takes: &[("frames", 6000), ("list", 500)],
    small: 1024,
    pipes: 20,
    files: 20,
    holders: &[],
    users: &[],
    trace: 0,
    zram: 0,
    swap: 0,
    balloon: 0,
    charged: &[],
    numa: false,
    load: 0,
    busy: false,
    modules: &[],
    nic: "e1000",
    machine: &[],
    append: "",
};

/// All scenarios, in the order in which they are listed.
pub(super) const ALL: &[Scenario] = &[
    FRAMES,
    Scenario {
        name: "bond",
        about: "em1 and em2 under bond0 with one address; received frames lost, some on a list",
        bond: true,
        held: &[("array", 400), ("vmalloc", 200)],
        lost: &[],
        takes: &[("frames", 9000), ("list", 500)],
        small: 2048,
        ..FRAMES
    },
    Scenario {
        name: "healthy",
        about: "traffic and every kind of held page, but no leak",
        memory: 192,
        lost: &[],
        takes: &[("list", 1000)],
        ..FRAMES
    },
    Scenario {
        name: "skb",
        about: "whole sk_buffs leaked with their pages",
        memory: 192,
        held: &[("array", 100)],
        lost: &[],
        takes: &[("skb", 3000)],
        ..FRAMES
    },
    Scenario {
        name: "hwtable",
        about: "pages that only a hardware-like table of frame numbers names",
        memory: 192,
        held: &[("array", 100), ("hwtable", 4)],
        lost: &[],
        takes: &[],
        ..FRAMES
    },
    Scenario {
        name: "lost",
        about: "every way to be lost; freed memory keeps its old content",
        memory: 384,
        held: &[("array", 400), ("pool", 100), ("slab", 2000)],
        lost: &[
            ("text", 500),
            ("order2", 100),
            ("order3", 60),
            ("lostcompound", 50),
            ("lostkmalloc", 50),
            ("zero", 200),
            ("noise", 300),
            ("cycle", 300),
            ("singly", 300),
            ("doubly", 300),
            ("stale", 320),
            ("freedskb", 150),
            ("detached", 300),
            ("unmapped", 300),
        ],
        takes: &[
            ("frames", 3000),
            ("offset64", 600),
            ("offset192", 600),
            ("offset2048", 600),
            ("skb", 300),
        ],
        users: &[("user", 600)],
        append: "init_on_free=0",
        ..FRAMES
    },
    Scenario {
        name: "held",
        about: "every way to be held by the kernel, and one leak",
        memory: 320,
        held: &[
            ("array", 400),
            ("vmalloc", 200),
            ("split", 24),
            ("splitpage", 40),
            ("tagged", 100),
            ("compound", 32),
            ("pagefrag", 40),
            ("private", 200),
            ("chain", 200),
            ("lru", 300),
            ("xarray", 300),
            ("sg", 200),
            ("stack", 4),
            ("percpu", 1),
            ("objects", 8),
            ("netmem", 60),
            ("queued", 60),
            ("pool", 300),
            ("slab", 2000),
            ("kmalloc", 200),
            ("vmapped", 100),
            ("balloon", 300),
        ],
        lost: &[],
        takes: &[("frames", 2000), ("list", 500)],
        holders: &[("mapped", 4), ("poison", 64)],
        ..FRAMES
    },
    Scenario {
        name: "pool",
        about: "page_pools: one at work, one that waits for ever for pages that are lost",
        held: &[("array", 100), ("pool", 300)],
        lost: &[("poolgone", 640)],
        takes: &[("frames", 2000)],
        ..FRAMES
    },
    Scenario {
        name: "rings",
        about: "what user space makes the kernel hold: rings, pipes, traces, zram; and one leak",
        memory: 512,
        held: &[("array", 100)],
        lost: &[("text", 300)],
        takes: &[("frames", 2000)],
        pipes: 200,
        holders: &[("pipe", 40), ("packet", 8), ("uring", 8), ("perf", 4)],
        users: &[("user", 600)],
        trace: 4096,
        zram: 64,
        modules: &["zram"],
        ..FRAMES
    },
    Scenario {
        name: "owners",
        about: "what must be called by its owner's name; objects and areas that are lost",
        memory: 512,
        held: &[
            ("array", 100),
            ("pool", 300),
            ("poolbeyond", 1000),
            ("balloon", 300),
        ],
        lost: &[("text", 300), ("lostobjects", 3000), ("lostareas", 200)],
        takes: &[("frames", 1000)],
        holders: &[
            ("pipe", 40),
            ("packet", 8),
            ("uring", 8),
            ("perf", 4),
            ("stream", 8),
            ("tcp", 4),
            ("bpf", 4),
            ("taskfrag", 16),
            ("swap", 4000),
        ],
        trace: 2048,
        zram: 64,
        swap: 64,
        balloon: 16,
        modules: &["zram", "virtio_pci", "virtio_balloon"],
        ..FRAMES
    },
    Scenario {
        name: "virtio",
        about: "virtio-net without merged buffers, jumbo frames, dumped under traffic; frames lost",
        held: &[("array", 100)],
        lost: &[],
        takes: &[("frames", 3000), ("list", 300)],
        // Every frame is received into pages of its own, however small.
        small: 0,
        busy: true,
        modules: &["virtio_pci", "virtio_net"],
        nic: "virtio-net-pci,mrg_rxbuf=off,host_mtu=9000",
        ..FRAMES
    },
    Scenario {
        name: "iommu",
        about: "an emulated Intel IOMMU translates for the network device; frames lost",
        held: &[("array", 100)],
        lost: &[("text", 300)],
        takes: &[("frames", 3000), ("list", 300)],
        machine: &["-machine", "q35", "-device", "intel-iommu"],
        append: "intel_iommu=on",
        ..FRAMES
    },
    Scenario {
        name: "scalable",
        about: "the same with tables for address spaces of processes (scalable mode); frames lost",
        held: &[("array", 100)],
        lost: &[("text", 300)],
        takes: &[("frames", 1000), ("list", 300)],
        machine: &[
            "-machine",
            "q35",
            "-device",
            "intel-iommu,x-scalable-mode=on",
        ],
        append: "intel_iommu=on,sm_on",
        ..FRAMES
    },
    Scenario {
        name: "kvm",
        about: "two virtual machines in a guest whose processor emulates AMD's; frames lost",
        held: &[("array", 100)],
        lost: &[("text", 300)],
        takes: &[("frames", 1000)],
        holders: &[("kvm", 2)],
        modules: &["kvm_amd"],
        machine: &["-cpu", "max,arch-capabilities=off,-la57,+svm"],
        ..FRAMES
    },
    Scenario {
        name: "groups",
        about: "two NUMA nodes, control groups of which one is removed; frames lost on the far node",
        memory: 512,
        held: &[("array", 100)],
        lost: &[("text", 300), ("onnode", 500)],
        takes: &[("frames", 1000)],
        charged: &[("charged", 400), ("lostcharged", 300)],
        numa: true,
        ..FRAMES
    },
    Scenario {
        name: "busy",
        about: "8 GiB under load of every sort; nothing is planted, nothing may be called lost",
        memory: 8192,
        cpus: 4,
        held: &[],
        lost: &[],
        takes: &[],
        small: 0,
        zram: 512,
        load: 90,
        busy: true,
        modules: &["zram", "vfat", "nls_cp437", "nls_ascii"],
        // What Debian's kernels start with: freed memory keeps its content.
        append: "init_on_free=0",
        ..FRAMES
    },
    Scenario {
        name: "demo",
        about: "the small bond leak that the repository carries as a dump; a case for every rule",
        memory: 112,
        cpus: 1,
        bond: true,
        held: &[
            ("array", 100),
            ("vmalloc", 20),
            ("split", 4),
            ("private", 50),
            ("tagged", 40),
            ("compound", 16),
            ("chain", 50),
            ("stack", 1),
            ("percpu", 1),
            ("objects", 2),
            ("hwtable", 1),
        ],
        lost: &[
            ("order2", 20),
            ("lostcompound", 12),
            ("cycle", 40),
            ("stale", 64),
        ],
        takes: &[("frames", 3000), ("list", 100), ("skb", 300)],
        small: 2048,
        pipes: 4,
        files: 2,
        ..FRAMES
    },
];

impl Scenario {
    /// The scenario of that name.
    pub(super) fn named(name: &str) -> Result<Self> {
        ALL.iter()
            .find(|scenario| scenario.name == name)
            .cloned()
            .with_context(|| format!("no scenario is called {name}: `lab list` names them"))
    }

    /// The driver that must be named where received frames are lost.
    pub(super) fn driver(&self) -> Option<&'static str> {
        let frames = self.takes.iter().any(|(kind, _)| *kind == "frames");
        frames.then_some(if self.nic.starts_with("virtio-net") {
            "virtio_net"
        } else {
            self.nic
        })
    }

    /// The guest's copy: shell assignments that its init reads.
    pub(super) fn plan(&self) -> String {
        format!(
            "bond={}\nbusy={}\nsmall={}\npipes={}\nfiles={}\ntrace={}\nzram={}\nswap={}\nballoon={}\nload={}\n\
             charged='{}'\nplants='{} {}'\ntakes='{}'\nholders='{}'\nusers='{}'\n",
            u8::from(self.bond),
            u8::from(self.busy),
            self.small,
            self.pipes,
            self.files,
            self.trace,
            self.zram,
            self.swap,
            self.balloon,
            self.load,
            words(self.charged),
            words(self.held),
            words(self.lost),
            words(self.takes),
            words(self.holders),
            words(self.users),
        )
    }
}

fn words(pairs: &[(&str, u32)]) -> String {
    let words: Vec<String> = pairs
        .iter()
        .map(|(what, count)| format!("{what}:{count}"))
        .collect();
    words.join(" ")
}

/// Prints the scenarios for `lab list`.
pub(super) fn print_all() {
    println!(
        "Behind a kind is how many blocks of it are planted; the score counts pages, of which"
    );
    println!("a block of order 2 has four.\n");
    for scenario in ALL {
        println!("{:<8}  {}", scenario.name, scenario.about);
        println!("          {} MiB, {} CPU", scenario.memory, scenario.cpus);
        for (name, kinds) in [
            ("received", scenario.takes),
            ("lost", scenario.lost),
            ("held", scenario.held),
            ("charged", scenario.charged),
            ("from user space", scenario.holders),
            ("at the end", scenario.users),
        ] {
            if !kinds.is_empty() {
                println!("          {name:<15} {}", words(kinds));
            }
        }
    }
}
