//! Removing what jobs have left behind once it is old: files and events go, the job itself stays until it is deleted.

use std::fs;
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
