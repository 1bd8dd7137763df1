//! The JSON Schema of the report, as published in `schema/`.

use crate::Report;
use schemars::Schema;
use schemars::generate::SchemaSettings;

/// JSON Schema (2020-12) of [`Report`] as it is written: every field is there,
/// unknown values are `null`. Readers must let unknown fields pass, because
/// additions are compatible.
pub fn schema() -> Schema {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Report>()
}

#[cfg(test)]
mod tests {
    #[test]
    fn committed_schema_is_current() {
        let committed = include_str!("../schema/pagehound.report-1.json");
        let committed: serde_json::Value = serde_json::from_str(committed).unwrap();
        let current = serde_json::to_value(super::schema()).unwrap();
        assert!(
            committed == current,
            "run `cargo xtask schema` and look at the difference"
        );
    }
}
