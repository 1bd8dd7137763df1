//! What `--json` prints where there is no report.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The value of [`ErrorReport::schema`].
pub const ERROR_SCHEMA: &str = "pagehound.error/1";

/// Why a command could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorReport {
    /// Always [`ERROR_SCHEMA`].
    pub schema: String,
    /// The error and its causes, outermost first, as one line.
    pub error: String,
}

impl ErrorReport {
    /// The report of `error`.
    pub fn new(error: impl Into<String>) -> Self {
        ErrorReport {
            schema: ERROR_SCHEMA.to_owned(),
            error: error.into(),
        }
    }
}
