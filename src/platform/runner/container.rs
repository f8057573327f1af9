//! Custom images: the program of a task runs in a container of this machine's Docker.
//!
//! The task's supervisor runs `docker run` in the place of the program, so that output, exit code and SIGTERM come and go as of any
//! other program. The container is on the machine's own network, sees the task's folders at their documented paths and nothing else of
//! the machine, and is removed when the task ends, however it ends.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::platform::runner::environment::{PATH, hide_credentials};
use crate::platform::runner::plan::{Boot, CardKind, Image, JobPlan};

/// How long Docker may take to remove a container or to tell of one.
const LIMIT: Duration = Duration::from_secs(20);

/// The documented user and group of a custom image that names no user.
const USER: u32 = 1000;
const GROUP: u32 = 100;

/// Runs a command in the shell of the image, which need not be bash.
const SHELL: &str = "command -v bash >/dev/null && exec bash -c \"$0\"; exec sh -c \"$0\"";

/// The container of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// The client of Docker, with the options by which it reaches its service.
    pub docker: Vec<String>,
    /// The container's name.
    pub name: String,
}

/// What a container is started with.
#[derive(Debug)]
pub struct Run<'a> {
    /// The job.
    pub plan: &'a JobPlan,
    /// The image.
    pub image: &'a Image,
    /// Folders of this machine, and where they are in the container.
    pub mounts: Vec<(PathBuf, String)>,
    /// Names of the job's nodes, with their addresses.
    pub hosts: Vec<(String, String)>,
    /// The environment that the program is to have.
    pub variables: &'a BTreeMap<String, String>,
    /// Program and arguments.
    pub argv: Vec<String>,
}

impl Container {
    /// The container of a task, by the name that its supervisor's processes are marked with.
    pub fn new(docker: &[String], mark: &str) -> Self {
        Self { docker: docker.to_vec(), name: format!("ma-cli-{}", mark.replace('/', "-")) }
    }

    /// The words that run the program in the container, and the environment that these words need.
    pub fn run(&self, run: &Run<'_>) -> (Vec<String>, BTreeMap<String, String>) {
        let mut words = self.docker.clone();
        words.extend(["run", "--rm", "--init", "--name", &self.name, "--network", "host"].map(str::to_owned));
        // The supervisor keeps the log; the image was looked for before.
        words.extend(["--log-driver", "none", "--pull", "never", "--user", &user(run.image)].map(str::to_owned));
        words.extend(["--workdir".to_owned(), run.plan.working_dir.clone().unwrap_or_else(|| "/home/ma-user".to_owned())]);
        for (from, to) in &run.mounts {
            words.extend([
                "--mount".to_owned(),
                format!("type=bind,{},{}", field("source", from), field("target", Path::new(to))),
            ]);
        }
        for (name, address) in &run.hosts {
            words.extend(["--add-host".to_owned(), format!("{name}:{address}")]);
        }
        if let Some(devices) = gpus(run.variables, run.plan) {
            words.extend(["--gpus".to_owned(), devices]);
        }
        let (passed, environment) = variables(run);
        words.extend(passed.into_iter().flat_map(|variable| ["--env".to_owned(), variable]));
        let Some((program, arguments)) = run.argv.split_first() else { return (words, environment) };
        words.extend(["--entrypoint".to_owned(), program.clone(), run.image.name.clone()]);
        words.extend(arguments.iter().cloned());
        (words, environment)
    }

    /// The words that run another program in the container, on a terminal or with pipes.
    pub fn enter(&self, words: &[String], has_terminal: bool) -> Vec<String> {
        let options: &[&str] = if has_terminal { &["exec", "-i", "-t"] } else { &["exec", "-i"] };
        let options = options.iter().map(|&word| word.to_owned()).chain([self.name.clone()]);
        self.docker.iter().cloned().chain(options).chain(words.iter().cloned()).collect()
    }

    /// Removes the container with everything that runs in it; `false` when that is not sure. Blocks for some milliseconds.
    pub fn remove(&self) -> bool {
        // With `--force` one that is not there is no error for newer clients; for older ones it is.
        let removed = self.ask(&["rm", "--force", &self.name]);
        removed.is_some_and(|output| output.status.success() || is_unknown(&output))
    }

    /// The first process of the container, as this machine counts; `None` before it runs.
    pub fn process(&self) -> Option<i32> {
        let output = self.ask(&["inspect", "--format", "{{.State.Pid}}", &self.name])?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok().filter(|&pid| pid > 0)
    }

    /// Runs the client, but not for ever: its service may hang.
    fn ask(&self, arguments: &[&str]) -> Option<Output> {
        let (program, options) = self.docker.split_first()?;
        let mut command = Command::new(program);
        command.args(options).args(arguments).env("PATH", PATH);
        hide_credentials(&mut command);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()?;
        let deadline = Instant::now() + LIMIT;
        // What it says is far less than a pipe holds.
        while child.try_wait().ok()?.is_none() {
            if Instant::now() > deadline {
                let _ = child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        child.wait_with_output().ok()
    }
}

fn is_unknown(output: &Output) -> bool {
    String::from_utf8_lossy(&output.stderr).contains("No such container")
}

/// Program and arguments of a job in its image; `code` is the code folder there, `arguments` what the job adds.
pub fn program(boot: &Boot, code: &str, arguments: &[String], quote: fn(&str) -> String) -> Vec<String> {
    match boot {
        Boot::File(file) => {
            ["python".to_owned(), format!("{code}/{file}")].into_iter().chain(arguments.iter().cloned()).collect()
        }
        Boot::Command(command) => {
            let quoted: String = arguments.iter().map(|argument| format!(" {}", quote(argument))).collect();
            vec!["/bin/sh".to_owned(), "-c".to_owned(), SHELL.to_owned(), format!("{command}{quoted}")]
        }
    }
}

/// Lets the user of an image write to the folders that it is given: they are behind a folder that only the platform's user may enter.
///
/// # Errors
/// The permissions cannot be changed.
pub fn open_to_all(folder: &Path) -> io::Result<()> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        allow(&folder, 0o777)?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let mode = entry.metadata()?.permissions().mode();
                let executable = if mode & 0o100 == 0 { 0 } else { 0o111 };
                allow(&entry.path(), mode | 0o666 | executable)?;
            }
        }
    }
    Ok(())
}

/// What belongs to another is the image's user's, who wrote it at an earlier start of the job.
fn allow(path: &Path, mode: u32) -> io::Result<()> {
    match fs::set_permissions(path, fs::Permissions::from_mode(mode)) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}

/// The user that the program runs as: the job's, else the documented one, or the platform's own where it cannot read the files of another.
fn user(image: &Image) -> String {
    let own = rustix::process::getuid();
    match image.user {
        Some(user) => format!("{user}:{GROUP}"),
        None if own.is_root() => format!("{USER}:{GROUP}"),
        None => format!("{}:{}", own.as_raw(), rustix::process::getgid().as_raw()),
    }
}

/// The cards that the job was given.
fn gpus(variables: &BTreeMap<String, String>, plan: &JobPlan) -> Option<String> {
    let devices = variables.get("NVIDIA_VISIBLE_DEVICES").filter(|devices| !devices.is_empty())?;
    (plan.card_kind == Some(CardKind::Gpu)).then(|| format!("\"device={devices}\""))
}

/// What `--env` is told, and the environment of the client: values stay out of lists of processes. Those that would mean something to
/// the client itself are an exception, and the image's own search path is left alone unless the job has one.
fn variables(run: &Run<'_>) -> (Vec<String>, BTreeMap<String, String>) {
    let is_of_client = |name: &str| ["PATH", "HOME"].contains(&name) || name.starts_with("DOCKER_") || name.starts_with("LD_");
    let is_of_user = |name: &str| run.plan.environment.iter().any(|(other, _)| other == name);
    let mut environment = BTreeMap::from([("PATH".to_owned(), PATH.to_owned())]);
    let mut passed = Vec::new();
    for (name, value) in
        run.variables.iter().filter(|(name, _)| !["PATH", "HOSTNAME"].contains(&name.as_str()) || is_of_user(name))
    {
        if is_of_client(name) {
            passed.push(format!("{name}={value}"));
        } else {
            passed.push(name.clone());
            environment.insert(name.clone(), value.clone());
        }
    }
    (passed, environment)
}

/// A field of a mount, which is a line of comma separated values.
fn field(name: &str, path: &Path) -> String {
    let text = format!("{name}={}", path.display());
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Container, Run, open_to_all, program};
    use crate::platform::runner::boot::quote;
    use crate::platform::runner::plan::{Boot, Family, Image, JobPlan};

    #[test]
    fn a_task_becomes_a_container() {
        let plan = JobPlan { environment: vec![("LD_PRELOAD".into(), "x".into())], ..JobPlan::example(Family::Plain) };
        let image = Image { name: "org/image:1".into(), user: Some(5) };
        let container = Container::new(&["docker".into(), "--host".into(), "unix:///d".into()], "1/worker-0");
        let given = [("PATH", "/own"), ("SECRET", "s"), ("LD_PRELOAD", "x"), ("HOME", "/home/ma-user")];
        let given: BTreeMap<_, _> = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let (words, environment) = container.run(&Run {
            plan: &plan,
            image: &image,
            mounts: vec![("/j/a,b".into(), "/home/ma-user/modelarts".into())],
            hosts: vec![("node".into(), "127.0.0.2".into())],
            variables: &given,
            argv: program(&Boot::Command("run it".into()), "/code", &["--a=b c".into()], quote),
        });
        let text = words.join("|");
        assert!(text.starts_with("docker|--host|unix:///d|run|--rm|--init|--name|ma-cli-1-worker-0|--network|host|"), "{text}");
        for part in [
            "|--user|5:100|",
            "|--workdir|/home/ma-user|",
            "|--mount|type=bind,\"source=/j/a,b\",target=/home/ma-user/modelarts|",
            "|--add-host|node:127.0.0.2|",
            "|--env|HOME=/home/ma-user|--env|LD_PRELOAD=x|--env|SECRET|--entrypoint|/bin/sh|org/image:1|-c|",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.ends_with("|run it '--a=b c'") && !text.contains("PATH="), "{text}");
        assert_eq!(environment["SECRET"], "s");
        assert!(environment["PATH"].contains("/usr/bin") && !environment.contains_key("LD_PRELOAD"));
        assert_eq!(container.enter(&["ls".into()], false)[3..], ["exec", "-i", "ma-cli-1-worker-0", "ls"]);
        let file = program(&Boot::File("m.py".into()), "/code", &["--x".into()], quote);
        assert_eq!(file, ["python", "/code/m.py", "--x"]);
    }

    #[test]
    fn the_user_of_an_image_may_write_to_its_folders() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("outputs")).unwrap();
        fs::write(folder.path().join("outputs/run.sh"), "").unwrap();
        fs::set_permissions(folder.path().join("outputs/run.sh"), fs::Permissions::from_mode(0o700)).unwrap();
        open_to_all(folder.path()).unwrap();
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("outputs"), mode("outputs/run.sh")), (0o777, 0o777));
    }
}
