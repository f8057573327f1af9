//! The options of `ma-job submit`, and what they say in the form of a job file.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::value_parser;

use crate::commands::ma_job::lists;
use crate::commands::ma_job::spec::{POLICIES, Spec};
use crate::commands::ma_job::watch_options::WatchArgs;
use crate::error::{Error, Kind};

/// Submit a training job and wait for its end
///
/// A job file's keys are the names of these options. Later files win over earlier ones, options over files. Exit codes: 0 the job
/// completed, 10 it failed, 11 it was stopped. Ctrl-C ends the waiting, not the job.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli ma-job submit .ma/train.yaml
  ma-cli ma-job submit .ma/train.yaml --name again --parameters \"epoch 20 pretrained\" -q
  ma-cli ma-job submit --code-dir obs://bucket/mnist/code/ --boot-file main.py \\
      --framework-type PyTorch --framework-version pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64 \\
      --data-url obs://bucket/mnist/data/ --output train_url=obs://bucket/mnist/model/ \\
      --log-url obs://bucket/mnist/logs/ --train-instance-type modelarts.vm.cpu.8u")]
pub struct SubmitArgs {
    /// Job files
    #[arg(value_name = "YAML_FILE")]
    pub(super) yaml_file: Vec<PathBuf>,
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
    /// OBS path of the training data, the input data_url
    #[arg(long, value_name = "TEXT")]
    data_url: Option<String>,
    /// OBS path for logs
    #[arg(long, value_name = "TEXT")]
    log_url: Option<String>,
    /// OBS path of the code
    #[arg(long, value_name = "TEXT")]
    code_dir: Option<String>,
    /// name=obs://bucket/path: the output of that name is uploaded there
    #[arg(long, value_name = "TEXT")]
    output: Vec<String>,
    /// name=obs://bucket/path: downloaded, its local path is handed to the script as that parameter
    #[arg(long, value_name = "TEXT")]
    input: Vec<String>,
    /// NAME=value: an environment variable of the job
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
    /// "local_path=/xx;read_only=false;nfs_server_path=a.b.c.d:/": a mount
    #[arg(long, value_name = "TEXT")]
    volumes: Vec<String>,
    /// Return once the job is accepted
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    pub(super) watching: WatchArgs,
}

/// What the options say, in the form of a job file.
///
/// # Errors
/// An option whose value cannot be read.
pub(super) fn spec(args: SubmitArgs) -> Result<Spec, Error> {
    let texts = [
        ("name", args.name),
        ("description", args.description),
        ("image-url", args.image_url),
        ("uid", args.uid),
        ("working-dir", args.working_dir),
        ("local-code-dir", args.local_code_dir),
        ("user-command", args.user_command),
        ("pool-id", args.pool_id),
        ("train-instance-type", args.train_instance_type),
        ("data-url", args.data_url),
        ("log-url", args.log_url),
        ("code-dir", args.code_dir),
        ("boot-file", args.boot_file),
        ("framework-type", args.framework_type),
        ("framework-version", args.framework_version),
        ("workspace-id", args.workspace_id),
        ("policy", args.policy.map(|policy| policy.to_ascii_lowercase())),
    ];
    Ok(Spec {
        texts: texts.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
        count: args.train_instance_count,
        outputs: each("--output", &args.output, lists::folder)?,
        inputs: each("--input", &args.input, lists::folder)?,
        environment: each("--env-variables", &args.env_variables, lists::variable)?,
        parameters: args
            .parameters
            .map(|text| lists::parameter_text(&text).map_err(|mistake| misuse("--parameters", mistake)))
            .transpose()?,
        volumes: each("--volumes", &args.volumes, lists::volume)?,
        quiet: args.quiet.then_some(true),
    })
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
