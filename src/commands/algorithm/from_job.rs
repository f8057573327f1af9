//! The settings of a training job as an algorithm.

use serde_json::{Map, Value, json};

use crate::api::modelarts::training_job::TrainingJob;
use crate::commands::algorithm::hyperparameter::guess;
use crate::error::{Error, Kind};

/// A request for an algorithm with the settings of a job, without a name.
///
/// # Errors
/// The job runs a subscribed algorithm, which is another's.
pub(super) fn document(job: &TrainingJob) -> Result<Value, Error> {
    let algorithm = &job.0["algorithm"];
    if algorithm["subscription_id"].as_str().is_some_and(|id| !id.is_empty()) {
        let message = format!("training job [{}] runs a subscribed algorithm, which cannot be saved as one's own", job.id());
        return Err(Error::new(Kind::Unsupported, message));
    }
    let filled = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let mut config = Map::new();
    for name in ["code_dir", "boot_file", "command"] {
        config.extend(Some(&algorithm[name]).filter(|value| filled(value)).map(|value| (name.to_owned(), value.clone())));
    }
    let engine = algorithm["engine"].as_object().into_iter().flatten();
    let known = ["engine_id", "engine_name", "engine_version", "image_url"];
    let engine: Map<String, Value> = engine
        .filter(|(name, value)| known.contains(&name.as_str()) && filled(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !engine.is_empty() {
        config.insert("engine".to_owned(), Value::Object(engine));
    }
    config.insert("parameters".to_owned(), each(&algorithm["parameters"], parameter));
    for list in ["inputs", "outputs"] {
        config.insert(list.to_owned(), each(&algorithm[list], |channel| json!({"name": channel["name"]})));
    }
    let mut document = json!({"metadata": {}, "job_config": config});
    if algorithm["policies"]["auto_search"].is_object() {
        document["advanced_config"] = json!({"auto_search": algorithm["policies"]["auto_search"]});
    }
    Ok(document)
}

fn each(list: &Value, turn: impl Fn(&Value) -> Value) -> Value {
    list.as_array().into_iter().flatten().map(turn).collect()
}

/// The job's value is the default; its kind is seen from it, unless the job knows.
fn parameter(parameter: &Value) -> Value {
    let value = parameter["value"].as_str().unwrap_or_default();
    let plain = json!({
        "type": guess(value).to_string(), "editable": true, "required": false, "sensitive": false, "valid_type": "None",
        "valid_range": [],
    });
    let constraint = Some(&parameter["constraint"]).filter(|known| known["type"].is_string()).unwrap_or(&plain);
    json!({
        "name": parameter["name"], "value": value,
        "description": parameter["description"].as_str().unwrap_or_default(), "constraint": constraint,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::document;
    use crate::api::modelarts::training_job::TrainingJob;

    #[test]
    fn a_job_s_settings_become_a_definition() {
        let job = TrainingJob(json!({"algorithm": {
            "code_dir": "/b/c/", "boot_file": "/b/c/main.py", "engine": {"engine_id": "e", "run_user": "1000"},
            "parameters": [{"name": "lr", "value": "0.5"}, {"name": "flag", "value": ""}],
            "inputs": [{"name": "data_url", "local_dir": "/x", "remote": {}}], "outputs": [],
        }}));
        let made = document(&job).unwrap();
        assert_eq!(made["job_config"]["engine"], json!({"engine_id": "e"}));
        assert_eq!(made["job_config"]["parameters"][0]["constraint"]["type"], "Float");
        assert_eq!(made["job_config"]["parameters"][1]["constraint"]["type"], "String");
        assert_eq!(made["job_config"]["inputs"], json!([{"name": "data_url"}]));
        let subscribed = TrainingJob(json!({"algorithm": {"subscription_id": "s"}}));
        assert!(document(&subscribed).is_err());
    }
}
