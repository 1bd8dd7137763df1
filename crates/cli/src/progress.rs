//! A bar on standard error, where that is a terminal.

use crate::render::number::thousands;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use pagehound_scan::Progress;
use std::sync::atomic::{AtomicU64, Ordering};

const TEMPLATE: &str =
    "{spinner} {wide_bar} {human_pos} of {human_len} pages, {rate}, {eta} left{msg}";

/// Shows how far a pass is: pages seen, rate, time left, matches.
pub(crate) struct Bar {
    bar: ProgressBar,
    matches: AtomicU64,
}

impl Bar {
    /// A bar that shows from the first pass on; never where standard error is
    /// no terminal.
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0);
        // The template is a constant that is tested; without it the bar looks
        // different.
        let style = ProgressStyle::with_template(TEMPLATE);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.with_key("rate", rate));
        Bar {
            bar,
            matches: AtomicU64::new(0),
        }
    }

    /// Shows how far the search for the kernel is: pages searched, of all.
    pub(crate) fn at(&self, searched: u64, all: u64) {
        self.bar.set_length(all);
        self.bar.set_position(searched);
        self.bar.set_message(", in search of a kernel");
    }

    /// Takes the bar away while `write` writes to the same terminal.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Takes the bar away for good.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// Pages a second, without the fractions that would make it flicker.
fn rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    let _ = write!(out, "{}/s", thousands(state.per_sec() as u64));
}

impl Progress for Bar {
    fn begin(&self, pages: u64) {
        self.bar.inc_length(pages);
    }

    fn advance(&self, read: u64, skipped: u64) {
        self.bar.inc(read.saturating_add(skipped));
    }

    fn matched(&self, more: u64) {
        let matches = self
            .matches
            .fetch_add(more, Ordering::Relaxed)
            .saturating_add(more);
        self.bar
            .set_message(format!(", {} found", thousands(matches)));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn template_is_valid() {
        assert!(indicatif::ProgressStyle::with_template(super::TEMPLATE).is_ok());
    }
}
