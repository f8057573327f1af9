//! Logs and events of a training job: what its tasks wrote, and what the service did.

use http::Method;
use serde_json::Value;

use crate::api::modelarts::{items, text};
use crate::api::{Api, Error, Request};

const JOB: &str = "/v2/{project_id}/training-jobs/{training_job_id}";

/// The newest part of a task's log.
#[derive(Clone, Debug)]
pub struct LogPreview {
    /// The document as it came.
    pub document: Value,
    /// Length of the whole log in bytes, of which the text is the end.
    pub full_size: u64,
}

impl LogPreview {
    /// Reads the document.
    pub fn new(document: Value) -> Self {
        let length = content(&document).len() as u64;
        let full_size = document["full_size"].as_u64().unwrap_or(length).max(length);
        Self { document, full_size }
    }

    /// The text.
    pub fn content(&self) -> &str {
        content(&self.document)
    }

    /// Where the text begins in the whole log, in bytes.
    pub fn start(&self) -> u64 {
        self.full_size.saturating_sub(self.content().len() as u64)
    }

    /// Whether the text is the log's bytes: not so when something in it was no UTF-8 and had to be replaced.
    pub fn is_exact(&self) -> bool {
        let length = self.content().len() as u64;
        self.document["current_size"].as_u64().is_none_or(|size| size == length)
    }
}

fn content(document: &Value) -> &str {
    document["content"].as_str().unwrap_or_default()
}

/// The newest part of a task's log.
///
/// # Errors
/// As [`Api::send`].
pub async fn preview(api: &Api, id: &str, task: &str) -> Result<LogPreview, Error> {
    let request = Request::new(Method::GET, &format!("{JOB}/tasks/{{task_id}}/logs/preview"), &[id, task]);
    Ok(LogPreview::new(api.send(request).await?.document))
}

/// A link to a task's whole log that is valid for a few minutes, to be fetched with [`Api::fetch`].
///
/// # Errors
/// As [`Api::send`].
pub async fn link(api: &Api, id: &str, task: &str) -> Result<String, Error> {
    let request = Request::new(Method::GET, &format!("{JOB}/tasks/{{task_id}}/logs/url"), &[id, task]);
    let document = api.send(request).await?.document;
    let link = text(&document, "/obs_url");
    if link.is_empty() {
        return Err(Error::Unreadable {
            host: api.endpoint().to_owned(),
            message: "it holds no link".to_owned(),
            request_id: None,
        });
    }
    Ok(link)
}

/// The newest events of a job, newest first, at most `most` (100) of them.
///
/// # Errors
/// As [`Api::send`].
pub async fn newest_events(api: &Api, id: &str, most: u32) -> Result<Vec<Value>, Error> {
    let request = Request::new(Method::GET, &format!("{JOB}/events"), &[id])
        .parameter("offset", 0)
        .parameter("limit", most.clamp(1, 100))
        .parameter("order", "desc");
    Ok(items(api.send(request).await?.document, "events"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::LogPreview;

    #[test]
    fn a_preview_is_the_end_of_the_log() {
        let preview = LogPreview::new(json!({"content": "äb", "current_size": 3, "full_size": 10}));
        assert_eq!((preview.start(), preview.content(), preview.is_exact()), (7, "äb", true));
        let replaced = LogPreview::new(json!({"content": "\u{fffd}b", "current_size": 2, "full_size": 10}));
        assert!(!replaced.is_exact());
        let bare = LogPreview::new(json!({"content": "ab"}));
        assert_eq!((bare.start(), bare.full_size, bare.is_exact()), (0, 2, true));
    }
}
