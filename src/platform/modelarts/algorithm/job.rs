//! Jobs that are made from an algorithm.

use serde_json::{Value, json};

use crate::platform::modelarts::algorithm::document::given;
use crate::platform::modelarts::algorithm::{find, parameter};
use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::flavor::Flavor;
use crate::platform::state::State;

/// Puts the algorithm that a request names into the request: what the job does not say itself is the algorithm's. Returns the
/// request, and the algorithm's document when there is one.
///
/// # Errors
/// There is no such algorithm, or the job departs from what it allows.
pub(in crate::platform::modelarts) fn resolve(state: &State, mut request: Value) -> Result<(Value, Option<Value>), ApiError> {
    let Some(id) = given(&request["algorithm"], "id") else { return Ok((request, None)) };
    let template = find(state, &id)?;
    let config = &template["job_config"];
    requirements_are_met(&template["resource_requirements"], &request["spec"]["resource"])?;
    let wanted = &mut request["algorithm"];
    for kind in ["inputs", "outputs"] {
        channels_are_there(kind, &config[kind], &wanted[kind])?;
    }
    let takes_others = config["parameters_customization"].as_bool().unwrap_or(true);
    wanted["parameters"] = parameter::merged(&config["parameters"], takes_others, &wanted["parameters"])?;
    for name in ["code_dir", "boot_file", "command"] {
        if given(wanted, name).is_none()
            && let Some(value) = given(config, name)
        {
            wanted[name] = json!(value);
        }
    }
    let has_engine = wanted["engine"].as_object().is_some_and(|engine| !engine.is_empty());
    if !has_engine && config["engine"].as_object().is_some_and(|engine| !engine.is_empty()) {
        wanted["engine"] = config["engine"].clone();
    }
    complete_search(wanted, &template["advanced_config"]["auto_search"]);
    if let Some(wanted) = wanted.as_object_mut() {
        wanted.remove("id");
    }
    Ok((request, Some(template)))
}

/// A job that wants a search takes what it does not say of it from the algorithm.
fn complete_search(wanted: &mut Value, template: &Value) {
    // Not by index: what stands there has not been looked at, and an index into a text panics.
    let search = wanted.pointer_mut("/policies/auto_search").and_then(Value::as_object_mut);
    let (Some(search), Some(own)) = (search, template.as_object()) else { return };
    for (name, value) in own {
        let is_said = search.get(name).is_some_and(|said| said.as_array().is_some_and(|list| !list.is_empty()));
        if !is_said {
            search.insert(name.clone(), value.clone());
        }
    }
}

/// Writes into a job's document which algorithm it is made from, and the definitions of its hyperparameters.
pub(in crate::platform::modelarts) fn mark(job: &mut Value, template: Option<&Value>) {
    let Some(template) = template else { return };
    job["algorithm"]["id"] = template["metadata"]["id"].clone();
    job["algorithm"]["name"] = template["metadata"]["name"].clone();
    let definitions = template["job_config"]["parameters"].as_array();
    for parameter in job["algorithm"]["parameters"].as_array_mut().into_iter().flatten() {
        let definition = definitions.into_iter().flatten().find(|definition| definition["name"] == parameter["name"]);
        for name in ["description", "constraint"] {
            if let Some(value) = definition.map(|definition| &definition[name]).filter(|value| !value.is_null()) {
                parameter[name] = value.clone();
            }
        }
    }
}

fn channels_are_there(kind: &str, defined: &Value, wanted: &Value) -> Result<(), ApiError> {
    for channel in defined.as_array().into_iter().flatten() {
        let name = channel["name"].as_str().unwrap_or_default();
        let found = wanted.as_array().into_iter().flatten().find(|one| one["name"] == name);
        let Some(found) = found else {
            return Err(ApiError::bad("ModelArts.2753", format!("The algorithm needs {kind} of the name {name}.")));
        };
        let constraints = channel["remote_constraints"].as_array().filter(|constraints| !constraints.is_empty());
        let kinds: Option<Vec<&str>> =
            constraints.map(|all| all.iter().filter_map(|constraint| constraint["data_type"].as_str()).collect());
        let is = |word: &str| found["remote"][word].is_object();
        if kinds.as_ref().is_some_and(|kinds| !kinds.iter().any(|kind| is(kind))) {
            let reason = format!("the algorithm takes it from {} only", kinds.unwrap_or_default().join(" or "));
            return Err(ApiError::parameter(&format!("algorithm.{kind}.{name}"), &reason));
        }
    }
    Ok(())
}

fn requirements_are_met(requirements: &Value, resource: &Value) -> Result<(), ApiError> {
    for requirement in requirements.as_array().into_iter().flatten() {
        let allows = |value: &str| requirement["value"].as_array().is_some_and(|values| values.contains(&json!(value)));
        let nodes = resource["node_count"].as_u64().unwrap_or(1);
        let flavor = given(resource, "flavor_id").and_then(|id| Flavor::find(&id));
        match requirement["key"].as_str() {
            Some("host_distributed_mode") if !allows(if nodes > 1 { "multiple" } else { "singular" }) => {
                let reason = format!("the algorithm does not run on {nodes} node{}", if nodes > 1 { "s" } else { "" });
                return Err(ApiError::parameter("spec.resource.node_count", &reason));
            }
            Some("flavor_type") => {
                let kind = flavor.map(|flavor| flavor.detail()["flavor_type"].as_str().unwrap_or_default().to_owned());
                if let Some(kind) = kind.filter(|kind| !allows(kind)) {
                    let reason = format!("the algorithm does not run on flavors of type {kind}");
                    return Err(ApiError::parameter("spec.resource.flavor_id", &reason));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::complete_search;

    #[test]
    fn a_search_is_completed_and_nonsense_left_alone() {
        let template = json!({"search_params": [1], "reward_attrs": [2]});
        let mut wanted = json!({"policies": {"auto_search": {"search_params": [], "reward_attrs": [3]}}});
        complete_search(&mut wanted, &template);
        assert_eq!(wanted["policies"]["auto_search"], json!({"search_params": [1], "reward_attrs": [3]}));
        for policies in [json!("x"), json!(7), json!([]), json!({"auto_search": "x"}), json!(null)] {
            let mut wanted = json!({"policies": policies});
            complete_search(&mut wanted, &template);
            assert_eq!(wanted, json!({"policies": policies}));
        }
    }
}
