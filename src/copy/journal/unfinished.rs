//! What earlier copies left unfinished: listed, and given up.

use std::path::Path;

use crate::copy::error::Error;
use crate::copy::journal::{Head, Journals, Version};
use crate::copy::meter::blocking;
use crate::copy::partial;
use crate::obs::{Client, ObsUrl};

/// A transfer that has begun and not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Its short name, the same on every run.
    pub id: String,
    /// What is copied from where to where, and since when.
    pub head: Head,
    /// Bytes of parts that are noted as finished.
    pub done: u64,
    /// A live process carries it out.
    pub is_running: bool,
}

/// What became of a transfer that was to be given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discarded {
    /// Nothing is left of it, neither here nor at the store.
    Gone,
    /// A live process carries it out; nothing was touched.
    Running,
    /// It belongs to another store than the client's; nothing was touched.
    Elsewhere,
}

/// Unfinished transfers, the oldest first.
///
/// # Errors
/// [`Error::Local`] when the folder of the journals cannot be read; one that does not exist is empty.
pub fn unfinished(folder: &Path) -> Result<Vec<Unfinished>, Error> {
    let listed = Journals::new(folder).list().map_err(|error| Error::local("read", folder, error))?;
    let unfinished = listed.into_iter().map(|(id, record, is_running)| {
        let done = record.done();
        Unfinished { id, head: record.head, done, is_running }
    });
    Ok(unfinished.collect())
}

/// Gives a transfer up: the upload is aborted at the store, the partial file of a download is removed, then the journal.
///
/// # Errors
/// Whatever the store or this machine refused; the transfer then stays listed.
pub async fn discard(client: &Client, folder: &Path, unfinished: &Unfinished) -> Result<Discarded, Error> {
    let Head { identity, version, .. } = &unfinished.head;
    if matches!(version, Version::File { .. }) && identity.endpoint != client.endpoint() {
        return Ok(Discarded::Elsewhere);
    }
    let (journals, path, wanted) = (Journals::new(folder), folder.to_owned(), identity.clone());
    let slot = blocking(move || journals.slot(&wanted).map_err(|error| Error::local("open", path, error))).await?;
    let Some(slot) = slot else { return Ok(Discarded::Running) };
    // As it is now: since it was listed another process may have begun it anew.
    if let Some(previous) = slot.previous() {
        match &previous.head.version {
            Version::File { upload, .. } => {
                client.abort_multipart(&ObsUrl::new(identity.bucket.clone(), identity.key.clone()), upload).await?;
            }
            Version::Object { etag } => partial::discard(&identity.path, etag)?,
        }
    }
    slot.remove();
    Ok(Discarded::Gone)
}
