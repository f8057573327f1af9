//! One run: scan on one side, a bounded number of files under way, outcomes into the summary.

use std::collections::VecDeque;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use time::OffsetDateTime;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::copy::budget::{Budget, Counter, Permit};
use crate::copy::destination::Destination;
use crate::copy::digest::Check;
use crate::copy::download::small::Writes;
use crate::copy::error::Error;
use crate::copy::event::{Event, EventSink};
use crate::copy::partial::Finish;
use crate::copy::plan::Plan;
use crate::copy::preflight::{self, Room};
use crate::copy::rate::Rate;
use crate::copy::report::{Line, Status};
use crate::copy::scan::{self, Item, WAITING};
use crate::copy::select::Existing;
use crate::copy::summary::Summary;
use crate::copy::tally::Tally;
use crate::copy::upload::small::Loads;
use crate::copy::{Options, download, upload};
use crate::obs::attributes::Preserved;
use crate::obs::{Client, ObsUrl};

/// So many files in a row end the run: the store cannot be reached any more, or refused everything from the beginning. One that
/// is refused says nothing of the others.
const HOPELESS: u64 = 16;

/// What every file of a run shares.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) client: Client,
    pub(super) options: Options,
    pub(super) budget: Budget,
    pub(super) rate: Option<Arc<Rate>>,
    // What the budget takes from for each permit; requests without one take from it themselves.
    requests: Option<Arc<Rate>>,
    pub(super) loads: Loads,
    pub(super) writes: Writes,
    pub(super) reading: upload::Reading,
    pub(super) events: Arc<dyn EventSink>,
    pub(super) cancel: CancellationToken,
    // On the disk that a folder goes to.
    room: Mutex<Option<Room>>,
}

#[derive(Debug)]
struct Complaints(Client);

impl Counter for Complaints {
    fn count(&self) -> u64 {
        self.0.throttled()
    }
}

/// A file or folder that arrived.
#[derive(Debug)]
pub(super) enum Done {
    File {
        bytes: u64,
        check: Check,
    },
    Folder,
    /// It was left, for this reason.
    Left {
        bytes: u64,
        reason: &'static str,
    },
}

pub(super) type Outcome = (String, Result<Done, Error>);
pub(super) type Task = Pin<Box<dyn Future<Output = Outcome> + Send>>;

impl Run {
    pub(super) fn new(client: Client, options: Options, events: Arc<dyn EventSink>, cancel: CancellationToken) -> Arc<Self> {
        let requests = options.limit_requests.map(|limit| Arc::new(Rate::new(limit.get().into())));
        let rate = options.limit_rate.map(|limit| Arc::new(Rate::new(limit.get())));
        let budget = Budget::new(options.slots(), options.memory, requests.clone(), Box::new(Complaints(client.clone())));
        // What exists is found by the scan; what comes later, by whoever makes the object or the file.
        let client = if options.selection.existing == Existing::Keep { client.keeping_objects() } else { client };
        let (loads, writes) = (upload::small::desk(options.verify), download::small::desk());
        let reading = upload::Reading::new(options.verify);
        Arc::new(Self {
            client,
            options,
            budget,
            rate,
            requests,
            reading,
            loads,
            writes,
            events,
            cancel,
            room: Mutex::default(),
        })
    }

    pub(super) async fn execute(self: Arc<Self>, plan: Plan) -> Result<Summary, Error> {
        let started = Instant::now();
        let only = plan.only_name();
        let copied = match plan {
            Plan::UploadFile { source, destination } => self.upload_file(source, destination).await,
            Plan::UploadFolder { source, destination } => self.upload_folder(source, destination.as_folder()).await,
            Plan::DownloadFile { source, destination } => self.download_file(source, &destination).await,
            Plan::DownloadFolder { source, destination } => self.download_folder(source.as_folder(), &destination).await,
            Plan::CopyObject { source, destination } => self.copy_object(source, &destination).await,
            Plan::CopyFolder { source, destination } => self.copy_folder(source.as_folder(), destination.as_folder()).await,
        };
        // A folder's failures were told of one by one.
        if let (Some(name), Err(error)) = (only, &copied) {
            self.failed(name, error);
        }
        let mut summary = copied?;
        summary.elapsed = started.elapsed();
        Ok(summary)
    }

    /// Leave for a request that holds so many bytes, unless the run is stopped first.
    pub(super) async fn permit(&self, bytes: u64) -> Result<Permit, Error> {
        let permit = std::pin::pin!(self.budget.permit(bytes));
        let permit = self.cancel.run_until_cancelled(permit).await.ok_or(Error::Cancelled)?;
        if self.cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(permit) }
    }

    /// How a download that is complete gets its name.
    pub(super) fn finish(&self, modified: Option<OffsetDateTime>, preserved: Preserved) -> Finish {
        let modified = preserved.modified.filter(|_| self.options.preserve.modified).or(modified);
        let mode = preserved.mode.filter(|_| self.options.preserve.mode);
        Finish { modified, mode, durable: self.options.durable, keep_existing: self.keeps_existing() }
    }

    /// Nothing that exists is replaced.
    pub(super) fn keeps_existing(&self) -> bool {
        self.options.selection.existing == Existing::Keep
    }

    /// Waits until so many bytes may be moved.
    pub(super) async fn take_rate(&self, bytes: usize) {
        if let Some(rate) = &self.rate {
            rate.take(bytes as u64).await;
        }
    }

    /// Waits until one request may be made for which there is no permit.
    ///
    /// # Errors
    /// The run is stopped.
    pub(super) async fn take_request(&self) -> Result<(), Error> {
        match &self.requests {
            Some(requests) => self.cancel.run_until_cancelled(requests.take(1)).await.ok_or(Error::Cancelled),
            None => Ok(()),
        }
    }

    /// What a scan of this run needs; it shares the limits.
    pub(super) fn context(&self) -> scan::Context {
        scan::Context { requests: self.requests.clone(), ..scan::Context::new(&self.client, &self.options) }
    }

    /// The result of a request, unless the run is stopped first.
    pub(super) async fn unless_stopped<F: Future>(&self, request: F) -> Result<F::Output, Error> {
        // Boxed: these states are large, and are moved into one another.
        self.cancel.run_until_cancelled(Box::pin(request)).await.ok_or(Error::Cancelled)
    }

    async fn upload_folder(self: &Arc<Self>, source: PathBuf, destination: ObsUrl) -> Result<Summary, Error> {
        let (sender, receiver) = channel(WAITING);
        let scan = tokio::spawn(scan::upload(self.context(), source, destination.clone(), sender));
        let summary = self
            .pump(receiver, |run, item| match item {
                Item::LocalFile { name, path, size, doubt, .. } => {
                    let url = destination.join(&name);
                    Box::pin(async move { (name, upload::file(&run, &path, &url, size, doubt).await) })
                }
                Item::LocalFolder { name } => {
                    let url = destination.join(&name).as_folder();
                    // Told of as the key is called, which a list of names takes for a folder too.
                    let key = if name.is_empty() { name } else { name + "/" };
                    Box::pin(async move { (key, upload::marker(&run, &url).await) })
                }
                other => refuse(other),
            })
            .await;
        scan::finished(scan, summary).await
    }

    async fn download_folder(self: &Arc<Self>, source: ObsUrl, destination: &Path) -> Result<Summary, Error> {
        let (sender, receiver) = channel(WAITING);
        let (bucket, prefix) = (source.bucket.clone(), source.key.len());
        let context = self.context();
        preflight::check_writable(destination)?;
        *self.room.lock().unwrap_or_else(PoisonError::into_inner) = Some(Room::of(destination));
        let scan = tokio::spawn(scan::download(context, source, destination.to_owned(), sender));
        // Opened by the first item: a source that does not exist leaves no folder behind.
        let target: Arc<std::sync::OnceLock<Arc<Destination>>> = Arc::default();
        let path = Arc::new(destination.to_owned());
        let summary = self
            .pump(receiver, |run, item| {
                let (bucket, target, path) = (bucket.clone(), Arc::clone(&target), Arc::clone(&path));
                let open = move || match target.get() {
                    Some(target) => Ok(Arc::clone(target)),
                    None => Destination::open(&path).map(|opened| Arc::clone(target.get_or_init(|| Arc::new(opened)))),
                };
                match item {
                    Item::Object { name, entry, doubt, .. } => Box::pin(async move {
                        // Told of by its key: the name may be an encoded one.
                        let key = entry.key.get(prefix..).unwrap_or(&entry.key).to_owned();
                        let done = match open() {
                            Ok(target) => download::object(&run, &target, &name, &bucket, &entry, doubt).await,
                            Err(error) => Err(error),
                        };
                        (key, done)
                    }),
                    Item::Marker { name, key } => Box::pin(async move {
                        let made = open().and_then(|target| target.make_folder(&name));
                        (key, made.map(|()| Done::Folder))
                    }),
                    other => refuse(other),
                }
            })
            .await;
        let summary = scan::finished(scan, summary).await?;
        // An empty bucket is an empty folder.
        if target.get().is_none() {
            Destination::open(destination)?;
        }
        Ok(summary)
    }

    /// Takes items while files are under way, until the scan ends, something fatal happens, or the run is stopped. All files
    /// under way have ended when it returns.
    pub(super) async fn pump(
        self: &Arc<Self>,
        mut items: Receiver<Vec<Item>>,
        mut begin: impl FnMut(Arc<Self>, Item) -> Task,
    ) -> Result<Summary, Error> {
        // Twice the requests: while one file waits for its turn another opens its source.
        let most = self.options.jobs.max(1) * 2;
        let mut tasks: JoinSet<Outcome> = JoinSet::new();
        let mut tally = Tally::default();
        let mut scanning = true;
        let mut waiting = VecDeque::new();
        let stopped = loop {
            while tasks.len() < most
                && let Some(item) = waiting.pop_front()
            {
                if let Item::Skipped { files, bytes } = item {
                    tally.summary.skip(files, bytes);
                    self.events.event(Event::Skipped { files, bytes });
                    continue;
                }
                self.announce(&item);
                tasks.spawn(begin(Arc::clone(self), item));
            }
            if !scanning && tasks.is_empty() {
                break None;
            }
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => break Some(Error::Cancelled),
                Some(outcome) = tasks.join_next(), if !tasks.is_empty() => {
                    if let Some(fatal) = self.settle(&mut tally, outcome) {
                        break Some(fatal);
                    }
                }
                batch = items.recv(), if scanning && waiting.is_empty() => match batch {
                    Some(batch) => match Room::claim_all(&self.room, &batch) {
                        Ok(()) => waiting.extend(batch),
                        Err(error) => break Some(error),
                    },
                    None => {
                        scanning = false;
                        self.events.event(Event::ScanDone);
                    }
                },
            }
        };
        let Some(error) = stopped else { return tally.into_result() };
        self.cancel.cancel();
        drop(items);
        // What arrived while the rest was stopped is told of too.
        while let Some(outcome) = tasks.join_next().await {
            match outcome {
                Ok((name, Ok(done))) => self.count(&mut tally.summary, name, &done),
                Ok((name, Err(error))) => self.failed(name, &error),
                Err(_) => {}
            }
        }
        Err(error)
    }

    /// Tells of a file that failed. One that was stopped did not: nobody knows what would have become of it.
    fn failed(&self, name: String, error: &Error) {
        if !matches!(error, Error::Cancelled) {
            self.events.event(Event::Failed { name, message: error.to_string() });
        }
    }

    fn settle(&self, tally: &mut Tally, outcome: Result<Outcome, tokio::task::JoinError>) -> Option<Error> {
        let (name, result) = match outcome {
            Ok(outcome) => outcome,
            Err(error) => return Some(Error::local("copy", "", std::io::Error::other(error))),
        };
        match result {
            Ok(done) => {
                tally.hopeless = 0;
                self.count(&mut tally.summary, name, &done);
                None
            }
            Err(error) => {
                let unreachable = error.store().is_some_and(crate::obs::Error::is_network);
                let hopeless = unreachable || (tally.nothing_worked() && error.is_fatal_at_first());
                tally.hopeless = if hopeless { tally.hopeless + 1 } else { 0 };
                self.failed(name.clone(), &error);
                if self.options.fail_fast || error.is_fatal() || tally.hopeless >= HOPELESS {
                    return Some(error);
                }
                tally.summary.fail(name, error);
                None
            }
        }
    }

    fn count(&self, summary: &mut Summary, name: String, done: &Done) {
        match *done {
            Done::File { bytes, check } => {
                summary.add(bytes, check);
                self.events.event(Event::Finished { name, bytes, check });
            }
            Done::Folder => summary.folders += 1,
            Done::Left { bytes, reason } => self.skip(summary, &name, bytes, reason),
        }
    }

    pub(super) fn summarise_one(&self, name: String, done: Done) -> Summary {
        let mut summary = Summary::default();
        self.count(&mut summary, name, &done);
        summary
    }

    pub(super) fn skip_one(&self, name: &str, bytes: u64, reason: &'static str) -> Summary {
        let mut summary = Summary::default();
        self.skip(&mut summary, name, bytes, reason);
        summary
    }

    fn skip(&self, summary: &mut Summary, name: &str, bytes: u64, reason: &'static str) {
        if let Some(report) = &self.options.selection.report {
            report.record(&Line { bytes: Some(bytes), reason: Some(reason), ..Line::new(name, Status::Skipped) });
        }
        summary.skip(1, bytes);
        self.events.event(Event::Skipped { files: 1, bytes });
    }

    fn announce(&self, item: &Item) {
        match item {
            // Those in doubt count when it is known that they are copied.
            Item::LocalFile { size, doubt: None, .. } => self.found(*size),
            Item::Object { entry, doubt: None, .. } => self.found(entry.size),
            _ => {}
        }
    }

    pub(super) fn found(&self, bytes: u64) {
        self.events.event(Event::Found { bytes });
    }
}

pub(super) fn refuse(item: Item) -> Task {
    let outcome = match item {
        Item::Refused { name, error } => (name, Err(error)),
        other => {
            let name = format!("{other:?}");
            let error = Error::unplaceable(&name, "it belongs to the other direction");
            (name, Err(error))
        }
    };
    Box::pin(std::future::ready(outcome))
}
