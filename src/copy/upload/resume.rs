//! Where the upload of a large file begins: at its beginning, or where an earlier process left it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::copy::budget::PIECE;
use crate::copy::digest::{Check, Digester, Value, Verify};
use crate::copy::error::Error;
use crate::copy::event::Event;
use crate::copy::journal::{Finished, Head, Identity, Journal, Journals, Record, Slot, Version, Way, describe, digester};
use crate::copy::meter::blocking;
use crate::copy::parts::{Division, Part};
use crate::copy::run::Run;
use crate::copy::upload::reading::Order;
use crate::copy::upload::source::Source;
use crate::obs::ObsUrl;
use crate::obs::attributes::add_metadata;
use crate::obs::multipart::{Part as SentPart, composite_etag};

/// An upload under way.
#[derive(Debug)]
pub(super) struct Upload {
    /// Its id at the store.
    pub(super) id: String,
    /// How the file is divided.
    pub(super) division: Division,
    /// Bytes of parts that need not be sent again.
    pub(super) done: AtomicU64,
    journal: Option<Journal>,
    earlier: HashMap<u32, Earlier>,
}

/// A part that the store has from an earlier process.
#[derive(Debug)]
struct Earlier {
    sent: SentPart,
    noted: Option<Finished>,
}

/// What is left to do.
pub(super) enum Begun {
    /// Parts are to be sent.
    Upload(Upload),
    /// Nothing: the object is complete; the process died before it could say so.
    Complete(Check),
}

/// Begins an upload, or goes on with one.
pub(super) async fn begin(run: &Run, source: &Arc<Source>, url: &ObsUrl, division: Division) -> Result<Begun, Error> {
    let Some(slot) = find(run, source, url).await? else {
        let metadata = source.metadata(run.options.preserve);
        let id = run.client.create_multipart_of(url, &metadata).await?;
        return Ok(Begun::Upload(Upload::new(id, division, None)));
    };
    let slot = match slot.previous().cloned() {
        Some(previous) => match Box::pin(go_on(run, source, url, slot, previous)).await? {
            Either::Begun(begun) => return Ok(begun),
            Either::Anew(slot) => slot,
        },
        None => slot,
    };
    let metadata = source.metadata(run.options.preserve);
    let id = run.client.create_multipart_of(url, &metadata).await?;
    let head = Head {
        identity: identity(run, source, url),
        size: source.size,
        part_size: division.part_size(),
        version: Version::File { mtime: source.modified.0, mtime_ns: source.modified.1, upload: id.clone() },
        attributes: attributes(run, url, source),
        created: OffsetDateTime::now_utc().unix_timestamp(),
    };
    let begun = blocking(move || Ok(slot.restart(&head))).await?;
    let journal = begun.map_err(|error| notice(run, &source.path, &error.to_string())).ok();
    if let Some(path) = journal.as_ref().map(|journal| journal.path().to_owned()) {
        // Nobody waits for it: until the disk has it, only a power cut could make this upload begin anew.
        tokio::task::spawn_blocking(move || Journal::sync(&path));
    }
    Ok(Begun::Upload(Upload::new(id, division, journal)))
}

enum Either {
    Begun(Begun),
    Anew(Slot),
}

/// The place of the journal, if one can be kept.
async fn find(run: &Run, source: &Arc<Source>, url: &ObsUrl) -> Result<Option<Slot>, Error> {
    let Some(folder) = &run.options.journal else { return Ok(None) };
    let (journals, identity) = (Journals::new(folder), identity(run, source, url));
    match blocking(move || Ok(journals.slot(&identity))).await? {
        Ok(Some(slot)) => {
            if let Some(reason) = slot.unusable() {
                notice(run, &source.path, &reason.to_string());
            }
            Ok(Some(slot))
        }
        Ok(None) => {
            notice(run, &source.path, "another process is copying the same file");
            Ok(None)
        }
        Err(error) => {
            notice(run, folder, &error.to_string());
            Ok(None)
        }
    }
}

/// Goes on with what an earlier process left, if the file is still the same and the store still has the upload.
async fn go_on(run: &Run, source: &Arc<Source>, url: &ObsUrl, slot: Slot, previous: Record) -> Result<Either, Error> {
    let Version::File { mtime, mtime_ns, upload } = &previous.head.version else { return Ok(Either::Anew(slot)) };
    let division = Division::new(source.size, Some(previous.head.part_size));
    let is_same = (*mtime, *mtime_ns) == source.modified
        && previous.head.size == source.size
        && previous.head.attributes == attributes(run, url, source)
        && previous.head.part_size == division.part_size();
    if !is_same {
        give_up_earlier(run, source, url, upload).await?;
        return Ok(Either::Anew(slot));
    }
    let listed = match run.client.list_parts(url, upload).await {
        Err(error) if error.is_not_found() && !error.is_no_such_bucket() => {
            if is_complete(run, source, url, division).await? {
                slot.remove();
                return Ok(Either::Begun(Begun::Complete(Check::Md5)));
            }
            return Ok(Either::Anew(slot));
        }
        Err(error) if is_refused(&error) => {
            notice(run, &source.path, &error.to_string());
            give_up_earlier(run, source, url, upload).await?;
            return Ok(Either::Anew(slot));
        }
        listed => listed?,
    };
    let journal = match blocking(move || Ok(slot.resume())).await? {
        Ok(journal) => Some(journal),
        Err(error) => {
            notice(run, &source.path, &error.to_string());
            None
        }
    };
    let mut noted = previous.parts;
    let earlier = listed.into_iter().map(|sent| (sent.number, Earlier { noted: noted.remove(&sent.number), sent }));
    Ok(Either::Begun(Begun::Upload(Upload { earlier: earlier.collect(), ..Upload::new(upload.clone(), division, journal) })))
}

/// Aborts an upload that is of no use any more.
async fn give_up_earlier(run: &Run, source: &Source, url: &ObsUrl, upload: &str) -> Result<(), Error> {
    match run.client.abort_multipart(url, upload).await {
        Err(error) if is_refused(&error) => {
            notice(run, &source.path, &format!("an earlier upload stays at the store: {error}"));
            Ok(())
        }
        // Another run can try it again; until then the journal is what is known of it.
        aborted => Ok(aborted?),
    }
}

/// The store will not do it, now or later; a caller may be allowed to write and nothing else.
fn is_refused(error: &crate::obs::Error) -> bool {
    error.status().is_some_and(|status| (400..500).contains(&status) || status == 501) && !error.is_unauthenticated()
}

/// Whether the object is what this upload would have made of the file as it is.
async fn is_complete(run: &Run, source: &Arc<Source>, url: &ObsUrl, division: Division) -> Result<bool, Error> {
    let info = match run.client.head(url).await {
        Err(error) if is_refused(&error) => return Ok(false),
        info => info?,
    };
    // Reading the file is only worth while if what it is compared with can be such an ETag.
    if info.size != source.size || !info.etag.ends_with(&format!("-{}", division.count())) {
        return Ok(false);
    }
    let mut parts = Vec::new();
    for part in division.parts() {
        let permit = run.budget.permit(PIECE as u64).await;
        let Value::Md5(digest) = read(run, source, part, Digester::for_upload(Verify::Md5)).await? else { return Ok(false) };
        drop(permit);
        parts.push(SentPart { number: part.number, etag: hex::encode(digest), size: part.length });
    }
    source.check_unchanged()?;
    let is_same = composite_etag(&parts).is_some_and(|expected| expected.eq_ignore_ascii_case(&info.etag));
    if is_same {
        let size = i64::try_from(source.size).unwrap_or(i64::MAX);
        run.events.event(Event::Moved(size));
    }
    Ok(is_same)
}

impl Upload {
    fn new(id: String, division: Division, journal: Option<Journal>) -> Self {
        Self { id, division, done: AtomicU64::new(0), journal, earlier: HashMap::new() }
    }

    /// Bytes that another run can go on with: those of this process, or those that an earlier one left and that were not
    /// looked at yet.
    pub(super) fn kept(&self) -> u64 {
        let earlier = self.earlier.values().map(|earlier| earlier.sent.size).sum();
        self.done.load(Ordering::Relaxed).max(earlier)
    }

    /// The part as the store has it from an earlier process, if the bytes of the file are those that it has.
    pub(super) async fn earlier(
        &self,
        run: &Run,
        source: &Arc<Source>,
        part: Part,
    ) -> Result<Option<(SentPart, Check)>, Error> {
        let Some(Earlier { sent, noted }) = self.earlier.get(&part.number).filter(|earlier| earlier.sent.size == part.length)
        else {
            return Ok(None);
        };
        let noted = noted.as_ref().filter(|noted| noted.etag.as_ref() == Some(&sent.etag));
        let etag_as_md5 = format!("md5:{}", sent.etag.to_ascii_lowercase());
        let noted_digest = noted.and_then(|noted| noted.digest.as_ref()).filter(|digest| **digest != etag_as_md5);
        // Without a note of our own the ETag has to be the MD5, which shows when it is one of these bytes.
        let (expected, check) = match noted_digest {
            Some(digest) if run.options.verify != Verify::Md5 => (digest.clone(), Check::Size),
            _ if sent.etag.len() == 32 => (etag_as_md5, Check::Md5),
            _ => return Ok(None),
        };
        let Some(digester) = digester(&expected) else { return Ok(None) };
        if describe(read(run, source, part, digester).await?).as_ref() != Some(&expected) {
            return Ok(None);
        }
        if noted.is_none() {
            self.note(run, part, &sent.etag, Some(expected));
        }
        self.done.fetch_add(part.length, Ordering::Relaxed);
        Ok(Some((sent.clone(), check)))
    }

    /// Notes a part that the store has confirmed; `value` is the digest of what was read.
    pub(super) fn sent(&self, run: &Run, part: Part, etag: &str, value: Value) {
        self.note(run, part, etag, describe(value));
        self.done.fetch_add(part.length, Ordering::Relaxed);
    }

    // One line into the cache of the file system: not worth a change of threads.
    fn note(&self, run: &Run, part: Part, etag: &str, digest: Option<String>) {
        let Some(journal) = &self.journal else { return };
        let finished = Finished { part: part.number, length: part.length, etag: Some(etag.to_owned()), digest };
        if let Err(error) = journal.add(&finished) {
            notice(run, journal.path(), &error.to_string());
        }
    }

    /// Whether another run can go on with it.
    pub(super) fn is_kept(&self) -> bool {
        self.journal.is_some()
    }

    /// Nothing is left to go on with.
    pub(super) fn forget(&self) {
        if let Some(journal) = &self.journal {
            journal.remove();
        }
    }
}

/// The digest of a part of the file as it is on the disk now.
async fn read(run: &Run, source: &Arc<Source>, part: Part, digester: Digester) -> Result<Value, Error> {
    let Part { offset, length, .. } = part;
    let order = Order { source: Arc::clone(source), offset, length, digester, keep: false, last: false };
    Ok(run.reading.submit(order).wait().await?.digester.finish())
}

fn identity(run: &Run, source: &Source, url: &ObsUrl) -> Identity {
    Identity {
        way: Way::Upload,
        endpoint: run.client.endpoint(),
        bucket: url.bucket.clone(),
        key: url.key.clone(),
        path: absolute(&source.path),
    }
}

/// The same file under the same name, whatever folder the command is run in.
fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

/// Digest of what the object is to be besides its bytes, which is fixed when an upload begins.
fn attributes(run: &Run, url: &ObsUrl, source: &Source) -> String {
    let (mut headers, metadata) = (Vec::new(), source.metadata(run.options.preserve));
    run.client.attributes.add_headers(&url.key, &mut headers);
    add_metadata(&metadata, &mut headers);
    let mut digest = Sha256::new();
    // A key is not written down, not even as a digest. Its own MD5 is among the headers, and the store compares that.
    for (name, value) in headers.into_iter().filter(|(name, _)| !name.ends_with("-customer-key")) {
        digest.update(format!("{name}: {value}\n"));
    }
    hex::encode(&digest.finalize()[..8])
}

fn notice(run: &Run, path: &Path, reason: &str) {
    run.events
        .event(Event::Notice(format!("[{}] is copied without a journal, or from its beginning: {reason}", path.display())));
}
