//! Which kernel to boot, and what differs between the machines it runs on.

use std::env;

use clap::ValueEnum;

/// The kernel of a run, as the command line chooses it.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Target {
    /// Kernel series; of each the newest build that the mirror has
    #[arg(long, value_enum, default_value = "6.1")]
    pub(super) kernel: Series,
    /// Processor of the guest
    #[arg(long, value_enum, default_value = "x86_64")]
    pub(super) arch: Arch,
    /// Debian's flavour of the kernel; `cloud` has no e1000 for received frames
    #[arg(long, value_enum, default_value = "generic")]
    pub(super) flavour: Flavour,
}

impl Target {
    /// What runs when nothing is chosen.
    pub(super) const USUAL: Self = Self {
        kernel: Series::V6_1,
        arch: Arch::X86_64,
        flavour: Flavour::Generic,
    };

    /// What a release is called behind its version: `-amd64`, `-cloud-arm64`.
    pub(super) fn suffix(&self) -> String {
        match self.flavour {
            Flavour::Generic => format!("-{}", self.arch.debian()),
            Flavour::Cloud => format!("-cloud-{}", self.arch.debian()),
        }
    }
}

/// A kernel series, each from the suite of Debian that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Series {
    /// Debian 11
    #[value(name = "5.10")]
    V5_10,
    /// Debian 12
    #[value(name = "6.1")]
    V6_1,
    /// Debian 13
    #[value(name = "6.12")]
    V6_12,
    /// Debian 12, built here with page_owner
    #[value(name = "6.1-owner")]
    V6_1Owner,
    /// Debian 13, built here with memory allocation profiling
    #[value(name = "6.12-alloc")]
    V6_12Alloc,
    /// The newest of Debian's unstable suite
    Sid,
}

impl Series {
    pub(super) fn suite(self) -> &'static str {
        match self {
            Self::V5_10 => "bullseye",
            Self::V6_1 | Self::V6_1Owner => "bookworm",
            Self::V6_12 | Self::V6_12Alloc => "trixie",
            Self::Sid => "sid",
        }
    }

    /// How versions of the series start: a suite may carry a second one.
    pub(super) fn version_prefix(self) -> &'static str {
        match self {
            Self::V5_10 => "5.10.",
            Self::V6_1 | Self::V6_1Owner => "6.1.",
            Self::V6_12 | Self::V6_12Alloc => "6.12.",
            Self::Sid => "",
        }
    }

    /// Name of the configuration in `lab/kernels`, of a kernel that is built here.
    pub(super) fn configuration(self) -> Option<&'static str> {
        match self {
            Self::V6_1Owner => Some("6.1-owner"),
            Self::V6_12Alloc => Some("6.12-alloc"),
            Self::V5_10 | Self::V6_1 | Self::V6_12 | Self::Sid => None,
        }
    }

    /// Kernel parameters it is always booted with.
    pub(super) fn parameters(self) -> &'static str {
        match self {
            Self::V6_1Owner => "page_owner=on",
            Self::V5_10 | Self::V6_1 | Self::V6_12 | Self::V6_12Alloc | Self::Sid => "",
        }
    }
}

/// Debian's builds of one kernel version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Flavour {
    /// All drivers
    Generic,
    /// Drivers of virtual machines only
    Cloud,
}

/// Processor architecture of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Arch {
    #[value(name = "x86_64")]
    X86_64,
    #[value(name = "aarch64")]
    Aarch64,
}

impl Arch {
    /// Debian's name of the architecture.
    pub(super) fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// Package of the compiler that makes code for it, on an amd64 host.
    pub(super) fn compiler(self, gcc: &str) -> String {
        match self {
            Self::X86_64 => gcc.to_owned(),
            Self::Aarch64 => format!("{gcc}-aarch64-linux-gnu"),
        }
    }

    /// How the names of its compiler and binutils start.
    pub(super) fn tool_prefix(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu-",
            Self::Aarch64 => "aarch64-linux-gnu-",
        }
    }

    /// What Rust calls programs for it.
    pub(super) fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// True when the host's processor is of this architecture.
    pub(super) fn is_host(self) -> bool {
        let name = match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        };
        env::consts::ARCH == name
    }

    pub(super) fn emulator(self) -> &'static str {
        match self {
            Self::X86_64 => "qemu-system-x86_64",
            Self::Aarch64 => "qemu-system-aarch64",
        }
    }

    /// Kernel parameter of the console on the first serial port.
    pub(super) fn console(self) -> &'static str {
        match self {
            Self::X86_64 => "console=ttyS0",
            Self::Aarch64 => "console=ttyAMA0",
        }
    }

    /// kexec's option to let the running kernel load the next one, which
    /// Debian's kernels for aarch64 cannot do (no `CONFIG_KEXEC_FILE`).
    pub(super) fn kexec_option(self) -> &'static str {
        match self {
            Self::X86_64 => "-s",
            Self::Aarch64 => "",
        }
    }

    /// The guest's device that ends in the report file. `virt` has one port
    /// of its own, which is the console; the second is a PCI card.
    pub(super) fn report(self) -> &'static str {
        match self {
            Self::X86_64 => "/dev/ttyS1",
            Self::Aarch64 => "/dev/ttyS0",
        }
    }
}
