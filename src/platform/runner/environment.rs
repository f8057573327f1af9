//! The environment of a task: built from nothing, as the container's is.

use std::collections::BTreeMap;
use std::process::Command;

use crate::auth::credential::VARIABLES;
use crate::platform::runner::layout::{HOME, LOG_DIR, Layout, MOUNT};
use crate::platform::runner::plan::{Access, Channel, Family, JobPlan, Task};
use crate::platform::runner::{cards, hosts};

/// The program search path of a bare system.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Takes the credentials of whoever started the platform out of the environment of a program that inherits ours.
pub fn hide_credentials(command: &mut Command) {
    for name in VARIABLES {
        command.env_remove(name);
    }
}

/// What the environment tells of the platform itself.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// URL of the control plane.
    pub endpoint: String,
    /// URL of the object store.
    pub obs_endpoint: String,
    /// Region name.
    pub region: String,
    /// The names of a job's nodes are known to its programs.
    pub has_names: bool,
}

/// Builds the environment of one task. `code` is the folder with the code directory's content, `channels` the local path of each
/// input and output; the user's own variables come last and win.
pub fn build(
    plan: &JobPlan,
    task: &Task,
    layout: &Layout,
    surroundings: &Surroundings,
    code: &str,
    channels: &[(&Channel, String)],
) -> BTreeMap<String, String> {
    let local = |path: &str| layout.local(path).to_string_lossy().into_owned();
    let job_dir = local(&plan.local_code_dir);
    let name = format!("{}-{}", plan.workload(), task.id());
    let engine = plan.engine.as_ref();
    let mut variables = BTreeMap::new();
    let mut set = |name: &str, value: String| variables.insert(name.to_owned(), value);
    set("PATH", PATH.to_owned());
    set("HOME", local(HOME));
    set("LANG", "C.UTF-8".to_owned());
    // A log that is followed should grow line by line, not by buffers of 8 KiB.
    set("PYTHONUNBUFFERED", "1".to_owned());
    set("PYTHONPATH", job_dir.clone());
    set("HOSTNAME", name.clone());
    set("MA_HOME", local(HOME));
    set("MA_MOUNT_PATH", local(MOUNT));
    set("MA_LOG_DIR", local(LOG_DIR));
    set("MA_SCRIPT_INTERPRETER", String::new());
    set("MA_ENGINE_TYPE", engine.map(|engine| engine.name.clone()).unwrap_or_default());
    set("MA_ENGINE_VERSION", engine.map(|engine| engine.id.clone()).unwrap_or_default());
    set("WORKSPACE", code.to_owned());
    set("MA_JOB_DIR", job_dir);
    set("MA_CURRENT_INSTANCE_NAME", name);
    set("MA_VJ_NAME", plan.workload());
    set("MA_TASK_NAME", task.role.to_owned());
    set("S3_ENDPOINT", surroundings.obs_endpoint.clone());
    set("S3_USE_HTTPS", u8::from(surroundings.obs_endpoint.starts_with("https:")).to_string());
    set("S3_VERIFY_SSL", "0".to_owned());
    set("MA_APIGW_ENDPOINT", surroundings.endpoint.clone());
    set("REGION_NAME", surroundings.region.clone());
    variables.extend(cards::variables(plan, task, layout));
    variables.extend(nodes(plan, task, surroundings.has_names));
    for (channel, path) in channels.iter().filter(|(channel, _)| channel.access == Access::Environment) {
        variables.insert(channel.name.clone(), path.clone());
    }
    variables.extend(plan.environment.iter().map(|(name, value)| (name.clone(), layout.replace(value))));
    variables
}

/// What a task knows of the others.
fn nodes(plan: &JobPlan, task: &Task, has_names: bool) -> BTreeMap<String, String> {
    let host = |role, index| {
        let task = Task { role, index };
        if has_names { hosts::name(plan, &task) } else { task.address().to_string() }
    };
    let list = |role| (0..plan.nodes).map(|index| host(role, index)).collect::<Vec<_>>().join(",");
    let mut variables = BTreeMap::from([
        ("MA_CURRENT_IP".to_owned(), task.address().to_string()),
        ("MA_CURRENT_HOST_IP".to_owned(), task.address().to_string()),
        ("MA_NUM_HOSTS".to_owned(), plan.nodes.to_string()),
        ("VC_TASK_INDEX".to_owned(), task.index.to_string()),
        ("VK_TASK_INDEX".to_owned(), task.index.to_string()),
        ("MA_TASK_INDEX".to_owned(), task.index.to_string()),
        ("VC_WORKER_NUM".to_owned(), plan.nodes.to_string()),
        ("VC_WORKER_HOSTS".to_owned(), list("worker")),
    ]);
    if plan.family() == Family::TensorFlow && plan.nodes > 1 {
        variables.insert("VC_PS_NUM".to_owned(), plan.nodes.to_string());
        variables.insert("VC_PS_HOSTS".to_owned(), list("ps"));
    }
    variables
}
