//! What of a local folder is uploaded for a job.

use std::fs;
use std::path::{Path, PathBuf};

use crate::commands::ma_job::ignore::Ignore;
use crate::error::{Error, Kind};

/// Most files and folders of a code folder. These limits are the service's.
const MOST_ENTRIES: u64 = 1000;
/// Most bytes of a code folder.
const MOST_BYTES: u64 = 5 << 30;
/// Most folders inside of each other.
const DEEPEST: usize = 32;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) files: u64,
    pub(super) folders: u64,
    pub(super) bytes: u64,
}

/// Goes through a folder, links followed, and tells of each file: its name relative to the folder.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    top: &'a Path,
    ignore: Ignore,
    is_code: bool,
    found: Found,
    /// Folders that are being gone through, as they really are: a link back to one of them is left out.
    above: Vec<PathBuf>,
}

impl<'a> Walk<'a> {
    /// `is_code` says that the limits of code folders hold.
    ///
    /// # Errors
    /// The folder's `.maignore` cannot be used.
    pub(super) fn new(top: &'a Path, is_code: bool) -> Result<Self, Error> {
        Ok(Self { top, ignore: Ignore::of(top)?, is_code, found: Found::default(), above: Vec::new() })
    }

    /// Goes; blocking.
    ///
    /// # Errors
    /// A folder cannot be read, a name is not UTF-8, the limits of a code folder are exceeded.
    pub(super) fn run(mut self, each: &mut dyn FnMut(&str) -> std::io::Result<()>) -> Result<Found, Error> {
        self.enter(self.top, "", 0, each)?;
        Ok(self.found)
    }

    fn enter(
        &mut self,
        folder: &Path,
        prefix: &str,
        depth: usize,
        each: &mut dyn FnMut(&str) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        let unreadable = |error| Error::new(Kind::Local, format!("cannot read [{}]", folder.display())).caused_by(error);
        let real = fs::canonicalize(folder).map_err(unreadable)?;
        if self.above.contains(&real) {
            return Ok(());
        }
        self.above.push(real);
        let mut entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unreadable)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let own = entry.file_name();
            let own = own.to_str().ok_or_else(|| {
                Error::new(Kind::Local, format!("the name of [{}] is not UTF-8, which keys must be", path.display()))
            })?;
            let name = format!("{prefix}{own}");
            let link = entry.file_type().map_err(unreadable)?;
            if !link.is_symlink() && self.ignore.leaves_out(&name, link.is_dir()) {
                continue;
            }
            let about = match fs::metadata(&path) {
                // Nobody knows what a link that leads nowhere was: both kinds of pattern leave it out.
                Err(_) if self.ignore.leaves_out(&name, false) || self.ignore.leaves_out(&name, true) => continue,
                Err(error) => {
                    let error = Error::new(Kind::Local, format!("cannot read [{}]", path.display())).caused_by(error);
                    return Err(if link.is_symlink() {
                        error.hint("the link leads nowhere: remove it, or name it in a file .maignore at the top of the folder")
                    } else {
                        error
                    });
                }
                Ok(about) => about,
            };
            if self.ignore.leaves_out(&name, about.is_dir()) {
                continue;
            }
            if about.is_dir() {
                self.found.folders += 1;
                self.check(depth + 1)?;
                self.enter(&path, &format!("{name}/"), depth + 1, each)?;
            } else if about.is_file() {
                self.found.files += 1;
                self.found.bytes += about.len();
                self.check(depth)?;
                each(&name).map_err(|error| Error::new(Kind::Local, "cannot note what is uploaded").caused_by(error))?;
            }
        }
        self.above.pop();
        Ok(())
    }

    fn check(&self, depth: usize) -> Result<(), Error> {
        let beyond = if !self.is_code {
            None
        } else if self.found.files + self.found.folders > MOST_ENTRIES {
            Some(format!("more than {MOST_ENTRIES} files and folders"))
        } else if self.found.bytes > MOST_BYTES {
            Some("more than 5 GB".to_owned())
        } else if depth > DEEPEST {
            Some(format!("folders more than {DEEPEST} deep"))
        } else {
            None
        };
        let Some(beyond) = beyond else { return Ok(()) };
        Err(Error::new(Kind::Config, format!("code-dir [{}] has {beyond}, which no job takes", self.top.display()))
            .hint("name what the job does not need in a file .maignore there (patterns as in .gitignore)")
            .hint("training data is given with --data-url or --input"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Found, Walk};
    use crate::error::Error;

    fn walk(top: &Path, is_code: bool) -> Result<(Found, Vec<String>), Error> {
        let mut names = Vec::new();
        let found = Walk::new(top, is_code)?.run(&mut |name| {
            names.push(name.to_owned());
            Ok(())
        })?;
        Ok((found, names))
    }

    #[test]
    fn files_are_found_but_what_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        for path in ["main.py", "lib/a.py", "lib/a.pyc", "lib/__pycache__/a.py", ".git/config", "big/x.bin"] {
            fs::create_dir_all(top.join(path).parent().unwrap()).unwrap();
            fs::write(top.join(path), "12345").unwrap();
        }
        fs::write(top.join(".maignore"), "*.pyc\nbig/\n").unwrap();
        // Links are followed, but not in circles.
        std::os::unix::fs::symlink(top, top.join("lib/up")).unwrap();
        std::os::unix::fs::symlink(top.join("main.py"), top.join("start.py")).unwrap();
        let (found, names) = walk(top, true).unwrap();
        assert_eq!(names, ["lib/a.py", "main.py", "start.py"]);
        assert_eq!((found.files, found.bytes), (3, 15));
    }

    #[test]
    fn a_link_that_leads_nowhere_can_be_left_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("main.py"), "").unwrap();
        for link in [".#main.py", "venv"] {
            std::os::unix::fs::symlink("nowhere", folder.path().join(link)).unwrap();
        }
        let error = walk(folder.path(), true).unwrap_err();
        assert!(error.message.contains(".#main.py") && error.hints[0].contains(".maignore"), "{error:?}");
        fs::write(folder.path().join(".maignore"), "\\.#*\n.#*\nvenv/\n").unwrap();
        assert_eq!(walk(folder.path(), true).unwrap().1, ["main.py"]);
    }

    #[test]
    fn the_limits_of_code_hold_for_code() {
        let folder = tempfile::tempdir().unwrap();
        for index in 0..1001 {
            fs::write(folder.path().join(index.to_string()), "").unwrap();
        }
        assert!(walk(folder.path(), true).unwrap_err().message.contains("more than 1000"));
        assert_eq!(walk(folder.path(), false).unwrap().0.files, 1001);
        let deep = tempfile::tempdir().unwrap();
        let path: std::path::PathBuf = std::iter::repeat_n("d", 33).collect();
        fs::create_dir_all(deep.path().join(path)).unwrap();
        assert!(walk(deep.path(), true).unwrap_err().message.contains("32 deep"));
        let large = tempfile::tempdir().unwrap();
        fs::File::create(large.path().join("x")).unwrap().set_len((5 << 30) + 1).unwrap();
        assert!(walk(large.path(), true).unwrap_err().message.contains("5 GB"));
    }
}
