//! Training jobs: create, show, describe, stop, delete.

use std::fs;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::platform::identity::Caller;
use crate::platform::modelarts::create::{self, Origin, description_fits};
use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::record::{self, Event, Phase};
use crate::platform::modelarts::{Training, algorithm, autosearch, image, schedule};
use crate::platform::runner::layout::job_folder;

/// Reads a body as JSON, whatever content type it claims: clients send several.
pub(super) fn body(bytes: &Bytes) -> Result<Value, ApiError> {
    let read: Result<Value, _> = serde_json::from_slice(bytes);
    match read {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err(ApiError::bad("ModelArts.2787", "Invalid JSON request body: it is not an object.")),
        Err(error) => Err(ApiError::bad("ModelArts.2787", format!("Invalid JSON request body: {error}."))),
    }
}

/// `POST /v2/{project_id}/training-jobs`.
pub(super) async fn create(
    State(training): State<Arc<Training>>,
    caller: Option<Extension<Caller>>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let id = uuid::Uuid::new_v4().to_string();
    let user_name = caller.map_or_else(|| training.options().user_name.clone(), |caller| caller.user_name.clone());
    let origin = Origin {
        id: &id,
        user_name: &user_name,
        now: training.now(),
        slots: training.options().slots,
        capacity: training.options().capacity,
    };
    let (wanted, template) = algorithm::resolve(training.state(), body(&bytes)?)?;
    let mut job = create::document(&wanted, &origin)?;
    algorithm::mark(&mut job, template.as_ref());
    autosearch::accept(&wanted, &mut job)?;
    image::accept(&training, &job).await?;
    record::create(training.state(), &id, &job, &Event::info("Training job is created."))?;
    training.wake.notify_one();
    Ok((StatusCode::CREATED, Json(schedule::shown(&training, job))))
}

/// `GET /v2/{project_id}/training-jobs/{id}`.
pub(super) async fn show(
    State(training): State<Arc<Training>>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(schedule::shown(&training, record::get(training.state(), &id)?)))
}

/// `PUT /v2/{project_id}/training-jobs/{id}`: the description, and the priority of a job that waits.
pub(super) async fn describe(
    State(training): State<Arc<Training>>,
    Path((_, id)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<StatusCode, ApiError> {
    let wanted = body(&bytes)?;
    let Changes { description, priority } = Changes::of(&wanted)?;
    record::change::<ApiError>(training.state(), &id, |job| {
        if let Some(description) = description {
            job["metadata"]["description"] = json!(description);
        }
        if let Some(priority) = priority {
            let phase = Phase::of(job).unwrap_or(Phase::Abnormal);
            if !matches!(phase, Phase::Creating | Phase::Pending) {
                return Err(ApiError::phase("given another priority", phase.name()));
            }
            job["spec"]["schedule_policy"]["priority"] = json!(priority);
        }
        Ok(Vec::new())
    })?;
    Ok(StatusCode::OK)
}

/// What may be changed of a job.
#[derive(Debug, PartialEq, Eq)]
struct Changes<'a> {
    description: Option<&'a str>,
    priority: Option<u64>,
}

impl<'a> Changes<'a> {
    /// Reads a request; what it cannot do is refused and not passed over.
    fn of(wanted: &'a Value) -> Result<Self, ApiError> {
        let given = |pointer: &str| wanted.pointer(pointer).filter(|value| !value.is_null());
        let description = given("/description").map(|text| {
            let text = text.as_str().ok_or_else(|| ApiError::parameter("description", "it is a text"))?;
            description_fits("description", text).map(|()| text)
        });
        let priority = given("/spec/schedule_policy/priority").map(|number| {
            let number = number.as_u64().filter(|&number| number <= 3);
            number.ok_or_else(|| ApiError::parameter("spec.schedule_policy.priority", "it is a number from 0 to 3"))
        });
        for (pointer, reason) in [
            ("/spec/schedule_policy/preemptible", "it cannot be changed: jobs of this platform do not make room for others"),
            ("/spec/notification", "this platform has no notification topics"),
            ("/endpoints", "jobs of this platform have no endpoints; ma-job shell opens a shell in a task"),
            ("/metadata/annotation", "annotations of a job cannot be changed on this platform"),
        ] {
            if given(pointer).is_some() {
                return Err(ApiError::parameter(&pointer[1..].replace('/', "."), reason));
            }
        }
        Ok(Self { description: description.transpose()?, priority: priority.transpose()? })
    }
}

/// `POST /v2/{project_id}/training-jobs/{id}/actions`.
pub(super) async fn act(
    State(training): State<Arc<Training>>,
    Path((_, id)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let wanted = body(&bytes)?;
    let action = wanted["action_type"].as_str().unwrap_or_default();
    if action != "terminate" {
        return Err(ApiError::bad("ModelArts.2812", format!("Unsupported action type:{action}.")));
    }
    let job = schedule::stop(&training, &id)?;
    Ok((StatusCode::ACCEPTED, Json(schedule::shown(&training, job))))
}

/// `DELETE /v2/{project_id}/training-jobs/{id}`. A job that has not ended is refused: it would be lost while it runs.
pub(super) async fn delete(
    State(training): State<Arc<Training>>,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    remove(&training, &id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// `POST /v2/{project_id}/training-jobs/batch-delete`. Either all can be deleted, or none is.
pub(super) async fn delete_all(State(training): State<Arc<Training>>, bytes: Bytes) -> Result<StatusCode, ApiError> {
    let wanted = body(&bytes)?;
    let jobs = wanted["jobs"].as_array().filter(|jobs| !jobs.is_empty());
    let ids: Option<Vec<&str>> = jobs.and_then(|jobs| jobs.iter().map(|job| job["metadata"]["id"].as_str()).collect());
    let Some(ids) = ids else { return Err(ApiError::parameter("jobs", "it is a list of jobs with their ids")) };
    for id in &ids {
        deletable(&record::get(training.state(), id)?)?;
    }
    for id in ids {
        match remove(&training, id).await {
            // Named twice, or deleted by somebody else meanwhile.
            Err(error) if error.status == StatusCode::NOT_FOUND => {}
            removed => removed?,
        }
    }
    Ok(StatusCode::ACCEPTED)
}

fn deletable(job: &Value) -> Result<(), ApiError> {
    match Phase::of(job) {
        Some(phase) if !phase.is_final() => Err(ApiError::phase("deleted; stop it first", phase.name())),
        _ => Ok(()),
    }
}

async fn remove(training: &Training, id: &str) -> Result<(), ApiError> {
    record::delete(training.state(), id, deletable)?;
    // The job is gone whatever becomes of its files; a folder that cannot be removed is only in the way of the disk.
    let folder = job_folder(training.jobs(), id);
    let remove = move || match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), %error, "a job's folder cannot be removed");
        }
        _ => {}
    };
    // It may hold many files, and other requests must not wait for them. It goes on even if the client leaves.
    let _ = tokio::task::spawn_blocking(remove).await;
    Ok(())
}

/// The query of a name check.
#[derive(Debug, Deserialize)]
pub(super) struct Name {
    job_name: String,
    workspace_id: Option<String>,
}

/// `GET /v2/{project_id}/training-job-names`. Names need not be unique; a client may want to know.
pub(super) async fn check_name(
    State(training): State<Arc<Training>>,
    Query(name): Query<Name>,
) -> Result<Json<Value>, ApiError> {
    let workspace = name.workspace_id.as_deref().unwrap_or("0");
    let jobs = record::list(training.state())?;
    let same = |job: &Value| job["metadata"]["name"] == name.job_name && job["metadata"]["workspace_id"] == workspace;
    Ok(Json(json!({"is_duplicate": jobs.iter().any(same)})))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Changes;

    #[test]
    fn what_cannot_be_changed_is_refused() {
        let wanted = json!({"description": "d", "spec": {"schedule_policy": {"priority": 3}, "notification": null}});
        assert_eq!(Changes::of(&wanted).unwrap(), Changes { description: Some("d"), priority: Some(3) });
        assert_eq!(Changes::of(&json!({})).unwrap(), Changes { description: None, priority: None });
        for (wanted, place) in [
            (json!({"spec": {"schedule_policy": {"priority": "9"}}}), "priority"),
            (json!({"spec": {"schedule_policy": {"priority": 4}}}), "priority"),
            (json!({"spec": {"schedule_policy": {"priority": -1}}}), "priority"),
            (json!({"description": 7}), "description"),
            (json!({"description": "x".repeat(257)}), "description"),
            (json!({"spec": {"schedule_policy": {"preemptible": true}}}), "preemptible"),
            (json!({"spec": {"notification": {"topic_urn": "urn"}}}), "spec.notification"),
            (json!({"metadata": {"annotation": {"a": "b"}}}), "metadata.annotation"),
            (json!({"endpoints": {"ssh": {}}}), "endpoints"),
        ] {
            let refused = Changes::of(&wanted).unwrap_err();
            assert!(refused.status.as_u16() == 400 && refused.message.contains(place), "{wanted}: {}", refused.message);
        }
    }
}
