//! A journal on disk: found, locked, appended to, removed.
//!
//! The lock says that a live process owns the transfer; it ends with the process, however that ends. A line is one `write` of
//! one buffer, so a killed process leaves whole lines and at most one piece of a line at the end.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::copy::journal::parse::{Record, Unusable, parse};
use crate::copy::journal::record::{Finished, Head, Identity, LARGEST_JOURNAL};

/// Ends the name of a journal.
const SUFFIX: &str = ".journal";

/// Somebody who only looks holds the lock for a moment; it is tried again so often.
const LOOKERS: u32 = 4;

/// Time between two tries.
const MOMENT: Duration = Duration::from_millis(5);

/// The folder of journals.
#[derive(Clone, Debug)]
pub struct Journals {
    folder: PathBuf,
}

/// The place of a transfer's journal, locked.
#[derive(Debug)]
pub struct Slot {
    file: Option<File>,
    path: PathBuf,
    previous: Option<Record>,
    unusable: Option<Unusable>,
}

/// The journal of a transfer under way. It stays when dropped, so that the transfer can go on later.
#[derive(Debug)]
pub struct Journal {
    // Appends of one journal come from many tasks; whole lines are wanted also where a write is split.
    file: Mutex<File>,
    path: PathBuf,
}

impl Journals {
    /// Journals in a folder, which is made when the first one is written.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Takes the place of a transfer. `None` when it cannot be had: another process carries out the same transfer, or another
    /// version of the program left a journal there.
    ///
    /// # Errors
    /// The folder or the file cannot be made, or others could have written to it.
    pub fn slot(&self, identity: &Identity) -> io::Result<Option<Slot>> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        check_owner(&self.folder.metadata()?)?;
        let path = self.path(&identity.id());
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600).custom_flags(nofollow());
        for _ in 0..LOOKERS {
            let file = options.open(&path)?;
            check_owner(&file.metadata()?)?;
            if lock(&file, FlockOperation::NonBlockingLockExclusive)? && is_named(&file, &path) {
                return Ok(Slot::take(file, path, identity));
            }
            std::thread::sleep(MOMENT);
        }
        Ok(None)
    }

    /// Every journal that can be read, with its id and whether a live process owns it. Files that are no journals are left out.
    ///
    /// # Errors
    /// The folder cannot be read; one that does not exist is empty.
    pub fn list(&self) -> io::Result<Vec<(String, Record, bool)>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let Some(id) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else { continue };
            if let Ok((record, is_live)) = look(&self.path(id)) {
                // A file that was renamed is not the journal of what it tells of.
                if record.head.identity.id() == id {
                    found.push((id.to_owned(), record, is_live));
                }
            }
        }
        found.sort_by(|left, right| (left.1.head.created, &left.0).cmp(&(right.1.head.created, &right.0)));
        Ok(found)
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}{SUFFIX}"))
    }
}

impl Slot {
    fn take(file: File, path: PathBuf, identity: &Identity) -> Option<Self> {
        let read = read(&file).and_then(|bytes| parse(&bytes));
        let (previous, unusable) = match read {
            Ok(record) if record.head.identity == *identity => (Some(record), None),
            Ok(_) => (None, Some(Unusable::Garbage)),
            Err(Unusable::Foreign) => return None,
            // A process that was killed as it began.
            Err(Unusable::Torn) => (None, None),
            Err(unusable) => (None, Some(unusable)),
        };
        Some(Self { file: Some(file), path, previous, unusable })
    }

    /// What an earlier process left, if that can be used.
    pub fn previous(&self) -> Option<&Record> {
        self.previous.as_ref()
    }

    /// Why what an earlier process left cannot be used.
    pub fn unusable(&self) -> Option<Unusable> {
        self.unusable
    }

    /// Where the journal is, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Goes on with the journal as it is, without the piece of a line at its end.
    ///
    /// # Errors
    /// The file cannot be cut.
    pub fn resume(mut self) -> io::Result<Journal> {
        let sound = self.previous.as_ref().map_or(0, |record| record.sound as u64);
        self.file().set_len(sound)?;
        Ok(self.into_journal())
    }

    /// Begins anew: what an earlier process left is forgotten.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn restart(mut self, head: &Head) -> io::Result<Journal> {
        self.previous = None;
        self.file().set_len(0)?;
        self.file().write_all(head.line().as_bytes())?;
        Ok(self.into_journal())
    }

    /// Forgets what an earlier process left, and the place itself.
    pub fn remove(mut self) {
        self.previous = None;
    }

    fn file(&mut self) -> &mut File {
        self.file.as_mut().expect("the file is there until the slot becomes a journal or is dropped")
    }

    fn into_journal(mut self) -> Journal {
        let file = self.file.take().expect("the file is there until the slot becomes a journal or is dropped");
        Journal { file: Mutex::new(file), path: std::mem::take(&mut self.path) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // A transfer that never began leaves nothing; one that was begun earlier stays as it was.
        if self.file.is_some() && self.previous.is_none() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Journal {
    /// Adds a finished part. Its bytes must have reached the store, or the file system, before.
    ///
    /// # Errors
    /// The line cannot be written, as on a full disk.
    pub fn add(&self, finished: &Finished) -> io::Result<()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(finished.line().as_bytes())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits until what was written to a journal survives a power cut.
    ///
    /// # Errors
    /// As `fdatasync`.
    pub fn sync(path: &Path) -> io::Result<()> {
        // A handle of its own: one that shares the lock would hold it while the disk is busy.
        File::open(path)?.sync_data()
    }

    /// The transfer is over, or given up: nothing is left of it.
    pub fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Reads a journal without taking it; whether a live process owns it.
fn look(path: &Path) -> io::Result<(Record, bool)> {
    let file = OpenOptions::new().read(true).custom_flags(nofollow()).open(path)?;
    check_owner(&file.metadata()?)?;
    let is_live = !lock(&file, FlockOperation::NonBlockingLockShared)?;
    if !is_live {
        flock(&file, FlockOperation::Unlock)?;
    }
    let record = read(&file).and_then(|bytes| parse(&bytes)).map_err(io::Error::other)?;
    Ok((record, is_live))
}

fn read(file: &File) -> Result<Vec<u8>, Unusable> {
    let mut bytes = Vec::new();
    file.take(LARGEST_JOURNAL + 1).read_to_end(&mut bytes).map_err(|_| Unusable::Garbage)?;
    if bytes.len() as u64 > LARGEST_JOURNAL { Err(Unusable::Garbage) } else { Ok(bytes) }
}

/// Whether the lock was had; not having it because another process does is no error.
fn lock(file: &File, operation: FlockOperation) -> io::Result<bool> {
    match flock(file, operation) {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Between open and lock the file may have been removed by whoever finished the transfer.
fn is_named(file: &File, path: &Path) -> bool {
    let same = |one: &std::fs::Metadata, other: &std::fs::Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
    matches!((file.metadata(), path.symlink_metadata()), (Ok(open), Ok(named)) if same(&open, &named))
}

/// What others may write to is not believed.
fn check_owner(status: &std::fs::Metadata) -> io::Result<()> {
    let is_ours = status.uid() == rustix::process::geteuid().as_raw() && status.mode() & 0o022 == 0;
    if is_ours { Ok(()) } else { Err(io::Error::other("others may write to it, so it is not used")) }
}

fn nofollow() -> i32 {
    i32::try_from(OFlags::NOFOLLOW.bits()).expect("flags of open are small")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Journal, Journals, SUFFIX};
    use crate::copy::journal::record::{Finished, Head, Identity, Version, Way};

    fn head(key: &str) -> Head {
        Head {
            identity: Identity {
                way: Way::Download,
                endpoint: "https://obs.example.com".into(),
                bucket: "bucket".into(),
                key: key.into(),
                path: "/home/user/file".into(),
            },
            size: 30,
            part_size: 10,
            version: Version::Object { etag: "etag".into() },
            attributes: String::new(),
            created: 1,
        }
    }

    fn finished(part: u32) -> Finished {
        Finished { part, length: 10, etag: None, digest: Some("crc64nvme:00".into()) }
    }

    #[test]
    fn goes_on_where_it_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let journals = Journals::new(folder.path().join("state/transfers"));
        let head = head("key");
        let slot = journals.slot(&head.identity).unwrap().unwrap();
        assert!(slot.previous().is_none());
        let journal = slot.restart(&head).unwrap();
        journal.add(&finished(1)).unwrap();
        Journal::sync(journal.path()).unwrap();
        let path = folder.path().join(format!("state/transfers/{}{SUFFIX}", head.identity.id()));
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert!(journals.slot(&head.identity).unwrap().is_none(), "it is being carried out");
        assert!(journals.list().unwrap()[0].2, "alive");
        drop(journal);
        assert!(!journals.list().unwrap()[0].2, "dead");

        let torn = [std::fs::read(&path).unwrap(), b"{\"part\":2,\"len".to_vec()].concat();
        std::fs::write(&path, torn).unwrap();
        let slot = journals.slot(&head.identity).unwrap().unwrap();
        assert_eq!(slot.previous().unwrap().parts.len(), 1);
        drop(slot);
        let slot = journals.slot(&head.identity).unwrap().expect("a slot that was not used leaves the journal");
        let journal = slot.resume().unwrap();
        journal.add(&finished(3)).unwrap();
        drop(journal);
        let listed = journals.list().unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].1.parts.keys().copied().collect::<Vec<_>>(), [1, 3]);
        journals.slot(&head.identity).unwrap().unwrap().resume().unwrap().remove();
        assert!(journals.list().unwrap().is_empty() && !path.exists());
    }

    #[test]
    fn a_transfer_that_never_began_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let journals = Journals::new(folder.path());
        drop(journals.slot(&head("key").identity).unwrap().unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(Journals::new(folder.path().join("none")).list().unwrap().is_empty());
    }

    #[test]
    fn what_it_cannot_trust_it_does_not_use() {
        let folder = tempfile::tempdir().unwrap();
        let journals = Journals::new(folder.path());
        let (head, other) = (head("key"), head("other"));
        let path = journals.path(&head.identity.id());
        for content in [other.line(), "garbage\n".to_owned()] {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(journals.list().unwrap().is_empty());
            let slot = journals.slot(&head.identity).unwrap().unwrap();
            assert!(slot.previous().is_none() && slot.unusable().is_some());
        }
        std::fs::write(&path, head.line().replace("journal\":1", "journal\":9")).unwrap();
        assert!(journals.slot(&head.identity).unwrap().is_none() && path.exists(), "a newer program's journal stays");
        std::fs::write(&path, head.line()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(journals.slot(&head.identity).is_err() && journals.list().unwrap().is_empty());
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
        assert!(journals.slot(&head.identity).is_err());
    }
}
