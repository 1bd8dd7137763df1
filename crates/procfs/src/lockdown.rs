//! `/sys/kernel/security/lockdown` (security/lockdown/lockdown.c, since 5.4): the levels
//! on one line, the one in force in brackets.

/// The level in force: `none`, `integrity` or `confidentiality`.
pub fn lockdown(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, rest) = text.split_once('[')?;
    let (level, _) = rest.split_once(']')?;
    let known = ["none", "integrity", "confidentiality"];
    known.contains(&level).then_some(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_in_force_is_in_brackets() {
        for (text, level) in [
            ("[none] integrity confidentiality\n", Some("none")),
            ("none [integrity] confidentiality\n", Some("integrity")),
            ("none integrity [confidentiality]", Some("confidentiality")),
            ("none integrity confidentiality\n", None),
            ("[else] none\n", None),
            ("[none", None),
            ("", None),
        ] {
            assert_eq!(lockdown(text.as_bytes()), level, "{text}");
        }
    }
}
