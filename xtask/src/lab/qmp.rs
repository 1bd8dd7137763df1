//! QEMU's monitor protocol, as far as dumping needs it: one JSON object a line.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::process::POLL;

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A dump of a guest of this size takes a few seconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// A container that `dump-guest-memory` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// kdump-compressed: pages without content left out, the rest in zlib
    KdumpZlib,
    /// An ELF core with every byte of memory
    Elf,
}

impl Format {
    /// How a dump of this format ends.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::KdumpZlib => "kdump",
            Self::Elf => "elf",
        }
    }

    fn protocol_name(self) -> &'static str {
        match self {
            Self::KdumpZlib => "kdump-zlib",
            Self::Elf => "elf",
        }
    }
}

/// A connection that has left negotiation mode.
pub(super) struct Monitor {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Monitor {
    /// Connects to the monitor's socket, waiting for it to appear.
    pub(super) fn connect(socket: &Path) -> Result<Self> {
        let start = Instant::now();
        let writer = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if start.elapsed() > CONNECT_LIMIT => {
                    return Err(error).context("QEMU's monitor cannot be reached");
                }
                Err(_) => thread::sleep(POLL),
            }
        };
        writer
            .set_read_timeout(Some(ANSWER_LIMIT))
            .context("cannot limit the monitor")?;
        let reader = BufReader::new(writer.try_clone().context("cannot share the monitor")?);
        let mut monitor = Self { reader, writer };
        monitor.execute("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    /// Stops the guest's processors.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.execute("stop", &json!({}))
    }

    /// Lets the guest's processors go on.
    pub(super) fn proceed(&mut self) -> Result<()> {
        self.execute("cont", &json!({}))
    }

    /// Leaves the guest so many MiB of its memory.
    pub(super) fn balloon(&mut self, mib: u64) -> Result<()> {
        self.execute("balloon", &json!({ "value": mib << 20 }))
    }

    /// Writes guest memory to `path`; returns when the file is complete.
    pub(super) fn dump(&mut self, format: Format, path: &Path) -> Result<()> {
        let path = path.to_str().context("the dump's path is not UTF-8")?;
        self.execute(
            "dump-guest-memory",
            &json!({
                "paging": false,
                "protocol": format!("file:{path}"),
                "format": format.protocol_name(),
            }),
        )
    }

    /// Asks QEMU to end; it answers before it does.
    pub(super) fn quit(&mut self) -> Result<()> {
        self.execute("quit", &json!({}))
    }

    fn execute(&mut self, command: &str, arguments: &Value) -> Result<()> {
        let request = json!({ "execute": command, "arguments": arguments });
        // In one piece: QEMU acts on a whole object, and after `quit` there is
        // nobody left to take the end of its line.
        self.writer
            .write_all(format!("{request}\n").as_bytes())
            .context("cannot write to QEMU's monitor")?;
        loop {
            let mut line = String::new();
            let read = self.reader.read_line(&mut line);
            if read.with_context(|| format!("no answer to {command}"))? == 0 {
                bail!("QEMU closed its monitor during {command}");
            }
            let answer: Value = serde_json::from_str(&line)
                .with_context(|| format!("QEMU's monitor said {line:?}"))?;
            // The greeting and events come between; they have neither key.
            if let Some(error) = answer.get("error") {
                bail!("{command} failed: {error}");
            }
            if answer.get("return").is_some() {
                return Ok(());
            }
        }
    }
}
