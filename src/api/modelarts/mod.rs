//! ModelArts, one file a resource: requests checked before they are sent, views on what comes back.

pub mod algorithm;
pub mod autosearch;
pub mod pool;
pub mod training_check;
mod training_document;
pub mod training_job;
pub mod training_log;
pub mod training_metrics;
pub mod training_request;
pub mod training_search;
pub mod training_tags;

use serde_json::Value;

/// The text at `pointer`; numbers are written out; empty when there is none.
fn text(document: &Value, pointer: &str) -> String {
    match document.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        _ => String::new(),
    }
}

/// The items of the list at `key`, or of the document when it is a list itself.
fn items(mut document: Value, key: &str) -> Vec<Value> {
    let list = if document.is_array() { Some(document) } else { document.get_mut(key).map(Value::take) };
    match list {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}
