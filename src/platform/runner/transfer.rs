//! To and from the object store. The only file of the platform that uses the client side's `obs` and `copy`: what a job fetches
//! and keeps goes through the same verified copies as a user's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::auth::{Credential, StaticCredential};
use crate::copy::select::{Names, Selection};
use crate::copy::{self, Plan, Silent};
use crate::obs::{self, ObsUrl};
use crate::platform::runner::Error;
use crate::platform::runner::plan::ObsPlace;

/// Requests in flight of one transfer. Several jobs may transfer at once, on the machine that also serves them.
const REQUESTS: usize = 8;

/// Bytes that one transfer holds in memory.
const MEMORY: u64 = 32 << 20;

/// A client of the platform's object store.
#[derive(Clone, Debug)]
pub struct Transfer {
    client: obs::Client,
}

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
}

/// What a place turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// A folder: its content is in the target folder now.
    Directory,
    /// One object: it is in the target folder under this name.
    File(String),
}

impl Transfer {
    /// A client for an endpoint.
    ///
    /// # Errors
    /// The endpoint is no URL that can be used.
    pub fn new(endpoint: &str, region: &str, credential: Credential) -> Result<Self, Error> {
        let options = obs::Options::new(endpoint, region, Arc::new(StaticCredential::new(credential)));
        let client = obs::Client::new(options).map_err(|error| Error::Transfer(error.to_string()))?;
        Ok(Self { client })
    }

    /// Objects of a folder: all, or the first ones when there are more than `enough` (a page more at most).
    ///
    /// # Errors
    /// The store refuses, or the bucket does not exist.
    pub async fn list(&self, folder: &ObsPlace, enough: usize) -> Result<Vec<Listed>, Error> {
        let mut listing = self.client.list(&url(folder), true);
        let mut objects = Vec::new();
        while objects.len() <= enough
            && let Some(page) = listing.next_page().await.map_err(|error| refused(folder, &error))?
        {
            objects.extend(page.entries.into_iter().map(|entry| Listed { key: entry.key, size: entry.size }));
        }
        Ok(objects)
    }

    /// Whether a folder holds anything.
    ///
    /// # Errors
    /// The store refuses, or the bucket does not exist.
    pub async fn any(&self, folder: &ObsPlace) -> Result<bool, Error> {
        self.client.any(&url(folder)).await.map_err(|error| refused(folder, &error))
    }

    /// Fetches what is at a place into a folder: an object of that key, else what is below it.
    ///
    /// # Errors
    /// Nothing is there, or not all of it could be fetched.
    pub async fn fetch(&self, from: &ObsPlace, to: &Path) -> Result<Fetched, Error> {
        if !from.key.is_empty() && !from.key.ends_with('/') {
            match self.client.head(&url(from)).await {
                Ok(_) => {
                    self.fetch_file(from, &to.join(from.name())).await?;
                    return Ok(Fetched::File(from.name().to_owned()));
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(refused(from, &error)),
            }
        }
        if !self.any(&from.folder()).await? {
            return Err(Error::NothingThere(from.url()));
        }
        self.fetch_directory(from, to).await?;
        Ok(Fetched::Directory)
    }

    /// Fetches what is in a folder of the store into a local one.
    ///
    /// # Errors
    /// Not all of it could be fetched.
    pub async fn fetch_directory(&self, from: &ObsPlace, to: &Path) -> Result<(), Error> {
        fs::create_dir_all(to).map_err(Error::local("cannot create", to))?;
        let plan = Plan::DownloadFolder { source: url(&from.folder()), destination: to.to_owned() };
        self.copy(from, plan, &CancellationToken::new()).await
    }

    /// Fetches one object into a file.
    ///
    /// # Errors
    /// It could not be fetched.
    pub async fn fetch_file(&self, from: &ObsPlace, to: &Path) -> Result<(), Error> {
        let plan = Plan::DownloadFile { source: url(from), destination: to.to_owned() };
        self.copy(from, plan, &CancellationToken::new()).await
    }

    /// Stores what is in a local folder below a place; only the files that a list (each ended by NUL) names, if there is one. To give
    /// it up, cancel and wait: when it is only dropped, parts of large
    /// files stay at the store.
    ///
    /// # Errors
    /// Not all of it could be stored, or it was cancelled.
    pub async fn store_directory(
        &self,
        from: &Path,
        names: Option<PathBuf>,
        to: &ObsPlace,
        cancel: &CancellationToken,
    ) -> Result<(), Error> {
        let plan = Plan::UploadFolder { source: from.to_owned(), destination: url(&to.folder()) };
        let names = names.map(|path| Names { path: Some(path), null: true });
        self.copy_selected(to, plan, Selection { names, ..Selection::default() }, cancel).await
    }

    /// Stores one file as an object. To be given up like [`Transfer::store_directory`].
    ///
    /// # Errors
    /// It could not be stored, or it was cancelled.
    pub async fn store_file(&self, from: &Path, to: &ObsPlace, cancel: &CancellationToken) -> Result<(), Error> {
        self.copy(to, Plan::UploadFile { source: from.to_owned(), destination: url(to) }, cancel).await
    }

    async fn copy(&self, place: &ObsPlace, plan: Plan, cancel: &CancellationToken) -> Result<(), Error> {
        self.copy_selected(place, plan, Selection::default(), cancel).await
    }

    async fn copy_selected(
        &self,
        place: &ObsPlace,
        plan: Plan,
        selection: Selection,
        cancel: &CancellationToken,
    ) -> Result<(), Error> {
        let selection = Arc::new(selection);
        let options = copy::Options { jobs: REQUESTS, memory: MEMORY, selection, ..copy::Options::default() };
        let cancel = cancel.child_token();
        // A transfer that nobody waits for any more ends: the job was stopped, or the platform is.
        let _guard = cancel.clone().drop_guard();
        let copied = copy::copy(&self.client, plan, &options, Arc::new(Silent), &cancel).await;
        let summary = copied.map_err(|error| Error::Transfer(format!("{}: {error}", place.url())))?;
        match summary.failures.first() {
            None if summary.failed == 0 => Ok(()),
            first => {
                let first = first.map(|failure| format!("{}: {}", failure.name, failure.error)).unwrap_or_default();
                Err(Error::Transfer(format!("{}: {} files could not be transferred, {first}", place.url(), summary.failed)))
            }
        }
    }
}

fn url(place: &ObsPlace) -> ObsUrl {
    ObsUrl::new(place.bucket.clone(), place.key.clone())
}

fn refused(place: &ObsPlace, error: &obs::Error) -> Error {
    if error.is_not_found() { Error::NothingThere(place.url()) } else { Error::Transfer(format!("{}: {error}", place.url())) }
}
