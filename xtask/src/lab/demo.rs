//! The small dump that the repository carries.

use std::path::Path;

use anyhow::Result;

use super::guest;
use super::qmp::Format;
use super::scenario::Scenario;

/// Takes the demo's dump and writes it with its truth to `out`.
pub(super) fn make(out: &Path) -> Result<()> {
    let scenario = Scenario::named("demo")?;
    guest::take(&scenario, &[Format::KdumpZlib], true, out)?;
    Ok(())
}
