//! The options of `ma-job submit` and `ma-job rerun` that describe a job, and what they say in the form of a job file.

use clap::builder::PossibleValuesParser;
use clap::value_parser;

use crate::commands::ma_job::spec::{AFFINITIES, POLICIES, Spec};
use crate::commands::ma_job::{folders, lists, values};
use crate::error::{Error, Kind};

/// What a job is made of. Each option is a key of job files too.
#[derive(Debug, Default, clap::Args)]
pub(super) struct JobOptions {
    /// Name of the job [default: generated]
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Description of the job
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Custom image: organization/image_name:tag
    #[arg(long, value_name = "TEXT")]
    image_url: Option<String>,
    /// User id that runs a custom image [default: 1000]
    #[arg(long, value_name = "TEXT")]
    uid: Option<String>,
    /// Directory that the algorithm runs in
    #[arg(long, value_name = "TEXT")]
    working_dir: Option<String>,
    /// Directory under /home that the code is downloaded to; ignored when code-dir begins with file://
    #[arg(long, value_name = "TEXT")]
    local_code_dir: Option<String>,
    /// Boot command of a custom image
    #[arg(long, value_name = "TEXT")]
    user_command: Option<String>,
    /// Dedicated pool to run in
    #[arg(long, value_name = "TEXT")]
    pool_id: Option<String>,
    /// Resource flavor, see get-flavor
    #[arg(long, value_name = "TEXT")]
    train_instance_type: Option<String>,
    /// Number of nodes [default: 1]
    #[arg(long, value_name = "INTEGER", value_parser = value_parser!(u32).range(1..))]
    train_instance_count: Option<u32>,
    /// OBS path of the training data, the input data_url; or a folder of this machine, which is uploaded first
    #[arg(long, value_name = "TEXT")]
    data_url: Option<String>,
    /// OBS path for logs
    #[arg(long, value_name = "TEXT")]
    log_url: Option<String>,
    /// OBS path of the code; or a folder of this machine, which is uploaded first (but what its .maignore names)
    #[arg(long, value_name = "TEXT")]
    code_dir: Option<String>,
    /// name=obs://bucket/path: the output of that name is uploaded there
    #[arg(long, value_name = "TEXT")]
    output: Vec<String>,
    /// name=obs://bucket/path: downloaded, its local path is handed to the script as that parameter; name=dataset://ID/VERSION too
    #[arg(long, value_name = "TEXT")]
    input: Vec<String>,
    /// NAME=value: an environment variable of the job; names with MA_ belong to the service
    #[arg(long, value_name = "TEXT")]
    env_variables: Vec<String>,
    /// Hyperparameters in one text: names and values in turn, a name at the end is a flag; name=value and --name value work too
    #[arg(long, value_name = "TEXT")]
    parameters: Option<String>,
    /// Boot file, relative to code-dir
    #[arg(long, value_name = "TEXT")]
    boot_file: Option<String>,
    /// Engine name, see get-engine
    #[arg(long, value_name = "TEXT")]
    framework_type: Option<String>,
    /// Engine id or version, see get-engine
    #[arg(long, value_name = "TEXT")]
    framework_version: Option<String>,
    /// Workspace [default: 0]
    #[arg(long, value_name = "TEXT")]
    workspace_id: Option<String>,
    /// Flavor mode [default: regular]
    #[arg(long, value_name = "MODE", value_parser = PossibleValuesParser::new(POLICIES))]
    policy: Option<String>,
    /// "local_path=/xx;read_only=false;nfs_server_path=a.b.c.d:/": a mount; pfs_path or obs_path may stand instead of the server
    #[arg(long, value_name = "TEXT")]
    volumes: Vec<String>,
    /// Own algorithm to run instead of code-dir, boot-file and framework
    #[arg(long, value_name = "TEXT")]
    algorithm_id: Option<String>,
    /// Subscription of an algorithm to run, with --item-version-id
    #[arg(long, value_name = "TEXT")]
    subscription_id: Option<String>,
    /// Version of the subscribed algorithm
    #[arg(long, value_name = "TEXT")]
    item_version_id: Option<String>,
    /// Experiment that the job belongs to: name or id
    #[arg(long, value_name = "TEXT")]
    experiment: Option<String>,
    /// Where code and data of this machine are uploaded to: a folder named after the job is made there, with a folder for each
    /// version of the code. Without log-url, logs go there too [default: a folder ma-cli/ in the bucket of log-url or of an output]
    #[arg(long, value_name = "OBS_PATH")]
    obs_path: Option<String>,
    /// Input whose local path is handed over as an environment variable of its name, not as a parameter
    #[arg(long, value_name = "NAME")]
    input_env: Vec<String>,
    /// Output whose local path is handed over as an environment variable of its name, not as a parameter
    #[arg(long, value_name = "NAME")]
    output_env: Vec<String>,
    /// Output whose files are downloaded before the job runs, to go on from them
    #[arg(long, value_name = "NAME")]
    predownload: Vec<String>,
    /// Priority from 1 to 3 [default: 1]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=3))]
    priority: Option<u32>,
    /// Let jobs of a higher priority take its place
    #[arg(long)]
    preemptible: bool,
    /// What the nodes of the job must have in common, in a dedicated pool
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(AFFINITIES))]
    affinity: Option<String>,
    /// Start the job again when hardware or environment fail, N times at most (1-128; 0 never)
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(0..=128))]
    auto_restart: Option<u32>,
    /// With --auto-restart: start it again whatever went wrong
    #[arg(long)]
    unconditional_restart: bool,
    /// With --auto-restart: start it again when it hangs
    #[arg(long)]
    restart_on_hang: bool,
    /// Stop the job after it has run for so long: hours (4, 4h) or days (2d), 1 to 720 hours
    #[arg(long, visible_alias = "timeout", value_name = "HOURS")]
    auto_stop: Option<String>,
    /// TOPIC[:EVENT,…]: tell that topic of these events; without events, of how the job ended
    #[arg(long, value_name = "TOPIC")]
    notify: Option<String>,
    /// Where the service collects metrics of the program: http://:PORT/PATH, or a command and its argument that print them
    #[arg(long, value_name = "TEXT")]
    custom_metrics: Option<String>,
    /// Key pair whose owner may log in to the tasks of the job
    #[arg(long, value_name = "NAME")]
    ssh_key: Vec<String>,
    /// KEY=VALUE: a tag of the job, 20 at most
    #[arg(long, value_name = "KEY=VALUE")]
    tag: Vec<String>,
}

impl JobOptions {
    /// What the options say, in the form of a job file.
    ///
    /// # Errors
    /// An option whose value cannot be read.
    pub(super) fn spec(self) -> Result<Spec, Error> {
        let policy = self.policy.as_ref().map(|policy| policy.to_ascii_lowercase());
        let numbers = [
            ("train-instance-count", self.train_instance_count),
            ("priority", self.priority),
            ("auto-restart", self.auto_restart),
            ("auto-stop", one("--auto-stop", self.auto_stop.as_ref(), values::hours)?),
        ];
        let truths = [
            ("preemptible", self.preemptible),
            ("unconditional-restart", self.unconditional_restart),
            ("restart-on-hang", self.restart_on_hang),
        ];
        let names = [
            ("input-env", &self.input_env),
            ("output-env", &self.output_env),
            ("predownload", &self.predownload),
            ("ssh-key", &self.ssh_key),
        ];
        let pairs = [
            ("env-variables", each("--env-variables", &self.env_variables, lists::variable)?),
            ("tag", each("--tag", &self.tag, lists::variable)?),
        ];
        Ok(Spec {
            numbers: numbers.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
            truths: truths.into_iter().filter(|(_, is_given)| *is_given).collect(),
            names: names
                .into_iter()
                .filter(|(_, given)| !given.is_empty())
                .map(|(key, given)| (key, given.iter().flat_map(|name| values::split(name)).collect()))
                .collect(),
            pairs: pairs.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
            outputs: each("--output", &self.output, folders::folder)?,
            inputs: each("--input", &self.input, folders::folder)?,
            parameters: one("--parameters", self.parameters.as_ref(), lists::parameter_text)?,
            volumes: each("--volumes", &self.volumes, lists::volume)?,
            notification: one("--notify", self.notify.as_ref(), values::notification_text)?,
            texts: self.texts(policy),
            policies: None,
        })
    }

    fn texts(self, policy: Option<String>) -> std::collections::BTreeMap<&'static str, String> {
        let texts = [
            ("name", self.name),
            ("description", self.description),
            ("image-url", self.image_url),
            ("uid", self.uid),
            ("working-dir", self.working_dir),
            ("local-code-dir", self.local_code_dir),
            ("user-command", self.user_command),
            ("pool-id", self.pool_id),
            ("train-instance-type", self.train_instance_type),
            ("data-url", self.data_url),
            ("log-url", self.log_url),
            ("code-dir", self.code_dir),
            ("boot-file", self.boot_file),
            ("framework-type", self.framework_type),
            ("framework-version", self.framework_version),
            ("workspace-id", self.workspace_id),
            ("policy", policy),
            ("affinity", self.affinity),
            ("custom-metrics", self.custom_metrics),
            ("algorithm-id", self.algorithm_id),
            ("subscription-id", self.subscription_id),
            ("item-version-id", self.item_version_id),
            ("experiment", self.experiment),
            ("obs-path", self.obs_path),
        ];
        texts.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// The value of an option that is read as a whole.
fn one<T>(option: &str, value: Option<&String>, read: impl Fn(&str) -> Result<T, lists::Mistake>) -> Result<Option<T>, Error> {
    value.map(|text| read(text).map_err(|mistake| misuse(option, mistake))).transpose()
}

/// The values of a repeated option; `None` when it was not given, so that the list of a job file stays.
fn each<T>(option: &str, values: &[String], read: impl Fn(&str) -> Result<T, lists::Mistake>) -> Result<Option<Vec<T>>, Error> {
    if values.is_empty() {
        return Ok(None);
    }
    let all: Result<Vec<T>, lists::Mistake> = values.iter().map(|value| read(value)).collect();
    all.map(Some).map_err(|mistake| misuse(option, mistake))
}

fn misuse(option: &str, (_, message): lists::Mistake) -> Error {
    Error::new(Kind::Usage, format!("option {option}: {message}"))
}
