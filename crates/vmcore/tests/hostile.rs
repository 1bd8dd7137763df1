//! Damaged and malicious files: a clear error or a partial answer, quickly, in
//! little memory, and never a panic.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::abuse::{image, open_both};
use common::open_bytes;
use pagehound_synth::{
    Compression, ElfOptions, ElfStyle, Flatten, KdumpOptions, LimeOptions, LimeStyle, Order,
};
use pagehound_vmcore::{OpenError, Pfn};
use proptest::prelude::*;

/// The image in every container.
fn files() -> Vec<(String, Vec<u8>)> {
    let image = image();
    let mut files = Vec::new();
    for compression in [Compression::Plain, Compression::Mixed] {
        for version in [1, 4, 6] {
            let options = KdumpOptions {
                version,
                compression,
                ..KdumpOptions::default()
            };
            files.push((
                format!("kdump {version} {compression:?}"),
                image.write_kdump(&options),
            ));
        }
    }
    // Plain pages: a hole in the stream must not pass for a page of zeroes.
    for (overwrite, compression) in [(false, Compression::Plain), (true, Compression::Zlib)] {
        let flat = Flatten {
            record: 3000,
            order: Order::Interleaved,
            overwrite,
            ..Flatten::default()
        };
        let options = KdumpOptions {
            compression,
            flattened: Some(flat),
            ..KdumpOptions::default()
        };
        files.push((
            format!("flattened, overwrite {overwrite}"),
            image.write_kdump(&options),
        ));
    }
    for style in [ElfStyle::Kernel, ElfStyle::Qemu, ElfStyle::Makedumpfile] {
        for pn_xnum in [false, true] {
            let options = ElfOptions {
                style,
                pn_xnum,
                ..ElfOptions::default()
            };
            files.push((
                format!("elf {style:?} {pn_xnum}"),
                image.write_elf(&options),
            ));
        }
    }
    for style in [LimeStyle::Lime, LimeStyle::AvmlPlain, LimeStyle::Avml] {
        let options = LimeOptions {
            style,
            ..LimeOptions::default()
        };
        files.push((format!("image {style:?}"), image.write_lime(&options)));
    }
    files
}

#[test]
fn cut_short_anywhere() {
    for (what, bytes) in files() {
        let early = (0..bytes.len().min(700)).step_by(13);
        let late = (700..bytes.len()).step_by(bytes.len() / 150 + 1);
        for len in early.chain(late) {
            open_both(&format!("{what}, cut to {len}"), &bytes[..len]);
        }
    }
}

/// What is cut off is missed: no page turns into another.
#[test]
fn a_cut_dump_shows_only_true_pages() {
    for (what, bytes) in files() {
        let whole = open_bytes(&bytes).expect("opens").memory;
        for len in (0..bytes.len()).step_by(bytes.len() / 60 + 1) {
            let Ok(cut) = open_bytes(&bytes[..len]) else {
                continue;
            };
            let what = format!("{what}, cut to {len}");
            let (mut seen, mut page, mut wanted) = (0, vec![0; 4096], vec![0; 4096]);
            for pfn in (0..600).map(Pfn) {
                if cut.memory.read_page(pfn, &mut page).is_ok() {
                    seen += 1;
                    whole.read_page(pfn, &mut wanted).expect(&what);
                    assert!(page == wanted, "{what}, {pfn}");
                }
            }
            assert!(
                cut.info.incomplete || seen == whole.coverage().present,
                "{what}"
            );
        }
    }
}

#[test]
fn any_byte_of_the_headers_wrong() {
    for (what, bytes) in files().into_iter().step_by(3) {
        // Two blocks of kdump headers; ELF headers and notes; the same behind
        // the flattened stream's own.
        let flat = what.starts_with("flat");
        let headers = (0..480).chain(4096..if flat { 4700 } else { 4096 + 700 });
        let headers = headers.chain(if flat { 4112 + 4096..4112 + 4700 } else { 0..0 });
        for at in headers.filter(|at| *at < bytes.len()) {
            // utsname holds text only.
            if !flat && what.starts_with("kdump") && (20..400).contains(&at) {
                continue;
            }
            for wrong in [0, 0xff, 0x7f, bytes[at] ^ 0x80, bytes[at] ^ 1] {
                let mut bytes = bytes.clone();
                bytes[at] = wrong;
                open_both(&format!("{what}, byte {at} is {wrong:#x}"), &bytes);
            }
        }
    }
}

/// A stream of crumbs would need an index larger than itself.
#[test]
fn a_flattened_stream_of_crumbs_is_refused() {
    let mut bytes = pagehound_synth::flatten(
        b"",
        &Flatten {
            end: false,
            ..Flatten::default()
        },
    );
    for at in 0..2_000_000i64 {
        bytes.extend(at.to_be_bytes());
        bytes.extend(1i64.to_be_bytes());
        bytes.push(b'K');
    }
    let error = open_bytes(&bytes).err().expect("refused");
    assert!(
        matches!(
            error,
            OpenError::Malformed {
                field: "record",
                ..
            }
        ),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// Any few bytes wrong, anywhere.
    #[test]
    fn bytes_wrong_anywhere(
        which in any::<prop::sample::Index>(),
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let files = files();
        let (what, mut bytes) = files[which.index(files.len())].clone();
        for (at, byte) in &wrong {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        open_both(&format!("{what}, {wrong:?}"), &bytes);
    }

    /// Rubbish behind each signature.
    #[test]
    fn rubbish(
        signature in prop::sample::select(vec![
            b"KDUMP   \x06\0\0\0".to_vec(),
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0\x3e\0".to_vec(),
            b"makedumpfile\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01".to_vec(),
            b"EMiL\x01\0\0\0".to_vec(),
            b"AVML\x02\0\0\0\0\0\0\0\0\0\0\0\xff\x1f\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\x06\0\0sNaPpY".to_vec(),
            Vec::new(),
        ]),
        tail in prop::collection::vec(any::<u8>(), 0..12_000),
    ) {
        open_both("rubbish", &[signature, tail].concat());
    }
}
