//! One machine's dump in the containers that writers use most.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pagehound_synth::machine::{Options, v4_13};
use pagehound_synth::{
    Compression, ElfOptions, ElfStyle, Flatten, KdumpOptions, LimeOptions, LimeStyle, flatten,
};

/// Writes them into `folder`.
pub(super) fn write(folder: &Path) -> Result<Vec<PathBuf>> {
    let image = v4_13(&Options::default()).image;
    let kdump = |compression| KdumpOptions {
        compression,
        ..KdumpOptions::default()
    };
    let elf = |style| ElfOptions {
        style,
        ..ElfOptions::default()
    };
    let lime = |style| LimeOptions {
        style,
        ..LimeOptions::default()
    };
    let mut files = Vec::new();
    let mut put = |extension: &str, bytes: Vec<u8>| -> Result<()> {
        let file = folder.join(format!("machine.{extension}"));
        fs::write(&file, bytes).with_context(|| file.display().to_string())?;
        files.push(file);
        Ok(())
    };
    put("lzo", image.write_kdump(&kdump(Compression::Lzo)))?;
    put("snappy", image.write_kdump(&kdump(Compression::Snappy)))?;
    put("zstd", image.write_kdump(&kdump(Compression::Zstd)))?;
    let zlib = image.write_kdump(&kdump(Compression::Zlib));
    put("flat", flatten(&zlib, &Flatten::default()))?;
    put("zlib", zlib)?;
    put("elf", image.write_elf(&elf(ElfStyle::Kernel)))?;
    put("qemu-elf", image.write_elf(&elf(ElfStyle::Qemu)))?;
    put(
        "makedumpfile-elf",
        image.write_elf(&elf(ElfStyle::Makedumpfile)),
    )?;
    // These know nothing of pages that were left out.
    let image = image.whole();
    put("lime", image.write_lime(&lime(LimeStyle::Lime)))?;
    put("avml", image.write_lime(&lime(LimeStyle::Avml)))?;
    put("raw", image.write_raw())?;
    Ok(files)
}
