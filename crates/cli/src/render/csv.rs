//! Fields of comma-separated rows, RFC 4180.

use super::escape;

/// `text`, escaped as everywhere, in quotes where a comma or quote is in it.
pub fn field(text: &str) -> String {
    let text = escape(text);
    if text.contains([',', '"']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn quotes() {
        assert_eq!(field("slab"), "slab");
        assert_eq!(field("a,b"), "\"a,b\"");
        assert_eq!(field("say \"no\""), "\"say \"\"no\"\"\"");
        assert_eq!(field("a\nb"), "a\\nb");
    }
}
