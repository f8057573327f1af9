//! Training jobs: the operations, and views on a job, its events and its log.

use std::fmt;

use futures_util::stream::Stream;
use http::Method;
use serde_json::{Value, json};

use crate::api::modelarts::{items, text};
use crate::api::page::{Page, by_page};
use crate::api::{Api, Error, Request};

pub use crate::api::modelarts::training_request::{CreateRequest, DATASET, Folder, Notification, Restart, Volume};

/// Most events in one page.
const EVENTS_A_PAGE: usize = 100;

const JOB: &str = "/v2/{project_id}/training-jobs/{training_job_id}";

/// Where a job stands (level-1 status).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Accepted.
    Creating,
    /// Waits for resources.
    Pending,
    /// Runs.
    Running,
    /// Is being stopped.
    Terminating,
    /// Was stopped.
    Terminated,
    /// Ended well.
    Completed,
    /// Ended badly.
    Failed,
    /// Could not be created or prepared, or was lost.
    Abnormal,
    /// A word of a newer service.
    Other(String),
}

impl Phase {
    /// The phase of that name.
    pub fn read(word: &str) -> Self {
        match word {
            "Creating" => Self::Creating,
            "Pending" => Self::Pending,
            "Running" => Self::Running,
            "Terminating" => Self::Terminating,
            "Terminated" => Self::Terminated,
            "Completed" => Self::Completed,
            "Failed" => Self::Failed,
            "Abnormal" => Self::Abnormal,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Whether nothing more will happen to the job.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Terminated | Self::Completed | Self::Failed | Self::Abnormal)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(word) => formatter.write_str(word),
            known => write!(formatter, "{known:?}"),
        }
    }
}

/// A view on a job's document.
#[derive(Clone, Debug)]
pub struct TrainingJob(pub Value);

impl TrainingJob {
    /// Id.
    pub fn id(&self) -> String {
        text(&self.0, "/metadata/id")
    }

    /// Name.
    pub fn name(&self) -> String {
        text(&self.0, "/metadata/name")
    }

    /// Description.
    pub fn description(&self) -> String {
        text(&self.0, "/metadata/description")
    }

    /// Who created it.
    pub fn user_name(&self) -> String {
        text(&self.0, "/metadata/user_name")
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        Phase::read(&text(&self.0, "/status/phase"))
    }

    /// How long it has run, in milliseconds.
    pub fn duration(&self) -> u64 {
        self.0.pointer("/status/duration").and_then(Value::as_u64).unwrap_or_default()
    }

    /// When it was created, in milliseconds since 1970.
    pub fn create_time(&self) -> Option<i64> {
        self.0.pointer("/metadata/create_time").and_then(Value::as_i64).filter(|&time| time > 0)
    }

    /// When it started to run, in milliseconds since 1970; `None` when it never did.
    pub fn start_time(&self) -> Option<i64> {
        self.0.pointer("/status/start_time").and_then(Value::as_i64).filter(|&time| time > 0)
    }

    /// Names of its tasks, `worker-0` and so on; empty while none has started.
    pub fn tasks(&self) -> Vec<String> {
        let tasks = self.0.pointer("/status/tasks").and_then(Value::as_array);
        tasks.into_iter().flatten().filter_map(|task| task.as_str().map(str::to_owned)).collect()
    }

    /// The text at a JSON pointer such as `/algorithm/code_dir`; empty when there is none.
    pub fn text(&self, pointer: &str) -> String {
        text(&self.0, pointer)
    }

    /// What went wrong, as far as the job says: the task of [`Self::failed_task`] and its message.
    pub fn failure(&self) -> Option<String> {
        let FailedTask { task, exit_code, message } = self.failed_task()?;
        let message = if message.is_empty() { String::new() } else { format!(": {message}") };
        Some(format!("task [{task}] exited with {exit_code}{message}"))
    }

    /// The task that is to blame: the one that ended the last run, else the first that did not end well. The service ends the
    /// other tasks of a job, which then did not end well either.
    pub fn failed_task(&self) -> Option<FailedTask> {
        let statuses = self.0.pointer("/status/task_statuses").and_then(Value::as_array)?;
        let records = self.0.pointer("/status/running_records").and_then(Value::as_array);
        let culprit = records.and_then(|records| records.last()?["end_related_task"].as_str());
        let has_failed = |status: &&Value| status["exit_code"].as_i64().is_some_and(|code| code != 0);
        let blamed = culprit.and_then(|task| statuses.iter().filter(has_failed).find(|status| status["task"] == task));
        let failed = blamed.or_else(|| statuses.iter().find(has_failed))?;
        let exit_code = failed["exit_code"].as_i64().unwrap_or_default();
        Some(FailedTask { task: text(failed, "/task"), exit_code, message: text(failed, "/message") })
    }
}

/// A task that did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedTask {
    /// Its name, such as `worker-0`.
    pub task: String,
    /// Exit code of its program.
    pub exit_code: i64,
    /// What the service says about it.
    pub message: String,
}

/// Creates a job.
///
/// # Errors
/// [`Error::Invalid`] before anything is sent, else as [`Api::send`].
pub async fn create(api: &Api, request: &CreateRequest) -> Result<TrainingJob, Error> {
    let request = Request::new(Method::POST, "/v2/{project_id}/training-jobs", &[]).body(request.document()?);
    Ok(TrainingJob(api.send(request).await?.document))
}

/// One job with all details.
///
/// # Errors
/// As [`Api::send`].
pub async fn show(api: &Api, id: &str) -> Result<TrainingJob, Error> {
    Ok(TrainingJob(api.send(Request::new(Method::GET, JOB, &[id])).await?.document))
}

/// Deletes a job.
///
/// # Errors
/// As [`Api::send`].
pub async fn delete(api: &Api, id: &str) -> Result<(), Error> {
    api.send(Request::new(Method::DELETE, JOB, &[id])).await.map(drop)
}

/// Stops a job; what comes back is the job as it stands then.
///
/// # Errors
/// As [`Api::send`].
pub async fn terminate(api: &Api, id: &str) -> Result<TrainingJob, Error> {
    let request = Request::new(Method::POST, &format!("{JOB}/actions"), &[id]).body(json!({"action_type": "terminate"}));
    // Stopping what is being stopped changes nothing.
    Ok(TrainingJob(api.send(request.repeatable()).await?.document))
}

/// Changes a job's description.
///
/// # Errors
/// As [`Api::send`].
pub async fn describe(api: &Api, id: &str, description: &str) -> Result<(), Error> {
    let request = Request::new(Method::PUT, JOB, &[id]).body(json!({"description": description}));
    api.send(request).await.map(drop)
}

/// Changes the priority of a job that waits, 1-3.
///
/// # Errors
/// As [`Api::send`].
pub async fn prioritise(api: &Api, id: &str, priority: u32) -> Result<(), Error> {
    let body = json!({"spec": {"schedule_policy": {"priority": priority}}});
    api.send(Request::new(Method::PUT, JOB, &[id]).body(body)).await.map(drop)
}

/// All events of a job, oldest first, as the service sent them.
pub fn events(api: &Api, id: &str) -> impl Stream<Item = Result<Value, Error>> {
    by_page(EVENTS_A_PAGE, move |offset| async move {
        let request = Request::new(Method::GET, &format!("{JOB}/events"), &[id])
            .parameter("offset", offset)
            .parameter("limit", EVENTS_A_PAGE)
            .parameter("order", "asc");
        let document = api.send(request).await?.document;
        let total = document["total"].as_u64();
        Ok(Page { items: items(document, "events"), total })
    })
}

/// The tasks of a job with their addresses, as the service sent them.
///
/// # Errors
/// As [`Api::send`].
pub async fn tasks(api: &Api, id: &str) -> Result<Vec<Value>, Error> {
    let document = api.send(Request::new(Method::GET, &format!("{JOB}/tasks"), &[id])).await?.document;
    Ok(items(document, "tasks"))
}

/// All engines, as the service sent them.
///
/// # Errors
/// As [`Api::send`].
pub async fn engines(api: &Api) -> Result<Vec<Value>, Error> {
    let document = api.send(Request::new(Method::GET, "/v2/{project_id}/training-job-engines", &[])).await?.document;
    Ok(items(document, "items"))
}

/// Flavors, as the service sent them; `kind` is `CPU`, `GPU` or `Ascend`.
///
/// # Errors
/// As [`Api::send`].
pub async fn flavors(api: &Api, kind: Option<&str>) -> Result<Vec<Value>, Error> {
    let mut request = Request::new(Method::GET, "/v2/{project_id}/training-job-flavors", &[]);
    if let Some(kind) = kind {
        request = request.parameter("flavor_type", kind);
    }
    Ok(items(api.send(request).await?.document, "flavors"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Phase, TrainingJob};

    #[test]
    fn a_job_s_document_is_read() {
        let job = TrainingJob(json!({
            "metadata": {"id": "j1", "name": "n", "create_time": 1_700_000_000_000_i64, "user_name": "jo"},
            "status": {"phase": "Failed", "duration": 76_000, "start_time": 0, "tasks": ["worker-0", "worker-1"],
                "task_statuses": [{"task": "worker-0", "exit_code": 0}, {"task": "worker-1", "exit_code": 3, "message": "killed"}]},
        }));
        assert_eq!((job.id(), job.phase(), job.duration()), ("j1".to_owned(), Phase::Failed, 76_000));
        assert_eq!((job.create_time(), job.start_time()), (Some(1_700_000_000_000), None));
        assert_eq!(job.failure().as_deref(), Some("task [worker-1] exited with 3: killed"));
        assert_eq!(job.tasks(), ["worker-0", "worker-1"]);
        assert!(TrainingJob(json!({})).failure().is_none());
    }

    #[test]
    fn the_task_that_ended_the_run_is_blamed() {
        let job = |record: serde_json::Value| {
            let statuses = json!([{"task": "worker-0", "exit_code": 143}, {"task": "worker-1", "exit_code": 3}]);
            TrainingJob(json!({"status": {"task_statuses": statuses, "running_records": [{"end_related_task": "x"}, record]}}))
        };
        let blamed = |record| job(record).failure().unwrap();
        assert_eq!(blamed(json!({"end_related_task": "worker-1"})), "task [worker-1] exited with 3");
        assert_eq!(blamed(json!({"end_related_task": "worker-7"})), "task [worker-0] exited with 143");
        assert_eq!(blamed(json!({})), "task [worker-0] exited with 143");
    }

    #[test]
    fn every_phase_prints_as_it_is_read() {
        for word in ["Creating", "Pending", "Running", "Terminating", "Terminated", "Completed", "Failed", "Abnormal", "New"] {
            assert_eq!(Phase::read(word).to_string(), word);
        }
        assert!(!Phase::Other("New".to_owned()).is_final() && Phase::Abnormal.is_final());
    }
}
