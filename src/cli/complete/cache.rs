//! Names that services told of, kept for a short while: private files, few and small.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::auth::Cache;
use crate::cli::complete::MOST_CANDIDATES;
use crate::settings::env::Env;

/// Age up to which names are shown when nothing newer comes in time.
const OLDEST: Duration = Duration::from_secs(3600);
/// Most files that are kept; each is the answer to one question.
const MOST_FILES: usize = 50;
/// Names longer than this, in bytes, are no candidates: a key of an object has at most 1,024.
const LONGEST: usize = 2048;
/// Longest time for which a question is not asked again.
const LONGEST_REST: Duration = Duration::from_secs(900);
/// A refill that is older than this has ended, whatever its mark says.
pub(super) const REFILL: Duration = Duration::from_secs(15);

/// A name and what is said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    pub(super) value: String,
    pub(super) help: String,
}

impl Item {
    pub(super) fn new(value: impl Into<String>, help: impl Into<String>) -> Self {
        Self { value: value.into(), help: help.into() }
    }
}

/// Names, and whether they are new enough to be the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) items: Vec<Item>,
    pub(super) is_fresh: bool,
}

#[derive(Deserialize)]
struct Document {
    saved: u64,
    items: Vec<Item>,
}

/// The folder of kept names.
#[derive(Debug)]
pub(super) struct Store {
    directory: PathBuf,
    files: Cache,
}

impl Store {
    pub(super) fn new(env: &Env) -> Self {
        let directory = env.state_directory().join("cache").join("completion");
        Self { files: Cache::new(directory.clone()), directory }
    }

    /// What was kept under the key; fresh up to this age.
    pub(super) fn read(&self, key: &str, fresh: Duration) -> Option<Names> {
        let Document { saved, items } = serde_json::from_value(self.files.read(key)?).ok()?;
        let age = Duration::from_secs(now().checked_sub(saved)?);
        (age < OLDEST).then_some(Names { items, is_fresh: age < fresh })
    }

    /// Keeps the names, and no more files than are allowed.
    pub(super) fn write(&self, key: &str, items: &[Item]) {
        self.files.write(key, &json!({"saved": now(), "items": items}));
        self.prune();
    }

    /// Lets that rest for this long, [`LONGEST_REST`] at most.
    pub(super) fn rest(&self, key: &str, span: Duration) {
        self.files.write(key, &json!({"until": now() + span.as_secs()}));
        self.prune();
    }

    /// Whether that rests.
    pub(super) fn rests(&self, key: &str) -> bool {
        let until = self.files.read(key).and_then(|document| document["until"].as_u64());
        let left = until.and_then(|until| until.checked_sub(now())).unwrap_or_default();
        (1..=LONGEST_REST.as_secs()).contains(&left)
    }

    /// Ends its rest.
    pub(super) fn wake(&self, key: &str) {
        self.files.remove(key);
    }

    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        let age = |entry: &fs::DirEntry| entry.metadata().and_then(|data| data.modified()).unwrap_or(UNIX_EPOCH);
        let mut files: Vec<_> = entries.flatten().map(|entry| (age(&entry), entry.path())).collect();
        files.sort();
        for (_, path) in files.iter().take(files.len().saturating_sub(MOST_FILES)) {
            // Another process may have removed it.
            let _ = fs::remove_file(path);
        }
    }

    /// Whether a refill may begin; it is marked as begun.
    pub(super) fn begin_refill(&self) -> bool {
        let key = Cache::key("refill", &[]);
        let age = fs::metadata(self.directory.join(&key)).and_then(|data| data.modified()).map(|time| time.elapsed());
        if matches!(age, Ok(Ok(age)) if age < REFILL) {
            return false;
        }
        self.files.write(&key, &json!({}));
        true
    }

    /// Lets the next refill begin.
    pub(super) fn end_refill(&self) {
        self.files.remove(&Cache::key("refill", &[]));
    }
}

/// The names that can be candidates at all.
pub(super) fn bounded(items: Vec<Item>) -> Vec<Item> {
    let usable = |item: &Item| !item.value.is_empty() && item.value.len() <= LONGEST;
    let mut kept: Vec<Item> = items.into_iter().filter(usable).take(MOST_CANDIDATES).collect();
    for item in &mut kept {
        item.help = item.help.chars().take(100).collect();
    }
    kept
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::{Item, MOST_FILES, Store, bounded};
    use crate::auth::Cache;
    use crate::settings::env::Env;

    #[test]
    fn files_are_few_and_what_is_no_answer_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(&Env::for_tests(&[], home.path()));
        let items = [Item::new("a", "")];
        for number in 0..MOST_FILES + 10 {
            store.write(&Cache::key("names", &[&number.to_string()]), &items);
        }
        assert_eq!(fs::read_dir(&store.directory).unwrap().count(), MOST_FILES);
        let key = Cache::key("names", &["x"]);
        store.write(&key, &items);
        let read = |fresh| store.read(&key, Duration::from_secs(fresh)).unwrap();
        assert_eq!(read(60).items, items);
        assert!(read(60).is_fresh && !read(0).is_fresh);
        for hostile in [
            "",
            "[]",
            "{\"saved\": -1, \"items\": []}",
            "{\"saved\": 99999999999, \"items\": []}",
            "{\"saved\": 5, \"items\": []}",
        ] {
            fs::write(store.directory.join(&key), hostile).unwrap();
            assert_eq!(store.read(&key, Duration::from_secs(60)), None, "{hostile}");
        }
    }

    #[test]
    fn one_refill_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(&Env::for_tests(&[], home.path()));
        assert!(store.begin_refill() && !store.begin_refill());
        store.end_refill();
        assert!(store.begin_refill());
    }

    #[test]
    fn what_failed_rests_and_not_for_ever() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::new(&Env::for_tests(&[], home.path()));
        let key = Cache::key("failed", &["x"]);
        assert!(!store.rests(&key));
        store.rest(&key, Duration::from_secs(60));
        assert!(store.rests(&key));
        store.wake(&key);
        assert!(!store.rests(&key));
        for hostile in ["", "[]", "{\"until\": 99999999999}", "{\"until\": 5}", "{\"until\": \"x\"}"] {
            store.rest(&key, Duration::from_secs(60));
            fs::write(store.directory.join(&key), hostile).unwrap();
            assert!(!store.rests(&key), "{hostile}");
        }
    }

    #[test]
    fn names_are_bounded() {
        let items = vec![Item::new("x".repeat(3000), ""), Item::new("", ""), Item::new("a", "h".repeat(500))];
        let kept = bounded(items);
        assert_eq!((kept.len(), kept[0].help.len()), (1, 100));
    }
}
