//! Documents of algorithms, in the form that requests have.

use serde_json::{Map, Value, json};

use crate::api::modelarts::algorithm::{Algorithm, Definition};
use crate::error::{Error, Kind};

/// Members of `metadata` that a request may have.
const METADATA: [&str; 4] = ["name", "description", "workspace_id", "ai_project"];
/// Members of `job_config` that a request may have.
const JOB_CONFIG: [&str; 8] =
    ["code_dir", "boot_file", "command", "parameters", "inputs", "outputs", "engine", "parameters_customization"];

/// The parts of a document that a request may have: what only the service writes is left out, and two members that it gives back in
/// another form than it takes them are turned round.
pub(super) fn requested(document: &Value) -> Value {
    let pick = |part: &str, names: &[&str]| -> Map<String, Value> {
        let members = document[part].as_object().into_iter().flatten();
        members.filter(|(name, _)| names.contains(&name.as_str())).map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let mut wanted = json!({"metadata": pick("metadata", &METADATA), "job_config": pick("job_config", &JOB_CONFIG)});
    if let Some(requirements) = document["resource_requirements"].as_array().filter(|list| !list.is_empty()) {
        let turned = |requirement: &Value| {
            let values = if requirement["values"].is_array() { &requirement["values"] } else { &requirement["value"] };
            json!({"key": requirement["key"], "values": values, "operator": requirement["operator"]})
        };
        wanted["resource_requirements"] = requirements.iter().map(turned).collect();
    }
    if document["advanced_config"]["auto_search"].is_object() {
        let mut search = document["advanced_config"]["auto_search"].clone();
        for parameter in search["search_params"].as_array_mut().into_iter().flatten() {
            if let Some(values) = parameter["discrete_values"].as_str() {
                let values: Vec<&str> = values.split(',').map(str::trim).filter(|value| !value.is_empty()).collect();
                parameter["discrete_values"] = json!(values);
            }
        }
        wanted["advanced_config"]["auto_search"] = search;
    }
    wanted
}

/// Writes addresses as the service does: `obs://bucket/code` becomes `/bucket/code/`, a boot file is spelled in full.
pub(super) fn spell_paths(document: &mut Value) {
    let config = &mut document["job_config"];
    let path = |url: &str| url.strip_prefix("obs:/").or_else(|| url.strip_prefix("s3:/")).unwrap_or(url).to_owned();
    let Some(code) = config["code_dir"].as_str().map(path).filter(|code| !code.is_empty()) else { return };
    let code = if code.ends_with('/') { code } else { format!("{code}/") };
    if let Some(boot) = config["boot_file"].as_str().map(path).filter(|boot| !boot.is_empty()) {
        config["boot_file"] = json!(if boot.starts_with('/') { boot } else { format!("{code}{boot}") });
    }
    config["code_dir"] = json!(code);
}

/// Looks for mistakes that the service would find: defaults that their own definitions rule out.
///
/// # Errors
/// All of them, in one text.
pub(super) fn check(document: &Value) -> Result<(), Error> {
    let wrong = |definition: Definition| {
        // An own default is no change.
        let checked = definition.default.as_deref().map_or(Ok(()), |default| definition.check(Some(default)));
        checked.err().map(|problem| format!("the default of hyperparameter [{}] {problem}", definition.name))
    };
    let problems: Vec<String> = Algorithm(document.clone()).definitions().into_iter().filter_map(wrong).collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::new(Kind::Usage, problems.join("; "))) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{check, requested, spell_paths};

    #[test]
    fn what_the_service_gave_can_be_sent_to_it() {
        let given = json!({
            "metadata": {"id": "1", "name": "n", "create_time": 5, "tags": []},
            "job_config": {"code_dir": "/b/c/", "code_tree": {}, "parameters": []},
            "resource_requirements": [{"key": "flavor_type", "value": ["CPU"], "operator": "in"}],
            "advanced_config": {"auto_search": {"search_params": [{"name": "x", "discrete_values": "a, b"}]}},
        });
        assert_eq!(
            requested(&given),
            json!({
                "metadata": {"name": "n"},
                "job_config": {"code_dir": "/b/c/", "parameters": []},
                "resource_requirements": [{"key": "flavor_type", "values": ["CPU"], "operator": "in"}],
                "advanced_config": {"auto_search": {"search_params": [{"name": "x", "discrete_values": ["a", "b"]}]}},
            })
        );
        assert_eq!(requested(&requested(&given)), requested(&given));
    }

    #[test]
    fn addresses_are_spelled_as_the_service_does() {
        for (code, boot, expected) in [
            ("obs://b/c", "main.py", "/b/c/main.py"),
            ("/b/c/", "/b/c/main.py", "/b/c/main.py"),
            ("s3://b/c/", "obs://b/c/x/main.py", "/b/c/x/main.py"),
        ] {
            let mut document = json!({"job_config": {"code_dir": code, "boot_file": boot}});
            spell_paths(&mut document);
            assert_eq!(
                (document["job_config"]["code_dir"].as_str(), document["job_config"]["boot_file"].as_str()),
                (Some("/b/c/"), Some(expected))
            );
        }
    }

    #[test]
    fn a_default_must_be_allowed() {
        let parameter = json!({"name": "lr", "value": "5", "constraint":
            {"type": "Float", "valid_type": "range", "valid_range": ["0", "1"]}});
        let error = check(&json!({"job_config": {"parameters": [parameter]}})).unwrap_err();
        assert_eq!(error.message, "the default of hyperparameter [lr] must be 0 to 1, not [5]");
    }
}
