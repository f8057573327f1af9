//! Finds what to upload: walks a folder, or takes names from a list, beside a listing of the destination.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc::{Sender, channel};

use crate::copy::error::Error;
use crate::copy::scan::names;
use crate::copy::scan::walk::{Found, LONGEST_KEY, Stop, walk};
use crate::copy::scan::{Context, Item, NobodyListens, Outbox};
use crate::copy::select::{Compare, Existing, Links, Seen, Selection};
use crate::copy::update::remote::{Paged, Remote};
use crate::copy::update::{self, MISSING, Verdict, Version};
use crate::obs::ObsUrl;

/// Pages of the destination's listing that wait to be compared with.
pub(super) const PAGES: usize = 2;

/// Finds what of a folder goes below a prefix. Ends early when nobody listens any more.
///
/// # Errors
/// [`Error::Local`] when the folder or the list of names cannot be read, [`Error::Store`] when the destination cannot be listed
/// though it must be compared with; what is below the folder is reported as [`Item::Refused`].
pub async fn upload(context: Context, source: PathBuf, destination: ObsUrl, items: Sender<Vec<Item>>) -> Result<(), Error> {
    let selection = Arc::clone(&context.selection);
    let (sender, pages) = channel(PAGES);
    let keeps_etags = selection.existing == Existing::Update(Compare::Checksum);
    let compares = selection.existing != Existing::Replace;
    let remote = compares.then(|| Remote::new(pages, destination.key.len(), keeps_etags));
    let outbox = Outbox::new(items, &selection);
    let mut uploads = Uploads { outbox, source, remote, part_size: context.part_size, selection };
    let walking = names::in_thread(move || uploads.run());
    let listing = async {
        if compares {
            feed(&context, &destination, sender).await;
        }
    };
    tokio::join!(listing, walking).1
}

/// Sends the pages of a listing until nobody listens.
pub(super) async fn feed(context: &Context, destination: &ObsUrl, pages: Sender<Paged>) {
    let mut listing = context.client.list(destination, true);
    loop {
        let (page, is_last) = match context.next_page(&mut listing).await {
            Ok(Some(page)) => (Paged::Entries(page.entries), false),
            Ok(None) => (Paged::End, true),
            Err(error) => (Paged::Failed(error.into()), true),
        };
        if pages.send(page).await.is_err() || is_last {
            return;
        }
    }
}

struct Uploads {
    outbox: Outbox,
    source: PathBuf,
    remote: Option<Remote>,
    part_size: Option<u64>,
    selection: Arc<Selection>,
}

impl From<NobodyListens> for Stop {
    fn from(_: NobodyListens) -> Self {
        Self::NobodyListens
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Uploads {
    fn run(&mut self) -> Result<(), Error> {
        let found = if self.selection.names.is_some() { self.named() } else { self.walked() };
        match found.and_then(|()| Ok(self.outbox.flush_blocking()?)) {
            Ok(()) | Err(Stop::NobodyListens) => Ok(()),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    fn walked(&mut self) -> Result<(), Stop> {
        let (source, selection) = (self.source.clone(), Arc::clone(&self.selection));
        walk(&source, selection.links, &selection.filter, &mut |found| match found {
            Found::File { name, size, modified } => {
                self.outbox.saw(|| Seen::file(name));
                if selection.takes(name) { self.file(name, Version { size, modified }) } else { Ok(()) }
            }
            Found::Folder { name, is_empty } => {
                if !name.is_empty() {
                    self.outbox.saw(|| Seen::folder(name));
                }
                let is_asked_for = is_empty && (name.is_empty() || selection.takes_folder(name));
                if is_asked_for { self.folder(name) } else { Ok(()) }
            }
            Found::Link { name } if selection.takes(name) => self.skip(name, 0, "link"),
            // A folder that cannot be read hides files, whatever the selection says of its own name.
            Found::Refused { name, error, maybe_folder }
                if (maybe_folder && selection.filter.enters(&name)) || selection.takes(&name) =>
            {
                self.push(Item::Refused { name, error })
            }
            Found::Link { .. } | Found::Refused { .. } => Ok(()),
        })
    }

    fn named(&mut self) -> Result<(), Stop> {
        let selection = Arc::clone(&self.selection);
        let Some(names) = &selection.names else { return Ok(()) };
        let mut reading = names.read()?;
        if let Some(remote) = &mut self.remote {
            remote.read_all()?;
        }
        while let Some(name) = reading.next_name()? {
            if !selection.takes_named(&name) {
                continue;
            }
            if let Some(folder) = name.strip_suffix('/') {
                match check_empty_folder(&self.source, folder, selection.links) {
                    Ok(()) => self.folder(folder)?,
                    Err(error) => self.push(Item::Refused { name, error })?,
                }
                continue;
            }
            match status(&self.source, &name, selection.links) {
                Ok(version) => self.file(&name, version)?,
                Err(error) => self.push(Item::Refused { name, error })?,
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &str, version: Version) -> Result<(), Stop> {
        let known = match &mut self.remote {
            Some(remote) => remote.find(name)?,
            None => None,
        };
        let path = self.source.join(name);
        let part_size = self.part_size;
        let same = || update::same_content(&path, version.size, &known.as_ref()?.etag, part_size);
        let verdict = update::compare(self.selection.existing, version, known.as_ref().map(|known| known.version), same);
        let (reason, doubt) = match verdict {
            Verdict::Leave(reason) => return self.skip(name, version.size, reason),
            Verdict::Copy(reason) => (reason, None),
            Verdict::Doubt(doubt) => (doubt.reason(), Some(doubt)),
        };
        self.push(Item::LocalFile { name: name.to_owned(), path, size: version.size, reason, doubt })
    }

    fn folder(&mut self, name: &str) -> Result<(), Stop> {
        if let Some(remote) = &mut self.remote {
            let key = if name.is_empty() { String::new() } else { format!("{name}/") };
            if remote.find(&key)?.is_some() {
                return Ok(());
            }
        }
        self.push(Item::LocalFolder { name: name.to_owned() })
    }

    fn push(&mut self, item: Item) -> Result<(), Stop> {
        if self.outbox.push(item) {
            self.outbox.flush_blocking()?;
        }
        Ok(())
    }

    fn skip(&mut self, name: &str, bytes: u64, reason: &'static str) -> Result<(), Stop> {
        if self.outbox.skip(name, bytes, reason) {
            self.outbox.flush_blocking()?;
        }
        Ok(())
    }
}

fn status(source: &Path, name: &str, links: Links) -> Result<Version, Error> {
    let (_, status) = look_at(source, name, links)?;
    if !status.is_file() {
        return Err(Error::unplaceable(name, "it is no file"));
    }
    Ok(Version { size: status.len(), modified: status.mtime() })
}

/// Reports name folders that failed, and only empty ones are copied as such.
fn check_empty_folder(source: &Path, name: &str, links: Links) -> Result<(), Error> {
    let (path, status) = look_at(source, name, links)?;
    if !status.is_dir() {
        return Err(Error::unplaceable(name, "it is no folder"));
    }
    let mut entries = std::fs::read_dir(&path).map_err(|error| Error::local("read", &path, error))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(Error::unplaceable(name, "it is a folder that is not empty; a list names the files in it")),
    }
}

fn look_at(source: &Path, name: &str, links: Links) -> Result<(PathBuf, Metadata), Error> {
    if name.len() > LONGEST_KEY || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Error::unplaceable(name, "it is no name of a file below the source"));
    }
    let path = source.join(name);
    let status = if links == Links::Follow { std::fs::metadata(&path) } else { std::fs::symlink_metadata(&path) };
    let status = status.map_err(|error| Error::local("read", &path, error))?;
    Ok((path, status))
}

/// Whether one local file has to go to one object.
///
/// # Errors
/// The object cannot be looked at.
pub async fn one(context: &Context, path: &Path, status: &Metadata, destination: &ObsUrl) -> Result<Verdict, Error> {
    let version = Version { size: status.len(), modified: status.mtime() };
    if context.selection.existing == Existing::Replace {
        return Ok(Verdict::Copy("asked for"));
    }
    let info = match context.client.head(destination).await {
        Err(error) if error.is_not_found() && !error.is_no_such_bucket() => return Ok(Verdict::Copy(MISSING)),
        info => info?,
    };
    let modified = info.modified.map_or(0, time::OffsetDateTime::unix_timestamp);
    let target = Version { size: info.size, modified };
    let (path, existing, part_size) = (path.to_owned(), context.selection.existing, context.part_size);
    names::in_thread(move || {
        let same = || update::same_content(&path, version.size, &info.etag, part_size);
        Ok(match update::compare(existing, version, Some(target), same) {
            Verdict::Doubt(doubt) => doubt.up(&info),
            verdict => verdict,
        })
    })
    .await
}
