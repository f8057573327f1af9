//! What can be known before the first byte of a download: whether the target can be written, and whether there is room.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Access, StatVfs, StatVfsMountFlags, access, statvfs};
use rustix::process::geteuid;

use crate::copy::error::Error;
use crate::copy::key::PARTIAL_SUFFIX;
use crate::copy::scan::Item;

/// Looks at the folder that a download goes to; nothing is made.
///
/// # Errors
/// [`Error::Local`] when it lies on a disk that is read-only, or would have to be made where nothing can be.
pub fn check_writable(destination: &Path) -> Result<(), Error> {
    let there = nearest(destination);
    let failed = |error: io::Error| Error::local("write to", destination, error);
    if look(&there).is_some_and(|status| status.f_flag.contains(StatVfsMountFlags::RDONLY)) {
        return Err(failed(io::ErrorKind::ReadOnlyFilesystem.into()));
    }
    // In a folder that is there, what is to be replaced may lie in others that can be written.
    if there != destination && there.is_dir() {
        access(&there, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

/// The room on a disk against what is to be put there, counted as it is found. The count is exact where files are replaced, and
/// gives credit for what earlier copies left to go on with.
#[derive(Debug)]
pub struct Room {
    destination: PathBuf,
    // Bytes; none where the system does not say.
    free: Option<u64>,
    // Nothing is there that could be replaced.
    is_fresh: bool,
    credit: Option<u64>,
    claimed: i128,
}

impl Room {
    /// Asks the system how many bytes are free where this folder is, or would be made.
    pub fn of(destination: &Path) -> Self {
        let free = look(&nearest(destination)).filter(|status| status.f_blocks > 0);
        // Some blocks are kept for root.
        let blocks = |status: &StatVfs| if geteuid().is_root() { status.f_bfree } else { status.f_bavail };
        let free = free.map(|status| blocks(&status).saturating_mul(status.f_frsize));
        Self::new(destination, free)
    }

    fn new(destination: &Path, free: Option<u64>) -> Self {
        let is_fresh = std::fs::read_dir(destination).map_or(true, |mut entries| entries.next().is_none());
        Self { destination: destination.to_owned(), free, is_fresh, credit: None, claimed: 0 }
    }

    /// Counts objects as they are listed, well before they are fetched; without a room nothing is counted.
    pub(super) fn claim_all(room: &Mutex<Option<Self>>, found: &[Item]) -> Result<(), Error> {
        let mut room = room.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(room) = &mut *room else { return Ok(()) };
        found.iter().try_for_each(|item| match item {
            Item::Object { name, entry, .. } => room.claim(name, entry.size),
            _ => Ok(()),
        })
    }

    /// Counts a file of `size` bytes that will be written to `name` below the destination.
    ///
    /// # Errors
    /// [`Error::NoRoom`] when it cannot be held any more together with those before it.
    pub fn claim(&mut self, name: &str, size: u64) -> Result<(), Error> {
        let Some(free) = self.free else { return Ok(()) };
        let needed = self.claimed + i128::from(size);
        // What is replaced is there until the new file is complete.
        let replaced =
            if self.is_fresh { 0 } else { std::fs::symlink_metadata(self.destination.join(name)).map_or(0, allocated) };
        self.claimed = needed - i128::from(replaced);
        if needed <= i128::from(free) {
            return Ok(());
        }
        let credit = match self.credit {
            Some(credit) => credit,
            None if self.is_fresh => 0,
            None => partial_files(&self.destination),
        };
        self.credit = Some(credit);
        if needed <= i128::from(free) + i128::from(credit) {
            return Ok(());
        }
        let needed = u64::try_from(needed).unwrap_or(u64::MAX);
        Err(Error::NoRoom { path: self.destination.clone(), needed, free: free.saturating_add(credit) })
    }
}

/// The folder itself, or the nearest above it that is there.
fn nearest(path: &Path) -> PathBuf {
    let there = path.ancestors().find(|above| above.exists());
    there.map_or_else(|| PathBuf::from("/"), |there| if there.as_os_str().is_empty() { ".".into() } else { there.into() })
}

fn look(path: &Path) -> Option<StatVfs> {
    statvfs(path).ok()
}

fn allocated(status: std::fs::Metadata) -> u64 {
    // In units of 512 bytes, whatever the disk's own are.
    if status.is_file() { status.blocks() * 512 } else { 0 }
}

/// Bytes on disk that unfinished files below a folder take.
fn partial_files(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => partial_files(&entry.path()),
        Ok(kind) if kind.is_file() && entry.file_name().as_encoded_bytes().ends_with(PARTIAL_SUFFIX.as_bytes()) => {
            entry.metadata().map_or(0, allocated)
        }
        _ => 0,
    };
    entries.flatten().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::{Room, check_writable};
    use crate::copy::Error;

    const KIB: u64 = 1024;

    #[test]
    fn counts_what_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let mut room = Room::new(folder.path(), Some(100 * KIB));
        room.claim("a", 60 * KIB).unwrap();
        room.claim("b", 40 * KIB).unwrap();
        let error = room.claim("c", 1).unwrap_err();
        assert!(matches!(error, Error::NoRoom { needed, free, .. } if (needed, free) == (100 * KIB + 1, 100 * KIB)), "{error}");
        assert!(error.is_fatal());
    }

    #[test]
    fn what_is_replaced_or_half_there_needs_no_room() {
        let folder = tempfile::tempdir().unwrap();
        let there = |name: &str, size: u64| {
            std::fs::create_dir_all(folder.path().join("x")).unwrap();
            std::fs::write(folder.path().join(name), vec![1; usize::try_from(size).unwrap()]).unwrap();
        };
        there("x/old", 64 * KIB);
        let mut room = Room::new(folder.path(), Some(100 * KIB));
        for _ in 0..3 {
            room.claim("x/old", 64 * KIB).unwrap();
        }
        assert!(room.claim("x/new", 101 * KIB).is_err());
        there("x/.new.12345678.ma-part", 32 * KIB);
        let mut room = Room::new(folder.path(), Some(100 * KIB));
        room.claim("x/new", 101 * KIB).unwrap();
        assert!(room.claim("y", 64 * KIB).is_err());
    }

    #[test]
    fn knows_the_disk_of_a_folder_that_is_still_to_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("not/yet/there");
        check_writable(&deep).unwrap();
        let mut room = Room::of(&deep);
        room.claim("a", KIB).unwrap();
        assert!(matches!(room.claim("b", u64::MAX), Err(Error::NoRoom { .. })));
        assert!(!folder.path().join("not").exists());
        // A file in the way is found out by who opens the folder, in words that fit.
        std::fs::write(folder.path().join("file"), "").unwrap();
        check_writable(&folder.path().join("file/below")).unwrap();
    }
}
