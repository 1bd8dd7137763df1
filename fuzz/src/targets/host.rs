//! A host's files in one, to the ledger, to what people are told.

use pagehound::output;
use pagehound::render::host;
use pagehound_hunt::Installed;
use pagehound_hunt::host::{HostFiles, classic, ledger, looks_like_host_files};

pub(crate) fn run(text: &[u8]) {
    let _ = looks_like_host_files(text);
    let Ok(files) = HostFiles::from_sections(text, "input".to_owned()) else {
        return;
    };
    let _ = Installed::of_host(&files);
    if let Ok(ledger) = ledger(&files) {
        let told = output::text(|page| {
            host::diagnosis(&ledger, page)?;
            host::ledger(&ledger, page)
        });
        no_control(&told.expect("text into memory"));
    }
    if let Ok(classic) = classic(&files) {
        let told = output::text(|page| host::classic(&classic, page));
        no_control(&told.expect("text into memory"));
    }
}

/// Nothing of the input moves a cursor.
pub(crate) fn no_control(text: &[u8]) {
    let text = std::str::from_utf8(text).expect("UTF-8");
    let moves = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(moves), "{text:?}");
}
