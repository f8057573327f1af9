//! Watching the tasks of a job from their files: starting those that nobody has taken up, ending the others when one fails,
//! keeping logs and outputs, until all have ended.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::platform::modelarts::record::{self, Event};
use crate::platform::modelarts::schedule;
use crate::platform::modelarts::{Timing, Training};
use crate::platform::runner::keep::Keeper;
use crate::platform::runner::layout::task_folder;
use crate::platform::runner::plan::{JobPlan, Task};
use crate::platform::runner::spec::{Observed, SPEC_FILE, STATUS_FILE, TRAINING, TaskStatus, observe, read_json};
use crate::platform::runner::usage::now;

/// How much longer than the grace a supervisor may take before it is killed with its task.
const PATIENCE: Duration = Duration::from_secs(10);

/// The task that leads the others of a job that is led.
const LEADER: &str = "worker-0";

/// How one task ended.
#[derive(Clone, Debug)]
struct TaskEnd {
    task: String,
    exit_code: i32,
    message: String,
    /// When, in milliseconds since 1970.
    at: i64,
    /// It was ended because of something else, so its exit code does not count.
    ended_by_us: bool,
}

/// How all tasks of a job ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    tasks: Vec<TaskEnd>,
    /// Outputs that could not be kept.
    lost: Option<String>,
    /// The job was stopped because its time was over.
    over: bool,
    /// The first worker's end is the job's, the others only stood by.
    is_led: bool,
}

impl Ended {
    /// The first task that failed of its own; none when the one that leads the others did not.
    fn first_failed(&self) -> Option<&TaskEnd> {
        if self.is_led && self.tasks.iter().any(|end| end.task == LEADER && end.exit_code == 0) {
            return None;
        }
        self.tasks.iter().filter(|end| end.exit_code != 0 && !end.ended_by_us).min_by_key(|end| end.at)
    }

    /// Why the job failed; `None` when it did not.
    pub(super) fn failure(&self) -> Option<String> {
        let failed = self.first_failed().map(|end| match end.message.as_str() {
            "" => format!("{} exited with code {}", end.task, end.exit_code),
            message => format!("{} exited with code {}: {message}", end.task, end.exit_code),
        });
        failed.or_else(|| self.lost.as_ref().map(|reason| format!("outputs could not be uploaded: {reason}")))
    }

    /// The task that the failure is about.
    pub(super) fn culprit(&self) -> Option<&str> {
        self.first_failed().map(|end| end.task.as_str())
    }

    /// What a stopped job's last event says.
    pub(super) fn stopped_by(&self) -> &'static str {
        if self.over {
            "Training job was stopped: its maximum running duration is over."
        } else {
            "Training job was stopped manually."
        }
    }

    /// `status.task_statuses` of the API.
    pub(super) fn statuses(&self) -> Value {
        let status = |end: &TaskEnd| json!({"task": end.task, "exit_code": end.exit_code, "message": end.message});
        self.tasks.iter().map(status).collect()
    }
}

/// Watches until all tasks have ended and everything they wrote is kept; `None` when the platform ends before. It is not to be
/// dropped, but told by the platform's end.
pub(super) async fn watch(training: &Training, plan: &JobPlan, job: &Value, stop: &CancellationToken) -> Option<Ended> {
    let quit = training.ending.child_token();
    let mut keeper = Keeper::new(plan, training.jobs(), &training.transfer, quit.clone());
    let mut watcher = Watcher::new(training, plan);
    let auto_stop = auto_stop(training, plan, job);
    let watching = async {
        let ended = training.ending.run_until_cancelled(watcher.run(stop, auto_stop)).await;
        quit.cancel();
        ended
    };
    // Both to their ends: what is being sent is taken back at the store before it is sent anew.
    let (ended, ()) = tokio::join!(watching, keep_on(&mut keeper, training.options().timing, &quit));
    let (tasks, over) = ended?;
    keeper.heed(training.ending.clone());
    let tell = |task: &Task, message: String| {
        record::add(training.state(), &plan.id, &Event::info(format!("[{}]{message}", task.id())));
    };
    let (outputs, logs) = (keeper.outputs(Some(&tell)).await, keeper.logs().await);
    if training.ending.is_cancelled() {
        return None;
    }
    let mut ended = Ended { tasks, lost: None, over, is_led: plan.is_led() };
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

/// When the job is to be stopped by itself; far away without such a wish.
fn auto_stop(training: &Training, plan: &JobPlan, job: &Value) -> Option<Instant> {
    let hours = job["spec"]["auto_stop"]["duration"].as_i64()?;
    let start = record::get(training.state(), &plan.id).ok()?["status"]["start_time"].as_i64()?;
    let left = start + hours * 3_600_000 - now();
    Some(Instant::now() + Duration::from_millis(left.max(0).unsigned_abs()))
}

struct Watcher<'a> {
    training: &'a Training,
    plan: &'a JobPlan,
    /// Supervisors that this platform has started.
    spawned: BTreeMap<String, Child>,
    /// Stages that an event was written for.
    told: BTreeSet<(String, String)>,
    ends: BTreeMap<String, TaskEnd>,
    /// Since when the tasks are being ended.
    ending: Option<Instant>,
    /// Since when what supervisors have left behind is being killed.
    vanished: BTreeMap<String, Instant>,
}

impl<'a> Watcher<'a> {
    fn new(training: &'a Training, plan: &'a JobPlan) -> Self {
        let (spawned, told, ends) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { training, plan, spawned, told, ends, ending: None, vanished: BTreeMap::new() }
    }

    /// Looks at all tasks again and again; returns how they ended, and whether their time was over.
    async fn run(&mut self, stop: &CancellationToken, auto_stop: Option<Instant>) -> (Vec<TaskEnd>, bool) {
        let tasks = self.plan.tasks();
        let mut ticks = interval(self.training.options().timing.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut over = false;
        loop {
            ticks.tick().await;
            if !over && auto_stop.is_some_and(|at| Instant::now() >= at) {
                // Refused only when the job is being stopped already.
                over = schedule::stop(self.training, &self.plan.id).is_ok();
            }
            if stop.is_cancelled() {
                self.ending.get_or_insert_with(Instant::now);
            }
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
                return (tasks.iter().filter_map(|task| self.ends.remove(&task.id())).collect(), over);
            }
            if self.ends.values().any(|end| end.exit_code != 0) {
                self.ending.get_or_insert_with(Instant::now);
            }
        }
    }

    /// Looks at one task and does what it needs.
    fn look(&mut self, task: &Task) {
        let id = task.id();
        let folder = task_folder(self.training.jobs(), &self.plan.id, &id);
        match observe(&folder) {
            Err(error) => self.end(task, -1, now(), format!("its status cannot be read: {error}")),
            Ok(Observed::Finished(finish)) => {
                self.stage(&id, &finish.stage);
                let stage = finish.stage.as_str();
                let message = match (stage, finish.message) {
                    (TRAINING, message) => message,
                    (stage, message) => format!(
                        "its preparation ({stage}) failed, see its log{}{message}",
                        if message.is_empty() { "" } else { ": " }
                    ),
                };
                self.end(task, finish.exit_code, finish.at, message);
            }
            Ok(Observed::Running(stage)) => {
                self.stage(&id, &stage);
                self.press(&folder);
            }
            Ok(Observed::Vanished(status)) => {
                // Programs may have outlived their supervisor; nobody would know their end, and their slots become another's.
                let since = *self.vanished.entry(id).or_insert_with(Instant::now);
                if status.kill_programs(&folder) || since.elapsed() > PATIENCE {
                    let reason = "its supervisor ended without recording a result; it was killed, or the machine was";
                    self.end(task, -1, now(), reason.into());
                }
            }
            Ok(Observed::NotStarted) if self.ending.is_some() && !self.spawned.contains_key(&id) => {
                self.end(task, -1, now(), "it was not started".into());
            }
            Ok(Observed::NotStarted) => self.spawn(task, &folder),
        }
    }

    /// Starts a supervisor, or sees why the one that was started has not taken the task up.
    fn spawn(&mut self, task: &Task, folder: &Path) {
        let id = task.id();
        let Some(child) = self.spawned.get_mut(&id) else {
            match supervisor(&self.training.options().executable, folder) {
                Ok(child) => drop(self.spawned.insert(id, child)),
                Err(error) => self.end(task, -1, now(), format!("its supervisor cannot be started: {error}")),
            }
            return;
        };
        // It may have taken the task up and ended since we looked.
        if let (Ok(Some(status)), false) = (child.try_wait(), folder.join(STATUS_FILE).exists()) {
            self.end(task, -1, now(), format!("its supervisor did not take it up ({status})"));
        }
    }

    /// While tasks are being ended, tells a supervisor so; kills one that does not listen, with its task.
    fn press(&self, folder: &Path) {
        let Some(since) = self.ending else { return };
        let Ok(Some(status)) = read_json::<TaskStatus>(&folder.join(STATUS_FILE)) else { return };
        if since.elapsed() < self.training.options().timing.grace + PATIENCE {
            status.supervisor.signal(Signal::TERM);
        } else {
            status.kill_programs(folder);
            status.supervisor.signal(Signal::KILL);
        }
    }

    fn end(&mut self, task: &Task, exit_code: i32, at: i64, message: String) {
        let id = task.id();
        // Ended because of something else: the job is being stopped, or another task has failed before.
        let ended_by_us = self.ending.is_some();
        let text = match (ended_by_us, exit_code, message.as_str()) {
            (true, ..) => format!("[{id}] Training stopped, Exit code {exit_code}."),
            (false, code, "") => format!("[{id}] Training finished, Exit code {code}."),
            (false, code, message) => format!("[{id}] Training finished, Exit code {code}: {message}."),
        };
        let event = if exit_code == 0 || ended_by_us { Event::info(text) } else { Event::error(text) };
        record::add_once(self.training.state(), &self.plan.id, &event);
        self.ends.insert(id.clone(), TaskEnd { task: id, exit_code, message, at, ended_by_us });
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
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

#[cfg(test)]
mod tests {
    use super::{Ended, LEADER, TaskEnd};

    fn end(task: &str, exit_code: i32, ended_by_us: bool) -> TaskEnd {
        TaskEnd { task: task.into(), exit_code, message: String::new(), at: i64::from(200 - exit_code), ended_by_us }
    }

    #[test]
    fn the_task_that_failed_first_is_the_reason() {
        let ended = Ended { tasks: vec![end("worker-0", 143, true), end("worker-1", 3, false)], ..Ended::default() };
        assert_eq!(ended.failure().unwrap(), "worker-1 exited with code 3");
        assert_eq!(ended.culprit(), Some("worker-1"));
        let found_later = Ended { tasks: vec![end("worker-0", 3, false), end("worker-1", 143, false)], ..Ended::default() };
        assert_eq!(found_later.culprit(), Some("worker-1"));
        let fine = Ended { tasks: vec![end("worker-0", 0, false), end("worker-1", 143, true)], ..Ended::default() };
        assert_eq!(fine.failure(), None);
        let led =
            Ended { tasks: vec![end("worker-0", 0, false), end("worker-1", 143, false)], is_led: true, ..Ended::default() };
        assert_eq!((led.failure(), led.culprit()), (None, None));
        let led_to_nothing = Ended { tasks: vec![end(LEADER, 1, false), end("worker-1", 143, true)], ..led };
        assert_eq!(led_to_nothing.culprit(), Some(LEADER));
        let lost = Ended { lost: Some("no such bucket".into()), ..fine };
        assert_eq!(lost.failure().unwrap(), "outputs could not be uploaded: no such bucket");
    }
}
