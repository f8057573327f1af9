//! A file that is being fetched: beside its final place, under a name of its own, locked by the process that writes it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use md5::{Digest as _, Md5};
use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, Timespec, Timestamps, fchmod, fdatasync, flock, fstat, fsync, futimens, linkat,
    openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use time::OffsetDateTime;

use crate::copy::error::Error;
use crate::copy::key::{HASH, LONGEST_NAME, PARTIAL_SUFFIX};

/// How a file gets its name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Finish {
    /// The time it gets; `None` for now.
    pub modified: Option<OffsetDateTime>,
    /// The permissions it gets; `None` for those that new files have.
    pub mode: Option<u32>,
    /// It is on the disk before it has its name, and so is the name.
    pub durable: bool,
    /// What has the name already keeps it.
    pub keep_existing: bool,
}

/// A file that is not complete; removed when dropped before [`Partial::finish`].
#[derive(Debug)]
pub struct Partial {
    file: Option<Arc<File>>,
    folder: Arc<OwnedFd>,
    partial_name: String,
    name: String,
    path: PathBuf,
}

impl Partial {
    /// Opens the partial file of a version, or makes it. `path` is where the file will be, for messages.
    pub(super) fn open(folder: Arc<OwnedFd>, name: &str, version: &str, path: PathBuf) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::local("create", &path, error);
        let partial_name = partial_name(name, version);
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&folder, &partial_name, flags, Mode::from_raw_mode(0o666)).map_err(|error| failed(error.into()))?;
        match claim(&folder, &file, &partial_name) {
            Ok(true) => Ok(Self { file: Some(Arc::new(File::from(file))), folder, partial_name, name: name.to_owned(), path }),
            Ok(false) => Err(failed(io::Error::other("another copy is writing the same file"))),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Makes the partial file of a version; `None` if something is there already.
    pub(super) fn create(folder: &Arc<OwnedFd>, name: &str, version: &str, path: PathBuf) -> Result<Option<Self>, Error> {
        let partial_name = partial_name(name, version);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(file) = openat(folder, &partial_name, flags, Mode::from_raw_mode(0o666)) else { return Ok(None) };
        let file = Some(Arc::new(File::from(file)));
        let mut partial = Self { file, folder: Arc::clone(folder), partial_name, name: name.to_owned(), path };
        match lock(&partial.file()) {
            Ok(true) => Ok(Some(partial)),
            Ok(false) => {
                // It is the other's to remove.
                partial.file = None;
                Err(Error::local("create", &partial.path, io::Error::other("another copy is writing the same file")))
            }
            Err(error) => Err(Error::local("create", &partial.path, error.into())),
        }
    }

    /// The open file, for writing at positions.
    pub fn file(&self) -> Arc<File> {
        Arc::clone(self.file.as_ref().expect("the file is there until the partial is finished or dropped"))
    }

    /// Where the file will be, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the file as it is, for another copy to go on with.
    pub fn keep(mut self) {
        self.file = None;
    }

    /// Gives the file its final name and the time of the object, replacing what was there unless that is to be kept.
    ///
    /// # Errors
    /// [`Error::Local`], [`Error::Exists`]; the partial file is removed.
    pub fn finish(mut self, how: Finish) -> Result<(), Error> {
        let failed = |error: Errno| Error::local("create", &self.path, error.into());
        let file = self.file();
        settle(&file, how).map_err(failed)?;
        if how.keep_existing {
            rename_into_nothing(&self.folder, &self.partial_name, &self.name).map_err(|error| match error {
                Errno::EXIST => Error::Exists(self.path.display().to_string()),
                error => failed(error),
            })?;
        } else {
            renameat(&self.folder, &self.partial_name, &self.folder, &self.name).map_err(failed)?;
        }
        self.file = None;
        if how.durable {
            fsync(&self.folder).map_err(failed)?;
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = unlinkat(&self.folder, &self.partial_name, AtFlags::empty());
        }
    }
}

/// Gives an open file the permissions and the time it shall have, and puts it on the disk where that is asked for.
pub(super) fn settle(file: &File, how: Finish) -> Result<(), Errno> {
    if let Some(mode) = how.mode {
        fchmod(file, Mode::from_raw_mode((mode & 0o777) as _))?;
    }
    if let Some(modified) = how.modified {
        let nanoseconds = i64::from(modified.nanosecond());
        let time = Timespec { tv_sec: modified.unix_timestamp(), tv_nsec: nanoseconds };
        futimens(file, &Timestamps { last_access: time, last_modification: time })?;
    }
    if how.durable { fdatasync(file) } else { Ok(()) }
}

/// Renames unless something has the name, however late it came.
fn rename_into_nothing(folder: &OwnedFd, from: &str, to: &str) -> Result<(), Errno> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    match rustix::fs::renameat_with(folder, from, folder, to, rustix::fs::RenameFlags::NOREPLACE) {
        // The file system, or the system, does not know the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        renamed => return renamed,
    }
    link_into_nothing(folder, from, to)
}

/// The same with a second link, which never takes the place of anything; where there are no links, it is looked first.
fn link_into_nothing(folder: &OwnedFd, from: &str, to: &str) -> Result<(), Errno> {
    match linkat(folder, from, folder, to, AtFlags::empty()) {
        Ok(()) => unlinkat(folder, from, AtFlags::empty()),
        Err(Errno::EXIST) => Err(Errno::EXIST),
        Err(_) => match statat(folder, to, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Err(Errno::EXIST),
            Err(_) => renameat(folder, from, folder, to),
        },
    }
}

/// Removes the partial file of a download that is given up, unless a live process writes it. Only the folder of `path` is
/// touched, and only the name that a partial file of this version has.
///
/// # Errors
/// [`Error::Local`] when the folder cannot be opened; one that is gone is no error.
pub fn discard(path: &Path, version: &str) -> Result<(), Error> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else { return Ok(()) };
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    match rustix::fs::open(parent, flags, Mode::empty()) {
        Ok(folder) => remove_unless_claimed(&folder, &partial_name(name, version)),
        Err(Errno::NOENT | Errno::NOTDIR) => {}
        Err(error) => return Err(Error::local("open the folder", parent, error.into())),
    }
    Ok(())
}

pub(super) fn remove_unless_claimed(folder: &OwnedFd, partial_name: &str) {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    if let Ok(file) = openat(folder, partial_name, flags, Mode::empty())
        && claim(folder, &file, partial_name) == Ok(true)
    {
        let _ = unlinkat(folder, partial_name, AtFlags::empty());
    }
}

/// Locks a partial file; `false` when another copy has it, or has just finished it.
pub(super) fn claim(folder: &OwnedFd, file: &OwnedFd, partial_name: &str) -> Result<bool, Errno> {
    if !lock(file)? {
        return Ok(false);
    }
    // Between open and lock another copy may have renamed this very file: then it is no longer ours to write.
    let ours = fstat(file)?;
    if !rustix::fs::FileType::from_raw_mode(ours.st_mode).is_file() {
        return Err(Errno::INVAL);
    }
    let named = statat(folder, partial_name, AtFlags::SYMLINK_NOFOLLOW);
    Ok(named.is_ok_and(|named| (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)))
}

/// Whether the file is ours now. Where the file system knows no locks, it counts as ours: some clusters are mounted so.
fn lock(file: &impl AsFd) -> Result<bool, Errno> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) | Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOLCK) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error),
    }
}

/// `.<name>.<hash>.ma-part`, the name cut where it would be too long.
pub(super) fn partial_name(name: &str, version: &str) -> String {
    let digest = hex::encode(&Md5::digest(format!("{name}\n{version}"))[..HASH / 2]);
    let room = LONGEST_NAME - PARTIAL_SUFFIX.len() - digest.len() - 2;
    let mut end = name.len().min(room);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!(".{}.{digest}{PARTIAL_SUFFIX}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::{link_into_nothing, partial_name, rename_into_nothing};
    use crate::copy::key::is_partial;

    #[test]
    fn what_has_the_name_keeps_it() {
        for rename in [rename_into_nothing, link_into_nothing] {
            let folder = tempfile::tempdir().unwrap();
            let path = |name| folder.path().join(name);
            std::fs::write(path("taken"), "old").unwrap();
            std::os::unix::fs::symlink("nowhere", path("link")).unwrap();
            std::fs::write(path("new"), "new").unwrap();
            let handle = std::fs::File::open(folder.path()).unwrap().into();
            for name in ["taken", "link"] {
                assert_eq!(rename(&handle, "new", name), Err(rustix::io::Errno::EXIST), "{name}");
            }
            assert_eq!(std::fs::read(path("taken")).unwrap(), b"old");
            rename(&handle, "new", "free").unwrap();
            assert_eq!(std::fs::read(path("free")).unwrap(), b"new");
            assert!(!path("new").exists());
        }
    }

    #[test]
    fn partial_names_fit() {
        assert!(partial_name("f", "v").starts_with(".f."));
        assert_ne!(partial_name("f", "v"), partial_name("f", "w"));
        for name in ["x".repeat(255), "é".repeat(127)] {
            let partial = partial_name(&name, "v");
            assert!(partial.len() <= 255 && is_partial(&partial), "{partial}");
        }
    }
}
