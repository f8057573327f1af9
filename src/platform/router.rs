//! All services of the control planes on one port.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router, middleware};

use super::authenticate::{self, RequestId};
use super::identity::{Identity, routes};
use super::reply::{self, Service};
use crate::catalogue;

/// The routes of all services behind the door that authenticates.
pub(crate) fn router(identity: Arc<Identity>, endpoints: routes::Endpoints, services: Router) -> Router {
    Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .merge(routes::routes(Arc::clone(&identity), endpoints))
        .merge(services)
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        // The door has read the body and limited it already.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(identity, authenticate::admit))
}

/// Answers what nobody serves: an operation of the API by its name, anything else as the cloud's gateway does.
async fn unknown(Extension(request_id): Extension<RequestId>, request: Request) -> Response {
    let (method, path) = (request.method().as_str(), request.uri().path());
    let (status, code, message) = match catalogue::find(method, path) {
        Some(operation) => (
            StatusCode::NOT_IMPLEMENTED,
            "Platform.0501",
            format!("{} ({method} {}) is not implemented by this platform", operation.name, operation.path),
        ),
        None => (
            StatusCode::NOT_FOUND,
            "APIGW.0101",
            "The API does not exist or has not been published in the environment".to_owned(),
        ),
    };
    reply::error(Service::of(path), status, code, &message, &request_id.0).into_response()
}
