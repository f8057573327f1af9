//! Rows and files together: what is acknowledged is whole, at any moment the process may be killed.
//!
//! A new object: its file is renamed into place, then its row is committed; killed in between, an unreferenced file is left.
//! An object that is replaced: an intent (the new row and the name of the temporary file) is committed first, then the rename,
//! then the row; at the next start the presence of the temporary file tells which side of the rename was reached.
//! Deleting: the row first, then the file. All three hold the key's lock, so readers see a row and its file together.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rusqlite::Transaction;
use s3s::S3ErrorCode;
use time::OffsetDateTime;

use super::conditions::WriteConditions;
use super::digest::CRC64;
use super::error::{Error, Failure};
use super::files::{Files, TempFile};
use super::index::{self, Bucket, Object};
use super::upload_index;
use crate::platform::state::State;

/// Keys share this many locks; more than requests that run at once on a small machine.
const STRIPES: usize = 256;

/// The store: index, files and the locks that keep them together.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) files: Files,
    pub(super) state: Arc<State>,
    pub(super) region: String,
    keys: Vec<RwLock<()>>,
    /// Held while bytes are appended, which may take long: readers and other writers of the key go on meanwhile.
    appends: Vec<Mutex<()>>,
    /// Held for reading while something is put into a bucket, for writing while a bucket comes or goes.
    buckets: RwLock<()>,
    /// Uploads that are being completed or aborted at this moment.
    ending: Mutex<HashSet<String>>,
}

/// The right to end an upload; given back when dropped.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    store: &'a Store,
    upload: String,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.store.ending.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.upload);
    }
}

impl Store {
    /// Opens the folder, makes the tables and finishes or undoes what a killed process left.
    ///
    /// # Errors
    /// Folder or index cannot be used.
    pub(super) fn open(root: &Path, state: Arc<State>, region: &str) -> Result<Self, Error> {
        let files = Files::open(root)?;
        state.write(|transaction| {
            transaction.execute_batch(index::SCHEMA)?;
            transaction.execute_batch(upload_index::SCHEMA)
        })?;
        let store = Self {
            files,
            state,
            region: region.to_owned(),
            keys: (0..STRIPES).map(|_| RwLock::default()).collect(),
            appends: (0..STRIPES).map(|_| Mutex::default()).collect(),
            buckets: RwLock::default(),
            ending: Mutex::default(),
        };
        store.reconcile().map_err(|failure| match failure {
            Failure::Index(source) => Error::Index(source),
            other => Error::Folder { path: root.to_owned(), source: std::io::Error::other(other) },
        })?;
        Ok(store)
    }

    fn reconcile(&self) -> Result<(), Failure> {
        for intent in self.state.read(index::intents)? {
            let renamed = !self.files.has_temp(&intent.temp) && self.is_unchanged(&intent.object);
            self.state.write(|transaction| {
                if renamed {
                    index::put_object(transaction, &intent.bucket, &intent.key, &intent.object)?;
                }
                index::delete_intent(transaction, &intent.temp)
            })?;
        }
        self.files.clear_incoming()?;
        self.files.clear_uploads(|id| self.state.read(|connection| upload_index::exists(connection, id)).unwrap_or(true))?;
        Ok(())
    }

    fn is_unchanged(&self, object: &Object) -> bool {
        File::open(self.files.absolute(&object.detail.path)).is_ok_and(|file| matches!(is_whole(object, &file), Ok(true)))
    }

    /// Moves `temp` to where the object belongs and commits its row, if `conditions` hold. `object` needs no path and no file
    /// time. `also` runs in the same transaction as the row.
    ///
    /// # Errors
    /// `NoSuchBucket`, a condition, or what `also` returns.
    pub(super) fn commit(
        &self,
        bucket: &str,
        key: &str,
        temp: &TempFile,
        mut object: Object,
        conditions: &WriteConditions,
        also: impl FnOnce(&Transaction<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        object.detail.file_time = file_time(&std::fs::metadata(temp.path())?);
        let _buckets = read(&self.buckets);
        let _key = write(self.key_lock(bucket, key));
        let existing = self.existing(bucket, key)?;
        conditions.check(existing.as_ref())?;
        if let Some(existing) = &existing {
            object.detail.path.clone_from(&existing.detail.path);
            self.state.write(|transaction| index::put_intent(transaction, temp.name(), bucket, key, &object))?;
            if let Err(error) = self.files.place(temp, &object.detail.path) {
                self.state.write(|transaction| index::delete_intent(transaction, temp.name()))?;
                return Err(error.into());
            }
        } else {
            object.detail.path = self.files.place_new(temp, bucket, key)?;
        }
        self.state.write(|transaction| {
            index::put_object(transaction, bucket, key, &object)?;
            if existing.is_some() {
                index::delete_intent(transaction, temp.name())?;
            }
            also(transaction)
        })
    }

    /// Replaces the row of an object whose file stays, under the key's lock: `change` gets the row and returns the new one.
    /// The bucket cannot go meanwhile: it is not empty.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchKey`, or what `change` returns.
    pub(super) fn update(
        &self,
        bucket: &str,
        key: &str,
        change: impl FnOnce(Object) -> Result<Object, Failure>,
    ) -> Result<Object, Failure> {
        let _key = write(self.key_lock(bucket, key));
        let object = change(self.object(bucket, key)?)?;
        self.state.write(|transaction| index::put_object(transaction, bucket, key, &object))?;
        Ok(object)
    }

    /// The row, if there is one.
    fn existing(&self, bucket: &str, key: &str) -> Result<Option<Object>, Failure> {
        self.state.read(|connection| match index::object(connection, bucket, key)? {
            None if index::bucket(connection, bucket)?.is_none() => Err(S3ErrorCode::NoSuchBucket.into()),
            found => Ok(found),
        })
    }

    /// The row of an object.
    ///
    /// # Errors
    /// `NoSuchBucket` or `NoSuchKey`.
    pub(super) fn object(&self, bucket: &str, key: &str) -> Result<Object, Failure> {
        self.existing(bucket, key)?.ok_or_else(|| S3ErrorCode::NoSuchKey.into())
    }

    /// The row of an object and its open file, which belong together whatever happens to the key later.
    ///
    /// # Errors
    /// `NoSuchBucket`, `NoSuchKey`, or an internal error when the file was changed by somebody else.
    pub(super) fn open_object(&self, bucket: &str, key: &str) -> Result<(Object, File), Failure> {
        let (object, file) = {
            let _key = read(self.key_lock(bucket, key));
            let object = self.object(bucket, key)?;
            let file = File::open(self.files.absolute(&object.detail.path))?;
            (object, file)
        };
        if !is_whole(&object, &file)? {
            self.accept(bucket, key, &object, &file)?;
        }
        Ok((object, file))
    }

    /// The right to append to a key, which one request has at a time. Waits; not for threads that serve others.
    pub(super) fn appending(&self, bucket: &str, key: &str) -> MutexGuard<'_, ()> {
        self.appends[stripe(bucket, key)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row of an object, if there is one, and its file, open for writing. A file of that name that comes later is another.
    ///
    /// # Errors
    /// `NoSuchBucket`, or the file cannot be opened.
    pub(super) fn open_for_append(&self, bucket: &str, key: &str) -> Result<Option<(Object, File)>, Failure> {
        let _key = read(self.key_lock(bucket, key));
        let Some(object) = self.existing(bucket, key)? else { return Ok(None) };
        let file = File::options().write(true).open(self.files.absolute(&object.detail.path))?;
        Ok(Some((object, file)))
    }

    /// Takes a file whose time differs but whose bytes are right, as after the folder was copied, for what it is.
    fn accept(&self, bucket: &str, key: &str, object: &Object, file: &File) -> Result<(), Failure> {
        let metadata = file.metadata()?;
        let right = i64::try_from(metadata.len()) == Ok(object.summary.size) && Some(checksum(file)?) == object.detail.crc64;
        if !right {
            return Err(Failure::answer(
                S3ErrorCode::InternalError,
                format!("The file {} was changed by another program; upload the object again.", object.detail.path),
            ));
        }
        self.update(bucket, key, |mut row| {
            if row == *object {
                row.detail.file_time = file_time(&metadata);
            }
            Ok(row)
        })?;
        Ok(())
    }

    /// Deletes an object; no error when there is none.
    ///
    /// # Errors
    /// `NoSuchBucket`, or `PreconditionFailed`.
    pub(super) fn delete(&self, bucket: &str, key: &str, conditions: &WriteConditions) -> Result<(), Failure> {
        let _key = write(self.key_lock(bucket, key));
        let Some(object) = self.existing(bucket, key)? else { return Ok(()) };
        conditions.check(Some(&object))?;
        self.state.write(|transaction| index::delete_object(transaction, bucket, key))?;
        self.files.remove(&object.detail.path);
        Ok(())
    }

    /// The bucket.
    ///
    /// # Errors
    /// `NoSuchBucket`.
    pub(super) fn bucket(&self, name: &str) -> Result<Bucket, Failure> {
        self.state.read(|connection| index::bucket(connection, name))?.ok_or_else(|| S3ErrorCode::NoSuchBucket.into())
    }

    /// Makes a bucket; `false` when it exists already.
    ///
    /// # Errors
    /// Its folder cannot be made.
    pub(super) fn create_bucket(&self, bucket: &Bucket) -> Result<bool, Failure> {
        let _buckets = write(&self.buckets);
        if self.state.read(|connection| index::bucket(connection, &bucket.name))?.is_some() {
            return Ok(false);
        }
        self.files.create_bucket(&bucket.name)?;
        self.state.write(|transaction| index::put_bucket(transaction, bucket))?;
        Ok(true)
    }

    /// Deletes an empty bucket with its unfinished uploads.
    ///
    /// # Errors
    /// `NoSuchBucket`, `BucketNotEmpty`.
    pub(super) fn delete_bucket(&self, name: &str) -> Result<(), Failure> {
        let _buckets = write(&self.buckets);
        self.bucket(name)?;
        let uploads = self.state.write(|transaction| {
            if !index::is_empty(transaction, name)? {
                return Err(Failure::from(S3ErrorCode::BucketNotEmpty));
            }
            let uploads = upload_index::uploads(transaction, name)?;
            for upload in &uploads {
                upload_index::delete_upload(transaction, &upload.id)?;
            }
            index::delete_bucket(transaction, name)?;
            Ok(uploads)
        })?;
        for upload in uploads {
            self.files.remove_upload(&upload.id);
        }
        self.files.remove_bucket(name);
        Ok(())
    }

    /// Makes sure that only one request ends an upload.
    ///
    /// # Errors
    /// `OperationAborted` while another one does.
    pub(super) fn claim(&self, upload: &str) -> Result<Claim<'_>, Failure> {
        if !self.ending.lock().unwrap_or_else(PoisonError::into_inner).insert(upload.to_owned()) {
            return Err(Failure::answer(S3ErrorCode::OperationAborted, "Another request is ending this upload; try again."));
        }
        Ok(Claim { store: self, upload: upload.to_owned() })
    }

    fn key_lock(&self, bucket: &str, key: &str) -> &RwLock<()> {
        &self.keys[stripe(bucket, key)]
    }
}

/// The locks of a key.
fn stripe(bucket: &str, key: &str) -> usize {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((bucket, key));
    usize::try_from(hash % STRIPES as u64).expect("a remainder below 256 fits")
}

/// Whether the file still is what the row says, as far as its size and time tell.
fn is_whole(object: &Object, file: &File) -> Result<bool, Failure> {
    let metadata = file.metadata()?;
    let size = i64::try_from(metadata.len()).unwrap_or(i64::MAX);
    if object.detail.appends > 0 {
        // An append that was not finished leaves bytes behind the end.
        return Ok(size >= object.summary.size);
    }
    Ok(size == object.summary.size && file_time(&metadata) == object.detail.file_time)
}

/// The CRC-64 of a file.
fn checksum(mut file: &File) -> Result<u64, Failure> {
    let mut digest = crc_fast::Digest::new(CRC64);
    let mut block = vec![0; 1024 * 1024];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(digest.finalize()),
            read => digest.update(&block[..read]),
        }
    }
}

fn file_time(metadata: &std::fs::Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}

/// Now, in milliseconds since 1970.
pub(super) fn now() -> i64 {
    i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

// The locks guard no data of their own, so a poisoned one is as good as any.
fn read(lock: &RwLock<()>) -> RwLockReadGuard<'_, ()> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(lock: &RwLock<()>) -> RwLockWriteGuard<'_, ()> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
