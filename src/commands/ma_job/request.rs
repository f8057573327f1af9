//! From what the user said to what is sent.

use serde_json::Value;

use crate::api::Api;
use crate::api::modelarts::training_job::{self, CreateRequest, DATASET, Folder, Restart};
use crate::commands::ma_job::spec::{DATA_INPUT, Spec};
use crate::error::{Error, Kind};

/// Flavor mode that is the service's default and needs no saying.
pub(super) const DEFAULT_POLICY: &str = "regular";

/// The request for a job.
///
/// # Errors
/// Something is said of an input or output that there is not.
pub(super) fn build(mut spec: Spec) -> Result<CreateRequest, Error> {
    let mut inputs = spec.inputs.take().unwrap_or_default();
    if let Some(mut url) = spec.texts.remove("data-url").filter(|text| !text.is_empty()) {
        // It is a folder, whereas an input without a slash at the end may be an object.
        if !url.ends_with('/') && !url.starts_with(DATASET) {
            url.push('/');
        }
        // The documented job files name the same folder as `data-url` and as an input `data_url`.
        if !inputs.iter().any(|input| input.name == DATA_INPUT) {
            inputs.insert(0, Folder { name: DATA_INPUT.to_owned(), url, ..Folder::default() });
        }
    }
    let mut outputs = spec.outputs.take().unwrap_or_default();
    mark(&spec, "input-env", &mut inputs, |folder| folder.as_variable = true)?;
    mark(&spec, "output-env", &mut outputs, |folder| folder.as_variable = true)?;
    mark(&spec, "predownload", &mut outputs, |folder| folder.predownload = true)?;
    let restart = Restart {
        times: spec.numbers.get("auto-restart").copied().unwrap_or_default(),
        is_unconditional: spec.is_set("unconditional-restart"),
        on_hang: spec.is_set("restart-on-hang"),
    };
    let (number, preemptible) = (|key: &str| spec.numbers.get(key).copied(), spec.is_set("preemptible"));
    let mut take = |key: &str| spec.texts.remove(key).filter(|text| !text.is_empty());
    Ok(CreateRequest {
        name: take("name").unwrap_or_else(generated_name),
        description: take("description"),
        workspace_id: take("workspace-id"),
        experiment: take("experiment"),
        algorithm_id: take("algorithm-id"),
        subscription_id: take("subscription-id"),
        item_version_id: take("item-version-id"),
        code_dir: take("code-dir"),
        boot_file: take("boot-file"),
        engine_id: None,
        engine_name: take("framework-type"),
        engine_version: take("framework-version"),
        image_url: take("image-url"),
        command: take("user-command"),
        run_user: take("uid"),
        local_code_dir: take("local-code-dir"),
        working_dir: take("working-dir"),
        parameters: spec.parameters.unwrap_or_default(),
        inputs,
        outputs,
        environment: spec.pairs.remove("env-variables").unwrap_or_default(),
        policies: spec.policies,
        flavor_id: take("train-instance-type"),
        node_count: number("train-instance-count").unwrap_or(1),
        pool_id: take("pool-id"),
        policy: take("policy").filter(|policy| policy != DEFAULT_POLICY),
        priority: number("priority"),
        preemptible,
        affinity: take("affinity"),
        custom_metrics: take("custom-metrics"),
        ssh_keys: spec.names.remove("ssh-key").unwrap_or_default(),
        log_url: take("log-url"),
        volumes: spec.volumes.unwrap_or_default(),
        restart,
        auto_stop: number("auto-stop"),
        notification: spec.notification,
        tags: spec.pairs.remove("tag").unwrap_or_default(),
    })
}

/// Says something of the folders that a key names.
fn mark(spec: &Spec, key: &str, folders: &mut [Folder], say: impl Fn(&mut Folder)) -> Result<(), Error> {
    for name in spec.names.get(key).into_iter().flatten() {
        let Some(folder) = folders.iter_mut().find(|folder| folder.name == *name) else {
            let known: Vec<_> = folders.iter().map(|folder| folder.name.as_str()).collect();
            let known = if known.is_empty() { "there is none".to_owned() } else { format!("there are: {}", known.join(", ")) };
            let what = if key.starts_with("input") { "input" } else { "output" };
            return Err(Error::new(Kind::Config, format!("{key}: the job has no {what} [{name}]")).hint(known));
        };
        say(folder);
    }
    Ok(())
}

/// Users name engines by what `get-engine` shows; ids and versions coincide for new engines only, so the list is asked. What is
/// not in the list is sent as it is: the service decides.
pub(super) async fn find_engine(api: &Api, request: &mut CreateRequest) {
    let Some(version) = request.engine_version.clone() else { return };
    match training_job::engines(api).await {
        Ok(engines) => choose_engine(&engines, &version, request),
        Err(error) => tracing::debug!("the engine list cannot be read: {error}"),
    }
}

fn choose_engine(engines: &[Value], version: &str, request: &mut CreateRequest) {
    let is_asked_for = |engine: &&Value| {
        let named = request.engine_name.as_deref().is_none_or(|name| engine["engine_name"].as_str() == Some(name));
        named && ["engine_id", "engine_version"].iter().any(|key| engine[key].as_str() == Some(version))
    };
    if let Some(engine) = engines.iter().find(is_asked_for) {
        let text = |key: &str| engine[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        request.engine_id = text("engine_id");
        request.engine_name = text("engine_name").or_else(|| request.engine_name.take());
        request.engine_version = text("engine_version").or_else(|| request.engine_version.take());
    }
}

/// A name that says nothing but is unlikely to be taken.
pub(super) fn generated_name() -> String {
    format!("job-{:08x}", fastrand::u32(..))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{build, choose_engine};
    use crate::api::modelarts::training_job::Folder;
    use crate::commands::ma_job::spec::Spec;

    fn spec(texts: &[(&'static str, &str)]) -> Spec {
        Spec { texts: texts.iter().map(|(key, text)| (*key, (*text).to_owned())).collect(), ..Spec::default() }
    }

    #[test]
    fn the_data_folder_is_the_first_input_once() {
        let folder = |name: &str, url: &str| Folder { name: name.to_owned(), url: url.to_owned(), ..Folder::default() };
        let mut both = spec(&[("data-url", "obs://b/d")]);
        both.inputs = Some(vec![folder("x", "obs://b/x/")]);
        assert_eq!(build(both.clone()).unwrap().inputs, [folder("data_url", "obs://b/d/"), folder("x", "obs://b/x/")]);
        both.inputs = Some(vec![folder("data_url", "obs://b/other/")]);
        assert_eq!(build(both).unwrap().inputs, [folder("data_url", "obs://b/other/")]);
    }

    #[test]
    fn what_is_not_said_has_defaults() {
        let request = build(spec(&[("policy", "regular"), ("description", ""), ("image-url", "o/i:t")])).unwrap();
        assert_eq!((request.node_count, request.policy.clone(), request.description.clone()), (1, None, None));
        assert!(request.name.starts_with("job-") && request.document().is_ok());
        assert_ne!(build(Spec::default()).unwrap().name, build(Spec::default()).unwrap().name);
        assert_eq!(build(spec(&[("policy", "turbo")])).unwrap().policy.as_deref(), Some("turbo"));
    }

    #[test]
    fn engines_are_found_by_id_or_version() {
        let engines = [
            json!({"engine_id": "old-id", "engine_name": "TF", "engine_version": "TF-1.13"}),
            json!({"engine_id": "new", "engine_name": "PyTorch", "engine_version": "new"}),
        ];
        let asked = |name: &str, version: &str| {
            let mut request = build(spec(&[("framework-type", name), ("framework-version", version)])).unwrap();
            choose_engine(&engines, version, &mut request);
            (request.engine_id, request.engine_name, request.engine_version)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(asked("TF", "TF-1.13"), (some("old-id"), some("TF"), some("TF-1.13")));
        assert_eq!(asked("TF", "old-id"), (some("old-id"), some("TF"), some("TF-1.13")));
        assert_eq!(asked("", "new"), (some("new"), some("PyTorch"), some("new")));
        assert_eq!(asked("PyTorch", "TF-1.13"), (None, some("PyTorch"), some("TF-1.13")));
    }

    #[test]
    fn folders_are_marked_by_name() {
        let mut marked = spec(&[("data-url", "obs://b/d")]);
        marked.outputs = Some(vec![Folder { name: "o".to_owned(), url: "obs://b/o/".to_owned(), ..Folder::default() }]);
        marked.names.insert("input-env", vec!["data_url".to_owned()]);
        marked.names.insert("predownload", vec!["o".to_owned()]);
        let request = build(marked.clone()).unwrap();
        assert!(request.inputs[0].as_variable && request.outputs[0].predownload && !request.outputs[0].as_variable);
        marked.names.insert("output-env", vec!["p".to_owned()]);
        let error = build(marked).unwrap_err();
        assert_eq!(
            (error.message.as_str(), error.hints[0].as_str()),
            ("output-env: the job has no output [p]", "there are: o")
        );
    }
}
