//! Each CI job is one verb of this program.
fn main() {}
