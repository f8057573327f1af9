//! The folder that a download writes into, held by handles: nothing outside it can be reached, links are not followed.
//!
//! Every folder is opened one name below an open handle, with `O_NOFOLLOW`; names come from [`crate::copy::key`] and hold no
//! slash. So a link planted in the destination, before or during the copy, is an error and never a way out.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use md5::{Digest as _, Md5};
use rustix::fs::{
    AtFlags, FileType, FlockOperation, Mode, OFlags, Timespec, Timestamps, flock, fstat, futimens, mkdirat, openat, renameat,
    statat, unlinkat,
};
use rustix::io::Errno;
use time::OffsetDateTime;

use crate::copy::error::Error;
use crate::copy::key::LONGEST_NAME;

/// Handles kept open; more folders than this are opened again when needed.
const KEPT: usize = 64;

/// Ends the name of a file that is not complete.
pub const PARTIAL_SUFFIX: &str = ".ma-part";

/// The root of a download.
#[derive(Debug)]
pub struct Destination {
    root: Arc<OwnedFd>,
    path: PathBuf,
    folders: Mutex<HashMap<String, Arc<OwnedFd>>>,
}

impl Destination {
    /// Opens the folder, making it and those above it. Links in this path are the user's own and are followed.
    ///
    /// # Errors
    /// [`Error::Local`] when it cannot be made or opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(path).map_err(|error| Error::local("make the folder", path, error))?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| Error::local("open the folder", path, error.into()))?;
        Ok(Self { root: Arc::new(root), path: path.to_owned(), folders: Mutex::default() })
    }

    /// Makes a folder and those above it.
    ///
    /// # Errors
    /// [`Error::Local`], also when a link or file stands where a folder is needed.
    pub fn make_folder(&self, relative: &str) -> Result<(), Error> {
        self.folder(relative).map(|_| ())
    }

    fn folder(&self, relative: &str) -> Result<Arc<OwnedFd>, Error> {
        if relative.is_empty() {
            return Ok(Arc::clone(&self.root));
        }
        if let Some(handle) = self.folders.lock().unwrap_or_else(PoisonError::into_inner).get(relative) {
            return Ok(Arc::clone(handle));
        }
        let (parent, name) = split(relative);
        let parent = self.folder(parent)?;
        let handle = self.open_or_make(&parent, name).map_err(|error| {
            let error = match error {
                Errno::NOTDIR | Errno::LOOP => io::Error::other("a file or a link stands where a folder is needed"),
                other => other.into(),
            };
            Error::local("open the folder", self.path.join(relative), error)
        })?;
        let handle = Arc::new(handle);
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if folders.len() >= KEPT {
            folders.clear();
        }
        folders.insert(relative.to_owned(), Arc::clone(&handle));
        Ok(handle)
    }

    fn open_or_make(&self, parent: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        match openat(parent, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => {
                match mkdirat(parent, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error),
                }
                openat(parent, name, flags, Mode::empty())
            }
            opened => opened,
        }
    }

    /// Begins a file under a temporary name beside its final one. `version` tells versions of the object apart.
    ///
    /// # Errors
    /// [`Error::Local`], also when another copy is writing the same file.
    pub fn begin(&self, relative: &str, version: &str) -> Result<Partial, Error> {
        let (parent, name) = split(relative);
        let folder = self.folder(parent)?;
        let path = self.path.join(relative);
        let failed = |error: io::Error| Error::local("create", &path, error);
        // Found out now, not after the transfer.
        if let Ok(status) = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            match FileType::from_raw_mode(status.st_mode) {
                FileType::Directory => return Err(failed(io::ErrorKind::IsADirectory.into())),
                FileType::RegularFile | FileType::Symlink => {}
                // A device that were replaced would be missed.
                _ => return Err(failed(io::Error::other("what is there is neither a file nor a folder"))),
            }
        }
        let partial_name = partial_name(name, relative, version);
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&folder, &partial_name, flags, Mode::from_raw_mode(0o666)).map_err(|error| failed(error.into()))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| busy(&path))?;
        // Between open and lock another copy may have finished and renamed this very file: then it is no longer ours to write.
        let ours = fstat(&file).map_err(|error| failed(error.into()))?;
        let named = statat(&folder, &partial_name, AtFlags::SYMLINK_NOFOLLOW).map_err(|_| busy(&path))?;
        if (ours.st_dev, ours.st_ino) != (named.st_dev, named.st_ino) {
            return Err(busy(&path));
        }
        let file = File::from(file);
        if ours.st_size > 0 {
            // Left over from a copy that was killed.
            file.set_len(0).map_err(failed)?;
        }
        Ok(Partial { file: Some(Arc::new(file)), folder, partial_name, name: name.to_owned(), path })
    }
}

impl Destination {
    /// Writes a small file at once, under a temporary name first as [`Self::begin`] does, in as few system calls as that takes.
    ///
    /// # Errors
    /// As [`Self::begin`] and [`Partial::finish`].
    pub fn place(&self, relative: &str, version: &str, bytes: &[u8], modified: Option<OffsetDateTime>) -> Result<(), Error> {
        let (parent, name) = split(relative);
        let folder = self.folder(parent)?;
        let path = self.path.join(relative);
        let partial_name = partial_name(name, relative, version);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let partial = match openat(&folder, &partial_name, flags, Mode::from_raw_mode(0o666)) {
            Ok(file) => {
                let file = Some(Arc::new(File::from(file)));
                let partial = Partial { file, folder, partial_name, name: name.to_owned(), path };
                flock(partial.file(), FlockOperation::NonBlockingLockExclusive).map_err(|_| busy(&partial.path))?;
                partial
            }
            Err(_) => self.begin(relative, version)?,
        };
        partial.file().write_all_at(bytes, 0).map_err(|error| Error::local("write", partial.path(), error))?;
        partial.finish(modified)
    }
}

fn busy(path: &Path) -> Error {
    Error::local("create", path, io::Error::other("another copy is writing the same file"))
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
    /// The open file, for writing at positions.
    pub fn file(&self) -> Arc<File> {
        Arc::clone(self.file.as_ref().expect("the file is there until the partial is finished or dropped"))
    }

    /// Where the file will be, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its final name and the time of the object, replacing what was there.
    ///
    /// # Errors
    /// [`Error::Local`]; the partial file is removed.
    pub fn finish(mut self, modified: Option<OffsetDateTime>) -> Result<(), Error> {
        let failed = |error: Errno| Error::local("create", &self.path, error.into());
        let file = self.file();
        if let Some(modified) = modified {
            let nanoseconds = i64::from(modified.nanosecond());
            let time = Timespec { tv_sec: modified.unix_timestamp(), tv_nsec: nanoseconds };
            futimens(&file, &Timestamps { last_access: time, last_modification: time }).map_err(failed)?;
        }
        renameat(&self.folder, &self.partial_name, &self.folder, &self.name).map_err(failed)?;
        self.file = None;
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

fn split(relative: &str) -> (&str, &str) {
    relative.rsplit_once('/').unwrap_or(("", relative))
}

/// `.<name>.<hash>.ma-part`, the name cut where it would be too long.
fn partial_name(name: &str, relative: &str, version: &str) -> String {
    let digest = hex::encode(&Md5::digest(format!("{relative}\n{version}"))[..4]);
    let room = LONGEST_NAME - PARTIAL_SUFFIX.len() - digest.len() - 2;
    let mut end = name.len().min(room);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!(".{}.{digest}{PARTIAL_SUFFIX}", &name[..end])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use std::os::unix::fs::FileExt as _;

    use super::{Destination, partial_name};

    fn names(path: &std::path::Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn writes_beside_and_renames() {
        let folder = tempfile::tempdir().unwrap();
        let destination = Destination::open(&folder.path().join("x/y")).unwrap();
        let partial = destination.begin("a/b", "v").unwrap();
        partial.file().write_all_at(b"hello", 0).unwrap();
        assert!(!folder.path().join("x/y/a/b").exists());
        assert!(destination.begin("a/b", "v").unwrap_err().to_string().contains("another copy"));
        let modified = time::macros::datetime!(2026-01-15 08:30:00 UTC);
        partial.finish(Some(modified)).unwrap();
        let path = folder.path().join("x/y/a/b");
        assert_eq!(std::fs::read(&path).unwrap(), b"hello");
        assert_eq!(time::OffsetDateTime::from(path.metadata().unwrap().modified().unwrap()), modified);
        drop(destination.begin("a/c", "v").unwrap());
        assert_eq!(names(&folder.path().join("x/y/a")), ["b"]);
    }

    #[test]
    fn follows_no_links() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), folder.path().join("link")).unwrap();
        symlink(outside.path().join("target"), folder.path().join("file")).unwrap();
        std::fs::write(outside.path().join("target"), "before").unwrap();
        std::fs::create_dir(folder.path().join("taken")).unwrap();
        let destination = Destination::open(folder.path()).unwrap();
        assert!(destination.begin("link/evil", "v").is_err());
        assert!(destination.make_folder("link/evil").is_err());
        assert!(destination.make_folder("file/evil").is_err());
        assert!(destination.begin("taken", "v").is_err());
        let partial = destination.begin("file", "v").unwrap();
        partial.file().write_all_at(b"after", 0).unwrap();
        partial.finish(None).unwrap();
        assert_eq!(names(outside.path()), ["target"]);
        assert_eq!(std::fs::read_to_string(outside.path().join("target")).unwrap(), "before");
        assert_eq!(std::fs::read_to_string(folder.path().join("file")).unwrap(), "after");
    }

    #[test]
    fn partial_names_fit() {
        assert!(partial_name("f", "a/f", "v").starts_with(".f."));
        assert_ne!(partial_name("f", "a/f", "v"), partial_name("f", "a/f", "w"));
        for name in ["x".repeat(255), "é".repeat(127)] {
            let partial = partial_name(&name, &name, "v");
            assert!(partial.len() <= 255 && partial.ends_with(".ma-part"), "{partial}");
        }
    }
}
