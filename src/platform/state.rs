//! The platform's memory: one SQLite file, every change one transaction.
//!
//! Resources are kept as the API documents they are served as (table `document`); the object store keeps its index in tables
//! of its own. The file is in WAL mode with `synchronous = NORMAL`: a killed process loses nothing, a power failure at most the
//! last moments, and neither leaves the file broken.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use serde_json::Value;

/// How long a connection waits for another one's lock before it gives up. Transactions here last microseconds to
/// milliseconds, so this is reached only when something is badly wrong.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Readers kept open; more than there are cores brings nothing.
const MOST_READERS: usize = 4;

/// What can go wrong with the state file.
pub type Error = rusqlite::Error;

/// The open state file. Calls block for microseconds; they may be made from asynchronous code.
#[derive(Debug)]
pub struct State {
    writer: Mutex<Connection>,
    /// Idle read connections; empty for a state in memory, which has one connection only.
    readers: Mutex<Vec<Connection>>,
    path: Option<std::path::PathBuf>,
}

impl State {
    /// Opens or creates the file and brings its tables up to date.
    ///
    /// # Errors
    /// The file cannot be opened or is not a database.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let writer = Connection::open(path)?;
        prepare(&writer)?;
        writer.execute_batch(SCHEMA)?;
        Ok(Self { writer: Mutex::new(writer), readers: Mutex::new(Vec::new()), path: Some(path.to_owned()) })
    }

    /// A state that lives as long as the value, for tests.
    ///
    /// # Errors
    /// SQLite cannot allocate.
    pub fn in_memory() -> Result<Self, Error> {
        let writer = Connection::open_in_memory()?;
        writer.execute_batch(SCHEMA)?;
        Ok(Self { writer: Mutex::new(writer), readers: Mutex::new(Vec::new()), path: None })
    }

    /// Runs `change` in one transaction: committed when it returns `Ok`, undone otherwise.
    ///
    /// # Errors
    /// What `change` returns, or a failed commit.
    pub fn write<T, E: From<Error>>(&self, change: impl FnOnce(&Transaction<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut connection = lock(&self.writer);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = change(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    /// Runs `look` on a consistent view; it must not change anything.
    ///
    /// # Errors
    /// What `look` returns, or a connection that cannot be opened.
    pub fn read<T, E: From<Error>>(&self, look: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        let Some(path) = &self.path else {
            return look(&lock(&self.writer));
        };
        let idle = lock(&self.readers).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let connection = Connection::open(path)?;
                prepare(&connection)?;
                connection
            }
        };
        let value = look(&connection);
        let mut readers = lock(&self.readers);
        if readers.len() < MOST_READERS {
            readers.push(connection);
        }
        value
    }
}

/// A poisoned lock means another thread panicked between two statements; SQLite has undone its transaction, so going on is safe.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn prepare(connection: &Connection) -> Result<(), Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// `created` is in milliseconds since 1970 and orders lists; `body` is the API document.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS document (
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    created INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS document_by_time ON document (kind, created);
";

/// Stores a document, replacing one of the same kind and id (whose `created` it keeps).
///
/// # Errors
/// The database refuses.
pub fn put(connection: &Connection, kind: &str, id: &str, created: i64, body: &Value) -> Result<(), Error> {
    connection
        .prepare_cached(
            "INSERT INTO document (kind, id, created, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
        )?
        .execute(params![kind, id, created, body.to_string()])?;
    Ok(())
}

/// The document of that kind and id, if there is one.
///
/// # Errors
/// The database refuses, or the stored text is not JSON.
pub fn get(connection: &Connection, kind: &str, id: &str) -> Result<Option<Value>, Error> {
    connection
        .prepare_cached("SELECT body FROM document WHERE kind = ?1 AND id = ?2")?
        .query_row(params![kind, id], |row| row.get::<_, Value>(0))
        .optional()
}

/// All documents of a kind, oldest first.
///
/// # Errors
/// The database refuses, or a stored text is not JSON.
pub fn list(connection: &Connection, kind: &str) -> Result<Vec<Value>, Error> {
    connection
        .prepare_cached("SELECT body FROM document WHERE kind = ?1 ORDER BY created, id")?
        .query_map(params![kind], |row| row.get::<_, Value>(0))?
        .collect()
}

/// Deletes a document; `false` when there was none.
///
/// # Errors
/// The database refuses.
pub fn delete(connection: &Connection, kind: &str, id: &str) -> Result<bool, Error> {
    let rows = connection.prepare_cached("DELETE FROM document WHERE kind = ?1 AND id = ?2")?.execute(params![kind, id])?;
    Ok(rows > 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Error, State, delete, get, list, put};

    #[test]
    fn a_failed_change_is_undone() -> Result<(), Error> {
        let state = State::in_memory()?;
        let failed: Result<(), Error> = state.write(|transaction| {
            put(transaction, "job", "1", 1, &json!({"a": 1}))?;
            Err(Error::QueryReturnedNoRows)
        });
        assert!(failed.is_err());
        assert_eq!(state.read(|connection| get(connection, "job", "1"))?, None);
        Ok(())
    }

    #[test]
    fn documents_survive_reopening_in_their_order() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("state.sqlite");
        let state = State::open(&path)?;
        state.write(|transaction| {
            put(transaction, "job", "b", 1, &json!({"name": "first"}))?;
            put(transaction, "job", "a", 2, &json!({"name": "second"}))?;
            put(transaction, "job", "b", 9, &json!({"name": "first, changed"}))
        })?;
        drop(state);
        let state = State::open(&path)?;
        let names = state.read(|connection| list(connection, "job"))?;
        assert_eq!(names, [json!({"name": "first, changed"}), json!({"name": "second"})]);
        assert!(state.write(|transaction| delete(transaction, "job", "a"))?);
        assert!(!state.write(|transaction| delete(transaction, "job", "a"))?);
        Ok(())
    }
}
