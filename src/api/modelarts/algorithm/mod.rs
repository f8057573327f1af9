//! Algorithms: job templates that are kept by the service. The operations, and a view on an algorithm.

mod parameters;

use futures_util::stream::Stream;
use http::Method;
use serde_json::Value;

use crate::api::modelarts::{items, text};
use crate::api::page::{Page, by_page};
use crate::api::{Api, Error, Request};

pub use parameters::{Allowed, Definition, ValueKind, check_parameters};

const ALGORITHMS: &str = "/v2/{project_id}/algorithms";
const ALGORITHM: &str = "/v2/{project_id}/algorithms/{algorithm_id}";
/// Most algorithms in one page of the list.
const LARGEST_PAGE: usize = 50;

/// A view on an algorithm's document.
#[derive(Clone, Debug)]
pub struct Algorithm(pub Value);

impl Algorithm {
    /// Id.
    pub fn id(&self) -> String {
        text(&self.0, "/metadata/id")
    }

    /// Name.
    pub fn name(&self) -> String {
        text(&self.0, "/metadata/name")
    }

    /// When it was created, in milliseconds since 1970.
    pub fn create_time(&self) -> Option<i64> {
        self.0.pointer("/metadata/create_time").and_then(Value::as_i64).filter(|&time| time > 0)
    }

    /// Engine of a preset image, or the custom image.
    pub fn engine(&self) -> String {
        let words = ["engine_version", "engine_id", "image_url"];
        let found = words.iter().map(|word| text(&self.0, &format!("/job_config/engine/{word}")));
        found.into_iter().find(|word| !word.is_empty()).unwrap_or_default()
    }

    /// The text at a JSON pointer such as `/job_config/code_dir`; empty when there is none.
    pub fn text(&self, pointer: &str) -> String {
        text(&self.0, pointer)
    }

    /// Members of one list of `job_config`, such as `inputs`.
    pub fn members(&self, list: &str) -> Vec<Value> {
        items(self.0["job_config"].clone(), list)
    }

    /// The hyperparameters it defines, in its order.
    pub fn definitions(&self) -> Vec<Definition> {
        self.members("parameters").iter().map(Definition::read).collect()
    }

    /// Whether a job may have hyperparameters that it does not define. The service says so only when it is not allowed.
    pub fn takes_other_parameters(&self) -> bool {
        self.0["job_config"]["parameters_customization"].as_bool().unwrap_or(true)
    }
}

/// Which algorithms to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those whose name contains this.
    pub name: Option<String>,
    /// Only those of this workspace.
    pub workspace_id: Option<String>,
}

/// Creates an algorithm from a document of the API's form.
///
/// # Errors
/// As [`Api::send`].
pub async fn create(api: &Api, document: Value) -> Result<Algorithm, Error> {
    let request = Request::new(Method::POST, ALGORITHMS, &[]).body(document);
    Ok(Algorithm(api.send(request).await?.document))
}

/// One algorithm with all details.
///
/// # Errors
/// As [`Api::send`].
pub async fn show(api: &Api, id: &str) -> Result<Algorithm, Error> {
    Ok(Algorithm(api.send(Request::new(Method::GET, ALGORITHM, &[id])).await?.document))
}

/// Replaces all of an algorithm but its name and id.
///
/// # Errors
/// As [`Api::send`].
pub async fn change(api: &Api, id: &str, document: Value) -> Result<Algorithm, Error> {
    let request = Request::new(Method::PUT, ALGORITHM, &[id]).body(document);
    Ok(Algorithm(api.send(request).await?.document))
}

/// Deletes an algorithm. Jobs that were made from it stay.
///
/// # Errors
/// As [`Api::send`].
pub async fn delete(api: &Api, id: &str) -> Result<(), Error> {
    api.send(Request::new(Method::DELETE, ALGORITHM, &[id])).await.map(drop)
}

/// The algorithms of the project, newest first.
pub fn list<'a>(api: &'a Api, filter: &'a Filter) -> impl Stream<Item = Result<Algorithm, Error>> + 'a {
    by_page(LARGEST_PAGE, move |page| async move {
        // Here the offset counts algorithms, not pages.
        let mut request = Request::new(Method::GET, ALGORITHMS, &[])
            .parameter("offset", page * LARGEST_PAGE as u64)
            .parameter("limit", LARGEST_PAGE)
            .parameter("sort_by", "create_time")
            .parameter("order", "desc");
        if let Some(name) = &filter.name {
            request = request.parameter("searches", name);
        }
        if let Some(id) = &filter.workspace_id {
            request = request.parameter("workspace_id", id);
        }
        let document = api.send(request).await?.document;
        let total = document["count"].as_u64().or_else(|| document["total"].as_u64());
        Ok(Page { items: items(document, "items").into_iter().map(Algorithm).collect(), total })
    })
}
