//! A large file in parts that are sent at the same time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::copy::budget::STREAM;
use crate::copy::digest::Check;
use crate::copy::error::Error;
use crate::copy::event::Event;
use crate::copy::meter::Meter;
use crate::copy::parts::{Division, Part};
use crate::copy::run::Run;
use crate::copy::upload::ABORT;
use crate::copy::upload::resume::{Begun, Upload, begin};
use crate::copy::upload::source::Source;
use crate::copy::upload::stream::{Destined, stream};
use crate::obs::ObsUrl;
use crate::obs::multipart::Part as SentPart;

/// Whoever interrupts a copy does not wait long for the store to forget an upload that cannot go on.
const ABORT_INTERRUPTED: Duration = Duration::from_millis(300);

pub(super) async fn in_parts(run: &Arc<Run>, source: &Arc<Source>, url: &ObsUrl, division: Division) -> Result<Check, Error> {
    let upload = match run.unless_stopped(Box::pin(begin(run, source, url, division))).await?? {
        Begun::Upload(upload) => Arc::new(upload),
        Begun::Complete(check) => return Ok(check),
    };
    let mut tasks = JoinSet::new();
    let sent = tokio::select! {
        biased;
        () = run.cancel.cancelled() => Err(Error::Cancelled),
        sent = send_parts(run, &mut tasks, source, url, &upload) => sent,
    };
    // No part may be on its way when the upload is aborted: it would stay at the store.
    tasks.shutdown().await;
    let completed = match sent {
        Ok((parts, check)) => complete(run, source, url, &upload, &parts).await.map(|()| check),
        Err(error) => Err(error),
    };
    match &completed {
        Ok(_) => upload.forget(),
        Err(error) => give_up(run, url, &upload, error).await,
    }
    completed
}

async fn complete(run: &Run, source: &Source, url: &ObsUrl, upload: &Upload, parts: &[SentPart]) -> Result<(), Error> {
    run.take_request().await?;
    source.check_unchanged()?;
    run.unless_stopped(run.client.complete_multipart(url, &upload.id, parts)).await??;
    Ok(())
}

/// Keeps what another run can go on with; the rest is aborted at the store.
async fn give_up(run: &Run, url: &ObsUrl, upload: &Upload, error: &Error) {
    let done = upload.kept();
    if upload.is_kept() && done > 0 && error.may_go_on() {
        run.events.event(Event::Kept { bytes: done, size: upload.division.size() });
        return;
    }
    let patience = if run.cancel.is_cancelled() { ABORT_INTERRUPTED } else { ABORT };
    match tokio::time::timeout(patience, run.client.abort_multipart(url, &upload.id)).await {
        Ok(Ok(())) => upload.forget(),
        // What is known of the upload stays, so that it can be discarded later.
        Ok(Err(error)) => tracing::debug!(%error, %url, "an upload could not be aborted"),
        Err(_) => tracing::debug!(%url, "an upload could not be aborted in time"),
    }
}

type Sent = Result<(SentPart, Check), Error>;

async fn send_parts(
    run: &Arc<Run>,
    tasks: &mut JoinSet<Sent>,
    source: &Arc<Source>,
    url: &ObsUrl,
    upload: &Arc<Upload>,
) -> Result<(Vec<SentPart>, Check), Error> {
    let mut sent = Vec::new();
    let mut check = Check::Md5;
    let mut take = |outcome: Result<Sent, tokio::task::JoinError>| {
        let (part, part_check) = outcome.map_err(|error| Error::local("send", &source.path, io::Error::other(error)))??;
        check = check.weaker(part_check);
        sent.push(part);
        Ok::<_, Error>(())
    };
    for part in upload.division.parts() {
        let permit = run.budget.permit(STREAM).await;
        while let Some(outcome) = tasks.try_join_next() {
            take(outcome)?;
        }
        let (run, source, url, upload) = (Arc::clone(run), Arc::clone(source), url.clone(), Arc::clone(upload));
        tasks.spawn(async move {
            let sent = send(&run, &source, &url, &upload, part).await;
            drop(permit);
            sent
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        take(outcome)?;
    }
    sent.sort_by_key(|part| part.number);
    Ok((sent, check))
}

async fn send(run: &Run, source: &Arc<Source>, url: &ObsUrl, upload: &Upload, part: Part) -> Sent {
    if let Some(earlier) = upload.earlier(run, source, part).await? {
        let meter = Meter::new(run);
        meter.add(usize::try_from(part.length).unwrap_or(usize::MAX));
        meter.keep();
        return Ok(earlier);
    }
    let (etag, value, check) = stream(run, source, url, part, Destined::Part(&upload.id)).await?;
    upload.sent(run, part, &etag, value);
    Ok((SentPart { number: part.number, etag, size: part.length }, check))
}
