//! What a job may ask for and this platform does not have.

use serde_json::Value;

use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::request::Request;

/// Refuses what this platform does not have: a wish that is dropped would be missed too late.
pub(super) fn refuse(request: &Request) -> Result<(), ApiError> {
    let spec = &request.spec;
    let within = |value: &Option<Value>, key: &str| value.as_ref().is_some_and(|value| is_something(&value[key]));
    let is_given = |value: &Option<Value>| value.as_ref().is_some_and(is_something);
    let host_path = spec.log_export_path.as_ref().and_then(|path| path.host_path.as_ref());
    let topics = "this platform has no notification topics; ma-job wait tells of changes by --exec and --webhook";
    for (name, is_wanted, reason) in [
        (
            "spec.volumes",
            spec.volumes.as_ref().is_some_and(|volumes| !volumes.is_empty()),
            "this platform has no file systems to mount; use inputs and outputs",
        ),
        ("spec.notification.topic_urn", within(&spec.notification, "topic_urn"), topics),
        (
            "spec.log_export_path.host_path",
            host_path.is_some_and(|path| !path.is_empty()),
            "this platform keeps logs by itself, and in the object store with obs_url",
        ),
        ("spec.custom_metrics", is_given(&spec.custom_metrics), "this platform collects no metrics of programs"),
        (
            "spec.schedule_policy.required_affinity",
            within(&spec.schedule_policy, "required_affinity"),
            "all nodes of this platform are one machine",
        ),
        (
            "endpoints.ssh",
            within(&request.endpoints, "ssh"),
            "this platform has no key pairs; ma-job shell opens a shell in a task",
        ),
        ("tasks", is_given(&request.tasks), "the tasks of a job of this platform are all alike"),
    ] {
        if is_wanted {
            return Err(ApiError::parameter(name, reason));
        }
    }
    Ok(())
}

/// Whether a value says anything.
pub(super) fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(is_something),
        Value::Object(members) => members.values().any(is_something),
        Value::Bool(_) | Value::Number(_) => true,
    }
}
