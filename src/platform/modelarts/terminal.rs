//! The way into a running task. It is the platform's own: the API has no such operation.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use hyper_util::rt::TokioIo;

use crate::platform::identity::Caller;
use crate::platform::modelarts::Training;
use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::record::{self, Phase};
use crate::platform::runner::layout::task_folder;
use crate::platform::runner::spec::{Observed, SPEC_FILE, STATUS_FILE, TRAINING, TaskSpec, TaskStatus, observe, read_json};
use crate::platform::terminal::frame::PROTOCOL;
use crate::platform::terminal::session::{self, Wish};

/// The shell of a task when no command is named. It reads no file of this machine, which would replace the prompt that names the task.
const SHELL: [&str; 2] = ["/bin/bash", "--norc"];
/// Rows and columns of a terminal that does not say.
const SIZE: (u16, u16) = (24, 80);

/// The route of terminals.
pub(super) fn routes() -> Router<Arc<Training>> {
    Router::new().route("/platform/{project_id}/training-jobs/{id}/tasks/{task}/terminal", get(open))
}

/// `GET …/terminal?words=["PROGRAM","ARGUMENT"]&rows=R&columns=C&kind=TERM`, with `Upgrade: ma-terminal`. Without `rows` there is no
/// terminal but pipes; without `words` a shell is run.
async fn open(
    State(training): State<Arc<Training>>,
    Path((_, id, task)): Path<(String, String, String)>,
    Query(query): Query<Vec<(String, String)>>,
    // Nothing is opened for a request that was let through without credentials, whatever the door thinks of its path.
    _caller: Extension<Caller>,
    mut request: Request,
) -> Result<Response, ApiError> {
    let protocol = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    if !protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case(PROTOCOL)) {
        let message = format!("Connect with the header Upgrade: {PROTOCOL}.");
        return Err(ApiError { status: StatusCode::UPGRADE_REQUIRED, code: "ModelArts.2788", message });
    }
    let wish = wish(&training, &id, &task, &query)?;
    let upgrade = hyper::upgrade::on(&mut request);
    let ending = training.ending.clone();
    training.tracker.spawn(async move {
        match upgrade.await {
            Ok(stream) => session::run(wish, TokioIo::new(stream), ending).await,
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "a terminal could not be opened"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(PROTOCOL));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    Ok(response)
}

fn wish(training: &Training, id: &str, task: &str, query: &[(String, String)]) -> Result<Wish, ApiError> {
    let job = record::get(training.state(), id)?;
    if !job["status"]["tasks"].as_array().is_some_and(|tasks| tasks.iter().any(|known| known == task)) {
        return Err(ApiError::no_task(task));
    }
    let phase = Phase::of(&job).map_or("unknown", Phase::name);
    if phase != Phase::Running.name() {
        return Err(ApiError::phase("entered", phase));
    }
    let folder = task_folder(training.jobs(), id, task);
    // Before it is known to run: it is the supervisor of this start, then.
    let status = read_json::<TaskStatus>(&folder.join(STATUS_FILE)).ok().flatten();
    let is_training = matches!(observe(&folder), Ok(Observed::Running(stage)) if stage == TRAINING);
    let spec = read_json::<TaskSpec>(&folder.join(SPEC_FILE)).ok().flatten();
    let (true, Some(status), Some(spec)) = (is_training, status, spec) else {
        let message = format!("The task {task} cannot be entered: its program does not run yet, or not any more.");
        return Err(ApiError { status: StatusCode::CONFLICT, code: "ModelArts.2796", message });
    };
    let last = |name: &str| query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let number = |name: &str, default: u16| last(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let words = last("words").map(serde_json::from_str::<Vec<String>>).transpose();
    let mut words = words.map_err(|_| ApiError::parameter("words", "it is a JSON list of texts"))?.unwrap_or_default();
    if words.is_empty() {
        let shell: &[&str] = if spec.container.is_some() { &["/bin/sh"] } else { &SHELL };
        words.extend(shell.iter().map(|&word| word.to_owned()));
    }
    if let Some(container) = &spec.container {
        words = container.enter(&words, last("rows").is_some());
    }
    let mut environment = spec.environment;
    environment.entry("PS1".to_owned()).or_insert_with(|| format!("[{task}] \\w\\$ "));
    Ok(Wish {
        words,
        size: last("rows").map(|_| (number("rows", SIZE.0), number("columns", SIZE.1))),
        kind: last("kind").filter(|kind| !kind.is_empty()).unwrap_or("dumb").to_owned(),
        folder,
        supervisor: status.supervisor,
        environment,
        working_directory: spec.working_directory,
        executable: training.options().executable.clone(),
    })
}
