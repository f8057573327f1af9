//! Versions of a code folder in the store. Each lies in a folder of its own that is named by what it holds: what was brought for
//! one job stays as it is, whatever is submitted later under the same name. A list beside the versions says what the newest one
//! holds; what a later one has in common with it is copied inside the store.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Kind};
use crate::obs::body::Payload;
use crate::obs::bytes::{GetOptions, PutOptions};
use crate::obs::copying::CopySource;
use crate::obs::{Client, ObsUrl};

/// Longest list that is read: a code folder has at most 1000 files, and a key 1024 bytes.
const LONGEST: usize = 2 << 20;
/// Objects that the store copies at once.
const AT_ONCE: usize = 16;
/// Characters of a version's name: enough to tell those of one job apart.
const VERSION: usize = 12;

/// What a code folder holds: the SHA-256 of each file by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contents(BTreeMap<String, String>);

/// The list of the newest version.
#[derive(Debug, Serialize, Deserialize)]
struct Newest {
    folder: String,
    files: Contents,
}

impl Contents {
    /// Reads the files of a folder that `names` names, each ended by NUL; blocking.
    ///
    /// # Errors
    /// One cannot be read.
    pub(super) fn read(folder: &Path, names: &[u8]) -> Result<Self, Error> {
        let names = names.split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
        let digest = |name: &str| {
            let path = folder.join(name);
            let mut hash = Sha256::new();
            let read = std::fs::File::open(&path).and_then(|mut file| std::io::copy(&mut file, &mut Sink(&mut hash)));
            read.map_err(|error| Error::new(Kind::Local, format!("cannot read [{}]", path.display())).caused_by(error))?;
            Ok((name.to_owned(), hex::encode(hash.finalize())))
        };
        names.filter(|name| !name.is_empty()).map(digest).collect::<Result<_, _>>().map(Self)
    }

    /// The name of this version: the same for the same files, another for any others.
    pub(super) fn version(&self) -> String {
        let mut hash = Sha256::new();
        for (name, digest) in &self.0 {
            hash.update(name);
            hash.update([0]);
            hash.update(digest);
        }
        let mut version = hex::encode(hash.finalize());
        version.truncate(VERSION);
        version
    }

    /// The names of the files that `other` has just so.
    fn shared<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a String> {
        self.0.iter().filter(|(name, digest)| other.0.get(*name) == Some(*digest)).map(|(name, _)| name)
    }
}

/// What is hashed instead of written.
struct Sink<'a>(&'a mut Sha256);

impl std::io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Lets the store copy what the newest version has in common with this one, which goes to `folder`. What cannot be copied is
/// uploaded like what is new.
pub(super) async fn take_over(client: &Client, folder: &ObsUrl, contents: &Contents) {
    let Some((earlier, files)) = newest(client, folder).await else { return };
    if earlier == *folder {
        return;
    }
    let copies = stream::iter(files.shared(contents)).map(|name| {
        let (source, destination) = (earlier.join(name), folder.join(name));
        async move { client.copy_object(CopySource { url: &source, etag: "" }, &destination).await }
    });
    let mut copies = Box::pin(copies.buffer_unordered(AT_ONCE));
    while let Some(copied) = copies.next().await {
        if let Err(error) = copied {
            tracing::debug!("uploaded instead of copied: {error}");
        }
    }
}

/// Notes what the newest version holds.
///
/// # Errors
/// The store refuses.
pub(super) async fn note(client: &Client, folder: &ObsUrl, contents: &Contents) -> Result<(), Error> {
    let list = list_of(folder);
    let newest = Newest { folder: folder.to_string(), files: contents.clone() };
    let text = serde_json::to_vec(&newest).map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
    let bytes = bytes::Bytes::from(text);
    let options = PutOptions { replaces: true, ..PutOptions::default() };
    client.retrying(async |_: u32| client.put_once(&list, Payload::Whole(bytes.clone()), &options).await).await?;
    Ok(())
}

/// The newest version and what it holds; `None` without one that can be read.
async fn newest(client: &Client, folder: &ObsUrl) -> Option<(ObsUrl, Contents)> {
    let list = list_of(folder);
    let read = async |_: u32| client.get_once(&list, &GetOptions::default()).await?.body.collect(LONGEST).await;
    let newest: Newest = serde_json::from_slice(&client.retrying(read).await.ok()?).ok()?;
    let earlier: ObsUrl = newest.folder.parse().ok()?;
    // What stands elsewhere was not brought there by an upload of this job.
    let is_beside = earlier.bucket == folder.bucket && list_of(&earlier) == list;
    is_beside.then_some((earlier, newest.files))
}

/// Where the list of a folder's versions is: `code/.src.newest` for `code/1f2e…/src/`, which no job downloads.
fn list_of(folder: &ObsUrl) -> ObsUrl {
    let name = folder.name();
    let version = folder.key.trim_end_matches('/').strip_suffix(name).unwrap_or_default().trim_end_matches('/');
    let above = version.rsplit_once('/').map_or(String::new(), |(above, _)| format!("{above}/"));
    ObsUrl::new(folder.bucket.clone(), format!("{above}.{name}.newest"))
}

#[cfg(test)]
mod tests {
    use super::{Contents, list_of};

    #[test]
    fn a_version_is_named_by_names_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("a", "1");
        write("b", "2");
        let read = |names: &[u8]| Contents::read(folder.path(), names).unwrap();
        let first = read(b"a\0b\0");
        assert_eq!((first.version().len(), first.version()), (12, read(b"b\0a\0").version()));
        assert_ne!(first.version(), read(b"a\0").version());
        write("b", "3");
        let second = read(b"a\0b\0");
        assert_ne!(first.version(), second.version());
        assert_eq!(first.shared(&second).collect::<Vec<_>>(), ["a"]);
        write("b", "2");
        assert_eq!(read(b"a\0b\0").version(), first.version());
        assert!(Contents::read(folder.path(), b"none\0").unwrap_err().message.contains("none]"));
    }

    #[test]
    fn the_list_stands_beside_the_versions() {
        let list = |url: &str| list_of(&url.parse().unwrap()).to_string();
        assert_eq!(list("obs://b/jobs/n/code/1f2e/src/"), "obs://b/jobs/n/code/.src.newest");
        assert_eq!(list("obs://b/src/"), "obs://b/.src.newest");
    }
}
