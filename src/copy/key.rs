//! From keys to relative paths: what can be placed on a disk, and what cannot. Pure.

/// Longest file name on the usual file systems, in bytes.
pub const LONGEST_NAME: usize = 255;

/// Where a key belongs below the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file at this relative path.
    File(String),
    /// A folder at this relative path; empty for the destination itself. Such keys end with `/` and mark empty folders.
    Folder(String),
}

/// Finds the place of a key that begins with `prefix`.
///
/// # Errors
/// Why the key has no place: names that are empty, `.` or `..`, too long, or that hold control characters.
pub fn place(prefix: &str, key: &str) -> Result<Place, String> {
    let relative = key.strip_prefix(prefix).ok_or("it does not begin with the prefix that was listed")?;
    if relative.is_empty() {
        return Ok(Place::Folder(String::new()));
    }
    let (path, is_folder) = relative.strip_suffix('/').map_or((relative, false), |path| (path, true));
    for name in path.split('/') {
        check_name(name)?;
    }
    Ok(if is_folder { Place::Folder(path.to_owned()) } else { Place::File(path.to_owned()) })
}

/// Ends the name of a file that is not complete.
pub const PARTIAL_SUFFIX: &str = ".ma-part";

/// Length of the hash in the name of a partial file.
pub(super) const HASH: usize = 8;

/// Whether a name is one that a file has while it is fetched: `.<name>.<hash>.ma-part`.
pub fn is_partial(name: &str) -> bool {
    let inner = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(PARTIAL_SUFFIX));
    let is_hash = |hash: &str| hash.len() == HASH && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    inner.and_then(|inner| inner.rsplit_once('.')).is_some_and(|(stem, hash)| !stem.is_empty() && is_hash(hash))
}

/// Whether a single name can stand in a folder.
///
/// # Errors
/// Why it cannot.
pub fn check_name(name: &str) -> Result<(), String> {
    match name {
        "" => Err("it has an empty part between slashes".to_owned()),
        "." | ".." => Err(format!("its part [{name}] has a meaning of its own in paths")),
        name if name.chars().any(char::is_control) => Err("it holds control characters".to_owned()),
        name if is_partial(name) => Err(format!("its part [{name}] is named like a file that is not complete")),
        name if name.len() > LONGEST_NAME => Err(format!("a part of it is longer than {LONGEST_NAME} bytes")),
        _ => Ok(()),
    }
}

/// Finds keys that need a folder where an earlier key put a file. Keys come sorted, so only the files that the current key
/// begins with are remembered.
#[derive(Debug, Default)]
pub struct Conflicts {
    files: Vec<String>,
}

impl Conflicts {
    /// Looks at the next place of a sorted listing.
    ///
    /// # Errors
    /// Which file is in the way.
    pub fn check(&mut self, place: &Place) -> Result<(), String> {
        let (path, is_folder) = match place {
            Place::File(path) => (path, false),
            Place::Folder(path) => (path, true),
        };
        match self.blocking(path, is_folder) {
            None => Ok(()),
            Some(length) => Err(format!("[{}] is a file, so nothing can be below it", &path[..length])),
        }
    }

    /// The length of the earlier file that the path begins with and would need as a folder.
    pub fn blocking(&mut self, path: &str, is_folder: bool) -> Option<usize> {
        while self.files.last().is_some_and(|file| !path.starts_with(file.as_str())) {
            self.files.pop();
        }
        let below = |file: &&String| path.as_bytes().get(file.len()).map_or(is_folder && path == *file, |next| *next == b'/');
        if let Some(file) = self.files.iter().find(below) {
            return Some(file.len());
        }
        if !is_folder {
            self.files.push(path.to_owned());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Conflicts, Place, place};

    #[test]
    fn d1_6_d1_7_d1_8_places_keys() {
        let file = |path: &str| Ok(Place::File(path.to_owned()));
        let folder = |path: &str| Ok(Place::Folder(path.to_owned()));
        let table = [
            ("p/", "p/a", file("a")),
            ("p/", "p/a/b c+%é", file("a/b c+%é")),
            ("p/", "p/", folder("")),
            ("p/", "p/a/", folder("a")),
            ("", "a", file("a")),
            ("", "...", file("...")),
            ("", "a\\b", file("a\\b")),
        ];
        for (prefix, key, expected) in table {
            assert_eq!(place(prefix, key), expected, "{key}");
        }
        let long = "x".repeat(256);
        for key in
            ["/etc/passwd", "..", "../a", "a/../b", "a//b", "a/./b", ".", "a\nb", "a\0b", "//", "/", "a//", &long, "a/..//"]
        {
            assert!(place("", key).is_err(), "{key:?}");
        }
        assert!(place("p/", "q/a").is_err() && place("p/", "p-other/a").is_err());
        for (key, fits) in [
            ("a/.b.0a1b2c3d.ma-part", false),
            (".b.c.0a1b2c3d.ma-part", false),
            ("b.0a1b2c3d.ma-part", true),
            (".b.0a1b2c3.ma-part", true),
            (".b.0a1b2c3x.ma-part", true),
            ("..0a1b2c3d.ma-part", true),
            (".ma-part", true),
        ] {
            assert_eq!(place("", key).is_ok(), fits, "{key}");
        }
    }

    #[test]
    fn finds_files_that_would_have_to_be_folders() {
        let mut conflicts = Conflicts::default();
        let keys = [
            ("a", true),
            ("a-b", true),
            ("a-b/c", false),
            ("a/b", false),
            ("a/b/c", false),
            ("ab", true),
            ("b/c", true),
            ("b/c/", false),
            ("b/d/", true),
            ("b/d/e", true),
        ];
        for (key, fits) in keys {
            assert_eq!(conflicts.check(&place("", key).unwrap()).is_ok(), fits, "{key}");
        }
    }

    proptest! {
        #[test]
        fn d1_2_never_leaves_the_destination(key in "[a./\\\\\u{1}é]{0,12}") {
            if let Ok(Place::File(path) | Place::Folder(path)) = place("", &key) {
                prop_assert!(path.is_empty() || path.split('/').all(|name| !matches!(name, "" | "." | "..")));
                prop_assert!(!path.starts_with('/'));
            }
        }
    }
}
