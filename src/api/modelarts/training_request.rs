//! What a training job is created from; checked before anything is sent, so that a mistake is named here.

use serde_json::Value;

use crate::api::Error;
use crate::api::modelarts::{training_check, training_document};

/// Address of a version of a data set: `dataset://ID/VERSION`; a service without a version takes the newest.
pub const DATASET: &str = "dataset://";

/// A named folder of the object store: downloaded before the job runs, or filled while it runs. An input may be one object, or a
/// version of a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// Name of the parameter or variable that carries the local path.
    pub name: String,
    /// Where it is: `obs://bucket/path/`, `s3://…`, `/bucket/path/`, for an input also `dataset://ID/VERSION`.
    pub url: String,
    /// Whether the local path is handed over as an environment variable, not as a parameter.
    pub as_variable: bool,
    /// Of an output: whether what is there already is downloaded before the job runs.
    pub predownload: bool,
    /// Folder in the job; `None` for the service's choice.
    pub local_dir: Option<String>,
}

/// A file system mounted into the job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Of a network file system: `host:/path`.
    pub nfs_server_path: String,
    /// Of a parallel file system: its path.
    pub pfs_path: String,
    /// Of a folder of the object store: `obs://bucket/path/`.
    pub obs_path: String,
    /// Where it appears in the job.
    pub local_path: String,
    /// Whether the job may not write to it; said of network file systems only.
    pub read_only: bool,
}

/// Who is told what of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// Topic of the message service, `urn:smn:REGION:PROJECT:NAME`.
    pub topic_urn: String,
    /// Of [`training_check::EVENTS`].
    pub events: Vec<String>,
}

/// When a job that failed is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restart {
    /// How often at most, 1-128; 0 for never.
    pub times: u32,
    /// Whatever went wrong, not only hardware and environment.
    pub is_unconditional: bool,
    /// When it hangs.
    pub on_hang: bool,
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
    /// Experiment that the job belongs to: id or name.
    pub experiment: Option<String>,
    /// Own algorithm to run.
    pub algorithm_id: Option<String>,
    /// Subscription of an algorithm to run.
    pub subscription_id: Option<String>,
    /// Version of the subscribed algorithm.
    pub item_version_id: Option<String>,
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
    /// Hyperparameters in order; one without value is a flag.
    pub parameters: Vec<(String, Option<String>)>,
    /// Inputs in order.
    pub inputs: Vec<Folder>,
    /// Outputs in order.
    pub outputs: Vec<Folder>,
    /// Environment variables in order.
    pub environment: Vec<(String, String)>,
    /// `algorithm.policies` as the service documents it: the search for hyperparameters.
    pub policies: Option<Value>,
    /// Resource flavor.
    pub flavor_id: Option<String>,
    /// Nodes, at least 1.
    pub node_count: u32,
    /// Dedicated pool.
    pub pool_id: Option<String>,
    /// Flavor mode: `regular`, `economic`, `turbo`, `auto`.
    pub policy: Option<String>,
    /// 1 (the service's default) to 3: higher ones start first.
    pub priority: Option<u32>,
    /// Whether jobs of a higher priority may take its place.
    pub preemptible: bool,
    /// What its nodes must have in common: `cabinet`, `hyperinstance`, `networkTopology`.
    pub affinity: Option<String>,
    /// Where metrics of the program are collected: `http://:PORT/PATH`, or a command and its argument.
    pub custom_metrics: Option<String>,
    /// Key pairs whose owners may log in to the tasks.
    pub ssh_keys: Vec<String>,
    /// Folder logs are copied to.
    pub log_url: Option<String>,
    /// Mounted file systems.
    pub volumes: Vec<Volume>,
    /// Restarts.
    pub restart: Restart,
    /// Hours of running after which the service stops the job, 1-720.
    pub auto_stop: Option<u32>,
    /// Who is told what.
    pub notification: Option<Notification>,
    /// Tags, which are put on the job once it is created.
    pub tags: Vec<(String, String)>,
}

impl CreateRequest {
    /// The document of `POST /v2/{project_id}/training-jobs`.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the value that is out of its range.
    pub fn document(&self) -> Result<Value, Error> {
        match self.problems().into_iter().next() {
            Some(problem) => Err(Error::Invalid(problem)),
            None => training_document::build(self),
        }
    }

    /// Everything that is wrong with it, as far as can be said without asking the service.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = training_check::problems(self);
        if let Err(Error::Invalid(problem)) = training_document::build(self) {
            problems.push(problem);
        }
        problems
    }
}
