//! From the request for an algorithm to its document: checked, with every default filled in.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::platform::modelarts::algorithm::parameter;
use crate::platform::modelarts::autosearch;
use crate::platform::modelarts::create::{boot_relative, description_fits};
use crate::platform::modelarts::engine;
use crate::platform::modelarts::error::ApiError;
use crate::platform::runner::plan::ObsPlace;

/// Who asks for an algorithm, and when.
pub(super) struct Origin<'a> {
    pub(super) id: &'a str,
    pub(super) user_name: &'a str,
    pub(super) domain_id: &'a str,
    /// Milliseconds since 1970.
    pub(super) now: i64,
}

/// What a training constraint may name, and its values.
const REQUIREMENTS: [(&str, &[&str]); 3] = [
    ("flavor_type", &["CPU", "GPU", "Ascend"]),
    ("device_distributed_mode", &["multiple", "singular"]),
    ("host_distributed_mode", &["multiple", "singular"]),
];

/// Builds the document of an algorithm.
///
/// # Errors
/// What the request gets wrong, with the code of the API's catalogue.
pub(super) fn build(wanted: &Value, origin: &Origin<'_>) -> Result<Value, ApiError> {
    let mut document = json!({
        "metadata": metadata(&wanted["metadata"], origin)?,
        "job_config": job_config(&wanted["job_config"])?,
        "resource_requirements": requirements(&wanted["resource_requirements"])?,
        "advanced_config": {},
    });
    let search = &wanted["advanced_config"]["auto_search"];
    if search.is_object() {
        document["advanced_config"]["auto_search"] = autosearch::template(search)?;
    }
    Ok(document)
}

/// A member's text, when it is there and not empty; numbers and truth values are written out, as some clients send them.
pub(super) fn given(document: &Value, name: &str) -> Option<String> {
    match &document[name] {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
        _ => None,
    }
}

/// 1 to 64 letters, digits, underscores and hyphens.
pub(super) fn name(field: &str, document: &Value) -> Result<String, ApiError> {
    let name = given(document, "name").unwrap_or_default();
    if (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
        Ok(name)
    } else {
        Err(ApiError::parameter(field, "it is 1 to 64 letters, digits, underscores and hyphens"))
    }
}

fn metadata(wanted: &Value, origin: &Origin<'_>) -> Result<Value, ApiError> {
    let description = given(wanted, "description").unwrap_or_default();
    description_fits("metadata.description", &description)?;
    Ok(json!({
        "id": origin.id,
        "name": name("metadata.name", wanted)?,
        "description": description,
        "workspace_id": given(wanted, "workspace_id").unwrap_or_else(|| "0".into()),
        "ai_project": given(wanted, "ai_project").unwrap_or_else(|| "default-ai-project".into()),
        "user_name": origin.user_name,
        "domain_id": origin.domain_id,
        "source": "custom",
        "api_version": "",
        "is_valid": true,
        "state": "",
        "tags": [],
        "attr_list": [],
        "version_num": 0,
        "size": 0,
        "create_time": origin.now,
        "update_time": origin.now,
    }))
}

fn job_config(wanted: &Value) -> Result<Value, ApiError> {
    let mut config = Map::new();
    for name in ["code_dir", "boot_file", "command"] {
        config.extend(given(wanted, name).map(|value| (name.to_owned(), json!(value))));
    }
    let engine = engine(&wanted["engine"])?;
    let is_preset = engine.contains_key("engine_id");
    boots(wanted, is_preset, engine.contains_key("image_url"))?;
    config.insert("engine".into(), Value::Object(engine));
    config.insert("parameters".into(), parameter::definitions(&wanted["parameters"])?);
    for kind in ["inputs", "outputs"] {
        config.insert(kind.into(), channels(kind, &wanted[kind])?);
    }
    let takes_others = wanted["parameters_customization"].as_bool().unwrap_or(true);
    config.insert("parameters_customization".into(), json!(takes_others));
    Ok(Value::Object(config))
}

fn engine(wanted: &Value) -> Result<Map<String, Value>, ApiError> {
    let mut named = Map::new();
    let [id, name, version] = ["engine_id", "engine_name", "engine_version"].map(|key| given(wanted, key));
    if let Some(image) = given(wanted, "image_url") {
        named.insert("image_url".into(), json!(image));
    } else if id.is_some() || name.is_some() || version.is_some() {
        let found = engine::find(id.as_deref(), name.as_deref(), version.as_deref()).ok_or_else(|| {
            let words = [id, name, version].into_iter().flatten().collect::<Vec<_>>().join(" ");
            ApiError::bad("ModelArts.2780", format!("AI engine(id:{words}) not found."))
        })?;
        named.insert("engine_id".into(), json!(found.id));
        named.insert("engine_name".into(), json!(found.name));
        named.insert("engine_version".into(), json!(found.id));
    }
    Ok(named)
}

/// Checks that a job of the algorithm would have something to start.
fn boots(wanted: &Value, is_preset: bool, is_image: bool) -> Result<(), ApiError> {
    let (code, boot, command) = (given(wanted, "code_dir"), given(wanted, "boot_file"), given(wanted, "command"));
    let path_error = |text: &str| ApiError::bad("ModelArts.2757", format!("code directory path error: {text}."));
    let place = code.as_deref().map(|code| ObsPlace::parse(code).ok_or_else(|| path_error(code))).transpose()?;
    match (boot, command) {
        (None, None) => Err(ApiError::bad("ModelArts.2806", "An algorithm needs a boot_file with an engine, or a command.")),
        (Some(_), _) if !is_preset && !is_image => {
            Err(ApiError::bad("ModelArts.2780", "AI engine(id:) not found: a boot_file needs an engine."))
        }
        (Some(boot), _) => {
            let place = place.ok_or_else(|| path_error("a boot_file needs a code_dir"))?;
            boot_relative(&place, &boot).map(drop)
        }
        (None, Some(_)) => Ok(()),
    }
}

fn channels(kind: &str, wanted: &Value) -> Result<Value, ApiError> {
    let mut names = BTreeSet::new();
    let mut channels = Vec::new();
    for (index, channel) in wanted.as_array().into_iter().flatten().enumerate() {
        let field = format!("job_config.{kind}[{index}]");
        let name = name(&format!("{field}.name"), channel)?;
        if !names.insert(name.clone()) {
            return Err(ApiError::bad("ModelArts.2753", format!("Two {kind} have the name {name}.")));
        }
        let mut document = json!({"name": name, "description": given(channel, "description").unwrap_or_default()});
        if kind == "inputs" {
            let constraints = channel["remote_constraints"].as_array().cloned().unwrap_or_default();
            let known = |constraint: &Value| ["obs", "dataset"].iter().any(|kind| constraint["data_type"] == *kind);
            if !constraints.iter().all(known) {
                return Err(ApiError::parameter(&format!("{field}.remote_constraints.data_type"), "it is obs or dataset"));
            }
            document["remote_constraints"] = json!(constraints);
        }
        channels.push(document);
    }
    Ok(Value::Array(channels))
}

fn requirements(wanted: &Value) -> Result<Value, ApiError> {
    let read = |requirement: &Value| {
        let key = given(requirement, "key").unwrap_or_default();
        let Some((_, allowed)) = REQUIREMENTS.iter().find(|(known, _)| *known == key) else {
            let names = REQUIREMENTS.map(|(name, _)| name).join(", ");
            return Err(ApiError::parameter("resource_requirements.key", &format!("it is one of {names}")));
        };
        let values: Vec<&str> = requirement["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if values.is_empty() || !values.iter().all(|value| allowed.contains(value)) {
            let field = format!("resource_requirements.{key}.values");
            return Err(ApiError::parameter(&field, &format!("they are of {}", allowed.join(", "))));
        }
        if requirement["operator"] != "in" {
            return Err(ApiError::parameter("resource_requirements.operator", "it is in"));
        }
        // The API takes `values` and gives `value`.
        Ok(json!({"key": key, "value": values, "operator": "in"}))
    };
    wanted.as_array().into_iter().flatten().map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Origin, build};

    fn request(changes: &[(&str, Value)]) -> Value {
        let mut wanted = json!({
            "metadata": {"name": "mnist"},
            "job_config": {
                "code_dir": "/b/code/", "boot_file": "/b/code/main.py", "engine": {"engine_id": "python-3-local"},
                "parameters": [{"name": "lr", "value": "0.1", "constraint": {"type": "Float"}}],
                "inputs": [{"name": "data_url"}], "outputs": [{"name": "train_url"}],
            },
            "resource_requirements": [{"key": "flavor_type", "values": ["CPU"], "operator": "in"}],
        });
        for (pointer, value) in changes {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            wanted.pointer_mut(parent).unwrap()[name] = value.clone();
        }
        wanted
    }

    fn built(changes: &[(&str, Value)]) -> Result<Value, &'static str> {
        build(&request(changes), &Origin { id: "1", user_name: "jo", domain_id: "d", now: 5 }).map_err(|error| error.code)
    }

    #[test]
    fn an_algorithm_is_checked_and_completed() {
        let document = built(&[]).unwrap();
        assert_eq!(document["metadata"]["workspace_id"], "0");
        assert_eq!(document["job_config"]["engine"]["engine_name"], "Python");
        assert_eq!(document["job_config"]["parameters_customization"], true);
        assert_eq!(document["resource_requirements"][0]["value"], json!(["CPU"]));
        assert_eq!(document["job_config"]["inputs"][0]["remote_constraints"], json!([]));
    }

    #[test]
    fn what_is_wrong_has_the_catalogue_s_code() {
        for (pointer, value, code) in [
            ("/metadata/name", json!("two words"), "ModelArts.2788"),
            ("/metadata/description", json!("x".repeat(257)), "ModelArts.2788"),
            ("/job_config/code_dir", json!("nowhere"), "ModelArts.2757"),
            ("/job_config/boot_file", json!("/c/main.py"), "ModelArts.2792"),
            ("/job_config/boot_file", Value::Null, "ModelArts.2806"),
            ("/job_config/engine", json!({"engine_id": "none"}), "ModelArts.2780"),
            ("/job_config/engine", Value::Null, "ModelArts.2780"),
            ("/job_config/inputs", json!([{"name": "a"}, {"name": "a"}]), "ModelArts.2753"),
            ("/job_config/inputs", json!([{"name": "a", "remote_constraints": [{"data_type": "tape"}]}]), "ModelArts.2788"),
            ("/resource_requirements", json!([{"key": "colour", "values": ["red"], "operator": "in"}]), "ModelArts.2788"),
            ("/resource_requirements", json!([{"key": "flavor_type", "values": ["TPU"], "operator": "in"}]), "ModelArts.2788"),
        ] {
            assert_eq!(built(&[(pointer, value.clone())]).unwrap_err(), code, "{pointer} {value}");
        }
    }
}
