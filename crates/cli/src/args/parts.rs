//! The other files of a split dump.

use std::path::PathBuf;

/// Behind the target.
#[derive(clap::Args, Clone, Debug)]
pub struct Parts {
    /// Other files of the same dump, if it is split (makedumpfile --split), in any order
    #[arg(value_name = "PART")]
    pub parts: Vec<PathBuf>,
}

/// By an option, where something else stands behind the target.
#[derive(clap::Args, Clone, Debug)]
pub struct PartOption {
    /// Another file of the same dump, if it is split (makedumpfile --split); may be
    /// repeated
    #[arg(long = "part", value_name = "FILE")]
    pub parts: Vec<PathBuf>,
}
