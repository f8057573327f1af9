//! What goes where: source, destination and flags in, a plan out. Pure; who looks at disk and store is [`Plan::resolve`]'s caller.

use std::path::{Path, PathBuf};

use crate::copy::error::Error;
use crate::obs::ObsUrl;

/// A copy, fully determined: names are final, nothing is left to guess.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// One local file becomes exactly this object.
    UploadFile {
        /// The file.
        source: PathBuf,
        /// The object.
        destination: ObsUrl,
    },
    /// What is in a local folder goes below this prefix.
    UploadFolder {
        /// The folder.
        source: PathBuf,
        /// The prefix; a missing `/` at its end is added.
        destination: ObsUrl,
    },
    /// One object becomes exactly this file.
    DownloadFile {
        /// The object.
        source: ObsUrl,
        /// The file; folders above it are made.
        destination: PathBuf,
    },
    /// What is below a prefix goes into this folder.
    DownloadFolder {
        /// The prefix; a missing `/` at its end is added.
        source: ObsUrl,
        /// The folder; it is made.
        destination: PathBuf,
    },
    /// One object becomes exactly this object; the store copies it.
    CopyObject {
        /// The object.
        source: ObsUrl,
        /// What it becomes.
        destination: ObsUrl,
    },
    /// What is below a prefix goes below another; the store copies it.
    CopyFolder {
        /// The prefix; a missing `/` at its end is added.
        source: ObsUrl,
        /// The other prefix; a missing `/` at its end is added.
        destination: ObsUrl,
    },
}

/// What the command line says, before anybody looked at disk or store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// From disk to store.
    Upload {
        /// Absolute path, its trailing slash kept.
        source: PathBuf,
        /// As given.
        destination: ObsUrl,
    },
    /// From store to disk.
    Download {
        /// As given.
        source: ObsUrl,
        /// Absolute path, its trailing slash kept.
        destination: PathBuf,
    },
    /// Inside the store.
    Copy {
        /// As given.
        source: ObsUrl,
        /// As given.
        destination: ObsUrl,
    },
}

impl Request {
    /// Reads SRC and DST: at least one of them is an `obs://` address.
    ///
    /// # Errors
    /// [`Error::Plan`] when none is, or an address or path is empty or malformed.
    pub fn parse(source: &str, destination: &str, directory: &Path) -> Result<Self, Error> {
        let url = |text: &str| text.parse::<ObsUrl>().map_err(|error| Error::Plan(error.to_string()));
        let path = |text: &str| match text {
            "" => Err(Error::Plan("an empty path names no file".to_owned())),
            text => Ok(directory.join(text)),
        };
        match (ObsUrl::looks_like(source), ObsUrl::looks_like(destination)) {
            (false, true) => Ok(Self::Upload { source: path(source)?, destination: url(destination)? }),
            (true, false) => Ok(Self::Download { source: url(source)?, destination: path(destination)? }),
            (true, true) => Ok(Self::Copy { source: url(source)?, destination: url(destination)? }),
            (false, false) => Err(Error::Plan("neither side is an OBS path; one must begin with obs://".to_owned())),
        }
    }
}

impl Plan {
    /// An upload. `name` is the last element of the source's real path; a folder's is made again at the destination unless
    /// `drop_last_dir`. A file goes under its name into a destination that is a folder, else it becomes the destination.
    pub fn upload(source: &Path, name: &str, is_folder: bool, destination: &ObsUrl, drop_last_dir: bool) -> Self {
        let source = source.to_owned();
        match (is_folder, drop_last_dir || name.is_empty()) {
            (true, true) => Self::UploadFolder { source, destination: destination.as_folder() },
            (true, false) => Self::UploadFolder { source, destination: destination.join(name).as_folder() },
            (false, _) if destination.is_folder() => Self::UploadFile { source, destination: destination.join(name) },
            (false, _) => Self::UploadFile { source, destination: destination.clone() },
        }
    }

    /// A download, by the same rules; `into_folder` says that the destination is a folder or ends like one.
    ///
    /// # Errors
    /// [`Error::Unplaceable`] when the last element of the key is no file name.
    pub fn download(
        source: &ObsUrl,
        is_folder: bool,
        destination: &Path,
        into_folder: bool,
        drop_last_dir: bool,
    ) -> Result<Self, Error> {
        let name = source.name();
        let named = || match name {
            "" | "." | ".." => Err(Error::unplaceable(&source.to_string(), "its last element is no file name")),
            name => Ok(destination.join(name)),
        };
        Ok(match (is_folder, into_folder) {
            (true, _) if drop_last_dir || source.key.is_empty() => {
                Self::DownloadFolder { source: source.as_folder(), destination: destination.to_owned() }
            }
            (true, _) => Self::DownloadFolder { source: source.as_folder(), destination: named()? },
            (false, true) => Self::DownloadFile { source: source.clone(), destination: named()? },
            (false, false) => Self::DownloadFile { source: source.clone(), destination: destination.to_owned() },
        })
    }

    /// How the one file of a plan for one file is called in events and reports.
    pub fn only_name(&self) -> Option<String> {
        match self {
            Self::UploadFile { source, .. } => Some(source.display().to_string()),
            Self::DownloadFile { destination, .. } => {
                Some(destination.file_name().unwrap_or(destination.as_os_str()).to_string_lossy().into_owned())
            }
            Self::CopyObject { source, .. } => Some(source.name().to_owned()),
            Self::UploadFolder { .. } | Self::DownloadFolder { .. } | Self::CopyFolder { .. } => None,
        }
    }

    /// A copy inside the store, by the rules of uploads.
    ///
    /// # Errors
    /// [`Error::Plan`] when source and destination are the same, or the copy would become part of its source.
    pub fn copy(source: &ObsUrl, is_folder: bool, destination: &ObsUrl, drop_last_dir: bool) -> Result<Self, Error> {
        let name = source.name();
        let destination = match (is_folder, drop_last_dir || name.is_empty()) {
            (true, true) => destination.as_folder(),
            (true, false) => destination.join(name).as_folder(),
            (false, _) if destination.is_folder() => destination.join(name),
            (false, _) => destination.clone(),
        };
        let source = if is_folder { source.as_folder() } else { source.clone() };
        let is_same_bucket = source.bucket == destination.bucket;
        if is_same_bucket && source.key == destination.key {
            return Err(Error::Plan(format!("source and destination are the same: [{source}]")));
        }
        if is_same_bucket && is_folder && destination.key.starts_with(&source.key) {
            return Err(Error::Plan(format!("the destination [{destination}] is inside of the source [{source}]")));
        }
        Ok(if is_folder { Self::CopyFolder { source, destination } } else { Self::CopyObject { source, destination } })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Plan, Request};
    use crate::obs::ObsUrl;

    fn url(text: &str) -> ObsUrl {
        text.parse().unwrap()
    }

    #[test]
    fn plans_uploads() {
        let table = [
            // source, its name, folder, destination, drop, expected
            ("/w/test.csv", "test.csv", false, "obs://b/test-copy/", false, "obs://b/test-copy/test.csv"),
            ("/w/test.csv", "test.csv", false, "obs://b/test-copy", false, "obs://b/test-copy"),
            ("/w/test.csv", "test.csv", false, "obs://b", false, "obs://b/test.csv"),
            ("/w/test.csv", "test.csv", false, "obs://b/", true, "obs://b/test.csv"),
            ("/w/data/", "data", true, "obs://b/test-copy/", false, "obs://b/test-copy/data/"),
            ("/w/data", "data", true, "obs://b/test-copy", false, "obs://b/test-copy/data/"),
            ("/w/data/", "data", true, "obs://b/test-copy/", true, "obs://b/test-copy/"),
            ("/w/data/", "data", true, "obs://b", true, "obs://b/"),
            ("/w/data/", "data", true, "obs://b", false, "obs://b/data/"),
            ("/", "", true, "obs://b/all", false, "obs://b/all/"),
        ];
        for (source, name, folder, destination, drop, expected) in table {
            let plan = Plan::upload(Path::new(source), name, folder, &url(destination), drop);
            let (is_folder, actual) = match plan {
                Plan::UploadFile { destination, .. } => (false, destination),
                Plan::UploadFolder { destination, .. } => (true, destination),
                other => panic!("{other:?}"),
            };
            assert_eq!((is_folder, actual.to_string().as_str()), (folder, expected), "{source} {destination} {drop}");
        }
    }

    #[test]
    fn plans_downloads() {
        let table = [
            ("obs://b/copy-data/test.zip", false, "/w/test.zip", false, false, "/w/test.zip"),
            ("obs://b/copy-data/test.zip", false, "/w/", true, false, "/w/test.zip"),
            ("obs://b/copy-data/test.zip", false, "/w", true, true, "/w/test.zip"),
            ("obs://b/test-copy/", true, "/w/test-data/", true, false, "/w/test-data/test-copy"),
            ("obs://b/test-copy", true, "/w/test-data", false, false, "/w/test-data/test-copy"),
            ("obs://b/a/test-copy/", true, "/w/test-data/", true, true, "/w/test-data/"),
            ("obs://b", true, "/w/all", false, false, "/w/all"),
        ];
        for (source, folder, destination, into, drop, expected) in table {
            let plan = Plan::download(&url(source), folder, Path::new(destination), into, drop).unwrap();
            let (is_folder, actual) = match plan {
                Plan::DownloadFile { destination, .. } => (false, destination),
                Plan::DownloadFolder { destination, .. } => (true, destination),
                other => panic!("{other:?}"),
            };
            assert_eq!((is_folder, actual.as_path()), (folder, Path::new(expected)), "{source} {destination} {drop}");
        }
        for hostile in ["obs://b/a/..", "obs://b/.."] {
            assert!(Plan::download(&url(hostile), false, Path::new("/w"), true, false).is_err(), "{hostile}");
            assert!(Plan::download(&url(hostile), true, Path::new("/w"), true, false).is_err(), "{hostile}");
        }
    }

    #[test]
    fn plans_copies() {
        let table = [
            ("obs://b/d/x.csv", false, "obs://c/t/", false, Some("obs://c/t/x.csv")),
            ("obs://b/d/x.csv", false, "obs://b/d/y.csv", false, Some("obs://b/d/y.csv")),
            ("obs://b/d/x.csv", false, "obs://b/d/", false, None),
            ("obs://b/d/x.csv", false, "obs://b/d/x.csv/", false, Some("obs://b/d/x.csv/x.csv")),
            ("obs://b/d", true, "obs://c", false, Some("obs://c/d/")),
            ("obs://b/d", true, "obs://c/t", true, Some("obs://c/t/")),
            ("obs://b", true, "obs://c/t", false, Some("obs://c/t/")),
            ("obs://b", true, "obs://b/t", false, None),
            ("obs://b/d/", true, "obs://b", false, None),
            ("obs://b/d/", true, "obs://b/d", false, None),
            ("obs://b/d/e/", true, "obs://b/d", true, Some("obs://b/d/")),
            ("obs://b/d", true, "obs://b/dd", true, Some("obs://b/dd/")),
        ];
        for (source, folder, destination, drop, expected) in table {
            let (is_folder, actual) = match Plan::copy(&url(source), folder, &url(destination), drop) {
                Ok(Plan::CopyObject { destination, .. }) => (false, Some(destination.to_string())),
                Ok(Plan::CopyFolder { destination, .. }) => (true, Some(destination.to_string())),
                Err(_) => (folder, None),
                other => panic!("{other:?}"),
            };
            assert_eq!((is_folder, actual.as_deref()), (folder, expected), "{source} {destination} {drop}");
        }
    }

    #[test]
    fn reads_requests() {
        let parse = |source, destination| Request::parse(source, destination, Path::new("/cwd"));
        let upload = Request::Upload { source: "/cwd/./data/".into(), destination: url("obs://b/x/") };
        assert_eq!(parse("./data/", "obs://b/x/").unwrap(), upload);
        let download = Request::Download { source: url("obs://b/x"), destination: "/tmp/y".into() };
        assert_eq!(parse("obs://b/x", "/tmp/y").unwrap(), download);
        for (source, destination) in [("a", "b"), ("", "obs://b"), ("obs://b", ""), ("a", "obs://"), ("obs://b", "obs://")] {
            assert!(parse(source, destination).is_err(), "{source} {destination}");
        }
    }
}
