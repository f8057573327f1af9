//! Names waiting to be deleted, in a temporary file that nobody else sees.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};

use crate::copy::error::Error;

/// Something at the destination that the source does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Name relative to the destination; a folder's ends with `/`.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// A file of names, in the order they were added.
#[derive(Debug)]
pub struct Spool {
    file: BufWriter<File>,
    files: u64,
    folders: u64,
    bytes: u64,
}

/// Names being read.
#[derive(Debug)]
pub struct Reading<'a> {
    file: BufReader<&'a File>,
    left: u64,
}

fn failed(error: io::Error) -> Error {
    Error::local("use a temporary file in", std::env::temp_dir(), error)
}

impl Spool {
    /// An empty one.
    ///
    /// # Errors
    /// [`Error::Local`]: no temporary file can be made.
    pub fn new() -> Result<Self, Error> {
        Ok(Self { file: BufWriter::new(tempfile::tempfile().map_err(failed)?), files: 0, folders: 0, bytes: 0 })
    }

    /// Adds a name; one that ends with `/` is a folder.
    ///
    /// # Errors
    /// [`Error::Local`].
    pub fn add(&mut self, name: &str, bytes: u64) -> Result<(), Error> {
        *(if name.ends_with('/') { &mut self.folders } else { &mut self.files }) += 1;
        self.bytes += bytes;
        let length = u32::try_from(name.len()).map_err(|error| failed(io::Error::other(error)))?;
        let written = self.file.write_all(&bytes.to_le_bytes()).and_then(|()| self.file.write_all(&length.to_le_bytes()));
        written.and_then(|()| self.file.write_all(name.as_bytes())).map_err(failed)
    }

    /// Number of files and folders, and the bytes of the files.
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.files, self.folders, self.bytes)
    }

    /// Reads from the beginning.
    ///
    /// # Errors
    /// [`Error::Local`].
    pub fn read(&mut self) -> Result<Reading<'_>, Error> {
        self.file.flush().map_err(failed)?;
        let mut file = self.file.get_ref();
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok(Reading { file: BufReader::new(file), left: self.files + self.folders })
    }
}

impl Reading<'_> {
    /// The next name; `None` after the last.
    ///
    /// # Errors
    /// [`Error::Local`].
    pub fn next_extra(&mut self) -> Result<Option<Extra>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let (mut bytes, mut length) = ([0; 8], [0; 4]);
        self.file.read_exact(&mut bytes).and_then(|()| self.file.read_exact(&mut length)).map_err(failed)?;
        let mut name = vec![0; u32::from_le_bytes(length) as usize];
        self.file.read_exact(&mut name).map_err(failed)?;
        let name = String::from_utf8(name).map_err(|error| failed(io::Error::other(error)))?;
        let is_folder = name.ends_with('/');
        Ok(Some(Extra { name, bytes: u64::from_le_bytes(bytes), is_folder }))
    }
}

#[cfg(test)]
mod tests {
    use super::Spool;

    #[test]
    fn gives_back_what_it_was_given() {
        let mut spool = Spool::new().unwrap();
        spool.add("a\nb", 5).unwrap();
        spool.add("é/", 0).unwrap();
        assert_eq!(spool.counts(), (1, 1, 5));
        for _ in 0..2 {
            let mut reading = spool.read().unwrap();
            let names: Vec<_> =
                std::iter::from_fn(|| reading.next_extra().unwrap()).map(|extra| (extra.name, extra.bytes)).collect();
            assert_eq!(names, [("a\nb".to_owned(), 5), ("é/".to_owned(), 0)]);
        }
    }
}
