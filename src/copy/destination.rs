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
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, mkdirat, openat, statat};
use rustix::io::Errno;

use crate::copy::error::Error;
use crate::copy::key::HASH;
pub use crate::copy::key::PARTIAL_SUFFIX;
use crate::copy::partial::{Finish, Partial, partial_name, remove_unless_claimed};
use crate::copy::unnamed::{self, Placed};

/// Handles kept open; more folders than this are opened again when needed.
const KEPT: usize = 64;

/// The root of a download.
#[derive(Debug)]
pub struct Destination {
    root: Arc<OwnedFd>,
    path: PathBuf,
    folders: Mutex<HashMap<String, Arc<OwnedFd>>>,
    // A small file met another under its name, or cannot do without one before it is complete.
    replaces: AtomicBool,
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
        Ok(Self { root: Arc::new(root), path: path.to_owned(), folders: Mutex::default(), replaces: AtomicBool::new(false) })
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

    /// The whole path of a file, the same whatever folder the command is run in.
    pub fn absolute(&self, relative: &str) -> PathBuf {
        let root = self.path.canonicalize().or_else(|_| std::path::absolute(&self.path));
        root.unwrap_or_else(|_| self.path.clone()).join(relative)
    }

    /// Begins a file under a temporary name beside its final one. `version` tells versions of the object apart.
    ///
    /// # Errors
    /// [`Error::Local`], also when another copy is writing the same file.
    pub fn begin(&self, relative: &str, version: &str) -> Result<Partial, Error> {
        let partial = self.go_on(relative, version)?;
        let failed = |error: io::Error| Error::local("create", partial.path(), error);
        if partial.file().metadata().map_err(failed)?.len() > 0 {
            // Left over from a copy that was killed.
            partial.file().set_len(0).map_err(failed)?;
        }
        Ok(partial)
    }

    /// As [`Destination::begin`], with the bytes that an earlier copy of this version left.
    ///
    /// # Errors
    /// As [`Destination::begin`].
    pub fn go_on(&self, relative: &str, version: &str) -> Result<Partial, Error> {
        let (parent, name) = split(relative);
        let folder = self.folder(parent)?;
        let path = self.path.join(relative);
        check_free(&folder, name, &path)?;
        Partial::open(folder, name, version, path)
    }

    /// Writes a small file at once, in as few system calls as that takes; nothing of it can be seen before it is complete.
    ///
    /// # Errors
    /// As [`Self::begin`] and [`Partial::finish`].
    pub fn place(&self, relative: &str, version: &str, bytes: &[u8], finish: Finish) -> Result<(), Error> {
        let (parent, name) = split(relative);
        let folder = self.folder(parent)?;
        // Where one name was taken, others will be: most runs meet an empty folder or one they fill again.
        if !self.replaces.load(Ordering::Relaxed) {
            let placed = unnamed::place(&folder, name, &self.path.join(relative), bytes, finish)?;
            if placed == Placed::Done {
                return Ok(());
            }
            self.replaces.store(true, Ordering::Relaxed);
        }
        let path = self.path.join(relative);
        check_free(&folder, name, &path)?;
        let partial = match Partial::create(&folder, name, version, path)? {
            Some(partial) => partial,
            None => self.begin(relative, version)?,
        };
        partial.file().write_all_at(bytes, 0).map_err(|error| Error::local("write", partial.path(), error))?;
        partial.finish(finish)
    }

    /// The file under its final name, if it has that size and an earlier copy left nothing under the temporary name.
    pub fn finished(&self, relative: &str, version: &str, size: u64) -> Option<File> {
        let (parent, name) = split(relative);
        let folder = self.folder(parent).ok()?;
        let status = |name: &str| statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW);
        status(&partial_name(name, version)).is_err().then_some(())?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&folder, name, flags, Mode::empty()).ok()?);
        file.metadata().is_ok_and(|status| status.is_file() && status.len() == size).then_some(file)
    }

    /// Removes what copies of other versions left for this file, unless one is under way.
    pub fn clear(&self, relative: &str, version: &str) {
        let (parent, name) = split(relative);
        let Ok(folder) = self.folder(parent) else { return };
        let ours = partial_name(name, version);
        // What comes before the hash; where the name had to be cut, others may begin with the same.
        let Some(stem) = ours.strip_suffix(PARTIAL_SUFFIX).and_then(|stem| stem.get(..stem.len() - HASH)) else { return };
        if stem.len() != name.len() + 2 {
            return;
        }
        for other in rustix::fs::Dir::read_from(&folder).into_iter().flatten().flatten() {
            let Ok(other) = other.file_name().to_str() else { continue };
            let hash = other.strip_prefix(stem).and_then(|rest| rest.strip_suffix(PARTIAL_SUFFIX));
            let is_hash = hash.is_some_and(|hash| hash.len() == HASH && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
            if is_hash && other != ours {
                remove_unless_claimed(&folder, other);
            }
        }
    }
}

/// What is there may be replaced. Found out before the transfer, not after it.
fn check_free(folder: &OwnedFd, name: &str, path: &Path) -> Result<(), Error> {
    let Ok(status) = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(()) };
    let taken = match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile | FileType::Symlink => return Ok(()),
        FileType::Directory => io::ErrorKind::IsADirectory.into(),
        // A device that were replaced would be missed.
        _ => io::Error::other("what is there is neither a file nor a folder"),
    };
    Err(Error::local("create", path, taken))
}

fn split(relative: &str) -> (&str, &str) {
    relative.rsplit_once('/').unwrap_or(("", relative))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};

    use super::{Destination, Finish};
    use crate::copy::partial::{discard, partial_name};

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
        partial.finish(Finish { modified: Some(modified), durable: true, ..Finish::default() }).unwrap();
        let path = folder.path().join("x/y/a/b");
        assert_eq!(std::fs::read(&path).unwrap(), b"hello");
        assert_eq!(time::OffsetDateTime::from(path.metadata().unwrap().modified().unwrap()), modified);
        drop(destination.begin("a/c", "v").unwrap());
        assert_eq!(names(&folder.path().join("x/y/a")), ["b"]);
    }

    #[test]
    fn d1_3_d1_5_follows_no_links() {
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
        let status = || {
            let status = std::fs::metadata(outside.path().join("target")).unwrap();
            (status.permissions().mode(), status.modified().unwrap())
        };
        let before = status();
        let modified = Some(time::OffsetDateTime::UNIX_EPOCH);
        partial.finish(Finish { modified, mode: Some(0o601), ..Finish::default() }).unwrap();
        assert_eq!(status(), before, "neither mode nor time of the target of a link");
        let own = std::fs::symlink_metadata(folder.path().join("file")).unwrap();
        assert!(own.is_file() && own.permissions().mode() & 0o777 == 0o601);
        assert_eq!(names(outside.path()), ["target"]);
        assert_eq!(std::fs::read_to_string(outside.path().join("target")).unwrap(), "before");
        assert_eq!(std::fs::read_to_string(folder.path().join("file")).unwrap(), "after");
    }

    #[test]
    fn what_is_kept_can_be_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let destination = Destination::open(folder.path()).unwrap();
        let partial = destination.begin("a/f", "v").unwrap();
        partial.file().write_all_at(b"half", 0).unwrap();
        assert!(destination.go_on("a/f", "v").is_err(), "it is being written");
        partial.keep();
        // The same file, whatever the root.
        let partial = Destination::open(&folder.path().join("a")).unwrap().go_on("f", "v").unwrap();
        let mut bytes = [0; 4];
        partial.file().read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"half");
        partial.keep();
        assert_eq!(destination.begin("a/f", "v").unwrap().file().metadata().unwrap().len(), 0);
        assert_eq!(names(&folder.path().join("a")), [""; 0]);
    }

    #[test]
    fn other_versions_are_cleared_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let destination = Destination::open(folder.path()).unwrap();
        let keep = |name, version| destination.begin(name, version).unwrap().keep();
        keep("f", "old");
        keep("f.g", "old");
        keep("f", "new");
        let live = destination.begin("f", "live").unwrap();
        for name in [".f.12345678.other", ".f.1234567x.ma-part", ".f.123456789.ma-part", "f"] {
            std::fs::write(folder.path().join(name), "mine").unwrap();
        }
        symlink(folder.path().join("f"), folder.path().join(".f.abcdef01.ma-part")).unwrap();
        let before = names(folder.path());
        destination.clear("f", "new");
        let mut expected = before;
        expected.retain(|name| *name != partial_name("f", "old"));
        assert_eq!(names(folder.path()), expected);
        discard(&folder.path().join("f"), "live").unwrap();
        assert_eq!(names(folder.path()), expected, "one that is written stays");
        drop(live);
        discard(&folder.path().join("f"), "new").unwrap();
        discard(&folder.path().join("gone/f"), "new").unwrap();
        assert_eq!(names(folder.path()).len(), expected.len() - 2);
    }
}
