//! How much work a group may make.

/// What is looked at, at most. Reports are not to be trusted, and large fleets have
/// more traits than are worth a test.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Different traits that are kept of all reports.
    pub(super) traits: usize,
    /// Traits of which is asked which hosts have them.
    pub(super) asked: usize,
    /// Tests: traits that the same hosts have are one.
    pub(super) tests: usize,
    /// Over-represented traits that are adjusted for others.
    pub(super) adjusted: usize,
}

impl Limits {
    pub(super) const USUAL: Limits = Limits {
        traits: 1 << 18,
        asked: 1 << 15,
        tests: 1 << 12,
        adjusted: 32,
    };
}
