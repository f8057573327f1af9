//! Objects that are named instead of listed.

use std::future::Future;
use std::io;
use std::sync::Arc;

use tokio::sync::mpsc::channel;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::copy::error::Error;
use crate::copy::scan::Context;
use crate::copy::scan::placing::Placing;
use crate::copy::select::Names;
use crate::obs::ObsUrl;
use crate::obs::list::Entry;

/// Runs work on a thread of its own: it may wait for standard input, and a program that ends does not wait for such a thread.
pub fn in_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> impl Future<Output = Result<T, Error>> {
    let (sender, receiver) = oneshot::channel();
    let spawned = std::thread::Builder::new().name("scan".to_owned()).spawn(move || {
        let _ = sender.send(work());
    });
    async move {
        spawned.map_err(|error| Error::local("start a thread for", "", error))?;
        receiver.await.map_err(|_| Error::local("look for files in", "", io::Error::other("the scan broke down")))?
    }
}

/// Looks at each object of a list, several at a time. Ends early when nobody listens any more.
///
/// # Errors
/// The list cannot be read. An object that is not there is reported as refused.
pub async fn download(context: &Context, source: &ObsUrl, names: &Names, mut placing: Placing) -> Result<(), Error> {
    let (sender, mut receiver) = channel(context.jobs.max(1));
    let (list, selection) = (names.clone(), Arc::clone(&context.selection));
    let reading = in_thread(move || {
        let mut reading = list.read()?;
        while let Some(name) = reading.next_name()? {
            if selection.takes_named(&name) && sender.blocking_send(name).is_err() {
                break;
            }
        }
        Ok(())
    });
    let mut heads: JoinSet<(String, Result<Entry, Error>)> = JoinSet::new();
    let mut more = true;
    while more || !heads.is_empty() {
        tokio::select! {
            Some(looked) = heads.join_next(), if !heads.is_empty() => {
                let (name, entry) = looked.map_err(|error| Error::local("look for", "", io::Error::other(error)))?;
                let is_due = match entry {
                    Ok(entry) => placing.take(entry),
                    Err(error) => placing.refuse(name, error),
                };
                if is_due && placing.outbox.flush().await.is_err() {
                    return Ok(());
                }
            }
            name = receiver.recv(), if more && heads.len() < context.jobs.max(1) => match name {
                Some(name) => {
                    let (context, source) = (context.clone(), source.clone());
                    heads.spawn(async move { head(&context, &source, name).await });
                }
                None => more = false,
            },
        }
    }
    let _ = placing.outbox.flush().await;
    reading.await
}

async fn head(context: &Context, source: &ObsUrl, name: String) -> (String, Result<Entry, Error>) {
    let url = source.join(&name);
    context.take_request().await;
    let looked = match context.client.head(&url).await {
        Ok(info) => Ok(Entry { key: url.key.clone(), size: info.size, etag: info.etag, modified: info.modified }),
        Err(error) if error.is_not_found() && !error.is_no_such_bucket() => Err(Error::NoSource(url.to_string())),
        Err(error) => Err(error.into()),
    };
    (name, looked)
}
