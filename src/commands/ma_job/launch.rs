//! From the description of a job to the job: what `submit` and `rerun` have in common.

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::api::modelarts::training_check::NOTHING_RUNS;
use crate::api::modelarts::training_job::{self, CreateRequest, TrainingJob};
use crate::api::modelarts::{algorithm, training_tags};
use crate::commands::ma_job::inquiry;
use crate::commands::ma_job::request;
use crate::commands::ma_job::spec::Spec;
use crate::commands::ma_job::upload::{self, Upload};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::{Format, Present, Table};

/// A job about to be submitted: checked here, nothing sent.
#[derive(Debug)]
pub(super) struct Launch {
    request: CreateRequest,
    uploads: Vec<Upload>,
}

impl Launch {
    /// Checks what can be checked on this machine.
    ///
    /// # Errors
    /// The first mistake.
    pub(super) fn new(ctx: &Ctx, mut spec: Spec) -> Result<Self, Error> {
        if spec.text("name").is_none() {
            spec.texts.insert("name", request::generated_name());
        }
        let uploads = upload::plan(ctx, &mut spec)?;
        let request = request::build(spec)?;
        // Mistakes are told before anything is sent.
        if request.problems().first().is_some_and(|problem| problem == NOTHING_RUNS) {
            return Err(Error::new(Kind::Usage, NOTHING_RUNS).hint("begin with a job file: ma-cli ma-job init"));
        }
        request.document()?;
        Ok(Self { request, uploads })
    }

    /// Prints the request and what would be uploaded.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) async fn show(mut self, ctx: &Ctx) -> Result<(), Error> {
        // Without a service the request is shown as far as it is known here.
        if let Ok(api) = ctx.modelarts() {
            request::find_engine(&api, &mut self.request).await;
        }
        for upload in &self.uploads {
            ctx.ui.note(&format!("would upload {}", upload.sentence()));
        }
        ctx.ui.emit_as(&Document(self.request.document()?), Format::Json)
    }

    /// Uploads, and creates the job.
    ///
    /// # Errors
    /// The store or the service refuses; the user interrupts the upload.
    pub(super) async fn create(mut self, ctx: &Ctx, api: &Api, cancel: &CancellationToken) -> Result<TrainingJob, Error> {
        request::find_engine(api, &mut self.request).await;
        if let Some(id) = &self.request.algorithm_id {
            let context = |error| Error::from(error).context(&format!("algorithm [{id}]"));
            let algorithm = algorithm::show(api, id).await.map_err(context)?;
            if let Some(problem) = algorithm::check_parameters(&algorithm, &self.request.parameters).into_iter().next() {
                return Err(Error::new(Kind::Config, problem).hint(format!("see ma-cli algorithm show {id}")));
            }
        }
        upload::carry_out(ctx, self.uploads, cancel).await?;
        let job = match training_job::create(api, &self.request).await {
            Ok(job) => job,
            Err(error) => {
                let error = Error::from(error).context("submitting the job");
                return Err(inquiry::advise(api, &self.request, error).await);
            }
        };
        // The job is there and runs: it is told of, tags or not.
        if let Err(error) = training_tags::add(api, &job.id(), &self.request.tags).await {
            ctx.ui.warn(&format!("the tags of the job could not be set: {error}"));
        }
        Ok(job)
    }
}

/// A document without rows.
#[derive(Debug)]
pub(super) struct Document(pub(super) Value);

impl Present for Document {
    fn table(&self) -> Table {
        Table::default()
    }

    fn document(&self) -> Value {
        self.0.clone()
    }
}
