//! `get-job --watch`: what changes, for people and for programs.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use crate::api::modelarts::training_job::{self, Phase, TrainingJob};
use crate::api::modelarts::training_search::{self, SearchRequest};
use crate::api::{self, Api};
use crate::commands::ma_job::job_table::{JobDetail, JobList};
use crate::commands::ma_job::launch::Document;
use crate::commands::ma_job::rhythm::may_pass;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::{Format, Present};

/// Between two looks. The service counts requests.
const PERIOD: Duration = Duration::from_secs(2);
/// Looks in a row that may fail before watching is given up: two minutes.
const MOST_FAILURES: u32 = 60;
/// Jobs that are looked at by themselves at once.
const AT_ONCE: usize = 8;

/// Watches one job until it has ended.
///
/// # Errors
/// There is no such job; the service is out of reach for too long; the user interrupts.
pub(super) async fn one(ctx: &Ctx, api: &Api, id: &str, verbose: bool) -> Result<(), Error> {
    let mut watch = Watch::new(ctx);
    loop {
        let context = |error: Error| error.context(&format!("training job [{id}]"));
        if let Some(job) = watch.endure(training_job::show(api, id).await).map_err(context)? {
            let is_over = job.phase().is_final();
            let jobs = std::slice::from_ref(&job);
            watch.show(jobs, || JobDetail { job: job.clone(), verbose, zone: ctx.ui.zone() })?;
            if is_over {
                return Ok(());
            }
        }
        watch.pause().await?;
    }
}

/// Watches a page of jobs, or all, until the user interrupts.
///
/// # Errors
/// The service refuses or is out of reach for too long; the user interrupts.
pub(super) async fn many(ctx: &Ctx, api: &Api, request: &SearchRequest, is_all: bool, verbose: bool) -> Result<(), Error> {
    let mut watch = Watch::new(ctx);
    loop {
        let looked = if is_all {
            training_search::search_all(api, request).await
        } else {
            training_search::search(api, request).await.map(|page| page.jobs)
        };
        if let Some(mut jobs) = watch.endure(looked)? {
            if !ctx.ui.draws() {
                watch.add_left(api, &mut jobs).await;
            }
            let is_sorted = request.sort_by.is_some();
            watch.show(&jobs, || JobList { jobs: jobs.clone(), verbose, is_sorted, zone: ctx.ui.zone() })?;
        }
        watch.pause().await?;
    }
}

struct Watch<'a> {
    ctx: &'a Ctx,
    cancel: CancellationToken,
    seen: HashMap<String, Phase>,
    failures: u32,
}

impl<'a> Watch<'a> {
    fn new(ctx: &'a Ctx) -> Self {
        Self { ctx, cancel: ctx.cancel(), seen: HashMap::new(), failures: 0 }
    }

    /// What was seen; `None` when the service is out of reach for the moment.
    fn endure<T>(&mut self, looked: Result<T, api::Error>) -> Result<Option<T>, Error> {
        match looked {
            Ok(seen) => {
                self.failures = 0;
                Ok(Some(seen))
            }
            Err(error) => {
                self.failures += 1;
                let is_refusal = error.is_refusal();
                let error = Error::from(error);
                if !is_refusal && may_pass(&error) && self.failures < MOST_FAILURES { Ok(None) } else { Err(error) }
            }
        }
    }

    /// Adds the jobs that go on but are no longer in the answer: they have left the filter, or others have taken their place on
    /// the page. What is not there any more has no state to tell.
    async fn add_left(&mut self, api: &Api, jobs: &mut Vec<TrainingJob>) {
        let there: HashSet<String> = jobs.iter().map(TrainingJob::id).collect();
        let is_left = |(id, phase): &(&String, &Phase)| !phase.is_final() && !there.contains(*id);
        let left: Vec<String> = self.seen.iter().filter(is_left).map(|(id, _)| id.clone()).collect();
        let looks = stream::iter(left).map(|id| async move { (training_job::show(api, &id).await, id) });
        let mut looks = Box::pin(looks.buffered(AT_ONCE));
        while let Some((looked, id)) = looks.next().await {
            match looked {
                Ok(job) => jobs.push(job),
                // What failed otherwise is looked at again the next time.
                Err(error) => {
                    if Error::from(error).kind == Kind::NotFound {
                        self.seen.remove(&id);
                    }
                }
            }
        }
    }

    /// Draws the table where somebody looks, else a line for each job that is new or in a new state.
    fn show<P: Present>(&mut self, jobs: &[TrainingJob], table: impl FnOnce() -> P) -> Result<(), Error> {
        if self.ctx.ui.draws() {
            return self.ctx.ui.redraw(&table());
        }
        for job in jobs {
            let (id, phase) = (job.id(), job.phase());
            if self.seen.get(&id) != Some(&phase) {
                self.ctx.ui.emit_as(&Document(job.0.clone()), Format::Jsonl)?;
            }
            self.seen.insert(id, phase);
        }
        Ok(())
    }

    async fn pause(&self) -> Result<(), Error> {
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => Ok(()),
            () = self.cancel.cancelled() => Err(Error::new(Kind::Interrupted, "no longer watching")),
        }
    }
}
