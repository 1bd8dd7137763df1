//! Archives of hosts, in every format and packing.

use super::Seed;
use pagehound_synth::Tar;

pub(super) fn tar() -> Vec<Seed> {
    let host = Tar::new(1_700_000_000)
        .folder("sos")
        .file("sos/proc/meminfo", b"MemTotal: 1000 kB\nMemFree: 10 kB\n")
        .file("sos/proc/7/net/sockstat", b"TCP: inuse 9 mem 25\n")
        .link("sos/proc/net", "7/net")
        .same_as("sos/proc/copy", "sos/proc/meminfo")
        .file(&format!("sos/{}", "long/".repeat(30)), b"x")
        .file(
            "sos/sos_commands/date/date",
            b"Tue Nov 24 01:48:37 UTC 2026\n",
        );
    let gnu = Tar::new(0)
        .header("././@LongLink", b'L', 120, "")
        .content(&[b'n'; 120])
        .header("././@LongLink", b'K', 120, "")
        .content(&[b't'; 120])
        .link("short", "short")
        .header("big", b'0', 9 << 30, "");
    let links = Tar::new(0)
        .link("a", "b/../c")
        .link("c", "a")
        .link("out", "../../etc/passwd")
        .file("b/x", b"x");
    let whole = host.bytes();
    let zstd = zstd::encode_all(&whole[..], 1).expect("zstd packs what is in memory");
    vec![
        ("host", whole),
        ("host-zstd", zstd),
        (
            "host-xz",
            include_bytes!("../../../tests/fixtures/sos/sosreport-db7.tar.xz").to_vec(),
        ),
        ("gnu", gnu.bytes()),
        ("links", links.bytes()),
        (
            "v7",
            include_bytes!("../../../tests/fixtures/tar/v7.tar").to_vec(),
        ),
    ]
}
