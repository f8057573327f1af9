//! Tags of a job: pairs of key and value, kept in its document out of sight, as the API shows them only on their own routes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::restart::HIDDEN;
use crate::platform::modelarts::training_job::body;
use crate::platform::modelarts::{Training, record};

/// Most tags of one job, and of one request.
const MOST: usize = 20;
const MOST_AT_ONCE: usize = 10;

/// Longest key and value, in characters.
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 255;

/// The tags in a job's document.
pub(super) fn of(job: &Value) -> BTreeMap<String, String> {
    let tags = job[HIDDEN]["tags"].as_object().into_iter().flatten();
    tags.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// `POST …/modelarts-training-job/{id}/tags/create`: adds tags, or gives those that are there another value.
pub(super) async fn create(
    State(training): State<Arc<Training>>,
    Path((_, id)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<StatusCode, ApiError> {
    let added = read(&bytes)?;
    if added.is_empty() {
        return Err(ApiError::parameter("tags", "it holds 1 to 10 tags"));
    }
    record::change::<ApiError>(training.state(), &id, |job| {
        let mut tags = of(job);
        tags.extend(added.into_iter().map(|(key, value)| (key, value.unwrap_or_default())));
        if tags.len() > MOST {
            return Err(ApiError::parameter("tags", "a job has at most 20 tags"));
        }
        job[HIDDEN]["tags"] = json!(tags);
        Ok(Vec::new())
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET …/modelarts-training-job/{id}/tags`.
pub(super) async fn show(
    State(training): State<Arc<Training>>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({"tags": shown(&record::get(training.state(), &id)?)})))
}

/// `DELETE …/modelarts-training-job/{id}/tags/delete`. A tag with a value goes only when it has that value; one that is not there
/// is no error.
pub(super) async fn delete(
    State(training): State<Arc<Training>>,
    Path((_, id)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<StatusCode, ApiError> {
    let removed = read(&bytes)?;
    record::change::<ApiError>(training.state(), &id, |job| {
        let mut tags = of(job);
        tags.retain(|key, value| {
            let named = |wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| wanted.is_empty() || wanted == value);
            !removed.get(key).is_some_and(named)
        });
        job[HIDDEN]["tags"] = json!(tags);
        Ok(Vec::new())
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET …/modelarts-training-job/tags`: the tags of all jobs, each key with its values.
pub(super) async fn list(State(training): State<Arc<Training>>) -> Result<Json<Value>, ApiError> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (key, value) in record::list(training.state())?.iter().flat_map(of) {
        all.entry(key).or_default().insert(value);
    }
    let tags: Vec<Value> = all.into_iter().map(|(key, values)| json!({"key": key, "values": values})).collect();
    Ok(Json(json!({"tags": tags})))
}

/// What jobs are looked for by their tags: all keys must be there, each with one of its values if it has any.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    tags: Vec<WantedTag>,
    #[serde(default)]
    matches: Vec<WantedText>,
    workspace_id: Option<String>,
    #[serde(default)]
    without_any_tag: bool,
}

#[derive(Debug, Deserialize)]
struct WantedTag {
    key: String,
    #[serde(default)]
    values: Vec<String>,
}

/// `resource_name` is the only key: part of the job's name.
#[derive(Debug, Deserialize)]
struct WantedText {
    key: String,
    value: String,
}

/// The page of such a list; `offset` counts jobs.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    offset: Option<usize>,
    limit: Option<usize>,
}

impl Wanted {
    fn read(bytes: &Bytes) -> Result<Self, ApiError> {
        let wanted = Self::deserialize(body(bytes)?)
            .map_err(|error| ApiError::bad("ModelArts.2787", format!("Invalid JSON request body: {error}.")))?;
        match wanted.matches.iter().find(|wanted| wanted.key != "resource_name") {
            Some(_) => Err(ApiError::parameter("matches.key", "it is resource_name")),
            None => Ok(wanted),
        }
    }

    fn matches(&self, job: &Value) -> bool {
        let tags = of(job);
        let name = job["metadata"]["name"].as_str().unwrap_or_default().to_lowercase();
        let tagged = |wanted: &WantedTag| {
            tags.get(&wanted.key).is_some_and(|value| wanted.values.is_empty() || wanted.values.contains(value))
        };
        self.tags.iter().all(tagged)
            && (!self.without_any_tag || tags.is_empty())
            && self.matches.iter().all(|wanted| name.contains(&wanted.value.to_lowercase()))
            && self.workspace_id.as_deref().is_none_or(|id| id.is_empty() || job["metadata"]["workspace_id"] == id)
    }
}

/// `POST …/modelarts-training-job/resource-instances/filter`: the jobs with some tags, newest first.
pub(super) async fn filter(
    State(training): State<Arc<Training>>,
    Query(page): Query<Page>,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    let wanted = Wanted::read(&bytes)?;
    let found: Vec<Value> = record::list(training.state())?.into_iter().rev().filter(|job| wanted.matches(job)).collect();
    let shown = found.iter().skip(page.offset.unwrap_or(0)).take(page.limit.unwrap_or(1000)).map(|job| {
        json!({
            "resource_id": job["metadata"]["id"], "resource_name": job["metadata"]["name"],
            "workspace_id": job["metadata"]["workspace_id"], "resource_detail": {}, "tags": shown(job),
        })
    });
    Ok(Json(json!({"resources": shown.collect::<Vec<_>>(), "total_count": found.len()})))
}

/// `POST …/modelarts-training-job/resource-instances/count`.
pub(super) async fn count(State(training): State<Arc<Training>>, bytes: Bytes) -> Result<Json<Value>, ApiError> {
    let wanted = Wanted::read(&bytes)?;
    let count = record::list(training.state())?.iter().filter(|job| wanted.matches(job)).count();
    Ok(Json(json!({"total_count": count})))
}

fn shown(job: &Value) -> Vec<Value> {
    of(job).iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

fn read(bytes: &Bytes) -> Result<BTreeMap<String, Option<String>>, ApiError> {
    let wanted = body(bytes)?;
    let Some(tags) = wanted["tags"].as_array().filter(|tags| tags.len() <= MOST_AT_ONCE) else {
        return Err(ApiError::parameter("tags", "it is a list of at most 10 tags"));
    };
    let mut read = BTreeMap::new();
    for tag in tags {
        let key = tag["key"].as_str().unwrap_or_default();
        let odd = |character: char| character.is_control() || "=*<>\\,|/".contains(character);
        if key.is_empty() || key.chars().count() > LONGEST_KEY || key.trim() != key || key.contains(odd) {
            return Err(ApiError::parameter("tags.key", "it is 1 to 128 characters without =*<>\\,|/ and outer spaces"));
        }
        let value = tag["value"].as_str();
        if value.is_some_and(|value| value.chars().count() > LONGEST_VALUE || value.contains(char::is_control)) {
            return Err(ApiError::parameter("tags.value", "it is at most 255 characters"));
        }
        read.insert(key.to_owned(), value.map(str::to_owned));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use serde_json::{Value, json};

    use super::{Wanted, read};

    #[test]
    fn jobs_are_found_by_their_tags_and_names() {
        let job = json!({
            "metadata": {"name": "night run", "workspace_id": "0"},
            "platform": {"tags": {"team": "vision", "empty": ""}},
        });
        let plain = json!({"metadata": {"name": "other", "workspace_id": "0"}});
        let found = |wanted: Value| {
            let wanted = serde_json::from_value::<Wanted>(wanted).unwrap();
            (wanted.matches(&job), wanted.matches(&plain))
        };
        assert_eq!(found(json!({})), (true, true));
        assert_eq!(found(json!({"tags": [{"key": "team", "values": []}]})), (true, false));
        let both = json!({"tags": [{"key": "team", "values": ["speech", "vision"]}, {"key": "empty", "values": [""]}]});
        assert!(found(both).0);
        assert!(!found(json!({"tags": [{"key": "team", "values": ["vision"]}, {"key": "none"}]})).0);
        assert_eq!(found(json!({"without_any_tag": true})), (false, true));
        assert_eq!(found(json!({"matches": [{"key": "resource_name", "value": "Night"}]})), (true, false));
        assert_eq!(found(json!({"workspace_id": "1"})), (false, false));
    }

    #[test]
    fn tags_are_checked() {
        let of = |tags: Value| read(&Bytes::from(json!({"tags": tags}).to_string()));
        assert_eq!(of(json!([{"key": "a"}, {"key": "b", "value": ""}])).unwrap().len(), 2);
        for wrong in [
            json!([{"key": ""}]),
            json!([{"key": "a=b"}]),
            json!([{"key": " a"}]),
            json!("a"),
            json!(vec![json!({"key": "a"}); 11]),
        ] {
            assert!(of(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
