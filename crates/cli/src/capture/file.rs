//! A capture as the file it is.

use super::header::{Header, Memory, SCHEMA};
use super::make::Files;
use super::pages::CapturedPages;
use super::{content, log};
use crate::commands::{
    info::{self, Info},
    net::{self, Devices},
};
use crate::saved;
use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use pagehound_hunt::host::HostFiles;
use pagehound_live::capture::{pack, unpack};
use pagehound_live::tar::{Archive, Bounds};
use pagehound_model::Report;
use pagehound_procfs::{Recorded, Tree};
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::Read;
use std::path::Path;

const HEADER: &str = "capture.json";
const REPORT: &str = "report.json";
const INFO: &str = "info.json";
const NET: &str = "net.json";
const KINDS: &str = "pages.json";
const MAP: &str = "pages.map";
/// Where the saved files of a folder are looked for, too.
const LOG: &str = "log";

/// Longest entry that is read of one's own, and most of all entries, in bytes.
const MOST: u64 = 64 << 20;
const MOST_IN_ALL: u64 = 512 << 20;
/// Most entries: a `/sys` of a machine of thousands of devices.
const MOST_ENTRIES: u64 = 1 << 17;

/// All that is in a capture.
pub(crate) struct Capture {
    pub(crate) header: Header,
    pub(crate) report: Report,
    pub(crate) info: Option<Info>,
    pub(crate) net: Option<Devices>,
    /// Lines of `/dev/kmsg`.
    pub(super) log: Option<Vec<u8>>,
    pub(crate) pages: Option<CapturedPages>,
    /// A LiME image of the sampled pages.
    pub(super) content: Option<Vec<u8>>,
    /// The host's files, once it is read.
    pub(crate) host: Option<Box<HostFiles>>,
}

/// Whether the file at `path` is a capture, by its first bytes: an archive in
/// Zstandard whose first entry is what only a capture begins with.
pub(crate) fn is_capture(path: &Path) -> bool {
    let mut head = Vec::new();
    // A pipe must not be read before it is known to be one.
    let regular = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let file = regular.then(|| File::open(path).ok()).flatten();
    let unpacked = file.and_then(|file| unpack(file).ok());
    let read = unpacked.map(|unpacked| {
        unpacked
            .take(HEADER.len() as u64 + 1)
            .read_to_end(&mut head)
    });
    let begin = head.strip_prefix(HEADER.as_bytes());
    read.is_some_and(|read| read.is_ok()) && begin == Some(b"\0")
}

impl Capture {
    /// The file's bytes, with these files. Those whose names are too long are left out.
    pub(super) fn packed(&self, files: &Files) -> anyhow::Result<Vec<u8>> {
        let mut entries: Vec<(&str, Recorded)> =
            vec![(HEADER, json(&self.header)?), (REPORT, json(&self.report)?)];
        if let Some(info) = &self.info {
            entries.push((INFO, json(info)?));
        }
        if let Some(net) = &self.net {
            entries.push((NET, json(net)?));
        }
        let file = |bytes: &[u8]| Recorded::File(bytes.to_vec());
        if let Some(log) = &self.log {
            entries.push((LOG, file(log)));
        }
        if let Some(pages) = &self.pages {
            entries.push((KINDS, json(&pages.kinds())?));
            entries.push((MAP, file(pages.map.bytes())));
        }
        if let Some(content) = &self.content {
            entries.push((content::NAME, file(content)));
        }
        let own = entries.iter().map(|(path, entry)| (*path, entry));
        let files = files.iter().map(|(path, entry)| (path.as_str(), entry));
        let made_at: Option<Timestamp> = self.header.made_at.parse().ok();
        let mtime = made_at.and_then(|at| u64::try_from(at.as_second()).ok());
        Ok(pack(own.chain(files), mtime.unwrap_or(0))?)
    }

    /// The capture at `path`.
    ///
    /// # Errors
    /// It cannot be read, or is not as it was written.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Capture> {
        let name = || path.display().to_string();
        let file = File::open(path).with_context(name)?;
        Capture::read(file, &name()).with_context(name)
    }

    /// The capture in `packed`; `name` is for messages.
    ///
    /// # Errors
    /// What is wrong with which entry.
    pub(crate) fn read(packed: impl Read, name: &str) -> anyhow::Result<Capture> {
        let bounds = Bounds {
            entries: MOST_ENTRIES,
            bytes: MOST_IN_ALL,
            kept: MOST_IN_ALL / 2,
        };
        let archive = Archive::whole(unpack(packed)?, bounds);
        let archive = archive.context("the capture is cut or broken: have it sent again")?;
        ensure!(
            archive.not_kept == 0,
            "more than {} MiB: no capture is that large",
            MOST_IN_ALL >> 21
        );
        let take_of = |entry: &'static str, most: u64| match archive.read(entry, most) {
            Ok(text) if text.cut => bail!("{entry}: longer than {} MiB", most >> 20),
            Ok(text) => Ok(Some(text.bytes)),
            Err(_) => Ok(None),
        };
        let take = |entry| take_of(entry, MOST);
        let header = take(HEADER)?.context("no capture: it has no capture.json")?;
        let header: Header = parse(HEADER, &header)?;
        known(HEADER, &header.schema, SCHEMA)?;
        let report = take(REPORT)?.context("the capture has no report.json")?;
        let report = saved::parse(&report).context(REPORT)?;
        let pages = match (&header.pages, take(KINDS)?, take(MAP)?) {
            (None, None, None) => None,
            (Some(memory), Some(kinds), Some(map)) => Some(pages(memory, &kinds, map, &report)?),
            _ => bail!("{HEADER}, {KINDS} and {MAP} are not all there that go together"),
        };
        let info: Option<Info> = take(INFO)?.map(|text| parse(INFO, &text)).transpose()?;
        if let Some(info) = &info {
            known(INFO, &info.schema, info::SCHEMA)?;
        }
        let net: Option<Devices> = take(NET)?.map(|text| parse(NET, &text)).transpose()?;
        if let Some(net) = &net {
            known(NET, &net.schema, net::SCHEMA)?;
        }
        let log = take_of(LOG, log::MOST as u64)?;
        ensure!(
            !header.redacted || log.is_none(),
            "{HEADER} says that it is redacted, and there is a log"
        );
        let of_host = archive.read("proc/meminfo", 0).is_ok();
        let host = of_host.then(|| HostFiles::of(&archive, name.to_owned()));
        Ok(Capture {
            info,
            net,
            log,
            content: take(content::NAME)?,
            host: host.transpose()?.map(Box::new),
            header,
            report,
            pages,
        })
    }
}

/// The pages that the two entries tell of, if they are those that the header and the
/// report say.
fn pages(
    memory: &Memory,
    kinds: &[u8],
    map: Vec<u8>,
    report: &Report,
) -> anyhow::Result<CapturedPages> {
    let size = memory.page_size;
    ensure!(
        size.is_power_of_two() && (1 << 12..=1 << 16).contains(&size),
        "{HEADER}: no page has {size} bytes"
    );
    let pages = CapturedPages::parse(kinds, map)?;
    ensure!(
        pages.end().0 == memory.frames && pages.map.exact_frames() == memory.exact_frames,
        "{MAP} has other frames than {HEADER} says"
    );
    ensure!(
        pages.end().0 == report.target.pages,
        "{MAP} has other frames than {REPORT} says"
    );
    pages.check(report)?;
    Ok(pages)
}

fn known(entry: &str, schema: &str, ours: &str) -> anyhow::Result<()> {
    ensure!(
        schema == ours,
        "{entry}: its schema is {schema}, and this pagehound reads {ours}"
    );
    Ok(())
}

fn json(value: &impl serde::Serialize) -> anyhow::Result<Recorded> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    Ok(Recorded::File(text))
}

fn parse<T: DeserializeOwned>(name: &'static str, text: &[u8]) -> anyhow::Result<T> {
    serde_json::from_slice(text).context(name)
}
