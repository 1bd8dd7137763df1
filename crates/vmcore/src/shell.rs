//! Names in commands that people copy into a shell.

use std::path::Path;

/// `text` as one word of a POSIX shell, as it is where that is plain.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The name of a file as a word that no command takes for an option; `-` alone, which
/// is standard input, stays.
pub fn shell_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.starts_with('-') && text != "-" {
        shell_word(&format!("./{text}"))
    } else {
        shell_word(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// POSIX 2.2.2: within single quotes every character stands for itself.
    #[test]
    fn words() {
        for (text, word) in [
            ("/var/crash/vmcore", "/var/crash/vmcore"),
            ("two words", "'two words'"),
            ("it's", r"'it'\''s'"),
            ("$(rm -r x).gz", "'$(rm -r x).gz'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(text), word);
            assert_eq!(shell_path(Path::new(text)), word);
        }
    }

    #[test]
    fn files_are_no_options() {
        for (name, word) in [("-n", "./-n"), ("-n 1", "'./-n 1'"), ("-", "-")] {
            assert_eq!(shell_path(Path::new(name)), word);
        }
    }
}
