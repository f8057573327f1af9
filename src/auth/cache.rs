//! Small files that keep tokens and temporary keys between runs: folder 0700, files 0600, replaced as a whole.
//!
//! The cache only saves time: what cannot be read is fetched again, what cannot be written is traced and forgotten.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A folder of cached documents, or nowhere.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    directory: Option<PathBuf>,
}

impl Cache {
    /// Keeps documents in `directory`, which is made when the first one is written.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory: Some(directory) }
    }

    /// Keeps nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// The file name of what belongs to exactly these parts (endpoint, account, user, …); says nothing about them.
    pub fn key(kind: &str, parts: &[&str]) -> String {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part.as_bytes());
        }
        let hash = hex::encode(digest.finalize());
        format!("{kind}-{}.json", &hash[..32])
    }

    /// The document kept under `key`; `None` too when others could have read or changed it.
    pub fn read(&self, key: &str) -> Option<Value> {
        let path = self.directory.as_ref()?.join(key);
        let mode = fs::metadata(&path).ok()?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!("the cached file {} can be read by others and is not used", path.display());
            return None;
        }
        serde_json::from_slice(&fs::read(&path).ok()?).ok()
    }

    /// Keeps `document` under `key`.
    pub fn write(&self, key: &str, document: &Value) {
        let Some(directory) = &self.directory else { return };
        if let Err(error) = replace(directory, key, document) {
            tracing::debug!("cannot write {}: {error}", directory.join(key).display());
        }
    }

    /// Forgets every token and every set of temporary keys, whoever they belong to.
    ///
    /// # Errors
    /// A file that cannot be removed, after the others were.
    pub fn clear(&self) -> std::io::Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        let mut result = Ok(());
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            // A process that was killed while it wrote leaves a file with a passing name.
            let is_secret = ["token-", "keys-", ".tmp"].iter().any(|kind| name.to_string_lossy().starts_with(kind));
            if is_secret && let Err(error) = fs::remove_file(entry.path()) {
                result = Err(error);
            }
        }
        result
    }

    /// Forgets what is kept under `key`.
    pub fn remove(&self, key: &str) {
        if let Some(directory) = &self.directory {
            // Not being there is what is wanted.
            let _ = fs::remove_file(directory.join(key));
        }
    }
}

fn replace(directory: &Path, key: &str, document: &Value) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    // tempfile makes its files 0600.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(document.to_string().as_bytes())?;
    file.persist(directory.join(key))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::json;

    use super::Cache;

    #[test]
    fn files_are_private_and_loose_ones_are_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("a/cache");
        let cache = Cache::new(directory.clone());
        let key = Cache::key("token", &["https://iam", "me"]);
        assert_eq!(cache.read(&key), None);
        cache.write(&key, &json!({"id": 1}));
        assert_eq!(cache.read(&key), Some(json!({"id": 1})));
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(directory.clone()), mode(directory.join(&key))), (0o700, 0o600));
        fs::set_permissions(directory.join(&key), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(cache.read(&key), None);
        cache.remove(&key);
        assert!(!directory.join(&key).exists());
    }

    #[test]
    fn all_secrets_are_forgotten_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("cache"));
        cache.clear().unwrap();
        let keys = ["token", "keys", "project"].map(|kind| Cache::key(kind, &["me"]));
        for key in &keys {
            cache.write(key, &json!(1));
        }
        fs::write(folder.path().join("cache/.tmpAbC"), "half a token").unwrap();
        cache.clear().unwrap();
        let left: Vec<_> = fs::read_dir(folder.path().join("cache")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [keys[2].as_str()]);
    }

    #[test]
    fn parts_cannot_run_into_each_other() {
        assert_ne!(Cache::key("token", &["ab", "c"]), Cache::key("token", &["a", "bc"]));
    }
}
