//! What a dump says of its machine, for the headers of a kdump made from it.

use pagehound_synth::Image;
use pagehound_vmcore::Dump;

/// An x86-64 machine with frames up to `end_pfn` and without pages: VMCOREINFO,
/// notes, names and `phys_base` are those of `dump`.
pub(crate) fn image_of(dump: &Dump, end_pfn: u64) -> Image {
    let info = &dump.info;
    let text = info.vmcoreinfo.as_deref().unwrap_or_default();
    let vmcoreinfo = String::from_utf8_lossy(text);
    let value = |key: &str| {
        vmcoreinfo
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    let phys_base = value("NUMBER(phys_base)").and_then(|number| number.parse().ok());
    let mut image = Image::new(1 << dump.memory.page_shift())
        .end_pfn(end_pfn)
        .phys_base(phys_base.unwrap_or(0))
        .captured_at(info.captured_at.unwrap_or(0))
        .vmcoreinfo(text);
    let release = value("OSRELEASE").unwrap_or("unknown");
    image = match &info.utsname {
        Some(names) if !names.release.is_empty() => image.utsname([
            &names.sysname,
            &names.nodename,
            &names.release,
            &names.version,
            &names.machine,
            &names.domainname,
        ]),
        _ => image.utsname(["Linux", "lab", release, "#1 SMP", "x86_64", "(none)"]),
    };
    for note in &info.notes {
        if note.name != b"VMCOREINFO" {
            let name = String::from_utf8_lossy(&note.name);
            image = image.note(&name, note.kind, note.desc.as_slice());
        }
    }
    image
}
