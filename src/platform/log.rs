//! The platform's log: one file in the data directory, one line an event.

use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::error::Error;
use super::files;

/// A log that is longer than this at the start is put aside, in bytes.
const LONGEST: u64 = 16 << 20;

/// Writes this program's events to the file from now on. Where events go elsewhere already (`-D`), they stay there.
///
/// # Errors
/// The file cannot be opened.
pub fn enable(path: &Path) -> Result<(), Error> {
    let file = files::open_private(path)?;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(Mutex::new(file))
        .with_ansi(false)
        .with_target(false)
        .with_filter(Targets::new().with_target("ma_cli", LevelFilter::INFO));
    let _ = tracing_subscriber::registry().with(layer).try_init();
    Ok(())
}

/// Puts a long log of earlier starts aside, in place of the one that was put aside before.
pub fn rotate(path: &Path) {
    if path.metadata().is_ok_and(|metadata| metadata.len() > LONGEST) {
        // A log that cannot be renamed only grows.
        let _ = std::fs::rename(path, path.with_extension("log.old"));
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, rotate};

    #[test]
    fn only_long_logs_are_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("platform.log");
        std::fs::write(&path, "short").unwrap();
        rotate(&path);
        assert!(path.exists());
        std::fs::File::options().write(true).open(&path).unwrap().set_len(LONGEST + 1).unwrap();
        rotate(&path);
        assert!(!path.exists() && folder.path().join("platform.log.old").exists());
    }
}
