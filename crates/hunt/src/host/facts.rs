//! A host's files, parsed, checked against each other, and put into one unit: kB.

use super::page_size::{Belonging, PageSize, belonging, managed_pages, page_size};
use super::vmalloc::{self, VmallocSums};
use super::{HostError, HostFiles, MAX_KB, balloon};
use pagehound_procfs as procfs;
use procfs::{HugepagePool, Meminfo, ParseError, Zone};

/// The first chunk of per-CPU memory, which there was before there was a MemTotal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) pages_per_cpu: u64,
    /// Of as many units `Percpu` counts the pages,
    pub(super) units: u64,
    /// and so many of them have pages.
    pub(super) cpus: u64,
}

impl Chunk {
    pub(super) fn pages(&self) -> u64 {
        self.pages_per_cpu.saturating_mul(self.cpus)
    }
}

/// The log tells units where it was begun early enough; a unit a CPU is usual.
fn chunk(files: &HostFiles) -> Option<Chunk> {
    let chunk = procfs::first_chunk(files.log.as_deref()?)?;
    let of_cpus = files.possible_cpus.map(|cpus| (cpus, cpus));
    let (units, cpus) = chunk.units.or(of_cpus)?;
    Some(Chunk {
        pages_per_cpu: chunk.pages_per_cpu,
        units,
        cpus,
    })
}

/// Counters of vmstat that no row is made of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pages {
    /// Tables of IOMMUs.
    pub(super) iommu: u64,
    /// Memory maps, of pages and from boot.
    pub(super) memmap: u64,
    pub(super) memmap_boot: u64,
    /// Given to a balloon, less what it gave back.
    pub(super) inflated: u64,
    pub(super) deflated: u64,
    /// Pinned by drivers, and unpinned, since boot (5.7).
    pub(super) pinned: u64,
    pub(super) unpinned: u64,
}

/// What the files say.
#[derive(Clone, Debug)]
pub(super) struct Facts<'a> {
    pub(super) info: Meminfo<'a>,
    pub(super) mem_total_kb: i64,
    pub(super) mem_free_kb: i64,
    pub(super) page: PageSize,
    /// Free pages on per-CPU lists.
    pub(super) pcp_kb: Option<i64>,
    /// Most CPUs any zone has lists for.
    pub(super) cpus: Option<i64>,
    /// Memory that there is.
    pub(super) present_kb: Option<i64>,
    /// Memory that is present but not managed: boot allocations, balloons.
    pub(super) reserved_kb: Option<i64>,
    /// The zones; none where they are another machine's.
    pub(super) zones: Vec<Zone<'a>>,
    pub(super) vmalloc: Option<VmallocSums>,
    /// The first chunk of per-CPU memory.
    pub(super) first_chunk: Option<Chunk>,
    /// Pages by counters of vmstat.
    pub(super) pages: Pages,
    /// A balloon that is no part of MemTotal; known when the terms are.
    pub(super) balloon_outside_kb: Option<i64>,
    /// Pages of zsmalloc: zram, and zswap's compressed data.
    pub(super) zspages_kb: Option<i64>,
    /// Pages taken off the LRU lists for a moment.
    pub(super) isolated_kb: i64,
    pub(super) hugepages: Option<&'a [HugepagePool]>,
    pub(super) balloon_module: Option<&'static str>,
    pub(super) balloon_deflates: bool,
    /// What was left out, and why.
    pub(super) notes: Vec<String>,
}

impl<'a> Facts<'a> {
    /// Parses `files`. A companion that is broken or of another machine is left out
    /// with a note.
    pub(super) fn new(files: &'a HostFiles) -> Result<Facts<'a>, HostError> {
        let info = procfs::meminfo(&files.meminfo).map_err(|error| HostError::Parse {
            origin: files.origin.clone(),
            error,
        })?;
        let mem_total_kb = required(&info, files, "MemTotal")?;
        let mem_free_kb = required(&info, files, "MemFree")?;
        let mut facts = Facts {
            page: page_size(&info, &[], 0),
            mem_total_kb,
            mem_free_kb,
            pcp_kb: None,
            cpus: None,
            present_kb: None,
            reserved_kb: None,
            zones: Vec::new(),
            first_chunk: chunk(files),
            pages: Pages::default(),
            balloon_outside_kb: None,
            vmalloc: None,
            zspages_kb: None,
            isolated_kb: 0,
            hugepages: files.hugepages.as_deref(),
            balloon_module: None,
            balloon_deflates: files.balloon_deflates,
            notes: files.problems.clone(),
            info,
        };
        facts.distrust_overflows();
        let same_machine = facts.take_zones(files.zoneinfo.as_deref());
        if same_machine {
            facts.take_vmstat(files.vmstat.as_deref());
        }
        if let Some(text) = files.vmallocinfo.as_deref() {
            let sums = vmalloc::sums(text, facts.page.kb);
            facts.vmalloc = facts.noted(sums);
        }
        facts.balloon_module = files.modules.as_deref().and_then(|text| {
            procfs::modules(text)
                .map_while(Result::ok)
                .find_map(|module| {
                    balloon::MODULES
                        .into_iter()
                        .find(|&name| name == module.name)
                })
        });
        Ok(facts)
    }

    /// The field `name` in kB; 0 if this kernel has none, or its value is absurd.
    pub(super) fn kb(&self, name: &str) -> i64 {
        self.info.kb(name).and_then(believed).unwrap_or(0)
    }

    /// Whether this kernel has the field `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.info.kb(name).is_some()
    }

    /// `pages` in kB, at most [`MAX_KB`].
    pub(super) fn pages_kb(&self, pages: u64) -> i64 {
        let kb = pages.saturating_mul(self.page.kb).min(MAX_KB);
        i64::try_from(kb).unwrap_or(i64::MAX)
    }

    /// The value, or a note about the error.
    fn noted<T>(&mut self, result: Result<T, ParseError>) -> Option<T> {
        result
            .map_err(|error| self.notes.push(format!("{error}; the file is left out")))
            .ok()
    }

    fn distrust_overflows(&mut self) {
        // VmallocTotal is address space, not memory; no row uses it.
        for field in &self.info.fields {
            if believed(field.value).is_none() && field.name != "VmallocTotal" {
                self.notes.push(format!(
                    "{} is {}: a counter that fell below zero; taken as 0",
                    field.name, field.value
                ));
            }
        }
    }

    /// Whether the zones, and so the other files, are of the machine meminfo shows.
    fn take_zones(&mut self, text: Option<&'a [u8]>) -> bool {
        let Some(zones) = text.and_then(|text| self.noted(procfs::zoneinfo(text))) else {
            return true;
        };
        let total_kb = self.mem_total_kb.unsigned_abs();
        self.page = page_size(&self.info, &zones, total_kb);
        let free_kb = self.mem_free_kb.unsigned_abs();
        match belonging(&zones, self.page, total_kb, free_kb) {
            Belonging::Same => {}
            Belonging::Unplugged(kb) => self.notes.push(format!(
                "MemTotal and MemFree hold {kb} kB that no zone has (zoneinfo): memory the hypervisor has not plugged in"
            )),
            Belonging::Foreign => {
                self.notes.push(format!(
                    "zoneinfo manages {} pages, meminfo has {total_kb} kB in all: another machine, or meminfo shows a \
                     container's limit (lxcfs); zoneinfo and vmstat are left out",
                    managed_pages(&zones).unwrap_or(0)
                ));
                return false;
            }
        }
        let sum = |count: fn(&Zone<'_>) -> Option<u64>| {
            let pages = zones
                .iter()
                .map(count)
                .try_fold(0u64, |sum, pages| Some(sum.saturating_add(pages?)));
            pages.map(|pages| self.pages_kb(pages))
        };
        let pcp_kb = sum(|zone| Some(zone.pcp_count));
        let present_kb = sum(|zone| Some(zone.present));
        let reserved_kb = sum(|zone| Some(zone.present.saturating_sub(zone.managed?)));
        self.pcp_kb = pcp_kb;
        self.present_kb = present_kb;
        self.reserved_kb = reserved_kb;
        self.cpus = zones.iter().map(|zone| i64::from(zone.pcp_cpus)).max();
        self.zones = zones;
        true
    }

    fn take_vmstat(&mut self, text: Option<&[u8]>) {
        let Some(text) = text else { return };
        let mut isolated = 0u64;
        for counter in procfs::vmstat(text) {
            let Some(counter) = self.noted(counter) else {
                break;
            };
            match counter.name {
                "nr_zspages" => self.zspages_kb = Some(self.pages_kb(counter.value)),
                "nr_isolated_anon" | "nr_isolated_file" => {
                    isolated = isolated.saturating_add(counter.value);
                }
                "nr_iommu_pages" => self.pages.iommu = counter.value,
                "nr_memmap_pages" => self.pages.memmap = counter.value,
                "nr_memmap_boot_pages" => self.pages.memmap_boot = counter.value,
                "balloon_inflate" => self.pages.inflated = counter.value,
                "balloon_deflate" => self.pages.deflated = counter.value,
                "nr_foll_pin_acquired" => self.pages.pinned = counter.value,
                "nr_foll_pin_released" => self.pages.unpinned = counter.value,
                _ => {}
            }
        }
        self.isolated_kb = self.pages_kb(isolated);
    }
}

fn required(info: &Meminfo<'_>, files: &HostFiles, field: &'static str) -> Result<i64, HostError> {
    let kb = info.kb(field).ok_or_else(|| HostError::Missing {
        origin: files.origin.clone(),
        field,
    })?;
    believed(kb).ok_or_else(|| HostError::Implausible {
        origin: files.origin.clone(),
        field,
        kb,
    })
}

/// The value, unless no machine can have it.
fn believed(kb: u64) -> Option<i64> {
    (kb <= MAX_KB).then_some(kb)?.try_into().ok()
}
