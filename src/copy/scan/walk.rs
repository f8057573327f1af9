//! Walks a folder in the order of the keys, relative to open handles.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, statat};

use crate::copy::error::Error;
use crate::copy::scan::folder::{self, Folder, Kind};
use crate::copy::select::{Filter, Links};

/// Longest name relative to the source, in bytes: stores take no longer keys. It bounds the depth, and with it the number of
/// folders that are open at the same time.
pub const LONGEST_KEY: usize = 1024;

/// What a walk comes upon. Names are relative to its root.
#[derive(Debug)]
pub enum Found<'a> {
    /// A file.
    File {
        /// Its name.
        name: &'a str,
        /// Its size in bytes.
        size: u64,
        /// When it was last written, in seconds since 1970.
        modified: i64,
    },
    /// A folder; an empty name for the root.
    Folder {
        /// Its name.
        name: &'a str,
        /// Whether nothing at all is in it.
        is_empty: bool,
    },
    /// A link that is skipped.
    Link {
        /// Its name.
        name: &'a str,
    },
    /// What cannot be copied.
    Refused {
        /// Its name, as well as it can be shown.
        name: String,
        /// Why.
        error: Error,
        /// Whether it may be a folder, and hide files that are asked for.
        maybe_folder: bool,
    },
}

/// Why a walk ended early.
#[derive(Debug)]
pub enum Stop {
    /// Nobody wants to know more.
    NobodyListens,
    /// What makes the rest useless.
    Failed(Error),
}

/// Walks a folder; blocking. What the filter leaves is not walked, but files are not filtered.
///
/// # Errors
/// [`Stop::Failed`] when the root itself cannot be read, what `visit` gives otherwise.
pub fn walk(
    root: &Path,
    links: Links,
    filter: &Filter,
    visit: &mut dyn FnMut(Found<'_>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let unreadable = |error: io::Error| Stop::Failed(Error::local("read", root, error));
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let handle = rustix::fs::open(root, flags, Mode::empty()).map_err(|error| unreadable(error.into()))?;
    let identity = folder::identity(&handle).map_err(|error| unreadable(error.into()))?;
    let mut walker = Walker { root, links, filter, visit, name: String::new(), ancestors: vec![identity] };
    match walker.folder(handle.as_fd()) {
        Err(Ended::Unreadable(error)) => Err(unreadable(error)),
        Err(Ended::Stop(stop)) => Err(stop),
        Ok(()) => Ok(()),
    }
}

struct Walker<'a> {
    root: &'a Path,
    links: Links,
    filter: &'a Filter,
    visit: &'a mut dyn FnMut(Found<'_>) -> Result<(), Stop>,
    // Of the folder or file at hand; one buffer for all.
    name: String,
    // Device and number of the folders from the root to here.
    ancestors: Vec<(u64, u64)>,
}

enum Ended {
    Stop(Stop),
    Unreadable(io::Error),
}

impl From<Stop> for Ended {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl Walker<'_> {
    fn folder(&mut self, handle: BorrowedFd<'_>) -> Result<(), Ended> {
        let names = Folder::read(handle, self.links == Links::Follow).map_err(Ended::Unreadable)?;
        (self.visit)(Found::Folder { name: &self.name, is_empty: names.is_empty() })?;
        let length = self.name.len();
        for (name, kind) in names.entries() {
            self.name.truncate(length);
            if length > 0 {
                self.name.push('/');
            }
            let Ok(text) = std::str::from_utf8(name) else {
                self.name.push_str(&String::from_utf8_lossy(name));
                self.refuse("its name is not UTF-8, which keys must be", true)?;
                continue;
            };
            self.name.push_str(text);
            if self.name.len() > LONGEST_KEY {
                self.refuse(&format!("its name is longer than the {LONGEST_KEY} bytes of a key"), true)?;
                continue;
            }
            self.entry(handle, text, kind)?;
        }
        self.name.truncate(length);
        Ok(())
    }

    fn entry(&mut self, parent: BorrowedFd<'_>, text: &str, kind: Kind) -> Result<(), Ended> {
        let flags = if self.links == Links::Follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
        match kind {
            Kind::File | Kind::Broken => match statat(parent, text, flags) {
                Ok(status) if FileType::from_raw_mode(status.st_mode).is_file() => {
                    let size = u64::try_from(status.st_size).unwrap_or(0);
                    (self.visit)(Found::File { name: &self.name, size, modified: folder::modified(&status) })?;
                }
                Ok(status) => {
                    let maybe_folder = FileType::from_raw_mode(status.st_mode).is_dir();
                    self.refuse("it was replaced while it was looked at", maybe_folder)?;
                }
                Err(error) => self.unreadable(error.into(), kind == Kind::Broken)?,
            },
            Kind::Folder => self.enter(parent, text)?,
            Kind::Link if self.links == Links::Skip => (self.visit)(Found::Link { name: &self.name })?,
            Kind::Link => self.refuse("it is a link, and --links error forbids them", true)?,
            Kind::Special => self.refuse("it is neither a file nor a folder", false)?,
        }
        Ok(())
    }

    fn enter(&mut self, parent: BorrowedFd<'_>, text: &str) -> Result<(), Ended> {
        if !self.filter.enters(&self.name) {
            return Ok(());
        }
        let opened = folder::open(parent, text, self.links == Links::Follow);
        let (handle, identity) = match opened.and_then(|handle| folder::identity(&handle).map(|identity| (handle, identity))) {
            Ok(opened) => opened,
            Err(error) => return self.unreadable(error.into(), true),
        };
        if self.ancestors.contains(&identity) {
            return self.refuse("it is a link to a folder that it is in itself", true);
        }
        self.ancestors.push(identity);
        let length = self.name.len();
        let walked = self.folder(handle.as_fd());
        self.ancestors.pop();
        self.name.truncate(length);
        match walked {
            Err(Ended::Unreadable(error)) => self.unreadable(error, true),
            walked => walked,
        }
    }

    fn refuse(&mut self, reason: &str, maybe_folder: bool) -> Result<(), Ended> {
        let error = Error::unplaceable(&self.name, reason);
        Ok((self.visit)(Found::Refused { name: self.name.clone(), error, maybe_folder })?)
    }

    fn unreadable(&mut self, error: io::Error, maybe_folder: bool) -> Result<(), Ended> {
        let error = Error::local("read", self.root.join(&self.name), error);
        Ok((self.visit)(Found::Refused { name: self.name.clone(), error, maybe_folder })?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::{Found, walk};
    use crate::copy::select::{Filter, Links};

    fn found(root: &Path, links: Links, filter: &Filter) -> Vec<String> {
        let mut lines = Vec::new();
        walk(root, links, filter, &mut |found| {
            match found {
                Found::File { name, size, .. } => lines.push(format!("{name} {size}")),
                Found::Folder { name, is_empty: true } => lines.push(format!("{name}/")),
                Found::Folder { .. } => {}
                Found::Link { name } => lines.push(format!("{name} link")),
                Found::Refused { name, .. } => lines.push(format!("{name} refused")),
            }
            Ok(())
        })
        .unwrap();
        lines
    }

    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in ["a/b", "empty", "a/x/y", "a-b"] {
            std::fs::create_dir_all(root.join(path)).unwrap();
        }
        for name in ["a/b/file", "a-b/c", "a.txt", "a0", "top"] {
            std::fs::write(root.join(name), "12345").unwrap();
        }
        symlink("b/file", root.join("a/link")).unwrap();
        symlink("..", root.join("a/loop")).unwrap();
        symlink("../a-b", root.join("a/tree")).unwrap();
        symlink("nowhere", root.join("broken")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        folder
    }

    #[test]
    fn walks_in_the_order_of_keys() {
        let folder = tree();
        let all = found(folder.path(), Links::Follow, &Filter::default());
        let expected = [
            "a-b/c 5",
            "a.txt 5",
            "a/b/file 5",
            "a/link 5",
            "a/loop refused",
            "a/tree/c 5",
            "a/x/y/",
            "a0 5",
            "broken refused",
            "empty/",
            "pipe refused",
            "top 5",
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn leaves_links_and_folders_that_are_not_wanted() {
        let folder = tree();
        let filter = Filter::new(&[], &["a/x".to_owned(), "empty/".to_owned()]).unwrap();
        let skipped = found(folder.path(), Links::Skip, &filter);
        let links = ["a/link link", "a/loop link", "a/tree link", "broken link"];
        assert_eq!(skipped.iter().filter(|line| line.ends_with(" link")).collect::<Vec<_>>(), links.iter().collect::<Vec<_>>());
        assert!(!skipped.iter().any(|line| line.contains("a/x") || line.contains("empty")), "{skipped:?}");
        let refused = found(folder.path(), Links::Error, &Filter::default());
        assert_eq!(refused.iter().filter(|line| line.ends_with(" refused")).count(), 5, "{refused:?}");
    }

    #[test]
    fn goes_on_after_what_it_cannot_use() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
        std::fs::write(folder.path().join("z"), "").unwrap();
        let mut deep = folder.path().to_owned();
        for _ in 0..5 {
            deep.push("d".repeat(250));
        }
        std::fs::create_dir_all(&deep).unwrap();
        let lines = found(folder.path(), Links::Follow, &Filter::default());
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines.iter().filter(|line| line.ends_with("refused")).count() == 2 && lines.contains(&"z 0".to_owned()));
        assert!(walk(&folder.path().join("z"), Links::Follow, &Filter::default(), &mut |_| Ok(())).is_err());
    }
}
