//! The request for a job, as far as the platform reads it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// What a request says, as far as the platform reads it.
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    pub(crate) kind: String,
    pub(crate) metadata: Metadata,
    #[serde(default)]
    pub(crate) algorithm: Algorithm,
    #[serde(default)]
    pub(crate) spec: Spec,
    pub(crate) endpoints: Option<Value>,
    pub(crate) tasks: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    pub(crate) workspace_id: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) annotations: Option<BTreeMap<String, Value>>,
    pub(crate) training_experiment_reference: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Algorithm {
    pub(crate) id: Option<String>,
    pub(crate) subscription_id: Option<String>,
    pub(crate) code_dir: Option<String>,
    pub(crate) boot_file: Option<String>,
    pub(crate) command: Option<String>,
    #[serde(default)]
    pub(crate) parameters: Option<Vec<Parameter>>,
    #[serde(default)]
    pub(crate) inputs: Option<Vec<Channel>>,
    #[serde(default)]
    pub(crate) outputs: Option<Vec<Channel>>,
    pub(crate) engine: Option<EngineWanted>,
    pub(crate) local_code_dir: Option<String>,
    pub(crate) working_dir: Option<String>,
    pub(crate) environments: Option<BTreeMap<String, Value>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Parameter {
    pub(crate) name: Option<String>,
    pub(crate) value: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) local_dir: Option<String>,
    pub(crate) access_method: Option<String>,
    /// Of an output, as the console sends it.
    pub(crate) prefetch_to_local: Option<bool>,
    pub(crate) remote: Value,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct EngineWanted {
    pub(crate) engine_id: Option<String>,
    pub(crate) engine_name: Option<String>,
    pub(crate) engine_version: Option<String>,
    pub(crate) image_url: Option<String>,
    pub(crate) run_user: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Spec {
    pub(crate) resource: Option<Resource>,
    pub(crate) volumes: Option<Vec<Value>>,
    pub(crate) notification: Option<Value>,
    pub(crate) log_export_path: Option<LogPath>,
    pub(crate) auto_stop: Option<AutoStop>,
    pub(crate) schedule_policy: Option<Value>,
    pub(crate) custom_metrics: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Resource {
    pub(crate) policy: Option<String>,
    pub(crate) flavor_id: Option<String>,
    pub(crate) node_count: Option<u32>,
    pub(crate) pool_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LogPath {
    pub(crate) obs_url: Option<String>,
    pub(crate) host_path: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AutoStop {
    pub(crate) time_unit: String,
    pub(crate) duration: u32,
}
