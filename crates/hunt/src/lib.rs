//! Inference: from the page map to findings.

pub mod census;
pub mod fingerprint;
mod attribution;
mod diagnose;
pub mod holders;
pub mod host;
mod ledger;

pub use diagnose::{Diagnosis, Options, PageState};
pub use ledger::ledger;
