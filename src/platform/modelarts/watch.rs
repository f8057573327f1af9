//! Watching the tasks of a job from their files: starting those that nobody has taken up, ending the others when one fails,
//! keeping logs and outputs, until all have ended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::platform::modelarts::ended::{Ended, LEADER, TaskEnd};
use crate::platform::modelarts::record::{self, Event};
use crate::platform::modelarts::restart::{Fault, Policy};
use crate::platform::modelarts::{Timing, Training};
use crate::platform::modelarts::{hang, schedule};
use crate::platform::runner::keep::Keeper;
use crate::platform::runner::layout::{supervisor_mark, task_folder};
use crate::platform::runner::plan::{JobPlan, Task};
use crate::platform::runner::process::MARK;
use crate::platform::runner::spec::{
    Finish, Observed, SPEC_FILE, STATUS_FILE, TRAINING, TaskStatus, kill_all, observe, read_json,
};
use crate::platform::runner::usage;

/// How much longer than the grace a supervisor may take before it is killed with its task.
const PATIENCE: Duration = Duration::from_secs(10);

/// Watches until all tasks have ended and everything they wrote is kept; `None` when the platform ends before. It is not to be
/// dropped, but told by the platform's end.
pub(super) async fn watch(training: &Training, plan: &JobPlan, job: &Value, stop: &CancellationToken) -> Option<Ended> {
    let quit = training.ending.child_token();
    let mut keeper = Keeper::new(plan, training.jobs(), &training.transfer, quit.clone());
    let mut watcher = Watcher::new(training, plan, job);
    let watching = async {
        let ended = training.ending.run_until_cancelled(watcher.run(stop)).await;
        quit.cancel();
        ended
    };
    // Both to their ends: what is being sent is taken back at the store before it is sent anew.
    let (ended, ()) = tokio::join!(watching, keep_on(&mut keeper, training.options().timing, &quit));
    let tasks = ended?;
    let (over, hung) = (watcher.over, watcher.hung.take());
    keeper.heed(training.ending.clone());
    let tell = |task: &Task, message: String| {
        record::add(training.state(), &plan.id, &Event::info(format!("[{}]{message}", task.id())));
    };
    let (outputs, logs) = (keeper.outputs(Some(&tell)).await, keeper.logs().await);
    if training.ending.is_cancelled() {
        return None;
    }
    let mut ended = Ended { tasks, lost: None, over, hung, is_led: plan.is_led() };
    if let Err(error) = outputs {
        record::add(training.state(), &plan.id, &Event::error(format!("Training output upload failed: {error}.")));
        ended.lost = Some(error.to_string());
    }
    if let Err(error) = logs {
        record::add(training.state(), &plan.id, &Event::warning(format!("Training log upload failed: {error}.")));
    }
    Some(ended)
}

/// Keeps logs and outputs from time to time.
async fn keep_on(keeper: &mut Keeper<'_>, timing: Timing, quit: &CancellationToken) {
    let (mut logs, mut outputs) = (interval(timing.logs), interval(timing.outputs));
    for ticks in [&mut logs, &mut outputs] {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
    }
    loop {
        // What fails now is tried again, and told of when the last try fails.
        tokio::select! {
            () = quit.cancelled() => return,
            _ = logs.tick() => drop(keeper.logs().await),
            _ = outputs.tick() => drop(keeper.outputs(None).await),
        }
    }
}

/// When a running job is to be stopped by itself, in milliseconds since 1970; `None` without such a wish. Only the time counts in
/// which it ran, not what passed between two starts.
fn auto_stop(job: &Value) -> Option<i64> {
    let hours = job["spec"]["auto_stop"]["duration"].as_i64()?;
    let (last, earlier) = job["status"]["running_records"].as_array()?.split_last()?;
    let ran = earlier.iter().filter_map(|record| Some(record["end_at"].as_i64()? - record["start_at"].as_i64()?));
    Some((last["start_at"].as_i64()? - ran.sum::<i64>() + hours * 3600) * 1000)
}

struct Watcher<'a> {
    training: &'a Training,
    plan: &'a JobPlan,
    job: &'a Value,
    /// When the job's time is over.
    auto_stop: Option<i64>,
    /// The job was stopped because its time was over.
    over: bool,
    /// How long a task may show no sign of life, in milliseconds.
    patience: Option<i64>,
    /// When signs of life are looked for next, and the task that shows none and is ended because of it.
    next_look: Instant,
    hung: Option<String>,
    /// Supervisors that this platform has started.
    spawned: BTreeMap<String, Child>,
    /// Stages that an event was written for.
    told: BTreeSet<(String, String)>,
    ends: BTreeMap<String, TaskEnd>,
    /// Since when the tasks are being ended.
    ending: Option<Instant>,
    /// Since when what supervisors have left behind is being killed, and whether we had killed the supervisor.
    vanished: BTreeMap<String, (Instant, bool)>,
    /// Since when the status of a task cannot be read.
    unreadable: BTreeMap<String, Instant>,
}

/// Whose doing the end of a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Its own, or somebody's who is none of us.
    Own,
    /// The supervisor was told to end it; ours when the tasks are being ended.
    Told,
    /// Ours.
    Us,
}

impl<'a> Watcher<'a> {
    fn new(training: &'a Training, plan: &'a JobPlan, job: &'a Value) -> Self {
        let (spawned, told, ends) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        let minute = i64::try_from(training.options().timing.minute.as_millis()).unwrap_or(i64::MAX);
        let patience = Policy::of(job).ok().and_then(|policy| hang::minutes(job, policy));
        let patience = patience.map(|minutes| i64::try_from(minutes).unwrap_or(i64::MAX).saturating_mul(minute));
        Self {
            training,
            plan,
            job,
            auto_stop: auto_stop(job),
            over: false,
            patience,
            next_look: Instant::now(),
            hung: None,
            spawned,
            told,
            ends,
            ending: None,
            vanished: BTreeMap::new(),
            unreadable: BTreeMap::new(),
        }
    }

    /// Looks at all tasks again and again; returns how they ended.
    async fn run(&mut self, stop: &CancellationToken) -> Vec<TaskEnd> {
        let tasks = self.plan.tasks();
        let mut ticks = interval(self.training.options().timing.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if !self.over && self.auto_stop.is_some_and(|at| self.training.now() >= at) {
                // Refused only when the job is being stopped already.
                self.over = schedule::stop(self.training, &self.plan.id).is_ok();
            }
            if stop.is_cancelled() {
                self.ending.get_or_insert_with(Instant::now);
            }
            self.look_for_hangs(&tasks);
            for task in &tasks {
                if !self.ends.contains_key(&task.id()) {
                    self.look(task);
                }
                // Before the next one is looked at: after a restart all may have ended, and the others were ended with it.
                if self.plan.is_led() && self.ends.contains_key(LEADER) {
                    self.ending.get_or_insert_with(Instant::now);
                }
            }
            if self.ends.len() == tasks.len() {
                return tasks.iter().filter_map(|task| self.ends.remove(&task.id())).collect();
            }
            if self.ends.values().any(|end| end.exit_code != 0) {
                self.ending.get_or_insert_with(Instant::now);
            }
        }
    }

    /// From time to time looks for a task that shows no sign of life. It is told of once; when the job wants to be started again
    /// then, its tasks are ended.
    fn look_for_hangs(&mut self, tasks: &[Task]) {
        let Some(patience) = self.patience else { return };
        if self.ending.is_some() || Instant::now() < self.next_look {
            return;
        }
        self.next_look = Instant::now() + self.training.options().timing.samples;
        let running = |task: &&Task| !self.ends.contains_key(&task.id());
        let suspected = tasks.iter().filter(running).find(|task| {
            let folder = task_folder(self.training.jobs(), &self.plan.id, &task.id());
            hang::is_suspected(&usage::latest(&folder), patience)
        });
        let Some(task) = suspected.map(Task::id) else { return };
        self.patience = None;
        let text = format!("[{task}] The task may be suspended: no I/O and no use of the processor for a long time.");
        record::add(self.training.state(), &self.plan.id, &Event::warning(text));
        if Policy::of(self.job).is_ok_and(|policy| policy.allows(Fault::Hang, self.job)) {
            self.hung = Some(task);
            self.ending = Some(Instant::now());
        }
    }

    /// Looks at one task and does what it needs.
    fn look(&mut self, task: &Task) {
        let id = task.id();
        let folder = task_folder(self.training.jobs(), &self.plan.id, &id);
        let observed = match observe(&folder) {
            Ok(observed) => observed,
            Err(error) => return self.look_blindly(task, &folder, &error),
        };
        self.unreadable.remove(&id);
        match observed {
            Observed::Finished(finish) => self.finish(task, finish),
            Observed::Running(stage) => {
                self.stage(&id, &stage);
                self.press(&folder);
            }
            Observed::Vanished(status) => {
                // Programs may have outlived their supervisor; nobody would know their end, and their slots become another's.
                let is_ours = self.is_patience_over();
                let (since, is_ours) = *self.vanished.entry(id).or_insert_with(|| (Instant::now(), is_ours));
                if status.kill_programs(&folder) || since.elapsed() > PATIENCE {
                    let reason = "its supervisor ended without recording a result; it was killed, or the machine was";
                    self.end(task, -1, usage::now(), reason.into(), if is_ours { Cause::Us } else { Cause::Own });
                }
            }
            Observed::NotStarted if self.ending.is_some() && !self.spawned.contains_key(&id) => {
                self.end(task, -1, usage::now(), "it was not started".into(), Cause::Us);
            }
            Observed::NotStarted => self.spawn(task, &folder),
        }
    }

    /// What a supervisor has recorded as the end.
    fn finish(&mut self, task: &Task, finish: Finish) {
        self.stage(&task.id(), &finish.stage);
        let message = match (finish.stage.as_str(), finish.message) {
            (TRAINING, message) => message,
            (stage, message) => {
                format!("its preparation ({stage}) failed, see its log{}{message}", if message.is_empty() { "" } else { ": " })
            }
        };
        let cause = if finish.stopped { Cause::Told } else { Cause::Own };
        self.end(task, finish.exit_code, finish.at, message, cause);
    }

    /// A status that cannot be read is tried again for a while, in which the task runs on: the error may pass. Nobody would know of
    /// the task's end after that, so it is ended, with its supervisor.
    fn look_blindly(&mut self, task: &Task, folder: &Path, error: &std::io::Error) {
        let id = task.id();
        let known = self.unreadable.contains_key(&id);
        let since = self.unreadable.entry(id).or_insert_with(Instant::now).elapsed();
        if !known {
            let error = error as &dyn std::error::Error;
            tracing::warn!(folder = %folder.display(), error, "the status of a task cannot be read");
        }
        if since > PATIENCE && (kill_all(folder) || since > 2 * PATIENCE) {
            self.end(task, -1, usage::now(), format!("its status cannot be read: {error}"), Cause::Own);
        }
    }

    /// Starts a supervisor, or sees why the one that was started has not taken the task up.
    fn spawn(&mut self, task: &Task, folder: &Path) {
        let id = task.id();
        let Some(child) = self.spawned.get_mut(&id) else {
            match supervisor(&self.training.options().executable, folder) {
                Ok(child) => drop(self.spawned.insert(id, child)),
                Err(error) => {
                    self.end(task, -1, usage::now(), format!("its supervisor cannot be started: {error}"), Cause::Own);
                }
            }
            return;
        };
        // It may have taken the task up and ended since we looked.
        if let (Ok(Some(status)), false) = (child.try_wait(), folder.join(STATUS_FILE).exists()) {
            self.end(task, -1, usage::now(), format!("its supervisor did not take it up ({status})"), Cause::Own);
        }
    }

    /// While tasks are being ended, tells a supervisor so; kills one that does not listen, with its task.
    fn press(&self, folder: &Path) {
        if self.ending.is_none() {
            return;
        }
        let Ok(Some(status)) = read_json::<TaskStatus>(&folder.join(STATUS_FILE)) else { return };
        if !self.is_patience_over() {
            status.supervisor.signal(Signal::TERM);
        } else {
            status.kill_programs(folder);
            status.supervisor.signal(Signal::KILL);
        }
    }

    /// Whether supervisors that do not listen are killed by now.
    fn is_patience_over(&self) -> bool {
        self.ending.is_some_and(|since| since.elapsed() >= self.training.options().timing.grace + PATIENCE)
    }

    fn end(&mut self, task: &Task, exit_code: i32, at: i64, message: String, cause: Cause) {
        let id = task.id();
        // Ended because of something else: the job is being stopped, or another task has failed before. One that ended of its own
        // while the others were being ended has not: it may be the one that they failed because of.
        let ended_by_us = self.ending.is_some() && cause != Cause::Own;
        let text = match (ended_by_us, exit_code, message.as_str()) {
            (true, ..) => format!("[{id}] Training stopped, Exit code {exit_code}."),
            (false, code, "") => format!("[{id}] Training finished, Exit code {code}."),
            (false, code, message) => format!("[{id}] Training finished, Exit code {code}: {message}."),
        };
        let event = if exit_code == 0 || ended_by_us { Event::info(text) } else { Event::error(text) };
        record::add_once(self.training.state(), &self.plan.id, &event);
        self.ends.insert(id.clone(), TaskEnd { task: id, exit_code, message, at, ended_by_us, stopped: cause == Cause::Told });
    }

    fn stage(&mut self, task: &str, stage: &str) {
        if !self.told.insert((task.to_owned(), stage.to_owned())) {
            return;
        }
        let message = match stage {
            TRAINING => "training started.".to_owned(),
            "venv" => "A Python environment is being made.".to_owned(),
            "pip" => "Python packages are being installed.".to_owned(),
            other => format!("{other} started."),
        };
        record::add_once(self.training.state(), &self.plan.id, &Event::info(format!("[{task}] {message}")));
    }
}

fn supervisor(executable: &Path, folder: &Path) -> std::io::Result<Child> {
    Command::new(executable)
        .args(["platform", "run-task"])
        .arg(folder.join(SPEC_FILE))
        .env_clear()
        .env(MARK, supervisor_mark(folder))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::auto_stop;

    #[test]
    fn only_the_time_counts_in_which_the_job_ran() {
        let records = json!([{"start_at": 100, "end_at": 160}, {"start_at": 5000, "end_at": 5040}, {"start_at": 9000}]);
        let mut job = json!({"spec": {"auto_stop": {"duration": 2}}, "status": {"running_records": records}});
        assert_eq!(auto_stop(&job), Some((9000 - 100 + 7200) * 1000));
        job["status"]["running_records"] = json!([{"start_at": 7}]);
        assert_eq!(auto_stop(&job), Some((7 + 7200) * 1000));
        job["spec"]["auto_stop"] = json!(null);
        assert_eq!(auto_stop(&job), None);
    }
}
