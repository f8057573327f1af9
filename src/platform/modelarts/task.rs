//! Tasks of a job: list, logs, usage.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::routes::LINKS;
use crate::platform::modelarts::{Training, record};
use crate::platform::runner::layout::{log_file, log_name, task_folder};
use crate::platform::runner::plan::node_address;
use crate::platform::runner::usage;

/// Most of a log that a preview shows: its newest part.
const PREVIEW: u64 = 5 << 20;

/// Milliseconds a link to a log is good for.
const LINK_LIFE: i64 = 300_000;

/// `GET /v2/{project_id}/training-jobs/{id}/tasks`.
pub(super) async fn list(
    State(training): State<Arc<Training>>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let job = record::get(training.state(), &id)?;
    let tasks = job["status"]["tasks"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let starts = job["status"]["running_records"].as_array().map_or(1, |records| records.len().max(1));
    let document = |task: &str| {
        let node = task.rsplit('-').next().and_then(|index| index.parse().ok()).unwrap_or(0);
        json!({"task": task, "ip": node_address(node).to_string(), "host_ip": "127.0.0.1", "schedule_count": starts})
    };
    Ok(Json(tasks.map(document).collect()))
}

/// `GET …/tasks/{task}/logs/preview`.
pub(super) async fn preview(
    State(training): State<Arc<Training>>,
    Path((_, id, task)): Path<(String, String, String)>,
) -> Result<Json<Value>, ApiError> {
    let path = log_of(&training, &id, &task)?;
    let read = || -> io::Result<(Vec<u8>, u64)> {
        let mut file = File::open(&path)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(PREVIEW)))?;
        let mut content = Vec::new();
        file.take(PREVIEW).read_to_end(&mut content)?;
        Ok((content, size))
    };
    let (content, size) = match read() {
        Ok(read) => read,
        // It has not been written to yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), 0),
        Err(error) => return Err(unreadable(&error)),
    };
    let shown = content.len();
    Ok(Json(json!({
        "content": String::from_utf8_lossy(&content),
        "current_size": shown,
        "full_size": size,
    })))
}

/// `GET …/tasks/{task}/logs/url`: a link that anyone can follow for five minutes.
pub(super) async fn link(
    State(training): State<Arc<Training>>,
    Path((_, id, task)): Path<(String, String, String)>,
) -> Result<Json<Value>, ApiError> {
    if !log_of(&training, &id, &task)?.exists() {
        return Err(ApiError::bad("ModelArts.2818", "the log file is not generated"));
    }
    let expires = training.now() + LINK_LIFE;
    let signature = hex::encode(signer(&training, &id, &task, expires).finalize().into_bytes());
    let endpoint = &training.options().endpoint;
    Ok(Json(json!({"obs_url": format!("{endpoint}{LINKS}{id}/{task}?expires={expires}&signature={signature}")})))
}

/// The signed part of a link.
#[derive(Debug, Deserialize)]
pub(super) struct Ticket {
    expires: i64,
    signature: String,
}

/// What a link leads to: the whole log, streamed, or what is behind an offset when a header `Range: bytes=OFFSET-` asks for it.
pub(super) async fn follow_link(
    State(training): State<Arc<Training>>,
    Path((id, task)): Path<(String, String)>,
    Query(ticket): Query<Ticket>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let refused = |message: &str| ApiError { status: StatusCode::FORBIDDEN, code: "ModelArts.0203", message: message.into() };
    let signature = hex::decode(&ticket.signature).unwrap_or_default();
    if signer(&training, &id, &task, ticket.expires).verify_slice(&signature).is_err() {
        return Err(refused("The link's signature does not match."));
    }
    if ticket.expires < training.now() {
        return Err(refused("The link has expired."));
    }
    let mut file = tokio::fs::File::open(log_of(&training, &id, &task)?).await.map_err(|error| unreadable(&error))?;
    let size = file.metadata().await.map_err(|error| unreadable(&error))?.len();
    let offset = headers
        .get(header::RANGE)
        .and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let name = format!("attachment; filename=\"{}\"", log_name(&id, &task));
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    let Some(offset) = offset else { return Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response()) };
    if offset >= size {
        let range = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
        return Ok((StatusCode::RANGE_NOT_SATISFIABLE, range).into_response());
    }
    file.seek(SeekFrom::Start(offset)).await.map_err(|error| unreadable(&error))?;
    let range = [(header::CONTENT_RANGE, format!("bytes {offset}-{}/{size}", size - 1))];
    // Not beyond what was announced, though the log may have grown.
    let body = Body::from_stream(ReaderStream::new(file.take(size - offset)));
    Ok((StatusCode::PARTIAL_CONTENT, headers, range, body).into_response())
}

/// `GET …/metrics/{task}`: one value a minute since the start; -1 where there is none.
pub(super) async fn metrics(
    State(training): State<Arc<Training>>,
    Path((_, id, task)): Path<(String, String, String)>,
) -> Result<Json<Value>, ApiError> {
    let job = record::get(training.state(), &id)?;
    log_of(&training, &id, &task)?;
    let Some(start) = job["status"]["start_time"].as_i64() else { return Ok(Json(json!({"metrics": []}))) };
    let last = job["status"]["running_records"].as_array().and_then(|records| records.last()?["end_at"].as_i64());
    let end = last.map_or_else(|| training.now(), |end| end * 1000);
    let measured = usage::minutes(&task_folder(training.jobs(), &id, &task), start, end);
    let none = vec![-1; measured.first().map_or(0, |(_, values)| values.len())];
    let without = ["gpuUtil", "gpuMemUsage", "npuUtil", "npuMemUsage"].map(|name| json!({"metric": name, "value": none}));
    let mut metrics: Vec<Value> = measured.into_iter().map(|(name, values)| json!({"metric": name, "value": values})).collect();
    metrics.extend(without);
    Ok(Json(json!({"metrics": metrics})))
}

/// The log file of a task, once it is known that the job has such a task.
pub(super) fn log_of(training: &Training, id: &str, task: &str) -> Result<PathBuf, ApiError> {
    let job = record::get(training.state(), id)?;
    let known = job["status"]["tasks"].as_array().is_some_and(|tasks| tasks.iter().any(|known| known == task));
    if known { Ok(log_file(training.jobs(), id, task)) } else { Err(ApiError::no_task(task)) }
}

fn signer(training: &Training, id: &str, task: &str, expires: i64) -> Hmac<Sha256> {
    let mut signer = Hmac::new_from_slice(&training.link_key).expect("HMAC takes keys of any length");
    signer.update(format!("{id}\n{task}\n{expires}").as_bytes());
    signer
}

pub(super) fn unreadable(error: &io::Error) -> ApiError {
    let message = format!("The log cannot be read: {error}.");
    ApiError { status: StatusCode::INTERNAL_SERVER_ERROR, code: "ModelArts.0010", message }
}
