//! Lines typed into crash and drgn, and what these print.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};
use pagehound_testdata::evidence::Answer;

/// Stands between two answers.
const MARK: &str = "@@ answer @@";

/// Runs each line of standard input as drgn's prompt would, an error being an answer
/// as well.
const PROMPT: &str = "\
import sys
for line in sys.stdin.read().splitlines():
    print('@@ answer @@')
    try:
        exec(line)
    except Exception as error:
        print(type(error).__name__, error)
";

/// The two, with what they read.
pub(super) struct Tools {
    vmlinux: PathBuf,
    dump: PathBuf,
}

impl Tools {
    pub(super) fn new(vmlinux: &Path, dump: &Path) -> Result<Tools> {
        for path in [vmlinux, dump] {
            ensure!(path.exists(), "there is no {}", path.display());
        }
        Ok(Tools {
            vmlinux: vmlinux.to_owned(),
            dump: dump.to_owned(),
        })
    }

    /// Answers to `(tool, line)` in their order.
    pub(super) fn answers(&self, lines: &[(String, String)]) -> Result<Vec<Answer>> {
        let of = |wanted: &str| {
            let lines = lines.iter().filter(|(tool, _)| tool == wanted);
            lines.map(|(_, line)| line.as_str()).collect::<Vec<_>>()
        };
        let mut crash = self.crash(&of("crash"))?.into_iter();
        let mut drgn = self.drgn(&of("drgn"))?.into_iter();
        let answer = |(tool, line): &(String, String)| {
            let text = match tool.as_str() {
                "crash" => crash.next(),
                _ => drgn.next(),
            };
            Ok(Answer {
                tool: tool.clone(),
                line: line.clone(),
                text: text.with_context(|| format!("{tool} did not answer: {line}"))?,
            })
        };
        lines.iter().map(answer).collect()
    }

    /// What crash prints to each line.
    fn crash(&self, lines: &[&str]) -> Result<Vec<String>> {
        let mut input = String::new();
        for line in lines {
            input.push_str(&format!("!echo '{MARK}'\n{line}\n"));
        }
        // The demo's dump has no code, without which crash does not start unless it
        // may take what was left out for zeroes.
        let mut command = Command::new("crash");
        command.args(["-s", "--zero_excluded"]);
        command.args([&self.vmlinux, &self.dump]);
        split(&typed(command, &input)?, lines.len())
    }

    /// What drgn prints to each line.
    pub(super) fn drgn(&self, lines: &[&str]) -> Result<Vec<String>> {
        let mut command = Command::new("drgn");
        command.arg("-q").arg("-c").arg(&self.dump);
        command.arg("-s").arg(&self.vmlinux).args(["-e", PROMPT]);
        let mut input = lines.join("\n");
        input.push('\n');
        split(&typed(command, &input)?, lines.len())
    }
}

/// Standard output of a command that is given `input`.
fn typed(mut command: Command, input: &str) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let what = format!("{:?}", command.get_program());
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {what}: is it installed?"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let input = input.to_owned();
    // Beside reading its output, for neither fits a pipe.
    let writer = thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    let written = writer.join();
    ensure!(
        matches!(written, Ok(Ok(()))),
        "{what} stopped reading: {}",
        output.status
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The answers between the marks, without blanks at the ends of lines.
fn split(output: &str, count: usize) -> Result<Vec<String>> {
    let mut answers: Vec<String> = Vec::new();
    for line in output.lines() {
        if line == MARK {
            answers.push(String::new());
        } else if let Some(answer) = answers.last_mut() {
            answer.push_str(line.trim_end());
            answer.push('\n');
        }
    }
    ensure!(
        answers.len() == count,
        "{} answers to {count} lines",
        answers.len()
    );
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_follows_a_mark() {
        let output = format!("started\n{MARK}\none \n\n{MARK}\n{MARK}\nthree");
        let answers = split(&output, 3).unwrap();
        assert_eq!(answers, ["one\n\n", "", "three\n"]);
        assert!(split(&output, 2).is_err());
    }
}
