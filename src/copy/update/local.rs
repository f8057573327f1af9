//! What a download would replace: statuses below the destination, through handles, no link followed.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, statat};
use rustix::io::Errno;

use crate::copy::error::Error;
use crate::copy::scan::folder;
use crate::copy::update::Version;

/// What stands at a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Nothing,
    /// A file.
    File(Version),
    /// A link, a folder or something special.
    Other,
}

/// Looks at names below a folder. Made for names that come in order: the folders of the last one stay open.
#[derive(Debug)]
pub struct Local {
    path: PathBuf,
    // None where the folder does not exist (yet).
    root: Option<OwnedFd>,
    // The folders on the way to the last name; none for one that is not there.
    open: Vec<(String, Option<OwnedFd>)>,
}

impl Local {
    /// Opens the destination if it is there.
    ///
    /// # Errors
    /// [`Error::Local`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let root = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(root) => Some(root),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(Error::local("open the folder", path, error.into())),
        };
        Ok(Self { path: path.to_owned(), root, open: Vec::new() })
    }

    /// Where a name is, for messages and for reading.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What stands at a name.
    pub fn look(&mut self, name: &str) -> Standing {
        let (parent, last) = name.rsplit_once('/').unwrap_or(("", name));
        let Some(folder) = self.folder(parent) else { return Standing::Nothing };
        match statat(folder.as_fd(), last, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) if FileType::from_raw_mode(status.st_mode).is_file() => Standing::File(Version {
                size: u64::try_from(status.st_size).unwrap_or(0),
                modified: folder::modified(&status),
            }),
            Ok(_) => Standing::Other,
            Err(_) => Standing::Nothing,
        }
    }

    /// The open folder of that name, if it can be reached without a link.
    pub fn folder(&mut self, name: &str) -> Option<&OwnedFd> {
        let parts = || name.split('/').filter(|part| !part.is_empty());
        let common = self.open.iter().zip(parts()).take_while(|((open, _), part)| open == part).count();
        self.open.truncate(common);
        for part in parts().skip(common) {
            let parent = self.open.last().map_or(self.root.as_ref(), |(_, handle)| handle.as_ref());
            let handle = parent.and_then(|parent| folder::open(parent.as_fd(), part, false).ok());
            self.open.push((part.to_owned(), handle));
        }
        self.open.last().map_or(self.root.as_ref(), |(_, handle)| handle.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::{Local, Standing};

    #[test]
    fn looks_without_following() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/file"), "12345").unwrap();
        std::fs::write(folder.path().join("outside"), "1").unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("a", root.join("link")).unwrap();
        let mut local = Local::open(&root).unwrap();
        let mut look = |name: &str| match local.look(name) {
            Standing::File(version) => i64::try_from(version.size).unwrap(),
            Standing::Other => -1,
            Standing::Nothing => -2,
        };
        let table = [
            ("a/b/file", 5),
            ("a/b/none", -2),
            ("a/b", -1),
            ("link", -1),
            ("link/b/file", -2),
            ("up/outside", -2),
            ("x/y/z", -2),
            ("a/b/file", 5),
            ("a/b/file/below", -2),
        ];
        for (name, expected) in table {
            assert_eq!(look(name), expected, "{name}");
        }
        assert_eq!(Local::open(&root.join("none")).unwrap().look("a"), Standing::Nothing);
    }
}
