//! What a journal says, as text: one line about the transfer, then one line a finished part. Pure.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::copy::parts::{LARGEST_PART, MOST_PARTS, Part};

/// Version of the format. Journals of another version are left alone.
pub(super) const FORMAT: u32 = 1;

/// No journal is larger: the most parts there can be, each with a line far longer than any of ours.
pub(super) const LARGEST_JOURNAL: u64 = MOST_PARTS * 512;

/// What is copied from where to where; tells transfers apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whether it goes up or down.
    pub way: Way,
    /// The store, as `scheme://host[:port]`.
    pub endpoint: String,
    /// Bucket.
    pub bucket: String,
    /// Key of the object.
    pub key: String,
    /// The file on this machine, absolute.
    pub path: PathBuf,
}

/// Direction of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// To the store.
    Upload,
    /// From the store.
    Download,
}

impl Way {
    /// `upload` or `download`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Download => "download",
        }
    }
}

impl Identity {
    /// The short name of the transfer: the same for the same copy, on every run.
    pub fn id(&self) -> String {
        let mut digest = Sha256::new();
        for field in [self.way.name(), &self.endpoint, &self.bucket, &self.key] {
            digest.update(field);
            digest.update([0]);
        }
        digest.update(self.path.as_os_str().as_bytes());
        hex::encode(&digest.finalize()[..8])
    }
}

/// The state of the source, and what the store calls the transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Version {
    /// A file that is sent.
    File {
        /// Its modification time: seconds since 1970.
        mtime: i64,
        /// And nanoseconds.
        mtime_ns: i64,
        /// Id of the upload at the store.
        upload: String,
    },
    /// An object that is fetched.
    Object {
        /// Its ETag without quotes.
        etag: String,
    },
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What is copied from where to where.
    pub identity: Identity,
    /// Bytes of the whole.
    pub size: u64,
    /// Bytes of every part but the last.
    pub part_size: u64,
    /// Version of the source.
    pub version: Version,
    /// Digest of the attributes that the object is to have, which are fixed when an upload begins.
    pub attributes: String,
    /// When the transfer began: seconds since 1970.
    pub created: i64,
}

impl Head {
    /// Where a part lies; `None` if there is no such part.
    pub fn part(&self, number: u32) -> Option<Part> {
        let offset = u64::from(number.checked_sub(1)?).checked_mul(self.part_size)?;
        (offset < self.size).then(|| Part { number, offset, length: self.part_size.min(self.size - offset) })
    }

    /// The line, its end included.
    pub fn line(&self) -> String {
        let Identity { way, endpoint, bucket, key, path } = &self.identity;
        let path_hex = path.to_str().is_none().then(|| hex::encode(path.as_os_str().as_bytes()));
        let written = WrittenHead {
            ma_cli_journal: FORMAT,
            way: *way,
            endpoint: endpoint.clone(),
            bucket: bucket.clone(),
            key: key.clone(),
            path: path.display().to_string(),
            path_hex,
            size: self.size,
            part_size: self.part_size,
            version: self.version.clone(),
            attributes: self.attributes.clone(),
            created: self.created,
            written_by: env!("CARGO_PKG_VERSION").to_owned(),
        };
        line(&written)
    }
}

#[derive(Serialize, Deserialize)]
struct WrittenHead {
    ma_cli_journal: u32,
    way: Way,
    endpoint: String,
    bucket: String,
    key: String,
    path: String,
    // The path where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    size: u64,
    part_size: u64,
    #[serde(flatten)]
    version: Version,
    #[serde(default)]
    attributes: String,
    created: i64,
    // For people who look into the file.
    written_by: String,
}

/// A finished part: a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// Number of the part.
    pub part: u32,
    /// Its bytes.
    pub length: u64,
    /// The store's ETag of a part that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Digest of the bytes that were read or written, as `name:hex`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl Finished {
    /// The line, its end included.
    pub fn line(&self) -> String {
        line(self)
    }
}

fn line(written: &impl Serialize) -> String {
    let mut line = serde_json::to_string(written).expect("names are text and numbers are finite");
    line.push('\n');
    line
}

/// A journal that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The first line.
    pub head: Head,
    /// Finished parts by number. What it says is checked before it is believed.
    pub parts: BTreeMap<u32, Finished>,
    /// Bytes from the start that are sound; what follows was torn off by the end of a process.
    pub sound: usize,
}

impl Record {
    /// Bytes of the parts that are said to be finished.
    pub fn done(&self) -> u64 {
        self.parts.values().map(|part| part.length).sum()
    }
}

/// Why a journal cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Not a byte of it was written, or only a piece of its first line.
    #[error("it was cut off at its beginning")]
    Torn,
    /// It is no journal.
    #[error("it cannot be understood")]
    Garbage,
    /// Another version of the program wrote it.
    #[error("another version of this program wrote it")]
    Foreign,
}

/// Reads a journal. A last line without its end is ignored, as is everything from the first line on that makes no sense.
///
/// # Errors
/// [`Unusable`] when the first line cannot be used.
pub(super) fn parse(bytes: &[u8]) -> Result<Record, Unusable> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().filter(|line| line.ends_with(b"\n")).ok_or(match bytes.len() {
        0..4096 => Unusable::Torn,
        _ => Unusable::Garbage,
    })?;
    let head = parse_head(first)?;
    let mut record = Record { head, parts: BTreeMap::new(), sound: first.len() };
    for line in lines.take_while(|line| line.ends_with(b"\n")) {
        let Some(finished) =
            serde_json::from_slice::<Finished>(line).ok().filter(|finished| is_plausible(&record.head, finished))
        else {
            break;
        };
        record.sound += line.len();
        record.parts.insert(finished.part, finished);
    }
    Ok(record)
}

fn parse_head(line: &[u8]) -> Result<Head, Unusable> {
    #[derive(Deserialize)]
    struct Format {
        ma_cli_journal: u32,
    }
    let format: Format = serde_json::from_slice(line).map_err(|_| Unusable::Garbage)?;
    if format.ma_cli_journal != FORMAT {
        return Err(Unusable::Foreign);
    }
    let written: WrittenHead = serde_json::from_slice(line).map_err(|_| Unusable::Garbage)?;
    let path = match &written.path_hex {
        Some(text) => PathBuf::from(OsString::from_vec(hex::decode(text).map_err(|_| Unusable::Garbage)?)),
        None => PathBuf::from(&written.path),
    };
    let is_way = matches!(
        (written.way, &written.version),
        (Way::Upload, Version::File { .. }) | (Way::Download, Version::Object { .. })
    );
    let is_division = (1..=LARGEST_PART).contains(&written.part_size) && written.size.div_ceil(written.part_size) <= MOST_PARTS;
    let is_named = !written.bucket.is_empty() && !written.key.is_empty() && is_file_path(&path);
    if !is_way || !is_division || !is_named {
        return Err(Unusable::Garbage);
    }
    Ok(Head {
        identity: Identity { way: written.way, endpoint: written.endpoint, bucket: written.bucket, key: written.key, path },
        size: written.size,
        part_size: written.part_size,
        version: written.version,
        attributes: written.attributes,
        created: written.created,
    })
}

fn is_file_path(path: &Path) -> bool {
    path.is_absolute() && path.file_name().is_some() && !path.as_os_str().as_bytes().contains(&0)
}

fn is_plausible(head: &Head, finished: &Finished) -> bool {
    head.part(finished.part).is_some_and(|part| part.length == finished.length)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::{Finished, Head, Identity, Unusable, Version, Way, parse};

    const MIB: u64 = 1 << 20;

    fn head(way: Way) -> Head {
        let version = match way {
            Way::Upload => Version::File { mtime: 1_700_000_000, mtime_ns: 123_456_789, upload: "upload/id+==".into() },
            Way::Download => Version::Object { etag: "0cc175b9c0f1b6a831c399e269772661-3".into() },
        };
        Head {
            identity: Identity {
                way,
                endpoint: "https://obs.example.com".into(),
                bucket: "bucket".into(),
                key: "a/\"quoted\"\n鍵".into(),
                path: "/home/user/data/file".into(),
            },
            size: 40 * MIB,
            part_size: 16 * MIB,
            version,
            attributes: "none".into(),
            created: 1_800_000_000,
        }
    }

    fn finished(part: u32, length: u64) -> Finished {
        Finished { part, length, etag: Some(format!("etag{part}")), digest: Some("md5:00".into()) }
    }

    fn journal(head: &Head) -> String {
        head.line() + &finished(2, 16 * MIB).line() + &finished(3, 8 * MIB).line()
    }

    #[test]
    fn reads_what_it_wrote() {
        for way in [Way::Upload, Way::Download] {
            let mut head = head(way);
            head.identity.path = PathBuf::from(OsStr::from_bytes(b"/home/\xff/file"));
            let text = journal(&head);
            let record = parse(text.as_bytes()).unwrap();
            assert_eq!(record.head, head);
            assert_eq!(record.parts.keys().copied().collect::<Vec<_>>(), [2, 3]);
            assert_eq!((record.done(), record.sound), (24 * MIB, text.len()));
        }
    }

    #[test]
    fn finds_parts() {
        let head = head(Way::Upload);
        assert_eq!(head.part(0), None);
        assert_eq!(head.part(1).unwrap().length, 16 * MIB);
        assert_eq!((head.part(3).unwrap().offset, head.part(3).unwrap().length), (32 * MIB, 8 * MIB));
        assert_eq!(head.part(4), None);
        assert_eq!(head.part(u32::MAX), None);
    }

    #[test]
    fn tells_transfers_apart() {
        let identity = head(Way::Upload).identity;
        let changed = [
            Identity { way: Way::Download, ..identity.clone() },
            Identity { endpoint: "https://other".into(), ..identity.clone() },
            Identity { bucket: "bucketa".into(), key: "/".into(), ..identity.clone() },
            Identity { path: "/home/user/data/other".into(), ..identity.clone() },
        ];
        let mut ids: Vec<String> = changed.iter().chain([&identity]).map(Identity::id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 5);
        assert_eq!(identity.id(), identity.clone().id());
    }

    #[test]
    fn does_not_believe_nonsense() {
        let head = head(Way::Upload);
        let good = head.line();
        assert_eq!(parse(b""), Err(Unusable::Torn));
        assert_eq!(parse(good.trim_end().as_bytes()), Err(Unusable::Torn));
        assert_eq!(parse(&[0; 9000]), Err(Unusable::Garbage));
        assert_eq!(parse(b"{}\n"), Err(Unusable::Garbage));
        assert_eq!(parse(good.replace("journal\":1", "journal\":2").as_bytes()), Err(Unusable::Foreign));
        for (from, to) in [
            ("\"part_size\":16777216", "\"part_size\":0"),
            ("\"part_size\":16777216", "\"part_size\":1"),
            ("\"way\":\"upload\"", "\"way\":\"download\""),
            ("/home/user/data/file", "relative"),
            ("/home/user/data/file", "/"),
            ("\"bucket\":\"bucket\"", "\"bucket\":\"\""),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good, "{from}");
            assert_eq!(parse(bad.as_bytes()), Err(Unusable::Garbage), "{to}");
        }
        for line in [finished(4, 1), finished(0, 1), finished(3, 16 * MIB)] {
            let record = parse((good.clone() + &line.line() + &finished(1, 16 * MIB).line()).as_bytes()).unwrap();
            assert!(record.parts.is_empty() && record.sound == good.len(), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn a_journal_cut_anywhere_gives_its_whole_lines(cut in 0usize..2000) {
            let head = head(Way::Upload);
            let text = journal(&head);
            let cut = cut % (text.len() + 1);
            let whole_lines = text.as_bytes()[..cut].iter().filter(|byte| **byte == b'\n').count();
            match parse(&text.as_bytes()[..cut]) {
                Ok(record) => {
                    prop_assert_eq!(record.parts.len() + 1, whole_lines);
                    prop_assert_eq!(record.head, head);
                    prop_assert!(text.as_bytes()[..record.sound].ends_with(b"\n"));
                }
                Err(unusable) => {
                    prop_assert_eq!(unusable, Unusable::Torn);
                    prop_assert_eq!(whole_lines, 0);
                }
            }
        }

        #[test]
        fn garbage_does_no_harm(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..2000, after_head in any::<bool>()) {
            let head = head(Way::Download);
            let mut text = journal(&head).into_bytes();
            if after_head {
                let at = head.line().len() + at % (text.len() - head.line().len() + 1);
                text.splice(at..at, bytes.drain(..));
            } else {
                let at = at % text.len();
                let end = (at + bytes.len()).min(text.len());
                text.splice(at..end, bytes.drain(..));
            }
            if let Ok(record) = parse(&text) {
                prop_assert!(record.sound <= text.len());
                for (number, part) in &record.parts {
                    prop_assert_eq!(record.head.part(*number).unwrap().length, part.length);
                }
            }
        }
    }
}
