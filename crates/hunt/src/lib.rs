//! Inference: from the page map to findings.

mod advice;
mod allocators;
pub mod attribution;
pub mod census;
mod cgroups;
mod clock;
mod diagnose;
pub mod fingerprint;
mod heap;
pub mod holders;
pub mod host;
mod identity;
mod installed;
mod known;
mod ledger;
mod limit;
pub mod ready;
mod referrers;
mod rows;
mod standing;
mod survey;
#[cfg(test)]
mod testing;
mod units;

pub use advice::slab_debug;
pub use allocators::{Allocators, Recorded};
pub use clock::{captured_at, rfc3339};
pub use diagnose::{Diagnosis, DiagnosisError, Draw, Options, quick};
pub use installed::Installed;
pub use limit::{MemoryLimit, TooLittleMemory};
pub use referrers::{Referrer, Referrers, referrers};
pub use rows::{PageFacts, PageHolder};
pub use standing::Standing;
pub use survey::{is_damaged, survey};
