//! Dedicated resource pools.

use http::Method;
use serde_json::Value;

use crate::api::modelarts::{items, text};
use crate::api::{Api, Error, Request};

/// A view on a pool's document.
#[derive(Clone, Debug)]
pub struct Pool(pub Value);

impl Pool {
    /// Id, by which jobs name the pool.
    pub fn id(&self) -> String {
        text(&self.0, "/metadata/name")
    }

    /// Name for people.
    pub fn name(&self) -> String {
        let labels = self.0.pointer("/metadata/labels");
        let name = labels.and_then(|labels| labels.get("os.modelarts/name")).and_then(Value::as_str);
        name.map_or_else(|| self.id(), str::to_owned)
    }

    /// Phase, such as `Running`.
    pub fn phase(&self) -> String {
        text(&self.0, "/status/phase")
    }

    /// What the service says about the phase.
    pub fn message(&self) -> String {
        text(&self.0, "/status/message")
    }

    /// Type, such as `Dedicate`.
    pub fn kind(&self) -> String {
        text(&self.0, "/spec/type")
    }

    /// What the pool may be used for, such as `Train`.
    pub fn scope(&self) -> Vec<String> {
        let scope = self.0.pointer("/spec/scope").and_then(Value::as_array);
        scope.into_iter().flatten().filter_map(|scope| scope.as_str().map(str::to_owned)).collect()
    }

    /// Node flavors and how many nodes of each.
    pub fn resources(&self) -> Vec<(String, u64)> {
        let resources = self.0.pointer("/spec/resources").and_then(Value::as_array);
        resources
            .into_iter()
            .flatten()
            .map(|resource| (text(resource, "/flavor"), resource["count"].as_u64().unwrap_or_default()))
            .collect()
    }

    /// Whether training jobs may run on it; a pool that names no scope takes all.
    pub fn takes_training(&self) -> bool {
        let scope = self.scope();
        scope.is_empty() || scope.iter().any(|scope| scope.eq_ignore_ascii_case("train"))
    }
}

/// All pools of the project, and the document they came in.
///
/// # Errors
/// As [`Api::send`].
pub async fn list(api: &Api) -> Result<Vec<Pool>, Error> {
    let reply = api.send(Request::new(Method::GET, "/v2/{project_id}/pools", &[])).await?;
    Ok(items(reply.document, "items").into_iter().map(Pool).collect())
}

/// One pool.
///
/// # Errors
/// As [`Api::send`].
pub async fn show(api: &Api, id: &str) -> Result<Pool, Error> {
    let reply = api.send(Request::new(Method::GET, "/v2/{project_id}/pools/{pool_name}", &[id])).await?;
    Ok(Pool(reply.document))
}
