//! Where bytes lie: `<root>/<bucket>/<key>` where the key is a safe path, an escaped name in `<root>/.names` otherwise.
//!
//! Bucket names cannot begin with a dot, so the folders of the store's own never meet a bucket's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use super::error::Error;

const INCOMING: &str = ".incoming";
const NAMES: &str = ".names";
const UPLOADS: &str = ".uploads";

/// Longest file name of the file systems in use, in bytes.
const LONGEST_SEGMENT: usize = 255;

/// How often a rename is tried again when another request removes the folder it goes to because it is empty.
const MOST_ATTEMPTS: usize = 16;

/// The folder of the store.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    counter: AtomicU64,
}

/// A file under `.incoming`; deleted when dropped unless it was moved away.
#[derive(Debug)]
pub(super) struct TempFile {
    path: PathBuf,
    name: String,
}

impl TempFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The name within `.incoming`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // After a rename there is nothing left to delete.
        let _ = fs::remove_file(&self.path);
    }
}

impl Files {
    /// Makes the folders.
    ///
    /// # Errors
    /// A folder cannot be made.
    pub(super) fn open(root: &Path) -> Result<Self, Error> {
        for name in [INCOMING, NAMES, UPLOADS] {
            let path = root.join(name);
            fs::create_dir_all(&path).map_err(|source| Error::Folder { path, source })?;
        }
        Ok(Self { root: root.to_owned(), counter: AtomicU64::new(0) })
    }

    /// A name for a new file; nothing is created.
    pub(super) fn temp(&self) -> TempFile {
        let name = format!("{:x}-{:016x}", self.counter.fetch_add(1, Ordering::Relaxed), fastrand::u64(..));
        TempFile { path: self.root.join(INCOMING).join(&name), name }
    }

    /// Whether a temporary file of that name is there.
    pub(super) fn has_temp(&self, name: &str) -> bool {
        self.root.join(INCOMING).join(name).exists()
    }

    /// Deletes what an earlier process left in `.incoming`.
    pub(super) fn clear_incoming(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.root.join(INCOMING))? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    }

    /// Deletes the part folders of uploads that `known` does not know.
    pub(super) fn clear_uploads(&self, known: impl Fn(&str) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(self.root.join(UPLOADS))? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(&known) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// The full path of a stored file.
    pub(super) fn absolute(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A path for a part; never used twice, so that replacing a part is safe at any moment.
    pub(super) fn part_path(&self, upload: &str, number: i32) -> String {
        format!("{UPLOADS}/{upload}/{number}-{:x}-{:08x}", self.counter.fetch_add(1, Ordering::Relaxed), fastrand::u32(..))
    }

    /// Removes all parts of an upload.
    pub(super) fn remove_upload(&self, upload: &str) {
        // What cannot be removed is removed at the next start: the upload is in no row any more.
        let _ = fs::remove_dir_all(self.root.join(UPLOADS).join(upload));
    }

    /// Moves a temporary file to `relative`, over what is there.
    pub(super) fn place(&self, temp: &TempFile, relative: &str) -> io::Result<()> {
        let target = self.root.join(relative);
        let mut attempts = 0;
        loop {
            match fs::rename(&temp.path, &target) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempts < MOST_ATTEMPTS => attempts += 1,
                other => return other,
            }
            let parent = target.parent().unwrap_or(&self.root);
            match fs::create_dir_all(parent) {
                // The folder went away while its parents were made.
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempts < MOST_ATTEMPTS => {}
                other => other?,
            }
        }
    }

    /// Moves a temporary file to where a new object of that key belongs and returns the place.
    pub(super) fn place_new(&self, temp: &TempFile, bucket: &str, key: &str) -> io::Result<String> {
        if let Some(relative) = plain_path(bucket, key) {
            match self.place(temp, &relative) {
                Ok(()) => return Ok(relative),
                // `a` is a file and `a/b` comes, or the other way round.
                Err(error) if is_collision(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let relative = escaped_path(bucket, key);
        self.place(temp, &relative)?;
        Ok(relative)
    }

    /// Deletes a stored file and the folders that become empty.
    pub(super) fn remove(&self, relative: &str) {
        let target = self.root.join(relative);
        // A file left behind is in no row and does no harm.
        let _ = fs::remove_file(&target);
        let Some(top) = relative.split('/').next() else { return };
        let top = self.root.join(top);
        let mut folder = target.parent();
        while let Some(path) = folder.filter(|path| *path != top && path.starts_with(&top)) {
            if fs::remove_dir(path).is_err() {
                return;
            }
            folder = path.parent();
        }
    }

    /// Makes the folder of a bucket, for people who look.
    pub(super) fn create_bucket(&self, bucket: &str) -> io::Result<()> {
        fs::create_dir_all(self.root.join(bucket))
    }

    /// Removes the folders of a bucket, with whatever is in them.
    pub(super) fn remove_bucket(&self, bucket: &str) {
        let _ = fs::remove_dir_all(self.root.join(bucket));
        let _ = fs::remove_dir_all(self.root.join(NAMES).join(bucket));
    }
}

fn is_collision(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::InvalidInput
    )
}

/// The key as a path, if it is one that stays inside the bucket and can be told from all others.
fn plain_path(bucket: &str, key: &str) -> Option<String> {
    let safe = key.split('/').all(|segment| {
        !matches!(segment, "" | "." | "..")
            && segment.len() <= LONGEST_SEGMENT
            && !segment.contains(['\\', ':'])
            && !segment.contains(char::is_control)
    });
    safe.then(|| format!("{bucket}/{key}"))
}

fn escaped_path(bucket: &str, key: &str) -> String {
    format!("{NAMES}/{bucket}/{}", hex::encode(Sha256::digest(key.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::{Files, plain_path};

    #[test]
    fn unsafe_keys_are_no_paths() {
        let long = "x".repeat(256);
        for key in ["", "a/", "/a", "a//b", ".", "..", "../x", "a/../b", "a/./b", "a\nb", "a\0b", long.as_str()] {
            assert_eq!(plain_path("bucket", key), None, "{key:?}");
        }
        assert_eq!(plain_path("bucket", "a/b c/模型+~.txt").as_deref(), Some("bucket/a/b c/模型+~.txt"));
    }

    #[test]
    fn a_file_and_a_folder_of_the_same_name_live_side_by_side() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let files = Files::open(folder.path())?;
        let mut places = Vec::new();
        for key in ["a", "a/b", "c/d", "c"] {
            let temp = files.temp();
            std::fs::write(temp.path(), key)?;
            places.push((key, files.place_new(&temp, "bucket", key)?));
        }
        for (key, place) in &places {
            assert_eq!(std::fs::read_to_string(files.absolute(place))?, *key);
        }
        for (_, place) in &places {
            files.remove(place);
            assert!(!files.absolute(place).exists());
        }
        assert!(!folder.path().join("bucket/c").exists(), "an empty folder is left");
        assert!(folder.path().join("bucket").exists(), "the bucket's own folder stays");
        Ok(())
    }
}
