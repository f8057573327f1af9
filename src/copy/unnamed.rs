//! A small file that has no name until it is complete: nobody sees it, nobody else can write it, and a process that dies leaves
//! nothing behind. Two thirds of the time that a partial file, its lock and a rename take on a file system in memory.

use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::Mode;
use rustix::io::Errno;

use crate::copy::error::Error;
use crate::copy::partial::{Finish, settle};

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// It is there.
    Done,
    /// Something has its name; nothing was changed.
    Taken,
    /// This file system, or this system, has no such files.
    Unknown,
}

/// Writes a file and gives it a name that nothing has. `path` is where it will be, for messages.
///
/// # Errors
/// [`Error::Local`]; nothing was changed, unless it is the folder that could not be flushed: then the file is there.
pub(super) fn place(folder: &OwnedFd, name: &str, path: &Path, bytes: &[u8], how: Finish) -> Result<Placed, Error> {
    let Some(file) = create(folder) else { return Ok(Placed::Unknown) };
    file.write_all_at(bytes, 0).map_err(|error| Error::local("write", path, error))?;
    let failed = |error: Errno| Error::local("create", path, error.into());
    settle(&file, how).map_err(failed)?;
    match link(&file, folder, name) {
        Ok(()) if how.durable => rustix::fs::fsync(folder).map(|()| Placed::Done).map_err(failed),
        Ok(()) => Ok(Placed::Done),
        Err(Errno::EXIST) => Ok(Placed::Taken),
        // A sandbox without `/proc`, a file system without links.
        Err(_) => Ok(Placed::Unknown),
    }
}

#[cfg(target_os = "linux")]
fn create(folder: &OwnedFd) -> Option<File> {
    use rustix::fs::{OFlags, openat};
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    openat(folder, ".", flags, Mode::from_raw_mode(0o666)).ok().map(File::from)
}

#[cfg(not(target_os = "linux"))]
fn create(_: &OwnedFd) -> Option<File> {
    None
}

#[cfg(target_os = "linux")]
fn link(file: &File, folder: &OwnedFd, name: &str) -> Result<(), Errno> {
    use rustix::fs::{AtFlags, CWD, linkat};
    match linkat(file, "", folder, name, AtFlags::EMPTY_PATH) {
        // Older systems allow this to root only.
        Err(Errno::NOENT | Errno::PERM) => {
            linkat(CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), folder, name, AtFlags::SYMLINK_FOLLOW)
        }
        linked => linked,
    }
}

#[cfg(not(target_os = "linux"))]
fn link(_: &File, _: &OwnedFd, _: &str) -> Result<(), Errno> {
    Err(Errno::NOSYS)
}

#[cfg(test)]
mod tests {
    use super::{Finish, Placed, place};

    #[test]
    fn takes_no_name_that_something_has() {
        let folder = tempfile::tempdir().unwrap();
        let handle = std::fs::File::open(folder.path()).unwrap().into();
        let modified = time::macros::datetime!(2026-01-15 08:30:00 UTC);
        let how = Finish { modified: Some(modified), mode: Some(0o640), durable: true, ..Finish::default() };
        let place = |name: &str, bytes: &[u8]| place(&handle, name, &folder.path().join(name), bytes, how).unwrap();
        match place("new", b"new") {
            Placed::Done => {}
            // Where there are no such files, the caller takes the other way.
            Placed::Unknown => return,
            Placed::Taken => panic!("nothing has the name"),
        }
        let status = folder.path().join("new").metadata().unwrap();
        assert_eq!(time::OffsetDateTime::from(status.modified().unwrap()), modified);
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&status.permissions()) & 0o777, 0o640);
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        for name in ["new", "link", "folder"] {
            assert_eq!(place(name, b"other"), Placed::Taken, "{name}");
        }
        assert_eq!(std::fs::read(folder.path().join("new")).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
