//! The `pagehound` command.
fn main() {}
