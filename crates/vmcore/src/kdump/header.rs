//! The headers of a kdump, checked.

use std::ops::Range;

use zerocopy::{FromZeros, IntoBytes};

use super::layout::{Header, NewUtsname, STATUS_EXCLUDED_VMEMMAP, STATUS_INCOMPLETE, SubHeader};
use crate::error::Defect;
use crate::notes::{
    Note, erased_warning, machine_in, read_erased, read_notes, read_vmcoreinfo, vmcoreinfo_in,
};
use crate::source::Source;
use crate::{Machine, Utsname};

/// The newest `header_version` whose fields are known. Newer ones may append.
const NEWEST_VERSION: i32 = 6;

/// What the headers say.
pub(super) struct Headers {
    pub(super) version: i32,
    pub(super) page_shift: u32,
    /// Frames the bitmaps cover.
    pub(super) max_mapnr: u64,
    /// Where the first bitmap lies.
    pub(super) bitmap_offset: u64,
    /// Bytes of all bitmaps.
    pub(super) bitmap_len: u64,
    /// Frames this file of a split dump holds.
    pub(super) split: Option<Range<u64>>,
    pub(super) incomplete: bool,
    pub(super) excluded_vmemmap: bool,
    pub(super) utsname: Utsname,
    pub(super) captured_at: Option<i64>,
    pub(super) phys_base: i64,
    pub(super) dump_level: Option<u32>,
    pub(super) vmcoreinfo: Option<Vec<u8>>,
    pub(super) notes: Vec<Note>,
    /// What makedumpfile was told to erase.
    pub(super) erased: Vec<String>,
}

fn defect(field: &'static str, offset: u64, problem: String) -> Defect {
    Defect {
        format: "kdump",
        field,
        offset,
        problem,
    }
}

impl Headers {
    /// Reads and checks both headers and what they point to.
    pub(super) fn read(source: &Source) -> Result<Self, Defect> {
        let mut header = Header::new_zeroed();
        source
            .read_at(0, header.as_mut_bytes())
            .map_err(|e| defect("disk_dump_header", 0, e.to_string()))?;
        let version = checked_version(header.header_version.get())?;

        // The block size decides where everything else lies: arm64 writes
        // blocks of 4, 16 or 64 KiB.
        let block_size = header.block_size.get();
        let blocks = u64::try_from(block_size).unwrap_or(0);
        if !blocks.is_power_of_two() || !(1 << 12..=1 << 16).contains(&blocks) {
            return Err(defect(
                "block_size",
                428,
                format!(
                    "{block_size}, not a page size from 4096 to 65536 (32-bit kernels' dumps are not read)"
                ),
            ));
        }
        let sub_hdr_size = header.sub_hdr_size.get();
        let Some(sub_blocks) = u64::try_from(sub_hdr_size).ok().filter(|&size| size > 0) else {
            return Err(defect(
                "sub_hdr_size",
                432,
                format!("{sub_hdr_size} blocks"),
            ));
        };
        let mut sub = SubHeader::new_zeroed();
        source
            .read_at(blocks, sub.as_mut_bytes())
            .map_err(|e| defect("kdump_sub_header", blocks, e.to_string()))?;

        let max_mapnr = if version >= 6 {
            sub.max_mapnr_64.get()
        } else {
            u64::from(header.max_mapnr.get())
        };
        let mut notes = Vec::new();
        if version >= 4 && sub.offset_note.get() != 0 {
            read_notes(
                source,
                sub.offset_note.get(),
                sub.size_note.get(),
                &mut notes,
            );
        }
        let vmcoreinfo = (version >= 3)
            .then(|| {
                read_vmcoreinfo(
                    source,
                    sub.offset_vmcoreinfo.get(),
                    sub.size_vmcoreinfo.get(),
                )
            })
            .flatten()
            .or_else(|| vmcoreinfo_in(&notes));
        let erased = if version >= 5 {
            read_erased(source, sub.offset_eraseinfo.get(), sub.size_eraseinfo.get())
        } else {
            Vec::new()
        };
        let status = header.status.get();
        Ok(Self {
            version,
            page_shift: blocks.trailing_zeros(),
            max_mapnr,
            // At most (2^31 + 1) * 2^16, and 2^32 * 2^16: no overflow.
            bitmap_offset: (1 + sub_blocks) * blocks,
            bitmap_len: u64::from(header.bitmap_blocks.get()) * blocks,
            split: split_range(version, &sub),
            incomplete: status & STATUS_INCOMPLETE != 0,
            excluded_vmemmap: status & STATUS_EXCLUDED_VMEMMAP != 0,
            utsname: utsname(&header.utsname),
            captured_at: Some(header.timestamp_sec.get()).filter(|&seconds| seconds > 0),
            phys_base: sub.phys_base.get(),
            dump_level: (version >= 1)
                .then(|| u32::try_from(sub.dump_level.get()).ok())
                .flatten(),
            vmcoreinfo,
            notes,
            erased,
        })
    }

    /// The first field that tells this dump from `other`; `None` of two files of one.
    pub(super) fn difference(&self, other: &Self) -> Option<&'static str> {
        let same = [
            ("utsname", self.utsname == other.utsname),
            ("timestamp", self.captured_at == other.captured_at),
            ("max_mapnr", self.max_mapnr == other.max_mapnr),
            ("block_size", self.page_shift == other.page_shift),
            ("dump_level", self.dump_level == other.dump_level),
            ("phys_base", self.phys_base == other.phys_base),
            ("VMCOREINFO", self.vmcoreinfo == other.vmcoreinfo),
            ("notes", self.notes == other.notes),
        ];
        let other = same.iter().find(|(_, same)| !same);
        other.map(|(field, _)| *field)
    }

    /// Architecture by `utsname.machine`, else by its registers.
    pub(super) fn machine(&self) -> Option<Machine> {
        match self.utsname.machine.as_str() {
            "x86_64" => Some(Machine::X86_64),
            "aarch64" => Some(Machine::Aarch64),
            _ => machine_in(&self.notes),
        }
    }

    /// Sentences about what is unusual.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.version > NEWEST_VERSION {
            warnings.push(format!(
                "kdump header version {} is newer than {NEWEST_VERSION}: fields it adds are not read",
                self.version
            ));
        }
        if self.excluded_vmemmap {
            warnings.push(
                "makedumpfile -e left out the struct pages of excluded regions: their pages cannot be classified"
                    .to_owned(),
            );
        }
        warnings.extend(erased_warning(&self.erased));
        warnings
    }
}

fn checked_version(version: i32) -> Result<i32, Defect> {
    match version {
        1.. if version.swap_bytes() > version => Ok(version),
        0 => Err(defect(
            "header_version",
            8,
            "0, written by diskdump and makedumpfile before 1.2.2 (2007), whose headers say too little".to_owned(),
        )),
        _ => Err(defect(
            "header_version",
            8,
            format!("{version}: damaged, or of a big-endian machine, whose dumps are not read"),
        )),
    }
}

/// The frames of a split dump's file. Version 6 brought 64-bit frame numbers.
fn split_range(version: i32, sub: &SubHeader) -> Option<Range<u64>> {
    if version < 2 || sub.split.get() == 0 {
        return None;
    }
    Some(if version >= 6 {
        sub.start_pfn_64.get()..sub.end_pfn_64.get()
    } else {
        sub.start_pfn.get()..sub.end_pfn.get()
    })
}

fn utsname(raw: &NewUtsname) -> Utsname {
    let text = |field: &[u8]| {
        let text = field.split(|&byte| byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    };
    Utsname {
        sysname: text(&raw.sysname),
        nodename: text(&raw.nodename),
        release: text(&raw.release),
        version: text(&raw.version),
        machine: text(&raw.machine),
        domainname: text(&raw.domainname),
    }
}
