//! Jobs that search for good hyperparameters: their requests, and what is known of their trials.
//!
//! The trials run below the task of the job, one after the other or side by side; [`crate::platform::search`] drives them and
//! leaves a report in the task's folder, which is read here.

mod analysis;
mod offer;
mod request;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) use request::{accept, template};

use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::record::{self, Phase};
use crate::platform::modelarts::{Training, autosearch};
use crate::platform::runner::Error;
use crate::platform::runner::layout::{Layout, task_folder};
use crate::platform::runner::plan::{Access, JobPlan};
use crate::platform::runner::spec::{SPEC_FILE, TRAINING, TaskSpec, read_json, replace_json};
use crate::platform::search::drive::{DriveSpec, Output};
use crate::platform::search::plan::SearchPlan;
use crate::platform::search::report::{Report, TrialReport, TrialStatus, ask_to_stop};

/// The task that drives the trials.
const DRIVER: &str = "worker-0";
/// Most trials on one page.
const LARGEST_PAGE: usize = 50;
/// Columns before the figures of the trials.
const BEFORE: [&str; 9] =
    ["done", "pid", "config", "trial_id", "training_iteration", "time_total_s", "worker_index", "reward_attr", "status"];
/// Column after them.
const AFTER: &str = "best_reward";

/// The routes of searches.
pub(super) fn routes() -> Router<Arc<Training>> {
    let trials = "/v2/{project_id}/training-jobs/{id}/autosearch-trials";
    let templates = "/v2/{project_id}/training-jobs/autosearch/yaml-templates";
    Router::new()
        .route("/v2/{project_id}/search-algorithms", get(offer::algorithms))
        .route(templates, get(offer::templates))
        .route(&format!("{templates}/{{kind}}/{{name}}"), get(offer::template))
        .route(trials, get(list))
        .route(&format!("{trials}/{{trial}}"), get(show))
        .route("/v2/{project_id}/training-jobs/{id}/autosearch-trial-earlystop/{trial}", post(stop))
        .route("/v2/{project_id}/training-jobs/{id}/autosearch-parameter-analysis", get(analyse))
}

/// Makes a prepared task of a search job run trials instead of its program. Does nothing for other jobs.
///
/// # Errors
/// The task's files cannot be read or written.
pub(super) fn arrange(training: &Training, plan: &JobPlan) -> Result<(), Error> {
    let job = record::get(training.state(), &plan.id).map_err(|error| Error::Invalid(error.message))?;
    let Some(search) = job["algorithm"]["policies"].get("auto_search") else { return Ok(()) };
    let search = autosearch::request::read(search).map_err(|error| Error::Invalid(error.message))?;
    let folder = task_folder(training.jobs(), &plan.id, DRIVER);
    let file = folder.join(SPEC_FILE);
    let read = read_json::<TaskSpec>(&file).map_err(Error::local("cannot read", &file))?;
    let Some(mut spec) = read else { return Ok(()) };
    let tasks = plan.tasks();
    let Some(task) = tasks.iter().find(|task| task.id() == DRIVER) else { return Ok(()) };
    let layout = Layout::new(training.jobs(), plan, task);
    let output = |channel: &crate::platform::runner::plan::Channel| Output {
        name: channel.name.clone(),
        path: layout.local(&channel.local_dir),
        is_variable: channel.access == Access::Environment,
    };
    for step in spec.steps.iter_mut().filter(|step| step.stage == TRAINING) {
        let drive = DriveSpec {
            plan: search.clone(),
            argv: std::mem::take(&mut step.argv),
            folder: folder.clone(),
            log: spec.log.clone(),
            outputs: plan.outputs.iter().map(output).collect(),
            // It has to end its trials within the time that it has itself.
            grace: spec.grace / 2,
        };
        let saved = drive.save().map_err(Error::local("cannot write", &folder))?;
        let words = [training.options().executable.clone(), "platform".into(), "run-search".into(), saved];
        step.argv = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    }
    replace_json(&file, &spec).map_err(Error::local("cannot write", &file))
}

/// A search job: its plan, its report and the folder of its task.
fn find(training: &Training, id: &str) -> Result<(Value, SearchPlan, Report, PathBuf), ApiError> {
    let job = record::get(training.state(), id)?;
    let Some(search) = job["algorithm"]["policies"].get("auto_search") else {
        return Err(ApiError::parameter("training_job_id", "the job does not search for hyperparameters"));
    };
    let plan = request::read(search)?;
    let folder = task_folder(training.jobs(), id, DRIVER);
    let mut report = Report::read(&folder).map_err(|error| ApiError::local(&format!("the trials of {id}: {error}")))?;
    close(&mut report, Phase::of(&job));
    Ok((job, plan, report, folder))
}

/// What was running when its driver was killed does not run on behind the end of the job.
fn close(report: &mut Report, phase: Option<Phase>) {
    let Some(phase) = phase.filter(|phase| phase.is_final()) else { return };
    let status = if phase == Phase::Terminated { TrialStatus::Stopped } else { TrialStatus::Failed };
    for trial in report.trials.iter_mut().filter(|trial| trial.status == TrialStatus::Running) {
        trial.status = status;
    }
}

/// Pages of a list.
#[derive(Debug, Deserialize)]
struct Pages {
    offset: Option<usize>,
    limit: Option<usize>,
}

/// `offset` counts pages.
async fn list(
    State(training): State<Arc<Training>>,
    Path((_, id)): Path<(String, String)>,
    Query(pages): Query<Pages>,
) -> Result<Json<Value>, ApiError> {
    let (_, plan, report, _) = find(&training, &id)?;
    let (offset, limit) = (pages.offset.unwrap_or(0), pages.limit.unwrap_or(LARGEST_PAGE));
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(ApiError::parameter("limit", "it is 1 to 50"));
    }
    let total = report.trials.len();
    let page: Vec<&TrialReport> = report.trials.iter().skip(offset.saturating_mul(limit)).take(limit).collect();
    let items = table(&plan, &page);
    Ok(Json(json!({
        "total": total, "count": page.len(), "limit": limit, "offset": offset, "group_by": "", "items": items,
    })))
}

async fn show(
    State(training): State<Arc<Training>>,
    Path((_, id, trial)): Path<(String, String, String)>,
) -> Result<Json<Value>, ApiError> {
    let (_, plan, report, _) = find(&training, &id)?;
    let found = report.trials.iter().find(|known| known.id == trial).ok_or_else(|| no_trial(&trial))?;
    Ok(Json(table(&plan, &[found])))
}

async fn stop(
    State(training): State<Arc<Training>>,
    Path((_, id, trial)): Path<(String, String, String)>,
) -> Result<Json<Value>, ApiError> {
    let (job, _, report, folder) = find(&training, &id)?;
    let found = report.trials.iter().find(|known| known.id == trial).ok_or_else(|| no_trial(&trial))?;
    let phase = Phase::of(&job).map_or("unknown", Phase::name);
    if found.status != TrialStatus::Running || phase != Phase::Running.name() {
        let message = format!("The trial {trial} does not run any more.");
        return Err(ApiError { status: axum::http::StatusCode::CONFLICT, code: "ModelArts.2796", message });
    }
    ask_to_stop(&folder, &found.id).map_err(|error| ApiError::local(&format!("the trial {trial}: {error}")))?;
    Ok(Json(json!({"earlystop_trial": trial})))
}

async fn analyse(
    State(training): State<Arc<Training>>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let (_, plan, report, _) = find(&training, &id)?;
    let rows: Vec<Value> = analysis::importance(&plan, &report)
        .into_iter()
        .map(|(name, mean, deviation)| json!([name, format!("{mean:.4}/{deviation:.4}")]))
        .collect();
    Ok(Json(json!({"header": ["parameters", "the mean/std of importance"], "data": rows})))
}

fn no_trial(trial: &str) -> ApiError {
    let message = format!("The training job has no trial {trial}.");
    ApiError { status: axum::http::StatusCode::NOT_FOUND, code: "ModelArts.2836", message }
}

fn table(plan: &SearchPlan, trials: &[&TrialReport]) -> Value {
    let names = plan.indicators.iter().map(|indicator| indicator.name.as_str());
    let header: Vec<&str> = BEFORE.into_iter().chain(names).chain([AFTER]).collect();
    let data: Vec<Vec<String>> = trials.iter().map(|trial| row(plan, trial)).collect();
    json!({"header": header, "data": data})
}

fn row(plan: &SearchPlan, trial: &TrialReport) -> Vec<String> {
    let status = match trial.status {
        TrialStatus::Running => "RUNNING",
        TrialStatus::Completed => "TERMINATED",
        TrialStatus::Stopped => "EARLY_STOPPED",
        TrialStatus::Failed => "ERROR",
    };
    let config: BTreeMap<&str, &str> = trial.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let figure = |value: &Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let mut cells = vec![
        (trial.status != TrialStatus::Running).to_string(),
        trial.pid.to_string(),
        json!(config).to_string(),
        trial.id.clone(),
        trial.iterations.to_string(),
        format!("{:.3}", trial.duration as f64 / 1000.0),
        "0".to_owned(),
        plan.indicators[0].name.clone(),
        status.to_owned(),
    ];
    cells.extend(trial.figures.iter().map(figure));
    cells.push(figure(&trial.best));
    cells
}

#[cfg(test)]
mod tests {
    use super::{Phase, Report, TrialReport, TrialStatus, close};
    use crate::platform::search::space::Point;

    #[test]
    fn no_trial_runs_on_behind_the_end_of_its_job() {
        let trial = |status| TrialReport {
            id: "trial-1".into(),
            pid: 1,
            values: Vec::new(),
            point: Point::default(),
            status,
            started: 0,
            duration: 0,
            iterations: 0,
            figures: Vec::new(),
            best: None,
        };
        for (phase, expected) in [
            (Phase::Running, TrialStatus::Running),
            (Phase::Terminating, TrialStatus::Running),
            (Phase::Terminated, TrialStatus::Stopped),
            (Phase::Failed, TrialStatus::Failed),
        ] {
            let mut report = Report { trials: vec![trial(TrialStatus::Completed), trial(TrialStatus::Running)] };
            close(&mut report, Some(phase));
            let statuses = report.trials.iter().map(|trial| trial.status).collect::<Vec<_>>();
            assert_eq!(statuses, [TrialStatus::Completed, expected], "{phase:?}");
        }
    }
}
