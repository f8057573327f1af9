//! Tags of training jobs.

use http::Method;
use serde_json::{Value, json};

use crate::api::modelarts::{items, text};
use crate::api::{Api, Error, Request};

const TAGS: &str = "/v2/{project_id}/modelarts-training-job/{training_job_id}/tags";
/// Most tags in one request.
const TAGS_A_REQUEST: usize = 10;

/// The tags of a job, and the document they came in.
///
/// # Errors
/// As [`Api::send`].
pub async fn list(api: &Api, id: &str) -> Result<(Vec<(String, String)>, Value), Error> {
    let document = api.send(Request::new(Method::GET, TAGS, &[id])).await?.document;
    let tags = items(document.clone(), "tags").iter().map(|tag| (text(tag, "/key"), text(tag, "/value"))).collect();
    Ok((tags, document))
}

/// Puts tags on a job; one whose key it has gets the new value.
///
/// # Errors
/// As [`Api::send`].
pub async fn add(api: &Api, id: &str, tags: &[(String, String)]) -> Result<(), Error> {
    for some in tags.chunks(TAGS_A_REQUEST) {
        let some: Value = some.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        let request = Request::new(Method::POST, &format!("{TAGS}/create"), &[id]).body(json!({"tags": some}));
        // The same tags once more change nothing.
        api.send(request.repeatable()).await?;
    }
    Ok(())
}

/// Takes tags from a job by their keys.
///
/// # Errors
/// As [`Api::send`].
pub async fn remove(api: &Api, id: &str, keys: &[String]) -> Result<(), Error> {
    for some in keys.chunks(TAGS_A_REQUEST) {
        let some: Value = some.iter().map(|key| json!({"key": key})).collect();
        let request = Request::new(Method::DELETE, &format!("{TAGS}/delete"), &[id]).body(json!({"tags": some}));
        api.send(request).await?;
    }
    Ok(())
}
