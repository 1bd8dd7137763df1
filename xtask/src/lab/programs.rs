//! Programs for the guest, from packages of the kernel's own suite and
//! architecture, with the libraries they load.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::apt::Apt;
use super::cache;
use super::target::{Arch, Target};
use crate::bytes::{get_size, get_u16, get_u32, slice};

const PACKAGES: [&str; 3] = ["busybox-static", "kexec-tools", "makedumpfile"];
const PROGRAM_FOLDERS: [&str; 4] = ["bin", "sbin", "usr/bin", "usr/sbin"];
const PROGRAM_HEADER: usize = 56;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: usize = 1;
const DT_STRTAB: usize = 5;

/// Files of an initrd: path without the leading slash, and content.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Unpacked packages, most of whose files no guest needs.
pub(super) struct Programs {
    root: PathBuf,
    arch: Arch,
}

impl Programs {
    /// Unpacks the packages; quick when cached.
    pub(super) fn prepare(target: &Target) -> Result<Self> {
        let (suite, arch) = (target.kernel.suite(), target.arch.debian());
        let dir = cache::root()?.join(format!("guest/{suite}-{arch}"));
        let root = dir.join("root");
        let complete = dir.join("unpacked");
        if !complete.exists() {
            let apt = Apt::open(suite, arch)?;
            apt.unpack(&apt.closure(&PACKAGES.map(str::to_owned))?, &root)?;
            fs::write(&complete, []).context("cannot mark the programs as unpacked")?;
        }
        Ok(Self {
            root,
            arch: target.arch,
        })
    }

    /// The statically linked busybox.
    pub(super) fn busybox(&self) -> Result<Vec<u8>> {
        fs::read(self.find("busybox", &PROGRAM_FOLDERS)?).context("cannot read busybox")
    }

    /// kexec and makedumpfile as `bin/NAME`, their libraries as `lib/NAME`,
    /// and the dynamic linker where they look for it.
    pub(super) fn crash_tools(&self) -> Result<Files> {
        let mut files = Files::new();
        for name in ["kexec", "makedumpfile"] {
            let path = self.find(name, &PROGRAM_FOLDERS)?;
            self.add(&format!("bin/{name}"), &path, &mut files)
                .with_context(|| format!("cannot pack {name}"))?;
        }
        Ok(files)
    }

    /// A command that runs one of them here, which needs the guest's
    /// architecture to be the host's: makedumpfile reads no other's dumps.
    pub(super) fn run(&self, name: &str) -> Result<Command> {
        ensure!(
            self.arch.is_host(),
            "{name} of the guest does not run on this host: take the dump inside the guest"
        );
        let path = self.find(name, &PROGRAM_FOLDERS)?;
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let interpreter = Program::parse(&content)?
            .interpreter
            .with_context(|| format!("{name} has no dynamic linker"))?;
        let linker = self.library(interpreter.rsplit('/').next().unwrap_or_default())?;
        let folders: Vec<PathBuf> = self.library_folders();
        let mut command = Command::new(linker);
        command
            .arg("--library-path")
            .arg(env::join_paths(folders).context("a folder's name holds a colon")?)
            .arg(path);
        Ok(command)
    }

    fn add(&self, name: &str, path: &Path, files: &mut Files) -> Result<()> {
        let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let program = Program::parse(&content)
            .with_context(|| format!("{} is no usual ELF file", path.display()))?;
        files.insert(name.to_owned(), content);
        if let Some(interpreter) = program.interpreter {
            let name = interpreter.trim_start_matches('/').to_owned();
            let linker = name.rsplit('/').next().unwrap_or_default();
            let path = self.library(linker)?;
            let content =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.insert(name, content);
        }
        for library in program.needed {
            let name = format!("lib/{library}");
            if !files.contains_key(&name) {
                self.add(&name, &self.library(&library)?, files)?;
            }
        }
        Ok(())
    }

    fn library(&self, name: &str) -> Result<PathBuf> {
        self.library_folders()
            .iter()
            .map(|folder| folder.join(name))
            .find(|path| path.exists())
            .with_context(|| format!("the packages hold no library {name}"))
    }

    /// Before the merge of `/lib` into `/usr/lib` there were two.
    fn library_folders(&self) -> Vec<PathBuf> {
        let triplet = self.arch.tool_prefix().trim_end_matches('-');
        ["lib", "usr/lib"]
            .iter()
            .map(|folder| self.root.join(folder).join(triplet))
            .collect()
    }

    fn find(&self, name: &str, folders: &[&str]) -> Result<PathBuf> {
        folders
            .iter()
            .map(|folder| self.root.join(folder).join(name))
            .find(|path| path.exists())
            .with_context(|| format!("the packages hold no {name}"))
    }
}

/// What the dynamic linker reads of an ELF file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Program {
    interpreter: Option<String>,
    needed: Vec<String>,
}

impl Program {
    fn parse(elf: &[u8]) -> Result<Self> {
        ensure!(
            elf.starts_with(b"\x7fELF\x02\x01"),
            "not a 64-bit little-endian ELF file"
        );
        let headers = get_size(elf, 32)?;
        let mut program = Self::default();
        let mut loads = Vec::new();
        let mut dynamic = &[][..];
        for number in 0..usize::from(get_u16(elf, 56)?) {
            let header = slice(elf, headers + number * PROGRAM_HEADER, PROGRAM_HEADER)?;
            let (offset, address) = (get_size(header, 8)?, get_size(header, 16)?);
            let content = slice(elf, offset, get_size(header, 32)?)?;
            match get_u32(header, 0)? {
                PT_LOAD => loads.push((address, content)),
                PT_DYNAMIC => dynamic = content,
                PT_INTERP => program.interpreter = Some(string(content, 0)?),
                _ => {}
            }
        }
        let mut strings = None;
        let mut needed = Vec::new();
        for entry in dynamic.chunks_exact(16) {
            match (get_size(entry, 0)?, get_size(entry, 8)?) {
                (DT_NEEDED, offset) => needed.push(offset),
                (DT_STRTAB, address) => strings = Some(address),
                _ => {}
            }
        }
        if let Some(strings) = strings {
            let (start, content) = loads
                .iter()
                .find(|(start, content)| (*start..start + content.len()).contains(&strings))
                .context("the string table is in no segment")?;
            for offset in needed {
                program
                    .needed
                    .push(string(content, strings - start + offset)?);
            }
        }
        Ok(program)
    }
}

fn string(bytes: &[u8], at: usize) -> Result<String> {
    let bytes = bytes.get(at..).context("a string is beyond the end")?;
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    Ok(String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::put;

    #[test]
    fn interpreter_and_libraries_are_found_through_the_program_headers() {
        const STRINGS: usize = 0x400;
        let mut elf = vec![0; 0x500];
        put(&mut elf, 0, b"\x7fELF\x02\x01").unwrap();
        put(&mut elf, 32, &64_u64.to_le_bytes()).unwrap();
        put(&mut elf, 56, &3_u16.to_le_bytes()).unwrap();
        // Kind, offset, address, size: the segment is loaded at 0x10000.
        for (number, (kind, offset, size)) in
            [(1_u32, 0_u64, 0x500_u64), (2, 0x300, 48), (3, 0x200, 9)]
                .into_iter()
                .enumerate()
        {
            let header = 64 + number * PROGRAM_HEADER;
            put(&mut elf, header, &kind.to_le_bytes()).unwrap();
            put(&mut elf, header + 8, &offset.to_le_bytes()).unwrap();
            put(&mut elf, header + 16, &(0x10000 + offset).to_le_bytes()).unwrap();
            put(&mut elf, header + 32, &size.to_le_bytes()).unwrap();
        }
        put(&mut elf, 0x200, b"/lib/ld.1").unwrap();
        for (number, (tag, value)) in [(1_u64, 1_u64), (1, 8), (5, 0x10000 + STRINGS as u64)]
            .into_iter()
            .enumerate()
        {
            put(&mut elf, 0x300 + number * 16, &tag.to_le_bytes()).unwrap();
            put(&mut elf, 0x308 + number * 16, &value.to_le_bytes()).unwrap();
        }
        put(&mut elf, STRINGS, b"\0libz.1\0libc.6\0").unwrap();
        assert_eq!(
            Program::parse(&elf).unwrap(),
            Program {
                interpreter: Some("/lib/ld.1".to_owned()),
                needed: vec!["libz.1".to_owned(), "libc.6".to_owned()],
            }
        );
        assert!(Program::parse(&elf[..0x400]).is_err());
    }
}
