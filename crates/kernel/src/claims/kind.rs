//! Sorts of owners.

/// What an owner is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Buffers of a pipe.
    Pipe,
    /// Fragments and heads of the `sk_buff`s in a socket's queues.
    SocketQueue,
    /// An AF_PACKET ring.
    PacketRing,
    /// Rings of io_uring.
    IoUring,
    /// A ring buffer of perf events.
    PerfBuffer,
    /// A ring buffer of ftrace.
    TraceBuffer,
    /// A BPF ring buffer: positions and data.
    BpfRing,
    /// The page of the same that holds `struct bpf_ringbuf` itself.
    BpfRingHead,
    /// A page that is handed out piece by piece.
    PageFragments,
    /// A page_pool.
    PagePool,
    /// A pool of zsmalloc.
    Zsmalloc,
    /// Receive rings of a network device.
    ReceiveRing,
    /// What else a network device's driver keeps.
    DeviceMemory,
    /// A memory balloon.
    Balloon,
    /// Memory that the hypervisor has not plugged in (virtio-mem).
    Unplugged,
    /// Tables of a virtual machine.
    KvmTables,
    /// Pages of a virtual machine's processor.
    KvmProcessor,
    /// Tables of an IOMMU.
    IommuTables,
}

impl Kind {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Pipe => "pipe",
            Kind::SocketQueue => "socket queue",
            Kind::PacketRing => "packet ring",
            Kind::IoUring => "io_uring",
            Kind::PerfBuffer => "perf buffer",
            Kind::TraceBuffer => "trace buffer",
            Kind::BpfRing | Kind::BpfRingHead => "bpf ring buffer",
            Kind::PageFragments => "page fragments",
            Kind::PagePool => "page_pool",
            Kind::Zsmalloc => "zsmalloc",
            Kind::ReceiveRing => "receive ring",
            Kind::DeviceMemory => "device memory",
            Kind::Balloon => "balloon",
            Kind::Unplugged => "unplugged memory",
            Kind::KvmTables => "KVM tables",
            Kind::KvmProcessor => "KVM processor",
            Kind::IommuTables => "IOMMU tables",
        }
    }

    /// Whether its pages hold data: words that a user wrote, that came by the network,
    /// or that were written down for later. They refer to nothing, whatever they are.
    /// Pipes are not among them, into which anything may have been spliced, and pages
    /// that may hold the head of an `sk_buff`, with its fragments.
    pub fn is_data(self) -> bool {
        match self {
            Kind::PacketRing
            | Kind::IoUring
            | Kind::PerfBuffer
            | Kind::TraceBuffer
            | Kind::BpfRing
            | Kind::Zsmalloc => true,
            Kind::Pipe
            | Kind::SocketQueue
            | Kind::BpfRingHead
            | Kind::PageFragments
            | Kind::PagePool
            | Kind::ReceiveRing
            | Kind::DeviceMemory
            | Kind::Balloon
            | Kind::Unplugged
            | Kind::KvmTables
            | Kind::KvmProcessor
            | Kind::IommuTables => false,
        }
    }

    /// Whether its pages are found because their `struct page` says whose they are, and
    /// not by words of their owner: that owner may have lost them.
    pub fn is_by_mark(self) -> bool {
        matches!(
            self,
            Kind::PagePool | Kind::Zsmalloc | Kind::Balloon | Kind::Unplugged
        )
    }

    /// Whether its pages are tables that hardware walks, found by the walk from what is
    /// in use: the entries on the way are references, although they are no addresses.
    pub fn is_table(self) -> bool {
        matches!(self, Kind::KvmTables | Kind::IommuTables)
    }
}
