//! Definitions of hyperparameters, and the values that jobs give them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::platform::modelarts::algorithm::document::{given, name};
use crate::platform::modelarts::error::ApiError;

/// What the values of a hyperparameter may be, by the API's names.
const TYPES: [&str; 4] = ["String", "Integer", "Float", "Boolean"];

/// Checks definitions as a request brings them, and fills in what they leave out.
pub(super) fn definitions(wanted: &Value) -> Result<Value, ApiError> {
    let mut names = BTreeSet::new();
    let mut definitions = Vec::new();
    for (index, definition) in wanted.as_array().into_iter().flatten().enumerate() {
        let field = format!("job_config.parameters[{index}]");
        let name = name(&format!("{field}.name"), definition)?;
        if !names.insert(name.clone()) {
            return Err(ApiError::parameter(&format!("{field}.name"), "another hyperparameter has it"));
        }
        let mut document = json!({
            "name": name,
            "value": given(definition, "value").unwrap_or_default(),
            "description": given(definition, "description").unwrap_or_default(),
            "constraint": constraint(&field, &definition["constraint"])?,
        });
        if definition["i18n_description"].is_object() {
            document["i18n_description"] = definition["i18n_description"].clone();
        }
        if let Some(value) = given(&document, "value") {
            fits(&document, &value).map_err(|reason| ApiError::parameter(&format!("{field}.value"), &reason))?;
        }
        definitions.push(document);
    }
    Ok(Value::Array(definitions))
}

fn constraint(field: &str, wanted: &Value) -> Result<Value, ApiError> {
    let kind = given(wanted, "type").unwrap_or_else(|| "String".into());
    let Some(kind) = TYPES.into_iter().find(|known| known.eq_ignore_ascii_case(&kind)) else {
        return Err(ApiError::parameter(&format!("{field}.constraint.type"), &format!("it is one of {}", TYPES.join(", "))));
    };
    let valid = given(wanted, "valid_type").unwrap_or_else(|| "None".into()).to_ascii_lowercase();
    let range: Vec<String> =
        wanted["valid_range"].as_array().into_iter().flatten().filter_map(|value| given(&json!({"v": value}), "v")).collect();
    let is_of_kind = range.iter().all(|value| is_of(kind, value));
    let number = |index: usize| range.get(index).and_then(|value: &String| value.parse::<f64>().ok());
    let (valid, is_right) = match valid.as_str() {
        "none" => ("None", true),
        "range" => ("range", range.len() == 2 && is_of_kind && number(0).zip(number(1)).is_some_and(|(low, high)| low <= high)),
        "choice" => ("choice", !range.is_empty() && is_of_kind),
        _ => return Err(ApiError::parameter(&format!("{field}.constraint.valid_type"), "it is None, range or choice")),
    };
    if !is_right {
        let reason =
            format!("a {valid} of {kind} is {}", if valid == "range" { "two numbers, the lower first" } else { "its values" });
        return Err(ApiError::parameter(&format!("{field}.constraint.valid_range"), &reason));
    }
    Ok(json!({
        "type": kind,
        "editable": wanted["editable"].as_bool().unwrap_or(true),
        "required": wanted["required"].as_bool().unwrap_or_default(),
        "sensitive": wanted["sensitive"].as_bool().unwrap_or_default(),
        "valid_type": valid,
        "valid_range": range,
    }))
}

/// The hyperparameters of a job: what it gives, each held to its definition, and the defaults of the others.
pub(super) fn merged(definitions: &Value, takes_others: bool, wanted: &Value) -> Result<Value, ApiError> {
    let empty = Vec::new();
    let definitions = definitions.as_array().unwrap_or(&empty);
    let wanted = wanted.as_array().unwrap_or(&empty);
    let named = |list: &'_ [Value], name: &Value| list.iter().position(|one| one["name"] == *name);
    let mut merged = Vec::new();
    for definition in definitions {
        let field = format!("algorithm.parameters.{}", definition["name"].as_str().unwrap_or_default());
        let default = given(definition, "value");
        let mut parameter = definition.clone();
        if let Some(index) = named(wanted, &definition["name"]) {
            let value = given(&wanted[index], "value").unwrap_or_default();
            let is_flag =
                value.is_empty() && ["Boolean", "String"].iter().any(|kind| definition["constraint"]["type"] == *kind);
            if !is_flag {
                fits(definition, &value).map_err(|reason| ApiError::parameter(&field, &reason))?;
            }
            if definition["constraint"]["editable"] == false && default.is_some_and(|default| !is_same(&default, &value)) {
                return Err(ApiError::parameter(&field, "the algorithm does not let jobs change it"));
            }
            parameter["value"] = json!(value);
        } else if default.is_none() {
            if definition["constraint"]["required"] == true {
                return Err(ApiError::parameter(&field, "the algorithm requires it, and has no default for it"));
            }
            continue;
        }
        merged.push(parameter);
    }
    for other in wanted.iter().filter(|other| named(definitions, &other["name"]).is_none()) {
        if !takes_others {
            let field = format!("algorithm.parameters.{}", other["name"].as_str().unwrap_or_default());
            return Err(ApiError::parameter(&field, "the algorithm does not define it, and takes no others"));
        }
        merged.push(other.clone());
    }
    Ok(Value::Array(merged))
}

fn fits(definition: &Value, value: &str) -> Result<(), String> {
    let constraint = &definition["constraint"];
    let kind = constraint["type"].as_str().unwrap_or("String");
    if !is_of(kind, value) {
        return Err(format!("[{value}] is not of type {kind}"));
    }
    let empty = Vec::new();
    let range: Vec<&str> = constraint["valid_range"].as_array().unwrap_or(&empty).iter().filter_map(Value::as_str).collect();
    let is_allowed = match constraint["valid_type"].as_str() {
        Some("range") => {
            let bounds = range.iter().map(|bound| bound.parse::<f64>()).collect::<Result<Vec<_>, _>>().unwrap_or_default();
            matches!((value.parse::<f64>(), bounds.as_slice()), (Ok(value), [low, high]) if (*low..=*high).contains(&value))
        }
        Some("choice") => range.iter().any(|choice| is_same(choice, value)),
        _ => true,
    };
    if is_allowed { Ok(()) } else { Err(format!("[{value}] is not allowed, but {}", range.join(" to "))) }
}

fn is_of(kind: &str, value: &str) -> bool {
    match kind {
        "Integer" => value.parse::<i64>().is_ok(),
        "Float" => value.parse::<f64>().is_ok_and(f64::is_finite),
        "Boolean" => ["true", "false"].iter().any(|word| value.eq_ignore_ascii_case(word)),
        _ => true,
    }
}

/// Whether two texts are the same value: `1.0` and `1`, `True` and `true`.
fn is_same(left: &str, right: &str) -> bool {
    let numbers = || left.parse::<f64>().ok().zip(right.parse::<f64>().ok()).is_some_and(|(left, right)| left == right);
    left.eq_ignore_ascii_case(right) || numbers()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{definitions, merged};

    fn defined() -> Value {
        definitions(&json!([
            {"name": "lr", "value": "0.01", "constraint":
                {"type": "float", "valid_type": "range", "valid_range": ["0.001", "0.1"], "required": true}},
            {"name": "epochs", "constraint": {"type": "Integer", "required": true}},
            {"name": "kind", "constraint": {"valid_type": "choice", "valid_range": ["a", "b"]}},
            {"name": "amp", "value": "true", "constraint": {"type": "Boolean", "editable": false}},
        ]))
        .unwrap()
    }

    #[test]
    fn definitions_must_agree_with_themselves() {
        assert_eq!(defined()[0]["constraint"]["type"], "Float");
        for constraint in [
            json!({"type": "Complex"}),
            json!({"type": "Float", "valid_type": "range", "valid_range": ["1"]}),
            json!({"type": "Float", "valid_type": "range", "valid_range": ["2", "1"]}),
            json!({"type": "Integer", "valid_type": "choice", "valid_range": ["1", "x"]}),
            json!({"type": "Integer", "valid_type": "choice", "valid_range": []}),
            json!({"type": "Integer", "valid_type": "choice", "valid_range": ["7", "8"]}),
        ] {
            let wrong = definitions(&json!([{"name": "x", "value": "9", "constraint": constraint}]));
            assert_eq!(wrong.unwrap_err().code, "ModelArts.2788", "{constraint}");
        }
        assert!(definitions(&json!([{"name": "x"}, {"name": "x"}])).is_err());
    }

    #[test]
    fn a_job_s_values_are_held_to_their_definitions() {
        let values = |merged: Value| -> Vec<String> {
            let all = merged.as_array().unwrap().iter();
            all.map(|one| format!("{}={}", one["name"].as_str().unwrap(), one["value"].as_str().unwrap())).collect()
        };
        let wanted = json!([{"name": "epochs", "value": 3}, {"name": "more", "value": "x"}]);
        assert_eq!(values(merged(&defined(), true, &wanted).unwrap()), ["lr=0.01", "epochs=3", "amp=true", "more=x"]);
        for wanted in [
            json!([]),
            json!([{"name": "epochs", "value": "three"}]),
            json!([{"name": "epochs", "value": ""}]),
            json!([{"name": "epochs", "value": "3"}, {"name": "lr", "value": "1"}]),
            json!([{"name": "epochs", "value": "3"}, {"name": "kind", "value": "c"}]),
            json!([{"name": "epochs", "value": "3"}, {"name": "amp", "value": "false"}]),
            json!([{"name": "epochs", "value": "3"}, {"name": "other"}]),
        ] {
            assert_eq!(merged(&defined(), false, &wanted).unwrap_err().code, "ModelArts.2788", "{wanted}");
        }
    }
}
