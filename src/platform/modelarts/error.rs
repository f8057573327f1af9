//! Failures of the training service: of opening it, and those it answers with.

use std::path::PathBuf;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::platform::{runner, state};

/// Why the training service could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state file.
    #[error("the platform's state: {0}")]
    State(#[from] state::Error),
    /// The jobs that an earlier platform has left.
    #[error("the jobs that are to go on: {0}")]
    Jobs(String),
    /// The client of the object store, or the folder of jobs.
    #[error(transparent)]
    Runner(#[from] runner::Error),
    /// The file that says what the machine lends to jobs.
    #[error("{} cannot be used: {reason}", path.display())]
    Capacity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// An error answer: HTTP status, code of the API's catalogue, text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl ApiError {
    /// 400 with a code.
    pub(crate) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }

    /// 400 for a parameter; says which one and why.
    pub(crate) fn parameter(name: &str, reason: &str) -> Self {
        Self::bad("ModelArts.2788", format!("Invalid parameter({name}): {reason}."))
    }

    /// 500: a file of the platform cannot be used.
    pub(crate) fn local(reason: &str) -> Self {
        let message = format!("The platform's files cannot be used: {reason}.");
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "ModelArts.0010", message }
    }

    /// 404 for a job. The catalogue lists the code with status 400; a thing that is not there is 404 everywhere else.
    pub(crate) fn no_job(id: &str) -> Self {
        let message = format!("Training job (ID: {id}) not found.");
        Self { status: StatusCode::NOT_FOUND, code: "ModelArts.2775", message }
    }

    /// The platform's own failure, which may have passed when the same is tried again.
    pub(crate) fn is_temporary(&self) -> bool {
        self.status.is_server_error()
    }

    /// 404 for a task of a job.
    pub(crate) fn no_task(task: &str) -> Self {
        let message = format!("The training job has no task {task}.");
        Self { status: StatusCode::NOT_FOUND, code: "ModelArts.2836", message }
    }

    /// 404 for a resource pool.
    pub(crate) fn no_pool(name: &str) -> Self {
        let message = format!("Pool ({name}) does not exist.");
        Self { status: StatusCode::NOT_FOUND, code: "ModelArts.2890", message }
    }

    /// 409: the job's phase rules the operation out.
    pub(crate) fn phase(operation: &str, phase: &str) -> Self {
        let message = format!("A training job in phase {phase} cannot be {operation}.");
        Self { status: StatusCode::CONFLICT, code: "ModelArts.2796", message }
    }
}

impl From<state::Error> for ApiError {
    fn from(error: state::Error) -> Self {
        let message = format!("The platform's state cannot be used: {error}.");
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, code: "ModelArts.0010", message }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"error_code": self.code, "error_msg": self.message}))).into_response()
    }
}
