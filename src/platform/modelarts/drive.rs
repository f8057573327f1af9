//! Taking one job through its phases: preparation, its tasks, the end.
//!
//! A driver may leave at any point where it waits (the platform ends) or never come back (it is killed): what it has done is
//! in the state file and in the tasks' folders, and the next driver goes on from there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::platform::modelarts::ended::Ended;
use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::record::{self, Event, Phase, RUNNING};
use crate::platform::modelarts::restart::{self, Policy};
use crate::platform::modelarts::{Training, autosearch, image, plan, retention, stage, watch};
use crate::platform::runner;
use crate::platform::runner::boot::Programs;
use crate::platform::runner::hosts;
use crate::platform::runner::layout::job_folder;
use crate::platform::runner::meeting::Meeting;
use crate::platform::runner::plan::{Family, JobPlan};
use crate::platform::runner::prepare::{Earlier, Preparation};

/// Shortest and longest pause before a change of the state is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Drives a job to its end, or until the platform ends.
pub(super) async fn drive(training: &Arc<Training>, id: &str, stop: &CancellationToken) {
    if let Err(error) = run(training, id, stop).await {
        tracing::error!(job = id, error = &error as &dyn std::error::Error, "a training job cannot be driven");
    }
    if let Ok(job) = record::get(training.state(), id)
        && Phase::of(&job).is_some_and(Phase::is_final)
        && !restart::has_lost(&job)
    {
        let folder = job_folder(training.jobs(), id);
        // There may be many files, and the slots are free meanwhile.
        training.tracker.spawn_blocking(move || retention::tidy(&folder));
    }
}

async fn run(training: &Arc<Training>, id: &str, stop: &CancellationToken) -> Result<(), ApiError> {
    let ending = &training.ending;
    loop {
        let Some(running) = ending.run_until_cancelled(get_running(training, id, stop)).await else { return Ok(()) };
        let Some((job, plan)) = running? else { return Ok(()) };
        let Some(ended) = watch::watch(training, &plan, &job, stop).await else { return Ok(()) };
        let Some(concluded) = ending.run_until_cancelled(insist(id, || conclude(training, &plan, &ended))).await else {
            return Ok(());
        };
        // It keeps its slots meanwhile: a job that is started again comes before all that wait.
        if concluded? == After::End {
            return Ok(());
        }
    }
}

/// What comes after the end of a job's tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// The end of the job.
    End,
    /// Another start.
    Restart,
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
        let preparing = training.now();
        let prepared = tokio::select! {
            prepared = prepare(training, &plan, &job) => prepared,
            () = stop.cancelled() => return never_started(None).await,
        };
        if let Err(error) = prepared {
            return never_started(Some(error)).await;
        }
        if !insist(id, || begin(training, id, preparing)).await? {
            return never_started(None).await;
        }
    } else if !has_started {
        return never_started(None).await;
    }
    // As it is now that it runs.
    Ok(Some((insist(id, || record::get(training.state(), id)).await?, plan)))
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

/// Gets all tasks ready. What an earlier attempt has left is removed first, but for what a restart takes over.
async fn prepare(training: &Training, plan: &JobPlan, job: &Value) -> Result<(), runner::Error> {
    let mut programs = programs(training, plan).await?;
    // The containers of an image are told the names of the others by Docker.
    let is_here = plan.nodes > 1 && plan.image.is_none();
    let way = if is_here { training.probes.way().await } else { None };
    if is_here {
        hosts::write(training.jobs(), plan)?;
        programs.wrapper = way.as_ref().map(|way| hosts::wrapper(way, training.jobs(), plan)).unwrap_or_default();
    }
    let has_names = way.is_some() || plan.image.is_some();
    let meeting = arrange(training, plan, has_names)?;
    let (surroundings, timing) = (training.surroundings(has_names), training.options().timing);
    let preparation = Preparation {
        plan,
        jobs: training.jobs(),
        meeting: &meeting,
        programs: &programs,
        surroundings: &surroundings,
        transfer: &training.transfer,
        grace: timing.grace.as_millis() as u64,
        sample_period: timing.samples.as_millis() as u64,
        earlier: match restart::restarts(job) {
            0 => Earlier::None,
            _ if restart::keeps_folders(job) => Earlier::Folders,
            _ => Earlier::Records,
        },
    };
    let tell = |message: String| record::add(training.state(), &plan.id, &Event::info(message));
    let tasks = plan.tasks();
    try_join_all(tasks.iter().map(|task| preparation.task(task, &tell))).await?;
    autosearch::arrange(training, plan)
}

/// Picks the job's ports, others than those of jobs that are about to listen.
fn arrange(training: &Training, plan: &JobPlan, has_names: bool) -> Result<Meeting, runner::Error> {
    let mut active = training.active();
    let others = active.iter().filter(|&(id, _)| *id != plan.id);
    let promised = others.flat_map(|(_, active)| active.ports.iter().copied()).collect();
    let meeting = Meeting::arrange(plan, has_names, &promised)
        .map_err(|error| runner::Error::Unsupported(format!("no ports are free: {error}")))?;
    if let Some(active) = active.get_mut(&plan.id) {
        active.ports = meeting.ports();
    }
    Ok(meeting)
}

/// The Python of jobs whose engine has no other.
pub(super) fn default_interpreter(training: &Training) -> String {
    let python = training.options().interpreters.get("default");
    python.map_or_else(|| "python3".to_owned(), |path| path.to_string_lossy().into_owned())
}

/// Finds the programs that the engine needs, and says in an event what this machine has in place of the engine's image.
async fn programs(training: &Training, plan: &JobPlan) -> Result<Programs, runner::Error> {
    if let Some(image) = &plan.image {
        return Ok(Programs { docker: image::ready(training, &plan.id, image).await?, ..Programs::default() });
    }
    let interpreters = &training.options().interpreters;
    let engine = plan.engine.as_ref();
    let named = engine.and_then(|engine| interpreters.get(&engine.id).or_else(|| interpreters.get(&engine.name)));
    let python = named.map_or_else(|| default_interpreter(training), |path| path.to_string_lossy().into_owned());
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
    let own = |name: &str| interpreters.get(name).map_or_else(|| name.to_owned(), |path| path.to_string_lossy().into_owned());
    let launcher = plan.launcher().map(|launcher| own(launcher.name())).unwrap_or_default();
    if !launcher.is_empty() && !training.probes.runs(&launcher).await {
        let reason = format!("MA_RUN_METHOD needs the program {launcher}, which this machine lacks");
        return Err(runner::Error::Unsupported(reason));
    }
    let mpirun = own("mpirun");
    if plan.family() == Family::Mpi && plan.nodes > 1 && !training.probes.runs(&mpirun).await {
        return Err(runner::Error::Unsupported("several nodes of this engine need mpirun, which this machine lacks".into()));
    }
    let has_pip = training.probes.find(&program, Some("pip")).await.is_ok_and(|found| found.lacks.is_none());
    Ok(Programs { python: program, has_pip, mpirun, launcher, ..Programs::default() })
}

/// `Pending` to `Running`; `false` when the job was stopped meanwhile.
fn begin(training: &Training, id: &str, preparing: i64) -> Result<bool, ApiError> {
    let mut begun = false;
    record::change::<ApiError>(training.state(), id, |job| {
        if Phase::of(job) != Some(Phase::Pending) {
            return Ok(Vec::new());
        }
        begun = true;
        let now = training.now();
        Phase::Running.set(job);
        let nodes = job["spec"]["resource"]["node_count"].clone();
        if !job["status"]["start_time"].is_i64() {
            job["status"]["start_time"] = json!(now);
            job["status"]["node_count_metrics"] = json!([[now, nodes]]);
        }
        let kind = if restart::keeps_folders(job) { "restarted" } else { "init_or_rescheduled" };
        let record = json!({"start_at": now / 1000, "start_type": kind});
        match job["status"]["running_records"].as_array_mut() {
            Some(records) => records.push(record),
            None => job["status"]["running_records"] = json!([record]),
        }
        job["status"]["task_statuses"] = json!([]);
        stage::remember(job, preparing, now);
        Ok(vec![Event::info(RUNNING)])
    })?;
    Ok(begun)
}

/// The end of a job whose program never ran, or not again: `Abnormal` (`Failed` if it ran before) with a reason, or `Terminated`
/// when it was stopped.
pub(super) fn never_started(training: &Training, id: &str, reason: Option<&runner::Error>) -> Result<(), ApiError> {
    record::change::<ApiError>(training.state(), id, |job| {
        if Phase::of(job).is_some_and(Phase::is_final) {
            return Ok(Vec::new());
        }
        let start = job["status"]["start_time"].as_i64();
        if let Some(start) = start {
            job["status"]["duration"] = json!((training.now() - start).max(0));
        }
        if let (Some(reason), false) = (reason, Phase::of(job) == Some(Phase::Terminating)) {
            if start.is_some() { Phase::Failed } else { Phase::Abnormal }.set(job);
            let task = job["status"]["tasks"][0].clone();
            job["status"]["task_statuses"] = json!([{"task": task, "exit_code": -1, "message": reason.to_string()}]);
            return Ok(vec![Event::error(format!("Training job could not be prepared: {reason}."))]);
        }
        Phase::Terminated.set(job);
        Ok(vec![Event::info("Training job was stopped manually.")])
    })?;
    Ok(())
}

/// The end of a job's tasks: phase, times and exit codes, or another start, in one transaction.
fn conclude(training: &Training, plan: &JobPlan, ended: &Ended) -> Result<After, ApiError> {
    let mut after = After::End;
    record::change::<ApiError>(training.state(), &plan.id, |job| {
        let now = training.now();
        let (phase, reason, event) = match (Phase::of(job), ended.failure()) {
            (Some(Phase::Terminating), _) => (Phase::Terminated, "job terminated".to_owned(), Event::info(ended.stopped_by())),
            (_, None) => (Phase::Completed, "job completed".to_owned(), Event::info("Training job completed.")),
            (_, Some(reason)) => {
                let text = format!("Training job failed: {reason}.");
                (Phase::Failed, reason, Event::error(text))
            }
        };
        let start = job["status"]["start_time"].as_i64().unwrap_or(now);
        job["status"]["duration"] = json!((now - start).max(0));
        job["status"]["task_statuses"] = ended.statuses();
        let fault = ended.fault().filter(|_| phase == Phase::Failed);
        let fault = fault.filter(|&fault| Policy::of(job).is_ok_and(|policy| policy.allows(fault, job)));
        if let Some(last) = job["status"]["running_records"].as_array_mut().and_then(|records| records.last_mut()) {
            last["end_at"] = json!(now / 1000);
            last["end_reason"] = json!(reason);
            if let Some(task) = ended.culprit() {
                last["end_related_task"] = json!(task);
            }
            if let Some(fault) = fault {
                last["end_recover"] = json!(fault.recovery(ended.lost.is_some()));
            }
        }
        restart::remember_lost(job, ended.lost.is_some());
        let Some(fault) = fault else {
            phase.set(job);
            return Ok(vec![event]);
        };
        after = After::Restart;
        Phase::Pending.set(job);
        restart::count(job, fault);
        let number = restart::restarts(job);
        Ok(vec![event, Event::warning(format!("Training job is restarted (restart {number})."))])
    })?;
    Ok(after)
}
