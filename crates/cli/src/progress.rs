//! A bar on standard error, where that is a terminal.

use crate::render::number::thousands;
use indicatif::{ProgressBar, ProgressStyle};
use pagehound_scan::Progress;
use std::sync::atomic::{AtomicU64, Ordering};

const TEMPLATE: &str =
    "{spinner} {wide_bar} {human_pos} of {human_len} pages, {per_sec}, {eta} left{msg}";

/// Shows how far a pass is: pages seen, rate, time left, matches.
pub(crate) struct Bar {
    bar: ProgressBar,
    matches: AtomicU64,
}

impl Bar {
    /// A bar that shows from the first pass on; never where standard error is
    /// no terminal.
    pub(crate) fn new() -> Self {
        // The length comes with the pass. The template is a constant that is
        // tested; without it the bar looks different.
        let bar = ProgressBar::new(0);
        bar.set_style(
            ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Bar {
            bar,
            matches: AtomicU64::new(0),
        }
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
