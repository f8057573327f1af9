//! From the documented file of a search (YAML with `search_space`, `search_algorithm` and more) to `policies.auto_search` of the API.

use serde_json::{Map, Value, json};

use crate::api::Error;

/// Keys of `search_algorithm` that are no options of the algorithm.
const OWN_KEYS: [&str; 5] = ["type", "reward_attr", "mode", "regex", "reward_attrs"];
/// The parts a file may have; `general` tells of resources, which the job's flavor decides.
const PARTS: [&str; 4] = ["general", "search_space", "search_algorithm", "scheduler"];
/// The members of the API's own form, which a file may have instead.
const API_PARTS: [&str; 4] = ["skip_search_params", "reward_attrs", "search_params", "algo_configs"];
/// Ways to search.
const ALGORITHMS: [&str; 5] = ["bayes_opt_search", "tpe_search", "anneal_search", "grid_search", "random_search"];
/// A decimal number, as programs print them.
const NUMBER: &str = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?";

/// Reads the text of such a file.
///
/// # Errors
/// [`Error::Invalid`]: it is no YAML, or what is wrong with it.
pub fn policy(text: &str) -> Result<Value, Error> {
    let document: Value = serde_saphyr::from_str(text).map_err(|error| Error::Invalid(format!("it is no YAML: {error}")))?;
    let Some(members) = document.as_object() else { return wrong("it is no mapping") };
    let is_api_form = members.keys().any(|key| API_PARTS.contains(&key.as_str()));
    let known: &[&str] = if is_api_form { &API_PARTS } else { &PARTS };
    if let Some(key) = members.keys().find(|key| !known.contains(&key.as_str())) {
        return wrong(&format!("there is no such key: [{key}]; there are {}", known.join(", ")));
    }
    if is_api_form {
        return Ok(texts(&document));
    }
    if document["general"]["instance_per_trial"].as_u64().is_some_and(|count| count != 1) {
        return wrong("[general.instance_per_trial]: a trial runs on one node");
    }
    if document["scheduler"]["type"].as_str().is_some_and(|kind| kind != "FIFOScheduler") {
        return wrong("[scheduler.type]: the service knows FIFOScheduler only");
    }
    let parameters = parameters(&document["search_space"])?;
    let algorithm = &document["search_algorithm"];
    Ok(json!({"reward_attrs": indicators(algorithm)?, "search_params": parameters, "algo_configs": [config(algorithm)?]}))
}

/// The expression for a figure that is printed by its name: `name: 0.5`, `name=0.5`, `"name": 0.5` and the like.
fn expression(name: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || character == '_';
    let escaped: String =
        name.chars().map(|character| if plain(character) { character.to_string() } else { format!("\\{character}") }).collect();
    format!(r#"(?:^|[^\w.-]){escaped}["']?\s*[:=]?\s*({NUMBER})"#)
}

fn wrong<T>(message: &str) -> Result<T, Error> {
    Err(Error::Invalid(message.to_owned()))
}

/// Scalars as texts, however deep: the API takes nothing else here.
fn texts(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), texts(value))).collect::<Map<_, _>>().into(),
        Value::Array(items) => items.iter().map(texts).collect(),
        scalar => json!(text(scalar)),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn indicators(algorithm: &Value) -> Result<Value, Error> {
    let single = json!([{"name": algorithm["reward_attr"], "mode": algorithm["mode"], "regex": algorithm["regex"]}]);
    let listed = if algorithm["reward_attrs"].is_array() { &algorithm["reward_attrs"] } else { &single };
    let read = |one: &Value| {
        let (name, mode, regex) = (text(&one["name"]), text(&one["mode"]), text(&one["regex"]));
        if name.is_empty() {
            return wrong("[search_algorithm.reward_attr]: the name of the figure to optimise is missing");
        }
        if !["max", "min", ""].contains(&mode.as_str()) {
            return wrong(&format!("[search_algorithm.mode]: it is max or min, not [{mode}]"));
        }
        let mode = if mode.is_empty() { "max" } else { &mode };
        let regex = if regex.is_empty() { expression(&name) } else { regex };
        Ok(json!({"name": name, "mode": mode, "regex": regex}))
    };
    listed.as_array().into_iter().flatten().map(read).collect()
}

/// `search_space`: a list of groups, each with a type for all its `params` or one with each of them.
fn parameters(space: &Value) -> Result<Value, Error> {
    let mut found = Vec::new();
    for group in space.as_array().into_iter().flatten() {
        let Some(members) = group["params"].as_array() else {
            return wrong("[search_space]: it is a list of groups with [params]");
        };
        for member in members {
            let kind = if member["type"].is_string() { text(&member["type"]) } else { text(&group["type"]) };
            found.push(parameter(member, &kind)?);
        }
    }
    if found.is_empty() { wrong("[search_space]: there is no parameter to vary") } else { Ok(Value::Array(found)) }
}

fn parameter(member: &Value, kind: &str) -> Result<Value, Error> {
    let name = text(&member["name"]);
    if name.is_empty() {
        return wrong("[search_space]: a parameter has no [name]");
    }
    let place = format!("[search_space], parameter [{name}]");
    let values: Option<Vec<String>> = member["values"].as_array().map(|values| values.iter().map(text).collect());
    let (start, stop) = (text(&member["start"]), text(&member["stop"]));
    let is_discrete = match kind {
        "continuous" | "continuous_param" => false,
        "discrete" | "discrete_param" => true,
        "" => values.is_some(),
        other => return wrong(&format!("{place}: [type] is continuous_param or discrete_param, not [{other}]")),
    };
    let number = |text: &str| text.parse::<f64>().ok().filter(|value| value.is_finite());
    match (is_discrete, values) {
        (true, Some(values)) if !values.is_empty() => {
            Ok(json!({"name": name, "param_type": "discrete", "discrete_values": values}))
        }
        (_, None) if number(&start).zip(number(&stop)).is_some_and(|(start, stop)| start < stop) => {
            let mut document = json!({"name": name, "param_type": "continuous", "lower_bound": start, "upper_bound": stop});
            if is_discrete {
                document["param_type"] = json!("discrete");
                document["discrete_points_num"] = json!(text(&member["num"]));
            }
            Ok(document)
        }
        (true, _) => wrong(&format!("{place}: [values] is a list, or [start], [stop] and [num] are given")),
        (false, _) => wrong(&format!("{place}: [start] and [stop] are numbers, the lower first")),
    }
}

fn config(algorithm: &Value) -> Result<Value, Error> {
    let name = text(&algorithm["type"]);
    if !ALGORITHMS.contains(&name.as_str()) {
        return wrong(&format!("[search_algorithm.type]: it is one of {}, not [{name}]", ALGORITHMS.join(", ")));
    }
    let mut options = Vec::new();
    for (key, value) in algorithm.as_object().into_iter().flatten().filter(|(key, _)| !OWN_KEYS.contains(&key.as_str())) {
        let kind = match value {
            Value::Number(number) if number.is_f64() => "Float",
            Value::Number(_) => "Integer",
            Value::String(_) => "String",
            _ => return wrong(&format!("[search_algorithm.{key}]: it is a number or a text")),
        };
        options.push(json!({"key": key, "value": text(value), "type": kind}));
    }
    Ok(json!({"name": name, "params": options}))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::policy;

    const FILE: &str = "
general:
  instance_per_trial: 1
search_space:
  - params:
    - type: continuous_param
      name: lr
      start: 0.001
      stop: 0.1
  - type: discrete_param
    params:
      - {name: batch, values: [16, 32]}
search_algorithm:
  type: bayes_opt_search
  max_concurrent: 4
  reward_attr: val.acc
  mode: max
  num_samples: 8
  kind: ucb
  kappa: 2.5
scheduler:
  type: FIFOScheduler
";

    #[test]
    fn the_documented_file_becomes_the_api_s_form() {
        let policy = policy(FILE).unwrap();
        assert_eq!(
            policy["search_params"],
            json!([
                {"name": "lr", "param_type": "continuous", "lower_bound": "0.001", "upper_bound": "0.1"},
                {"name": "batch", "param_type": "discrete", "discrete_values": ["16", "32"]},
            ])
        );
        assert_eq!(policy["reward_attrs"][0]["mode"], "max");
        assert!(policy["reward_attrs"][0]["regex"].as_str().unwrap().contains(r"val\.acc"));
        assert_eq!(policy["algo_configs"][0]["name"], "bayes_opt_search");
        let options = policy["algo_configs"][0]["params"].as_array().unwrap();
        assert!(options.contains(&json!({"key": "num_samples", "value": "8", "type": "Integer"})));
        assert!(options.contains(&json!({"key": "kappa", "value": "2.5", "type": "Float"})));
        assert_eq!(options.len(), 4);
        // What comes out goes in.
        assert_eq!(super::policy(&policy.to_string()).unwrap(), policy);
    }

    #[test]
    fn mistakes_say_where_they_are() {
        for (old, new, expected) in [
            ("type: bayes_opt_search", "type: magic", "[search_algorithm.type]: it is one of bayes_opt_search"),
            ("stop: 0.1", "stop: 0.0001", "parameter [lr]: [start] and [stop] are numbers, the lower first"),
            ("values: [16, 32]", "values: 3", "parameter [batch]: [values] is a list"),
            ("mode: max", "mode: most", "[search_algorithm.mode]"),
            ("reward_attr: val.acc", "reward: x", "[search_algorithm.reward_attr]"),
            ("FIFOScheduler", "Hyperband", "[scheduler.type]"),
            ("general:", "generals:", "no such key: [generals]"),
            ("instance_per_trial: 1", "instance_per_trial: 2", "[general.instance_per_trial]"),
        ] {
            assert!(FILE.contains(old), "{old}");
            let error = policy(&FILE.replace(old, new)).unwrap_err().to_string();
            assert!(error.contains(expected), "{new}: {error}");
        }
    }
}
