//! The paths of the training service.

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};

use crate::platform::modelarts::{
    Training, algorithm, autosearch, engine, event, flavor, log_lines, pool, search, stage, tag, task, terminal, training_job,
};

/// Prefix of links to logs, which carry a signature of their own and are served without other authentication.
pub(super) const LINKS: &str = "/platform/logs/";

/// Whether a path is that of a link to a log: two segments behind the prefix. Other routes begin alike, and take any word for
/// the project.
pub(crate) fn is_link(path: &str) -> bool {
    path.strip_prefix(LINKS).is_some_and(|rest| rest.split('/').count() == 2)
}

/// All routes of the service. The caller has authenticated the requests, but for links to logs, which are signed.
pub fn routes(training: Arc<Training>) -> Router {
    Router::new()
        .route("/v2/{project_id}/training-jobs", post(training_job::create))
        .route("/v2/{project_id}/training-job-searches", post(search::list))
        .route("/v2/{project_id}/training-job-names", get(training_job::check_name))
        .route("/v2/{project_id}/training-job-engines", get(engine::list))
        .route("/v2/{project_id}/training-job-flavors", get(flavor::list))
        .route(
            "/v2/{project_id}/training-jobs/{id}",
            get(training_job::show).put(training_job::describe).delete(training_job::delete),
        )
        .route("/v2/{project_id}/training-jobs/{id}/actions", post(training_job::act))
        .route("/v2/{project_id}/training-jobs/batch-delete", post(training_job::delete_all))
        .route("/v2/{project_id}/training-jobs/{id}/stages", get(stage::list))
        .route("/v2/{project_id}/training-jobs/{id}/logs/{task}", get(log_lines::list))
        .route("/v2/{project_id}/training-event-categories", get(event::categories))
        .route("/v2/{project_id}/modelarts-training-job/tags", get(tag::list))
        .route("/v2/{project_id}/modelarts-training-job/resource-instances/filter", post(tag::filter))
        .route("/v2/{project_id}/modelarts-training-job/resource-instances/count", post(tag::count))
        .route("/v2/{project_id}/modelarts-training-job/{id}/tags", get(tag::show))
        .route("/v2/{project_id}/modelarts-training-job/{id}/tags/create", post(tag::create))
        .route("/v2/{project_id}/modelarts-training-job/{id}/tags/delete", delete(tag::delete))
        .route("/v2/{project_id}/training-jobs/{id}/events", get(event::list))
        .route("/v2/{project_id}/training-jobs/{id}/tasks", get(task::list))
        .route("/v2/{project_id}/training-jobs/{id}/tasks/{task}/logs/preview", get(task::preview))
        .route("/v2/{project_id}/training-jobs/{id}/tasks/{task}/logs/url", get(task::link))
        .route("/v2/{project_id}/training-jobs/{id}/metrics/{task}", get(task::metrics))
        .route("/v2/{project_id}/pools", get(pool::list))
        .route("/v2/{project_id}/pools/{name}", get(pool::show))
        .route(&format!("{LINKS}{{id}}/{{task}}"), get(task::follow_link))
        .merge(algorithm::routes())
        .merge(autosearch::routes())
        .merge(terminal::routes())
        .with_state(training)
}
