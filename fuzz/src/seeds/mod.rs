//! Inputs to begin with: small, sound, of every kind that a target knows. They lie in
//! `fuzz/corpus`; `cargo run -p pagehound-fuzz --bin seeds` writes them again.

mod capture;
mod containers;
mod kernel;
mod tar;
mod text;
mod vmlinux;

/// An input, and the name of its file.
pub type Seed = (&'static str, Vec<u8>);

/// The seeds of a target.
pub fn of(target: &str) -> Vec<Seed> {
    match target {
        "btf" => kernel::btf(),
        "capture" => capture::capture(),
        "codec" => containers::codec(),
        "containers" => containers::containers(),
        "diagnose" => kernel::diagnose(),
        "host" => text::host(),
        "kallsyms" => kernel::kallsyms(),
        "page_tables" => kernel::page_tables(),
        "printk" => kernel::printk(),
        "procfs" => text::procfs(),
        "report" => text::report(),
        "split" => containers::split(),
        "tar" => tar::tar(),
        "vmcoreinfo" => text::vmcoreinfo(),
        "vmlinux" => vmlinux::vmlinux(),
        "walks" => kernel::walks(),
        _ => Vec::new(),
    }
}
