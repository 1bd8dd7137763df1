//! The report's schema: written from the types, and checked against.

use anyhow::{Context, bail};
use pagehound_model::Report;
use std::path::PathBuf;

/// Writes the schema where `pagehound-model` publishes it.
pub(crate) fn write_schema() -> anyhow::Result<()> {
    let path = crate::root().join("crates/model/schema/pagehound.report-1.json");
    let text = serde_json::to_string_pretty(&pagehound_model::schema())? + "\n";
    std::fs::write(&path, text).with_context(|| path.display().to_string())
}

/// Checks the reports in `files`; the error lists everything wrong with any.
pub(crate) fn reports(files: &[PathBuf]) -> anyhow::Result<()> {
    let schema = Schema::new()?;
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read(file).with_context(|| file.display().to_string())?;
        wrong.extend(
            schema
                .check(&text)?
                .into_iter()
                .map(|what| format!("{}: {what}", file.display())),
        );
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    println!("{} reports are sound", files.len());
    Ok(())
}

/// The schema, ready to check with.
pub(crate) struct Schema(jsonschema::Validator);

impl Schema {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Schema(jsonschema::validator_for(
            pagehound_model::schema().as_value(),
        )?))
    }

    /// What is wrong with the report in `text`; fails where it is no JSON.
    pub(crate) fn check(&self, text: &[u8]) -> anyhow::Result<Vec<String>> {
        let value: serde_json::Value = serde_json::from_slice(text)?;
        let mut wrong: Vec<String> = self
            .0
            .iter_errors(&value)
            .map(|error| format!("{error} at {}", error.instance_path))
            .collect();
        if wrong.is_empty() {
            wrong = serde_json::from_value::<Report>(value)?.contradictions();
        }
        Ok(wrong)
    }
}
