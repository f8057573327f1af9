//! The document that is sent for a job.

use serde_json::{Map, Value, json};

use crate::api::Error;
use crate::api::modelarts::training_request::{CreateRequest, DATASET, Folder, Volume};

/// The body of `POST /v2/{project_id}/training-jobs`.
pub(super) fn build(request: &CreateRequest) -> Result<Value, Error> {
    let mut document =
        json!({"kind": "job", "metadata": request.metadata(), "algorithm": request.algorithm()?, "spec": request.spec()?});
    if !request.ssh_keys.is_empty() {
        document["endpoints"] = json!({"ssh": {"key_pair_names": request.ssh_keys}});
    }
    Ok(document)
}

impl CreateRequest {
    fn metadata(&self) -> Map<String, Value> {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), json!(self.name));
        put(&mut metadata, "workspace_id", &self.workspace_id);
        put(&mut metadata, "description", &self.description);
        let mut annotations = Map::new();
        let restart = &self.restart;
        if restart.times > 0 {
            annotations.insert("fault-tolerance/job-retry-num".to_owned(), json!(restart.times.to_string()));
        }
        for (key, is_set) in [
            ("fault-tolerance/job-unconditional-retry", restart.is_unconditional),
            ("fault-tolerance/hang-retry", restart.on_hang),
        ] {
            if is_set {
                annotations.insert(key.to_owned(), json!("true"));
            }
        }
        if !annotations.is_empty() {
            metadata.insert("annotations".to_owned(), Value::Object(annotations));
        }
        if let Some(experiment) = &self.experiment {
            let key = if uuid::Uuid::parse_str(experiment).is_ok() { "id" } else { "name" };
            metadata.insert("training_experiment_reference".to_owned(), json!({key: experiment}));
        }
        metadata
    }

    fn spec(&self) -> Result<Map<String, Value>, Error> {
        let mut resource = Map::new();
        put(&mut resource, "flavor_id", &self.flavor_id);
        resource.insert("node_count".to_owned(), json!(self.node_count));
        put(&mut resource, "pool_id", &self.pool_id);
        put(&mut resource, "policy", &self.policy);
        let mut spec = Map::new();
        spec.insert("resource".to_owned(), Value::Object(resource));
        if let Some(url) = &self.log_url {
            spec.insert("log_export_path".to_owned(), json!({"obs_url": folder_path(url)?}));
        }
        if !self.volumes.is_empty() {
            spec.insert("volumes".to_owned(), self.volumes.iter().map(volume_document).collect::<Result<Value, _>>()?);
        }
        if let Some(hours) = self.auto_stop {
            spec.insert("auto_stop".to_owned(), json!({"time_unit": "HOURS", "duration": hours}));
        }
        let mut schedule = Map::new();
        if let Some(priority) = self.priority {
            schedule.insert("priority".to_owned(), json!(priority));
        }
        if self.preemptible {
            schedule.insert("preemptible".to_owned(), json!(true));
        }
        if let Some(affinity) = &self.affinity {
            schedule.insert("required_affinity".to_owned(), json!({"affinity_type": affinity}));
        }
        if let Some(text) = &self.custom_metrics {
            spec.insert("custom_metrics".to_owned(), json!([custom_metrics(text)?]));
        }
        if !schedule.is_empty() {
            spec.insert("schedule_policy".to_owned(), Value::Object(schedule));
        }
        if let Some(notification) = &self.notification {
            let told = json!({"topic_urn": notification.topic_urn, "events": notification.events});
            spec.insert("notification".to_owned(), told);
        }
        Ok(spec)
    }

    fn algorithm(&self) -> Result<Value, Error> {
        let mut algorithm = Map::new();
        put(&mut algorithm, "id", &self.algorithm_id);
        put(&mut algorithm, "subscription_id", &self.subscription_id);
        put(&mut algorithm, "item_version_id", &self.item_version_id);
        let code_dir = self.code_dir.as_deref().map(folder_path).transpose()?;
        if let Some(boot_file) = &self.boot_file {
            algorithm.insert("boot_file".to_owned(), json!(boot_path(code_dir.as_deref(), boot_file)?));
        }
        put(&mut algorithm, "code_dir", &code_dir);
        put(&mut algorithm, "command", &self.command);
        put(&mut algorithm, "local_code_dir", &self.local_code_dir);
        put(&mut algorithm, "working_dir", &self.working_dir);
        let mut engine = Map::new();
        put(&mut engine, "engine_id", &self.engine_id);
        put(&mut engine, "engine_name", &self.engine_name);
        put(&mut engine, "engine_version", &self.engine_version);
        put(&mut engine, "image_url", &self.image_url);
        put(&mut engine, "run_user", &self.run_user);
        if !engine.is_empty() {
            algorithm.insert("engine".to_owned(), Value::Object(engine));
        }
        if !self.parameters.is_empty() {
            let parameter =
                |(name, value): &(String, Option<String>)| json!({"name": name, "value": value.as_deref().unwrap_or_default()});
            algorithm.insert("parameters".to_owned(), self.parameters.iter().map(parameter).collect());
        }
        if let Some(policies) = &self.policies {
            algorithm.insert("policies".to_owned(), policies.clone());
        }
        // An input may be a single object, which a slash at the end would hide.
        let input = |folder: &Folder| folder_document(folder, object_path);
        let output = |folder: &Folder| folder_document(folder, folder_path);
        if !self.inputs.is_empty() {
            algorithm.insert("inputs".to_owned(), self.inputs.iter().map(input).collect::<Result<Value, _>>()?);
        }
        if !self.outputs.is_empty() {
            algorithm.insert("outputs".to_owned(), self.outputs.iter().map(output).collect::<Result<Value, _>>()?);
        }
        if !self.environment.is_empty() {
            let variables: Map<String, Value> =
                self.environment.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            algorithm.insert("environments".to_owned(), Value::Object(variables));
        }
        Ok(Value::Object(algorithm))
    }
}

fn invalid<T>(message: String) -> Result<T, Error> {
    Err(Error::Invalid(message))
}

fn put(members: &mut Map<String, Value>, key: &str, value: &Option<String>) {
    if let Some(value) = value {
        members.insert(key.to_owned(), json!(value));
    }
}

/// The service takes ports from 10001 to 20000, and commands of exactly two words of letters, digits and `-_./`.
fn custom_metrics(text: &str) -> Result<Value, Error> {
    if let Some((port, path)) = text.strip_prefix("http://:").and_then(|rest| rest.split_once('/')) {
        let port = port.parse().ok().filter(|port| (10_001..=20_000_u16).contains(port));
        if let Some(port) = port.filter(|_| (1..=127).contains(&path.len())) {
            return Ok(json!({"http_get": {"port": port, "path": format!("/{path}")}}));
        }
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_plain = |word: &&str| word.chars().all(|character| character.is_ascii_alphanumeric() || "-_./".contains(character));
    if words.len() == 2 && words.iter().all(is_plain) {
        return Ok(json!({"exec": {"command": words}}));
    }
    invalid(format!(
        "custom-metrics [{text}] is neither http://:PORT/PATH with a port from 10001 to 20000 nor a command with one argument"
    ))
}

fn volume_document(volume: &Volume) -> Result<Value, Error> {
    Ok(if !volume.pfs_path.is_empty() {
        json!({"pfs": {"pfs_path": volume.pfs_path, "local_path": volume.local_path}})
    } else if !volume.obs_path.is_empty() {
        json!({"obs": {"obs_path": folder_path(&volume.obs_path)?, "local_path": volume.local_path}})
    } else {
        json!({"nfs": {"nfs_server_path": volume.nfs_server_path, "local_path": volume.local_path, "read_only": volume.read_only}})
    })
}

fn folder_document(folder: &Folder, path: fn(&str) -> Result<String, Error>) -> Result<Value, Error> {
    if folder.name.is_empty() {
        return invalid(format!("the folder [{}] has no name; write name=obs://bucket/path/", folder.url));
    }
    let remote = match folder.url.strip_prefix(DATASET) {
        Some(dataset) => {
            let (id, version) = dataset.trim_end_matches('/').split_once('/').unwrap_or((dataset.trim_end_matches('/'), ""));
            let mut members = Map::new();
            members.insert("id".to_owned(), json!(id));
            put(&mut members, "version_id", &Some(version.to_owned()).filter(|version| !version.is_empty()));
            json!({"dataset": members})
        }
        None => json!({"obs": {"obs_url": path(&folder.url)?}}),
    };
    let mut document = Map::new();
    document.insert("name".to_owned(), json!(folder.name));
    put(&mut document, "local_dir", &folder.local_dir);
    if folder.as_variable {
        document.insert("access_method".to_owned(), json!("env"));
    }
    if folder.predownload {
        // The name that the vendor's own samples send; the catalogues do not have it.
        document.insert("prefetch_to_local".to_owned(), json!(true));
    }
    document.insert("remote".to_owned(), remote);
    Ok(Value::Object(document))
}

/// An address as the service writes it: `obs://bucket/path` becomes `/bucket/path/`. `file://` stays.
fn folder_path(url: &str) -> Result<String, Error> {
    let mut path = object_path(url)?;
    if !path.ends_with('/') {
        path.push('/');
    }
    Ok(path)
}

fn object_path(url: &str) -> Result<String, Error> {
    if url.starts_with("file://") {
        return Ok(url.to_owned());
    }
    let rest = url.strip_prefix("obs://").or_else(|| url.strip_prefix("s3://")).or_else(|| url.strip_prefix('/'));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Ok(format!("/{rest}")),
        _ => invalid(format!("[{url}] is no OBS path; write obs://bucket/path/")),
    }
}

/// The boot file stands below the folder of the code; it may be given relative to it or as a whole.
fn boot_path(code_dir: Option<&str>, boot_file: &str) -> Result<String, Error> {
    let is_whole = ["obs://", "s3://", "file://", "/"].iter().any(|start| boot_file.starts_with(start));
    if is_whole {
        let path = object_path(boot_file)?;
        return match code_dir {
            Some(folder) if !path.starts_with(folder) => {
                invalid(format!("boot-file [{boot_file}] is not in code-dir [{folder}]"))
            }
            _ => Ok(path),
        };
    }
    match code_dir {
        Some(folder) => Ok(format!("{folder}{}", boot_file.trim_start_matches("./"))),
        None => invalid(format!("boot-file [{boot_file}] needs a code-dir")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::modelarts::training_request::{CreateRequest, Folder, Notification, Restart, Volume};

    fn request() -> CreateRequest {
        CreateRequest { name: "job-1".to_owned(), node_count: 1, ..CreateRequest::default() }
    }

    #[test]
    fn a_whole_request_becomes_the_documented_body() {
        let some = |text: &str| Some(text.to_owned());
        let folder = |name: &str, url: &str| Folder { name: name.to_owned(), url: url.to_owned(), ..Folder::default() };
        let request = CreateRequest {
            description: some("d"),
            workspace_id: some("0"),
            code_dir: some("obs://b/code"),
            boot_file: some("./main.py"),
            engine_name: some("PyTorch"),
            engine_version: some("pytorch_1.8.0"),
            local_code_dir: some("/home/ma-user/code"),
            working_dir: some("/home/ma-user/code"),
            parameters: vec![("epoch".to_owned(), some("10")), ("pretrained".to_owned(), None)],
            inputs: vec![folder("data_url", "obs://b/data/")],
            outputs: vec![folder("train_url", "s3://b/out")],
            environment: vec![("A".to_owned(), "1".to_owned())],
            flavor_id: some("modelarts.vm.cpu.2u"),
            node_count: 2,
            pool_id: some("pool-1"),
            log_url: some("/b/log"),
            volumes: vec![Volume {
                nfs_server_path: "h:/".to_owned(),
                local_path: "/mnt".to_owned(),
                read_only: true,
                ..Volume::default()
            }],
            ..request()
        };
        let expected = json!({
            "kind": "job",
            "metadata": {"name": "job-1", "workspace_id": "0", "description": "d"},
            "algorithm": {
                "boot_file": "/b/code/main.py", "code_dir": "/b/code/",
                "local_code_dir": "/home/ma-user/code", "working_dir": "/home/ma-user/code",
                "engine": {"engine_name": "PyTorch", "engine_version": "pytorch_1.8.0"},
                "parameters": [{"name": "epoch", "value": "10"}, {"name": "pretrained", "value": ""}],
                "inputs": [{"name": "data_url", "remote": {"obs": {"obs_url": "/b/data/"}}}],
                "outputs": [{"name": "train_url", "remote": {"obs": {"obs_url": "/b/out/"}}}],
                "environments": {"A": "1"},
            },
            "spec": {
                "resource": {"flavor_id": "modelarts.vm.cpu.2u", "node_count": 2, "pool_id": "pool-1"},
                "log_export_path": {"obs_url": "/b/log/"},
                "volumes": [{"nfs": {"nfs_server_path": "h:/", "local_path": "/mnt", "read_only": true}}],
            },
        });
        assert_eq!(request.document().unwrap(), expected);
    }

    #[test]
    fn an_input_may_be_one_object_and_an_output_is_a_folder() {
        let folder = |url: &str| vec![Folder { name: "cfg".to_owned(), url: url.to_owned(), ..Folder::default() }];
        let command = Some("run".to_owned());
        let request = CreateRequest { command, inputs: folder("obs://b/c.json"), outputs: folder("obs://b/out"), ..request() };
        let algorithm = &request.document().unwrap()["algorithm"];
        assert_eq!(algorithm["inputs"][0]["remote"]["obs"]["obs_url"], "/b/c.json");
        assert_eq!(algorithm["outputs"][0]["remote"]["obs"]["obs_url"], "/b/out/");
    }

    #[test]
    fn every_field_has_its_place() {
        let some = |text: &str| Some(text.to_owned());
        let whole = CreateRequest {
            algorithm_id: some("a1"),
            experiment: some("digits"),
            restart: Restart { times: 3, is_unconditional: true, on_hang: true },
            auto_stop: Some(4),
            priority: Some(2),
            preemptible: true,
            affinity: some("cabinet"),
            custom_metrics: some("http://:10001/m"),
            ssh_keys: vec!["mine".to_owned()],
            notification: Some(Notification { topic_urn: "urn:smn:r:p:t".to_owned(), events: vec!["JobFailed".to_owned()] }),
            inputs: vec![Folder {
                name: "d".to_owned(),
                url: "dataset://D1/V2".to_owned(),
                as_variable: true,
                ..Folder::default()
            }],
            outputs: vec![Folder {
                name: "o".to_owned(),
                url: "obs://b/o/".to_owned(),
                predownload: true,
                local_dir: some("/home/ma-user/o"),
                ..Folder::default()
            }],
            volumes: vec![
                Volume { pfs_path: "p".to_owned(), local_path: "/p".to_owned(), ..Volume::default() },
                Volume { obs_path: "obs://b/v".to_owned(), local_path: "/v".to_owned(), ..Volume::default() },
            ],
            policies: Some(json!({"auto_search": {}})),
            ..request()
        };
        let document = whole.document().unwrap();
        assert_eq!(
            document["metadata"]["annotations"],
            json!({"fault-tolerance/job-retry-num": "3", "fault-tolerance/job-unconditional-retry": "true", "fault-tolerance/hang-retry": "true"})
        );
        assert_eq!(document["metadata"]["training_experiment_reference"], json!({"name": "digits"}));
        let expected = json!({
            "id": "a1", "policies": {"auto_search": {}},
            "inputs": [{"name": "d", "access_method": "env", "remote": {"dataset": {"id": "D1", "version_id": "V2"}}}],
            "outputs": [{"name": "o", "local_dir": "/home/ma-user/o", "prefetch_to_local": true, "remote": {"obs": {"obs_url": "/b/o/"}}}],
        });
        assert_eq!(document["algorithm"], expected);
        let expected = json!({
            "resource": {"node_count": 1},
            "volumes": [{"pfs": {"pfs_path": "p", "local_path": "/p"}}, {"obs": {"obs_path": "/b/v/", "local_path": "/v"}}],
            "auto_stop": {"time_unit": "HOURS", "duration": 4},
            "schedule_policy": {"priority": 2, "preemptible": true, "required_affinity": {"affinity_type": "cabinet"}},
            "custom_metrics": [{"http_get": {"port": 10001, "path": "/m"}}],
            "notification": {"topic_urn": "urn:smn:r:p:t", "events": ["JobFailed"]},
        });
        assert_eq!(document["spec"], expected);
        assert_eq!(document["endpoints"], json!({"ssh": {"key_pair_names": ["mine"]}}));
        for wrong in ["http://:80/m", "http://:10001/", "python", "sh -c 'x'"] {
            let request = CreateRequest { custom_metrics: some(wrong), command: some("run"), ..request() };
            assert!(request.document().unwrap_err().to_string().contains("custom-metrics"), "{wrong}");
        }
    }
}
