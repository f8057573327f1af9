//! A profile as it lies in its file, before a change, and the places where its secrets are kept.
//!
//! Nothing is resolved here: what the file holds can be forgotten or replaced even where no command could use it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::auth::secret::Secret;
use crate::settings::vault::{self, Entry, Store};
use crate::settings::{Error, profile};

/// The keys of a profile whose values are secrets.
pub const SECRETS: [&str; 3] = ["secret_key", "security_token", "password"];

/// The key of a profile, true after a logout that could not take the secret out of a keyring: it is not fetched from there until the
/// next login.
pub const LOGGED_OUT: &str = "logged_out";

/// A profile as it is before a change.
#[derive(Debug)]
pub struct Stored {
    path: PathBuf,
    name: String,
    /// What the file says.
    pub entry: Map<String, Value>,
    /// Where its secrets are.
    pub store: Store,
}

/// Where [`Stored::keep`] put secrets. The default is what is left when all are to be forgotten: none, anywhere.
#[derive(Debug, Default)]
pub struct Kept {
    /// The place.
    pub store: Store,
    /// Why they are in the file and not where they were wanted.
    pub failure: Option<vault::Error>,
    /// The keys of those that are in a keyring now.
    in_keyring: Vec<&'static str>,
}

impl Stored {
    /// Reads where the secrets are; they are fetched when they are needed.
    pub fn read(path: &Path, name: &str, entry: Map<String, Value>) -> Self {
        let store = entry.get("store").and_then(Value::as_str).and_then(Store::parse).unwrap_or_default();
        Self { path: path.to_owned(), name: name.to_owned(), entry, store }
    }

    /// A text of the file; a number is taken as written.
    pub fn text(&self, key: &str) -> Option<String> {
        match self.entry.get(key)? {
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A secret, wherever it is; a keyring that does not give it has none.
    pub fn secret(&self, key: &str) -> Option<Secret> {
        let in_file = self.text(key).map(Secret::from);
        in_file.or_else(|| {
            let store = if self.is_logged_out() { Store::File } else { self.store };
            vault::read(store, &self.vault_entry(key)).ok().flatten()
        })
    }

    /// Whether there is a secret to move.
    pub fn is_complete(&self) -> bool {
        SECRETS.iter().any(|key| self.secret(key).is_some())
    }

    /// Whether there may be a secret: one in the file, or a keyring that is not asked here.
    pub fn may_hold_secrets(&self) -> bool {
        let is_empty = |value: &Value| value.is_null() || value.as_str() == Some("");
        self.store != Store::File || SECRETS.iter().any(|key| self.entry.get(*key).is_some_and(|value| !is_empty(value)))
    }

    /// Puts the secrets of the profile, as `changes` leave it, where they belong. Where that cannot be reached they stay in the
    /// file.
    pub fn keep(&self, store: Store, changes: &mut Map<String, Value>) -> Kept {
        let mut secrets = Vec::new();
        for key in SECRETS {
            let secret = match changes.get(key) {
                Some(value) => value.as_str().map(Secret::from),
                None => self.secret(key),
            };
            secrets.extend(secret.map(|secret| (key, secret)));
        }
        let written = secrets.iter().try_for_each(|(key, secret)| vault::write(store, &self.vault_entry(key), secret));
        let kept = match written {
            Ok(()) if store == Store::File => Kept::default(),
            Ok(()) => Kept { store, failure: None, in_keyring: secrets.iter().map(|(key, _)| *key).collect() },
            Err(error) => Kept { failure: Some(error), ..Kept::default() },
        };
        for (key, secret) in secrets {
            let in_file = if kept.store == Store::File { Value::from(secret.expose()) } else { Value::Null };
            changes.insert(key.to_owned(), in_file);
        }
        let word = if kept.store == Store::File { Value::Null } else { Value::from(kept.store.name()) };
        changes.insert("store".to_owned(), word);
        changes.insert(LOGGED_OUT.to_owned(), Value::Null);
        kept
    }

    /// Whether an earlier logout could not take the secret out of a keyring.
    pub fn is_logged_out(&self) -> bool {
        self.entry.get(LOGGED_OUT) == Some(&Value::Bool(true))
    }

    /// Takes the secrets out of the file and out of the keyring. What a keyring keeps is not used until the next login.
    ///
    /// # Errors
    /// The file cannot be edited; [`Error::Kept`] when the keyring keeps a secret, after the rest is done.
    pub fn log_out(&self) -> Result<(), Error> {
        let without = SECRETS.iter().map(|key| ((*key).to_owned(), Value::Null)).collect::<Map<_, _>>();
        let marked = |mark: Value| without.clone().into_iter().chain([(LOGGED_OUT.to_owned(), mark)]).collect();
        match self.forget(&Kept::default()) {
            Ok(()) => profile::update(&self.path, &self.name, marked(Value::Null)),
            Err(source) => {
                profile::update(&self.path, &self.name, marked(Value::Bool(true)))?;
                Err(Error::Kept { profile: self.name.clone(), source })
            }
        }
    }

    /// Forgets what lies in keyrings and is no longer used.
    ///
    /// # Errors
    /// A keyring that cannot be reached or refuses, and may hold something still.
    pub fn forget(&self, kept: &Kept) -> Result<(), vault::Error> {
        let mut stores = vec![self.store];
        // What an earlier use of the new place left there is not of this profile any more.
        stores.extend(Some(kept.store).filter(|store| *store != self.store));
        for store in stores {
            for key in SECRETS {
                if store != kept.store || !kept.in_keyring.contains(&key) {
                    vault::delete(store, &self.vault_entry(key))?;
                }
            }
        }
        Ok(())
    }

    fn vault_entry(&self, key: &str) -> Entry {
        Entry::new(&self.path, &self.name, key)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::{Kept, Store, Stored};

    fn stored(entry: Value) -> Stored {
        Stored::read(Path::new("/p.yaml"), "work", entry.as_object().cloned().unwrap())
    }

    #[test]
    fn what_a_change_leaves_alone_stays_and_what_it_takes_away_is_not_kept() {
        let old = stored(json!({"password": "pw", "secret_key": "sk", "security_token": "st"}));
        let mut changes = json!({"secret_key": "new", "password": null}).as_object().cloned().unwrap();
        let kept = old.keep(Store::File, &mut changes);
        assert!(kept.store == Store::File && kept.failure.is_none());
        assert_eq!(
            Value::Object(changes),
            json!({"secret_key": "new", "password": null, "security_token": "st", "store": null, "logged_out": null})
        );
        old.forget(&Kept::default()).unwrap();
    }

    #[test]
    fn a_keyring_may_hold_secrets_that_the_file_does_not() {
        assert!(!stored(json!({"auth": "AKSK", "access_key": "a", "secret_key": ""})).may_hold_secrets());
        assert!(stored(json!({"security_token": "t"})).may_hold_secrets());
        assert!(stored(json!({"password": 1234})).may_hold_secrets());
        assert!(stored(json!({"store": "keyring"})).may_hold_secrets());
    }
}
