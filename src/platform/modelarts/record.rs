//! Jobs and their events in the state file. Every change of a job is one transaction with the events that tell of it.

use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::Connection;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::platform::modelarts::error::ApiError;
use crate::platform::runner::usage::now;
use crate::platform::state::{self, State};

/// The event that tells of a start.
pub(crate) const RUNNING: &str = "Training job is running.";

/// Kind of a job's document.
const JOB: &str = "training-job";

/// Where a job stands. The names are the API's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Creating,
    Pending,
    Running,
    Terminating,
    Completed,
    Failed,
    Terminated,
    Abnormal,
}

impl Phase {
    const ALL: [Self; 8] = [
        Self::Creating,
        Self::Pending,
        Self::Running,
        Self::Terminating,
        Self::Completed,
        Self::Failed,
        Self::Terminated,
        Self::Abnormal,
    ];

    /// The API's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Terminating => "Terminating",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::Terminated => "Terminated",
            Self::Abnormal => "Abnormal",
        }
    }

    /// The API's finer name.
    fn secondary(self) -> &'static str {
        match self {
            Self::Pending => "Queuing",
            Self::Abnormal => "CreateFailed",
            other => other.name(),
        }
    }

    /// The phase of a document.
    pub(crate) fn of(job: &Value) -> Option<Self> {
        Self::named(job["status"]["phase"].as_str()?)
    }

    /// The phase of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }

    /// Its processes run, so that its duration grows.
    pub(crate) fn is_under_way(self) -> bool {
        matches!(self, Self::Running | Self::Terminating)
    }

    /// Nothing comes after it.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Terminated | Self::Abnormal)
    }

    /// Writes the phase into a document.
    pub(crate) fn set(self, job: &mut Value) {
        job["status"]["phase"] = json!(self.name());
        job["status"]["secondary_phase"] = json!(self.secondary());
    }
}

/// How grave an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

/// Something that happened to a job.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    level: Level,
    message: String,
}

impl Event {
    /// The ordinary course of things.
    pub(crate) fn info(message: impl Into<String>) -> Self {
        Self { level: Level::Info, message: message.into() }
    }

    /// Something a user should look at.
    pub(crate) fn warning(message: impl Into<String>) -> Self {
        Self { level: Level::Warning, message: message.into() }
    }

    /// Why something failed.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self { level: Level::Error, message: message.into() }
    }
}

/// Stores a new job.
pub(crate) fn create(state: &State, id: &str, job: &Value, event: &Event) -> Result<(), state::Error> {
    state.write(|transaction| {
        state::put(transaction, JOB, id, job["metadata"]["create_time"].as_i64().unwrap_or_else(now), job)?;
        tell(transaction, id, event)
    })
}

/// The job's document.
pub(crate) fn get(state: &State, id: &str) -> Result<Value, ApiError> {
    state.read(|connection| state::get(connection, JOB, id))?.ok_or_else(|| ApiError::no_job(id))
}

/// All jobs, oldest first.
pub(crate) fn list(state: &State) -> Result<Vec<Value>, state::Error> {
    state.read(|connection| state::list(connection, JOB))
}

/// The jobs that stand in one of the phases, oldest first.
pub(crate) fn in_phases(state: &State, phases: &[Phase]) -> Result<Vec<Value>, state::Error> {
    let query = phase_query(phases);
    state.read(|connection| connection.prepare_cached(&query)?.query_map([], |row| row.get(0))?.collect())
}

/// The first jobs of the queue: those that have run before, then by priority, then by age.
pub(crate) fn waiting(state: &State, count: usize) -> Result<Vec<Value>, state::Error> {
    let query = "SELECT body FROM document INDEXED BY training_job_by_phase WHERE kind = 'training-job'
                 AND json_extract(body, '$.status.phase') = 'Pending'
                 ORDER BY coalesce(json_extract(body, '$.platform.restarts'), 0) > 0 DESC,
                 coalesce(json_extract(body, '$.spec.schedule_policy.priority'), 1) DESC, created, id LIMIT ?1";
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    state.read(|connection| connection.prepare_cached(query)?.query_map([count], |row| row.get(0))?.collect())
}

/// Names the index: by its own estimate the database would look at all jobs.
fn phase_query(phases: &[Phase]) -> String {
    let names: Vec<String> = phases.iter().map(|phase| format!("'{}'", phase.name())).collect();
    format!(
        "SELECT body FROM document INDEXED BY training_job_by_phase WHERE kind = 'training-job'
         AND json_extract(body, '$.status.phase') IN ({}) ORDER BY created, id",
        names.join(", ")
    )
}

/// The jobs that have ended before a moment (milliseconds since 1970) and are not forgotten yet.
pub(crate) fn ended_before(state: &State, moment: i64) -> Result<Vec<String>, state::Error> {
    let names = json!(Phase::ALL.iter().filter(|phase| phase.is_final()).map(|phase| phase.name()).collect::<Vec<_>>());
    let query = "SELECT id FROM document WHERE kind = ?1 AND created < ?3
                 AND json_extract(body, '$.status.phase') IN (SELECT value FROM json_each(?2))
                 AND coalesce(json_extract(body, '$.status.start_time') + json_extract(body, '$.status.duration'), created) < ?3
                 AND EXISTS (SELECT 1 FROM document AS event WHERE event.kind = 'training-event/' || document.id)";
    state.read(|connection| {
        connection.prepare_cached(query)?.query_map((JOB, names.to_string(), moment), |row| row.get(0))?.collect()
    })
}

/// Deletes the events of a job.
pub(crate) fn forget_events(state: &State, id: &str) -> Result<(), state::Error> {
    state.write(|transaction| transaction.execute("DELETE FROM document WHERE kind = ?1", [event_kind(id)]).map(drop))
}

/// Makes the index by which jobs of a phase are found among many, and the list of jobs.
pub(crate) fn prepare(state: &State) -> Result<(), state::Error> {
    state.write(|transaction| transaction.execute_batch(TABLES))
}

/// `training_job` holds what lists are filtered and sorted by, so that a page of many jobs is found without their documents. It
/// follows the documents by itself. An index of `document` by expressions does not serve: each row of it is looked up in the table.
const TABLES: &str = "
CREATE INDEX IF NOT EXISTS training_job_by_phase
    ON document (json_extract(body, '$.status.phase'), created, id) WHERE kind = 'training-job';
DROP INDEX IF EXISTS training_job_by_time;
CREATE TABLE IF NOT EXISTS training_job (
    id        TEXT PRIMARY KEY,
    created   INTEGER NOT NULL,
    phase     TEXT NOT NULL,
    name      TEXT NOT NULL,
    user_name TEXT NOT NULL,
    pool_id   TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS training_job_by_age ON training_job (created, id, phase, name, user_name, pool_id);
CREATE VIEW IF NOT EXISTS training_job_view AS SELECT
    id, created,
    coalesce(json_extract(body, '$.status.phase'), '') AS phase,
    coalesce(json_extract(body, '$.metadata.name'), '') AS name,
    coalesce(json_extract(body, '$.metadata.user_name'), '') AS user_name,
    coalesce(json_extract(body, '$.spec.resource.pool_id'), '') AS pool_id
    FROM document WHERE kind = 'training-job';
CREATE TRIGGER IF NOT EXISTS training_job_created AFTER INSERT ON document WHEN new.kind = 'training-job' BEGIN
    DELETE FROM training_job WHERE id = new.id;
    INSERT INTO training_job SELECT * FROM training_job_view WHERE id = new.id;
END;
CREATE TRIGGER IF NOT EXISTS training_job_changed AFTER UPDATE ON document WHEN new.kind = 'training-job' BEGIN
    DELETE FROM training_job WHERE id = new.id;
    INSERT INTO training_job SELECT * FROM training_job_view WHERE id = new.id;
END;
CREATE TRIGGER IF NOT EXISTS training_job_deleted AFTER DELETE ON document WHEN old.kind = 'training-job' BEGIN
    DELETE FROM training_job WHERE id = old.id;
END;
INSERT INTO training_job SELECT * FROM training_job_view WHERE NOT EXISTS (SELECT 1 FROM training_job);
";

/// Changes a job in one transaction: `change` sees the document as it is now, edits it and says which events to add. When it
/// refuses, nothing is changed.
pub(crate) fn change<E: From<ApiError> + From<state::Error>>(
    state: &State,
    id: &str,
    change: impl FnOnce(&mut Value) -> Result<Vec<Event>, E>,
) -> Result<Value, E> {
    state.write(|transaction| {
        let mut job = state::get(transaction, JOB, id)?.ok_or_else(|| ApiError::no_job(id))?;
        let events = change(&mut job)?;
        state::put(transaction, JOB, id, 0, &job)?;
        for event in &events {
            tell(transaction, id, event)?;
        }
        Ok(job)
    })
}

/// Deletes a job with its events; `allowed` decides by the document.
pub(crate) fn delete(state: &State, id: &str, allowed: impl FnOnce(&Value) -> Result<(), ApiError>) -> Result<(), ApiError> {
    state.write(|transaction| {
        let job = state::get(transaction, JOB, id)?.ok_or_else(|| ApiError::no_job(id))?;
        allowed(&job)?;
        state::delete(transaction, JOB, id)?;
        transaction.execute("DELETE FROM document WHERE kind = ?1", [event_kind(id)])?;
        Ok(())
    })
}

/// Adds an event. One that cannot be written is only missing from a list, so failures are passed over.
pub(crate) fn add(state: &State, id: &str, event: &Event) {
    let added: Result<(), state::Error> = state.write(|transaction| tell(transaction, id, event));
    if let Err(error) = added {
        tracing::warn!(job = id, error = &error as &dyn std::error::Error, "an event was lost");
    }
}

/// Adds an event unless one of the same text is there since the job's newest start: what is told again after a restart of the
/// platform.
pub(crate) fn add_once(state: &State, id: &str, event: &Event) {
    if !is_known(state, id, event).unwrap_or(false) {
        add(state, id, event);
    }
}

fn is_known(state: &State, id: &str, event: &Event) -> Result<bool, state::Error> {
    let query = "SELECT json_extract(body, '$.message') FROM document WHERE kind = ?1 ORDER BY id DESC";
    state.read(|connection| {
        let mut statement = connection.prepare_cached(query)?;
        let mut rows = statement.query([event_kind(id)])?;
        while let Some(row) = rows.next()? {
            let message: String = row.get(0)?;
            if message == event.message || message == RUNNING {
                return Ok(message == event.message);
            }
        }
        Ok(false)
    })
}

/// All events of a job, oldest first, as the API gives them.
pub(crate) fn events(state: &State, id: &str) -> Result<Vec<Value>, state::Error> {
    state.read(|connection| state::list(connection, &event_kind(id)))
}

fn tell(connection: &Connection, id: &str, event: &Event) -> Result<(), state::Error> {
    let number = event_number();
    let milliseconds = number / 1_000_000;
    let time = OffsetDateTime::from_unix_timestamp(milliseconds / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let level = match event.level {
        Level::Info => "Info",
        Level::Warning => "Warning",
        Level::Error => "Error",
    };
    let source = if event.message.starts_with('[') { "Task" } else { "Job" };
    let time = time.format(&Rfc3339).unwrap_or_default();
    let body = json!({"level": level, "source": source, "time": time, "message": event.message});
    state::put(connection, &event_kind(id), &format!("{number:020}"), milliseconds, &body)
}

fn event_kind(id: &str) -> String {
    format!("training-event/{id}")
}

/// The time in nanoseconds, made unique, so that events keep their order.
fn event_number() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let time = OffsetDateTime::now_utc().unix_timestamp_nanos() as i64;
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(time.max(last + 1)));
    time.max(last.unwrap_or_default() + 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ApiError, Event, Phase, RUNNING, State, add, add_once, change, create, delete, events, get, prepare};

    #[test]
    fn the_queue_is_in_order() {
        let state = State::in_memory().unwrap();
        prepare(&state).unwrap();
        for (id, created, priority, restarts) in [
            ("young", 9, json!(1), json!(null)),
            ("high", 8, json!(3), json!(0)),
            ("old", 1, json!(null), json!(null)),
            ("again", 9, json!(1), json!(1)),
        ] {
            let mut job = json!({
                "metadata": {"id": id, "create_time": created}, "status": {},
                "spec": {"schedule_policy": {"priority": priority}}, "platform": {"restarts": restarts},
            });
            Phase::Pending.set(&mut job);
            create(&state, id, &job, &Event::info("created")).unwrap();
        }
        let ids = |count| -> Vec<String> {
            super::waiting(&state, count)
                .unwrap()
                .iter()
                .map(|job| job["metadata"]["id"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(ids(9), ["again", "high", "old", "young"]);
        assert_eq!(ids(1), ["again"]);
    }

    #[test]
    fn a_change_and_its_events_are_one() {
        let state = State::in_memory().unwrap();
        prepare(&state).unwrap();
        let mut job = json!({"status": {}});
        Phase::Pending.set(&mut job);
        create(&state, "1", &job, &Event::info("created")).unwrap();
        let refused = change(&state, "1", |job| {
            Phase::Failed.set(job);
            Err::<Vec<Event>, _>(ApiError::no_job("x"))
        });
        assert!(refused.is_err());
        assert_eq!(Phase::of(&get(&state, "1").unwrap()), Some(Phase::Pending));
        assert_eq!(super::in_phases(&state, &[Phase::Creating, Phase::Pending]).unwrap(), [job]);
        assert!(super::in_phases(&state, &[Phase::Running]).unwrap().is_empty());
        change::<ApiError>(&state, "1", |job| {
            Phase::Running.set(job);
            Ok(vec![Event::info("running"), Event::error("[worker-0] odd")])
        })
        .unwrap();
        add_once(&state, "1", &Event::info("running"));
        let told = events(&state, "1").unwrap();
        let texts: Vec<_> =
            told.iter().map(|event| (event["message"].as_str().unwrap(), event["source"].as_str().unwrap())).collect();
        assert_eq!(texts, [("created", "Job"), ("running", "Job"), ("[worker-0] odd", "Task")]);
        // What happens at another start is told again.
        for _ in 0..2 {
            add(&state, "1", &Event::info(RUNNING));
            for _ in 0..2 {
                add_once(&state, "1", &Event::info("again"));
            }
        }
        assert_eq!(events(&state, "1").unwrap().iter().filter(|event| event["message"] == "again").count(), 2);
        delete(&state, "1", |_| Ok(())).unwrap();
        assert!(events(&state, "1").unwrap().is_empty());
        assert!(get(&state, "1").is_err());
    }
}
