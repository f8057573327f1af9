//! Removing what jobs have left behind: what they fetched and made when they end, logs and events once they are old. The job itself
//! stays until it is deleted.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::platform::modelarts::{Training, record};
use crate::platform::runner::layout::job_folder;
use crate::platform::state;

/// Time between two looks; what is kept for 30 days may stay an hour longer.
const PERIOD: Duration = Duration::from_secs(3600);

/// Looks for old jobs from time to time, until the platform ends.
pub(super) async fn run(training: Arc<Training>) {
    loop {
        match old(&training) {
            Ok(ids) => {
                for id in ids {
                    forget(&training, &id).await;
                }
            }
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "old training jobs cannot be looked for"),
        }
        if training.ending.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_none() {
            return;
        }
    }
}

/// Removes the folders of a job's tasks, as a container goes with its job: code, inputs, environments, what was written and is
/// stored. Files stay: log, usage, trials, and how the task was run.
pub(super) fn tidy(job: &Path) {
    let folders = |path: &Path| {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect::<Vec<_>>()
    };
    for folder in folders(job).iter().flat_map(|task| folders(task)) {
        // It may be deleted with its job at this moment.
        if let Err(error) = fs::remove_dir_all(&folder)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %folder.display(), %error, "what a training job has left cannot be removed");
        }
    }
}

fn old(training: &Training) -> Result<Vec<String>, state::Error> {
    let retention = i64::try_from(training.options().timing.retention.as_millis()).unwrap_or(i64::MAX);
    record::ended_before(training.state(), training.now().saturating_sub(retention))
}

async fn forget(training: &Training, id: &str) {
    let folder = job_folder(training.jobs(), id);
    // It may hold many files. The next look tries again what could not be removed.
    let removed = tokio::task::spawn_blocking(move || match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    });
    if let Ok(Err(error)) = removed.await {
        tracing::warn!(job = id, %error, "what an old training job has left cannot be removed");
        return;
    }
    if let Err(error) = record::forget_events(training.state(), id) {
        tracing::warn!(job = id, error = &error as &dyn std::error::Error, "old events cannot be removed");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::tidy;

    #[test]
    fn only_files_of_the_tasks_are_kept() {
        let job = tempfile::tempdir().unwrap();
        let task = job.path().join("worker-0");
        fs::create_dir_all(task.join("home/ma-user")).unwrap();
        fs::write(task.join("home/ma-user/data"), "large").unwrap();
        fs::write(task.join("the.log"), "log").unwrap();
        fs::write(job.path().join("hosts"), "hosts").unwrap();
        tidy(job.path());
        assert!(task.join("the.log").exists() && job.path().join("hosts").exists() && !task.join("home").exists());
        tidy(&job.path().join("none"));
    }
}
