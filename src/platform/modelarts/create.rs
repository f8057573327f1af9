//! From the request for a job to the job's document: checked, with every default filled in.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use crate::platform::modelarts::capacity::{Capacity, Share};
use crate::platform::modelarts::engine;
use crate::platform::modelarts::error::ApiError;
use crate::platform::modelarts::flavor::{Flavor, MOST_NODES};
use crate::platform::modelarts::lacks;
use crate::platform::modelarts::pool::POOL;
use crate::platform::modelarts::record::Phase;
use crate::platform::modelarts::request::{Algorithm, Channel, Metadata, Parameter, Request, Resource};
use crate::platform::modelarts::restart::Policy;
use crate::platform::runner::layout::{JOB_DIR, MOUNT};
use crate::platform::runner::plan::{CardKind, Engine, Family, ObsPlace, Task, tasks};

/// Who asks for a job, where and when.
#[derive(Debug)]
pub(crate) struct Origin<'a> {
    /// Id of the new job.
    pub(crate) id: &'a str,
    /// Name of the user.
    pub(crate) user_name: &'a str,
    /// Milliseconds since 1970.
    pub(crate) now: i64,
    /// Slots of the platform.
    pub(crate) slots: u32,
    /// What else it has.
    pub(crate) capacity: Capacity,
}

/// Builds the document of a new job, in phase `Creating`.
///
/// # Errors
/// What the request gets wrong, with the code of the API's catalogue.
pub(crate) fn document(body: &Value, origin: &Origin<'_>) -> Result<Value, ApiError> {
    let request = Request::deserialize(body)
        .map_err(|error| ApiError::bad("ModelArts.2787", format!("Invalid JSON request body: {error}.")))?;
    if request.kind != "job" {
        return Err(ApiError::parameter("kind", "this platform runs jobs of kind job"));
    }
    lacks::refuse(&request)?;
    let metadata = metadata(&request.metadata, origin)?;
    let engine = wanted_engine(&request.algorithm)?;
    let algorithm = algorithm(&request.algorithm, engine.as_ref())?;
    let (resource, nodes) = resource(request.spec.resource.unwrap_or_default(), origin)?;
    let mut spec = json!({"resource": resource});
    if let Some(url) = request.spec.log_export_path.and_then(|path| path.obs_url).filter(|url| !url.is_empty()) {
        place("spec.log_export_path.obs_url", &url)?;
        spec["log_export_path"] = json!({"obs_url": url});
    }
    if let Some(stop) = request.spec.auto_stop {
        if stop.time_unit != "HOURS" || !(1..=720).contains(&stop.duration) {
            return Err(ApiError::parameter("spec.auto_stop", "it is 1 to 720 HOURS"));
        }
        spec["auto_stop"] = json!({"time_unit": "HOURS", "duration": stop.duration});
    }
    if let Some(policy) = request.spec.schedule_policy.filter(Value::is_object) {
        if policy.get("priority").is_some_and(|priority| priority.as_u64().is_none_or(|priority| priority > 3)) {
            return Err(ApiError::parameter("spec.schedule_policy.priority", "it is 0 to 3"));
        }
        spec["schedule_policy"] = policy;
    }
    let family = engine.map_or(Family::Plain, |engine| engine.family);
    let tasks: Vec<String> = tasks(family, nodes).iter().map(Task::id).collect();
    let mut job = json!({
        "kind": "job",
        "metadata": metadata,
        "status": {"duration": 0, "tasks": tasks, "task_statuses": [], "running_records": []},
        "algorithm": algorithm,
        "spec": spec,
    });
    Policy::of(&job)?;
    Phase::Creating.set(&mut job);
    Ok(job)
}

fn metadata(metadata: &Metadata, origin: &Origin<'_>) -> Result<Value, ApiError> {
    let name = &metadata.name;
    if !is_name(name) {
        return Err(ApiError::parameter("metadata.name", "it is 1 to 64 letters, digits, underscores and hyphens"));
    }
    let description = metadata.description.as_deref().unwrap_or_default();
    description_fits("metadata.description", description)?;
    let mut document = json!({
        "id": origin.id,
        "name": name,
        "description": description,
        "create_time": origin.now,
        "workspace_id": metadata.workspace_id.as_deref().filter(|id| !id.is_empty()).unwrap_or("0"),
        "user_name": origin.user_name,
    });
    if let Some(annotations) = &metadata.annotations {
        document["annotations"] =
            annotations.iter().map(|(name, value)| (name.clone(), json!(text(value)))).collect::<Map<_, _>>().into();
    }
    if let Some(experiment) = metadata.training_experiment_reference.as_ref().filter(|reference| lacks::is_something(reference))
    {
        let kept = ["id", "name"].into_iter().filter_map(|key| Some((key.to_owned(), json!(experiment[key].as_str()?))));
        document["training_experiment_reference"] = kept.collect::<Map<_, _>>().into();
    }
    Ok(document)
}

/// Refuses a description of more than 256 characters.
pub(crate) fn description_fits(name: &str, description: &str) -> Result<(), ApiError> {
    match description.chars().count() {
        0..=256 => Ok(()),
        _ => Err(ApiError::parameter(name, "it is at most 256 characters")),
    }
}

fn wanted_engine(algorithm: &Algorithm) -> Result<Option<Engine>, ApiError> {
    let given = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
    let Some(wanted) = &algorithm.engine else { return Ok(None) };
    let (id, name, version) = (given(&wanted.engine_id), given(&wanted.engine_name), given(&wanted.engine_version));
    if given(&wanted.image_url).is_some() || (id.is_none() && name.is_none() && version.is_none()) {
        return Ok(None);
    }
    match engine::find(id.as_deref(), name.as_deref(), version.as_deref()) {
        Some(engine) => Ok(Some(engine)),
        None => {
            let named = [id, name, version].into_iter().flatten().collect::<Vec<_>>().join(" ");
            Err(ApiError::bad("ModelArts.2780", format!("AI engine(id:{named}) not found.")))
        }
    }
}

fn algorithm(wanted: &Algorithm, engine: Option<&Engine>) -> Result<Value, ApiError> {
    let given = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
    if given(&wanted.id).or(given(&wanted.subscription_id)).is_some() {
        return Err(ApiError::bad("ModelArts.2755", "algorithm not found: this platform keeps no algorithms yet."));
    }
    let mut document = Map::new();
    let (code, boot, command) = (given(&wanted.code_dir), given(&wanted.boot_file), given(&wanted.command));
    let image = wanted.engine.as_ref().and_then(|engine| given(&engine.image_url));
    boots(code.as_deref(), boot.as_deref(), command.as_deref(), engine, image.is_some())?;
    for (name, value) in [("code_dir", code), ("boot_file", boot), ("command", command)] {
        document.extend(value.map(|value| (name.to_owned(), json!(value))));
    }
    if let Some(folder) = given(&wanted.working_dir) {
        absolute("algorithm.working_dir", &folder)?;
        document.insert("working_dir".into(), json!(folder));
    }
    let local = given(&wanted.local_code_dir).unwrap_or_else(|| JOB_DIR.to_owned());
    absolute("algorithm.local_code_dir", &local)?;
    if !local.starts_with("/home/") {
        return Err(ApiError::parameter("algorithm.local_code_dir", "it is a folder below /home"));
    }
    document.insert("local_code_dir".into(), json!(local));
    document.insert("parameters".into(), parameters(wanted.parameters.as_deref().unwrap_or_default())?);
    document.insert("inputs".into(), channels("inputs", wanted.inputs.as_deref().unwrap_or_default())?);
    document.insert("outputs".into(), channels("outputs", wanted.outputs.as_deref().unwrap_or_default())?);
    document.insert("environments".into(), environments(wanted.environments.as_ref())?);
    let mut named = Map::new();
    if let Some(engine) = engine {
        named.insert("engine_id".into(), json!(engine.id));
        named.insert("engine_name".into(), json!(engine.name));
        named.insert("engine_version".into(), json!(engine.id));
    } else if let Some(image) = image {
        named.insert("image_url".into(), json!(image));
        let user = wanted.engine.as_ref().and_then(|engine| engine.run_user.as_ref()).map(text);
        if let Some(user) = user.filter(|user| !user.is_empty()) {
            if user.parse::<u16>().is_err() {
                return Err(ApiError::parameter("algorithm.engine.run_user", "it is a number from 0 to 65535"));
            }
            named.insert("run_user".into(), json!(user));
        }
    }
    if !named.is_empty() {
        document.insert("engine".into(), Value::Object(named));
    }
    Ok(Value::Object(document))
}

/// Checks that there is something to start.
fn boots(
    code: Option<&str>,
    boot: Option<&str>,
    command: Option<&str>,
    engine: Option<&Engine>,
    image: bool,
) -> Result<(), ApiError> {
    let code = code.map(|code| {
        ObsPlace::parse(code).ok_or_else(|| ApiError::bad("ModelArts.2757", format!("code directory path error: {code}.")))
    });
    let code = code.transpose()?;
    match (boot, command) {
        (None, None) => Err(ApiError::bad("ModelArts.2806", "A job needs a boot_file with an engine, or a command.")),
        (None, Some(_)) => Ok(()),
        (Some(_), _) if engine.is_none() && !image => {
            Err(ApiError::bad("ModelArts.2780", "AI engine(id:) not found: a boot_file needs an engine."))
        }
        (Some(boot), _) => {
            let code = code
                .ok_or_else(|| ApiError::bad("ModelArts.2757", "code directory path error: a boot_file needs a code_dir."))?;
            boot_relative(&code, boot).map(|_| ())
        }
    }
}

/// The boot file relative to the code directory. It may be spelled in full or be relative already.
pub(crate) fn boot_relative(code: &ObsPlace, boot: &str) -> Result<String, ApiError> {
    let relative = match ObsPlace::parse(boot) {
        Some(place) => {
            let folder = code.folder();
            let outside = || ApiError::bad("ModelArts.2792", "The boot_file does not belong to the code_dir directory.");
            if place.bucket != folder.bucket {
                return Err(outside());
            }
            place.key.strip_prefix(&folder.key).ok_or_else(outside)?.to_owned()
        }
        None => boot.to_owned(),
    };
    let odd = |part: &str| part.is_empty() || part == "." || part == "..";
    if !relative.ends_with(".py") || relative.split('/').any(odd) {
        return Err(ApiError::bad("ModelArts.2758", format!("code startup file path error: {boot}.")));
    }
    Ok(relative)
}

fn parameters(parameters: &[Parameter]) -> Result<Value, ApiError> {
    let mut document = Vec::new();
    for parameter in parameters {
        let name = parameter.name.as_deref().unwrap_or_default();
        if name.is_empty() || name.contains(|character: char| character.is_whitespace() || character == '=') {
            return Err(ApiError::parameter("algorithm.parameters.name", "a name has no spaces and no equals sign"));
        }
        document.push(json!({"name": name, "value": parameter.value.as_ref().map(text).unwrap_or_default()}));
    }
    Ok(Value::Array(document))
}

fn channels(kind: &str, channels: &[Channel]) -> Result<Value, ApiError> {
    let mut document: Vec<Value> = Vec::new();
    for (index, channel) in channels.iter().enumerate() {
        let field = |name: &str| format!("algorithm.{kind}[{index}].{name}");
        if !is_name(&channel.name) {
            return Err(ApiError::parameter(&field("name"), "it is 1 to 64 letters, digits, underscores and hyphens"));
        }
        if document.iter().any(|other| other["name"] == json!(channel.name)) {
            return Err(ApiError::bad("ModelArts.2753", format!("Two {kind} have the name {}.", channel.name)));
        }
        if channel.remote.get("dataset").is_some_and(Value::is_object) {
            return Err(ApiError::bad("ModelArts.2783", "Dataset not found: this platform keeps no datasets yet."));
        }
        let Some(url) = channel.remote["obs"]["obs_url"].as_str().filter(|url| !url.is_empty()) else {
            return Err(ApiError::bad("ModelArts.2753", format!("{} is missing.", field("remote.obs.obs_url"))));
        };
        place(&field("remote.obs.obs_url"), url)?;
        let access = channel.access_method.as_deref().filter(|access| !access.is_empty()).unwrap_or("parameter");
        if !["parameter", "env"].contains(&access) {
            return Err(ApiError::parameter(&field("access_method"), "it is parameter or env"));
        }
        let default = || format!("{MOUNT}/{kind}/{}_{index}", channel.name);
        let local = channel.local_dir.clone().filter(|folder| !folder.is_empty()).unwrap_or_else(default);
        absolute(&field("local_dir"), &local)?;
        let mut shown = json!({
            "name": channel.name, "local_dir": local, "access_method": access, "remote": {"obs": {"obs_url": url}},
        });
        if let (Some(true), "outputs") = (channel.prefetch_to_local, kind) {
            shown["prefetch_to_local"] = json!(true);
        }
        document.push(shown);
    }
    Ok(Value::Array(document))
}

/// The API takes variables as one object and gives them as a list of objects.
fn environments(variables: Option<&BTreeMap<String, Value>>) -> Result<Value, ApiError> {
    let Some(variables) = variables.filter(|variables| !variables.is_empty()) else { return Ok(json!([])) };
    if variables.len() > 100 {
        return Err(ApiError::bad("ModelArts.2816", "The parameter(algorithm.environments) exceeds the upper limit 100."));
    }
    let mut document = Map::new();
    for (name, value) in variables {
        let value = text(value);
        let letter = |character: char| character.is_ascii_alphabetic() || character == '_';
        if !name.starts_with(letter) || !name.chars().all(|character| letter(character) || character.is_ascii_digit()) {
            let reason = "a name is letters, digits and underscores, and does not begin with a digit";
            return Err(ApiError::parameter(&format!("algorithm.environments.{name}"), reason));
        }
        if value.chars().count() > 4096 || value.contains(['$', '\0']) {
            let reason = "a value is at most 4096 characters without a dollar sign";
            return Err(ApiError::parameter(&format!("algorithm.environments.{name}"), reason));
        }
        document.insert(name.clone(), json!(value));
    }
    Ok(json!([document]))
}

fn resource(wanted: Resource, origin: &Origin<'_>) -> Result<(Value, u32), ApiError> {
    if let Some(pool) = wanted.pool_id.as_deref().filter(|pool| !pool.is_empty() && *pool != POOL) {
        return Err(ApiError::no_pool(pool));
    }
    let id = wanted.flavor_id.unwrap_or_default();
    let Some(flavor) = Flavor::find(&id) else {
        return Err(ApiError::bad("ModelArts.2781", format!("Flavor ({id}) not found.")));
    };
    let nodes = wanted.node_count.unwrap_or(1);
    if !(1..=MOST_NODES).contains(&nodes) {
        let message = format!("The number of flavor instances ({nodes}) exceeds the maximum ({MOST_NODES}).");
        return Err(ApiError::bad("ModelArts.2793", message));
    }
    let (slots, capacity) = (origin.slots, origin.capacity);
    if let Some(kind) = flavor.card_kind.filter(|&kind| capacity.cards(kind) == 0) {
        let kind = if kind == CardKind::Gpu { "NVIDIA" } else { "Ascend" };
        let message = format!("Flavor ({id}) not found: this platform has no {kind} cards.");
        return Err(ApiError::bad("ModelArts.2781", message));
    }
    if flavor.slots(slots) * nodes > slots {
        let maximum = slots / flavor.slots(slots);
        let message = format!(
            "The number of flavor instances ({nodes}) exceeds the maximum ({maximum}): this platform has {slots} slots, \
             and {id} takes {} of them. Start it with more slots, or choose a smaller flavor.",
            flavor.slots(slots)
        );
        return Err(ApiError::bad("ModelArts.2793", message));
    }
    if let Some(excess) = Share::of(flavor, nodes, slots, capacity).excess(slots, capacity) {
        let message = format!("The number of flavor instances ({nodes}) exceeds the maximum: the job {excess}.");
        return Err(ApiError::bad("ModelArts.2793", message));
    }
    let mut document = json!({
        "policy": wanted.policy.filter(|policy| !policy.is_empty()).unwrap_or_else(|| "regular".to_owned()),
        "flavor_id": flavor.id,
        "flavor_name": flavor.name,
        "node_count": nodes,
        "flavor_detail": flavor.detail(),
    });
    if wanted.pool_id.is_some_and(|pool| !pool.is_empty()) {
        document["pool_id"] = json!(POOL);
        document["pool_name"] = json!("local");
    }
    Ok((document, nodes))
}

/// A value as a string: clients send numbers and booleans where the API says string.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

fn place(name: &str, url: &str) -> Result<(), ApiError> {
    match ObsPlace::parse(url) {
        Some(_) => Ok(()),
        None => Err(ApiError::bad(
            "ModelArts.2791",
            format!("Invalid obs path: {url}, reason: {name} is /bucket/key or obs://bucket/key."),
        )),
    }
}

fn absolute(name: &str, path: &str) -> Result<(), ApiError> {
    if path.starts_with('/') && !path.split('/').any(|part| part == "..") {
        Ok(())
    } else {
        Err(ApiError::parameter(name, "it is an absolute path"))
    }
}
