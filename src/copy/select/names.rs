//! Names given instead of looked for: one a line, separated by NUL, or the failures of a report.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;

use serde::Deserialize;

use crate::copy::error::Error;

/// Longest entry of a list in bytes; what is longer is no list of names.
const LONGEST_ENTRY: usize = 1 << 20;

/// Where names come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The file; none for standard input.
    pub path: Option<PathBuf>,
    /// They end with NUL instead of line ends.
    pub null: bool,
}

/// Names being read, relative to the source.
pub struct Reading {
    input: Box<dyn BufRead + Send>,
    path: PathBuf,
    separator: u8,
    is_report: bool,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reading").field("path", &self.path).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct ReportLine {
    name: String,
    status: String,
}

impl Names {
    /// Begins to read; blocking.
    ///
    /// # Errors
    /// [`Error::Local`].
    pub fn read(&self) -> Result<Reading, Error> {
        let (input, path): (Box<dyn BufRead + Send>, _) = match &self.path {
            Some(path) => {
                let file = File::open(path).map_err(|error| Error::local("read the list", path, error))?;
                (Box::new(BufReader::new(file)), path.clone())
            }
            None => (Box::new(BufReader::new(io::stdin())), PathBuf::from("-")),
        };
        Reading::new(input, path, self.null)
    }
}

impl Reading {
    fn new(mut input: Box<dyn BufRead + Send>, path: PathBuf, null: bool) -> Result<Self, Error> {
        let first = input.fill_buf().map_err(|error| Error::local("read the list", &path, error))?;
        let is_report = !null && first.first() == Some(&b'{');
        Ok(Self { input, path, separator: if null { 0 } else { b'\n' }, is_report, buffer: Vec::new() })
    }

    /// The next name; `None` at the end. Blank lines are no names, and of a report only failures are.
    ///
    /// # Errors
    /// [`Error::Local`] when it cannot be read, is not UTF-8, or is no report although it begins like one.
    pub fn next_name(&mut self) -> Result<Option<String>, Error> {
        let failed = |path: &PathBuf, error| Error::local("read the list", path, error);
        loop {
            self.buffer.clear();
            let mut limited = io::Read::take(&mut self.input, LONGEST_ENTRY as u64);
            let length = limited.read_until(self.separator, &mut self.buffer).map_err(|error| failed(&self.path, error))?;
            if length == 0 {
                return Ok(None);
            }
            if length == LONGEST_ENTRY {
                return Err(failed(&self.path, io::Error::other("a line of it is longer than 1 MiB")));
            }
            if self.buffer.last() == Some(&self.separator) {
                self.buffer.pop();
            }
            let text = std::str::from_utf8(&self.buffer)
                .map_err(|_| failed(&self.path, io::Error::other("a name in it is not UTF-8, which keys must be")))?;
            if text.trim().is_empty() {
                continue;
            }
            if !self.is_report {
                return Ok(Some(text.strip_prefix("./").unwrap_or(text).to_owned()));
            }
            let line: ReportLine = serde_json::from_str(text).map_err(|error| failed(&self.path, error.into()))?;
            if line.status == "failed" {
                return Ok(Some(line.name));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reading;

    fn read(text: &'static str, null: bool) -> Result<Vec<String>, crate::copy::Error> {
        let mut reading = Reading::new(Box::new(text.as_bytes()), "list".into(), null)?;
        std::iter::from_fn(|| reading.next_name().transpose()).collect()
    }

    #[test]
    fn reads_names_as_they_are() {
        assert_eq!(read("a\n\n# b\n./c d \n e\\f", false).unwrap(), ["a", "# b", "c d ", " e\\f"]);
        assert_eq!(read("a\nb\0c\0", true).unwrap(), ["a\nb", "c"]);
        assert!(read("", false).unwrap().is_empty());
        assert_eq!(read("{\0", true).unwrap(), ["{"]);
    }

    #[test]
    fn takes_the_failures_of_a_report() {
        let report =
            "{\"name\":\"a\",\"status\":\"done\",\"bytes\":1}\n{\"name\":\"b\\nc\",\"status\":\"failed\",\"error\":\"x\"}\n";
        assert_eq!(read(report, false).unwrap(), ["b\nc"]);
        assert!(read("{\"name\":\"a\"}\n", false).is_err());
        assert!(read("{name}\n", false).is_err());
    }
}
