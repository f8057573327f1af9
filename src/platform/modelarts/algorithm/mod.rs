//! Algorithms: templates of jobs, kept as the documents they are served as.

mod document;
mod job;
mod parameter;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) use job::{mark, resolve};

use crate::platform::identity::Caller;
use crate::platform::modelarts::Training;
use crate::platform::modelarts::algorithm::document::Origin;
use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::training_job::body;
use crate::platform::runner::usage::now;
use crate::platform::state::{self, State as Store};

/// Kind of an algorithm's document.
const ALGORITHM: &str = "algorithm";
/// Most algorithms on one page.
const LARGEST_PAGE: usize = 50;

/// The routes of algorithms.
pub(super) fn routes() -> Router<Arc<Training>> {
    Router::new()
        .route("/v2/{project_id}/algorithms", get(list).post(create))
        .route("/v2/{project_id}/algorithms/{id}", get(show).put(change).delete(delete))
}

/// The algorithm of that id.
fn find(store: &Store, id: &str) -> Result<Value, ApiError> {
    store.read(|connection| state::get(connection, ALGORITHM, id))?.ok_or_else(|| missing(id))
}

/// 404 for an algorithm; the catalogue lists the code with status 400, as those of other things that are not there.
fn missing(id: &str) -> ApiError {
    let message = format!("algorithm not found: there is none with the id {id}.");
    ApiError { status: StatusCode::NOT_FOUND, code: "ModelArts.2755", message }
}

async fn create(
    State(training): State<Arc<Training>>,
    caller: Option<Extension<Caller>>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let id = uuid::Uuid::new_v4().to_string();
    let user_name = caller.as_ref().map_or(training.options().user_name.as_str(), |caller| caller.user_name.as_str());
    let domain_id = caller.as_ref().map_or("", |caller| caller.domain_id.as_str());
    let origin = Origin { id: &id, user_name, domain_id, now: now() };
    let document = document::build(&body(&bytes)?, &origin)?;
    training.state().write(|transaction| state::put(transaction, ALGORITHM, &id, origin.now, &document))?;
    Ok((StatusCode::CREATED, Json(document)))
}

async fn show(State(training): State<Arc<Training>>, Path((_, id)): Path<(String, String)>) -> Result<Json<Value>, ApiError> {
    Ok(Json(find(training.state(), &id)?))
}

/// Replaces all but name, id and what the service itself has written.
async fn change(
    State(training): State<Arc<Training>>,
    Path((_, id)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let wanted = body(&bytes)?;
    let changed = training.state().write(|transaction| {
        let old = state::get(transaction, ALGORITHM, &id)?.ok_or_else(|| missing(&id))?;
        let text = |name: &str| old["metadata"][name].as_str().unwrap_or_default();
        let origin = Origin { id: &id, user_name: text("user_name"), domain_id: text("domain_id"), now: now() };
        let mut new = document::build(&wanted, &origin)?;
        if new["metadata"]["name"] != old["metadata"]["name"] {
            return Err(ApiError::parameter("metadata.name", "the name of an algorithm cannot be changed"));
        }
        new["metadata"]["create_time"] = old["metadata"]["create_time"].clone();
        state::put(transaction, ALGORITHM, &id, 0, &new)?;
        Ok(new)
    })?;
    Ok((StatusCode::CREATED, Json(changed)))
}

async fn delete(State(training): State<Arc<Training>>, Path((_, id)): Path<(String, String)>) -> Result<StatusCode, ApiError> {
    let is_gone: Result<bool, state::Error> = training.state().write(|transaction| state::delete(transaction, ALGORITHM, &id));
    if is_gone? { Ok(StatusCode::ACCEPTED) } else { Err(missing(&id)) }
}

/// The query of a list. `searches` is looked for in names.
#[derive(Debug, Deserialize)]
struct Wanted {
    offset: Option<usize>,
    limit: Option<usize>,
    sort_by: Option<String>,
    order: Option<String>,
    group_by: Option<String>,
    searches: Option<String>,
    workspace_id: Option<String>,
}

/// `offset` counts algorithms, not pages.
async fn list(State(training): State<Arc<Training>>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, ApiError> {
    let (offset, limit) = (wanted.offset.unwrap_or(0), wanted.limit.unwrap_or(LARGEST_PAGE));
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(ApiError::parameter("limit", "it is 1 to 50"));
    }
    let mut found: Vec<Value> = training.state().read(|connection| state::list(connection, ALGORITHM))?;
    let total = found.len();
    let given = |value: Option<String>| value.filter(|text| !text.is_empty());
    let (name, workspace) = (given(wanted.searches).map(|name| name.to_lowercase()), given(wanted.workspace_id));
    found.retain(|algorithm| {
        let metadata = &algorithm["metadata"];
        let has_name = |part: &String| metadata["name"].as_str().is_some_and(|name| name.to_lowercase().contains(part));
        name.as_ref().is_none_or(has_name) && workspace.as_ref().is_none_or(|id| metadata["workspace_id"] == json!(id))
    });
    let sort_by = given(wanted.sort_by).unwrap_or_else(|| "create_time".into());
    match sort_by.as_str() {
        "create_time" | "update_time" => found.sort_by_key(|algorithm| algorithm["metadata"][&sort_by].as_i64()),
        "name" => found.sort_by_key(|algorithm| algorithm["metadata"]["name"].as_str().map(str::to_owned)),
        _ => return Err(ApiError::bad("ModelArts.2790", format!("Unsupported sorting item ({sort_by})."))),
    }
    let order = given(wanted.order).unwrap_or_else(|| "desc".into());
    match order.as_str() {
        "asc" => {}
        "desc" => found.reverse(),
        _ => return Err(ApiError::parameter("order", "it is asc or desc")),
    }
    let count = found.len();
    let items: Vec<Value> = found.into_iter().skip(offset).take(limit).collect();
    Ok(Json(json!({
        "total": total, "count": count, "limit": limit, "offset": offset, "sort_by": sort_by, "order": order,
        "group_by": wanted.group_by.unwrap_or_default(), "items": items,
    })))
}
