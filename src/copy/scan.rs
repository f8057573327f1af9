//! Finding what there is to copy: walks a folder or lists a prefix into a bounded channel, so that memory does not grow with
//! the number of files.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc::Sender;

use crate::copy::error::Error;
use crate::copy::key::{Conflicts, Place, place};
use crate::obs::list::Entry;
use crate::obs::{Client, ObsUrl};

/// Items that go from the scan to the copy together: what a change of tasks costs is shared by so many.
pub const BATCH: usize = 64;

/// Batches that may wait between the scan and the copy.
pub const WAITING: usize = 16;

/// Something to copy. Names are relative to what is copied, with `/` between their parts.
#[derive(Debug)]
pub enum Item {
    /// A local file.
    LocalFile {
        /// Its name.
        name: String,
        /// Where it is.
        path: PathBuf,
        /// Its size in bytes when it was found.
        size: u64,
    },
    /// A local folder with nothing in it; empty name: the source itself.
    LocalFolder {
        /// Its name.
        name: String,
    },
    /// An object.
    Object {
        /// Its name.
        name: String,
        /// As it was listed.
        entry: Entry,
    },
    /// An object that stands for a folder; empty name: the destination itself.
    Marker {
        /// Its name.
        name: String,
    },
    /// Something that cannot be copied.
    Refused {
        /// Its name.
        name: String,
        /// Why.
        error: Error,
    },
}

/// The scan's end of the channel: collects items into batches. What is left must be sent with a flush at the end.
#[derive(Debug)]
pub struct Outbox {
    sender: Sender<Vec<Item>>,
    pending: Vec<Item>,
}

/// The copy ended; nothing more need be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NobodyListens;

impl Outbox {
    /// An outbox before this channel.
    pub fn new(sender: Sender<Vec<Item>>) -> Self {
        Self { sender, pending: Vec::new() }
    }

    /// Takes an item; true when the batch should be sent: it is full, or nothing is waiting on the other side.
    pub fn push(&mut self, item: Item) -> bool {
        self.pending.push(item);
        self.pending.len() >= BATCH || self.sender.capacity() == self.sender.max_capacity()
    }

    /// Sends what was collected, from a thread that may block.
    ///
    /// # Errors
    /// [`NobodyListens`].
    pub fn flush_blocking(&mut self) -> Result<(), NobodyListens> {
        match std::mem::take(&mut self.pending) {
            empty if empty.is_empty() => Ok(()),
            batch => self.sender.blocking_send(batch).map_err(|_| NobodyListens),
        }
    }

    /// Sends what was collected.
    ///
    /// # Errors
    /// [`NobodyListens`].
    pub async fn flush(&mut self) -> Result<(), NobodyListens> {
        match std::mem::take(&mut self.pending) {
            empty if empty.is_empty() => Ok(()),
            batch => self.sender.send(batch).await.map_err(|_| NobodyListens),
        }
    }
}

/// Walks a folder; blocking. Links to files are followed, links to folders too unless they lead back to where they are.
/// Ends early when nobody listens any more.
///
/// # Errors
/// [`Error::Local`] when the folder itself cannot be read; what is below it is reported as [`Item::Refused`].
pub fn walk(root: &Path, items: Sender<Vec<Item>>) -> Result<(), Error> {
    let status = std::fs::metadata(root).map_err(|error| Error::local("read", root, error))?;
    let mut walker = Walker { items: Outbox::new(items), ancestors: vec![(status.dev(), status.ino())] };
    match walker.folder(root, "").and_then(|()| Ok(walker.items.flush_blocking()?)) {
        Ok(()) | Err(Stop::NobodyListens) => Ok(()),
        Err(Stop::Unreadable(error)) => Err(Error::local("read", root, error)),
    }
}

struct Walker {
    items: Outbox,
    // Device and inode of the folders from the root to here.
    ancestors: Vec<(u64, u64)>,
}

enum Stop {
    NobodyListens,
    Unreadable(io::Error),
}

impl From<NobodyListens> for Stop {
    fn from(_: NobodyListens) -> Self {
        Self::NobodyListens
    }
}

impl Walker {
    fn send(&mut self, item: Item) -> Result<(), Stop> {
        if self.items.push(item) {
            self.items.flush_blocking()?;
        }
        Ok(())
    }

    fn refuse(&mut self, name: String, error: Error) -> Result<(), Stop> {
        self.send(Item::Refused { name, error })
    }

    fn folder(&mut self, path: &Path, name: &str) -> Result<(), Stop> {
        let mut folders = Vec::new();
        let mut is_empty = true;
        // Closed before going deeper: the number of open handles does not grow with the depth.
        for entry in std::fs::read_dir(path).map_err(Stop::Unreadable)? {
            is_empty = false;
            let entry = entry.map_err(Stop::Unreadable)?;
            let Some(child) = join(name, &entry.file_name()) else {
                let shown = entry.path().display().to_string();
                self.refuse(shown.clone(), Error::unplaceable(&shown, "its name is not UTF-8, which keys must be"))?;
                continue;
            };
            let path = entry.path();
            match std::fs::metadata(&path) {
                Ok(status) if status.is_file() => self.send(Item::LocalFile { name: child, path, size: status.len() })?,
                Ok(status) if status.is_dir() => folders.push((path, child, (status.dev(), status.ino()))),
                Ok(_) => {
                    let error = Error::unplaceable(&child, "it is neither a file nor a folder");
                    self.refuse(child, error)?;
                }
                Err(error) => self.refuse(child, Error::local("read", &path, error))?,
            }
        }
        if is_empty {
            self.send(Item::LocalFolder { name: name.to_owned() })?;
        }
        for (path, child, identity) in folders {
            if self.ancestors.contains(&identity) {
                let error = Error::unplaceable(&child, "it is a link to a folder that it is in itself");
                self.refuse(child, error)?;
                continue;
            }
            self.ancestors.push(identity);
            let walked = self.folder(&path, &child);
            self.ancestors.pop();
            match walked {
                Err(Stop::Unreadable(error)) => self.refuse(child, Error::local("read", &path, error))?,
                other => other?,
            }
        }
        Ok(())
    }
}

fn join(name: &str, child: &OsStr) -> Option<String> {
    let child = child.to_str()?;
    Some(if name.is_empty() { child.to_owned() } else { format!("{name}/{child}") })
}

/// Lists a prefix. Keys that have no place on a disk are reported as [`Item::Refused`]. Ends early when nobody listens any more.
///
/// # Errors
/// [`Error::Store`] when the listing fails, [`Error::NoSource`] when nothing begins with the prefix.
pub async fn list(client: &Client, source: &ObsUrl, items: Sender<Vec<Item>>) -> Result<(), Error> {
    let mut items = Outbox::new(items);
    let mut listing = client.list(source, true);
    let mut conflicts = Conflicts::default();
    let mut found = false;
    while let Some(page) = listing.next_page().await? {
        for entry in page.entries {
            found = true;
            let refused = |entry: &Entry, reason: String| Item::Refused {
                name: entry.key.escape_debug().to_string(),
                error: Error::unplaceable(&entry.key, reason),
            };
            let item = match place(&source.key, &entry.key).and_then(|place| conflicts.check(&place).map(|()| place)) {
                Err(reason) => refused(&entry, reason),
                Ok(Place::File(name)) => Item::Object { name, entry },
                Ok(Place::Folder(_)) if entry.size > 0 => {
                    refused(&entry, "it is named like a folder, but has content".to_owned())
                }
                Ok(Place::Folder(name)) => Item::Marker { name },
            };
            if items.push(item) && items.flush().await.is_err() {
                return Ok(());
            }
        }
    }
    if items.flush().await.is_err() {
        return Ok(());
    }
    // An empty bucket is an empty folder; an empty prefix is nothing at all.
    if found || source.key.is_empty() { Ok(()) } else { Err(Error::NoSource(source.to_string())) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::{Item, walk};

    #[tokio::test]
    async fn walks_files_links_and_empty_folders() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in ["a/b", "empty", "a/x/y"] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        std::fs::write(root.join("a/b/file"), "12345").unwrap();
        std::fs::write(root.join("top"), "").unwrap();
        symlink("b/file", root.join("a/link")).unwrap();
        symlink("..", root.join("a/loop")).unwrap();
        symlink("nowhere", root.join("broken")).unwrap();
        let (sender, mut receiver) = tokio::sync::mpsc::channel(2);
        let path = root.to_owned();
        let walking = tokio::task::spawn_blocking(move || walk(&path, sender));
        let mut found = Vec::new();
        while let Some(batch) = receiver.recv().await {
            found.extend(batch.into_iter().map(|item| match item {
                Item::LocalFile { name, size, .. } => format!("{name} {size}"),
                Item::LocalFolder { name } => format!("{name}/"),
                Item::Refused { name, .. } => format!("{name} refused"),
                other => panic!("{other:?}"),
            }));
        }
        walking.await.unwrap().unwrap();
        found.sort();
        let expected = ["a/b/file 5", "a/link 5", "a/loop refused", "a/x/y/", "broken refused", "empty/", "top 0"];
        assert_eq!(found, expected);
    }
}
