//! libFuzzer over the target that `PAGEHOUND_FUZZ_TARGET` names; `cargo xtask fuzz`
//! builds and runs it.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use pagehound_fuzz::{TARGETS, Target};

static TARGET: OnceLock<&Target> = OnceLock::new();

/// The target; where none is named, lists them all with their longest input.
fn target() -> &'static Target {
    let name = std::env::var("PAGEHOUND_FUZZ_TARGET").ok();
    let named = |target: &&Target| name.as_deref() == Some(target.name);
    TARGETS.iter().find(named).unwrap_or_else(|| {
        for target in TARGETS {
            println!("{} {}", target.name, target.max_len);
        }
        std::process::exit(2)
    })
}

fuzz_target!(
    init: {
        TARGET.get_or_init(target);
    },
    |data: &[u8]| (TARGET.get_or_init(target).run)(data)
);
