//! Where a kernel's types are told: by itself, or by a vmlinux.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::btf::{Btf, BtfError};
use crate::kallsyms::Kallsyms;
use crate::kernel::{IMAGE_LIMIT, KernelError, Options};
use crate::translate::KernelMemory;
use crate::vmcoreinfo::Vmcoreinfo;
use crate::vmlinux::{Wanted, debug_package};

/// What tells a kernel's types.
#[derive(Default)]
pub(crate) struct Types {
    pub(crate) types: Option<Arc<Btf>>,
    /// The file they are from, if not from the kernel's own BTF.
    pub(crate) vmlinux: Option<PathBuf>,
    /// Of a vmlinux, where the kernel's own cannot be had.
    pub(crate) symbols: Option<Kallsyms>,
    /// What could not be had or was not used, a sentence each.
    pub(crate) warnings: Vec<String>,
}

/// The types of the kernel: by its BTF, else by the vmlinux that was given, else by one
/// that is where packages put it.
///
/// # Errors
/// [`KernelError::Vmlinux`] if the vmlinux that was given is not that of this kernel, also
/// where it is not needed, or tells no types where it is; [`KernelError::Interrupted`].
pub(crate) fn open_types(
    memory: &KernelMemory<'_>,
    symbols: Option<&Kallsyms>,
    vmcoreinfo: &Vmcoreinfo,
    options: Options<'_>,
) -> Result<Types, KernelError> {
    let wanted = Wanted {
        memory,
        vmcoreinfo,
        symbols,
        cancel: options.cancel,
    };
    let no_btf = if options.without_btf {
        None
    } else {
        match open_btf(memory, symbols, vmcoreinfo) {
            Ok(btf) => return beside_btf(&wanted, btf, options.vmlinux),
            Err(why) => Some(why),
        }
    };
    if let Some(path) = options.vmlinux {
        return of_file(&wanted, path);
    }
    let mut warnings = Vec::new();
    let root = options.debug_root.iter();
    for path in root.flat_map(|root| wanted.candidates(root)) {
        match of_file(&wanted, &path) {
            Ok(mut told) => {
                told.warnings.splice(..0, warnings);
                return Ok(told);
            }
            Err(KernelError::Interrupted) => return Err(KernelError::Interrupted),
            // Nobody asked for this file.
            Err(why) => warnings.push(why.to_string()),
        }
    }
    if let Some(why) = no_btf {
        let package = debug_package(vmcoreinfo.osrelease());
        warnings.push(format!(
            "no BTF: {why}; --vmlinux with the kernel's debug information ({package}) would add \
             tasks, free objects, devices and more counters"
        ));
    }
    Ok(Types {
        warnings,
        ..Types::default()
    })
}

/// The kernel's own BTF. Of a vmlinux that was given too, the symbols are taken if the
/// kernel's own cannot be had.
fn beside_btf(
    wanted: &Wanted<'_, '_>,
    btf: Btf,
    vmlinux: Option<&Path>,
) -> Result<Types, KernelError> {
    let mut warnings = Vec::new();
    let mut symbols = None;
    if let Some(path) = vmlinux {
        symbols = wanted.read_symbols(path, &mut warnings)?;
        let read = match symbols {
            Some(_) => "was read for its symbols only",
            None => "was not read",
        };
        let path = path.display();
        warnings.push(format!(
            "--vmlinux {path} {read}: the kernel's own BTF tells its types"
        ));
    }
    Ok(Types {
        types: Some(Arc::new(btf)),
        vmlinux: None,
        symbols,
        warnings,
    })
}

fn of_file(wanted: &Wanted<'_, '_>, path: &Path) -> Result<Types, KernelError> {
    let told = wanted.read(path)?;
    Ok(Types {
        types: Some(Arc::new(told.types)),
        vmlinux: Some(path.to_owned()),
        symbols: told.symbols,
        warnings: told.warnings,
    })
}

/// BTF by its symbols, or by its own shape where kallsyms has functions only
/// (no CONFIG_KALLSYMS_ALL).
fn open_btf(
    memory: &KernelMemory<'_>,
    symbols: Option<&Kallsyms>,
    vmcoreinfo: &Vmcoreinfo,
) -> Result<Btf, BtfError> {
    let address = |name| symbols.and_then(|symbols| symbols.address(name));
    match (address("__start_BTF"), address("__stop_BTF")) {
        (Some(start), Some(stop)) => Btf::find_in_kernel(memory, start, stop),
        _ => {
            let stext = vmcoreinfo.symbol("_stext").unwrap_or_default();
            Btf::search(memory, stext, stext.add(IMAGE_LIMIT))
        }
    }
}
