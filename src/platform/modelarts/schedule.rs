//! Giving jobs their turn: in the order of their creation (higher priorities first), as long as there are slots.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::platform::modelarts::capacity::{self, Share};
use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::record::{self, Event, Phase};
use crate::platform::modelarts::{Active, Training, drive, restart};
use crate::platform::runner::Error;

/// Pause before something that has failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Takes up jobs that held slots when the platform ended. They get them back even if there are fewer slots now: they run.
pub(super) fn resume(training: &Arc<Training>) -> Result<(), ApiError> {
    for job in record::in_phases(training.state(), &[Phase::Running, Phase::Terminating])? {
        let options = training.options();
        let share = Share { devices: capacity::devices(&job), ..Share::wanted(&job, options.slots, options.capacity) };
        start(training, &job, share)?;
    }
    Ok(())
}

/// Looks at the queue whenever something has changed, until the platform ends.
pub(super) async fn run(training: Arc<Training>) {
    let mut is_new = true;
    loop {
        let admitted = if is_new { refuse_impossible(&training).and_then(|()| admit(&training)) } else { admit(&training) };
        is_new &= admitted.is_err();
        if let Err(error) = &admitted {
            tracing::error!(error = error as &dyn std::error::Error, "the queue of training jobs cannot be read");
        }
        tokio::select! {
            () = training.wake.notified() => {}
            () = tokio::time::sleep(PAUSE), if admitted.is_err() => {}
            () = training.ending.cancelled() => return,
        }
    }
}

/// Ends jobs that were accepted when the platform had more: they would keep all others waiting for ever.
fn refuse_impossible(training: &Arc<Training>) -> Result<(), ApiError> {
    let (slots, capacity) = (training.options().slots, training.options().capacity);
    for job in record::in_phases(training.state(), &[Phase::Creating, Phase::Pending])? {
        if let Some(excess) = Share::wanted(&job, slots, capacity).excess(slots, capacity) {
            let reason = format!("it {excess} since it was started again");
            drive::never_started(training, id_of(&job), Some(&Error::Unsupported(reason)))?;
        }
    }
    Ok(())
}

fn admit(training: &Arc<Training>) -> Result<(), ApiError> {
    for job in record::in_phases(training.state(), &[Phase::Creating])? {
        record::change::<ApiError>(training.state(), id_of(&job), |job| {
            if Phase::of(job) != Some(Phase::Creating) {
                return Ok(Vec::new());
            }
            Phase::Pending.set(job);
            Ok(vec![Event::info("Training job is queuing and awaiting resources.")])
        })?;
    }
    let (slots, capacity) = (training.options().slots, training.options().capacity);
    if training.slots_taken() >= slots {
        // Every job takes one at least, so the queue, which may be long, need not be looked at.
        return Ok(());
    }
    // Those that have their share already are among them until they run.
    let enough = training.active().len() + slots as usize + 1;
    let waiting = record::waiting(training.state(), enough)?;
    for job in waiting {
        if training.active().contains_key(id_of(&job)) {
            continue;
        }
        let wanted = Share::wanted(&job, slots, capacity);
        let held: Vec<Share> = training.active().values().map(|active| active.share.clone()).collect();
        let Some(share) = wanted.take(&held, slots, capacity) else { break };
        start(training, &job, share)?;
    }
    Ok(())
}

/// Gives a job its share and a driver.
fn start(training: &Arc<Training>, job: &Value, share: Share) -> Result<(), ApiError> {
    let id = id_of(job).to_owned();
    let stop = CancellationToken::new();
    {
        let mut active = training.active();
        // A stop that came between the look at the queue and now has not found the job here: look again, under the lock.
        match record::get(training.state(), &id).map(|job| Phase::of(&job)) {
            Ok(Some(Phase::Terminating)) => stop.cancel(),
            Ok(Some(Phase::Pending | Phase::Running)) => {}
            Err(error) if error.is_temporary() => return Err(error),
            _ => return Ok(()),
        }
        if share.devices != capacity::devices(job) {
            record::change::<ApiError>(training.state(), &id, |job| {
                share.store(job);
                Ok(Vec::new())
            })?;
        }
        active.insert(id.clone(), Active { share, ports: BTreeSet::new(), stop: stop.clone() });
    }
    let training = Arc::clone(training);
    training.tracker.clone().spawn(async move {
        // A driver may begin anew at any point. Until one has come to its end the job keeps its slots: its programs may run.
        while AssertUnwindSafe(drive::drive(&training, &id, &stop)).catch_unwind().await.is_err() {
            tracing::error!(job = id, "the driver of a training job has panicked and is started again");
            if training.ending.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                break;
            }
        }
        training.active().remove(&id);
        training.wake.notify_one();
    });
    Ok(())
}

/// Stops a job: at once when it holds no slots yet, else through its driver.
///
/// # Errors
/// There is no such job, or it has ended or is being stopped.
pub(super) fn stop(training: &Training, id: &str) -> Result<Value, ApiError> {
    let active = training.active();
    let job = record::change::<ApiError>(training.state(), id, |job| {
        let phase = Phase::of(job).unwrap_or(Phase::Creating);
        if phase.is_final() || phase == Phase::Terminating {
            return Err(ApiError::phase("stopped", phase.name()));
        }
        if active.contains_key(id) {
            Phase::Terminating.set(job);
            return Ok(vec![Event::info("Training job is being stopped.")]);
        }
        Phase::Terminated.set(job);
        Ok(vec![Event::info("Training job was stopped manually.")])
    })?;
    if let Some(active) = active.get(id) {
        active.stop.cancel();
    }
    drop(active);
    training.wake.notify_one();
    Ok(job)
}

/// A job's document as the API shows it: its duration grows while it runs; wishes that the API does not repeat, and what the
/// platform keeps for itself, are left out.
pub(super) fn shown(training: &Training, mut job: Value) -> Value {
    let is_under_way = Phase::of(&job).is_some_and(Phase::is_under_way);
    if let (true, Some(start)) = (is_under_way, job["status"]["start_time"].as_i64()) {
        job["status"]["duration"] = (training.now() - start).max(0).into();
    }
    if let Some(spec) = job["spec"].as_object_mut() {
        spec.remove("auto_stop");
    }
    if let Some(job) = job.as_object_mut() {
        job.remove(restart::HIDDEN);
    }
    job
}

fn id_of(job: &Value) -> &str {
    job["metadata"]["id"].as_str().unwrap_or_default()
}
