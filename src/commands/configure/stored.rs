//! What a profile holds already, and where its secrets are kept.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::auth::secret::Secret;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::settings::vault::{self, Entry, Store};

/// The keys of a profile whose values are secrets.
const SECRETS: [&str; 2] = ["secret_key", "password"];

/// The file that holds the profiles in question.
pub(super) fn file(ctx: &Ctx) -> PathBuf {
    match (&ctx.flags().config_file, ctx.env.get("MA_CLI_CONFIG_FILE")) {
        (Some(path), _) => ctx.env.directory.join(path),
        (None, Some(path)) => ctx.env.directory.join(path),
        (None, None) => ctx.env.profile_path(),
    }
}

/// A profile as it is before a change.
#[derive(Debug)]
pub(super) struct Stored {
    path: PathBuf,
    name: String,
    /// What the file says.
    pub(super) entry: Map<String, Value>,
    /// Where its secrets are.
    pub(super) store: Store,
}

impl Stored {
    /// Reads where the secrets are; they are fetched when they are needed.
    pub(super) fn read(path: &Path, name: &str, entry: Map<String, Value>) -> Self {
        let store = entry.get("store").and_then(Value::as_str).and_then(Store::parse).unwrap_or_default();
        Self { path: path.to_owned(), name: name.to_owned(), entry, store }
    }

    /// A text of the file.
    pub(super) fn text(&self, key: &str) -> Option<Secret> {
        self.entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(Secret::from)
    }

    /// A secret, wherever it is; a keyring that does not give it has none.
    pub(super) fn secret(&self, key: &str) -> Option<Secret> {
        self.text(key).or_else(|| vault::read(self.store, &self.vault_entry(key)).ok().flatten())
    }

    /// Whether there is a secret to move.
    pub(super) fn is_complete(&self) -> bool {
        SECRETS.iter().any(|key| self.secret(key).is_some())
    }

    /// Puts the secrets of the profile, as `changes` leave it, where they belong. Where that cannot be reached they stay in the
    /// file, and the user is told.
    pub(super) fn keep(&self, ctx: &Ctx, store: Store, changes: &mut Map<String, Value>) -> Result<Store, Error> {
        let mut secrets = Vec::new();
        for key in SECRETS {
            let new = changes.get(key).and_then(Value::as_str).map(Secret::from);
            let is_other = changes.contains_key("auth") && new.is_none();
            if let Some(secret) = new.or_else(|| if is_other { None } else { self.secret(key) }) {
                secrets.push((key, secret));
            }
        }
        let kept = secrets.iter().try_for_each(|(key, secret)| vault::write(store, &self.vault_entry(key), secret));
        let store = match kept {
            Ok(()) => store,
            Err(error) => {
                ctx.ui.warn(&format!("{error}; the secret is kept in the profile file, which is private"));
                Store::File
            }
        };
        for (key, secret) in secrets {
            let in_file = if store == Store::File { Value::from(secret.expose()) } else { Value::Null };
            changes.insert(key.to_owned(), in_file);
        }
        let word = if store == Store::File { Value::Null } else { Value::from(store.name()) };
        changes.insert("store".to_owned(), word);
        Ok(store)
    }

    /// Forgets what lies in the keyring that is no longer used; `Store::File` for all of it.
    pub(super) fn forget(&self, ctx: &Ctx, now: Store) {
        if self.store == now {
            return;
        }
        for key in SECRETS {
            if let Err(error) = vault::delete(self.store, &self.vault_entry(key)) {
                ctx.ui.warn(&format!("{error}; a secret of profile [{}] may still be there", self.name));
                return;
            }
        }
    }

    fn vault_entry(&self, key: &str) -> Entry {
        Entry::new(&self.path, &self.name, key)
    }
}
