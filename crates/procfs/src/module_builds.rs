//! `/sys/module`: which builds of the modules are loaded.

use crate::tree::{Tree, Unread, read_line};

/// Where they are.
const FOLDER: &str = "sys/module";

/// More than the note of any build id has, in bytes.
const MAX_NOTE: u64 = 4096;

/// A module's build. Built-in code with parameters has a folder there too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleBuild {
    /// Name, with `_` as in `/proc/modules`.
    pub name: String,
    /// `version` of its source, if it says.
    pub version: Option<String>,
    /// `srcversion`, a sum over its source.
    pub srcversion: Option<String>,
    /// Build id of its file, in hex.
    pub build_id: Option<String>,
}

/// The builds, by name.
///
/// # Errors
/// They cannot be listed.
pub fn read_module_builds(tree: &dyn Tree) -> Result<Vec<ModuleBuild>, Unread> {
    let names = tree.names(FOLDER)?.into_iter();
    let builds = names.map(|name| {
        let at = |path: &str| format!("{FOLDER}/{name}/{path}");
        let note = tree.read(&at("notes/.note.gnu.build-id"), MAX_NOTE).ok();
        ModuleBuild {
            version: read_line(tree, &at("version")),
            srcversion: read_line(tree, &at("srcversion")),
            build_id: note.and_then(|note| build_id(&note.bytes)),
            name,
        }
    });
    Ok(builds.collect())
}

/// The id in an ELF note: length of the name, of the id, type 3 (`NT_GNU_BUILD_ID`),
/// the name `GNU`, the id. The numbers are in the host's byte order, little-endian on
/// the architectures that are read here.
fn build_id(note: &[u8]) -> Option<String> {
    let number = |at: usize| {
        let bytes = note.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let length = usize::try_from(number(4)?).ok()?;
    let named = number(0)? == 4 && number(8)? == 3 && note.get(12..16)? == b"GNU\0";
    // SHA-1 is the usual; the longest in use is SHA-256.
    let id = note.get(16..16usize.checked_add(length)?)?;
    let sound = named && (1..=32).contains(&length);
    sound.then(|| id.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Root;
    use std::fs;

    #[test]
    fn builds_are_told_as_far_as_they_go() {
        let sys = tempfile::tempdir().unwrap();
        let at = |path: &str| sys.path().join(FOLDER).join(path);
        fs::create_dir_all(at("ice/notes")).unwrap();
        fs::create_dir_all(at("printk")).unwrap();
        fs::write(at("ice/version"), "1.5.2\n").unwrap();
        fs::write(at("ice/srcversion"), "3A9C0A8A3C5F2E0F7B6D5E1\n").unwrap();
        let note = b"\x04\0\0\0\x04\0\0\0\x03\0\0\0GNU\0\xde\xad\xbe\xef";
        fs::write(at("ice/notes/.note.gnu.build-id"), note).unwrap();
        let builds = read_module_builds(&Root::open(sys.path()).unwrap()).unwrap();
        let names: Vec<&str> = builds.iter().map(|build| build.name.as_str()).collect();
        assert_eq!(names, ["ice", "printk"]);
        assert_eq!(builds[0].version.as_deref(), Some("1.5.2"));
        assert_eq!(
            builds[0].srcversion.as_deref(),
            Some("3A9C0A8A3C5F2E0F7B6D5E1")
        );
        assert_eq!(builds[0].build_id.as_deref(), Some("deadbeef"));
        assert_eq!((&builds[1].version, &builds[1].build_id), (&None, &None));
    }

    #[test]
    fn broken_notes_have_no_id() {
        for note in [
            &b""[..],
            b"\x04\0\0\0\xff\xff\xff\xff\x03\0\0\0GNU\0\xde",
            b"\x04\0\0\0\x00\0\0\0\x03\0\0\0GNU\0",
            b"\x04\0\0\0\x01\0\0\0\x01\0\0\0GNU\0\xde",
            b"\x04\0\0\0\x01\0\0\0\x03\0\0\0Xen\0\xde",
        ] {
            assert_eq!(build_id(note), None, "{note:?}");
        }
    }
}
