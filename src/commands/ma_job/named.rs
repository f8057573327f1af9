//! A job by the id that somebody wrote, or which one may have been meant.

use crate::api::modelarts::training_job::{self, TrainingJob};
use crate::api::modelarts::training_search::{self, LARGEST_PAGE, SearchRequest};
use crate::api::{self, Api};
use crate::error::{Error, Kind, nearest};

/// Least signs of an id by whose beginning a job is recognized.
const LEAST: usize = 4;

/// The job with that id.
///
/// # Errors
/// Those of [`found`].
pub(super) async fn show(api: &Api, id: &str) -> Result<TrainingJob, Error> {
    found(api, id, training_job::show(api, id).await).await
}

/// What the service answered about the job with that id.
///
/// # Errors
/// There is no such job, with the id of one that is like it among the newest; the service refuses.
pub(super) async fn found<T>(api: &Api, id: &str, answer: Result<T, api::Error>) -> Result<T, Error> {
    match answer {
        Ok(found) => Ok(found),
        Err(error) => {
            let error = Error::from(error).context(&format!("training job [{id}]"));
            Err(if error.kind == Kind::NotFound { advise(api, id, error).await } else { error })
        }
    }
}

/// What the service answered about a task of that job.
///
/// # Errors
/// As [`found`]; there is no such task, with those that there are.
pub(super) async fn found_task<T>(api: &Api, id: &str, task: &str, answer: Result<T, Error>) -> Result<T, Error> {
    match answer {
        // Where there is no such job, which one may have been meant is told; else the task is what is missing.
        Err(error) if error.kind == Kind::NotFound => Err(match show(api, id).await {
            Ok(job) => of_tasks(&job.tasks(), task, error),
            Err(of_job) => of_job,
        }),
        answer => answer,
    }
}

/// Adds which task may have been meant, or which there are.
pub(super) fn of_tasks(tasks: &[String], written: &str, error: Error) -> Error {
    match nearest(written, tasks.iter().map(String::as_str)) {
        // The job has it, and something else is missing.
        Some(meant) if meant == written => error,
        Some(meant) => error.hint(format!("did you mean [{meant}]?")),
        None if tasks.is_empty() => error,
        None => error.hint(format!("there are: {}", tasks.join(", "))),
    }
}

/// Adds which job may have been meant, if the newest ones can be asked for.
async fn advise(api: &Api, id: &str, error: Error) -> Error {
    let request = SearchRequest { limit: LARGEST_PAGE, ..SearchRequest::default() };
    let Ok(page) = training_search::search(api, &request).await else { return error };
    let jobs: Vec<(String, String)> = page.jobs.iter().map(|job| (job.id(), job.name())).collect();
    match meant(id, &jobs) {
        Some((id, name)) => error.hint(format!("did you mean [{id}], the job named [{name}]?")),
        None => error.hint("list them with: ma-cli ma-job get-job"),
    }
}

/// The job of that name, the newest one whose id begins so, or the one whose id is most like it.
fn meant<'a>(written: &str, jobs: &'a [(String, String)]) -> Option<&'a (String, String)> {
    let by_name = || jobs.iter().find(|(_, name)| name == written);
    let by_beginning = || jobs.iter().find(|(id, _)| written.len() >= LEAST && id.starts_with(written));
    let by_likeness = || {
        let id = nearest(written, jobs.iter().map(|(id, _)| id.as_str()))?;
        jobs.iter().find(|(known, _)| known == id)
    };
    by_name().or_else(by_beginning).or_else(by_likeness)
}

#[cfg(test)]
mod tests {
    use super::{meant, of_tasks};
    use crate::error::{Error, Kind};

    #[test]
    fn tasks_that_there_are_are_named() {
        let tasks = ["worker-0".to_owned(), "worker-1".to_owned()];
        let hints = |written: &str| of_tasks(&tasks, written, Error::new(Kind::NotFound, "no")).hints;
        assert_eq!(hints("wroker-1"), ["did you mean [worker-1]?"]);
        assert_eq!(hints("ps"), ["there are: worker-0, worker-1"]);
        assert!(hints("worker-0").is_empty());
    }

    #[test]
    fn names_beginnings_and_slips_are_recognized() {
        let jobs = [("494b55e1-f2b8-4932", "digits"), ("c1c3b8a2-7a57-4a5e", "again")]
            .map(|(id, name)| (id.to_owned(), name.to_owned()));
        let found = |written: &str| meant(written, &jobs).map(|job| job.1.as_str());
        assert_eq!(found("again"), Some("again"));
        assert_eq!(found("494b"), Some("digits"));
        assert_eq!(found("c1c3b8a2-7a75-4a5e"), Some("again"));
        assert_eq!((found("4"), found("zzzz")), (None, None));
    }
}
