//! Where results go.

use crate::args::{Color, Global};
use crate::render::escape;
use crate::render::page::{FAINT, Page};
use std::fmt;
use std::io::{self, ErrorKind, Write};

/// Columns where the output is not a terminal, and the most that are used of
/// one: longer lines are hard to read.
const COLUMNS: u16 = 120;

/// Takes over what `--color` says, for both streams.
pub fn set_color(global: &Global) {
    match global.color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

/// Writes to standard output with what `write` is given: lines on a page as
/// wide as the terminal, styled where it takes styles. A reader that has gone
/// is no error.
pub fn page(write: impl FnOnce(&mut Page) -> io::Result<()>) -> anyhow::Result<()> {
    let columns = terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0);
    // As for the help, and as `column` and others do where there is no terminal.
    let told = || std::env::var("COLUMNS").ok()?.parse().ok();
    let width = columns.or_else(told).unwrap_or(COLUMNS).min(COLUMNS);
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    let written = write(&mut Page::new(&mut out, width.into())).and_then(|()| out.flush());
    unless_closed(written)
}

/// The same without styles or lines, from any thread: for rows, JSON and bytes.
pub fn plain(write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout());
    let written = write(&mut out).and_then(|()| out.flush());
    unless_closed(written)
}

/// The text `write` puts on a page, without styles.
pub fn text(write: impl FnOnce(&mut Page) -> io::Result<()>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write(&mut Page::new(
        &mut anstream::StripStream::new(&mut bytes),
        COLUMNS.into(),
    ))?;
    Ok(bytes)
}

/// Says something beside the results, on standard error.
pub fn note(text: &str) {
    // Where this fails nobody is left to tell.
    let _ = writeln!(anstream::stderr(), "{FAINT}{}{FAINT:#}", escape(text));
}

/// Ends what was written to standard output: a reader that has gone is no error.
pub fn unless_closed(written: io::Result<()>) -> anyhow::Result<()> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context(StandardOutput))
        }
        _ => Ok(()),
    }
}

/// Says of an error that standard output is where it happened.
#[derive(Debug)]
pub struct StandardOutput;

impl fmt::Display for StandardOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output")
    }
}
