//! Reading a journal, which may have been torn, damaged or made up. Pure.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::copy::journal::record::{FORMAT, Finished, Head, Identity, Version, Way, WrittenHead};
use crate::copy::parts::{LARGEST_PART, MOST_PARTS};

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

    use super::{Unusable, parse};
    use crate::copy::journal::record::{Finished, Head, Identity, Version, Way};

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
