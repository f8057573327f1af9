//! A job by the id that somebody wrote, or which one may have been meant.

use crate::api::Api;
use crate::api::modelarts::training_job::{self, TrainingJob};
use crate::api::modelarts::training_search::{self, LARGEST_PAGE, SearchRequest};
use crate::error::{Error, Kind, nearest};

/// Least signs of an id by whose beginning a job is recognized.
const LEAST: usize = 4;

/// The job with that id.
///
/// # Errors
/// There is no such job, with the id of one that is like it among the newest; the service refuses.
pub(super) async fn show(api: &Api, id: &str) -> Result<TrainingJob, Error> {
    match training_job::show(api, id).await {
        Ok(job) => Ok(job),
        Err(error) => {
            let error = Error::from(error).context(&format!("training job [{id}]"));
            Err(if error.kind == Kind::NotFound { advise(api, id, error).await } else { error })
        }
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
    use super::meant;

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
