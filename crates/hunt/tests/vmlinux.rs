//! Kernels without BTF whose vmlinux with debug information is at hand: what it adds,
//! and that no other kernel's is taken for it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use pagehound_hunt::census::Without;
use pagehound_kernel::{Class, Kernel, KernelError, Options, VmlinuxError};
use pagehound_model::Verdict;
use pagehound_synth::KdumpOptions;
use pagehound_synth::machine::{BUILD_ID, Crashed, Version, machine};
use pagehound_vmcore::Dump;

/// A machine with its dump in a file.
struct Case {
    crashed: Crashed,
    folder: tempfile::TempDir,
    dump: Dump,
}

fn case(version: Version) -> Case {
    case_of(version, true)
}

fn case_of(version: Version, kallsyms: bool) -> Case {
    let crashed = machine(
        version,
        &pagehound_synth::machine::Options {
            kallsyms,
            ..version.options()
        },
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vmcore");
    let dump = crashed.image.write_kdump(&KdumpOptions::default());
    std::fs::write(&path, dump).unwrap();
    let dump = pagehound_vmcore::open(&path).unwrap();
    Case {
        crashed,
        folder,
        dump,
    }
}

/// A vmlinux with the kernel's structs, a build id as the linker is told, and a banner.
fn vmlinux(folder: &Path, version: Version, id: &str, banner: &str) -> PathBuf {
    let banner = format!("const char linux_banner[] = \"{banner}\\n\";");
    vmlinux_with(folder, version, id, &banner)
}

/// The same with some more text in its source.
fn vmlinux_with(folder: &Path, version: Version, id: &str, more: &str) -> PathBuf {
    let source = folder.join("vmlinux.c");
    let mut text = std::fs::File::create(&source).unwrap();
    let structs = version.debug_source();
    writeln!(text, "{more}\n{structs}").unwrap();
    let path = folder.join("vmlinux");
    let mut cc = Command::new("cc");
    cc.args(["-g", "-shared", "-nostdlib", "-fPIC"])
        .arg(format!("-Wl,--build-id={id}"))
        .arg(&source)
        .arg("-o")
        .arg(&path);
    let output = cc.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    path
}

fn own_id() -> String {
    let digits: String = BUILD_ID.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

/// What the machine has is there, and no pages are lost but those that are.
fn has_types(case: &Case, kernel: &Kernel<'_>) {
    let (tasks, broken) = kernel.tasks().unwrap();
    assert!(broken.is_empty(), "{broken:?}");
    let mut named: Vec<(u32, &[u8])> = tasks
        .iter()
        .map(|task| (task.pid, &task.comm[..]))
        .collect();
    named.sort_unstable();
    let expected: [(u32, &[u8]); 4] = [
        (0, b"swapper/0"),
        (1, b"systemd"),
        (812, b"sshd"),
        (2044, b"bash"),
    ];
    assert_eq!(named, expected);
    let diagnosis = common::diagnose(kernel, Without::default());
    assert_eq!(
        diagnosis.report.verdict,
        Verdict::Lost,
        "{:?}",
        diagnosis.report.warnings
    );
    assert_eq!(
        common::lost(&diagnosis),
        case.crashed.lost.iter().copied().collect()
    );
    let nodes = kernel.nodes().unwrap();
    let file = diagnosis.pages.map.count(Class::File) + diagnosis.pages.map.count(Class::Shmem);
    assert_eq!(
        file as usize,
        case.crashed.cached.len() + case.crashed.shmem.len()
    );
    assert_eq!(
        kernel.node_stat(&nodes, "NR_FILE_PAGES"),
        Some(file.cast_signed())
    );
    let tables = kernel.zone_stat(&nodes, "NR_PAGETABLE");
    assert!(tables.is_some_and(|tables| tables > 0), "{tables:?}");
}

#[test]
fn types_of_a_vmlinux() {
    for version in [Version::V3_10, Version::V4_13, Version::V5_4] {
        let case = case(version);
        let without = common::kernel(&case.dump);
        assert!(without.types.is_none());
        assert!(without.tasks().is_err());
        let hint = without
            .warnings
            .iter()
            .find(|warning| warning.contains("--vmlinux"));
        assert!(hint.is_some(), "{:?}", without.warnings);
        let path = vmlinux(case.folder.path(), version, &own_id(), "none");
        let options = Options {
            vmlinux: Some(&path),
            ..Options::default()
        };
        let kernel = Kernel::open(&case.dump, options).unwrap();
        assert_eq!(kernel.vmlinux.as_deref(), Some(path.as_path()));
        assert!(kernel.warnings.is_empty(), "{:?}", kernel.warnings);
        has_types(&case, &kernel);
    }
}

#[test]
fn a_vmlinux_where_packages_put_it() {
    let case = case(Version::V5_4);
    let path = vmlinux(case.folder.path(), Version::V5_4, &own_id(), "none");
    let id = own_id();
    let (folder, name) = id[2..].split_at(2);
    let root = case.folder.path().join("debug");
    let folder = root.join(".build-id").join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    let by_id = folder.join(format!("{name}.debug"));
    std::fs::copy(&path, &by_id).unwrap();
    let release = Version::V5_4.options().release;
    let options = Options {
        debug_root: Some(&root),
        ..Options::default()
    };
    let kernel = Kernel::open(&case.dump, options).unwrap();
    assert_eq!(kernel.vmlinux.as_deref(), Some(by_id.as_path()));

    // Of another build of the same release nothing is taken, and it is said.
    std::fs::remove_file(&by_id).unwrap();
    std::fs::create_dir(root.join("boot")).unwrap();
    let other = vmlinux(case.folder.path(), Version::V5_4, "sha1", "none");
    std::fs::copy(&other, root.join(format!("boot/vmlinux-{release}"))).unwrap();
    let kernel = Kernel::open(&case.dump, options).unwrap();
    assert!(kernel.types.is_none());
    let said = &kernel.warnings[0];
    assert!(
        said.contains("its build id is") && said.contains(&id[2..]),
        "{said}"
    );
}

/// Without build ids the text that names kernel, compiler and build tells them apart.
#[test]
fn kernels_are_told_apart_by_their_banners() {
    let case = case(Version::V4_13);
    let banner = Version::V4_13.options().banner_text();
    let open = |banner: &str| {
        let path = vmlinux(case.folder.path(), Version::V4_13, "none", banner);
        let options = Options {
            vmlinux: Some(&path),
            ..Options::default()
        };
        Kernel::open(&case.dump, options)
    };
    has_types(&case, &open(&banner).unwrap());
    let error = open(&banner.replace("Oct 22", "Oct 23")).err().unwrap();
    assert!(
        matches!(
            error,
            KernelError::Vmlinux(VmlinuxError::OtherKernel { .. })
        ),
        "{error}"
    );
    let said = error.to_string();
    assert!(said.contains("Oct 23") && said.contains("4.13.9"), "{said}");
    let error = open("no text of that kind").err().unwrap();
    assert!(
        matches!(error, KernelError::Vmlinux(VmlinuxError::Nameless { .. })),
        "{error}"
    );
}

/// Where the kernel's own tables of symbols cannot be read, those of the file do, moved
/// to where the kernel was.
#[test]
fn symbols_of_a_vmlinux() {
    let case = case_of(Version::V5_4, false);
    let without = common::kernel(&case.dump);
    assert!(without.symbols.is_none());
    assert!(without.address("init_task").is_none());
    // As linked for 1 GiB further up. The linker has its own idea of a few.
    let moved = 1 << 30;
    let mut symbols = String::new();
    let mut all = case.crashed.symbols.clone();
    all.retain(|(name, _)| !["__bss_start", "_end", "_etext"].contains(&name.as_str()));
    for (name, address) in &all {
        let address = address.wrapping_add(if address >> 63 == 1 { moved } else { 0 });
        symbols += &format!("asm(\".globl {name}; .set {name}, {address:#x}\");\n");
    }
    let path = vmlinux_with(case.folder.path(), Version::V5_4, &own_id(), &symbols);
    let options = Options {
        vmlinux: Some(&path),
        ..Options::default()
    };
    let kernel = Kernel::open(&case.dump, options).unwrap();
    assert!(kernel.warnings.is_empty(), "{:?}", kernel.warnings);
    assert!(all.len() > 30);
    for (name, address) in &all {
        assert_eq!(
            kernel.address(name).map(|at| at.0),
            Some(*address),
            "{name}"
        );
    }
    has_types(&case, &kernel);
}

/// A kernel that tells its types needs no vmlinux; one that is given must be its own all
/// the same, and is not passed over in silence.
#[test]
fn a_vmlinux_beside_btf() {
    let dump = pagehound_vmcore::open(&pagehound_testdata::demo()).unwrap();
    let without = common::kernel(&dump);
    assert!(without.types.is_some() && without.symbols.is_some());
    let id = without.vmcoreinfo.build_id().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let open = |id: &str| {
        let path = vmlinux(folder.path(), Version::V5_4, id, "none");
        let options = Options {
            vmlinux: Some(&path),
            ..Options::default()
        };
        Kernel::open(&dump, options)
    };
    let kernel = open(&format!("0x{id}")).unwrap();
    assert_eq!(kernel.vmlinux, None);
    assert_eq!(
        kernel.types.as_ref().map(|types| types.type_count()),
        without.types.as_ref().map(|types| types.type_count())
    );
    let said = &kernel.warnings;
    let unread = "was not read: the kernel's own BTF tells its types";
    assert!(said[0].starts_with("--vmlinux /"), "{said:?}");
    assert!(said[0].ends_with(unread), "{said:?}");
    assert_eq!(said[1..], without.warnings);
    let error = open("sha1").err().unwrap();
    assert!(
        matches!(
            error,
            KernelError::Vmlinux(VmlinuxError::OtherKernel { .. })
        ),
        "{error}"
    );
    let said = error.to_string();
    assert!(said.contains("; install linux-image-6.1.0-"), "{said}");
}

#[test]
fn a_stripped_vmlinux_is_refused_with_what_to_install() {
    let case = case(Version::V5_4);
    let path = vmlinux(case.folder.path(), Version::V5_4, &own_id(), "none");
    let mut strip = Command::new("objcopy");
    strip.arg("--strip-debug").arg(&path);
    assert!(strip.status().unwrap().success());
    let options = Options {
        vmlinux: Some(&path),
        ..Options::default()
    };
    let error = Kernel::open(&case.dump, options).err().unwrap();
    assert!(
        matches!(error, KernelError::Vmlinux(VmlinuxError::Stripped { .. })),
        "{error}"
    );
    let said = error.to_string();
    assert!(
        said.contains("install the debug information of 5.4"),
        "{said}"
    );
}
