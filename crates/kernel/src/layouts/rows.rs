//! The rows of the layout table: a pure table.

/// One member and where to look for it.
pub(super) struct FieldRow {
    /// Name as printed in errors.
    pub(super) name: &'static str,
    /// BTF paths, newest name first; the first that exists is taken.
    pub(super) paths: &'static [&'static str],
    /// VMCOREINFO `OFFSET()` keys, the first that exists is taken.
    pub(super) keys: &'static [&'static str],
    /// Size in bytes where only VMCOREINFO speaks.
    pub(super) size: u64,
}

/// One structure.
pub(super) struct StructRow {
    /// C name, also the VMCOREINFO `SIZE()` key.
    pub(super) name: &'static str,
}

macro_rules! fields {
    ($($id:ident $size:literal [$($path:literal),*] [$($key:literal),*];)*) => {
        /// A member of a kernel structure; see the table in this file.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs, reason = "each is named after the member")]
        pub enum Field { $($id),* }

        impl Field {
            /// Every row.
            pub const ALL: &[Field] = &[$(Field::$id),*];

            /// The member's name, as its newest kernel spells it.
            pub fn name(self) -> &'static str {
                FIELDS.get(self as usize).map_or("", |row| row.name)
            }
        }

        pub(super) static FIELDS: &[FieldRow] = &[$(
            FieldRow {
                name: first(&[$($path),*], stringify!($id)),
                paths: &[$($path),*],
                keys: &[$($key),*],
                size: $size,
            }
        ),*];
    };
}

macro_rules! structs {
    ($($id:ident $name:literal;)*) => {
        /// A kernel structure whose size is needed.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(missing_docs, reason = "each is named after the structure")]
        pub enum Struct { $($id),* }

        impl Struct {
            /// The structure's C name.
            pub fn name(self) -> &'static str {
                STRUCTS.get(self as usize).map_or("", |row| row.name)
            }
        }

        pub(super) static STRUCTS: &[StructRow] = &[$(StructRow { name: $name }),*];
    };
}

const fn first(paths: &[&'static str], id: &'static str) -> &'static str {
    if paths.is_empty() { id } else { paths[0] }
}

structs! {
    Page "page";
    MemSection "mem_section";
    Zone "zone";
    VmapNode "vmap_node";
    Hstate "hstate";
    PrbDesc "prb_desc";
    PrintkInfo "printk_info";
    ModuleMemory "module_memory";
    TaskStruct "task_struct";
    PtRegs "pt_regs";
    PipeBuffer "pipe_buffer";
    Pgv "pgv";
    SlabobjExt "slabobj_ext";
    NetDevice "net_device";
    VringDescState "vring_desc_state_split";
    PageOwner "page_owner";
    AllocTag "alloc_tag";
}

fields! {
    // struct page. 6.18 (53fbef56e07d) made flags a struct of one word; the
    // place is the same.
    PageFlagsWord 8 ["page.flags"] ["page.flags"];
    PageRefcount 4 ["page._refcount", "page._count"] ["page._refcount", "page._count"];
    PageMapcount 4 ["page._mapcount"] ["page._mapcount"];
    PageMapping 8 ["page.mapping"] ["page.mapping"];
    PageLru 16 ["page.lru"] ["page.lru"];
    PagePrivate 8 ["page.private"] ["page.private"];
    PageIndex 8 ["page.index", "page.__folio_index"] [];
    // In a tail page: its head, since 4.4 (1d798ca3f164); renamed in 7.1 (d50569612c29).
    PageCompoundHead 8 ["page.compound_info", "page.compound_head"]
        ["page.compound_info", "page.compound_head"];
    // Order of a compound page: first tail page up to 6.2, folio up to 6.5;
    // later it is the low byte of the first tail's flags (ebc1baf5c9b4, 6.6).
    PageCompoundOrder 1 ["page.compound_order"] ["page.compound_order"];
    FolioOrder 1 ["folio._folio_order"] ["folio._folio_order"];
    PageCompoundDtor 1 ["page.compound_dtor"] ["page.compound_dtor"];
    FolioDtor 1 ["folio._folio_dtor"] ["folio._folio_dtor"];
    // How often a compound page is mapped whole, less one: in the first tail, a
    // member of the folio since 6.3 (eec20426d48b).
    PageCompoundMapcount 4 ["page.compound_mapcount"] [];
    FolioEntireMapcount 4 ["folio._entire_mapcount"] [];
    PagePpMagic 8 ["page.pp_magic"] [];

    // Slab pages: struct slab split off struct page in 5.17 (d122019bf061).
    SlabCache 8 ["slab.slab_cache", "page.slab_cache"] [];
    SlabFreelist 8 ["slab.freelist", "page.freelist"] [];
    SlabObjects 2 ["slab.objects", "page.objects"] [];
    CacheName 8 ["kmem_cache.name"] [];
    CacheList 16 ["kmem_cache.list"] [];
    CacheSize 4 ["kmem_cache.size"] [];
    CacheUsers 4 ["kmem_cache.refcount"] [];
    CacheFreeOffset 4 ["kmem_cache.offset"] [];
    CacheRandom 8 ["kmem_cache.random"] [];
    CacheCpuSlab 8 ["kmem_cache.cpu_slab"] [];
    CpuSlabFreelist 8 ["kmem_cache_cpu.freelist"] [];
    CpuSlabPage 8 ["kmem_cache_cpu.slab", "kmem_cache_cpu.page"] [];
    // Sheaves, arrays of free objects in front of the slabs: per CPU, and full
    // ones by node in barns (2d517aa09bbc, 6.18). 7.0 took cpu_slab out.
    CacheSheaves 8 ["kmem_cache.cpu_sheaves"] [];
    CacheNodes 8 ["kmem_cache.node"] [];
    CachePerNode 16 ["kmem_cache.per_node"] [];
    CacheNodeBarn 8 ["kmem_cache_node.barn"] [];
    PerNodeBarn 8 ["kmem_cache_per_node_ptrs.barn"] [];
    BarnFull 16 ["node_barn.sheaves_full"] [];
    BarnEmpty 16 ["node_barn.sheaves_empty"] [];
    CacheSheafCapacity 4 ["kmem_cache.sheaf_capacity"] [];
    SheafMain 8 ["slub_percpu_sheaves.main"] [];
    SheafSpare 8 ["slub_percpu_sheaves.spare"] [];
    SheafRcuFree 8 ["slub_percpu_sheaves.rcu_free"] [];
    SheafBarnList 16 ["slab_sheaf.barn_list"] [];
    SheafCache 8 ["slab_sheaf.cache"] [];
    SheafSize 4 ["slab_sheaf.size"] [];
    SheafObjects 8 ["slab_sheaf.objects"] [];

    // Sparse memory.
    SectionMemMap 8 ["mem_section.section_mem_map"] ["mem_section.section_mem_map"];
    SectionPageExt 8 ["mem_section.page_ext"] [];

    // Records beside struct page: what a client of theirs has begins at its
    // offset.
    PageExtFlags 8 ["page_ext.flags"] [];
    PageExtOpsOffset 8 ["page_ext_operations.offset"] [];

    // Who allocated a page, with a stack in the depot since 4.7 (f2ca0b557107).
    // 5.11 added time and pid (9cc7e96aa846), 5.18 the name (865ed6a32786) and the
    // tgid (bf215eab785a).
    OwnerOrder 2 ["page_owner.order"] [];
    OwnerGfp 4 ["page_owner.gfp_mask"] [];
    OwnerHandle 4 ["page_owner.handle"] [];
    OwnerTime 8 ["page_owner.ts_nsec"] [];
    OwnerComm 16 ["page_owner.comm"] [];
    OwnerPid 4 ["page_owner.pid"] [];
    OwnerTgid 4 ["page_owner.tgid"] [];

    // The stack depot: a handle is the number of a pool and an offset in it.
    // Slabs became pools in 6.3 (961c949b012f), and since 6.9 (3ee34eabac2a)
    // the number is one more, so that no stack has the handle 0; before, a bit
    // said so.
    DepotPoolPlusOne 3 ["handle_parts.pool_index_plus_1"] [];
    DepotPool 3 ["handle_parts.pool_index", "handle_parts.slabindex"] [];
    DepotOffset 2 ["handle_parts.offset"] [];
    DepotValid 1 ["handle_parts.valid"] [];
    StackSize 4 ["stack_record.size"] [];
    StackHandle 4 ["stack_record.handle"] [];
    StackEntries 8 ["stack_record.entries"] [];

    // The line of code that allocated a page (22d407b164ff, 6.10).
    CodetagRefCt 8 ["codetag_ref.ct"] [];
    CodetagLine 4 ["codetag.lineno"] [];
    CodetagModule 8 ["codetag.modname"] [];
    CodetagFunction 8 ["codetag.function"] [];
    CodetagFile 8 ["codetag.filename"] [];
    // Numbers instead of pointers, in page->flags (4835f747d3ed, 6.13).
    KernelTagsFirst 8 ["alloc_tag_kernel_section.first_tag"] [];
    KernelTagsCount 8 ["alloc_tag_kernel_section.count"] [];
    ModuleTagsFirst 8 ["alloc_tag_module_section.first_tag"] [];
    StaticKeyEnabled 4 ["static_key.enabled"] [];

    // Nodes and zones.
    NodeZones 8 ["pglist_data.node_zones"] ["pglist_data.node_zones"];
    NodeNrZones 4 ["pglist_data.nr_zones"] ["pglist_data.nr_zones"];
    NodeId 4 ["pglist_data.node_id"] ["pglist_data.node_id"];
    NodeStartPfn 8 ["pglist_data.node_start_pfn"] ["pglist_data.node_start_pfn"];
    NodeSpanned 8 ["pglist_data.node_spanned_pages"] ["pglist_data.node_spanned_pages"];
    NodeStat 8 ["pglist_data.vm_stat"] [];
    NodePerCpuStats 8 ["pglist_data.per_cpu_nodestats"] [];
    NodeStatDiff 1 ["per_cpu_nodestat.vm_node_stat_diff"] [];
    ZoneNode 8 ["zone.zone_pgdat"] [];
    ZoneStartPfn 8 ["zone.zone_start_pfn"] [];
    ZoneSpanned 8 ["zone.spanned_pages"] ["zone.spanned_pages"];
    ZonePresent 8 ["zone.present_pages"] [];
    ZoneManaged 8 ["zone.managed_pages"] [];
    ZoneStat 8 ["zone.vm_stat"] ["zone.vm_stat"];
    // 5.14 (28f836b6777b) split per_cpu_pageset in two.
    ZonePageset 8 ["zone.per_cpu_pageset", "zone.pageset"] [];
    ZonePerCpuStats 8 ["zone.per_cpu_zonestats", "zone.pageset"] [];
    ZoneStatDiff 1 ["per_cpu_zonestat.vm_stat_diff", "per_cpu_pageset.vm_stat_diff"] [];
    PcpLists 16 ["per_cpu_pages.lists"] [];
    PagesetPcp 8 ["per_cpu_pageset.pcp"] [];

    // vmalloc.
    VmapAreaStart 8 ["vmap_area.va_start"] ["vmap_area.va_start"];
    VmapAreaEnd 8 ["vmap_area.va_end"] [];
    VmapAreaList 16 ["vmap_area.list"] ["vmap_area.list"];
    VmapAreaVm 8 ["vmap_area.vm"] [];
    // 6.9 (d093602919ad): areas hang on per-node lists.
    VmapNodeBusyHead 16 ["vmap_node.busy.head"] [];
    VmAddr 8 ["vm_struct.addr"] [];
    VmFlags 8 ["vm_struct.flags"] [];
    VmPages 8 ["vm_struct.pages"] [];
    VmNrPages 4 ["vm_struct.nr_pages"] [];
    VmCaller 8 ["vm_struct.caller"] [];

    // Per-CPU allocator.
    ChunkList 16 ["pcpu_chunk.list"] [];
    ChunkBase 8 ["pcpu_chunk.base_addr"] [];
    ChunkPages 4 ["pcpu_chunk.nr_pages"] [];

    // Tasks and address spaces.
    TaskTasks 16 ["task_struct.tasks"] [];
    TaskMm 8 ["task_struct.mm"] [];
    TaskStack 8 ["task_struct.stack"] [];
    // Stack pointer of a task that sleeps.
    TaskThreadSp 8 ["task_struct.thread.sp", "task_struct.thread.cpu_context.sp"] [];
    TaskOnCpu 4 ["task_struct.on_cpu"] [];
    TaskFpu 8 ["task_struct.thread.fpu"] [];
    TaskFpsimd 8 ["task_struct.thread.uw.fpsimd_state", "task_struct.thread.fpsimd_state"] [];
    TaskPid 4 ["task_struct.pid"] [];
    TaskComm 16 ["task_struct.comm"] [];
    TaskSignal 8 ["task_struct.signal"] [];
    // Threads of a group are on a list of their own since 3.14 (0c740d0afc3b).
    TaskThreadGroup 16 ["task_struct.thread_group"] [];
    TaskThreadNode 16 ["task_struct.thread_node"] [];
    SignalThreadHead 16 ["signal_struct.thread_head"] [];
    MmPgd 8 ["mm_struct.pgd"] [];

    // Caches of network buffers: what lies beyond the count was given away.
    PoolAllocCount 4 ["page_pool.alloc.count"] [];
    PoolAllocCache 8 ["page_pool.alloc.cache"] [];
    NapiSkbCount 4 ["napi_alloc_cache.skb_count"] [];
    NapiSkbCache 8 ["napi_alloc_cache.skb_cache"] [];

    // Huge pages.
    HstateOrder 4 ["hstate.order"] [];
    HstateNrPages 8 ["hstate.nr_huge_pages"] [];

    // Open files.
    TaskFiles 8 ["task_struct.files"] [];
    FilesFdt 8 ["files_struct.fdt"] [];
    FdtableMax 4 ["fdtable.max_fds"] [];
    FdtableFd 8 ["fdtable.fd"] [];
    FileOps 8 ["file.f_op"] [];
    FilePrivate 8 ["file.private_data"] [];
    FopsRelease 8 ["file_operations.release"] [];

    // Pipes.
    PipeHead 4 ["pipe_inode_info.head"] [];
    PipeTail 4 ["pipe_inode_info.tail"] [];
    PipeRingSize 4 ["pipe_inode_info.ring_size"] [];
    PipeMaxUsage 4 ["pipe_inode_info.max_usage"] [];
    PipeBufs 8 ["pipe_inode_info.bufs"] [];
    PipeTmpPage 8 ["pipe_inode_info.tmp_page"] [];
    PipeBufferPage 8 ["pipe_buffer.page"] [];

    // Sockets and their buffers.
    SocketSk 8 ["socket.sk"] [];
    SockFamily 2 ["sock.__sk_common.skc_family"] [];
    SockProt 8 ["sock.__sk_common.skc_prot"] [];
    SockPort 2 ["sock.__sk_common.skc_num"] [];
    SockRemotePort 2 ["sock.__sk_common.skc_dport"] [];
    SockLocal 4 ["sock.__sk_common.skc_rcv_saddr"] [];
    SockRemote 4 ["sock.__sk_common.skc_daddr"] [];
    SockLocal6 16 ["sock.__sk_common.skc_v6_rcv_saddr"] [];
    SockRemote6 16 ["sock.__sk_common.skc_v6_daddr"] [];
    SockProtocol 2 ["sock.sk_protocol"] [];
    SockReceiveQueue 8 ["sock.sk_receive_queue"] [];
    SockWriteQueue 8 ["sock.sk_write_queue"] [];
    SockErrorQueue 8 ["sock.sk_error_queue"] [];
    SockFragPage 8 ["sock.sk_frag.page"] [];
    ProtoName 32 ["proto.name"] [];
    TcpRtxQueue 8 ["sock.tcp_rtx_queue"] [];
    TcpOutOfOrder 8 ["tcp_sock.out_of_order_queue"] [];
    UdpReaderQueue 8 ["udp_sock.reader_queue"] [];
    SkbNext 8 ["sk_buff.next"] [];
    SkbHead 8 ["sk_buff.head"] [];
    SkbEnd 4 ["sk_buff.end"] [];
    SharedFrags 1 ["skb_shared_info.nr_frags"] [];
    SharedFragList 8 ["skb_shared_info.frag_list"] [];
    SharedFragArray 16 ["skb_shared_info.frags"] [];
    PacketRxRing 8 ["packet_sock.rx_ring"] [];
    PacketTxRing 8 ["packet_sock.tx_ring"] [];
    RingPgVec 8 ["packet_ring_buffer.pg_vec"] [];
    RingPgVecLen 4 ["packet_ring_buffer.pg_vec_len"] [];
    RingPgVecOrder 4 ["packet_ring_buffer.pg_vec_order"] [];
    PgvBuffer 8 ["pgv.buffer"] [];

    // Page fragments: a pointer, and the page's order in it since 6.13
    // (0c3ce2f50261).
    TaskFragPage 8 ["task_struct.task_frag.page"] [];
    FragCacheVa 8 ["page_frag_cache.encoded_page", "page_frag_cache.va"] [];
    // Small heads have fragments of a page each from 6.1 on (dbae2b062824).
    NapiSmallVa 8 ["napi_alloc_cache.page_small.va"] [];
    NapiFragVa 8 ["napi_alloc_cache.page.encoded_page", "napi_alloc_cache.page.va"] [];

    // Rings of events. The names of array_buffer (1c5eb4481e01) and perf_buffer
    // (56de4e8f9146) are of 5.6.
    TraceArrayList 16 ["trace_array.list"] [];
    TraceArrayName 8 ["trace_array.name"] [];
    TraceArrayBuffer 8 ["trace_array.array_buffer.buffer", "trace_array.trace_buffer.buffer"] [];
    TraceArrayMaxBuffer 8 ["trace_array.snapshot_buffer.buffer", "trace_array.max_buffer.buffer"] [];
    TraceBufferBuffers 8 ["trace_buffer.buffers"] [];
    TraceCpuPages 8 ["ring_buffer_per_cpu.pages"] [];
    TraceCpuReader 8 ["ring_buffer_per_cpu.reader_page"] [];
    TraceCpuNrPages 8 ["ring_buffer_per_cpu.nr_pages"] [];
    BufferPageList 16 ["buffer_page.list"] [];
    BufferPagePage 8 ["buffer_page.page"] [];
    PerfEventBuffer 8 ["perf_event.rb"] [];
    PerfNrPages 4 ["perf_buffer.nr_pages"] [];
    PerfUserPage 8 ["perf_buffer.user_page"] [];
    PerfDataPages 8 ["perf_buffer.data_pages"] [];
    PerfAuxNrPages 4 ["perf_buffer.aux_nr_pages"] [];
    PerfAuxPages 8 ["perf_buffer.aux_pages"] [];
    IoRings 8 ["io_ring_ctx.rings"] [];
    IoSqes 8 ["io_ring_ctx.sq_sqes"] [];
    IoRingRegion 8 ["io_ring_ctx.ring_region"] [];
    IoSqRegion 8 ["io_ring_ctx.sq_region"] [];
    IoRegionPages 8 ["io_mapped_region.pages"] [];
    IoRegionNrPages 4 ["io_mapped_region.nr_pages"] [];
    BpfMapType 4 ["bpf_map.map_type"] [];
    BpfMapId 4 ["bpf_map.id"] [];
    BpfMapName 16 ["bpf_map.name"] [];
    BpfRingbufMapRb 8 ["bpf_ringbuf_map.rb"] [];
    BpfRingbufPages 8 ["bpf_ringbuf.pages"] [];
    BpfRingbufNrPages 4 ["bpf_ringbuf.nr_pages"] [];
    BpfRingbufConsumerPos 8 ["bpf_ringbuf.consumer_pos"] [];

    // Pools that pages name. page_pool.slow came with 6.8 (5027ec19f104).
    PoolDev 8 ["page_pool.p.dev"] [];
    PoolNetdev 8 ["page_pool.slow.netdev"] [];
    PoolOrder 4 ["page_pool.p.order"] [];
    PoolRingSize 4 ["page_pool.ring.size"] [];
    // Before 6.0 (68f2736a8583) the pool is behind the inode of its pages.
    AddressSpacePrivate 8 ["address_space.i_private_data", "address_space.private_data"] [];
    AddressSpaceOps 8 ["address_space.a_ops"] [];
    ZspagePool 8 ["zspage.pool"] [];
    ZsPoolName 8 ["zs_pool.name"] [];

    // IOMMUs by Intel.
    DmarUnitList 16 ["dmar_drhd_unit.list"] [];
    DmarUnitIommu 8 ["dmar_drhd_unit.iommu"] [];
    IommuName 16 ["intel_iommu.name"] [];
    IommuSegment 2 ["intel_iommu.segment"] [];
    IommuRoot 8 ["intel_iommu.root_entry"] [];
    IommuEcap 8 ["intel_iommu.ecap"] [];
    IommuQueue 8 ["intel_iommu.qi"] [];
    IommuQueueDesc 8 ["q_inval.desc"] [];
    IommuIrTable 8 ["intel_iommu.ir_table"] [];
    IommuIrTableBase 8 ["ir_table.base"] [];

    // Virtual machines.
    KvmMmuPages 16 ["kvm.arch.active_mmu_pages"] [];
    KvmTdpRoots 16 ["kvm.arch.tdp_mmu_roots"] [];
    KvmMmioRing 8 ["kvm.coalesced_mmio_ring"] [];
    KvmMmuPageLink 16 ["kvm_mmu_page.link"] [];
    KvmMmuPageSpt 8 ["kvm_mmu_page.spt"] [];
    KvmVcpuRun 8 ["kvm_vcpu.run"] [];
    KvmVcpuPioData 8 ["kvm_vcpu.arch.pio_data"] [];
    KvmVcpuPageCache 8 ["kvm_vcpu.arch.mmu_shadow_page_cache"] [];
    KvmCacheCount 4 ["kvm_mmu_memory_cache.nobjs"] [];
    // The objects themselves up to 5.19, a pointer to them since.
    KvmCacheObjects 8 ["kvm_mmu_memory_cache.objects"] [];

    // Balloons.
    BalloonMigrate 8 ["balloon_dev_info.migratepage"] [];

    // Virtqueues.
    VringState 8 ["vring_virtqueue.split.desc_state"] [];
    VringNum 4 ["vring_virtqueue.split.vring.num"] [];
    VringStateData 8 ["vring_desc_state_split.data"] [];

    // Types of modules (5.11, 36e68442d1af).
    BtfModuleList 16 ["btf_module.list"] [];
    BtfModuleModule 8 ["btf_module.module"] [];
    BtfModuleBtf 8 ["btf_module.btf"] [];
    BtfData 8 ["btf.data"] [];
    BtfDataSize 4 ["btf.data_size"] [];
    // 6.11 (13cabc47f8ae) gave the private part a member.
    NetDevPriv 8 ["net_device.priv"] [];

    // Resources (/proc/iomem).
    ResourceStart 8 ["resource.start"] [];
    ResourceEnd 8 ["resource.end"] [];
    ResourceName 8 ["resource.name"] [];
    ResourceParent 8 ["resource.parent"] [];
    ResourceChild 8 ["resource.child"] [];
    ResourceSibling 8 ["resource.sibling"] [];

    // Modules. 6.4 (ac3b43283923) made core_layout and init_layout mem[]; 4.5
    // (7523e4dc5057) had made core_layout of single members.
    ModuleList 16 ["module.list"] [];
    ModuleName 56 ["module.name"] [];
    ModuleCoreBase 8 ["module.core_layout.base", "module.module_core"] [];
    ModuleCoreSize 4 ["module.core_layout.size", "module.core_size"] [];
    ModuleInitBase 8 ["module.init_layout.base", "module.module_init"] [];
    ModuleInitSize 4 ["module.init_layout.size", "module.init_size"] [];
    ModuleMem 8 ["module.mem"] [];
    ModuleMemBase 8 ["module_memory.base"] [];
    ModuleMemSize 4 ["module_memory.size"] [];
    ModuleTaints 8 ["module.taints"] [];
    ModuleVersion 8 ["module.version"] [];
    ModuleSrcversion 8 ["module.srcversion"] [];
    // Symbols: 4.5 (8244062ef1e5) moved them into a structure behind a pointer.
    ModuleKallsyms 8 ["module.kallsyms"] [];
    ModKallsymsSymtab 8 ["mod_kallsyms.symtab", "module.symtab"] [];
    ModKallsymsCount 4 ["mod_kallsyms.num_symtab", "module.num_symtab"] [];
    ModKallsymsStrtab 8 ["mod_kallsyms.strtab", "module.strtab"] [];

    // printk ring buffer, 5.10 and later (896fbe20b4e2).
    PrbDescRing 48 ["printk_ringbuffer.desc_ring"] ["printk_ringbuffer.desc_ring"];
    PrbTextDataRing 32 ["printk_ringbuffer.text_data_ring"] ["printk_ringbuffer.text_data_ring"];
    PrbCountBits 4 ["prb_desc_ring.count_bits"] ["prb_desc_ring.count_bits"];
    PrbDescs 8 ["prb_desc_ring.descs"] ["prb_desc_ring.descs"];
    PrbInfos 8 ["prb_desc_ring.infos"] ["prb_desc_ring.infos"];
    PrbHeadId 8 ["prb_desc_ring.head_id"] ["prb_desc_ring.head_id"];
    PrbTailId 8 ["prb_desc_ring.tail_id"] ["prb_desc_ring.tail_id"];
    PrbSizeBits 4 ["prb_data_ring.size_bits"] ["prb_data_ring.size_bits"];
    PrbData 8 ["prb_data_ring.data"] ["prb_data_ring.data"];
    PrbStateVar 8 ["prb_desc.state_var"] ["prb_desc.state_var"];
    PrbTextBlkLpos 16 ["prb_desc.text_blk_lpos"] ["prb_desc.text_blk_lpos"];
    PrbLposBegin 8 ["prb_data_blk_lpos.begin"] ["prb_data_blk_lpos.begin"];
    PrbLposNext 8 ["prb_data_blk_lpos.next"] ["prb_data_blk_lpos.next"];
    PrintkInfoSeq 8 ["printk_info.seq"] ["printk_info.seq"];
    PrintkInfoTsNsec 8 ["printk_info.ts_nsec"] ["printk_info.ts_nsec"];
    PrintkInfoTextLen 2 ["printk_info.text_len"] ["printk_info.text_len"];
    PrintkInfoCallerId 4 ["printk_info.caller_id"] ["printk_info.caller_id"];
    PrintkInfoDevInfo 64 ["printk_info.dev_info"] ["printk_info.dev_info"];
    DevInfoSubsystem 16 ["dev_printk_info.subsystem"] ["dev_printk_info.subsystem"];
    DevInfoDevice 48 ["dev_printk_info.device"] ["dev_printk_info.device"];

    // The log of 3.5 to 5.9; the structure was named log before it was printk_log.
    LogTsNsec 8 ["printk_log.ts_nsec"] ["printk_log.ts_nsec", "log.ts_nsec"];
    LogLen 2 ["printk_log.len"] ["printk_log.len", "log.len"];
    LogTextLen 2 ["printk_log.text_len"] ["printk_log.text_len", "log.text_len"];
    LogDictLen 2 ["printk_log.dict_len"] ["printk_log.dict_len", "log.dict_len"];
    LogCallerId 4 ["printk_log.caller_id"] ["printk_log.caller_id"];

    // The host.
    UtsName 390 ["uts_namespace.name"] ["uts_namespace.name"];
    // 6.13 gave tk_core's structure a name.
    TkTimekeeper 8 ["tk_data.timekeeper"] [];
    TimekeeperXtimeSec 8 ["timekeeper.xtime_sec"] [];
    TimekeeperOffsReal 8 ["timekeeper.offs_real"] [];
    TimekeeperOffsBoot 8 ["timekeeper.offs_boot"] [];

    // Network namespaces and devices.
    NsproxyUtsNs 8 ["nsproxy.uts_ns"] [];
    NsproxyNetNs 8 ["nsproxy.net_ns"] [];
    NetList 16 ["net.list"] [];
    NetInum 4 ["net.ns.inum"] [];
    NetDevBaseHead 16 ["net.dev_base_head"] [];
    NetDevList 16 ["net_device.dev_list"] [];
    NetDevName 16 ["net_device.name"] [];
    NetDevIfindex 4 ["net_device.ifindex"] [];
    NetDevFlags 4 ["net_device.flags"] [];
    NetDevMtu 4 ["net_device.mtu"] [];
    NetDevAddr 8 ["net_device.dev_addr"] [];
    NetDevPermAddr 32 ["net_device.perm_addr"] [];
    NetDevAddrLen 1 ["net_device.addr_len"] [];
    NetDevOps 8 ["net_device.netdev_ops"] [];
    NetDevStats 184 ["net_device.stats"] [];
    NetDevUpper 16 ["net_device.adj_list.upper"] [];
    NetDevLower 16 ["net_device.adj_list.lower"] [];
    NetDevRtnlLinkOps 8 ["net_device.rtnl_link_ops"] [];
    NetDevDevice 8 ["net_device.dev"] [];
    RtnlKind 8 ["rtnl_link_ops.kind"] [];
    AdjacentDev 8 ["netdev_adjacent.dev"] [];
    AdjacentMaster 1 ["netdev_adjacent.master"] [];
    AdjacentList 16 ["netdev_adjacent.list"] [];
    StatsRxPackets 8 ["net_device_stats.rx_packets"] [];
    StatsRxBytes 8 ["net_device_stats.rx_bytes"] [];
    StatsTxPackets 8 ["net_device_stats.tx_packets"] [];
    StatsTxBytes 8 ["net_device_stats.tx_bytes"] [];

    // Control groups. 5.11 (bcfe06bf2622) made mem_cgroup memcg_data; slabs have
    // their vector in the same place.
    PageMemcg 8 ["page.memcg_data", "page.mem_cgroup"] [];
    // The same word of a slab's page: since 6.10 (21c690a349ba) for allocation tags too.
    SlabObjExts 8 ["slab.obj_exts", "slab.memcg_data", "page.memcg_data", "page.obj_cgroups"] [];
    SlabStride 4 ["slab.stride"] [];
    SlabobjExtObjcg 8 ["slabobj_ext.objcg"] [];
    ObjCgroupMemcg 8 ["obj_cgroup.memcg"] [];
    MemcgCss 8 ["mem_cgroup.css"] [];
    MemcgUsage 8 ["mem_cgroup.memory.usage"] [];
    CssCgroup 8 ["cgroup_subsys_state.cgroup"] [];
    CssParent 8 ["cgroup_subsys_state.parent"] [];
    CssChildren 16 ["cgroup_subsys_state.children"] [];
    CssSibling 16 ["cgroup_subsys_state.sibling"] [];
    CssFlags 4 ["cgroup_subsys_state.flags"] [];
    CgroupNode 8 ["cgroup.kn"] [];
    KernfsName 8 ["kernfs_node.name"] [];

    // Devices, drivers, buses.
    DeviceNode 4 ["device.numa_node"] [];
    DeviceParent 8 ["device.parent"] [];
    DeviceName 8 ["device.kobj.name"] [];
    DeviceBus 8 ["device.bus"] [];
    DeviceDriver 8 ["device.driver"] [];
    BusName 8 ["bus_type.name"] [];
    DriverName 8 ["device_driver.name"] [];
    DriverOwner 8 ["device_driver.owner"] [];
}
