//! The data directory: its layout, and files that only their owner can read.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::error::Error;

/// Account and ports of the installation; its presence marks a folder as a platform's.
pub const INSTALLATION: &str = "platform.json";
/// Held locked by the running server.
pub const LOCK: &str = "platform.lock";
/// What the running server says about itself.
pub const RECORD: &str = "platform.run.json";
/// What the server has to say.
pub const LOG: &str = "platform.log";
/// The profile file that reaches the platform.
pub const CLIENT_PROFILE: &str = "client.yaml";
/// The state of all services.
pub const STATE: &str = "state.sqlite";

/// Makes the folder, readable by its owner only; one that exists stays as it is but for the mode of an empty one.
///
/// # Errors
/// It cannot be made, or something else has that name.
pub fn make_private_folder(path: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::file("create", path))?;
    let mode = path.metadata().map_err(Error::file("read", path))?.permissions().mode();
    if mode & 0o077 != 0 {
        std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(Error::file("protect", path))?;
    }
    Ok(())
}

/// Writes a file that only its owner can read: the old content stays until the new one is complete.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(Error::file("write", path))
}

/// Opens a file for appending, made readable by its owner only.
///
/// # Errors
/// It cannot be opened.
pub fn open_private(path: &Path) -> Result<File, Error> {
    OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path).map_err(Error::file("open", path))
}
