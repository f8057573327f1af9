//! Where the secrets of a profile lie: in its file, in the desktop's keyring (Secret Service), or in the kernel's (keyutils).
//!
//! Whoever answers for a keyring may not answer at all, so each step runs on a thread of its own and has a limit.

use std::path::{Path, PathBuf};

use crate::auth::secret::Secret;
use crate::settings::profile;

/// A place for secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// The profile file itself, 0600: scripts can move it between machines.
    #[default]
    File,
    /// The Secret Service of the session: GNOME Keyring, KWallet, KeePassXC.
    Keyring,
    /// The kernel's keyring of the user; empty after a restart of the machine.
    Keyutils,
}

impl Store {
    /// The words of `--store` and of the profile's key `store`.
    pub const NAMES: [&str; 3] = ["file", "keyring", "keyutils"];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Keyring => "keyring",
            Self::Keyutils => "keyutils",
        }
    }

    /// The place of that name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::File, Self::Keyring, Self::Keyutils].into_iter().find(|store| store.name().eq_ignore_ascii_case(word))
    }
}

/// Why a keyring does not give or take a secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers for it on this machine.
    #[error("the {store} cannot be reached: {message}")]
    Absent {
        /// Which one.
        store: &'static str,
        /// Its reason.
        message: String,
    },
    /// It answers, and refuses: locked, denied.
    #[error("the {store} refuses: {message}")]
    Refused {
        /// Which one.
        store: &'static str,
        /// Its reason.
        message: String,
    },
}

/// The name of one secret of a profile.
#[derive(Clone, Debug)]
pub struct Entry {
    user: String,
}

impl Entry {
    /// The secret under `key` of `profile` in the file at `path`.
    pub fn new(path: &Path, profile: &str, key: &str) -> Self {
        Self { user: format!("{profile}/{key} in {}", real(path).display()) }
    }
}

/// The path of the file itself, however it is spelled and whatever links lead there; of what is still to come, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let target = profile::behind_links(path).unwrap_or_else(|_| path.to_owned());
    match (target.canonicalize(), target.parent(), target.file_name()) {
        (Ok(found), _, _) => found,
        (Err(_), Some(folder), Some(name)) => real(folder).join(name),
        (Err(_), _, _) => target,
    }
}

/// The secret of that name; `None` when there is none.
///
/// # Errors
/// [`Error`]; the file is no keyring and holds nothing here.
pub fn read(store: Store, entry: &Entry) -> Result<Option<Secret>, Error> {
    keyring::run(store, entry, keyring::Wish::Read)
}

/// Keeps the secret under that name.
///
/// # Errors
/// [`Error`].
pub fn write(store: Store, entry: &Entry, secret: &Secret) -> Result<(), Error> {
    keyring::run(store, entry, keyring::Wish::Write(secret.clone())).map(|_| ())
}

/// Forgets the secret of that name, if there is one.
///
/// # Errors
/// [`Error`].
pub fn delete(store: Store, entry: &Entry) -> Result<(), Error> {
    keyring::run(store, entry, keyring::Wish::Delete).map(|_| ())
}

#[cfg(feature = "keyring")]
mod keyring {
    use std::sync::mpsc::{self, Sender};
    use std::sync::{Arc, Mutex, PoisonError};
    use std::thread;
    use std::time::Duration;

    use keyring_core::api::CredentialStore;
    use linux_keyutils::{KeyRing, KeyRingIdentifier};

    use super::{Entry, Error, Store};
    use crate::auth::secret::Secret;

    /// The service under which all entries are kept.
    const SERVICE: &str = "ma-cli";

    /// A bus that is there answers in a millisecond; one that accepts and keeps silent would be waited for without end.
    const BUS_LIMIT: Duration = Duration::from_millis(900);
    /// The bus may have to start the service first.
    const SERVICE_LIMIT: Duration = Duration::from_secs(5);
    /// The service may have to ask the user for the password of the keyring.
    const ENTRY_LIMIT: Duration = Duration::from_secs(60);

    #[derive(Debug)]
    pub(super) enum Wish {
        Read,
        Write(Secret),
        Delete,
    }

    enum Stage {
        /// The bus answers.
        Bus,
        /// The service answers.
        Service,
        Done(Result<Option<Secret>, Error>),
    }

    /// The keyrings that failed, and how. A command wants several secrets, and its settings more than once: one that keeps silent
    /// is waited for once, and whoever dismissed the question for the password of a locked one is not asked again.
    static FAILED: Mutex<Vec<(Store, Error)>> = Mutex::new(Vec::new());

    pub(super) fn run(store: Store, entry: &Entry, wish: Wish) -> Result<Option<Secret>, Error> {
        if store == Store::File {
            return Ok(None);
        }
        // Held on to: whoever comes while another waits is told the same.
        let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, error)) = failed.iter().find(|(known, _)| *known == store) {
            return Err(error.clone());
        }
        let result = ask(store, entry, wish);
        if let Err(error) = &result {
            failed.push((store, error.clone()));
        }
        result
    }

    fn ask(store: Store, entry: &Entry, wish: Wish) -> Result<Option<Secret>, Error> {
        let absent = |message: String| Error::Absent { store: store.name(), message };
        let (sender, receiver) = mpsc::channel();
        let (user, stages) = (entry.user.clone(), sender.clone());
        thread::Builder::new()
            .name("keyring".to_owned())
            .spawn(move || {
                let result = work(store, &user, wish, &stages);
                // Whoever asked may have given up.
                let _ = sender.send(Stage::Done(result));
            })
            .map_err(|error| absent(error.to_string()))?;
        let mut limit = BUS_LIMIT;
        loop {
            match receiver.recv_timeout(limit) {
                Ok(Stage::Bus) => limit = SERVICE_LIMIT,
                Ok(Stage::Service) => limit = ENTRY_LIMIT,
                Ok(Stage::Done(result)) => return result,
                Err(_) => return Err(absent(format!("it did not answer within {} ms", limit.as_millis()))),
            }
        }
    }

    fn work(store: Store, user: &str, wish: Wish, stages: &Sender<Stage>) -> Result<Option<Secret>, Error> {
        let opened = open(store, stages).map_err(|message| Error::Absent { store: store.name(), message })?;
        let _ = stages.send(Stage::Service);
        let refused = |error: keyring_core::Error| Error::Refused { store: store.name(), message: error.to_string() };
        let entry = opened.build(SERVICE, user, None).map_err(refused)?;
        let outcome = match wish {
            Wish::Read => entry.get_password().map(|text| Some(Secret::new(text))),
            Wish::Write(secret) => {
                // The kernel may have taken it before it refuses to keep it.
                let forget = |_: &_| drop(entry.delete_credential());
                entry.set_password(secret.expose()).map(|()| None).inspect_err(forget)
            }
            Wish::Delete => entry.delete_credential().map(|()| None),
        };
        match outcome {
            Err(keyring_core::Error::NoEntry) => Ok(None),
            outcome => outcome.map_err(refused),
        }
    }

    fn open(store: Store, stages: &Sender<Stage>) -> Result<Arc<CredentialStore>, String> {
        if store == Store::Keyutils {
            // Cron, containers and the like have no session keyring; the kernel stands in that of the user, to which nothing lasting
            // may be linked. This makes one for the thread. Where it cannot, the store says so.
            let _ = KeyRing::from_special_id(KeyRingIdentifier::Session, true);
            let store = linux_keyutils_keyring_store::Store::new().map_err(|error| error.to_string())?;
            return Ok(store);
        }
        // Only to see whether the bus answers; the store makes a connection of its own.
        dbus::blocking::Connection::new_session().map_err(|error| error.message().unwrap_or("no session bus").to_owned())?;
        let _ = stages.send(Stage::Bus);
        let store = dbus_secret_service_keyring_store::Store::new().map_err(|error| error.to_string())?;
        Ok(store)
    }
}

#[cfg(not(feature = "keyring"))]
mod keyring {
    use super::{Entry, Error, Store};
    use crate::auth::secret::Secret;

    #[derive(Debug)]
    pub(super) enum Wish {
        Read,
        Write(Secret),
        Delete,
    }

    pub(super) fn run(store: Store, entry: &Entry, wish: Wish) -> Result<Option<Secret>, Error> {
        let is_write = matches!(wish, Wish::Write(secret) if !secret.is_empty() && !entry.user.is_empty());
        match store {
            Store::File => Ok(None),
            _ => Err(Error::Absent {
                store: store.name(),
                message: format!("this program was built without keyrings{}", if is_write { ", nothing was kept" } else { "" }),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Entry;

    #[test]
    fn a_secret_is_found_however_its_file_is_spelled() {
        let home = tempfile::tempdir().unwrap();
        let (folder, link) = (home.path().join("real"), home.path().join("link"));
        let name = |path: &str| Entry::new(&home.path().join(path), "work", "password").user;
        fs::create_dir(&folder).unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        std::os::unix::fs::symlink("real/p.yaml", home.path().join("file")).unwrap();
        let before = name("real/p.yaml");
        for written in [false, true] {
            for path in ["real/p.yaml", "real/../real/p.yaml", "link/p.yaml", "file"] {
                assert_eq!(name(path), before, "{path}, written: {written}");
            }
            fs::write(folder.join("p.yaml"), "").unwrap();
        }
        assert_ne!(name("real/q.yaml"), before);
    }
}
