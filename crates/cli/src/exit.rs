//! How the process ends.

use crate::args::FailOn;
use pagehound_kernel::KernelError;
use pagehound_model::{Report, Verdict};
use std::process::ExitCode;

/// The status a command ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(u8);

impl Exit {
    /// Answered, and nothing lost; found, for `search`.
    pub const OK: Exit = Exit(0);
    /// Pages are lost.
    pub const LOST: Exit = Exit(1);
    /// `diff` found differences.
    pub const DIFFERENT: Exit = Exit(1);
    /// `search` found nothing.
    pub const NOT_FOUND: Exit = Exit(1);
    /// A loaded module has a known leak in this kernel's version.
    pub const AFFECTED: Exit = Exit(1);
    /// Could not be carried out.
    pub const FAILED: Exit = Exit(2);
    /// Nothing found lost, but what was not read might hide it.
    pub const UNSURE: Exit = Exit(3);
    /// Ended by Ctrl-C.
    pub const INTERRUPTED: Exit = Exit(130);

    /// What `report` says, with the line between lost and not at `fail_on`.
    pub fn of(report: &Report, fail_on: Option<FailOn>) -> Exit {
        let lost = report
            .unaccounted
            .lost_pages
            .saturating_mul(report.target.page_size);
        let fails = match fail_on {
            None => true,
            Some(FailOn::Lost(limit)) => lost >= limit,
            Some(FailOn::Never) => false,
        };
        match report.verdict {
            Verdict::Lost if fails => Exit::LOST,
            Verdict::Lost | Verdict::None => Exit::OK,
            Verdict::Suspect | Verdict::Incomplete => Exit::UNSURE,
        }
    }

    /// What an error says.
    pub fn of_error(error: &anyhow::Error) -> Exit {
        if is_interruption(error) {
            Exit::INTERRUPTED
        } else {
            Exit::FAILED
        }
    }
}

/// Whether it is only that Ctrl-C came.
pub(crate) fn is_interruption(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| matches!(cause.downcast_ref(), Some(KernelError::Interrupted)))
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.0)
    }
}
