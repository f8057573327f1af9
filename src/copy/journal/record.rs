//! What a journal says, as text: one line about the transfer, then one line a finished part.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::copy::parts::{MOST_PARTS, Part};

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
pub(super) struct WrittenHead {
    pub(super) ma_cli_journal: u32,
    pub(super) way: Way,
    pub(super) endpoint: String,
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) path: String,
    // The path where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) path_hex: Option<String>,
    pub(super) size: u64,
    pub(super) part_size: u64,
    #[serde(flatten)]
    pub(super) version: Version,
    #[serde(default)]
    pub(super) attributes: String,
    pub(super) created: i64,
    // For people who look into the file.
    pub(super) written_by: String,
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
