//! Searches as requests describe them (`auto_search` of the API), read into plans.

use serde_json::{Value, json};

use crate::platform::modelarts::error::ApiError;
use crate::platform::search::plan::{Acquisition, Indicator, Method, MethodPlan, SearchPlan};
use crate::platform::search::reward;
use crate::platform::search::space::{Domain, Parameter, Space};

/// Most trials of one search.
const MOST_SAMPLES: usize = 10_000;
/// Trials of a search that does not say how many.
const SAMPLES: usize = 20;

/// Checks the search of an algorithm; returns it as the API gives it back, where the values of discrete parameters are one text.
///
/// # Errors
/// What is wrong with it.
pub(in crate::platform::modelarts) fn template(search: &Value) -> Result<Value, ApiError> {
    let mut document = completed(search, "advanced_config.auto_search")?;
    for parameter in document["search_params"].as_array_mut().into_iter().flatten() {
        let values: Vec<String> = list(&parameter["discrete_values"]);
        parameter["discrete_values"] = json!(values.join(","));
    }
    Ok(document)
}

/// Puts the search that a request for a job asks for into the job's document.
///
/// # Errors
/// What is wrong with it, or why this platform cannot carry it out.
pub(in crate::platform::modelarts) fn accept(request: &Value, job: &mut Value) -> Result<(), ApiError> {
    let algorithm = &request["algorithm"];
    if algorithm["autosearch_config_path"].as_str().is_some_and(|path| !path.is_empty()) {
        let reason = "this platform takes searches as algorithm.policies.auto_search, not as files";
        return Err(ApiError::parameter("algorithm.autosearch_config_path", reason));
    }
    let search = &algorithm["policies"]["auto_search"];
    if !search.is_object() {
        return Ok(());
    }
    if job["spec"]["resource"]["node_count"].as_u64().is_some_and(|nodes| nodes > 1) {
        let reason = "this platform runs all trials of a search on one node, max_concurrent at a time";
        return Err(ApiError::parameter("spec.resource.node_count", reason));
    }
    job["algorithm"]["policies"] = json!({"auto_search": completed(search, "algorithm.policies.auto_search")?});
    Ok(())
}

/// Reads a search.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(search: &Value) -> Result<SearchPlan, ApiError> {
    let methods: Vec<MethodPlan> = items(search, "algo_configs").map(method).collect::<Result<_, _>>()?;
    let indicators: Vec<Indicator> = items(search, "reward_attrs").map(indicator).collect::<Result<_, _>>()?;
    let parameters: Vec<Parameter> = items(search, "search_params").map(parameter).collect::<Result<_, _>>()?;
    for (name, is_empty) in [
        ("algo_configs", methods.is_empty()),
        ("reward_attrs", indicators.is_empty()),
        ("search_params", parameters.is_empty()),
    ] {
        if is_empty {
            return Err(wrong(name, "it is empty"));
        }
    }
    let configs = items(search, "algo_configs").filter_map(|config| option(config, "max_concurrent"));
    let concurrent: Option<usize> = configs.map(|text| number("max_concurrent", &text)).next().transpose()?;
    let max_concurrent = concurrent.unwrap_or(1);
    if max_concurrent == 0 {
        return Err(wrong("max_concurrent", "it is at least 1"));
    }
    Ok(SearchPlan { indicators, space: Space(parameters), methods, max_concurrent })
}

/// The search with what it leaves out, all values as texts.
fn completed(search: &Value, place: &str) -> Result<Value, ApiError> {
    let plan = read(search).map_err(|error| ApiError { message: error.message.replace("auto_search", place), ..error })?;
    let indicator =
        |one: &Indicator| json!({"name": one.name, "mode": if one.minimise { "min" } else { "max" }, "regex": one.regex});
    let parameter = |(one, wanted): (&Parameter, &Value)| match &one.domain {
        Domain::Continuous(low, high) => json!({
            "name": one.name, "param_type": "continuous", "lower_bound": low.to_string(), "upper_bound": high.to_string(),
            "discrete_points_num": "", "discrete_values": [],
        }),
        Domain::Discrete(values) => json!({
            "name": one.name, "param_type": "discrete", "lower_bound": text(&wanted["lower_bound"]),
            "upper_bound": text(&wanted["upper_bound"]), "discrete_points_num": text(&wanted["discrete_points_num"]),
            "discrete_values": values,
        }),
    };
    let option =
        |option: &Value| json!({"key": text(&option["key"]), "value": text(&option["value"]), "type": text(&option["type"])});
    let config = |config: &Value| {
        let options: Vec<Value> = items(config, "params").map(option).collect();
        json!({"name": text(&config["name"]), "params": options})
    };
    Ok(json!({
        "skip_search_params": text(&search["skip_search_params"]),
        "reward_attrs": plan.indicators.iter().map(indicator).collect::<Vec<_>>(),
        "search_params": plan.space.0.iter().zip(items(search, "search_params")).map(parameter).collect::<Vec<_>>(),
        "algo_configs": items(search, "algo_configs").map(config).collect::<Vec<_>>(),
    }))
}

fn indicator(document: &Value) -> Result<Indicator, ApiError> {
    let name = text(&document["name"]);
    if name.is_empty() {
        return Err(wrong("reward_attrs.name", "it is empty"));
    }
    let minimise = match text(&document["mode"]).as_str() {
        "max" | "" => false,
        "min" => true,
        _ => return Err(wrong("reward_attrs.mode", "it is max or min")),
    };
    let regex = Some(text(&document["regex"])).filter(|regex| !regex.is_empty()).unwrap_or_else(|| reward::expression(&name));
    reward::check(&regex).map_err(|reason| wrong("reward_attrs.regex", reason.trim_end()))?;
    Ok(Indicator { name, minimise, regex })
}

fn parameter(document: &Value) -> Result<Parameter, ApiError> {
    let name = text(&document["name"]);
    if name.is_empty() || name.contains(|character: char| character.is_whitespace() || character == '=') {
        return Err(wrong("search_params.name", "a name has no spaces and no equals sign"));
    }
    let bound = |key: &str| -> Result<f64, ApiError> {
        let value: f64 = number(&format!("search_params.{name}.{key}"), &text(&document[key]))?;
        if value.is_finite() { Ok(value) } else { Err(wrong(key, "it is a finite number")) }
    };
    let bounds = || -> Result<(f64, f64), ApiError> {
        let (low, high) = (bound("lower_bound")?, bound("upper_bound")?);
        if low < high {
            Ok((low, high))
        } else {
            Err(wrong(&format!("search_params.{name}"), "its lower_bound is below its upper_bound"))
        }
    };
    let domain = match text(&document["param_type"]).as_str() {
        "continuous" | "" => {
            let (low, high) = bounds()?;
            Domain::Continuous(low, high)
        }
        "discrete" => {
            let values = list(&document["discrete_values"]);
            if values.is_empty() {
                spaced(&name, bounds()?, &text(&document["discrete_points_num"]))?
            } else {
                Domain::Discrete(values)
            }
        }
        _ => return Err(wrong(&format!("search_params.{name}.param_type"), "it is continuous or discrete")),
    };
    Ok(Parameter { name, domain })
}

/// Evenly spaced values, the bounds among them.
fn spaced(name: &str, (low, high): (f64, f64), points: &str) -> Result<Domain, ApiError> {
    let field = format!("search_params.{name}.discrete_points_num");
    let points: usize = number(&field, points)?;
    if !(2..=MOST_SAMPLES).contains(&points) {
        return Err(wrong(&field, "it is at least 2, or discrete_values are given"));
    }
    let step = (high - low) / (points - 1) as f64;
    let value = |index: usize| if index + 1 == points { high } else { low + step * index as f64 };
    Ok(Domain::Discrete((0..points).map(|index| value(index).to_string()).collect()))
}

fn method(config: &Value) -> Result<MethodPlan, ApiError> {
    let name = text(&config["name"]);
    let get = |key: &str, default: f64| option(config, key).map_or(Ok(default), |text| number(key, &text));
    let samples = option(config, "num_samples").map_or(Ok(SAMPLES), |text| number("num_samples", &text))?;
    if !(1..=MOST_SAMPLES).contains(&samples) {
        return Err(wrong("num_samples", &format!("it is 1 to {MOST_SAMPLES}")));
    }
    let seed = option(config, "seed").map_or(Ok(1), |text| number("seed", &text))?;
    let method = match name.as_str() {
        "random_search" => Method::Random,
        "grid_search" => Method::Grid,
        "tpe_search" => {
            let gamma = get("gamma", 0.25)?;
            if !(gamma > 0.0 && gamma < 1.0) {
                return Err(wrong("gamma", "it is between 0 and 1"));
            }
            // The documented default, 20, is also the documented number of trials, which would leave random choice alone.
            let initial =
                option(config, "n_initial_points").map_or(Ok(20.min(samples / 2)), |text| number("n_initial_points", &text))?;
            Method::Tpe { initial, gamma }
        }
        "anneal_search" => {
            let (mean_rank, shrinking) = (get("avg_best_idx", 2.0)?, get("shrink_coef", 0.1)?);
            if !(mean_rank >= 1.0 && shrinking >= 0.0) {
                return Err(wrong("avg_best_idx", "it is at least 1, and shrink_coef at least 0"));
            }
            Method::Anneal { mean_rank, shrinking }
        }
        "bayes_opt_search" => {
            let (kappa, xi) = (get("kappa", 2.5)?, get("xi", 0.0)?);
            let acquisition = match option(config, "kind").unwrap_or_default().as_str() {
                "ucb" | "" => Acquisition::UpperBound(kappa),
                "ei" => Acquisition::ExpectedGain(xi),
                "poi" => Acquisition::ProbabilityOfGain(xi),
                _ => return Err(wrong("kind", "it is ucb, ei or poi")),
            };
            Method::Bayes { acquisition }
        }
        _ => {
            let known = "bayes_opt_search, tpe_search, anneal_search, grid_search and random_search";
            return Err(wrong("algo_configs.name", &format!("[{name}] is none of {known}")));
        }
    };
    Ok(MethodPlan { method, samples, seed })
}

/// The value of one option of a search algorithm.
fn option(config: &Value, key: &str) -> Option<String> {
    let found = items(config, "params").find(|option| option["key"] == key)?;
    Some(text(&found["value"])).filter(|text| !text.is_empty())
}

fn number<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| wrong(field, &format!("[{text}] is not such a number")))
}

fn items<'a>(document: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    document[key].as_array().into_iter().flatten()
}

/// Values of a discrete parameter: a list, or one text with commas.
fn list(document: &Value) -> Vec<String> {
    match document {
        Value::Array(values) => values.iter().map(text).filter(|value| !value.is_empty()).collect(),
        other => text(other).split(',').map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()).collect(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn wrong(field: &str, reason: &str) -> ApiError {
    ApiError::parameter(&format!("auto_search.{field}"), reason)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Domain, Method, accept, read, template};

    fn search() -> Value {
        json!({
            "reward_attrs": [{"name": "acc", "mode": "max"}],
            "search_params": [
                {"name": "lr", "param_type": "continuous", "lower_bound": "0.001", "upper_bound": 0.1},
                {"name": "layers", "param_type": "discrete", "lower_bound": 2, "upper_bound": 4, "discrete_points_num": "3"},
                {"name": "kind", "param_type": "discrete", "discrete_values": ["a", "b"]},
            ],
            "algo_configs": [{"name": "tpe_search", "params": [{"key": "num_samples", "value": "8", "type": "Integer"}]}],
        })
    }

    #[test]
    fn a_search_is_read_with_its_defaults() {
        let plan = read(&search()).unwrap();
        assert_eq!(plan.space.0[0].domain, Domain::Continuous(0.001, 0.1));
        assert_eq!(plan.space.0[1].domain, Domain::Discrete(["2", "3", "4"].map(str::to_owned).to_vec()));
        assert_eq!((plan.methods[0].samples, plan.methods[0].seed, plan.max_concurrent), (8, 1, 1));
        assert_eq!(plan.methods[0].method, Method::Tpe { initial: 4, gamma: 0.25 });
        assert!(plan.indicators[0].regex.contains("acc"));
        // What an algorithm gives back can be read again.
        let again = template(&search()).unwrap();
        assert_eq!(again["search_params"][2]["discrete_values"], "a,b");
        assert_eq!(read(&again).unwrap(), plan);
        let mut job = json!({"algorithm": {}, "spec": {"resource": {"node_count": 1}}});
        accept(&json!({"algorithm": {"policies": {"auto_search": search()}}}), &mut job).unwrap();
        assert_eq!(read(&job["algorithm"]["policies"]["auto_search"]).unwrap(), plan);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for (pointer, value) in [
            ("/reward_attrs", json!([])),
            ("/reward_attrs/0/mode", json!("up")),
            ("/reward_attrs/0/regex", json!("(")),
            ("/search_params", Value::Null),
            ("/search_params/0/upper_bound", json!("0.0001")),
            ("/search_params/0/upper_bound", json!("inf")),
            ("/search_params/0/param_type", json!("odd")),
            ("/search_params/1/discrete_points_num", json!("1")),
            ("/algo_configs/0/name", json!("swarm")),
            ("/algo_configs/0/params/0/value", json!("0")),
            ("/algo_configs/0/params/0/value", json!("many")),
        ] {
            let mut wanted = search();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            match wanted.pointer_mut(parent).unwrap() {
                Value::Array(items) => items[name.parse::<usize>().unwrap()] = value.clone(),
                members => members[name] = value.clone(),
            }
            assert_eq!(read(&wanted).unwrap_err().code, "ModelArts.2788", "{pointer} {value}");
        }
        let mut job = json!({"algorithm": {}, "spec": {"resource": {"node_count": 2}}});
        assert!(accept(&json!({"algorithm": {"policies": {"auto_search": search()}}}), &mut job).is_err());
        assert!(accept(&json!({"algorithm": {"autosearch_config_path": "/b/x.yaml"}}), &mut job).is_err());
    }
}
