//! From what the user wrote to a plan: looks at disk and store, as little as possible.

use std::path::Path;

use crate::copy::error::Error;
use crate::copy::plan::{Plan, Request};
use crate::obs::Client;

impl Plan {
    /// Finds out what the source is, file or folder, and plans the copy.
    ///
    /// # Errors
    /// [`Error::NoSource`] when there is nothing at the source; [`Error::Store`], [`Error::Local`] when it cannot be looked at;
    /// [`Error::Plan`] and [`Error::Unplaceable`] from the rules.
    pub async fn resolve(client: &Client, request: &Request, drop_last_dir: bool) -> Result<Self, Error> {
        match request {
            Request::Upload { source, destination } => {
                let status = std::fs::metadata(source).map_err(|error| match error.kind() {
                    std::io::ErrorKind::NotFound => Error::NoSource(source.display().to_string()),
                    _ => Error::local("read", source, error),
                })?;
                if !status.is_dir() && !status.is_file() {
                    return Err(Error::Plan(format!("[{}] is neither a file nor a folder", source.display())));
                }
                Ok(Self::upload(source, &last_name(source)?, status.is_dir(), destination, drop_last_dir))
            }
            Request::Download { source, destination } => {
                let is_folder = source.is_folder() || !is_object(client, source).await?;
                let into_folder = destination.is_dir() || destination.as_os_str().as_encoded_bytes().ends_with(b"/");
                Self::download(source, is_folder, destination, into_folder, drop_last_dir)
            }
            Request::Copy { source, destination } => {
                let is_folder = source.is_folder() || !is_object(client, source).await?;
                Self::copy(source, is_folder, destination, drop_last_dir)
            }
        }
    }
}

/// A key without a slash at its end may be an object or a folder; the object wins.
async fn is_object(client: &Client, source: &crate::obs::ObsUrl) -> Result<bool, Error> {
    match client.head(source).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => {
            if client.any(&source.as_folder()).await? {
                Ok(false)
            } else {
                Err(Error::NoSource(source.to_string()))
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Last element of a path; `.` and `..` have the name of what they stand for. Empty for the root.
fn last_name(path: &Path) -> Result<String, Error> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let dotted = bytes.trim_ascii_end().rsplit(|byte| *byte == b'/').find(|part| !part.is_empty()) == Some(b".");
    let real = match path.file_name() {
        Some(_) if !dotted => path.to_owned(),
        _ => path.canonicalize().map_err(|error| Error::local("read", path, error))?,
    };
    let name = real.file_name().unwrap_or_default();
    name.to_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::unplaceable(&path.display().to_string(), "its name is not UTF-8, which keys must be"))
}

#[cfg(test)]
mod tests {
    use super::last_name;

    #[test]
    fn names_what_dots_stand_for() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("outer/inner");
        std::fs::create_dir_all(&inner).unwrap();
        for (suffix, expected) in [("", "inner"), ("/", "inner"), ("/.", "inner"), ("/./", "inner"), ("/..", "outer")] {
            let path = std::path::PathBuf::from(format!("{}{suffix}", inner.display()));
            assert_eq!(last_name(&path).unwrap(), expected, "{suffix}");
        }
        assert_eq!(last_name(std::path::Path::new("/")).unwrap(), "");
    }
}
