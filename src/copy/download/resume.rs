//! Where the download of a large object begins: at its beginning, or where an earlier process left it.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::copy::budget::PIECE;
use crate::copy::destination::Destination;
use crate::copy::digest::Value;
use crate::copy::download::write::{self, Pieces};
use crate::copy::error::Error;
use crate::copy::event::Event;
use crate::copy::journal::{Finished, Head, Identity, Journal, Journals, Slot, Version, Way, describe, digester};
use crate::copy::meter::blocking;
use crate::copy::partial::{Finish, Partial, discard};
use crate::copy::parts::{Division, Part};
use crate::copy::run::Run;
use crate::obs::ObsUrl;
use crate::obs::list::Entry;

/// A download under way.
#[derive(Debug)]
pub(super) struct Download {
    /// The file that is written.
    pub(super) partial: Partial,
    /// Where its bytes are handed in.
    pub(super) pieces: Pieces,
    /// How the object is divided.
    pub(super) division: Division,
    done: AtomicU64,
    journal: Option<Journal>,
    earlier: BTreeMap<u32, Finished>,
}

/// What is left to do.
pub(super) enum Begun {
    /// Parts are to be fetched.
    Download(Download),
    /// Nothing: the file has its name already, and this digest.
    Complete(Value),
}

/// Begins a download, or goes on with one. `entry` has an ETag.
pub(super) async fn begin(
    run: &Arc<Run>,
    destination: &Arc<Destination>,
    name: &str,
    url: &ObsUrl,
    entry: &Arc<Entry>,
    division: Division,
) -> Result<Begun, Error> {
    let (run, destination, name) = (Arc::clone(run), Arc::clone(destination), name.to_owned());
    let (url, entry) = (url.clone(), Arc::clone(entry));
    blocking(move || {
        let identity = identity(&run, &destination, &name, &url);
        let slot = find(&run, &identity);
        destination.clear(&name, &entry.etag);
        match slot {
            Some(slot) => with_journal(&run, &destination, &name, &entry, division, identity, slot),
            None => Ok(Begun::Download(Download::new(destination.begin(&name, &entry.etag)?, division))),
        }
    })
    .await
}

fn with_journal(
    run: &Run,
    destination: &Destination,
    name: &str,
    entry: &Entry,
    division: Division,
    identity: Identity,
    slot: Slot,
) -> Result<Begun, Error> {
    if let Some(previous) = slot.previous() {
        let earlier_division = Division::new(entry.size, Some(previous.head.part_size));
        let is_same = previous.head.version == Version::Object { etag: entry.etag.clone() }
            && previous.head.size == entry.size
            && previous.head.part_size == earlier_division.part_size();
        if is_same {
            if let Some(value) = finished(run, destination, name, entry, earlier_division, &previous.parts)? {
                slot.remove();
                return Ok(Begun::Complete(value));
            }
            let partial = destination.go_on(name, &entry.etag)?;
            let earlier = previous.parts.clone();
            let journal = slot.resume().map_err(|error| notice(run, &identity.path, &error.to_string())).ok();
            return Ok(Begun::Download(Download { earlier, journal, ..Download::new(partial, earlier_division) }));
        }
        if let Version::Object { etag } = &previous.head.version {
            // It may be of no use now, but it is ours to remove.
            let _ = discard(&identity.path, etag);
        }
    }
    let partial = destination.begin(name, &entry.etag)?;
    let path = identity.path.clone();
    let head = Head {
        identity,
        size: entry.size,
        part_size: division.part_size(),
        version: Version::Object { etag: entry.etag.clone() },
        attributes: String::new(),
        created: OffsetDateTime::now_utc().unix_timestamp(),
    };
    let journal = slot.restart(&head).map_err(|error| notice(run, &path, &error.to_string())).ok();
    if let Some(path) = journal.as_ref().map(|journal| journal.path().to_owned()) {
        // Nobody waits for it: until the disk has it, only a power cut could make this download begin anew.
        tokio::task::spawn_blocking(move || Journal::sync(&path));
    }
    Ok(Begun::Download(Download { journal, ..Download::new(partial, division) }))
}

/// The digest of the file under its final name, if an earlier process died between giving it that name and saying so.
fn finished(
    run: &Run,
    destination: &Destination,
    name: &str,
    entry: &Entry,
    division: Division,
    parts: &BTreeMap<u32, Finished>,
) -> Result<Option<Value>, Error> {
    if parts.len() as u64 != division.count() {
        return Ok(None);
    }
    let Some(file) = destination.finished(name, &entry.etag, entry.size) else { return Ok(None) };
    let mut whole: Option<Value> = None;
    for part in division.parts() {
        let Some(value) = check(&file, part, parts.get(&part.number), &run.cancel)? else { return Ok(None) };
        whole = Some(whole.map_or(value, |before| before.followed_by(value)));
    }
    run.events.event(Event::Moved(i64::try_from(entry.size).unwrap_or(i64::MAX)));
    Ok(whole)
}

/// The digest of a part of a file, if it is the one that was noted.
fn check(file: &File, part: Part, noted: Option<&Finished>, cancel: &CancellationToken) -> Result<Option<Value>, Error> {
    let Some(expected) = noted.and_then(|noted| noted.digest.as_ref()) else { return Ok(None) };
    let Some(mut digester) = digester(expected) else { return Ok(None) };
    let (mut piece, mut position) = (vec![0; PIECE], 0);
    while position < part.length {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let length = usize::try_from(part.length - position).unwrap_or(PIECE).min(PIECE);
        // What is not there, or cannot be read, is fetched again.
        if file.read_exact_at(&mut piece[..length], part.offset + position).is_err() {
            return Ok(None);
        }
        digester.update(&piece[..length]);
        position += length as u64;
    }
    let value = digester.finish();
    Ok((describe(value).as_ref() == Some(expected)).then_some(value))
}

/// The place of the journal, if one can be kept.
fn find(run: &Run, identity: &Identity) -> Option<Slot> {
    let folder = run.options.journal.as_ref()?;
    match Journals::new(folder).slot(identity) {
        Ok(Some(slot)) => {
            if let Some(reason) = slot.unusable() {
                notice(run, &identity.path, &reason.to_string());
            }
            Some(slot)
        }
        Ok(None) => None,
        Err(error) => {
            notice(run, folder, &error.to_string());
            None
        }
    }
}

impl Download {
    fn new(partial: Partial, division: Division) -> Self {
        Self { partial, pieces: write::desk(), division, done: AtomicU64::new(0), journal: None, earlier: BTreeMap::new() }
    }

    /// Whether finished parts are noted, so that they need a digest.
    pub(super) fn is_noted(&self) -> bool {
        self.journal.is_some()
    }

    /// The digest of a part that an earlier process fetched, if the bytes in the file still have it.
    pub(super) async fn earlier(&self, run: &Run, part: Part) -> Result<Option<Value>, Error> {
        let Some(noted) = self.earlier.get(&part.number).cloned() else { return Ok(None) };
        let (file, cancel) = (self.partial.file(), run.cancel.clone());
        let value = blocking(move || check(&file, part, Some(&noted), &cancel)).await?;
        if value.is_some() {
            self.done.fetch_add(part.length, Ordering::Relaxed);
        }
        Ok(value)
    }

    /// Notes a part whose bytes are with the file system; `value` is their digest.
    pub(super) fn fetched(&self, run: &Run, part: Part, value: Value) {
        self.done.fetch_add(part.length, Ordering::Relaxed);
        let (Some(journal), Some(digest)) = (&self.journal, describe(value)) else { return };
        let finished = Finished { part: part.number, length: part.length, etag: None, digest: Some(digest) };
        // One line into the cache of the file system: not worth a change of threads.
        if let Err(error) = journal.add(&finished) {
            notice(run, journal.path(), &error.to_string());
        }
    }

    /// Lets the disk begin with a part: what has to be flushed at the end is little then, and is flushed while the rest arrives.
    pub(super) async fn begin_flush(&self, part: Part) {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{Advice, fadvise};
            let file = self.partial.file();
            // Linux begins to write what is dirty of the range, without waiting. The flush before the rename is what counts.
            let advise = move || fadvise(&file, part.offset, std::num::NonZero::new(part.length), Advice::DontNeed);
            let _ = tokio::task::spawn_blocking(advise).await;
        }
        #[cfg(not(target_os = "linux"))]
        let _ = part;
    }

    /// The file got its name: nothing is left to go on with.
    pub(super) async fn finish(self, how: Finish) -> Result<(), Error> {
        blocking(move || {
            let finished = self.partial.finish(how);
            if let Some(journal) = &self.journal {
                journal.remove();
            }
            finished
        })
        .await
    }

    /// Keeps what another run can go on with; the rest is removed.
    pub(super) fn give_up(self, run: &Run, error: &Error) {
        // What an earlier process left and was not looked at yet is kept too.
        let earlier: u64 = self.earlier.values().map(|finished| finished.length).sum();
        let done = self.done.load(Ordering::Relaxed).max(earlier);
        if self.journal.is_none() || done == 0 || !error.may_go_on() {
            return self.remove();
        }
        run.events.event(Event::Kept { bytes: done, size: self.division.size() });
        self.partial.keep();
    }

    /// Removes everything: no part of it can be trusted.
    pub(super) fn remove(self) {
        if let Some(journal) = &self.journal {
            journal.remove();
        }
    }
}

fn identity(run: &Run, destination: &Destination, name: &str, url: &ObsUrl) -> Identity {
    Identity {
        way: Way::Download,
        endpoint: run.client.endpoint(),
        bucket: url.bucket.clone(),
        key: url.key.clone(),
        path: destination.absolute(name),
    }
}

fn notice(run: &Run, path: &Path, reason: &str) {
    run.events
        .event(Event::Notice(format!("[{}] is copied without a journal, or from its beginning: {reason}", path.display())));
}
