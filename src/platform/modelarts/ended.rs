//! How the tasks of a job ended, and what that means for the job.

use serde_json::{Value, json};

use crate::platform::modelarts::restart::Fault;

/// The task that leads the others of a job that is led.
pub(super) const LEADER: &str = "worker-0";

/// Exit code of a task whose end is not on record.
const UNKNOWN: i32 = -1;

/// Exit code of a program that was ended by SIGKILL: nobody does that to himself.
const KILLED: i32 = 137;

/// How one task ended.
#[derive(Clone, Debug)]
pub(super) struct TaskEnd {
    pub(super) task: String,
    pub(super) exit_code: i32,
    pub(super) message: String,
    /// When, in milliseconds since 1970.
    pub(super) at: i64,
    /// It was ended because of something else, so its exit code does not count.
    pub(super) ended_by_us: bool,
    /// Its supervisor had been told to end it, by us or by somebody else.
    pub(super) stopped: bool,
}

impl TaskEnd {
    /// Whether it was ended from outside: by SIGKILL, with its supervisor, or through it.
    fn is_from_outside(&self) -> bool {
        self.stopped || [UNKNOWN, KILLED].contains(&self.exit_code)
    }
}

/// How all tasks of a job ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) tasks: Vec<TaskEnd>,
    /// Outputs that could not be kept.
    pub(super) lost: Option<String>,
    /// The job was stopped because its time was over.
    pub(super) over: bool,
    /// The task that showed no sign of life any more.
    pub(super) hung: Option<String>,
    /// The first worker's end is the job's, the others only stood by.
    pub(super) is_led: bool,
}

impl Ended {
    /// The task that the others followed: one that was killed before one that failed, whose connection to it broke perhaps, whatever
    /// came to be known first; else the first one. None when the one that leads the others did not fail.
    fn first_failed(&self) -> Option<&TaskEnd> {
        if self.is_led && self.tasks.iter().any(|end| end.task == LEADER && end.exit_code == 0) {
            return None;
        }
        let failed = self.tasks.iter().filter(|end| end.exit_code != 0 && !end.ended_by_us);
        // One that was told to end was so because of another, if there is one: a platform that came later has not seen that.
        failed.min_by_key(|end| (end.stopped, !end.is_from_outside(), end.at))
    }

    /// Why the job failed; `None` when it did not.
    pub(super) fn failure(&self) -> Option<String> {
        if let Some(task) = &self.hung {
            return Some(format!("{task} is suspended"));
        }
        let failed = self.first_failed().map(|end| match end.message.as_str() {
            "" => format!("{} exited with code {}", end.task, end.exit_code),
            message => format!("{} exited with code {}: {message}", end.task, end.exit_code),
        });
        failed.or_else(|| self.lost.as_ref().map(|reason| format!("outputs could not be uploaded: {reason}")))
    }

    /// What kind of failure that is; `None` when a new start would not help: nothing failed, or only the outputs are lost.
    pub(super) fn fault(&self) -> Option<Fault> {
        if self.hung.is_some() {
            return Some(Fault::Hang);
        }
        let failed = self.first_failed()?;
        Some(if failed.is_from_outside() { Fault::Surroundings } else { Fault::Program })
    }

    /// The task that the failure is about.
    pub(super) fn culprit(&self) -> Option<&str> {
        self.hung.as_deref().or_else(|| self.first_failed().map(|end| end.task.as_str()))
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

#[cfg(test)]
mod tests {
    use super::{Ended, Fault, LEADER, TaskEnd};

    fn end(task: &str, exit_code: i32, ended_by_us: bool) -> TaskEnd {
        let at = i64::from(200 - exit_code);
        TaskEnd { task: task.into(), exit_code, message: String::new(), at, ended_by_us, stopped: ended_by_us }
    }

    #[test]
    fn a_task_that_was_killed_goes_before_those_that_failed_because_of_it() {
        for exit_code in [137, -1] {
            let killed = TaskEnd { at: 900, ..end("worker-1", exit_code, false) };
            let tasks = vec![end("worker-0", 1, false), killed, end("worker-2", 143, true)];
            let ended = Ended { tasks, ..Ended::default() };
            assert_eq!((ended.culprit(), ended.fault()), (Some("worker-1"), Some(Fault::Surroundings)), "{exit_code}");
        }
        // A platform that came later has not seen that the second one was told to end, and had to be killed.
        let told = TaskEnd { stopped: true, ..end("worker-1", 137, false) };
        let ended = Ended { tasks: vec![end("worker-0", 1, false), told.clone()], ..Ended::default() };
        assert_eq!((ended.culprit(), ended.fault()), (Some("worker-0"), Some(Fault::Program)));
        // Nobody else failed: the machine was shut down.
        let alone = Ended { tasks: vec![TaskEnd { exit_code: 143, ..told }], ..Ended::default() };
        assert_eq!(alone.fault(), Some(Fault::Surroundings));
    }

    #[test]
    fn the_task_that_failed_first_is_the_reason() {
        let ended = Ended { tasks: vec![end("worker-0", 143, true), end("worker-1", 3, false)], ..Ended::default() };
        assert_eq!(ended.failure().unwrap(), "worker-1 exited with code 3");
        assert_eq!((ended.culprit(), ended.fault()), (Some("worker-1"), Some(Fault::Program)));
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
        assert_eq!(lost.fault(), None);
    }

    #[test]
    fn what_came_from_outside_is_no_fault_of_the_program() {
        let of = |exit_code| Ended { tasks: vec![end(LEADER, exit_code, false)], ..Ended::default() }.fault();
        assert_eq!(
            (of(137), of(-1), of(1), of(0)),
            (Some(Fault::Surroundings), Some(Fault::Surroundings), Some(Fault::Program), None)
        );
        let hung = Ended { tasks: vec![end(LEADER, 143, true)], hung: Some(LEADER.into()), ..Ended::default() };
        assert_eq!((hung.fault(), hung.culprit()), (Some(Fault::Hang), Some(LEADER)));
        assert!(hung.failure().unwrap().contains("suspended"));
    }
}
