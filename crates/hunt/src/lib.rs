//! Inference: from the page map to findings.

pub mod attribution;
pub mod census;
mod diagnose;
pub mod fingerprint;
pub mod holders;
pub mod host;
mod ledger;

pub use diagnose::{Diagnosis, Options, PageState};
pub use ledger::ledger;
