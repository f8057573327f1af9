//! Finds what to copy inside the store: lists a prefix, beside a listing of the destination.

use std::io;
use std::sync::Arc;

use tokio::sync::mpsc::{Sender, channel};

use crate::copy::error::Error;
use crate::copy::scan::upload::{PAGES, feed};
use crate::copy::scan::{Context, Item, Outbox};
use crate::copy::select::{Existing, Seen, Selection};
use crate::copy::update::remote::Remote;
use crate::copy::update::{self, Verdict, Version, etag};
use crate::obs::ObsUrl;
use crate::obs::list::Entry;

/// Finds what below a prefix goes below another; every key has a place in a store. Ends early when nobody listens any more.
///
/// # Errors
/// [`Error::Store`] when a listing fails, [`Error::NoSource`] when nothing begins with the prefix, [`Error::Plan`] for names from
/// a list.
pub async fn copies(context: Context, source: ObsUrl, destination: ObsUrl, items: Sender<Vec<Item>>) -> Result<(), Error> {
    let selection = Arc::clone(&context.selection);
    let (sender, pages) = channel(PAGES);
    let compares = selection.existing != Existing::Replace;
    let remote = compares.then(|| Remote::new(pages, destination.key.len(), true));
    let outbox = Outbox::new(items, &selection);
    let copies = Copies { outbox, remote, prefix: source.key.clone(), selection };
    let feeding = async {
        if compares {
            feed(&context, &destination, sender).await;
        }
    };
    tokio::join!(feeding, list(&context, &source, copies)).1
}

async fn list(context: &Context, source: &ObsUrl, mut copies: Copies) -> Result<(), Error> {
    let mut listing = context.client.list(source, true);
    let mut found = false;
    while let Some(page) = context.next_page(&mut listing).await? {
        found |= !page.entries.is_empty();
        let decided = tokio::task::spawn_blocking(move || {
            for entry in page.entries {
                if copies.take(entry)? && copies.outbox.flush_blocking().is_err() {
                    return Ok(None);
                }
            }
            Ok::<_, Error>(Some(copies))
        });
        let decided = decided.await.map_err(|error| Error::local("compare", "", io::Error::other(error)))?;
        let Some(next) = decided? else { return Ok(()) };
        copies = next;
    }
    if copies.outbox.flush().await.is_err() {
        return Ok(());
    }
    // An empty bucket is an empty folder; an empty prefix is nothing at all.
    if found || source.key.is_empty() { Ok(()) } else { Err(Error::NoSource(source.to_string())) }
}

struct Copies {
    outbox: Outbox,
    remote: Option<Remote>,
    prefix: String,
    selection: Arc<Selection>,
}

impl Copies {
    /// Decides about an object; true when the outbox should be flushed.
    fn take(&mut self, entry: Entry) -> Result<bool, Error> {
        let Some(name) = entry.key.strip_prefix(&self.prefix) else { return Ok(false) };
        // The folder's own marker comes along only under another name.
        if name.is_empty() {
            return Ok(false);
        }
        let folder = name.strip_suffix('/');
        self.outbox.saw(|| folder.map_or_else(|| Seen::file(name), Seen::folder));
        if !folder.map_or_else(|| self.selection.takes(name), |folder| self.selection.takes_folder(folder)) {
            return Ok(false);
        }
        let known = match &mut self.remote {
            Some(remote) => remote.find(name)?,
            None => None,
        };
        let modified = entry.modified.map_or(i64::MIN, time::OffsetDateTime::unix_timestamp);
        let version = Version { size: entry.size, modified };
        let same = || etag::same(&entry.etag, &known.as_ref()?.etag);
        let target = known.as_ref().map(|known| known.version);
        let verdict = match update::compare(self.selection.existing, version, target, same) {
            // No file is involved.
            Verdict::Doubt(doubt) => doubt.listed(),
            verdict => verdict,
        };
        Ok(match verdict {
            Verdict::Leave(reason) => self.outbox.skip(name, entry.size, reason),
            Verdict::Copy(reason) => self.outbox.push(Item::Object { name: name.to_owned(), entry, reason, doubt: None }),
            Verdict::Doubt(_) => false,
        })
    }
}
