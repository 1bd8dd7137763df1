//! Names in an archive as paths in it.

/// `name` as a path from the archive's top: no `.`, no `/` at either end, as GNU tar
/// unpacks it. None if it has a `..`, or nothing else.
pub(super) fn clean(name: &str) -> Option<String> {
    let parts = name.split('/').filter(|part| !matches!(*part, "" | "."));
    let parts: Vec<&str> = parts.collect();
    let leaves = parts.contains(&"..");
    (!parts.is_empty() && !leaves).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        assert_eq!(
            clean("./sos-a/proc//meminfo").unwrap(),
            "sos-a/proc/meminfo"
        );
        assert_eq!(clean("/etc/passwd").unwrap(), "etc/passwd");
        assert_eq!(clean("proc/").unwrap(), "proc");
        assert_eq!(clean("..a/b..").unwrap(), "..a/b..");
        for outside in ["..", "../etc/passwd", "a/../../b", "/..", "", "./", "/"] {
            assert_eq!(clean(outside), None, "{outside}");
        }
    }
}
