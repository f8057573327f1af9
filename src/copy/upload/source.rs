//! A local file that is being sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;

use bytes::Bytes;
use rustix::buffer::spare_capacity;

use crate::copy::error::Error;
use crate::copy::options::Preserve;
use crate::obs::attributes::preserved;

/// A file being read, and what it was when it was opened.
#[derive(Debug)]
pub(super) struct Source {
    file: File,
    pub(super) path: PathBuf,
    pub(super) size: u64,
    /// Modification time when it was opened: seconds since 1970 and nanoseconds.
    pub(super) modified: (i64, i64),
    mode: u32,
}

impl Source {
    pub(super) fn open(path: PathBuf) -> Result<Self, Error> {
        let failed = |error| Error::local("read", &path, error);
        let file = File::open(&path).map_err(failed)?;
        let status = file.metadata().map_err(failed)?;
        if !status.is_file() {
            return Err(failed(io::Error::other("it is not a file")));
        }
        Ok(Self { file, size: status.len(), modified: (status.mtime(), status.mtime_nsec()), mode: status.mode(), path })
    }

    /// What is kept of the file in metadata of the object. Without the bits that let it run as its owner.
    pub(super) fn metadata(&self, preserve: Preserve) -> Vec<(&'static str, String)> {
        let modified = preserve.modified.then(|| (self.modified.0, u32::try_from(self.modified.1).unwrap_or(0)));
        preserved(modified, preserve.mode.then_some(self.mode & 0o170_777))
    }

    pub(super) fn changed(&self) -> Error {
        Error::Changed(self.path.display().to_string())
    }

    /// Size and time are what they were when the file was opened.
    pub(super) fn check_unchanged(&self) -> Result<(), Error> {
        let status = self.file.metadata().map_err(|error| Error::local("read", &self.path, error))?;
        let same = status.len() == self.size && (status.mtime(), status.mtime_nsec()) == self.modified;
        if same { Ok(()) } else { Err(self.changed()) }
    }

    pub(super) fn read_whole(&self) -> Result<Bytes, Error> {
        let size = usize::try_from(self.size).map_err(|_| self.changed())?;
        let mut bytes = vec![0; size];
        self.file.read_exact_at(&mut bytes, 0).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.changed(),
            _ => Error::local("read", &self.path, error),
        })?;
        self.check_unchanged()?;
        Ok(bytes.into())
    }

    /// Up to `most` bytes at a position, in place of what the buffer held; fewer where the file ends. The buffer is not zeroed
    /// first.
    pub(super) fn read_into(&self, buffer: &mut Vec<u8>, offset: u64, most: usize) -> io::Result<()> {
        buffer.clear();
        buffer.reserve_exact(most);
        while buffer.len() < most {
            let position = offset + buffer.len() as u64;
            let read = match rustix::io::pread(&self.file, spare_capacity(buffer), position) {
                Err(rustix::io::Errno::INTR) => continue,
                read => read?,
            };
            if read == 0 {
                break;
            }
        }
        buffer.truncate(most);
        Ok(())
    }

    /// Asks the system to begin reading this part of the file. It may not, which changes nothing but the time.
    pub(super) fn will_need(&self, offset: u64, length: u64) {
        #[cfg(target_os = "linux")]
        {
            let length = std::num::NonZeroU64::new(length.min(self.size.saturating_sub(offset)));
            if length.is_some() {
                let _ = rustix::fs::fadvise(&self.file, offset, length, rustix::fs::Advice::WillNeed);
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (offset, length);
    }
}
