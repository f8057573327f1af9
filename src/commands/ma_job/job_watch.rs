//! `get-job --watch`: what changes, for people and for programs.

use std::collections::HashMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::api::modelarts::training_job::{self, Phase, TrainingJob};
use crate::api::modelarts::training_search::{self, SearchRequest};
use crate::commands::ma_job::get_job::offset;
use crate::commands::ma_job::job_table::{JobDetail, JobList};
use crate::commands::ma_job::launch::Document;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::{Format, Present};

/// Between two looks. The service counts requests.
const PERIOD: Duration = Duration::from_secs(2);
/// Looks in a row that may fail before watching is given up: two minutes.
const MOST_FAILURES: u32 = 60;

/// Watches one job until it has ended.
///
/// # Errors
/// There is no such job; the service is out of reach for too long; the user interrupts.
pub(super) async fn one(ctx: &Ctx, api: &Api, id: &str, verbose: bool) -> Result<(), Error> {
    let mut watch = Watch::new(ctx);
    loop {
        let looked = training_job::show(api, id).await;
        let looked = looked.map_err(|error| Error::from(error).context(&format!("training job [{id}]")));
        if let Some(job) = watch.endure(looked)? {
            let is_over = job.phase().is_final();
            let jobs = std::slice::from_ref(&job);
            watch.show(jobs, || JobDetail { job: job.clone(), verbose, offset: offset(ctx) })?;
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
        if let Some(jobs) = watch.endure(looked.map_err(Error::from))? {
            watch.show(&jobs, || JobList { jobs: jobs.clone(), verbose, offset: offset(ctx) })?;
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
    fn endure<T>(&mut self, looked: Result<T, Error>) -> Result<Option<T>, Error> {
        match looked {
            Ok(seen) => {
                self.failures = 0;
                Ok(Some(seen))
            }
            Err(error) => {
                self.failures += 1;
                let may_pass = matches!(error.kind, Kind::Network | Kind::Service | Kind::Throttled);
                if may_pass && self.failures < MOST_FAILURES { Ok(None) } else { Err(error) }
            }
        }
    }

    /// Draws the table where somebody looks, else a line for each job that is new or in a new state.
    fn show<P: Present>(&mut self, jobs: &[TrainingJob], table: impl FnOnce() -> P) -> Result<(), Error> {
        if self.ctx.ui.draws() {
            return self.ctx.ui.redraw(&table());
        }
        let mut seen = HashMap::with_capacity(jobs.len());
        for job in jobs {
            let (id, phase) = (job.id(), job.phase());
            if self.seen.get(&id) != Some(&phase) {
                self.ctx.ui.emit_as(&Document(job.0.clone()), Format::Jsonl)?;
            }
            seen.insert(id, phase);
        }
        self.seen = seen;
        Ok(())
    }

    async fn pause(&self) -> Result<(), Error> {
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => Ok(()),
            () = self.cancel.cancelled() => Err(Error::new(Kind::Interrupted, "no longer watching")),
        }
    }
}
