//! The index of multipart uploads and their parts.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use super::content::{Content, Sums};
use super::error::Failure;

/// Run whenever the store is opened.
pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS obs_upload (
    id      TEXT NOT NULL PRIMARY KEY,
    bucket  TEXT NOT NULL,
    key     BLOB NOT NULL,
    created INTEGER NOT NULL,
    detail  TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS obs_upload_by_key ON obs_upload (bucket, key, id);
CREATE TABLE IF NOT EXISTS obs_part (
    upload   TEXT NOT NULL,
    number   INTEGER NOT NULL,
    path     TEXT NOT NULL,
    size     INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    etag     TEXT NOT NULL,
    crc64    TEXT NOT NULL,
    sums     TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID;
";

/// What an upload was begun with.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct UploadDetail {
    pub(super) storage_class: String,
    pub(super) acl: String,
    pub(super) content: Content,
    /// The checksum the client wants on each part, such as `CRC32`.
    pub(super) algorithm: Option<String>,
}

/// An upload under way.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) id: String,
    pub(super) key: String,
    /// In milliseconds since 1970.
    pub(super) created: i64,
    pub(super) detail: UploadDetail,
}

/// A part that has arrived.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) number: i32,
    /// Below the store's folder.
    pub(super) path: String,
    pub(super) size: i64,
    /// In milliseconds since 1970.
    pub(super) modified: i64,
    /// MD5 in hex.
    pub(super) etag: String,
    pub(super) crc64: u64,
    pub(super) sums: Sums,
}

pub(super) fn put_upload(connection: &Connection, bucket: &str, upload: &Upload) -> Result<(), Failure> {
    connection
        .prepare_cached("INSERT INTO obs_upload (id, bucket, key, created, detail) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![upload.id, bucket, upload.key.as_bytes(), upload.created, serde_json::to_string(&upload.detail)?])?;
    Ok(())
}

/// The upload, if it is one to that object.
pub(super) fn upload(connection: &Connection, bucket: &str, key: &str, id: &str) -> Result<Option<Upload>, Failure> {
    let found = connection
        .prepare_cached("SELECT created, detail FROM obs_upload WHERE id = ?1 AND bucket = ?2 AND key = ?3")?
        .query_row(params![id, bucket, key.as_bytes()], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    let Some((created, detail)) = found else { return Ok(None) };
    Ok(Some(Upload { id: id.to_owned(), key: key.to_owned(), created, detail: serde_json::from_str(&detail)? }))
}

/// Whether any upload has that id.
pub(super) fn exists(connection: &Connection, id: &str) -> Result<bool, Failure> {
    let found: Option<i64> = connection
        .prepare_cached("SELECT 1 FROM obs_upload WHERE id = ?1")?
        .query_row(params![id], |row| row.get(0))
        .optional()?;
    Ok(found.is_some())
}

/// Forgets the upload and its parts; `false` when there was none.
pub(super) fn delete_upload(connection: &Connection, id: &str) -> Result<bool, Failure> {
    connection.prepare_cached("DELETE FROM obs_part WHERE upload = ?1")?.execute(params![id])?;
    Ok(connection.prepare_cached("DELETE FROM obs_upload WHERE id = ?1")?.execute(params![id])? > 0)
}

/// All uploads of a bucket.
pub(super) fn uploads(connection: &Connection, bucket: &str) -> Result<Vec<Upload>, Failure> {
    let mut statement =
        connection.prepare_cached("SELECT id, key, created, detail FROM obs_upload WHERE bucket = ?1 ORDER BY key, id")?;
    let mut rows = statement.query(params![bucket])?;
    let mut uploads = Vec::new();
    while let Some(row) = rows.next()? {
        let key: Vec<u8> = row.get(1)?;
        uploads.push(Upload {
            id: row.get(0)?,
            key: String::from_utf8_lossy(&key).into_owned(),
            created: row.get(2)?,
            detail: serde_json::from_str(&row.get::<_, String>(3)?)?,
        });
    }
    Ok(uploads)
}

/// Stores a part and returns the path of the one it replaces.
pub(super) fn put_part(connection: &Connection, upload: &str, part: &Part) -> Result<Option<String>, Failure> {
    let replaced = connection
        .prepare_cached("SELECT path FROM obs_part WHERE upload = ?1 AND number = ?2")?
        .query_row(params![upload, part.number], |row| row.get(0))
        .optional()?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO obs_part (upload, number, path, size, modified, etag, crc64, sums)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            upload,
            part.number,
            part.path,
            part.size,
            part.modified,
            part.etag,
            part.crc64.to_string(),
            serde_json::to_string(&part.sums)?
        ])?;
    Ok(replaced)
}

/// Parts with a number above `after`, in order, at most `limit`.
pub(super) fn parts(connection: &Connection, upload: &str, after: i32, limit: usize) -> Result<Vec<Part>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT number, path, size, modified, etag, crc64, sums FROM obs_part
         WHERE upload = ?1 AND number > ?2 ORDER BY number LIMIT ?3",
    )?;
    let mut rows = statement.query(params![upload, after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut parts = Vec::new();
    while let Some(row) = rows.next()? {
        parts.push(part_row(row)?);
    }
    Ok(parts)
}

fn part_row(row: &Row<'_>) -> Result<Part, Failure> {
    Ok(Part {
        number: row.get(0)?,
        path: row.get(1)?,
        size: row.get(2)?,
        modified: row.get(3)?,
        etag: row.get(4)?,
        crc64: row.get::<_, String>(5)?.parse().unwrap_or_default(),
        sums: serde_json::from_str(&row.get::<_, String>(6)?)?,
    })
}
