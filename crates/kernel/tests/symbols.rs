//! VMCOREINFO, kallsyms and BTF out of real dumps, held against what the same
//! kernels said of themselves while they ran, and against pahole and readelf.

#![cfg(feature = "corpus")]
#![allow(clippy::unwrap_used, reason = "a failing helper fails its test")]

use pagehound_kernel::{
    Btf, Encoding, Kallsyms, KallsymsError, VirtFault, VirtualRead, Vmcoreinfo, find_in_memory,
};
use pagehound_testdata::corpus;
use pagehound_vmcore::{Dump, PhysAddr, PhysicalMemory, VirtAddr, open};
use std::ops::ControlFlow;

/// Name of the dump, encoding, whether VMCOREINFO has keys for kallsyms, and
/// whether kallsyms has data symbols (CONFIG_KALLSYMS_ALL).
const DUMPS: [(&str, Encoding, bool, bool); 6] = [
    ("bond-leak-6.1-x86_64", Encoding::AbsolutePercpu, true, true),
    (
        "bond-leak-6.1-x86_64-d31-lzo",
        Encoding::AbsolutePercpu,
        true,
        true,
    ),
    ("healthy-6.1-x86_64", Encoding::AbsolutePercpu, true, true),
    ("mixed-5.10-x86_64", Encoding::AbsolutePercpu, false, true),
    ("frames-7.2-x86_64", Encoding::PlaceRelative, true, true),
    ("frames-6.1-arm64", Encoding::BaseRelative, true, false),
];
const IMAGE_SPAN: u64 = 64 << 20;

/// The kernel image by the one offset between its virtual and physical addresses.
struct Image<'a> {
    memory: &'a dyn PhysicalMemory,
    virt_minus_phys: u64,
}

impl VirtualRead for Image<'_> {
    fn read(&self, addr: VirtAddr, mut buf: &mut [u8]) -> Result<(), VirtFault> {
        let mut page = vec![0; self.memory.page_size()];
        let mut at = addr;
        while !buf.is_empty() {
            let paddr = self.phys(at);
            let pfn = paddr.pfn(self.memory.page_shift());
            let read = self.memory.read_page(pfn, &mut page);
            read.map_err(|fault| VirtFault::Memory { addr: at, fault })?;
            let skip = (paddr.0 % page.len() as u64) as usize;
            let len = buf.len().min(page.len() - skip);
            let (now, later) = buf.split_at_mut(len);
            now.copy_from_slice(&page[skip..skip + len]);
            buf = later;
            at = at.add(len as u64);
        }
        Ok(())
    }
}

impl<'a> Image<'a> {
    fn new(memory: &'a dyn PhysicalMemory, info: &Vmcoreinfo) -> Image<'a> {
        let x86_64 =
            || Some(0xffff_ffff_8000_0000_u64.wrapping_sub(info.number("phys_base")? as u64));
        let arm64 = || info.number("kimage_voffset").map(i64::cast_unsigned);
        Image {
            memory,
            virt_minus_phys: arm64().or_else(x86_64).unwrap(),
        }
    }

    fn phys(&self, va: VirtAddr) -> PhysAddr {
        PhysAddr(va.0.wrapping_sub(self.virt_minus_phys))
    }
}

struct Case {
    name: &'static str,
    dump: Dump,
    info: Vmcoreinfo,
    truth: String,
}

impl Case {
    fn open(name: &'static str) -> Case {
        let dump = open(&corpus(&format!("{name}.kdump"))).unwrap();
        let info = Vmcoreinfo::parse(dump.info.vmcoreinfo.as_deref().unwrap()).unwrap();
        let truth = std::fs::read(corpus(&format!("{name}.truth.txt"))).unwrap();
        let truth = String::from_utf8_lossy(&truth).into_owned();
        Case {
            name,
            dump,
            info,
            truth,
        }
    }

    fn image(&self) -> Image<'_> {
        Image::new(&*self.dump.memory, &self.info)
    }

    fn stext(&self) -> VirtAddr {
        self.info.symbol("_stext").unwrap()
    }

    fn by_shape(&self) -> Kallsyms {
        let stext = self.stext();
        Kallsyms::find(&self.image(), stext, stext.add(IMAGE_SPAN), stext).unwrap()
    }

    /// `start-end` of a line of the guest's /proc/iomem, the end exclusive.
    fn iomem(&self, what: &str) -> Option<(u64, u64)> {
        let line = self.truth.lines().find(|line| line.ends_with(what))?;
        let (start, end) = line.trim().split_once(' ')?.0.split_once('-')?;
        let hex = |text| u64::from_str_radix(text, 16).ok();
        Some((hex(start)?, hex(end)? + 1))
    }

    /// Callers in /proc/vmallocinfo, printed by the running kernel from its own
    /// kallsyms: name, offset in it, and distance to the next symbol.
    fn callers(&self) -> Vec<(&str, u64, u64)> {
        let caller = |word: &'_ str| -> Option<(usize, u64, u64)> {
            let (name, rest) = word.split_once("+0x")?;
            let (offset, size) = rest.split_once("/0x")?;
            let hex = |text| u64::from_str_radix(text, 16).ok();
            Some((name.len(), hex(offset)?, hex(size)?))
        };
        let mut callers = Vec::new();
        for line in self.truth.lines().filter(|line| line.starts_with("0x")) {
            // A module's symbol is followed by the module in brackets.
            let mut words = line.split_whitespace().peekable();
            while let Some(word) = words.next() {
                let of_module = words.peek().is_some_and(|next| next.starts_with('['));
                if let Some((len, offset, size)) = caller(word).filter(|_| !of_module) {
                    callers.push((&word[..len], offset, size));
                }
            }
        }
        callers.sort_unstable();
        callers.dedup();
        callers
    }
}

fn cases() -> impl Iterator<Item = (Case, Encoding, bool, bool)> {
    DUMPS
        .into_iter()
        .map(|(name, encoding, keys, data)| (Case::open(name), encoding, keys, data))
}

#[test]
fn vmcoreinfo_is_found_in_memory_as_the_container_has_it() {
    for (case, ..) in cases() {
        let found = find_in_memory(
            &*case.dump.memory,
            &|_, _| ControlFlow::Continue(()),
            &|_| ControlFlow::Continue(()),
        );
        let text = case.dump.info.vmcoreinfo.as_deref();
        assert!(
            found.iter().any(|f| Some(f.text.as_slice()) == text),
            "{}",
            case.name
        );
        // No text of another kernel in any of these guests.
        assert!(
            found
                .iter()
                .all(|f| f.info.build_id() == case.info.build_id()),
            "{}",
            case.name
        );
        for f in found {
            let at = f.paddr.pfn(12);
            let mut page = vec![0; 4096];
            case.dump.memory.read_page(at, &mut page).unwrap();
            assert!(page[(f.paddr.0 % 4096) as usize..].starts_with(b"OSRELEASE="));
        }
    }
}

#[test]
fn kallsyms_is_the_same_by_keys_and_by_shape() {
    for (case, encoding, keys, _) in cases() {
        let found = case.by_shape();
        assert_eq!(found.encoding(), encoding, "{}", case.name);
        match Kallsyms::from_vmcoreinfo(&case.info, &case.image()) {
            Ok(named) => assert!(keys && named.iter().eq(found.iter()), "{}", case.name),
            Err(KallsymsError::Key(_)) => assert!(!keys, "{}", case.name),
            Err(error) => panic!("{}: {error}", case.name),
        }
    }
}

#[test]
fn kallsyms_agrees_with_vmcoreinfo_and_iomem() {
    // Names that are macros for something else in the kernel's sources.
    const NO_SYMBOL: [&str; 3] = ["node_online_map", "swapper_pg_dir", "vmemmap"];
    for (case, _, _, data) in cases() {
        let symbols = case.by_shape();
        assert_eq!(
            symbols.address("_stext"),
            Some(case.stext()),
            "{}",
            case.name
        );
        let image = case.image();
        let phys = |name| symbols.address(name).map(|va| image.phys(va).0);
        let range = |start, end| phys(start).zip(phys(end));
        if !data {
            assert_eq!(symbols.address("init_task"), None);
            assert_eq!(
                phys("_stext"),
                case.iomem(": Kernel code").map(|(start, _)| start)
            );
            continue;
        }
        assert_eq!(
            range("_text", "_etext"),
            case.iomem(": Kernel code"),
            "{}",
            case.name
        );
        assert_eq!(
            range("__start_rodata", "__end_rodata"),
            case.iomem(": Kernel rodata")
        );
        assert_eq!(
            range("_sdata", "_edata"),
            case.iomem(": Kernel data"),
            "{}",
            case.name
        );
        assert_eq!(
            range("__bss_start", "__bss_stop"),
            case.iomem(": Kernel bss"),
            "{}",
            case.name
        );
        let mut compared = 0;
        for (key, _) in case.info.entries() {
            let name = key
                .strip_prefix("SYMBOL(")
                .and_then(|rest| rest.strip_suffix(')'));
            // mem_section is printed as the table it points to (SYMBOL_ARRAY).
            let Some(name) = name.filter(|&name| name != "mem_section") else {
                continue;
            };
            // kallsyms leaves its own tables out, and since 7.0 does not.
            if NO_SYMBOL.contains(&name)
                || name.starts_with("kallsyms_") && symbols.address(name).is_none()
            {
                continue;
            }
            assert_eq!(
                symbols.address(name),
                case.info.symbol(name),
                "{}: {name}",
                case.name
            );
            compared += 1;
        }
        assert!(compared >= 7, "{}: {compared}", case.name);
    }
}

#[test]
fn symbols_are_as_long_as_the_running_kernel_said() {
    for (case, ..) in cases() {
        let symbols = case.by_shape();
        let callers = case.callers();
        assert!(callers.len() >= 15, "{}: {}", case.name, callers.len());
        for (name, offset, size) in callers {
            let fits = |va: VirtAddr| {
                let within = symbols.lookup(va.add(offset));
                symbols.next_after(va) == Some(va.add(size))
                    && within.is_some_and(|s| s.offset_in == offset && s.address == va)
            };
            assert!(
                symbols.addresses(name).any(fits),
                "{}: {name}/{size:#x}",
                case.name
            );
        }
    }
}

#[test]
fn btf_agrees_with_vmcoreinfo() {
    for (case, _, _, data) in cases() {
        let image = case.image();
        let symbols = case.by_shape();
        let found = Btf::search(&image, case.stext(), case.stext().add(IMAGE_SPAN)).unwrap();
        let start = symbols
            .address("__start_BTF")
            .zip(symbols.address("__stop_BTF"));
        assert_eq!(start.is_some(), data, "{}", case.name);
        let named = start.map(|(start, stop)| Btf::find_in_kernel(&image, start, stop).unwrap());
        for btf in [Some(found), named].into_iter().flatten() {
            agrees_with_vmcoreinfo(&case, &btf);
        }
    }
}

fn agrees_with_vmcoreinfo(case: &Case, btf: &Btf) {
    let info = &case.info;
    let element = |array| match array {
        "zone.free_area" => Some("free_area"),
        "free_area.free_list" => Some("list_head"),
        _ => None,
    };
    let mut compared = 0;
    for (key, value) in info.entries() {
        let Some((kind, name)) = key.strip_suffix(')').and_then(|key| key.split_once('(')) else {
            continue;
        };
        // The length of mem_section and node_data is that of a variable, not a type.
        let seen = match kind {
            "OFFSET" => btf.member(name).map(|m| m.offset),
            "LENGTH" if name.contains('.') => element(name).and_then(|element| {
                let array = btf.member(name)?.size;
                array.checked_div(btf.size_of(element)?)
            }),
            "SIZE" => btf.size_of(name),
            "NUMBER" if name.starts_with("NR_") => btf
                .enumerator("zone_stat_item", name)
                .map(i64::cast_unsigned),
            "NUMBER" if name.starts_with("PG_") && !name.ends_with("_mask") => {
                btf.enumerator("pageflags", name).map(i64::cast_unsigned)
            }
            _ => continue,
        };
        assert_eq!(
            seen.map(|v| v.to_string()).as_deref(),
            Some(value),
            "{}: {key}",
            case.name
        );
        compared += 1;
    }
    assert!(compared >= 45, "{}: {compared}", case.name);
}

/// What `pahole -F btf` 1.24 and `bpftool btf dump` 7.1 print for the .BTF section
/// of Debian's vmlinux 6.1.192-2 cloud-amd64, build id 3b43fad5…, which is the
/// kernel of this dump.
#[test]
fn btf_agrees_with_pahole() {
    let case = Case::open("healthy-6.1-x86_64");
    assert_eq!(
        case.info.build_id().map(|id| id.to_string()).as_deref(),
        Some("3b43fad5034874490492495d552c0af6a5fab235")
    );
    let stext = case.stext();
    let btf = Btf::search(&case.image(), stext, stext.add(IMAGE_SPAN)).unwrap();
    assert_eq!(btf.type_count(), 95_246);
    assert_eq!(btf.size_of("net_device"), Some(2432));
    let member = |path| btf.member(path).map(|m| (m.offset, m.size, m.bits));
    assert_eq!(member("net_device.name"), Some((0, 16, None)));
    assert_eq!(member("net_device.adj_list.upper"), Some((160, 16, None)));
    assert_eq!(
        member("net_device.adj_list.lower.prev"),
        Some((184, 8, None))
    );
    assert_eq!(member("net_device.ethtool_ops"), Some((504, 8, None)));
    // Inside two anonymous unions of sk_buff.
    assert_eq!(member("sk_buff.pkt_type"), Some((128, 1, Some((0, 3)))));
    assert_eq!(member("sk_buff.pfmemalloc"), Some((126, 1, Some((6, 1)))));
    assert_eq!(member("sk_buff.mac_header"), Some((186, 2, None)));
    assert_eq!(btf.enumerator("node_stat_item", "NR_FILE_PAGES"), Some(19));
}

/// Counted with `nm` in the same vmlinux, whose every name, address (plus KASLR)
/// and letter kallsyms repeats, but for 359 per-CPU symbols that it makes absolute.
#[test]
fn kallsyms_agrees_with_nm() {
    let symbols = Case::open("healthy-6.1-x86_64").by_shape();
    assert_eq!(symbols.len(), 87_347);
    let stext = symbols.address("_stext").unwrap().0;
    let link_time = |name| {
        symbols
            .address(name)
            .map(|va| va.0 - stext + 0xffff_ffff_8100_0000)
    };
    assert_eq!(link_time("init_task"), Some(0xffff_ffff_82a1_aa40));
    assert_eq!(link_time("init_net"), Some(0xffff_ffff_8340_99c0));
}
