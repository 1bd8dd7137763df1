//! A host's files in one, to the ledger, to what people are told.

use pagehound::host_report::explained;
use pagehound::output;
use pagehound::render::{Detail, escape, host};
use pagehound_hunt::Installed;
use pagehound_hunt::host::{HostFiles, classic, ledger, looks_like_host_files};

pub(crate) fn run(text: &[u8]) {
    let _ = looks_like_host_files(text);
    let Ok(files) = HostFiles::from_sections(text, "input".to_owned()) else {
        return;
    };
    let _ = Installed::of_host(&files);
    if let Ok(ledger) = ledger(&files) {
        let (parts, notes) = (explained(&ledger), &ledger.notes);
        let told = output::text(|page| {
            host::diagnosis(&ledger, &parts, notes, Detail::Usual, page)?;
            host::ledger(&ledger, &parts, notes, Detail::All, page)
        });
        no_control(&told.expect("text into memory"));
    }
    if let Ok(classic) = classic(&files) {
        let told = output::text(|page| host::classic(&classic, page));
        no_control(&told.expect("text into memory"));
    }
}

/// Nothing of the input moves a cursor, or turns the direction of writing.
pub(crate) fn no_control(text: &[u8]) {
    for line in text.split(|&byte| byte == b'\n') {
        assert_eq!(escape(line).as_bytes(), line, "{}", line.escape_ascii());
    }
}
