//! From a job back to the description that would create it.

use serde_json::Value;

use crate::api::modelarts::training_job::{DATASET, Folder, Notification, TrainingJob, Volume};
use crate::commands::ma_job::request::DEFAULT_POLICY;
use crate::commands::ma_job::spec::Spec;

/// Where the service puts inputs and outputs whose place nobody chose.
const MOUNT: &str = "/home/ma-user/modelarts";

/// Parts of a job's document that no job file can say, and what they are called.
const LEFT_OUT: [(&str, &str); 4] = [
    ("/algorithm/autosearch_config_path", "the file of the search for hyperparameters"),
    ("/tasks", "tasks of several kinds"),
    ("/spec/schedule_policy/required_affinity/node_affinity", "the nodes it may run on"),
    ("/spec/resource/main_container_customized_flavor", "a flavor of its own"),
];

/// The description that would create this job once more, with these tags.
pub(super) fn spec(job: &TrainingJob, tags: Vec<(String, String)>) -> Spec {
    let mut spec = Spec::default();
    texts(job, &mut spec);
    let number = |pointer: &str| job.0.pointer(pointer).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
    let annotation = |key: &str| job.0["metadata"]["annotations"][key].as_str().map(str::to_owned);
    let numbers = [
        ("train-instance-count", number("/spec/resource/node_count").filter(|count| *count != 1)),
        ("priority", number("/spec/schedule_policy/priority").filter(|priority| *priority > 1)),
        ("auto-stop", number("/spec/auto_stop/duration").filter(|hours| *hours > 0)),
        (
            "auto-restart",
            annotation("fault-tolerance/job-retry-num").and_then(|times| times.parse().ok()).filter(|times| *times > 0),
        ),
    ];
    spec.numbers.extend(numbers.into_iter().filter_map(|(key, number)| Some((key, number?))));
    let is_true = |key: &str| annotation(key).is_some_and(|text| text == "true");
    let truths = [
        ("unconditional-restart", is_true("fault-tolerance/job-unconditional-retry")),
        ("restart-on-hang", is_true("fault-tolerance/hang-retry")),
        ("preemptible", job.0["spec"]["schedule_policy"]["preemptible"].as_bool().unwrap_or_default()),
    ];
    spec.truths.extend(truths.into_iter().filter(|(_, is_true)| *is_true));
    let keys: Vec<_> = list(job, "/endpoints/ssh/key_pair_names").filter_map(|name| name.as_str().map(str::to_owned)).collect();
    spec.names.extend((!keys.is_empty()).then_some(("ssh-key", keys)));
    spec.inputs = folders(job, "inputs");
    spec.outputs = folders(job, "outputs");
    let parameters: Vec<_> = list(job, "/algorithm/parameters")
        .map(|parameter| (member(parameter, "name"), Some(member(parameter, "value")).filter(|value| !value.is_empty())))
        .collect();
    spec.parameters = Some(parameters).filter(|parameters| !parameters.is_empty());
    let environment = environment(&job.0["algorithm"]["environments"]);
    spec.pairs.extend([("env-variables", environment), ("tag", tags)].into_iter().filter(|(_, pairs)| !pairs.is_empty()));
    let volumes: Vec<_> = list(job, "/spec/volumes").map(volume).collect();
    spec.volumes = Some(volumes).filter(|volumes| !volumes.is_empty());
    spec.notification = job.0.pointer("/spec/notification").filter(|told| !member(told, "topic_urn").is_empty()).map(|told| {
        let events = told["events"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        Notification { topic_urn: member(told, "topic_urn"), events }
    });
    spec.policies = job.0.pointer("/algorithm/policies").filter(|policies| is_something(policies)).cloned();
    spec
}

/// What of the job the description leaves out.
pub(super) fn left_out(job: &TrainingJob) -> Vec<&'static str> {
    let found = LEFT_OUT.iter().filter(|(pointer, _)| job.0.pointer(pointer).is_some_and(is_something));
    found.map(|(_, what)| *what).collect()
}

/// Hyperparameters whose values are secrets, by what the algorithm says of them.
pub(super) fn sensitive(job: &TrainingJob) -> Vec<String> {
    let is_secret = |parameter: &&Value| parameter.pointer("/constraint/sensitive").is_some_and(|secret| *secret == true);
    list(job, "/algorithm/parameters").filter(is_secret).map(|parameter| member(parameter, "name")).collect()
}

fn texts(job: &TrainingJob, spec: &mut Spec) {
    let mut put = |key: &'static str, text: String| {
        if !text.is_empty() {
            spec.texts.insert(key, text);
        }
    };
    put("name", job.name());
    put("description", job.description());
    put("workspace-id", Some(job.text("/metadata/workspace_id")).filter(|id| id != "0").unwrap_or_default());
    let experiment = "/metadata/training_experiment_reference";
    let name = job.text(&format!("{experiment}/name"));
    put("experiment", if name.is_empty() { job.text(&format!("{experiment}/id")) } else { name });
    let algorithm = job.text("/algorithm/id");
    let subscription = job.text("/algorithm/subscription_id");
    // What the algorithm says is not said again.
    let is_own_code = algorithm.is_empty() && subscription.is_empty();
    put("algorithm-id", if subscription.is_empty() { algorithm } else { String::new() });
    put("item-version-id", if subscription.is_empty() { String::new() } else { job.text("/algorithm/item_version_id") });
    put("subscription-id", subscription);
    if is_own_code {
        let code_dir = job.text("/algorithm/code_dir");
        let boot_file = job.text("/algorithm/boot_file");
        put("boot-file", below(&boot_file, &code_dir).unwrap_or(&boot_file).to_owned());
        put("code-dir", address(&code_dir));
        put("user-command", job.text("/algorithm/command"));
        let engine = |key: &str| job.text(&format!("/algorithm/engine/{key}"));
        put("image-url", engine("image_url"));
        put("uid", engine("run_user"));
        put("framework-type", engine("engine_name"));
        let version = engine("engine_version");
        put("framework-version", if version.is_empty() { engine("engine_id") } else { version });
    }
    put(
        "local-code-dir",
        Some(job.text("/algorithm/local_code_dir")).filter(|folder| *folder != job_dir()).unwrap_or_default(),
    );
    put("working-dir", job.text("/algorithm/working_dir"));
    put("train-instance-type", job.text("/spec/resource/flavor_id"));
    put("pool-id", job.text("/spec/resource/pool_id"));
    put("policy", Some(job.text("/spec/resource/policy")).filter(|policy| policy != DEFAULT_POLICY).unwrap_or_default());
    put("affinity", job.text("/spec/schedule_policy/required_affinity/affinity_type"));
    put("custom-metrics", job.0.pointer("/spec/custom_metrics/0").map(custom_metrics).unwrap_or_default());
    put("log-url", address(&job.text("/spec/log_export_path/obs_url")));
}

/// Where metrics are collected, as users write it.
fn custom_metrics(document: &Value) -> String {
    match document["http_get"]["port"].as_u64() {
        Some(port) => format!("http://:{port}{}", member(&document["http_get"], "path")),
        None => {
            let words = document["exec"]["command"].as_array().into_iter().flatten();
            words.filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
    }
}

/// The path of a file below a folder, whose address may lack the slash at its end.
fn below<'a>(file: &'a str, folder: &str) -> Option<&'a str> {
    let folder = Some(folder.trim_end_matches('/')).filter(|folder| !folder.is_empty())?;
    file.strip_prefix(folder)?.strip_prefix('/').map(|name| name.trim_start_matches('/')).filter(|name| !name.is_empty())
}

/// Where the service puts code whose place nobody chose.
fn job_dir() -> String {
    format!("{MOUNT}/user-job-dir")
}

/// An address as users write it.
fn address(path: &str) -> String {
    if path.starts_with('/') { format!("obs:/{path}") } else { path.to_owned() }
}

fn folders(job: &TrainingJob, kind: &str) -> Option<Vec<Folder>> {
    let all = list(job, &format!("/algorithm/{kind}")).enumerate().map(|(index, folder)| {
        let name = member(folder, "name");
        let dataset = &folder["remote"]["dataset"];
        let url = match dataset["id"].as_str() {
            Some(id) => format!("{DATASET}{id}/{}", dataset["version_id"].as_str().unwrap_or_default()),
            None => address(folder["remote"]["obs"]["obs_url"].as_str().unwrap_or_default()),
        };
        let chosen = format!("{MOUNT}/{kind}/{name}_{index}");
        Folder {
            url: url.strip_suffix('/').filter(|_| url.starts_with(DATASET)).map_or(url.clone(), str::to_owned),
            as_variable: folder["access_method"] == "env",
            predownload: folder["prefetch_to_local"].as_bool().unwrap_or_default(),
            local_dir: Some(member(folder, "local_dir")).filter(|local| !local.is_empty() && *local != chosen),
            name,
        }
    });
    Some(all.collect::<Vec<_>>()).filter(|all| !all.is_empty())
}

/// The service takes variables as an object and gives them as a list of objects.
fn environment(document: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match document {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        Value::Array(items) => items.iter().flat_map(environment).collect(),
        _ => Vec::new(),
    }
}

fn volume(document: &Value) -> Volume {
    let text = |kind: &str, key: &str| member(&document[kind], key);
    let local = ["nfs", "pfs", "obs"].iter().map(|kind| text(kind, "local_path")).find(|path| !path.is_empty());
    Volume {
        nfs_server_path: text("nfs", "nfs_server_path"),
        pfs_path: text("pfs", "pfs_path"),
        obs_path: address(&text("obs", "obs_path")),
        local_path: local.unwrap_or_default(),
        read_only: document["nfs"]["read_only"].as_bool().unwrap_or_default(),
    }
}

fn list<'a>(job: &'a TrainingJob, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    job.0.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn member(document: &Value, key: &str) -> String {
    document[key].as_str().unwrap_or_default().to_owned()
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => members.values().any(is_something),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{below, left_out, sensitive, spec};
    use crate::api::modelarts::training_job::TrainingJob;
    use crate::commands::ma_job::{job_file, request, written};

    /// The request that would create the job, through a job file.
    fn again(document: &serde_json::Value) -> serde_json::Value {
        let tags = vec![("team".to_owned(), "vision".to_owned())];
        let file = written::file(&spec(&TrainingJob(document.clone()), tags));
        let read = job_file::parse(&file.to_string(), &|_| None);
        assert!(read.problems.is_empty(), "{:?}", read.problems);
        let request = request::build(read.spec).unwrap();
        assert_eq!(request.tags.len(), 1);
        request.document().unwrap()
    }

    #[test]
    fn a_job_s_document_gives_the_request_that_made_it() {
        let request = json!({
            "kind": "job",
            "metadata": {"name": "n", "description": "d ${x}", "annotations": {
                "fault-tolerance/job-retry-num": "3", "fault-tolerance/job-unconditional-retry": "true"},
                "training_experiment_reference": {"name": "e"}},
            "algorithm": {
                "boot_file": "/b/code/a/main.py", "code_dir": "/b/code/",
                "engine": {"engine_name": "PyTorch", "engine_version": "pytorch_1.8.0"},
                "parameters": [{"name": "epoch", "value": "1"}, {"name": "flag", "value": ""}],
                "inputs": [{"name": "data_url", "remote": {"obs": {"obs_url": "/b/d/"}}},
                    {"name": "set", "local_dir": "/x", "access_method": "env", "remote": {"dataset": {"id": "D", "version_id": "V"}}}],
                "outputs": [{"name": "o", "prefetch_to_local": true, "remote": {"obs": {"obs_url": "/b/o/"}}}],
                "environments": {"B": "2", "A": "1"},
            },
            "spec": {
                "resource": {"flavor_id": "f", "node_count": 2, "pool_id": "p", "policy": "turbo"},
                "log_export_path": {"obs_url": "/b/l/"},
                "volumes": [{"nfs": {"nfs_server_path": "h:/", "local_path": "/m", "read_only": true}}],
                "auto_stop": {"time_unit": "HOURS", "duration": 4},
                "schedule_policy": {"priority": 2, "required_affinity": {"affinity_type": "cabinet"}},
                "custom_metrics": [{"exec": {"command": ["sh", "/m.sh"]}}],
                "notification": {"topic_urn": "urn:smn:r:p:t", "events": ["JobFailed"]},
            },
        });
        // What the service adds to it.
        let mut job = request.clone();
        job["metadata"]["id"] = json!("j1");
        job["metadata"]["workspace_id"] = json!("0");
        job["status"] = json!({"phase": "Completed"});
        job["algorithm"]["environments"] = json!([{"B": "2"}, {"A": "1"}]);
        job["algorithm"]["local_code_dir"] = json!("/home/ma-user/modelarts/user-job-dir");
        job["algorithm"]["inputs"][0]["local_dir"] = json!("/home/ma-user/modelarts/inputs/data_url_0");
        job["algorithm"]["inputs"][0]["access_method"] = json!("parameter");
        job["algorithm"]["outputs"][0]["local_dir"] = json!("/home/ma-user/modelarts/outputs/o_0");
        job["spec"]["resource"]["flavor_name"] = json!("F");
        assert_eq!(again(&job), request);
        // Other clients leave the slash out.
        job["algorithm"]["code_dir"] = json!("/b/code");
        assert_eq!(again(&job), request);
    }

    #[test]
    fn the_boot_file_is_told_relative_to_the_code() {
        for (file, folder, expected) in [
            ("/b/code/main.py", "/b/code", Some("main.py")),
            ("/b/code/a/main.py", "/b/code/", Some("a/main.py")),
            ("/b/code2/main.py", "/b/code", None),
            ("/b/main.py", "", None),
        ] {
            assert_eq!(below(file, folder), expected, "{file} {folder}");
        }
    }

    #[test]
    fn a_custom_image_and_an_algorithm_are_said_as_they_were() {
        let mut request = json!({
            "kind": "job", "metadata": {"name": "n"},
            "algorithm": {"code_dir": "/b/c/", "command": "cd ${MA_JOB_DIR} && true", "engine": {"image_url": "o/i:t", "run_user": "1000"}},
            "spec": {"resource": {"node_count": 1}},
        });
        assert_eq!(again(&request), request);
        request["algorithm"] = json!({"id": "a1"});
        let mut job = request.clone();
        job["algorithm"]["code_dir"] = json!("/b/c/");
        job["algorithm"]["engine"] = json!({"engine_id": "x"});
        assert_eq!(again(&job), request);
        job["endpoints"] = json!({"ssh": {"key_pair_names": ["k"]}});
        job["tasks"] = json!([]);
        request["endpoints"] = job["endpoints"].clone();
        assert_eq!(again(&job), request);
        assert_eq!(left_out(&TrainingJob(job.clone())), [""; 0]);
        job["algorithm"]["parameters"] =
            json!([{"name": "key", "value": "s", "constraint": {"sensitive": true}}, {"name": "lr", "value": "1"}]);
        assert_eq!(sensitive(&TrainingJob(job.clone())), ["key"]);
        job["spec"]["resource"]["main_container_customized_flavor"] = json!({"cpu_core_num": 1});
        assert_eq!(left_out(&TrainingJob(job)), ["a flavor of its own"]);
    }
}
