//! Lists of training jobs: filters, order, pages. The database does the work, so that one page of many jobs costs one page.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use rusqlite::types::Value as Parameter;
use rusqlite::{Connection, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::record::Phase;
use crate::platform::modelarts::training_job::body;
use crate::platform::modelarts::{Training, restart, schedule};
use crate::platform::state;

/// Most jobs on one page.
const LARGEST_PAGE: u64 = 50;

/// The documents of jobs.
const DOCUMENT: &str = "SELECT body FROM document WHERE kind = 'training-job' AND document.id = training_job.id";

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
    tags: Option<Vec<Tag>>,
}

/// A tag that a job must have, with one of the values if there are any.
#[derive(Debug, Deserialize)]
struct Tag {
    key: String,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Filter {
    key: String,
    operator: String,
    #[serde(default)]
    value: Vec<String>,
}

/// The answer: a page of jobs. Documents that nothing is changed of go through as text: reading and writing them took most of the
/// processor time of a list.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    total: i64,
    count: i64,
    limit: u64,
    offset: u64,
    sort_by: String,
    order: String,
    group_by: String,
    workspace_id: String,
    items: Vec<Box<RawValue>>,
}

/// A condition on jobs, as SQL with its parameters.
#[derive(Debug, Default)]
struct Condition {
    text: String,
    parameters: Vec<Parameter>,
}

/// `POST /v2/{project_id}/training-job-searches`. `offset` counts pages.
pub(super) async fn list(State(training): State<Arc<Training>>, bytes: Bytes) -> Result<Json<Page>, ApiError> {
    let wanted = if bytes.is_empty() { json!({}) } else { body(&bytes)? };
    let search = Search::deserialize(&wanted)
        .map_err(|error| ApiError::bad("ModelArts.2787", format!("Invalid JSON request body: {error}.")))?;
    let (offset, limit) = (search.offset.unwrap_or(0), search.limit.unwrap_or(LARGEST_PAGE));
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(ApiError::parameter("limit", "it is 1 to 50"));
    }
    let mut condition = Condition::default();
    let workspace = search.workspace_id.as_deref().filter(|id| !id.is_empty());
    if let Some(workspace) = workspace {
        condition.add(&format!("{} = ?", field_of("$.metadata.workspace_id")), [workspace.to_owned().into()]);
    }
    for filter in search.filters.iter().flatten() {
        condition.filter(filter)?;
    }
    for tag in search.tags.iter().flatten() {
        let values = Parameter::Text(json!(tag.values).to_string());
        condition.add(&WITH_THIS_TAG.replace("TAGS", DOCUMENT), [tag.key.clone().into(), values.clone(), values]);
    }
    let sort_by = search.sort_by.filter(|name| !name.is_empty()).unwrap_or_else(|| "create_time".into());
    let order = search.order.filter(|order| !order.is_empty()).unwrap_or_else(|| "desc".into());
    let sorting = sorting(&sort_by, &order)?;
    let first = offset.saturating_mul(limit);
    let found = training.state().read(|connection| find(connection, &condition, &sorting, first, limit))?;
    Ok(Json(Page {
        total: found.total,
        count: found.count,
        limit,
        offset,
        sort_by,
        order,
        group_by: search.group_by.unwrap_or_default(),
        workspace_id: workspace.unwrap_or("0").to_owned(),
        items: found
            .items
            .into_iter()
            .map(|item| item.shown(&training))
            .collect::<Result<_, _>>()
            .map_err(|error| ApiError::local(&error.to_string()))?,
    }))
}

/// A page of jobs, how many match, and how many there are.
#[derive(Debug)]
struct Found {
    items: Vec<Item>,
    count: i64,
    total: i64,
}

/// A job's document without what the platform keeps for itself.
#[derive(Debug)]
struct Item {
    phase: String,
    document: String,
}

impl Item {
    /// As [`schedule::shown`].
    fn shown(self, training: &Training) -> Result<Box<RawValue>, serde_json::Error> {
        if Phase::named(&self.phase).is_some_and(Phase::is_under_way) {
            return to_raw_value(&schedule::shown(training, serde_json::from_str(&self.document)?));
        }
        RawValue::from_string(self.document)
    }
}

fn find(connection: &Connection, condition: &Condition, sorting: &str, first: u64, limit: u64) -> Result<Found, state::Error> {
    let total = connection.prepare_cached("SELECT count(*) FROM training_job")?.query_row([], |row| row.get(0))?;
    let count = match condition.text.is_empty() {
        true => total,
        false => connection
            .prepare_cached(&format!("SELECT count(*) {}", condition.matching()))?
            .query_row(params_from_iter(&condition.parameters), |row| row.get(0))?,
    };
    let page = [limit, first].map(|number| Parameter::Integer(i64::try_from(number).unwrap_or(i64::MAX)));
    let items = connection
        .prepare_cached(&page_query(condition, sorting))?
        .query_map(params_from_iter(condition.parameters.iter().chain(&page)), |row| {
            Ok(Item { phase: row.get(0)?, document: row.get(1)? })
        })?
        .collect::<Result<_, _>>()?;
    Ok(Found { items, count, total })
}

/// A page of documents. Those of the pages before are not read.
fn page_query(condition: &Condition, sorting: &str) -> String {
    let page = format!("SELECT id, phase {} ORDER BY {sorting} LIMIT ? OFFSET ?", condition.matching());
    let hidden = restart::HIDDEN;
    format!("SELECT phase, json_remove(({DOCUMENT}), '$.{hidden}', '$.spec.auto_stop') FROM ({page}) AS training_job")
}

/// The fields that can be filtered and sorted by, in the spellings of the console and of the vendor's clients.
fn field(name: &str) -> Option<String> {
    Some(match name {
        "name" | "job_name" => "name".to_owned(),
        "id" | "job_id" => "id".to_owned(),
        "user_name" => "user_name".to_owned(),
        "description" => field_of("$.metadata.description"),
        "phase" | "status" => "phase".to_owned(),
        "kind" | "job_type" => field_of("$.kind"),
        "pool_id" => "pool_id".to_owned(),
        "flavor_id" => field_of("$.spec.resource.flavor_id"),
        "engine_name" => field_of("$.algorithm.engine.engine_name"),
        "algorithm_id" => field_of("$.algorithm.id"),
        "algorithm_name" => field_of("$.algorithm.name"),
        "create_time" => "created".to_owned(),
        "start_time" => number_of("$.status.start_time"),
        "duration" => number_of("$.status.duration"),
        _ => return None,
    })
}

/// What the list of jobs does not have is read from the documents; empty when a job has none.
fn field_of(path: &str) -> String {
    format!("coalesce({}, '')", number_of(path))
}

fn number_of(path: &str) -> String {
    format!("json_extract(({DOCUMENT}), '{path}')")
}

impl Condition {
    /// The jobs that meet it, as the part of a query that begins with `FROM`.
    fn matching(&self) -> String {
        format!("FROM training_job WHERE TRUE{}", self.text)
    }

    /// Adds another condition that must hold, too.
    fn add(&mut self, text: &str, parameters: impl IntoIterator<Item = Parameter>) {
        self.text.push_str(" AND ");
        self.text.push_str(text);
        self.parameters.extend(parameters);
    }

    fn filter(&mut self, filter: &Filter) -> Result<(), ApiError> {
        let values = || [Parameter::Text(json!(filter.value).to_string())];
        if ["tag", "tags"].contains(&filter.key.as_str()) {
            return match filter.operator.as_str() {
                "in" => {
                    self.add(&WITH_TAG.replace("TAGS", DOCUMENT), values());
                    Ok(())
                }
                other => Err(ApiError::bad("ModelArts.2808", format!("Unsupported condition operator ({other}) for tags."))),
            };
        }
        let unknown = || ApiError::bad("ModelArts.2807", format!("Unsupported condition key ({}).", filter.key));
        let field = field(&filter.key).ok_or_else(unknown)?;
        let any = "(SELECT value FROM json_each(?))";
        match filter.operator.as_str() {
            "in" if field == "created" || field.contains("_time") || field.contains("duration") => {
                self.add(&format!("CAST({field} AS TEXT) IN {any}"), values());
            }
            "in" => self.add(&format!("{field} IN {any}"), values()),
            "not" => self.add(&format!("CAST({field} AS TEXT) NOT IN {any}"), values()),
            "like" => {
                let any = vec![format!("instr(lower({field}), lower(?)) > 0"); filter.value.len()].join(" OR ");
                let text = if any.is_empty() { "FALSE".to_owned() } else { format!("({any})") };
                self.add(&text, filter.value.iter().cloned().map(Parameter::Text));
            }
            "between" => {
                let bounds: Option<Vec<f64>> = filter.value.iter().map(|text| text.parse().ok()).collect();
                let Some([low, high]) = bounds.as_deref() else {
                    let text = format!("Unsupported condition value ({}): between takes two numbers.", filter.value.join(","));
                    return Err(ApiError::bad("ModelArts.2809", text));
                };
                self.add(&format!("{field} BETWEEN ? AND ?"), [Parameter::Real(*low), Parameter::Real(*high)]);
            }
            other => return Err(ApiError::bad("ModelArts.2808", format!("Unsupported condition operator ({other})."))),
        }
        Ok(())
    }
}

/// Jobs with one of the tags: a key, or `key=value`. `TAGS` stands for the document.
const WITH_TAG: &str = "EXISTS (SELECT 1 FROM json_each((TAGS), '$.platform.tags') AS tag, json_each(?) AS wanted
    WHERE wanted.value = tag.key OR wanted.value = tag.key || '=' || tag.value)";

/// Jobs with a tag, and one of the values if there are any.
const WITH_THIS_TAG: &str = "EXISTS (SELECT 1 FROM json_each((TAGS), '$.platform.tags') AS tag
    WHERE tag.key = ? AND (json_array_length(?) = 0 OR tag.value IN (SELECT value FROM json_each(?))))";

/// The order of a list. Jobs that compare as equal stay in the order of their creation, or newest first.
fn sorting(by: &str, order: &str) -> Result<String, ApiError> {
    let field = field(by).ok_or_else(|| ApiError::bad("ModelArts.2790", format!("Unsupported sorting item ({by}).")))?;
    let direction = match order {
        "asc" => "ASC",
        "desc" => "DESC",
        _ => return Err(ApiError::parameter("order", "it is asc or desc")),
    };
    let field = if field == "created" { String::new() } else { format!("{field} {direction}, ") };
    Ok(format!("{field}created {direction}, id {direction}"))
}

#[cfg(test)]
mod tests {
    use rusqlite::params_from_iter;
    use serde_json::{Value, json};

    use super::{Condition, Filter, Parameter, find, page_query, sorting};
    use crate::platform::modelarts::record::{self, Event};
    use crate::platform::state::State;

    fn state(jobs: &[Value]) -> State {
        let state = State::in_memory().unwrap();
        record::prepare(&state).unwrap();
        for (index, job) in jobs.iter().enumerate() {
            record::create(&state, &format!("id-{index}"), job, &Event::info("made")).unwrap();
        }
        state
    }

    fn names(state: &State, filters: &[Filter], by: &str, order: &str, first: u64) -> (Vec<String>, i64, i64) {
        let mut condition = Condition::default();
        for filter in filters {
            condition.filter(filter).unwrap();
        }
        let sorting = sorting(by, order).unwrap();
        let found = state.read(|connection| find(connection, &condition, &sorting, first, 10)).unwrap();
        let documents = found.items.iter().map(|item| serde_json::from_str::<Value>(&item.document).unwrap());
        let names = documents.map(|job| job["metadata"]["name"].as_str().unwrap().to_owned()).collect();
        (names, found.count, found.total)
    }

    fn filter(key: &str, operator: &str, value: &[&str]) -> Filter {
        let value = value.iter().map(|&value| value.to_owned()).collect();
        Filter { key: key.into(), operator: operator.into(), value }
    }

    #[test]
    fn filters_compare_text_numbers_and_tags() {
        let job = json!({
            "metadata": {"name": "Auto-1", "create_time": 500}, "status": {"phase": "Failed", "duration": 70},
            "platform": {"tags": {"team": "vision"}},
        });
        let state = state(&[job]);
        for (key, operator, value, expected) in [
            ("name", "like", &["auto"][..], 1),
            ("name", "in", &["auto-1"], 0),
            ("job_id", "in", &["id-0"], 1),
            ("phase", "in", &["Running", "Failed"], 1),
            ("phase", "not", &["Failed"], 0),
            ("pool_id", "not", &["x"], 1),
            ("create_time", "between", &["400", "500"], 1),
            ("create_time", "between", &["501", "900"], 0),
            ("create_time", "in", &["500"], 1),
            ("duration", "between", &["70", "70.5"], 1),
            ("start_time", "between", &["0", "900"], 0),
            ("tags", "in", &["other", "team=vision"], 1),
            ("tags", "in", &["team"], 1),
            ("tags", "in", &["team=speech"], 0),
        ] {
            let count = names(&state, &[filter(key, operator, value)], "create_time", "desc", 0).1;
            assert_eq!(count, expected, "{key} {operator} {value:?}");
        }
        let refused = |filter: Filter| Condition::default().filter(&filter).unwrap_err().code;
        assert_eq!(refused(filter("colour", "in", &["x"])), "ModelArts.2807");
        assert_eq!(refused(filter("name", "about", &["x"])), "ModelArts.2808");
        assert_eq!(refused(filter("name", "between", &["x"])), "ModelArts.2809");
    }

    #[test]
    fn what_the_platform_keeps_for_itself_is_not_listed() {
        let job = json!({
            "metadata": {"name": "n"}, "status": {"phase": "Failed"},
            "spec": {"auto_stop": {"duration": 1}, "runtime_type": "\u{e9}"}, "platform": {"restarts": 1}, "large": 1.50,
        });
        let state = state(std::slice::from_ref(&job));
        let newest = sorting("create_time", "desc").unwrap();
        let found = state.read(|connection| find(connection, &Condition::default(), &newest, 0, 10)).unwrap();
        assert_eq!(found.items[0].phase, "Failed");
        let listed: Value = serde_json::from_str(&found.items[0].document).unwrap();
        let mut expected = job;
        expected.as_object_mut().unwrap().remove("platform");
        expected["spec"].as_object_mut().unwrap().remove("auto_stop");
        assert_eq!(listed, expected);
    }

    #[test]
    fn jobs_are_sorted_by_a_known_field_and_paged() {
        let job = |name: &str, time: i64, phase: &str| json!({"metadata": {"name": name, "create_time": time}, "status": {"phase": phase}});
        let state = state(&[job("b", 1, "Failed"), job("a", 3, "Failed"), job("c", 2, "Running")]);
        assert_eq!(names(&state, &[], "create_time", "desc", 0), (vec!["a".into(), "c".into(), "b".into()], 3, 3));
        assert_eq!(names(&state, &[], "name", "asc", 1).0, ["b", "c"]);
        assert_eq!(
            names(&state, &[filter("phase", "in", &["Failed"])], "phase", "desc", 0),
            (vec!["a".into(), "b".into()], 2, 3)
        );
        assert_eq!(sorting("size", "asc").unwrap_err().code, "ModelArts.2790");
        assert_eq!(sorting("name", "up").unwrap_err().code, "ModelArts.2788");
    }

    #[test]
    fn a_page_needs_no_look_at_the_documents_of_others() {
        let state = state(&[]);
        let newest = sorting("create_time", "desc").unwrap();
        let chosen = ["phase in", "name like", "user_name in", "pool_id not", "create_time between"];
        for (key, operator) in chosen.iter().filter_map(|words| words.split_once(' ')) {
            let mut condition = Condition::default();
            condition.filter(&filter("name", "like", &["a", "b"])).unwrap();
            condition.filter(&filter(key, operator, &["1", "2"])).unwrap();
            let query = page_query(&condition, &newest);
            let count = format!("SELECT count(*) {}", condition.matching());
            for query in [query, count, page_query(&Condition::default(), &newest)] {
                let steps = state.read(|connection| -> Result<Vec<String>, rusqlite::Error> {
                    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}"))?;
                    let parameters = vec![Parameter::Integer(50); statement.parameter_count()];
                    statement.query_map(params_from_iter(parameters), |row| row.get(3))?.collect()
                });
                let steps = steps.unwrap().join("; ");
                assert!(steps.contains("COVERING INDEX training_job_by_age") && !steps.contains("B-TREE"), "{query}: {steps}");
                let documents = usize::from(query.contains("LIMIT"));
                assert_eq!(steps.matches(" document ").count(), documents, "once for each job of the page: {query}: {steps}");
            }
        }
    }
}
