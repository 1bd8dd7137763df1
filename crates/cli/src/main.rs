//! The `pagehound` command; everything is in the library of the same name, so
//! that tests and `xtask` can use it.

fn main() -> std::process::ExitCode {
    pagehound::main()
}
