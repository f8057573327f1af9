//! `--dry-run`: the scan and the decisions of a copy, and nothing else.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use tokio::sync::mpsc::channel;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::copy::digest::Check;
use crate::copy::error::Error;
use crate::copy::options::Options;
use crate::copy::plan::Plan;
use crate::copy::scan::{self, Context, Item, WAITING};
use crate::copy::summary::Summary;
use crate::copy::update::Verdict;
use crate::obs::{Client, ObsUrl};

/// Something that would be done. Where from and where to are what all have in common, and the rest of each name.
#[derive(Clone, Copy, Debug)]
pub struct Action<'a> {
    /// What would be done: `upload`, `download`, `copy`, `make folder`, `delete`.
    pub action: &'static str,
    /// Where from; nothing for what has no source.
    pub source: Option<[&'a str; 2]>,
    /// Where to.
    pub destination: [&'a str; 2],
    /// Its size.
    pub bytes: u64,
    /// Why.
    pub reason: &'static str,
}

/// Takes actions until it has enough.
pub type Each<'a> = &'a mut (dyn FnMut(&Action<'_>) -> ControlFlow<()> + Send);

/// Finds out what a copy would do. The summary counts it as if it were done; nothing is made or changed on either side.
///
/// # Errors
/// As a copy, as far as it depends on looking.
pub async fn preview(
    client: &Client,
    plan: &Plan,
    options: &Options,
    cancel: &CancellationToken,
    each: Each<'_>,
) -> Result<Summary, Error> {
    let started = Instant::now();
    let context = Context::new(client, options);
    let looking = async {
        match plan {
            Plan::UploadFile { source, destination } => one_upload(&context, source, destination, each).await,
            Plan::DownloadFile { source, destination } => one_download(&context, source, destination, each).await,
            Plan::CopyObject { source, destination } => one_copy(&context, source, destination, each).await,
            Plan::UploadFolder { .. } | Plan::DownloadFolder { .. } | Plan::CopyFolder { .. } => {
                folder(context, plan, each).await
            }
        }
    };
    let mut summary = cancel.run_until_cancelled(looking).await.ok_or(Error::Cancelled)??;
    summary.elapsed = started.elapsed();
    Ok(summary)
}

async fn folder(context: Context, plan: &Plan, each: Each<'_>) -> Result<Summary, Error> {
    let (sender, mut items) = channel(WAITING);
    let client = context.client.clone();
    let (scan, from, to) = match plan.clone() {
        Plan::UploadFolder { source, destination } => {
            let destination = destination.as_folder();
            let (from, to) = (folder_text(&source), destination.to_string());
            (tokio::spawn(scan::upload(context, source, destination, sender)), from, to)
        }
        Plan::DownloadFolder { source, destination } => {
            let source = source.as_folder();
            let (from, to) = (source.to_string(), folder_text(&destination));
            (tokio::spawn(scan::download(context, source, destination, sender)), from, to)
        }
        Plan::CopyFolder { source, destination } => {
            let (source, destination) = (source.as_folder(), destination.as_folder());
            let (from, to) = (source.to_string(), destination.to_string());
            (tokio::spawn(scan::copies(context, source, destination, sender)), from, to)
        }
        other => return Err(Error::Plan(format!("{other:?} is no copy of a folder"))),
    };
    // A run that is stopped takes the scan with it.
    let scan = AbortOnDrop(scan);
    let (prefix_length, action) = match plan {
        Plan::DownloadFolder { source, .. } => (source.as_folder().key.len(), "download"),
        Plan::CopyFolder { source, .. } => (source.as_folder().key.len(), "copy"),
        _ => (0, "upload"),
    };
    let mut telling = Telling { summary: Summary::default(), from, to, prefix_length, action, each };
    while let Some(batch) = items.recv().await {
        let batch = settled(&client, plan, batch).await?;
        if batch.into_iter().try_for_each(|item| telling.item(item)).is_break() {
            drop(items);
            break;
        }
    }
    let summary = telling.summary;
    scan.finish().await?;
    Ok(summary)
}

/// Looks at the objects of a batch that are in doubt, all at once; what need not be copied becomes skipped.
async fn settled(client: &Client, plan: &Plan, mut batch: Vec<Item>) -> Result<Vec<Item>, Error> {
    let mut looks = JoinSet::new();
    for (at, item) in batch.iter().enumerate() {
        let client = client.clone();
        match (item, plan) {
            (Item::LocalFile { name, doubt: Some(doubt), .. }, Plan::UploadFolder { destination, .. }) => {
                let (doubt, url) = (*doubt, destination.as_folder().join(name));
                looks.spawn(async move { (at, doubt.source.size, doubt.look_up(&client, &url).await) });
            }
            (Item::Object { entry, doubt: Some(doubt), .. }, Plan::DownloadFolder { source, .. }) => {
                let (doubt, url) = (*doubt, ObsUrl::new(&source.bucket, entry.key.clone()));
                looks.spawn(async move { (at, doubt.source.size, doubt.look_down(&client, &url).await) });
            }
            _ => {}
        }
    }
    while let Some(looked) = looks.join_next().await {
        let (at, bytes, verdict) = looked.map_err(|error| Error::local("compare", "", std::io::Error::other(error)))?;
        if let Verdict::Leave(_) = verdict? {
            batch[at] = Item::Skipped { files: 1, bytes };
        }
    }
    Ok(batch)
}

struct AbortOnDrop(tokio::task::JoinHandle<Result<(), Error>>);

impl AbortOnDrop {
    async fn finish(mut self) -> Result<(), Error> {
        (&mut self.0).await.map_err(|error| Error::local("look for files in", "", std::io::Error::other(error)))?
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Telling<'a> {
    summary: Summary,
    from: String,
    to: String,
    prefix_length: usize,
    action: &'static str,
    each: Each<'a>,
}

impl Telling<'_> {
    fn item(&mut self, item: Item) -> ControlFlow<()> {
        match item {
            Item::LocalFile { name, size, reason, .. } => {
                self.summary.add(size, Check::None);
                self.tell(self.action, Some(&name), &name, size, reason)
            }
            Item::Object { name, entry, reason, .. } => {
                self.summary.add(entry.size, Check::None);
                let from = &entry.key[self.prefix_length.min(entry.key.len())..];
                self.tell(self.action, Some(from), &name, entry.size, reason)
            }
            Item::LocalFolder { name } | Item::Marker { name, .. } => {
                self.summary.folders += 1;
                let name = if name.is_empty() { name } else { format!("{name}/") };
                self.tell("make folder", Some(&name), &name, 0, "empty folder")
            }
            Item::Refused { name, error } => {
                self.summary.fail(name, error);
                ControlFlow::Continue(())
            }
            Item::Skipped { files, bytes } => {
                self.summary.skip(files, bytes);
                ControlFlow::Continue(())
            }
        }
    }

    fn tell(
        &mut self,
        action: &'static str,
        from: Option<&str>,
        to: &str,
        bytes: u64,
        reason: &'static str,
    ) -> ControlFlow<()> {
        let source = from.map(|name| [self.from.as_str(), name]);
        (self.each)(&Action { action, source, destination: [&self.to, to], bytes, reason })
    }
}

async fn one_upload(context: &Context, source: &Path, destination: &ObsUrl, each: Each<'_>) -> Result<Summary, Error> {
    let status = std::fs::metadata(source).map_err(|error| Error::local("read", source, error))?;
    let verdict = scan::upload::one(context, source, &status, destination).await?;
    let ends = [source.display().to_string(), destination.to_string()];
    Ok(one("upload", ends, status.len(), verdict, each))
}

async fn one_download(context: &Context, source: &ObsUrl, destination: &Path, each: Each<'_>) -> Result<Summary, Error> {
    let info = context.client.head(source).await?;
    let name = destination.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let verdict = scan::listing::one(context, destination.parent().unwrap_or(Path::new("/")), name, source, &info)?;
    let ends = [source.to_string(), destination.display().to_string()];
    Ok(one("download", ends, info.size, verdict, each))
}

async fn one_copy(context: &Context, source: &ObsUrl, destination: &ObsUrl, each: Each<'_>) -> Result<Summary, Error> {
    let info = context.client.head(source).await?;
    let ends = [source.to_string(), destination.to_string()];
    Ok(one("copy", ends, info.size, Verdict::Copy("asked for"), each))
}

fn one(action: &'static str, [from, to]: [String; 2], bytes: u64, verdict: Verdict, each: Each<'_>) -> Summary {
    let mut summary = Summary::default();
    match verdict {
        Verdict::Leave(_) => summary.skip(1, bytes),
        Verdict::Doubt(doubt) => return one(action, [from, to], bytes, doubt.listed(), each),
        Verdict::Copy(reason) => {
            summary.add(bytes, Check::None);
            let _ = each(&Action { action, source: Some([&from, ""]), destination: [&to, ""], bytes, reason });
        }
    }
    summary
}

/// The path with a `/` at its end.
pub fn folder_text(path: &Path) -> String {
    let text = path.display().to_string();
    if text.ends_with('/') { text } else { text + "/" }
}
