//! Writes the seeds into the folder given, a folder a target: `fuzz/corpus` of the
//! repository.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("give the folder to write to: fuzz/corpus");
        std::process::exit(2);
    };
    for target in pagehound_fuzz::TARGETS {
        let folder = folder.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (name, bytes) in pagehound_fuzz::seeds::of(target.name) {
            std::fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}
