//! The one resource pool: this machine.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::platform::modelarts::Training;
use crate::platform::modelarts::error::ApiError;
use crate::platform::state;

/// Name and id of the pool.
pub(crate) const POOL: &str = "pool-local";

/// Kind of its document in the state.
const KIND: &str = "pool";

/// The flavor that a slot is.
const SLOT: &str = "modelarts.vm.cpu.1u";

/// Remembers when the pool came into being, at the first start.
///
/// # Errors
/// The state cannot be written.
pub(crate) fn create(state: &state::State, now: i64) -> Result<(), state::Error> {
    state.write(|transaction| match state::get(transaction, KIND, POOL)? {
        Some(_) => Ok(()),
        None => state::put(transaction, KIND, POOL, now, &json!({"created": now})),
    })
}

/// The query of a list of pools.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    status: Option<String>,
}

/// `GET /v2/{project_id}/pools`.
pub(crate) async fn list(State(training): State<Arc<Training>>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, ApiError> {
    let items = match wanted.status.as_deref().unwrap_or_default() {
        "" | "created" => vec![document(&training)?],
        "failed" | "creating" => Vec::new(),
        _ => return Err(ApiError::parameter("status", "it is created, failed or creating")),
    };
    Ok(Json(json!({"apiVersion": "v2", "kind": "PoolList", "items": items})))
}

/// `GET /v2/{project_id}/pools/{pool_name}`.
pub(crate) async fn show(
    State(training): State<Arc<Training>>,
    Path((_, name)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    if name == POOL { Ok(Json(document(&training)?)) } else { Err(ApiError::no_pool(&name)) }
}

fn document(training: &Training) -> Result<Value, ApiError> {
    let stored = training.state().read(|connection| state::get(connection, KIND, POOL))?.unwrap_or_default();
    let created = stored["created"].as_i64().unwrap_or_default() / 1000;
    let created = OffsetDateTime::from_unix_timestamp(created).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let created = created.format(&Rfc3339).unwrap_or_default();
    let slots = training.options().slots;
    Ok(json!({
        "apiVersion": "v2",
        "kind": "Pool",
        "metadata": {
            "name": POOL,
            "creationTimestamp": created,
            "labels": {"os.modelarts/name": "local", "os.modelarts/workspace.id": "0"},
            "annotations": {"os.modelarts/description": "This machine", "os.modelarts/billing.mode": "0"},
        },
        "spec": {
            "type": "Dedicate",
            "scope": ["Train"],
            "resources": [{"flavor": SLOT, "count": slots, "maxCount": slots}],
        },
        "status": {
            "phase": "Running",
            "message": "",
            "resources": {"available": {"flavor": SLOT, "count": slots - training.slots_taken().min(slots), "maxCount": slots}},
            "scope": [{"scopeType": "Train", "state": "Enabled"}],
        },
    }))
}
