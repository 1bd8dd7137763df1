//! Ctrl-C: the first ends the search and prints what there is, the second ends
//! the process.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// Raised by Ctrl-C.
pub(crate) static RAISED: AtomicBool = AtomicBool::new(false);

/// Lets Ctrl-C raise [`RAISED`].
pub(crate) fn install() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if RAISED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        // Of a large machine it takes a while to say what there is.
        let mut stderr = std::io::stderr();
        if stderr.is_terminal() {
            let told = "\ninterrupted: what there is follows; once more ends at once";
            // Nobody is left to tell where it fails.
            let _ = writeln!(stderr, "{told}");
        }
    })
}
