//! What to look at, and what to say when it is not there.

use crate::args::Cli;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// How alike two names must be for one to be suggested, from 0 to 1.
const ALIKE: f64 = 0.8;

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// This host, or its memory, `/proc/kcore`.
    Live,
    /// What is piped into the program.
    Stdin,
    /// A file or folder.
    Path(PathBuf),
}

impl From<OsString> for Target {
    fn from(text: OsString) -> Self {
        if text == "live" {
            Target::Live
        } else if text == "-" {
            Target::Stdin
        } else if pagehound_live::is_kcore(Path::new(&text)) {
            Target::Live
        } else {
            Target::Path(text.into())
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Live => f.write_str("live"),
            Target::Stdin => f.write_str("-"),
            Target::Path(path) => path.display().fmt(f),
        }
    }
}

impl Target {
    /// Fails where the path does not exist and one of the arguments that follow
    /// does: the target stands first.
    pub fn stands_first(&self, command: &str, others: &[String]) -> anyhow::Result<()> {
        let Target::Path(path) = self else {
            return Ok(());
        };
        let file = others.iter().find(|other| Path::new(other).exists());
        match file {
            Some(file) if !path.exists() => anyhow::bail!(
                "{0}: there is no such file, but there is {file}: the target stands first, as in `pagehound {command} {file} {0}`",
                path.display()
            ),
            _ => Ok(()),
        }
    }

    /// Fails where the path does not exist, with what may have been meant:
    /// a file or command that is spelled alike.
    pub fn check(&self) -> anyhow::Result<()> {
        let Target::Path(path) = self else {
            return Ok(());
        };
        let Err(error) = std::fs::metadata(path) else {
            return Ok(());
        };
        if error.kind() != std::io::ErrorKind::NotFound {
            return Err(anyhow::Error::new(error).context(format!("{}", path.display())));
        }
        let mut message = format!("{}: there is no such file", path.display());
        let file = similar_file(path);
        let command = path.to_str().and_then(alike_command);
        match command {
            Some(command) if file.as_ref().is_none_or(|file| file.0 < command.0) => {
                message += &format!("; did you mean the command `pagehound {}`?", command.1);
            }
            _ => {
                if let Some((_, file)) = file {
                    message += &format!("; did you mean `{}`?", file.display());
                }
            }
        }
        Err(anyhow::Error::msg(message))
    }
}

/// The name in the path's folder that is most alike, and how much.
fn similar_file(path: &Path) -> Option<(f64, PathBuf)> {
    let name = path.file_name()?.to_str()?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let entries = std::fs::read_dir(folder.unwrap_or(Path::new("."))).ok()?;
    let names = entries
        .take(10_000)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    most_alike(name, names).map(|(alike, other)| (alike, path.with_file_name(other)))
}

/// The command that `word` is, or is almost.
pub(super) fn similar_command(word: &str) -> Option<String> {
    alike_command(word).map(|(_, command)| command)
}

/// The same, and how much it is alike: `pagehound serch` is parsed as a target.
fn alike_command(word: &str) -> Option<(f64, String)> {
    let definition = Cli::definition();
    let names = definition
        .get_subcommands()
        .map(|command| command.get_name().to_owned());
    most_alike(word, names)
}

fn most_alike(name: &str, others: impl Iterator<Item = String>) -> Option<(f64, String)> {
    others
        .map(|other| (strsim::jaro_winkler(name, &other), other))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vmcore-web1");
        std::fs::write(&file, "").unwrap();
        Target::Path(file.clone()).check().unwrap();
        let error = Target::Path(folder.path().join("vmcore-wbe1"))
            .check()
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with(&format!("did you mean `{}`?", file.display())),
            "{error}"
        );
        let error = Target::Path(folder.path().join("else"))
            .check()
            .unwrap_err();
        assert!(
            error.to_string().ends_with("there is no such file"),
            "{error}"
        );
        let error = Target::Path("serch".into()).check().unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("did you mean the command `pagehound search`?"),
            "{error}"
        );
    }

    #[test]
    fn swapped_with_another_argument() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vmcore").display().to_string();
        std::fs::write(&file, "").unwrap();
        let others = ["12".to_owned(), file.clone()];
        let error = Target::Path("24:6e".into())
            .stands_first("search", &others)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!("`pagehound search {file} 24:6e`")),
            "{error}"
        );
        let target = Target::Path(file.into());
        target.stands_first("search", &others).unwrap();
        let nowhere = Target::Path("24:6e".into());
        nowhere.stands_first("search", &others[..1]).unwrap();
    }

    #[test]
    fn live() {
        assert_eq!(Target::from(OsString::from("live")), Target::Live);
        assert_eq!(Target::from(OsString::from("-")), Target::Stdin);
        assert_eq!(
            Target::from(OsString::from("./live")),
            Target::Path("./live".into())
        );
        assert_eq!(Target::from(OsString::from("/proc/kcore")), Target::Live);
        Target::Live.check().unwrap();
    }
}
