//! Lists of training jobs: filters, order, pages.

use std::cmp::Ordering;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::training_job::body;
use crate::platform::modelarts::{Training, record, schedule};

/// Most jobs on one page.
const LARGEST_PAGE: u64 = 50;

/// The body of a search.
#[derive(Debug, Deserialize)]
struct Search {
    offset: Option<u64>,
    limit: Option<u64>,
    sort_by: Option<String>,
    order: Option<String>,
    group_by: Option<String>,
    workspace_id: Option<String>,
    filters: Option<Vec<Filter>>,
}

#[derive(Debug, Deserialize)]
struct Filter {
    key: String,
    operator: String,
    #[serde(default)]
    value: Vec<String>,
}

/// What a job is compared by.
#[derive(Clone, Copy, Debug)]
enum Key {
    Text(&'static str),
    Number(&'static str),
}

/// How a job is compared.
#[derive(Clone, Copy, Debug)]
enum Operator {
    In,
    Not,
    Like,
    Between,
}

/// `POST /v2/{project_id}/training-job-searches`. `offset` counts pages.
pub(super) async fn list(State(training): State<Arc<Training>>, bytes: Bytes) -> Result<Json<Value>, ApiError> {
    let wanted = if bytes.is_empty() { json!({}) } else { body(&bytes)? };
    let search = Search::deserialize(&wanted)
        .map_err(|error| ApiError::bad("ModelArts.2787", format!("Invalid JSON request body: {error}.")))?;
    let (offset, limit) = (search.offset.unwrap_or(0), search.limit.unwrap_or(LARGEST_PAGE));
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(ApiError::parameter("limit", "it is 1 to 50"));
    }
    let workspace = search.workspace_id.as_deref().filter(|id| !id.is_empty());
    let all = record::list(training.state())?;
    let total = all.len();
    let mut jobs = Vec::new();
    let filters = search.filters.unwrap_or_default();
    let filters = filters.iter().map(|filter| Ok((key(&filter.key)?, operator(filter)?, &filter.value[..])));
    let filters = filters.collect::<Result<Vec<_>, ApiError>>()?;
    for job in all {
        let here = workspace.is_none_or(|workspace| job["metadata"]["workspace_id"] == workspace);
        if here && filters.iter().all(|(key, operator, values)| matches(&job, *key, *operator, values)) {
            jobs.push(job);
        }
    }
    let sort_by = search.sort_by.filter(|name| !name.is_empty()).unwrap_or_else(|| "create_time".into());
    let order = search.order.filter(|order| !order.is_empty()).unwrap_or_else(|| "desc".into());
    sort(&mut jobs, &sort_by, &order)?;
    let count = jobs.len();
    let first = usize::try_from(offset.saturating_mul(limit)).unwrap_or(usize::MAX);
    let items: Vec<Value> = jobs.into_iter().skip(first).take(limit as usize).map(schedule::shown).collect();
    Ok(Json(json!({
        "total": total,
        "count": count,
        "limit": limit,
        "offset": offset,
        "sort_by": sort_by,
        "order": order,
        "group_by": search.group_by.unwrap_or_default(),
        "workspace_id": workspace.unwrap_or("0"),
        "items": items,
    })))
}

/// The fields that can be filtered by, in the spellings of the console and of the vendor's clients.
fn key(name: &str) -> Result<Key, ApiError> {
    Ok(match name {
        "name" | "job_name" => Key::Text("/metadata/name"),
        "id" | "job_id" => Key::Text("/metadata/id"),
        "user_name" => Key::Text("/metadata/user_name"),
        "description" => Key::Text("/metadata/description"),
        "phase" | "status" => Key::Text("/status/phase"),
        "kind" | "job_type" => Key::Text("/kind"),
        "pool_id" => Key::Text("/spec/resource/pool_id"),
        "flavor_id" => Key::Text("/spec/resource/flavor_id"),
        "engine_name" => Key::Text("/algorithm/engine/engine_name"),
        "create_time" => Key::Number("/metadata/create_time"),
        "start_time" => Key::Number("/status/start_time"),
        "duration" => Key::Number("/status/duration"),
        _ => return Err(ApiError::bad("ModelArts.2807", format!("Unsupported condition key ({name})."))),
    })
}

fn operator(filter: &Filter) -> Result<Operator, ApiError> {
    let number = |text: &String| text.parse::<f64>().is_ok();
    match filter.operator.as_str() {
        "in" => Ok(Operator::In),
        "not" => Ok(Operator::Not),
        "like" => Ok(Operator::Like),
        "between" if filter.value.len() == 2 && filter.value.iter().all(number) => Ok(Operator::Between),
        "between" => Err(ApiError::bad(
            "ModelArts.2809",
            format!("Unsupported condition value ({}): between takes two numbers.", filter.value.join(",")),
        )),
        other => Err(ApiError::bad("ModelArts.2808", format!("Unsupported condition operator ({other})."))),
    }
}

fn matches(job: &Value, key: Key, operator: Operator, values: &[String]) -> bool {
    let (Key::Text(path) | Key::Number(path)) = key;
    let field = job.pointer(path).unwrap_or(&Value::Null);
    let text = field.as_str().map_or_else(|| field.to_string(), str::to_owned);
    match operator {
        Operator::In => values.contains(&text),
        Operator::Not => !values.contains(&text),
        Operator::Like => values.iter().any(|value| text.to_lowercase().contains(&value.to_lowercase())),
        Operator::Between => {
            let bound = |index: usize| values.get(index).and_then(|value| value.parse::<f64>().ok());
            let number = field.as_f64();
            number.zip(bound(0)).zip(bound(1)).is_some_and(|((number, low), high)| low <= number && number <= high)
        }
    }
}

fn sort(jobs: &mut [Value], by: &str, order: &str) -> Result<(), ApiError> {
    let key = key(by).map_err(|_| ApiError::bad("ModelArts.2790", format!("Unsupported sorting item ({by}).")))?;
    let compare = |left: &Value, right: &Value| -> Ordering {
        let (Key::Text(path) | Key::Number(path)) = key;
        let (left, right) = (left.pointer(path), right.pointer(path));
        match key {
            Key::Text(_) => left.and_then(Value::as_str).cmp(&right.and_then(Value::as_str)),
            Key::Number(_) => left.and_then(Value::as_i64).cmp(&right.and_then(Value::as_i64)),
        }
    };
    match order {
        "asc" => jobs.sort_by(compare),
        // Reversed before and after: jobs that compare as equal stay newest first.
        "desc" => {
            jobs.sort_by(compare);
            jobs.reverse();
        }
        _ => return Err(ApiError::parameter("order", "it is asc or desc")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Filter, key, matches, operator, sort};

    #[test]
    fn filters_compare_text_and_numbers() {
        let job = json!({"metadata": {"name": "Auto-1", "create_time": 500}, "status": {"phase": "Failed"}});
        for (name, kind, values, expected) in [
            ("name", "like", vec!["auto"], true),
            ("name", "in", vec!["auto-1"], false),
            ("phase", "in", vec!["Running", "Failed"], true),
            ("phase", "not", vec!["Failed"], false),
            ("create_time", "between", vec!["400", "500"], true),
            ("create_time", "between", vec!["501", "900"], false),
            ("start_time", "between", vec!["0", "900"], false),
        ] {
            let value: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
            let filter = Filter { key: name.into(), operator: kind.into(), value: value.clone() };
            assert_eq!(
                matches(&job, key(name).unwrap(), operator(&filter).unwrap(), &value),
                expected,
                "{name} {kind} {values:?}"
            );
        }
        assert_eq!(key("colour").unwrap_err().code, "ModelArts.2807");
        let odd = |operator: &str| Filter { key: "name".into(), operator: operator.into(), value: vec!["x".into()] };
        assert_eq!(operator(&odd("about")).unwrap_err().code, "ModelArts.2808");
        assert_eq!(operator(&odd("between")).unwrap_err().code, "ModelArts.2809");
    }

    #[test]
    fn jobs_are_sorted_by_a_known_field() {
        let job = |name: &str, time: i64| json!({"metadata": {"name": name, "create_time": time}});
        let mut jobs = [job("b", 1), job("a", 3), job("c", 2)];
        sort(&mut jobs, "create_time", "desc").unwrap();
        assert_eq!(jobs.each_ref().map(|job| job["metadata"]["name"].as_str().unwrap()), ["a", "c", "b"]);
        sort(&mut jobs, "name", "asc").unwrap();
        assert_eq!(jobs.each_ref().map(|job| job["metadata"]["name"].as_str().unwrap()), ["a", "b", "c"]);
        assert_eq!(sort(&mut jobs, "size", "asc").unwrap_err().code, "ModelArts.2790");
    }
}
