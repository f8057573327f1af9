//! `--paginate`: the ways in which the control planes cut lists into pages.

use serde_json::{Value, json};

use crate::api::{Api, Request};
use crate::error::{Error, Kind};

/// Most requests for one list; what needs more has stopped to move.
const MOST_PAGES: u64 = 100_000;

/// How a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paging {
    /// A number in this parameter, from `first` on, which counts records or pages.
    Number {
        /// Name of the parameter.
        parameter: &'static str,
        /// Its value on the first page.
        first: u64,
        /// Whether it counts pages.
        counts_pages: bool,
    },
    /// A token of the last answer, in this parameter.
    Token(&'static str),
}

/// Parts of paths of ModelArts whose lists count pages; all others count records.
const BY_PAGE: [&str; 12] = [
    "/training-job-searches",
    "/training-experiments",
    "/autosearch-trials",
    "/events",
    "/workspaces",
    "/authorizations",
    "/models",
    "/v1/{project_id}/services",
    "/datasets",
    "/versions",
    "/import-tasks",
    "/export-tasks",
];

impl Paging {
    /// The way of that path of a service.
    pub(super) fn of(service: &str, path: &str) -> Self {
        let number = |parameter, first, counts_pages| Self::Number { parameter, first, counts_pages };
        let has = |parts: &[&str]| parts.iter().any(|part| path.contains(part));
        match service {
            "iam" => number("page", 1, true),
            "swr" if has(&["/v3/manage"]) => Self::Token("marker"),
            "dli" if has(&["/batches", "/sessions"]) => number("from", 0, false),
            "dli" if has(&["/streaming", "/elastic-resource-pools"]) => number("offset", 0, false),
            "dli" if has(&["/jobs", "/templates"]) => number("current-page", 1, true),
            "modelarts" if has(&["/networks", "/resourceflavors", "/nodes"]) => Self::Token("continue"),
            "modelarts" => number("offset", 0, has(&BY_PAGE)),
            _ => number("offset", 0, false),
        }
    }

    /// Asks for page after page; the items of all of them. A request with a body carries the number there. `limit` is how many
    /// items a page the request asks for, if it does.
    ///
    /// # Errors
    /// The service refuses, or answers no list.
    pub(super) async fn all(
        self,
        api: &Api,
        request: Request,
        body: Option<Value>,
        limit: Option<usize>,
    ) -> Result<Vec<Value>, Error> {
        let mut items: Vec<Value> = Vec::new();
        let mut full = limit;
        let mut next: Option<Value> = None;
        for page in 1..=MOST_PAGES {
            let document = api.send(self.with(&request, body.as_ref(), next.as_ref())).await?.document;
            let Some(found) = list(&document) else {
                return Err(Error::new(Kind::Unsupported, "the answer holds no list, so that there are no pages")
                    .hint("leave out --paginate"));
            };
            items.extend(found.iter().cloned());
            let is_full = found.len() >= *full.get_or_insert(found.len()).max(&mut 1);
            next = match self {
                Self::Token(_) => token(&document),
                Self::Number { first, counts_pages, .. } => {
                    let number = if counts_pages { first + page } else { first + items.len() as u64 };
                    let is_more = is_full && goes_on(&document, items.len(), found.len(), limit.is_some());
                    is_more.then(|| json!(number))
                }
            };
            if next.is_none() {
                return Ok(items);
            }
        }
        Err(Error::new(Kind::Service, format!("the list has no end: {MOST_PAGES} pages were asked for")))
    }

    fn with(self, request: &Request, body: Option<&Value>, next: Option<&Value>) -> Request {
        let (Self::Token(name) | Self::Number { parameter: name, .. }) = self;
        let Some(next) = next else {
            return body.map_or_else(|| request.clone(), |body| request.clone().body(body.clone()).repeatable());
        };
        match body {
            Some(body) => {
                let mut body = body.clone();
                body[name] = next.clone();
                request.clone().body(body).repeatable()
            }
            None => request.clone().parameter(name, next.as_str().map_or_else(|| next.to_string(), str::to_owned)),
        }
    }
}

/// The list of an answer: the answer itself, the longest list in it, or a list one level below.
fn list(document: &Value) -> Option<&Vec<Value>> {
    let members = match document {
        Value::Array(items) => return Some(items),
        Value::Object(members) => members,
        _ => return None,
    };
    let inner = || members.values().filter_map(Value::as_object).flat_map(serde_json::Map::values).find_map(Value::as_array);
    members.values().filter_map(Value::as_array).max_by_key(|items| items.len()).or_else(inner)
}

/// Whether there is more after a full page: by a link, by what the answer says of the whole, or, where it says nothing, if pages were
/// asked for at all.
fn goes_on(document: &Value, seen: usize, length: usize, has_limit: bool) -> bool {
    const TOTALS: [&str; 5] = ["total_count", "total_number", "total", "sample_count", "job_count"];
    if let Some(links) = document.get("links") {
        return links.get("next").is_some_and(|next| !next.is_null());
    }
    // Some services count the page in `count`, others the whole.
    let count = document.get("count").and_then(Value::as_u64).filter(|count| *count > length as u64);
    match TOTALS.iter().find_map(|name| document.get(*name)?.as_u64()).or(count) {
        Some(total) => (seen as u64) < total,
        None => has_limit,
    }
}

fn token(document: &Value) -> Option<Value> {
    let places = ["/metadata/continue", "/nextMarker", "/next_marker", "/page_info/next_marker"];
    places
        .iter()
        .find_map(|place| document.pointer(place))
        .filter(|token| token.as_str().is_some_and(|text| !text.is_empty()))
        .cloned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Paging, goes_on, list, token};

    #[test]
    fn lists_are_found_wherever_they_stand() {
        assert_eq!(list(&json!([1])).map(Vec::len), Some(1));
        assert_eq!(list(&json!({"total": 2, "none": [], "items": [1, 2]})).map(Vec::len), Some(2));
        assert_eq!(list(&json!({"job_list": {"jobs": [1]}})).map(Vec::len), Some(1));
        assert_eq!(list(&json!({"a": 1})), None);
    }

    #[test]
    fn the_end_is_where_the_service_says() {
        assert!(goes_on(&json!({"total": 5}), 4, 2, false) && !goes_on(&json!({"total": 4}), 4, 2, false));
        assert!(goes_on(&json!({"count": 5}), 2, 2, false), "count is of the whole");
        assert!(goes_on(&json!({"count": 2}), 2, 2, true) && !goes_on(&json!({"count": 2}), 2, 2, false));
        assert!(!goes_on(&json!({"links": {"next": null}, "total": 9}), 1, 1, true));
        assert_eq!(token(&json!({"metadata": {"continue": "t"}})), Some(json!("t")));
        assert_eq!(token(&json!({"metadata": {"continue": ""}})), None);
    }

    #[test]
    fn each_service_counts_in_its_way() {
        let number = |parameter, first, counts_pages| Paging::Number { parameter, first, counts_pages };
        assert_eq!(Paging::of("modelarts", "/v2/{project_id}/training-job-searches"), number("offset", 0, true));
        assert_eq!(Paging::of("modelarts", "/v2/{project_id}/algorithms"), number("offset", 0, false));
        assert_eq!(Paging::of("modelarts", "/v1/{project_id}/networks"), Paging::Token("continue"));
        assert_eq!(Paging::of("iam", "/v3/projects"), number("page", 1, true));
    }
}
