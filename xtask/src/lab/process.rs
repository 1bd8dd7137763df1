//! Child processes that cannot outlive their time: each has a limit and a log
//! file, and is ended by its own handle.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a waiting loop looks again.
pub(super) const POLL: Duration = Duration::from_millis(20);

/// Runs a command to its end with output in `log`; an error names the log.
pub(super) fn run(command: &mut Command, log: &Path, limit: Duration) -> Result<()> {
    let mut child = Running::start(command, log)?;
    let status = child.wait(limit)?;
    if !status.success() {
        bail!(
            "{:?} ended with {status}: see {}",
            command.get_program(),
            log.display()
        );
    }
    Ok(())
}

/// Runs a short command and returns what it printed; its errors go to ours.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A child process that is killed when this value is dropped.
pub(super) struct Running {
    child: Child,
    name: String,
}

impl Running {
    /// Starts `command` with standard output and errors going to `log`.
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let name = format!("{:?}", command.get_program());
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = file
            .try_clone()
            .context("cannot duplicate the log's handle")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("cannot start {name}: is it installed?"))?;
        Ok(Self { child, name })
    }

    /// The exit status if the process has ended.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child
            .try_wait()
            .with_context(|| format!("cannot wait for {}", self.name))
    }

    /// Waits for the end; past `limit` the process is killed and that is an error.
    pub(super) fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if start.elapsed() > limit {
                bail!("{} did not end within {} s", self.name, limit.as_secs());
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
