//! Events of a job.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::{Training, record};

/// The query of a list of events. Times are milliseconds since 1970, and given together.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    offset: Option<usize>,
    limit: Option<usize>,
    order: Option<String>,
    start_time: Option<String>,
    end_time: Option<String>,
    level: Option<String>,
    pattern: Option<String>,
}

/// `GET /v2/{project_id}/training-jobs/{id}/events`. `offset` counts pages; the newest come first unless the order is `asc`.
pub(super) async fn list(
    State(training): State<Arc<Training>>,
    Path((_, id)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Value>, ApiError> {
    record::get(training.state(), &id)?;
    let (offset, limit) = (wanted.offset.unwrap_or(0), wanted.limit.unwrap_or(50));
    if !(1..=100).contains(&limit) {
        return Err(ApiError::parameter("limit", "it is 1 to 100"));
    }
    let order = wanted.order.filter(|order| !order.is_empty()).unwrap_or_else(|| "desc".to_owned());
    if !["asc", "desc"].contains(&order.as_str()) {
        return Err(ApiError::parameter("order", "it is asc or desc"));
    }
    let (start, end) = (bound("start_time", wanted.start_time.as_deref())?, bound("end_time", wanted.end_time.as_deref())?);
    let mut events = record::events(training.state(), &id)?;
    events.retain(|event| {
        let text = |field: &str| event[field].as_str().unwrap_or_default();
        let time = OffsetDateTime::parse(text("time"), &Rfc3339).map_or(0, |time| time.unix_timestamp());
        // Events are told in whole seconds, so bounds are compared in them.
        start.is_none_or(|start| time >= start / 1000)
            && end.is_none_or(|end| time <= end / 1000)
            && wanted.level.as_deref().is_none_or(|level| level.is_empty() || text("level").eq_ignore_ascii_case(level))
            && wanted.pattern.as_deref().is_none_or(|pattern| text("message").contains(pattern))
    });
    if order == "desc" {
        events.reverse();
    }
    let total = events.len();
    let page: Vec<Value> = events.into_iter().skip(offset.saturating_mul(limit)).take(limit).collect();
    Ok(Json(json!({
        "total": total,
        "limit": limit,
        "offset": offset,
        "order": order,
        "start_time": wanted.start_time.unwrap_or_default(),
        "end_time": wanted.end_time.unwrap_or_default(),
        "events": page,
    })))
}

/// The query of the categories.
#[derive(Debug, Deserialize)]
pub(super) struct Flavored {
    flavor_type: Option<String>,
}

/// `GET /v2/{project_id}/training-event-categories`. This platform has nowhere to send notifications to.
pub(super) async fn categories(Query(wanted): Query<Flavored>) -> Result<Json<Value>, ApiError> {
    let has_cards = match wanted.flavor_type.as_deref().unwrap_or_default() {
        "" | "GPU" | "Ascend" => true,
        "CPU" => false,
        _ => return Err(ApiError::parameter("flavor_type", "it is CPU, GPU or Ascend")),
    };
    let shown = CATEGORIES.iter().filter(|(id, ..)| has_cards || *id != "JobHanged");
    let shown: Vec<Value> = shown
        .map(|(id, name, description)| json!({"id": id, "name": name, "description": description, "notification": false}))
        .collect();
    Ok(Json(json!({"event-categories": shown})))
}

/// Id, name and description of what can be notified of.
const CATEGORIES: [(&str, &str, &str); 7] = [
    ("JobStarted", "Job started", "The job runs."),
    ("JobCompleted", "Job completed", "All tasks have ended without a failure."),
    ("JobFailed", "Job failed", "A task has failed."),
    ("JobTerminated", "Job terminated", "The job was stopped."),
    ("JobRestarted", "Job restarted", "The job was started again after a failure."),
    ("JobHanged", "Job suspended", "The job shows no sign of life."),
    ("JobPreempted", "Job preempted", "The job made room for one of a higher priority."),
];

fn bound(name: &str, text: Option<&str>) -> Result<Option<i64>, ApiError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| ApiError::parameter(name, "it is a time in milliseconds since 1970"))
}
