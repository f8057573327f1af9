//! What a request for a training job gets wrong, as far as can be said without asking the service.
//!
//! Limits are those of the product's documentation of training jobs and of the API catalogue.

use std::path::{Component, Path};

use crate::api::modelarts::training_request::{CreateRequest, Volume};

/// What is wrong with a request that names no program.
pub const NOTHING_RUNS: &str =
    "nothing says what runs: give code-dir, boot-file, framework-type and framework-version, or image-url, or algorithm-id";

/// What notifications can be about.
pub const EVENTS: [&str; 7] =
    ["JobStarted", "JobCompleted", "JobFailed", "JobTerminated", "JobRestarted", "JobHanged", "JobPreempted"];

/// Variables with the service's own prefix that are read by it and set by users.
const SET_BY_USERS: [&str; 8] = [
    "MA_RUN_METHOD",
    "MA_EXTRA_TORCHRUN_PARAMS",
    "MA_TORCHRUN_MASTER_PORT",
    "MA_HANG_DETECT_TIME",
    "MA_SKIP_IMAGE_DETECT",
    "MA_RECOVER_POLICY",
    "MA_MOXING_FWVER",
    "MA_PIP_URL",
];

/// Longest value of an environment variable, in characters.
const LONGEST_VARIABLE: usize = 4096;
/// Most environment variables, and most hyperparameters, a job takes.
const MOST_VALUES: usize = 100;
/// Longest description, in characters.
const LONGEST_DESCRIPTION: usize = 256;
/// Longest name, in characters.
const LONGEST_NAME: usize = 64;
/// Most mounts of a job.
const MOST_VOLUMES: usize = 5;
/// Most tags of a job.
const MOST_TAGS: usize = 20;
/// Folders of the job's container that nothing may be mounted on.
const OWN_FOLDERS: [&str; 5] = ["/cache", "/home/ma-user/modelarts", "/dev/shm", "/home/ma-user/.ssh", "/user/config"];
/// Hours after which a job may be stopped.
pub const HOURS: std::ops::RangeInclusive<u32> = 1..=720;
/// How often a job may be started again.
pub const RESTARTS: std::ops::RangeInclusive<u32> = 1..=128;

/// Everything that is wrong, one sentence each.
pub(super) fn problems(request: &CreateRequest) -> Vec<String> {
    let mut problems = Vec::new();
    identity(request, &mut problems);
    algorithm(request, &mut problems);
    environment(request, &mut problems);
    channels(request, &mut problems);
    volumes(&request.volumes, &mut problems);
    schedule(request, &mut problems);
    problems.extend(tag_problems(&request.tags));
    problems
}

/// What is wrong with tags.
pub fn tag_problems(tags: &[(String, String)]) -> Vec<String> {
    let mut problems = Vec::new();
    if tags.len() > MOST_TAGS {
        problems.push(format!("a job takes at most {MOST_TAGS} tags, not {}", tags.len()));
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 255 {
            problems.push(format!("the tag [{key}] needs a key of 1-128 characters and a value of at most 255"));
        }
    }
    for (key, _) in duplicates(tags.iter().map(|(key, _)| key)) {
        problems.push(format!("the tag [{key}] is given twice"));
    }
    problems
}

/// Whether this is the name of a job, or of an input or output.
pub fn is_name(name: &str) -> bool {
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(plain)
}

fn identity(request: &CreateRequest, problems: &mut Vec<String>) {
    if !is_name(&request.name) {
        problems.push(format!("the job name [{}] must be 1-{LONGEST_NAME} letters, digits, - and _", request.name));
    }
    if request.description.as_ref().is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION) {
        problems.push(format!("the description is longer than {LONGEST_DESCRIPTION} characters"));
    }
}

fn algorithm(request: &CreateRequest, problems: &mut Vec<String>) {
    let own = request.algorithm_id.is_some();
    let subscribed = request.subscription_id.is_some();
    if own && subscribed {
        problems.push("algorithm-id and subscription-id cannot be used together".to_owned());
    }
    if subscribed != request.item_version_id.is_some() {
        problems.push("subscription-id and item-version-id are given together".to_owned());
    }
    let given = [
        ("code-dir", request.code_dir.is_some()),
        ("boot-file", request.boot_file.is_some()),
        ("framework-version", request.engine_version.is_some()),
        ("image-url", request.image_url.is_some()),
        ("user-command", request.command.is_some()),
    ];
    if own || subscribed {
        let said = if own { "algorithm-id" } else { "subscription-id" };
        for (key, _) in given.iter().filter(|(_, is_given)| *is_given) {
            problems.push(format!("{key} is what the algorithm says; it cannot be given with {said}"));
        }
    }
    if !own && !subscribed && given.iter().all(|(_, is_given)| !is_given) {
        problems.push(NOTHING_RUNS.to_owned());
    }
    // A folder on a mounted volume is used where it is.
    let is_mounted = request.code_dir.as_ref().is_some_and(|url| url.starts_with("file://"));
    if let Some(folder) = request.local_code_dir.as_ref().filter(|folder| !is_mounted && !is_below(folder, "/home")) {
        problems.push(format!("local-code-dir [{folder}] must be under /home"));
    }
    if let Some(user) = &request.run_user {
        let lowest = if request.pool_id.is_some() { 0 } else { 1000 };
        if !user.parse().is_ok_and(|id: u32| (lowest..=65535).contains(&id)) {
            problems.push(format!("uid [{user}] must be a number from {lowest} to 65535 (from 0 in a dedicated pool only)"));
        }
    }
    if request.parameters.len() > MOST_VALUES {
        problems.push(format!("a job takes at most {MOST_VALUES} hyperparameters, not {}", request.parameters.len()));
    }
}

fn environment(request: &CreateRequest, problems: &mut Vec<String>) {
    if request.environment.len() > MOST_VALUES {
        problems.push(format!("a job takes at most {MOST_VALUES} environment variables, not {}", request.environment.len()));
    }
    for (name, value) in &request.environment {
        let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if !starts_well || !name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_') {
            problems.push(format!("[{name}] is no name of an environment variable"));
        } else if name.starts_with("MA_") && !SET_BY_USERS.contains(&name.as_str()) {
            problems.push(format!(
                "environment variable [{name}]: names with MA_ belong to the service (of these you may set {})",
                SET_BY_USERS.join(", ")
            ));
        }
        if value.chars().count() > LONGEST_VARIABLE || value.contains('$') {
            problems.push(format!(
                "the value of environment variable [{name}] is longer than {LONGEST_VARIABLE} characters or contains $"
            ));
        }
    }
}

fn channels(request: &CreateRequest, problems: &mut Vec<String>) {
    for (kind, folders) in [("input", &request.inputs), ("output", &request.outputs)] {
        for folder in folders.iter().filter(|folder| !folder.name.is_empty() && !is_name(&folder.name)) {
            problems.push(format!("the {kind} name [{}] must be 1-{LONGEST_NAME} letters, digits, - and _", folder.name));
        }
        for (name, _) in duplicates(folders.iter().map(|folder| &folder.name)) {
            problems.push(format!("two {kind}s have the name [{name}]"));
        }
    }
}

fn volumes(volumes: &[Volume], problems: &mut Vec<String>) {
    if volumes.len() > MOST_VOLUMES {
        problems.push(format!("a job takes at most {MOST_VOLUMES} volumes, not {}", volumes.len()));
    }
    for volume in volumes {
        let path = &volume.local_path;
        let is_taken = OWN_FOLDERS.iter().any(|own| is_below(path, own) || Path::new(own).starts_with(path));
        if !path.starts_with('/') || path == "/" || is_taken || path.split('/').any(|part| part == "..") {
            problems.push(format!("a volume cannot be mounted on [{path}]: it is a folder of its own, such as /mnt/data"));
        }
    }
    for (path, _) in duplicates(volumes.iter().map(|volume| &volume.local_path)) {
        problems.push(format!("two volumes are mounted on [{path}]"));
    }
}

fn schedule(request: &CreateRequest, problems: &mut Vec<String>) {
    if request.node_count == 0 {
        problems.push("train-instance-count must be at least 1".to_owned());
    }
    if request.priority.is_some_and(|priority| !(1..=3).contains(&priority)) {
        problems.push("priority must be 1, 2 or 3".to_owned());
    }
    if request.auto_stop.is_some_and(|hours| !HOURS.contains(&hours)) {
        problems.push(format!("auto-stop must be {} to {} hours", HOURS.start(), HOURS.end()));
    }
    let restart = &request.restart;
    if restart.times > *RESTARTS.end() {
        problems.push(format!("auto-restart must be {} to {}", RESTARTS.start(), RESTARTS.end()));
    }
    if restart.times == 0 && restart.is_unconditional {
        problems.push("unconditional-restart needs auto-restart, which says how often".to_owned());
    }
    if restart.times == 0 && restart.on_hang {
        problems.push("restart-on-hang needs auto-restart, which says how often".to_owned());
    }
    if let Some(notification) = &request.notification {
        if !notification.topic_urn.starts_with("urn:smn:") {
            problems.push(format!("[{}] is no topic; write urn:smn:REGION:PROJECT:NAME", notification.topic_urn));
        }
        for event in notification.events.iter().filter(|event| !EVENTS.contains(&event.as_str())) {
            problems.push(format!("[{event}] is no event of a job; there are {}", EVENTS.join(", ")));
        }
    }
}

/// What occurs more than once, each once, with how often.
fn duplicates<'a>(names: impl Iterator<Item = &'a String>) -> Vec<(&'a String, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for name in names {
        *counts.entry(name).or_insert(0) += 1;
    }
    counts.into_iter().filter(|(_, count)| *count > 1).collect()
}

fn is_below(path: &str, base: &str) -> bool {
    let path = Path::new(path);
    path.starts_with(base) && !path.components().any(|part| part == Component::ParentDir)
}

#[cfg(test)]
mod tests {
    use crate::api::modelarts::training_request::{CreateRequest, Folder, Notification, Restart, Volume};

    fn request() -> CreateRequest {
        let image_url = Some("o/i:t".to_owned());
        CreateRequest { name: "job-1".to_owned(), node_count: 1, image_url, ..CreateRequest::default() }
    }

    #[test]
    fn mistakes_are_named() {
        let some = |text: &str| Some(text.to_owned());
        let folder = |name: &str| Folder { name: name.to_owned(), url: "obs://b/".to_owned(), ..Folder::default() };
        let mount = |path: &str| Volume { local_path: path.to_owned(), nfs_server_path: "h:/".to_owned(), ..Volume::default() };
        let table = [
            (CreateRequest { name: "a b".to_owned(), ..request() }, "job name [a b]"),
            (CreateRequest { name: "x".repeat(65), ..request() }, "job name"),
            (CreateRequest { node_count: 0, ..request() }, "train-instance-count"),
            (CreateRequest { image_url: None, ..request() }, "nothing says what runs"),
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
            (
                CreateRequest { environment: vec![("MA_JOB_DIR".to_owned(), String::new())], ..request() },
                "belong to the service",
            ),
            (
                CreateRequest { algorithm_id: some("a"), image_url: some("o/i:t"), ..request() },
                "image-url is what the algorithm",
            ),
            (CreateRequest { subscription_id: some("s"), ..request() }, "item-version-id"),
            (CreateRequest { run_user: some("0"), ..request() }, "uid [0]"),
            (CreateRequest { outputs: vec![folder("a"), folder("a")], ..request() }, "two outputs have the name [a]"),
            (CreateRequest { inputs: vec![folder("a b")], ..request() }, "input name [a b]"),
            (CreateRequest { volumes: vec![mount("/home")], ..request() }, "cannot be mounted on [/home]"),
            (CreateRequest { volumes: vec![mount("/m"), mount("/m")], ..request() }, "two volumes"),
            (CreateRequest { priority: Some(4), ..request() }, "priority"),
            (CreateRequest { auto_stop: Some(721), ..request() }, "1 to 720 hours"),
            (CreateRequest { restart: Restart { times: 129, ..Restart::default() }, ..request() }, "1 to 128"),
            (CreateRequest { restart: Restart { on_hang: true, ..Restart::default() }, ..request() }, "needs auto-restart"),
            (CreateRequest { notification: Some(Notification::default()), ..request() }, "[] is no topic"),
            (CreateRequest { tags: vec![(String::new(), String::new())], ..request() }, "the tag []"),
        ];
        for (request, expected) in table {
            let error = request.document().unwrap_err().to_string();
            assert!(error.contains(expected), "{error} / {expected}");
        }
        let mounted = CreateRequest { code_dir: some("file:///mnt/code"), local_code_dir: some("/opt"), ..request() };
        assert_eq!(mounted.document().unwrap()["algorithm"]["code_dir"], "file:///mnt/code/");
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let request = CreateRequest {
            name: "a b".to_owned(),
            priority: Some(9),
            code_dir: Some("./x".to_owned()),
            environment: vec![("MA_HANG_DETECT_TIME".to_owned(), "30".to_owned())],
            ..request()
        };
        assert_eq!(request.problems().len(), 3, "{:?}", request.problems());
        let fine = CreateRequest { run_user: Some("0".to_owned()), pool_id: Some("p".to_owned()), ..self::request() };
        assert_eq!(fine.problems(), [""; 0]);
    }
}
