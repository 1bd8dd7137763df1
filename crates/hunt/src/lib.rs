//! Inference: from the page map to findings.

pub mod census;
pub mod fingerprint;
pub mod host;
