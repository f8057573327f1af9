//! `--update`: whether what is at the destination is what would be copied there. Decided from the listing and the local file's
//! status alone, unless files keep their own times in metadata.

pub mod doubt;
pub mod etag;
pub mod local;
pub mod remote;

use std::path::Path;

pub use doubt::Doubt;

use crate::copy::select::{Compare, Existing};

/// What is known of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Bytes.
    pub size: u64,
    /// When it was written, in seconds since 1970; file systems and stores agree on nothing finer.
    pub modified: i64,
}

/// What to do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is copied, for this reason.
    Copy(&'static str),
    /// It is left, for this reason.
    Leave(&'static str),
    /// The object's metadata decides.
    Doubt(Doubt),
}

/// The reason of a file that is copied because nothing is there.
pub const MISSING: &str = "missing";

/// Compares a source with what is at its destination. `contents` is asked whether they are the same only where that decides;
/// it may not know.
pub fn compare(
    existing: Existing,
    source: Version,
    target: Option<Version>,
    contents: impl FnOnce() -> Option<bool>,
) -> Verdict {
    let compare = match (existing, target) {
        (Existing::Replace, _) => return Verdict::Copy("asked for"),
        (_, None) => return Verdict::Copy(MISSING),
        (Existing::Keep, Some(_)) => return Verdict::Leave("exists"),
        (Existing::Update(compare), Some(_)) => compare,
    };
    let target = target.unwrap_or(source);
    if source.size != target.size {
        return Verdict::Copy("size differs");
    }
    let by_time = || by_time(source, target);
    match compare {
        Compare::Size => Verdict::Leave("same size"),
        Compare::Time => by_time(),
        Compare::Preserved if source.modified == target.modified => Verdict::Leave("unchanged"),
        Compare::Preserved => Verdict::Doubt(Doubt { source, target }),
        Compare::Checksum => match contents() {
            Some(true) => Verdict::Leave("same checksum"),
            Some(false) => Verdict::Copy("checksum differs"),
            None => match by_time() {
                Verdict::Leave(_) => Verdict::Leave("unchanged (no checksum to compare)"),
                copy => copy,
            },
        },
    }
}

fn by_time(source: Version, target: Version) -> Verdict {
    if source.modified > target.modified { Verdict::Copy("newer") } else { Verdict::Leave("unchanged") }
}

/// Whether a local file has the content that an ETag tells of; none where the ETag does not tell, or the file cannot be read.
pub fn same_content(path: &Path, size: u64, etag: &str, part_size: Option<u64>) -> Option<bool> {
    let file = std::fs::File::open(path).ok()?;
    etag::matches(file, size, etag, part_size)
}

#[cfg(test)]
mod tests {
    use super::{Verdict, Version, compare};
    use crate::copy::select::{Compare, Existing};

    #[test]
    fn tells_what_differs() {
        let version = |size, modified| Version { size, modified };
        let update = Existing::Update;
        let table = [
            (Existing::Replace, Some(version(1, 5)), None, Verdict::Copy("asked for")),
            (Existing::Keep, None, None, Verdict::Copy("missing")),
            (Existing::Keep, Some(version(9, 9)), None, Verdict::Leave("exists")),
            (update(Compare::Time), None, None, Verdict::Copy("missing")),
            (update(Compare::Time), Some(version(2, 9)), None, Verdict::Copy("size differs")),
            (update(Compare::Time), Some(version(1, 4)), None, Verdict::Copy("newer")),
            (update(Compare::Time), Some(version(1, 5)), None, Verdict::Leave("unchanged")),
            (update(Compare::Time), Some(version(1, 9)), None, Verdict::Leave("unchanged")),
            (update(Compare::Preserved), Some(version(2, 5)), None, Verdict::Copy("size differs")),
            (update(Compare::Preserved), Some(version(1, 5)), None, Verdict::Leave("unchanged")),
            (update(Compare::Size), Some(version(1, 0)), None, Verdict::Leave("same size")),
            (update(Compare::Size), Some(version(0, 9)), None, Verdict::Copy("size differs")),
            (update(Compare::Checksum), Some(version(1, 0)), Some(true), Verdict::Leave("same checksum")),
            (update(Compare::Checksum), Some(version(1, 9)), Some(false), Verdict::Copy("checksum differs")),
            (update(Compare::Checksum), Some(version(1, 4)), None, Verdict::Copy("newer")),
        ];
        for (existing, target, same, expected) in table {
            assert_eq!(compare(existing, version(1, 5), target, || same), expected, "{existing:?} {target:?} {same:?}");
        }
    }
}
