//! From a job's document to what the runner runs.

use serde_json::Value;

use crate::platform::modelarts::capacity::devices;
use crate::platform::modelarts::create::boot_relative;
use crate::platform::modelarts::engine;
use crate::platform::modelarts::flavor::Flavor;
use crate::platform::runner::Error;
use crate::platform::runner::layout::JOB_DIR;
use crate::platform::runner::plan::{Access, Boot, Channel, Image, JobPlan, ObsPlace};

/// Reads the plan from a document that [`create`](super::create) has built.
///
/// # Errors
/// The job asks for what this platform cannot run; the text is the reason of the `Abnormal` job.
pub(crate) fn plan(job: &Value) -> Result<JobPlan, Error> {
    let algorithm = &job["algorithm"];
    let resource = &job["spec"]["resource"];
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let image = text(&algorithm["engine"]["image_url"]).map(|name| {
        let user = algorithm["engine"]["run_user"].as_str().and_then(|user| user.parse().ok());
        Image { name, user }
    });
    let code = text(&algorithm["code_dir"]).and_then(|code| ObsPlace::parse(&code)).map(|code| code.folder());
    let boot = match (text(&algorithm["boot_file"]), text(&algorithm["command"]), &code) {
        (Some(file), _, Some(code)) => Boot::File(boot_relative(code, &file).map_err(|error| Error::Invalid(error.message))?),
        (_, Some(command), _) => Boot::Command(command),
        _ => return Err(Error::Invalid("the job has nothing to start".into())),
    };
    let flavor = Flavor::find(resource["flavor_id"].as_str().unwrap_or_default())
        .ok_or_else(|| Error::Unsupported("the job's flavor does not exist any more".into()))?;
    let pairs = |value: &Value| -> Vec<(String, String)> {
        let object = value.as_object().into_iter().flatten();
        object.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
    };
    let items = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    Ok(JobPlan {
        id: text(&job["metadata"]["id"]).unwrap_or_default(),
        code,
        local_code_dir: text(&algorithm["local_code_dir"]).unwrap_or_else(|| JOB_DIR.to_owned()),
        boot,
        working_dir: text(&algorithm["working_dir"]),
        engine: text(&algorithm["engine"]["engine_id"]).and_then(|id| engine::find(Some(&id), None, None)),
        image,
        inputs: channels(&algorithm["inputs"])?,
        outputs: channels(&algorithm["outputs"])?,
        parameters: items(&algorithm["parameters"])
            .iter()
            .map(|parameter| (text(&parameter["name"]).unwrap_or_default(), text(&parameter["value"]).unwrap_or_default()))
            .collect(),
        environment: items(&algorithm["environments"]).iter().flat_map(pairs).collect(),
        nodes: resource["node_count"].as_u64().and_then(|nodes| u32::try_from(nodes).ok()).unwrap_or(1),
        cards: flavor.cards,
        card_kind: flavor.card_kind,
        devices: devices(job),
        cores: flavor.cores,
        memory: flavor.bytes(),
        log: text(&job["spec"]["log_export_path"]["obs_url"]).and_then(|url| ObsPlace::parse(&url)).map(|place| place.folder()),
    })
}

fn channels(documents: &Value) -> Result<Vec<Channel>, Error> {
    let read = |document: &Value| {
        let remote = ObsPlace::parse(document["remote"]["obs"]["obs_url"].as_str()?)?;
        let access = if document["access_method"] == "env" { Access::Environment } else { Access::Parameter };
        let (name, local_dir) = (document["name"].as_str()?.to_owned(), document["local_dir"].as_str()?.to_owned());
        let predownload = document["prefetch_to_local"].as_bool().unwrap_or(false);
        Some(Channel { name, remote, local_dir, access, predownload })
    };
    let documents = documents.as_array().into_iter().flatten();
    documents.map(|document| read(document).ok_or_else(|| Error::Invalid("an input or output cannot be read".into()))).collect()
}
