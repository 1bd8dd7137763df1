//! Ctrl-C: the first ends the search and prints what there is, the second ends
//! the process.

use std::sync::atomic::{AtomicBool, Ordering};

/// Raised by Ctrl-C.
pub(crate) static RAISED: AtomicBool = AtomicBool::new(false);

/// Lets Ctrl-C raise [`RAISED`].
pub(crate) fn install() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if RAISED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
}
