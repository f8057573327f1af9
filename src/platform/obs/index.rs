//! The index of buckets and objects: tables in the platform's state file.
//!
//! Keys are stored as bytes, so that SQLite orders them as S3 does and a prefix is a range.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use super::content::{Content, Sums};
use super::error::Failure;

/// Run whenever the store is opened.
pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS obs_bucket (
    name          TEXT NOT NULL PRIMARY KEY,
    created       INTEGER NOT NULL,
    storage_class TEXT NOT NULL,
    acl           TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS obs_object (
    bucket        TEXT NOT NULL,
    key           BLOB NOT NULL,
    size          INTEGER NOT NULL,
    modified      INTEGER NOT NULL,
    etag          TEXT NOT NULL,
    storage_class TEXT NOT NULL,
    detail        TEXT NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS obs_intent (
    temp   TEXT NOT NULL PRIMARY KEY,
    bucket TEXT NOT NULL,
    key    BLOB NOT NULL,
    object TEXT NOT NULL
) WITHOUT ROWID;
";

/// A bucket. Times are in milliseconds since 1970.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub(super) name: String,
    pub(super) created: i64,
    pub(super) storage_class: String,
    /// A canned ACL, such as `private`.
    pub(super) acl: String,
}

/// What a list shows of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Summary {
    /// In bytes.
    pub(super) size: i64,
    /// In milliseconds since 1970.
    pub(super) modified: i64,
    /// Without quotes.
    pub(super) etag: String,
    /// In the words of AWS.
    pub(super) storage_class: String,
}

/// The rest of an object's row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Detail {
    /// Where the bytes are, below the store's folder.
    pub(super) path: String,
    /// When the file was last written, in nanoseconds since 1970: tells whether somebody changed it behind our back.
    pub(super) file_time: i64,
    /// CRC-64/XZ of all bytes.
    pub(super) crc64: Option<u64>,
    pub(super) acl: String,
    /// Number of appends that made the object; 0 for an ordinary one.
    #[serde(default)]
    pub(super) appends: u32,
    pub(super) content: Content,
    pub(super) sums: Sums,
}

/// An object's row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Object {
    pub(super) summary: Summary,
    pub(super) detail: Detail,
}

/// An overwrite that was about to be made when the row was written.
#[derive(Debug)]
pub(super) struct Intent {
    pub(super) temp: String,
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) object: Object,
}

pub(super) fn bucket(connection: &Connection, name: &str) -> Result<Option<Bucket>, Failure> {
    let found = connection
        .prepare_cached("SELECT name, created, storage_class, acl FROM obs_bucket WHERE name = ?1")?
        .query_row(params![name], bucket_row)
        .optional()?;
    Ok(found)
}

pub(super) fn buckets(connection: &Connection) -> Result<Vec<Bucket>, Failure> {
    let mut statement = connection.prepare_cached("SELECT name, created, storage_class, acl FROM obs_bucket ORDER BY name")?;
    let rows = statement.query_map([], bucket_row)?.collect::<Result<_, _>>()?;
    Ok(rows)
}

fn bucket_row(row: &Row<'_>) -> rusqlite::Result<Bucket> {
    Ok(Bucket { name: row.get(0)?, created: row.get(1)?, storage_class: row.get(2)?, acl: row.get(3)? })
}

pub(super) fn put_bucket(connection: &Connection, bucket: &Bucket) -> Result<(), Failure> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO obs_bucket (name, created, storage_class, acl) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![bucket.name, bucket.created, bucket.storage_class, bucket.acl])?;
    Ok(())
}

pub(super) fn delete_bucket(connection: &Connection, name: &str) -> Result<(), Failure> {
    connection.prepare_cached("DELETE FROM obs_bucket WHERE name = ?1")?.execute(params![name])?;
    Ok(())
}

pub(super) fn is_empty(connection: &Connection, bucket: &str) -> Result<bool, Failure> {
    let found: Option<i64> = connection
        .prepare_cached("SELECT 1 FROM obs_object WHERE bucket = ?1 LIMIT 1")?
        .query_row(params![bucket], |row| row.get(0))
        .optional()?;
    Ok(found.is_none())
}

pub(super) fn object(connection: &Connection, bucket: &str, key: &str) -> Result<Option<Object>, Failure> {
    let found = connection
        .prepare_cached("SELECT size, modified, etag, storage_class, detail FROM obs_object WHERE bucket = ?1 AND key = ?2")?
        .query_row(params![bucket, key.as_bytes()], |row| {
            let summary = Summary { size: row.get(0)?, modified: row.get(1)?, etag: row.get(2)?, storage_class: row.get(3)? };
            Ok((summary, row.get::<_, String>(4)?))
        })
        .optional()?;
    let Some((summary, detail)) = found else { return Ok(None) };
    Ok(Some(Object { summary, detail: serde_json::from_str(&detail)? }))
}

pub(super) fn put_object(connection: &Connection, bucket: &str, key: &str, object: &Object) -> Result<(), Failure> {
    let Summary { size, modified, etag, storage_class } = &object.summary;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO obs_object (bucket, key, size, modified, etag, storage_class, detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            bucket,
            key.as_bytes(),
            size,
            modified,
            etag,
            storage_class,
            serde_json::to_string(&object.detail)?
        ])?;
    Ok(())
}

pub(super) fn delete_object(connection: &Connection, bucket: &str, key: &str) -> Result<(), Failure> {
    connection
        .prepare_cached("DELETE FROM obs_object WHERE bucket = ?1 AND key = ?2")?
        .execute(params![bucket, key.as_bytes()])?;
    Ok(())
}

/// After all keys: UTF-8 has no byte 0xFF.
pub(super) const END: &[u8] = &[0xFF];

/// Both bounds stand alone, so that SQLite reads no further than the last row that is wanted.
const SCAN: &str = "SELECT key, size, modified, etag, storage_class FROM obs_object
    WHERE bucket = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4";

/// Objects with `from <= key < until` in order, at most `limit`. Keys that are not UTF-8 cannot be in the table.
pub(super) fn scan(
    connection: &Connection,
    bucket: &str,
    from: &[u8],
    until: &[u8],
    limit: usize,
) -> Result<Vec<(String, Summary)>, Failure> {
    let mut statement = connection.prepare_cached(SCAN)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![bucket, from, until, limit], |row| {
        let key: Vec<u8> = row.get(0)?;
        let summary = Summary { size: row.get(1)?, modified: row.get(2)?, etag: row.get(3)?, storage_class: row.get(4)? };
        Ok((String::from_utf8_lossy(&key).into_owned(), summary))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn put_intent(connection: &Connection, temp: &str, bucket: &str, key: &str, object: &Object) -> Result<(), Failure> {
    connection
        .prepare_cached("INSERT INTO obs_intent (temp, bucket, key, object) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![temp, bucket, key.as_bytes(), serde_json::to_string(object)?])?;
    Ok(())
}

pub(super) fn delete_intent(connection: &Connection, temp: &str) -> Result<(), Failure> {
    connection.prepare_cached("DELETE FROM obs_intent WHERE temp = ?1")?.execute(params![temp])?;
    Ok(())
}

pub(super) fn intents(connection: &Connection) -> Result<Vec<Intent>, Failure> {
    let mut statement = connection.prepare("SELECT temp, bucket, key, object FROM obs_intent")?;
    let mut rows = statement.query([])?;
    let mut intents = Vec::new();
    while let Some(row) = rows.next()? {
        let key: Vec<u8> = row.get(2)?;
        intents.push(Intent {
            temp: row.get(0)?,
            bucket: row.get(1)?,
            key: String::from_utf8_lossy(&key).into_owned(),
            object: serde_json::from_str(&row.get::<_, String>(3)?)?,
        });
    }
    Ok(intents)
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, params};

    use super::{END, SCAN, SCHEMA};

    #[test]
    fn a_scan_is_bounded_on_both_sides() -> rusqlite::Result<()> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(SCHEMA)?;
        let plan: String = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {SCAN}"))?
            .query_row(params!["bucket", b"a", END, 3], |row| row.get("detail"))?;
        assert!(plan.contains("bucket=? AND key>? AND key<?"), "{plan}");
        Ok(())
    }
}
