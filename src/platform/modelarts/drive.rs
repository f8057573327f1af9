//! Taking one job through its phases: preparation, its tasks, the end.
//!
//! A driver may leave at any point where it waits (the platform ends) or never come back (it is killed): what it has done is
//! in the state file and in the tasks' folders, and the next driver goes on from there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::record::{self, Event, Phase};
use crate::platform::modelarts::watch::{self, Ended};
use crate::platform::modelarts::{Training, autosearch, plan};
use crate::platform::runner;
use crate::platform::runner::boot::{Meeting, Programs};
use crate::platform::runner::plan::{Family, JobPlan};
use crate::platform::runner::prepare::Preparation;
use crate::platform::runner::usage::now;

/// Shortest and longest pause before a change of the state is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Drives a job to its end, or until the platform ends.
pub(super) async fn drive(training: &Arc<Training>, id: &str, stop: &CancellationToken) {
    if let Err(error) = run(training, id, stop).await {
        tracing::error!(job = id, error = &error as &dyn std::error::Error, "a training job cannot be driven");
    }
}

async fn run(training: &Arc<Training>, id: &str, stop: &CancellationToken) -> Result<(), ApiError> {
    let ending = &training.ending;
    let Some(running) = ending.run_until_cancelled(get_running(training, id, stop)).await else { return Ok(()) };
    let Some((job, plan)) = running? else { return Ok(()) };
    let Some(ended) = watch::watch(training, &plan, &job, stop).await else { return Ok(()) };
    ending.run_until_cancelled(insist(id, || conclude(training, &plan, &ended))).await.unwrap_or(Ok(()))
}

/// Takes the job to the point where its tasks may run; `None` when it has come to its end before.
async fn get_running(
    training: &Arc<Training>,
    id: &str,
    stop: &CancellationToken,
) -> Result<Option<(Value, JobPlan)>, ApiError> {
    let job = insist(id, || record::get(training.state(), id)).await?;
    let phase = Phase::of(&job);
    let never_started =
        async |reason: Option<runner::Error>| insist(id, || never_started(training, id, reason.as_ref())).await.map(|()| None);
    let plan = match plan::plan(&job) {
        Ok(plan) => plan,
        Err(error) => return never_started(Some(error)).await,
    };
    let has_started = job["status"]["start_time"].is_i64();
    if phase == Some(Phase::Pending) {
        let prepared = tokio::select! {
            prepared = prepare(training, &plan) => prepared,
            () = stop.cancelled() => return never_started(None).await,
        };
        if let Err(error) = prepared {
            return never_started(Some(error)).await;
        }
        if !insist(id, || begin(training, id)).await? {
            return never_started(None).await;
        }
    } else if !has_started {
        return never_started(None).await;
    }
    Ok(Some((job, plan)))
}

/// Reads or changes the state, again and again while that fails, as on a full disk: a job whose end is not on record would seem
/// to run for ever, and one that was left would be taken up again at once.
async fn insist<T>(id: &str, change: impl Fn() -> Result<T, ApiError>) -> Result<T, ApiError> {
    let (mut pause, longest) = PAUSES;
    loop {
        match change() {
            Err(error) if error.is_temporary() => {
                tracing::error!(
                    job = id,
                    error = &error as &dyn std::error::Error,
                    "a training job's state cannot be used yet"
                );
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
            done => return done,
        }
    }
}

/// Gets all tasks ready. What an earlier attempt has left is removed first.
async fn prepare(training: &Training, plan: &JobPlan) -> Result<(), runner::Error> {
    let programs = programs(training, plan).await?;
    let meeting = Meeting::arrange(plan).map_err(|error| runner::Error::Unsupported(format!("no ports are free: {error}")))?;
    let (surroundings, timing) = (training.surroundings(), training.options().timing);
    let preparation = Preparation {
        plan,
        jobs: training.jobs(),
        meeting: &meeting,
        programs: &programs,
        surroundings: &surroundings,
        transfer: &training.transfer,
        grace: timing.grace.as_millis() as u64,
        sample_period: timing.samples.as_millis() as u64,
    };
    let tell = |message: String| record::add(training.state(), &plan.id, &Event::info(message));
    let tasks = plan.tasks();
    try_join_all(tasks.iter().map(|task| preparation.task(task, &tell))).await?;
    autosearch::arrange(training, plan)
}

/// Finds the programs that the engine needs, and says in an event what this machine has in place of the engine's image.
async fn programs(training: &Training, plan: &JobPlan) -> Result<Programs, runner::Error> {
    let interpreters = &training.options().interpreters;
    let engine = plan.engine.as_ref();
    let named = engine.and_then(|engine| interpreters.get(&engine.id).or_else(|| interpreters.get(&engine.name)));
    let python = named.or_else(|| interpreters.get("default"));
    let python = python.map_or_else(|| "python3".to_owned(), |path| path.to_string_lossy().into_owned());
    let found = training.probes.find(&python, engine.and_then(|engine| engine.module)).await;
    let program = match (found, engine) {
        (Ok(found), Some(engine)) => {
            let lacks = found.lacks.map(|module| format!(" It lacks the package {module} of the engine.")).unwrap_or_default();
            let message = format!("Engine {} is run by {} (Python {}).{lacks}", engine.id, found.executable, found.version);
            let event = if lacks.is_empty() { Event::info(message) } else { Event::warning(message) };
            record::add_once(training.state(), &plan.id, &event);
            found.executable
        }
        (Ok(found), None) => found.executable,
        // A command may well do without Python.
        (Err(_), None) => python,
        (Err(reason), Some(engine)) => {
            return Err(runner::Error::Unsupported(format!("engine {} cannot be run: {reason}", engine.id)));
        }
    };
    let mpirun = interpreters.get("mpirun").map_or_else(|| "mpirun".to_owned(), |path| path.to_string_lossy().into_owned());
    if plan.family() == Family::Mpi && plan.nodes > 1 && !training.probes.runs(&mpirun).await {
        return Err(runner::Error::Unsupported("several nodes of this engine need mpirun, which this machine lacks".into()));
    }
    let has_pip = training.probes.find(&program, Some("pip")).await.is_ok_and(|found| found.lacks.is_none());
    Ok(Programs { python: program, has_pip, mpirun })
}

/// `Pending` to `Running`; `false` when the job was stopped meanwhile.
fn begin(training: &Training, id: &str) -> Result<bool, ApiError> {
    let mut begun = false;
    record::change::<ApiError>(training.state(), id, |job| {
        if Phase::of(job) != Some(Phase::Pending) {
            return Ok(Vec::new());
        }
        begun = true;
        let now = now();
        Phase::Running.set(job);
        let nodes = job["spec"]["resource"]["node_count"].clone();
        job["status"]["start_time"] = json!(now);
        job["status"]["node_count_metrics"] = json!([[now, nodes]]);
        job["status"]["running_records"] = json!([{"start_at": now / 1000, "start_type": "init_or_rescheduled"}]);
        Ok(vec![Event::info("Training job is running.")])
    })?;
    Ok(begun)
}

/// The end of a job whose program never ran: `Abnormal` with a reason, or `Terminated` when it was stopped.
pub(super) fn never_started(training: &Training, id: &str, reason: Option<&runner::Error>) -> Result<(), ApiError> {
    record::change::<ApiError>(training.state(), id, |job| {
        if Phase::of(job).is_some_and(Phase::is_final) {
            return Ok(Vec::new());
        }
        if let (Some(reason), false) = (reason, Phase::of(job) == Some(Phase::Terminating)) {
            Phase::Abnormal.set(job);
            let task = job["status"]["tasks"][0].clone();
            job["status"]["task_statuses"] = json!([{"task": task, "exit_code": -1, "message": reason.to_string()}]);
            return Ok(vec![Event::error(format!("Training job could not be prepared: {reason}."))]);
        }
        Phase::Terminated.set(job);
        Ok(vec![Event::info("Training job was stopped manually.")])
    })?;
    Ok(())
}

/// The end of a job whose tasks have ended: phase, times and exit codes in one transaction.
fn conclude(training: &Training, plan: &JobPlan, ended: &Ended) -> Result<(), ApiError> {
    record::change::<ApiError>(training.state(), &plan.id, |job| {
        let now = now();
        let (phase, event) = match (Phase::of(job), ended.failure()) {
            (Some(Phase::Terminating), _) => (Phase::Terminated, Event::info(ended.stopped_by())),
            (_, None) => (Phase::Completed, Event::info("Training job completed.")),
            (_, Some(reason)) => (Phase::Failed, Event::error(format!("Training job failed: {reason}."))),
        };
        phase.set(job);
        let reason = match phase {
            Phase::Completed => "job completed".to_owned(),
            Phase::Terminated => "job terminated".to_owned(),
            _ => ended.failure().unwrap_or_default(),
        };
        let start = job["status"]["start_time"].as_i64().unwrap_or(now);
        job["status"]["duration"] = json!((now - start).max(0));
        job["status"]["task_statuses"] = ended.statuses();
        if let Some(last) = job["status"]["running_records"].as_array_mut().and_then(|records| records.last_mut()) {
            last["end_at"] = json!(now / 1000);
            last["end_reason"] = json!(reason);
            if let Some(task) = ended.culprit() {
                last["end_related_task"] = json!(task);
            }
        }
        Ok(vec![event])
    })?;
    Ok(())
}
