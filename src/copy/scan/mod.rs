//! Finding what there is to copy: walks a folder or lists a prefix into a bounded channel, so that memory does not grow with
//! the number of files. What the selection leaves, and what is at the destination already, stays out.

pub mod copies;
pub mod folder;
pub mod listing;
pub mod names;
pub mod outbox;
pub mod placing;
pub mod upload;
pub mod walk;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinHandle;

pub use copies::copies;
pub use listing::download;
pub use outbox::{BATCH, NobodyListens, Outbox, WAITING};
pub use upload::upload;

use crate::copy::error::Error;
use crate::copy::options::Options;
use crate::copy::rate::Rate;
use crate::copy::select::Selection;
use crate::copy::summary::Summary;
use crate::copy::update::Doubt;
use crate::obs::list::{Entry, Listing, Page};
use crate::obs::{self, Client};

/// Something to copy. Names are relative to what is copied, with `/` between their parts.
#[derive(Debug)]
pub enum Item {
    /// A local file.
    LocalFile {
        /// Its name.
        name: String,
        /// Where it is.
        path: PathBuf,
        /// Its size in bytes when it was found.
        size: u64,
        /// Why it is copied.
        reason: &'static str,
        /// It is copied only if the object's metadata does not say that it need not be.
        doubt: Option<Doubt>,
    },
    /// A local folder with nothing in it; empty name: the source itself.
    LocalFolder {
        /// Its name.
        name: String,
    },
    /// An object.
    Object {
        /// Its name.
        name: String,
        /// As it was listed.
        entry: Entry,
        /// Why it is copied.
        reason: &'static str,
        /// It is copied only if its metadata does not say that it need not be.
        doubt: Option<Doubt>,
    },
    /// An object that stands for a folder; empty name: the destination itself.
    Marker {
        /// Its name.
        name: String,
        /// Its key, relative to the source.
        key: String,
    },
    /// Something that cannot be copied.
    Refused {
        /// Its name.
        name: String,
        /// Why.
        error: Error,
    },
    /// So many files need not be copied.
    Skipped {
        /// How many.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
}

/// What a scan needs beside source and destination.
#[derive(Clone, Debug)]
pub struct Context {
    /// The store.
    pub client: Client,
    /// What is copied, and what is left.
    pub selection: Arc<Selection>,
    /// Size of the parts of large files, if one was asked for.
    pub part_size: Option<u64>,
    /// Requests in flight at most.
    pub jobs: usize,
    /// Limit of the requests per second.
    pub requests: Option<Arc<Rate>>,
}

impl Context {
    /// For a copy with these options, with a limit of requests of its own.
    pub fn new(client: &Client, options: &Options) -> Self {
        let selection = Arc::clone(&options.selection);
        let requests = options.limit_requests.map(|limit| Arc::new(Rate::new(limit.get().into())));
        Self { client: client.clone(), selection, part_size: options.part_size, jobs: options.jobs, requests }
    }

    /// Waits until a request may be made.
    pub async fn take_request(&self) {
        if let Some(requests) = &self.requests {
            requests.take(1).await;
        }
    }

    /// The next page of a listing.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn next_page(&self, listing: &mut Listing) -> Result<Option<Page>, obs::Error> {
        self.take_request().await;
        listing.next_page().await
    }
}

/// The summary of a copy, if its scan ended well too.
///
/// # Errors
/// Those of the copy, else those of the scan.
pub async fn finished(scan: JoinHandle<Result<(), Error>>, summary: Result<Summary, Error>) -> Result<Summary, Error> {
    if summary.is_err() {
        // It may wait for an answer that never comes.
        scan.abort();
    }
    let scanned = match scan.await {
        Ok(scanned) => scanned,
        Err(error) => Err(Error::local("look for files in", "", std::io::Error::other(error))),
    };
    summary.and_then(|summary| scanned.map(|()| summary))
}
