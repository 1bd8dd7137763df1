//! Why a file could not be opened as a dump.

use std::io;
use std::path::{Path, PathBuf};

use crate::shell::shell_path;

/// Why a file could not be opened as a dump; one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nothing there.
    #[error("{}: no such file{}", path.display(), suggestion(similar))]
    NotFound {
        /// The path asked for.
        path: PathBuf,
        /// Files in the same folder whose names are close.
        similar: Vec<PathBuf>,
    },
    /// The operating system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// The path asked for.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// Not a dump at all.
    #[error("{}: {what}; {advice}", path.display())]
    NotADump {
        /// The path asked for.
        path: PathBuf,
        /// What it is instead.
        what: String,
        /// What to do.
        advice: String,
    },
    /// No signature that is known. It may be raw memory, which has none.
    #[error("{}: {what}; {advice}", path.display())]
    NoSignature {
        /// The path asked for.
        path: PathBuf,
        /// What it begins with.
        what: String,
        /// What to do.
        advice: String,
    },
    /// Memory of some machine, in a container that is not read here.
    #[error("{}: {what} cannot be read directly; {}", path.display(), advice.of(path))]
    Unsupported {
        /// The path asked for.
        path: PathBuf,
        /// The container.
        what: &'static str,
        /// What to do.
        advice: Advice,
    },
    /// A dump whose tables contradict themselves or its size.
    #[error(
        "{}: {format}: {field} at offset {offset:#x}: {problem}; \
         the file is damaged or was not copied whole: compare its size and checksum with the original",
        path.display()
    )]
    Malformed {
        /// The path asked for.
        path: PathBuf,
        /// The container.
        format: &'static str,
        /// The field, by its name in the format's own definition.
        field: &'static str,
        /// Where the field lies.
        offset: u64,
        /// The value and what is wrong with it.
        problem: String,
    },
}

/// What to do with a file that is not read as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// Shell commands, `{}` standing for the file's name.
    Run {
        /// Makes a file that can be read.
        command: &'static str,
        /// Writes it to standard output, where that can be done.
        pipe: Option<&'static str>,
    },
    /// A sentence.
    Say(&'static str),
}

impl Advice {
    /// The same of the file at `path`.
    fn of(&self, path: &Path) -> String {
        match self {
            Self::Run { command, .. } => {
                format!("run: {}", command.replace("{}", &shell_path(path)))
            }
            Self::Say(text) => (*text).to_owned(),
        }
    }
}

/// What a parser finds wrong, before anybody knows the file's name.
#[derive(Debug, thiserror::Error)]
#[error("{field} at offset {offset:#x}: {problem}")]
pub(crate) struct Defect {
    pub(crate) format: &'static str,
    pub(crate) field: &'static str,
    pub(crate) offset: u64,
    pub(crate) problem: String,
}

impl Defect {
    /// The same, of the file `path`.
    pub(crate) fn of(self, path: &Path) -> OpenError {
        let Self {
            format,
            field,
            offset,
            problem,
        } = self;
        OpenError::Malformed {
            path: path.to_owned(),
            format,
            field,
            offset,
            problem,
        }
    }
}

fn suggestion(similar: &[PathBuf]) -> String {
    if similar.is_empty() {
        return String::new();
    }
    let names: Vec<String> = similar
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    format!("; did you mean {}?", names.join(" or "))
}
