//! A large file in parts that are sent at the same time.

use std::io;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::copy::budget::STREAM;
use crate::copy::digest::Check;
use crate::copy::error::Error;
use crate::copy::parts::Division;
use crate::copy::run::Run;
use crate::copy::upload::ABORT;
use crate::copy::upload::source::Source;
use crate::copy::upload::stream::{Destined, stream};
use crate::obs::ObsUrl;
use crate::obs::multipart::Part as SentPart;

pub(super) async fn in_parts(run: &Arc<Run>, source: &Arc<Source>, url: &ObsUrl, division: Division) -> Result<Check, Error> {
    let upload: Arc<str> = run.unless_stopped(run.client.create_multipart(url)).await??.into();
    let mut tasks = JoinSet::new();
    let sent = tokio::select! {
        biased;
        () = run.cancel.cancelled() => Err(Error::Cancelled),
        sent = send_parts(run, &mut tasks, source, url, division, &upload) => sent,
    };
    // No part may be on its way when the upload is aborted: it would stay at the store.
    tasks.shutdown().await;
    let completed = match sent {
        Ok((parts, check)) => match source.check_unchanged() {
            Ok(()) => match run.unless_stopped(run.client.complete_multipart(url, &upload, &parts)).await {
                Ok(completed) => completed.map(|_| check).map_err(Error::from),
                Err(stopped) => Err(stopped),
            },
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    if completed.is_err()
        && let Ok(Err(error)) = tokio::time::timeout(ABORT, run.client.abort_multipart(url, &upload)).await
    {
        tracing::debug!(%error, %url, "an upload could not be aborted");
    }
    completed
}

type Sent = Result<(SentPart, Check), Error>;

async fn send_parts(
    run: &Arc<Run>,
    tasks: &mut JoinSet<Sent>,
    source: &Arc<Source>,
    url: &ObsUrl,
    division: Division,
    upload: &Arc<str>,
) -> Result<(Vec<SentPart>, Check), Error> {
    let mut sent = Vec::new();
    let mut check = Check::Md5;
    let mut take = |outcome: Result<Sent, tokio::task::JoinError>| {
        let (part, part_check) = outcome.map_err(|error| Error::local("send", &source.path, io::Error::other(error)))??;
        check = check.weaker(part_check);
        sent.push(part);
        Ok::<_, Error>(())
    };
    for part in division.parts() {
        let permit = run.budget.permit(STREAM).await;
        while let Some(outcome) = tasks.try_join_next() {
            take(outcome)?;
        }
        let (run, source, url, upload) = (Arc::clone(run), Arc::clone(source), url.clone(), Arc::clone(upload));
        tasks.spawn(async move {
            let (etag, _, check) = stream(&run, &source, &url, part, Destined::Part(&upload)).await?;
            drop(permit);
            Ok((SentPart { number: part.number, etag, size: part.length }, check))
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        take(outcome)?;
    }
    sent.sort_by_key(|part| part.number);
    Ok((sent, check))
}
