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
const PAGES_AT_ONCE: u64 = 8;

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
    /// The jobs.
    pub jobs: Vec<TrainingJob>,
    /// How many jobs match in all.
    pub count: Option<u64>,
}

impl SearchRequest {
    /// Whether a job is one of those that are searched, as far as its document says: for what cannot be taken back. Tags are not in
    /// the document.
    pub fn fits(&self, job: &TrainingJob) -> bool {
        let is = |pointer: &str, wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| job.text(pointer) == *wanted);
        let name = job.name().to_lowercase();
        let created = job.create_time();
        self.name.as_ref().is_none_or(|part| name.contains(&part.to_lowercase()))
            && (self.phases.is_empty() || self.phases.contains(&job.phase().to_string()))
            && is("/metadata/user_name", &self.user)
            && is("/spec/resource/pool_id", &self.pool)
            && self.since.is_none_or(|since| created.is_some_and(|created| created >= since))
            && self.until.is_none_or(|until| created.is_some_and(|created| created <= until))
    }

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
    let count = document["count"].as_u64().or_else(|| document["total"].as_u64());
    let jobs = items(document, "items").into_iter().map(TrainingJob).collect();
    Ok(JobPage { jobs, count })
}

/// Lists all jobs that match, whatever page the request names: the first page says how many there are, the others come side by
/// side. What comes decides over that number: the list ends where a page is empty or brings nothing new. A job that moves to
/// another page meanwhile, because one was created, is there once.
///
/// # Errors
/// As [`Api::send`].
pub async fn search_all(api: &Api, request: &SearchRequest) -> Result<Vec<TrainingJob>, Error> {
    let page = |page: u64| {
        let request = SearchRequest { page, limit: LARGEST_PAGE, ..request.clone() };
        async move { search(api, &request).await.map(|page| (page.jobs, page.count)) }
    };
    all_pages(page).await
}

async fn all_pages<F>(page: impl Fn(u64) -> F) -> Result<Vec<TrainingJob>, Error>
where
    F: Future<Output = Result<(Vec<TrainingJob>, Option<u64>), Error>>,
{
    let (mut jobs, count) = page(0).await?;
    // A service may give less a page than was asked for.
    let size = (jobs.len() as u64).max(1);
    let mut seen: HashSet<String> = HashSet::new();
    jobs.retain(|job| seen.insert(job.id()));
    let pages = count.map(|count| count.div_ceil(size));
    let mut next = 1;
    // Without a number the list goes on while pages are full.
    let mut is_over = jobs.is_empty() || pages.map_or(size < u64::from(LARGEST_PAGE), |pages| pages <= 1);
    while !is_over {
        let known = pages.map_or(1, |pages| pages.saturating_sub(next).clamp(1, PAGES_AT_ONCE));
        let others = stream::iter(next..next + known).map(&page).buffered(usize::try_from(PAGES_AT_ONCE).unwrap_or(1));
        let others: Vec<_> = others.try_collect().await?;
        next += known;
        let before = seen.len();
        let shortest = others.iter().map(|(jobs, _)| jobs.len() as u64).min().unwrap_or_default();
        jobs.extend(others.into_iter().flat_map(|(jobs, _)| jobs).filter(|job| seen.insert(job.id())));
        is_over = shortest == 0 || seen.len() == before || pages.map_or(shortest < size, |pages| next >= pages);
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use serde_json::json;

    use super::{SearchRequest, TrainingJob, all_pages};

    /// How many jobs come, and how many pages are asked for, of a list of so many of which a page has so many.
    async fn listed(total: u64, size: u64, count: Option<u64>) -> (usize, u64) {
        let asked = AtomicU64::new(0);
        let page = |page: u64| {
            asked.fetch_add(1, Ordering::Relaxed);
            let numbers = (page * size).min(total)..((page + 1) * size).min(total);
            let jobs = numbers.map(|number| TrainingJob(json!({"metadata": {"id": number.to_string()}}))).collect();
            async move { Ok((jobs, count)) }
        };
        (all_pages(page).await.unwrap().len(), asked.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_number_that_is_wrong_does_not_ask_for_ever() {
        assert_eq!(listed(0, 50, Some(0)).await, (0, 1));
        assert_eq!(listed(20, 50, Some(20)).await, (20, 1));
        assert_eq!(listed(120, 50, Some(120)).await, (120, 3));
        assert_eq!(listed(120, 50, None).await, (120, 3));
        // Less a page than was asked for.
        assert_eq!(listed(45, 20, Some(45)).await, (45, 3));
        // Far too many are promised.
        assert_eq!(listed(50, 50, Some(u64::MAX)).await, (50, 9));
        let again = |_| async { Ok((vec![TrainingJob(json!({"metadata": {"id": "1"}}))], Some(1 << 50))) };
        assert_eq!(all_pages(again).await.unwrap().len(), 1);
    }

    #[test]
    fn what_was_not_asked_for_is_known_by_its_document() {
        let job = TrainingJob(json!({
            "metadata": {"id": "j", "name": "Digits-2", "user_name": "u", "create_time": 50},
            "status": {"phase": "Failed"}, "spec": {"resource": {"pool_id": "p"}},
        }));
        let some = |text: &str| Some(text.to_owned());
        let all = SearchRequest {
            name: some("digits"),
            phases: vec!["Failed".to_owned()],
            user: some("u"),
            pool: some("p"),
            since: Some(50),
            until: Some(50),
            ..SearchRequest::default()
        };
        assert!(all.fits(&job) && SearchRequest::default().fits(&job));
        for other in [
            SearchRequest { name: some("letters"), ..all.clone() },
            SearchRequest { phases: vec!["Running".to_owned()], ..all.clone() },
            SearchRequest { user: some("v"), ..all.clone() },
            SearchRequest { pool: some("q"), ..all.clone() },
            SearchRequest { since: Some(51), ..all.clone() },
            SearchRequest { until: Some(49), ..all.clone() },
        ] {
            assert!(!other.fits(&job), "{other:?}");
        }
    }

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
