//! ELF64, little-endian, as the ELF specification defines it; names are its own.

use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `e_ident[EI_MAG0..=EI_MAG3]`.
pub(crate) const SIGNATURE: &[u8; 4] = b"\x7fELF";
/// `e_ident[EI_CLASS]` and `e_ident[EI_DATA]` at 4 and 5.
pub(super) const ELFCLASS64: u8 = 2;
pub(super) const ELFDATA2LSB: u8 = 1;
pub(super) const ET_CORE: u16 = 4;
pub(super) const EM_X86_64: u16 = 62;
pub(super) const EM_AARCH64: u16 = 183;
/// `e_phnum` where the true count is `sh_info` of section header 0.
pub(super) const PN_XNUM: u16 = 0xffff;
pub(super) const PT_LOAD: u32 = 1;
pub(super) const PT_NOTE: u32 = 4;

/// `Elf64_Ehdr`.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Ehdr {
    pub(super) e_ident: [u8; 16],
    pub(super) e_type: U16,
    pub(super) e_machine: U16,
    pub(super) e_version: U32,
    pub(super) e_entry: U64,
    pub(super) e_phoff: U64,
    pub(super) e_shoff: U64,
    pub(super) e_flags: U32,
    pub(super) e_ehsize: U16,
    pub(super) e_phentsize: U16,
    pub(super) e_phnum: U16,
    pub(super) e_shentsize: U16,
    pub(super) e_shnum: U16,
    pub(super) e_shstrndx: U16,
}

/// `Elf64_Phdr`.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Phdr {
    pub(super) p_type: U32,
    pub(super) p_flags: U32,
    pub(super) p_offset: U64,
    pub(super) p_vaddr: U64,
    pub(super) p_paddr: U64,
    pub(super) p_filesz: U64,
    pub(super) p_memsz: U64,
    pub(super) p_align: U64,
}

/// `Elf64_Shdr`.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Shdr {
    pub(super) sh_name: U32,
    pub(super) sh_type: U32,
    pub(super) sh_flags: U64,
    pub(super) sh_addr: U64,
    pub(super) sh_offset: U64,
    pub(super) sh_size: U64,
    pub(super) sh_link: U32,
    pub(super) sh_info: U32,
    pub(super) sh_addralign: U64,
    pub(super) sh_entsize: U64,
}

const _: () = {
    assert!(size_of::<Ehdr>() == 64);
    assert!(size_of::<Phdr>() == 56);
    assert!(size_of::<Shdr>() == 64);
};
