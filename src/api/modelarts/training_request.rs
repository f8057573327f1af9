//! What a training job is created from; checked here, so that a mistake is named before anything is sent.

use serde_json::{Map, Value, json};

use crate::api::Error;

/// Longest value of an environment variable, in characters.
const LONGEST_VARIABLE: usize = 4096;
/// Most environment variables a job takes.
const MOST_VARIABLES: usize = 100;
/// Longest description, in characters.
const LONGEST_DESCRIPTION: usize = 256;
/// Longest name, in characters.
const LONGEST_NAME: usize = 64;

/// A named folder of the object store: downloaded before the job runs, or filled while it runs. An input may be one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Name of the parameter that carries the local path.
    pub name: String,
    /// Where it is: `obs://bucket/path/`, `s3://…` or `/bucket/path/`.
    pub url: String,
}

/// A network file system mounted into the job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// `host:/path`.
    pub nfs_server_path: String,
    /// Where it appears in the job.
    pub local_path: String,
    /// Whether the job may not write to it.
    pub read_only: bool,
}

/// A job to be created. Texts that are `None` are left to the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateRequest {
    /// 1-64 of `A-Z a-z 0-9 _ -`.
    pub name: String,
    /// Up to 256 characters.
    pub description: Option<String>,
    /// Workspace; the default one is `0`.
    pub workspace_id: Option<String>,
    /// Folder of the code: an OBS address, or `file://…` for one on a mounted volume.
    pub code_dir: Option<String>,
    /// Boot file, relative to the folder of the code.
    pub boot_file: Option<String>,
    /// Id of the engine, when it is known from the engine list.
    pub engine_id: Option<String>,
    /// Name of the engine, such as `PyTorch`.
    pub engine_name: Option<String>,
    /// Version of the engine.
    pub engine_version: Option<String>,
    /// Custom image, `organization/name:tag`.
    pub image_url: Option<String>,
    /// Boot command of a custom image.
    pub command: Option<String>,
    /// User that runs a custom image.
    pub run_user: Option<String>,
    /// Folder in the job that the code is downloaded to.
    pub local_code_dir: Option<String>,
    /// Folder in the job that the boot command runs in.
    pub working_dir: Option<String>,
    /// `algorithm.policies` as the service documents it: the search for hyperparameters.
    pub policies: Option<Value>,
    /// Hyperparameters in order; one without value is a flag.
    pub parameters: Vec<(String, Option<String>)>,
    /// Inputs in order.
    pub inputs: Vec<Folder>,
    /// Outputs in order.
    pub outputs: Vec<Folder>,
    /// Environment variables in order.
    pub environment: Vec<(String, String)>,
    /// Resource flavor.
    pub flavor_id: Option<String>,
    /// Nodes, at least 1.
    pub node_count: u32,
    /// Dedicated pool.
    pub pool_id: Option<String>,
    /// Flavor mode: `regular`, `economic`, `turbo`, `auto`.
    pub policy: Option<String>,
    /// Folder logs are copied to.
    pub log_url: Option<String>,
    /// Mounted file systems.
    pub volumes: Vec<Volume>,
}

impl CreateRequest {
    /// The document of `POST /v2/{project_id}/training-jobs`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the value that is out of its range.
    pub fn document(&self) -> Result<Value, Error> {
        self.check()?;
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), json!(self.name));
        put(&mut metadata, "workspace_id", &self.workspace_id);
        put(&mut metadata, "description", &self.description);
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
            let volume = |volume: &Volume| {
                json!({"nfs": {"nfs_server_path": volume.nfs_server_path, "local_path": volume.local_path,
                    "read_only": volume.read_only}})
            };
            spec.insert("volumes".to_owned(), self.volumes.iter().map(volume).collect());
        }
        Ok(json!({"kind": "job", "metadata": metadata, "algorithm": self.algorithm()?, "spec": spec}))
    }

    fn algorithm(&self) -> Result<Value, Error> {
        let mut algorithm = Map::new();
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

    fn check(&self) -> Result<(), Error> {
        let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
        if self.name.is_empty() || self.name.len() > LONGEST_NAME || !self.name.chars().all(plain) {
            return invalid(format!("the job name [{}] must be 1-{LONGEST_NAME} letters, digits, - and _", self.name));
        }
        if self.description.as_ref().is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION) {
            return invalid(format!("the description is longer than {LONGEST_DESCRIPTION} characters"));
        }
        if self.node_count == 0 {
            return invalid("train-instance-count must be at least 1".to_owned());
        }
        // A folder on a mounted volume is used where it is.
        let is_mounted = self.code_dir.as_ref().is_some_and(|url| url.starts_with("file://"));
        if let Some(folder) = self.local_code_dir.as_ref().filter(|folder| !is_mounted && !is_below(folder, "/home")) {
            return invalid(format!("local-code-dir [{folder}] must be under /home"));
        }
        if self.environment.len() > MOST_VARIABLES {
            return invalid(format!(
                "a job takes at most {MOST_VARIABLES} environment variables, not {}",
                self.environment.len()
            ));
        }
        for (name, value) in &self.environment {
            let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
            if !starts_well || !name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_') {
                return invalid(format!("[{name}] is no name of an environment variable"));
            }
            if value.chars().count() > LONGEST_VARIABLE || value.contains('$') {
                return invalid(format!(
                    "the value of environment variable [{name}] is longer than {LONGEST_VARIABLE} characters or contains $"
                ));
            }
        }
        Ok(())
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

fn is_below(path: &str, base: &str) -> bool {
    let path = std::path::Path::new(path);
    path.starts_with(base) && !path.components().any(|part| part == std::path::Component::ParentDir)
}

fn folder_document(folder: &Folder, path: fn(&str) -> Result<String, Error>) -> Result<Value, Error> {
    if folder.name.is_empty() {
        return invalid(format!("the folder [{}] has no name; write name=obs://bucket/path/", folder.url));
    }
    Ok(json!({"name": folder.name, "remote": {"obs": {"obs_url": path(&folder.url)?}}}))
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

    use super::{CreateRequest, Folder, Volume};

    fn request() -> CreateRequest {
        CreateRequest { name: "job-1".to_owned(), node_count: 1, ..CreateRequest::default() }
    }

    #[test]
    fn a_whole_request_becomes_the_documented_body() {
        let some = |text: &str| Some(text.to_owned());
        let folder = |name: &str, url: &str| Folder { name: name.to_owned(), url: url.to_owned() };
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
            volumes: vec![Volume { nfs_server_path: "h:/".to_owned(), local_path: "/mnt".to_owned(), read_only: true }],
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
        let folder = |url: &str| vec![Folder { name: "cfg".to_owned(), url: url.to_owned() }];
        let request = CreateRequest { inputs: folder("obs://b/c.json"), outputs: folder("obs://b/out"), ..request() };
        let algorithm = &request.document().unwrap()["algorithm"];
        assert_eq!(algorithm["inputs"][0]["remote"]["obs"]["obs_url"], "/b/c.json");
        assert_eq!(algorithm["outputs"][0]["remote"]["obs"]["obs_url"], "/b/out/");
    }

    #[test]
    fn mistakes_are_named() {
        let some = |text: &str| Some(text.to_owned());
        let table = [
            (CreateRequest { name: "a b".to_owned(), ..request() }, "job name [a b]"),
            (CreateRequest { name: "x".repeat(65), ..request() }, "job name"),
            (CreateRequest { node_count: 0, ..request() }, "train-instance-count"),
            (CreateRequest { description: Some("x".repeat(257)), ..request() }, "description"),
            (CreateRequest { local_code_dir: some("/home/../etc"), ..request() }, "under /home"),
            (CreateRequest { local_code_dir: some("/homework"), ..request() }, "under /home"),
            (CreateRequest { code_dir: some("./code"), ..request() }, "[./code] is no OBS path"),
            (CreateRequest { code_dir: some("obs://"), ..request() }, "[obs://] is no OBS path"),
            (CreateRequest { boot_file: some("main.py"), ..request() }, "needs a code-dir"),
            (
                CreateRequest { code_dir: some("obs://b/c/"), boot_file: some("obs://b/d/x.py"), ..request() },
                "is not in code-dir",
            ),
            (CreateRequest { environment: vec![("1A".to_owned(), String::new())], ..request() }, "[1A] is no name"),
            (CreateRequest { environment: vec![("A".to_owned(), "$B".to_owned())], ..request() }, "contains $"),
        ];
        for (request, expected) in table {
            let error = request.document().unwrap_err().to_string();
            assert!(error.contains(expected), "{error} / {expected}");
        }
        let mounted = CreateRequest { code_dir: some("file:///mnt/code"), local_code_dir: some("/opt"), ..request() };
        assert_eq!(mounted.document().unwrap()["algorithm"]["code_dir"], "file:///mnt/code/");
    }
}
