//! A local file that is being sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use tokio_util::sync::CancellationToken;

use crate::copy::budget::PIECE;
use crate::copy::digest::{Digester, Value};
use crate::copy::error::Error;

/// A file being read, and what it was when it was opened.
#[derive(Debug)]
pub(super) struct Source {
    file: File,
    pub(super) path: PathBuf,
    pub(super) size: u64,
    /// Modification time when it was opened: seconds since 1970 and nanoseconds.
    pub(super) modified: (i64, i64),
}

impl Source {
    pub(super) fn open(path: PathBuf) -> Result<Self, Error> {
        let failed = |error| Error::local("read", &path, error);
        let file = File::open(&path).map_err(failed)?;
        let status = file.metadata().map_err(failed)?;
        if !status.is_file() {
            return Err(failed(io::Error::other("it is not a file")));
        }
        Ok(Self { file, size: status.len(), modified: (status.mtime(), status.mtime_nsec()), path })
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

    /// The digest of the whole file, piece by piece.
    pub(super) fn digest(&self, mut digester: Digester, cancel: &CancellationToken) -> Result<Value, Error> {
        let mut offset = 0;
        while offset < self.size {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let piece = self.read_piece(offset, PIECE).map_err(|error| Error::local("read", &self.path, error))?;
            if piece.is_empty() {
                return Err(self.changed());
            }
            digester.update(&piece);
            offset += piece.len() as u64;
        }
        Ok(digester.finish())
    }

    /// Up to `most` bytes at a position; the buffer is not zeroed first.
    pub(super) fn read_piece(&self, offset: u64, most: usize) -> io::Result<Bytes> {
        let mut piece = Vec::with_capacity(most);
        while piece.len() < most {
            let position = offset + piece.len() as u64;
            let read = match rustix::io::pread(&self.file, spare_capacity(&mut piece), position) {
                Err(rustix::io::Errno::INTR) => continue,
                read => read?,
            };
            if read == 0 {
                break;
            }
        }
        piece.truncate(most);
        Ok(piece.into())
    }
}
