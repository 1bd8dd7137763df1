//! How a long pass tells the outside how far it is.

/// Told by the threads of a pass how far they are, about once for every
/// 256 KiB of memory; all numbers are increments.
pub trait Progress: Sync {
    /// A pass over `pages` present pages begins.
    fn begin(&self, pages: u64);

    /// `read` more pages were looked at (or found unreadable), and `skipped`
    /// more left aside because the consumer did not want them.
    fn advance(&self, read: u64, skipped: u64);

    /// `count` more matches were delivered (searches only).
    fn matched(&self, count: u64);
}

/// Nobody is looking.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&self, _pages: u64) {}
    fn advance(&self, _read: u64, _skipped: u64) {}
    fn matched(&self, _count: u64) {}
}
