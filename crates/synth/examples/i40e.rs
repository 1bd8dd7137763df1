//! Writes the dump of a machine whose i40e driver has lost its receive pages:
//! `cargo run -p pagehound-synth --example i40e -- FILE [RELEASE [OFFSET…]]`.

use pagehound_synth::KdumpOptions;
use pagehound_synth::machine::{Options, v4_13};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let Some(file) = args.next() else {
        eprintln!("give the file to write, and if wanted a release and offsets of frames");
        return ExitCode::from(2);
    };
    let mut options = Options::default();
    options.release = args.next().unwrap_or(options.release);
    let offsets: Result<Vec<usize>, _> = args.map(|offset| offset.parse()).collect();
    match offsets {
        Ok(offsets) if offsets.is_empty() => {}
        Ok(offsets) => options.frames_at = offsets,
        Err(error) => {
            eprintln!("an offset in a page is a number: {error}");
            return ExitCode::from(2);
        }
    }
    let dump = v4_13(&options).image.write_kdump(&KdumpOptions::default());
    match std::fs::write(&file, dump) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{file}: {error}");
            ExitCode::from(2)
        }
    }
}
