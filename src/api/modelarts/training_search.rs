//! Lists of training jobs: pages, filters, order.

use std::collections::HashSet;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;
use serde_json::{Value, json};

use crate::api::modelarts::items;
use crate::api::modelarts::training_job::TrainingJob;
use crate::api::{Api, Error, Request};

/// Most jobs in one page.
pub const LARGEST_PAGE: u32 = 50;
/// Pages that are asked for at once when all jobs are listed.
const PAGES_AT_ONCE: usize = 8;

/// What jobs can be sorted by.
pub const ORDERS: [&str; 4] = ["create_time", "start_time", "duration", "name"];

/// Which jobs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchRequest {
    /// Page, from 0.
    pub page: u64,
    /// Jobs a page, 1-50.
    pub limit: u32,
    /// Only jobs whose name contains this.
    pub name: Option<String>,
    /// Only jobs in one of these phases, if there are any.
    pub phases: Vec<String>,
    /// Only jobs of this user.
    pub user: Option<String>,
    /// Only jobs in this pool.
    pub pool: Option<String>,
    /// Only jobs created from then on, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Only jobs created until then, in milliseconds since 1970.
    pub until: Option<i64>,
    /// Only jobs with these tags: a key, and its value if that matters.
    pub tags: Vec<(String, Option<String>)>,
    /// One of [`ORDERS`]; `None` for the time of creation.
    pub sort_by: Option<String>,
    /// Smallest first.
    pub is_ascending: bool,
}

/// A page of jobs.
#[derive(Clone, Debug)]
pub struct JobPage {
    /// The document as it came.
    pub document: Value,
    /// The jobs.
    pub jobs: Vec<TrainingJob>,
    /// How many jobs match in all.
    pub count: Option<u64>,
}

impl SearchRequest {
    /// The body of a search.
    fn document(&self) -> Value {
        let filter = |key: &str, operator: &str, value: &[String]| json!({"key": key, "operator": operator, "value": value});
        let mut filters = Vec::new();
        for (key, operator, value) in
            [("name", "like", &self.name), ("user_name", "in", &self.user), ("pool_id", "in", &self.pool)]
        {
            filters.extend(value.iter().map(|value| filter(key, operator, std::slice::from_ref(value))));
        }
        if !self.phases.is_empty() {
            filters.push(filter("phase", "in", &self.phases));
        }
        if self.since.is_some() || self.until.is_some() {
            let (from, to) = (self.since.unwrap_or_default(), self.until.unwrap_or(i64::MAX));
            filters.push(filter("create_time", "between", &[from.to_string(), to.to_string()]));
        }
        let mut body = json!({
            "offset": self.page,
            "limit": self.limit,
            "sort_by": self.sort_by.as_deref().unwrap_or("create_time"),
            "order": if self.is_ascending { "asc" } else { "desc" },
        });
        if !filters.is_empty() {
            body["filters"] = Value::Array(filters);
        }
        if !self.tags.is_empty() {
            let tag = |(key, value): &(String, Option<String>)| json!({"key": key, "values": value.iter().collect::<Vec<_>>()});
            body["tags"] = self.tags.iter().map(tag).collect();
        }
        body
    }
}

/// Lists a page of jobs.
///
/// # Errors
/// As [`Api::send`].
pub async fn search(api: &Api, request: &SearchRequest) -> Result<JobPage, Error> {
    let request =
        Request::new(Method::POST, "/v2/{project_id}/training-job-searches", &[]).body(request.document()).repeatable();
    let document = api.send(request).await?.document;
    let jobs = items(&document, "items").into_iter().map(TrainingJob).collect();
    let count = document["count"].as_u64().or_else(|| document["total"].as_u64());
    Ok(JobPage { document, jobs, count })
}

/// Lists all jobs that match, whatever page the request names: the first page says how many there are, the others come side by
/// side. A job that moves to another page meanwhile, because one was created, is there once.
///
/// # Errors
/// As [`Api::send`].
pub async fn search_all(api: &Api, request: &SearchRequest) -> Result<Vec<TrainingJob>, Error> {
    let page = |page: u64| SearchRequest { page, limit: LARGEST_PAGE, ..request.clone() };
    let first = search(api, &page(0)).await?;
    let pages = first.count.unwrap_or_default().div_ceil(u64::from(LARGEST_PAGE));
    let mut jobs = first.jobs;
    let is_one_page = jobs.len() < LARGEST_PAGE as usize;
    if first.count.is_none() {
        // Without a count the end is where a page is not full.
        let mut next = 1;
        let mut is_last = is_one_page;
        while !is_last {
            let more = search(api, &page(next)).await?.jobs;
            is_last = more.len() < LARGEST_PAGE as usize;
            jobs.extend(more);
            next += 1;
        }
    } else if !is_one_page {
        let others = stream::iter(1..pages).map(|number| async move { search(api, &page(number)).await });
        let others: Vec<JobPage> = others.buffered(PAGES_AT_ONCE).try_collect().await?;
        jobs.extend(others.into_iter().flat_map(|page| page.jobs));
    }
    let mut seen = HashSet::new();
    jobs.retain(|job| seen.insert(job.id()));
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::SearchRequest;

    #[test]
    fn filters_are_what_the_service_knows() {
        let plain = SearchRequest { page: 1, limit: 5, ..SearchRequest::default() };
        assert_eq!(plain.document(), json!({"offset": 1, "limit": 5, "sort_by": "create_time", "order": "desc"}));
        let request = SearchRequest {
            name: Some("a".to_owned()),
            phases: vec!["Failed".to_owned(), "Abnormal".to_owned()],
            since: Some(5),
            tags: vec![("team".to_owned(), Some("x".to_owned())), ("mine".to_owned(), None)],
            sort_by: Some("name".to_owned()),
            is_ascending: true,
            ..plain
        };
        let document = request.document();
        let expected = json!([
            {"key": "name", "operator": "like", "value": ["a"]},
            {"key": "phase", "operator": "in", "value": ["Failed", "Abnormal"]},
            {"key": "create_time", "operator": "between", "value": ["5", "9223372036854775807"]},
        ]);
        assert_eq!(document["filters"], expected);
        assert_eq!(document["tags"], json!([{"key": "team", "values": ["x"]}, {"key": "mine", "values": []}]));
        assert_eq!((document["sort_by"].as_str(), document["order"].as_str()), (Some("name"), Some("asc")));
    }
}
