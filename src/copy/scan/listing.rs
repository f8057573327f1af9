//! Finds what to download: lists a prefix, or takes names from a list.

use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc::Sender;

use crate::copy::error::Error;
use crate::copy::scan::placing::{self, Places, Placing};
use crate::copy::scan::{Context, Item, names};
use crate::copy::select::{Conflict, Existing, case};
use crate::copy::update::Verdict;
use crate::copy::update::local::Local;
use crate::obs::ObsUrl;
use crate::obs::control::ObjectInfo;
use crate::obs::list::Entry;

/// Conflicts that are named when `--conflict abort` finds any.
const NAMED: usize = 10;

/// Finds what below a prefix goes into a folder. Keys that have no place on a disk are reported as [`Item::Refused`]. Ends early
/// when nobody listens any more.
///
/// # Errors
/// [`Error::Store`] when the listing fails, [`Error::NoSource`] when nothing begins with the prefix, [`Error::Local`] when the
/// list of names or the destination cannot be read, [`Error::Plan`] when there are conflicts and one is too many.
pub async fn download(context: Context, source: ObsUrl, destination: PathBuf, items: Sender<Vec<Item>>) -> Result<(), Error> {
    let mut placing = Placing::new(&context, &source.key, &destination, items)?;
    if let Some(names) = &context.selection.names {
        return names::download(&context, &source, names, placing).await;
    }
    if context.selection.conflict == Conflict::Abort {
        let places = Places::new(Conflict::Fail, case::is_insensitive(&destination));
        abort_on_conflicts(&context, &source, places).await?;
    }
    let mut listing = context.client.list(&source, true);
    let mut found = false;
    while let Some(page) = context.next_page(&mut listing).await? {
        found |= !page.entries.is_empty();
        let Some(next) = decide(placing, page.entries).await? else { return Ok(()) };
        placing = next;
    }
    if placing.outbox.flush().await.is_err() {
        return Ok(());
    }
    // An empty bucket is an empty folder; an empty prefix is nothing at all.
    if found || source.key.is_empty() { Ok(()) } else { Err(Error::NoSource(source.to_string())) }
}

/// Whether one object has to go to that name in a folder.
///
/// # Errors
/// The folder cannot be looked into.
pub fn one(context: &Context, folder: &Path, name: &str, source: &ObsUrl, info: &ObjectInfo) -> Result<Verdict, Error> {
    if context.selection.existing == Existing::Replace {
        return Ok(Verdict::Copy("asked for"));
    }
    let entry = Entry { key: source.key.clone(), size: info.size, etag: info.etag.clone(), modified: info.modified };
    let mut local = Local::open(folder)?;
    Ok(match placing::look(&mut local, name, &entry, context.selection.existing, context.part_size) {
        Verdict::Doubt(doubt) => doubt.down(info),
        verdict => verdict,
    })
}

/// Decides about a page, on another thread if it means to look at the disk. None when nobody listens any more.
async fn decide(mut placing: Placing, entries: Vec<Entry>) -> Result<Option<Placing>, Error> {
    if placing.is_blocking() {
        let decided = tokio::task::spawn_blocking(move || {
            let is_heard = entries.into_iter().all(|entry| !placing.take(entry) || placing.outbox.flush_blocking().is_ok());
            is_heard.then_some(placing)
        });
        return decided.await.map_err(|error| Error::local("compare", "", io::Error::other(error)));
    }
    for entry in entries {
        if placing.take(entry) && placing.outbox.flush().await.is_err() {
            return Ok(None);
        }
    }
    Ok(Some(placing))
}

async fn abort_on_conflicts(context: &Context, source: &ObsUrl, mut places: Places) -> Result<(), Error> {
    let mut listing = context.client.list(source, true);
    let (mut count, mut named) = (0_u64, Vec::new());
    while let Some(page) = context.next_page(&mut listing).await? {
        for entry in page.entries {
            let relative = entry.key.strip_prefix(&source.key).unwrap_or(&entry.key);
            let placed = places.place(relative, entry.size);
            if let Err(reason) = placed
                && context.selection.takes(relative.trim_end_matches('/'))
            {
                count += 1;
                if named.len() < NAMED {
                    named.push(Error::unplaceable(&entry.key, reason).to_string());
                }
            }
        }
    }
    if count == 0 {
        return Ok(());
    }
    let more = if count > NAMED as u64 { format!("; and {} more", count - NAMED as u64) } else { String::new() };
    Err(Error::Plan(format!("nothing was copied: {}{more}", named.join("; "))))
}
