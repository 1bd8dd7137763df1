//! File names in commands that people copy into a shell.

use std::path::Path;

/// `path` as one word of a POSIX shell, as it is where that is plain.
pub fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        return text.into_owned();
    }
    // What begins with a dash would be taken for an option.
    let begin = if text.starts_with('-') { "./" } else { "" };
    format!("'{begin}{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// POSIX 2.2.2: within single quotes every character stands for itself.
    #[test]
    fn words() {
        for (name, word) in [
            ("/var/crash/vmcore", "/var/crash/vmcore"),
            ("two words", "'two words'"),
            ("it's", r"'it'\''s'"),
            ("$(rm -r x).gz", "'$(rm -r x).gz'"),
            ("-n", "'./-n'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(Path::new(name)), word);
        }
    }
}
