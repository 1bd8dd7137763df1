//! `capture.json`: what a capture has and has not.

use pagehound_kernel::Linear;
use pagehound_model::Report;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The value of [`Header::schema`].
pub(crate) const SCHEMA: &str = "pagehound.capture/1";

/// What is told of the whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) schema: String,
    pub(crate) tool_version: String,
    /// The target as it was named; `DUMP` where that is redacted.
    pub(crate) target: String,
    /// When the capture was made, RFC 3339, UTC; when the memory was, the report says.
    pub(crate) made_at: String,
    /// What tells of the site was left out.
    pub(crate) redacted: bool,
    /// What there is of the pages, where they could be looked at.
    pub(crate) pages: Option<Memory>,
    /// What of the kernel's log could not be read, a sentence each.
    #[serde(default)]
    pub(crate) log_notes: Vec<String>,
    /// What is not in the capture and why, a sentence each.
    pub(crate) missing: Vec<String>,
}

/// What there is of the memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// In bytes.
    pub(crate) page_size: u64,
    /// Frames of the page map.
    pub(crate) frames: u64,
    /// Those that the map tells one by one; others are counted, block by block.
    pub(crate) exact_frames: u64,
    /// Pages whose bytes are in `content.lime`.
    pub(crate) sampled_pages: u64,
    /// The same by finding.
    pub(crate) sampled: Vec<SampledFinding>,
    /// Where the kernel maps all memory.
    pub(crate) direct_map: Option<DirectMap>,
}

/// Pages of a finding whose bytes are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SampledFinding {
    pub(crate) finding: u32,
    pub(crate) pages: u64,
}

/// `bytes` of memory from the physical address on are mapped from the virtual one on;
/// addresses are hex without a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DirectMap {
    #[serde(rename = "virtual")]
    virt: String,
    physical: String,
    bytes: u64,
}

impl DirectMap {
    pub(crate) fn new(virt: &Range<u64>, phys: u64) -> DirectMap {
        DirectMap {
            virt: format!("{:x}", virt.start),
            physical: format!("{phys:x}"),
            bytes: virt.end.saturating_sub(virt.start),
        }
    }

    /// The same as a mapping; none where it is no range of addresses.
    pub(crate) fn linear(&self) -> Option<Linear> {
        let start = u64::from_str_radix(&self.virt, 16).ok()?;
        let phys = u64::from_str_radix(&self.physical, 16).ok()?;
        Some(Linear {
            virt: start..start.checked_add(self.bytes)?,
            phys,
        })
    }
}

impl Header {
    /// In one line: of what and when.
    pub(crate) fn told(&self, report: &Report) -> String {
        let when = report.host.captured_at.as_deref();
        let redacted = if self.redacted { ", redacted" } else { "" };
        format!(
            "capture of {} at {}{redacted}",
            self.target,
            when.unwrap_or(&self.made_at)
        )
    }
}
