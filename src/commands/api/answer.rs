//! What an answer with a list says of itself.

use serde_json::{Map, Value};

/// Where the list of an answer stands: it is the answer itself, has a usual name, or is the longest list of objects, else of
/// anything, in it or one level below. Later answers have it at the same place.
pub(super) fn place(document: &Value) -> Option<Vec<String>> {
    const USUAL: [&str; 2] = ["items", "data"];
    let members = match document {
        Value::Array(_) => return Some(Vec::new()),
        Value::Object(members) => members,
        _ => return None,
    };
    if let Some(name) = USUAL.iter().find(|name| document[**name].is_array()) {
        return Some(vec![(*name).to_owned()]);
    }
    let best = |members: &Map<String, Value>| {
        let lists = members.iter().filter_map(|(name, value)| Some((name.clone(), value.as_array()?)));
        let best = lists.max_by_key(|(_, items)| (items.iter().any(Value::is_object), items.len()));
        best.map(|(name, _)| name)
    };
    let inner = || members.iter().find_map(|(name, value)| Some(vec![name.clone(), best(value.as_object()?)?]));
    best(members).map(|name| vec![name]).or_else(inner)
}

/// The list at that place; empty where there is none.
pub(super) fn list<'a>(document: &'a Value, place: &[String]) -> &'a [Value] {
    let found = place.iter().fold(document, |value, name| &value[name.as_str()]);
    found.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// How many items the whole list has, where an answer with so many items says.
pub(super) fn total(document: &Value, length: usize) -> Option<u64> {
    const TOTALS: [&str; 5] = ["total_count", "total_number", "total", "sample_count", "job_count"];
    // Some services count the page in `count`, others the whole.
    let count = || document.get("count").and_then(Value::as_u64).filter(|count| *count > length as u64);
    TOTALS.iter().find_map(|name| document.get(*name)?.as_u64()).or_else(count)
}

/// The token of the next page, where an answer names one.
pub(super) fn token(document: &Value) -> Option<Value> {
    let places = ["/metadata/continue", "/nextMarker", "/next_marker", "/page_info/next_marker"];
    places
        .iter()
        .find_map(|place| document.pointer(place))
        .filter(|token| token.as_str().is_some_and(|text| !text.is_empty()))
        .cloned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{list, place, token, total};

    #[test]
    fn lists_are_found_wherever_they_stand() {
        let found = |document: Value| place(&document).map(|place| (list(&document, &place).len(), place.join("/")));
        let at = |length: usize, place: &str| Some((length, place.to_owned()));
        assert_eq!(found(json!([1])), at(1, ""));
        assert_eq!(found(json!({"total": 2, "none": [], "items": [1, 2]})), at(2, "items"));
        assert_eq!(found(json!({"items": [1], "fields": ["x", "y"]})), at(1, "items"));
        assert_eq!(found(json!({"fields": ["x", "y"], "pools": [{}]})), at(1, "pools"));
        assert_eq!(found(json!({"job_list": {"jobs": [1]}})), at(1, "job_list/jobs"));
        assert_eq!(found(json!({"a": 1})), None);
        assert_eq!(list(&json!({"other": [1]}), &["items".to_owned()]).len(), 0);
    }

    #[test]
    fn the_whole_is_what_the_service_says() {
        assert_eq!(total(&json!({"total": 5, "count": 9}), 2), Some(5));
        assert_eq!(total(&json!({"count": 5}), 2), Some(5), "count is of the whole");
        assert_eq!(total(&json!({"count": 2}), 2), None, "count may be of the page");
        assert_eq!(token(&json!({"metadata": {"continue": "t"}})), Some(json!("t")));
        assert_eq!(token(&json!({"metadata": {"continue": ""}})), None);
    }
}
