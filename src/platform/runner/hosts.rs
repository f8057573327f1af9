//! How the tasks of a job find and reach each other on one machine.
//!
//! Each node is a loopback address (127.0.0.1, 127.0.0.2, …). The documented names of the nodes
//! (`${MA_VJ_NAME}-${MA_TASK_NAME}-N.${MA_VJ_NAME}`, and their first part alone) are lines of a hosts file of the job's own, which
//! its programs see as `/etc/hosts`: each task runs in a mount namespace of its own. That needs no privileges where the system
//! lets users make namespaces; where it does not, the lists of hosts hold addresses, and the names are not known.
//!
//! Password-free access works without a server: `ssh HOST COMMAND` of a task runs the command on this machine, in the folders
//! and with the environment of the task whose name or address HOST is. Other hosts are left to the system's `ssh`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::platform::runner::Error;
use crate::platform::runner::boot::quote;
use crate::platform::runner::environment::PATH;
use crate::platform::runner::layout::{HOME, Layout, job_folder};
use crate::platform::runner::plan::{JobPlan, Task};

/// The system's hosts file.
const SYSTEM: &str = "/etc/hosts";

/// Ways to start a program in a mount namespace of its own: as root, and as anybody. The first word is looked for in
/// [`PATH`], since a job may have a search path of its own.
const WAYS: [&[&str]; 2] = [
    &["unshare", "--mount", "--propagation", "private"],
    &["unshare", "--user", "--map-current-user", "--keep-caps", "--mount", "--propagation", "private"],
];

/// Puts the hosts file in its place, and becomes the program. What it could do for that, the program cannot.
const SCRIPT: &str = "PATH=/usr/sbin:/usr/bin:/sbin:/bin command mount --bind \"$0\" /etc/hosts && exec \"$@\"";

/// The file of a task that sets its environment, for a shell.
const ENVIRONMENT_FILE: &str = "environment.sh";

/// A job's list of its tasks, for `ssh`: name and folder.
const TASKS_FILE: &str = "tasks";

/// The full name of a task's node.
pub fn name(plan: &JobPlan, task: &Task) -> String {
    format!("{}.{}", short_name(plan, task), plan.workload())
}

fn short_name(plan: &JobPlan, task: &Task) -> String {
    format!("{}-{}", plan.workload(), task.id())
}

/// The names of all nodes, full and short, each with its address.
pub fn addresses(plan: &JobPlan) -> Vec<(String, String)> {
    let of = |task: Task| {
        let address = task.address().to_string();
        [(name(plan, &task), address.clone()), (short_name(plan, &task), address)]
    };
    plan.tasks().into_iter().flat_map(of).collect()
}

/// Finds out how this machine lets a program see a hosts file of its own; `None` when it does not. Takes milliseconds.
pub fn find_way() -> Option<Vec<String>> {
    let way = |way: &&[&str]| -> Option<Vec<String>> {
        let (program, arguments) = way.split_first()?;
        let program = PATH.split(':').map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())?;
        let mut command = Command::new(&program);
        command.args(arguments).args(["--", "/bin/sh", "-c", SCRIPT, SYSTEM, "true"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let words =
            || [program.to_string_lossy().into_owned()].into_iter().chain(arguments.iter().map(|&word| word.to_owned()));
        command.status().is_ok_and(|status| status.success()).then(|| words().collect())
    };
    WAYS.iter().find_map(way)
}

/// The words before a program that let it see the job's hosts file.
pub fn wrapper(way: &[String], jobs: &Path, plan: &JobPlan) -> Vec<String> {
    let hosts = hosts_file(jobs, plan).to_string_lossy().into_owned();
    let mut words = way.to_vec();
    words.extend(["--", "/bin/sh", "-c", SCRIPT].map(str::to_owned));
    words.push(hosts);
    words
}

/// Writes the job's hosts file, and its list of tasks.
///
/// # Errors
/// The job's folder cannot be written.
pub fn write(jobs: &Path, plan: &JobPlan) -> Result<(), Error> {
    let folder = job_folder(jobs, &plan.id);
    fs::create_dir_all(&folder).map_err(Error::local("cannot create", &folder))?;
    let system = fs::read_to_string(SYSTEM).unwrap_or_else(|_| "127.0.0.1 localhost\n".to_owned());
    let (mut hosts, mut list) = (format!("{}\n", system.trim_end()), String::new());
    for task in plan.tasks() {
        let (full, short, address) = (name(plan, &task), short_name(plan, &task), task.address().to_string());
        hosts.push_str(&format!("{address} {full} {short}\n"));
        let folder = Layout::new(jobs, plan, &task).folder().to_string_lossy().into_owned();
        for host in [full, short, address] {
            list.push_str(&format!("{host} {folder}\n"));
        }
    }
    let replace = |path: &Path, text: &str| -> io::Result<()> {
        let new = path.with_extension("new");
        fs::write(&new, text)?;
        fs::rename(&new, path)
    };
    for (path, text) in [(hosts_file(jobs, plan), hosts), (folder.join(TASKS_FILE), list)] {
        replace(&path, &text).map_err(Error::local("cannot write", &path))?;
    }
    Ok(())
}

/// Gives a task the file that sets its environment, and the `ssh` that reaches the others, in the folder `bin` of its programs.
///
/// # Errors
/// The task's folder cannot be written.
pub fn write_access(
    jobs: &Path,
    plan: &JobPlan,
    layout: &Layout,
    bin: &Path,
    variables: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let file = layout.folder().join(ENVIRONMENT_FILE);
    let line = |(name, value): (&String, &String)| format!("export {name}={}\n", quote(value));
    // The place of an input or output may be a variable whose name is none for a shell.
    let is_name = |name: &str| name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    let lines = variables.iter().filter(|(name, _)| is_name(name)).map(line);
    fs::write(&file, lines.collect::<String>()).map_err(Error::local("cannot write", &file))?;
    let tasks = job_folder(jobs, &plan.id).join(TASKS_FILE);
    let script = SSH.replace("TASKS", &quote(&tasks.to_string_lossy())).replace("ENVIRONMENT", ENVIRONMENT_FILE);
    let ssh = bin.join("ssh");
    fs::write(&ssh, script).map_err(Error::local("cannot write", &ssh))?;
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).map_err(Error::local("cannot mark", &ssh))
}

/// Writes the list of nodes for `mpirun` and returns its path: one line a node, with as many slots as it has cards.
///
/// # Errors
/// The file cannot be written.
pub fn write_hostfile(plan: &JobPlan, layout: &Layout) -> Result<PathBuf, Error> {
    let path = layout.local(HOME).join("hostfile");
    let slots = plan.cards.max(1);
    let lines: String = plan.tasks().iter().map(|task| format!("{} slots={slots}\n", task.address())).collect();
    fs::write(&path, lines).map_err(Error::local("cannot write", &path))?;
    Ok(path)
}

fn hosts_file(jobs: &Path, plan: &JobPlan) -> PathBuf {
    job_folder(jobs, &plan.id).join("hosts")
}

/// As far as `ssh` is used to start programs: options are passed over, words are joined by spaces for a shell.
const SSH: &str = r#"#!/bin/sh
# The other tasks of this job run on this machine: a command for one of them is run here, in its folders and with its
# environment. Any other host is left to the system's own ssh.
takes_value() {
  case $1 in -[bcDEeFIiJLlmOopQRSWw]) return 0 ;; *) return 1 ;; esac
}
host=
count=0
skip=
for word do
  count=$((count + 1))
  if [ -n "$skip" ]; then
    skip=
  elif takes_value "$word"; then
    skip=yes
  else
    case $word in
      -*) ;;
      *) host=${word#*@}; break ;;
    esac
  fi
done
folder=$(while read -r name folder; do [ "$name" = "$host" ] && echo "$folder" && break; done < TASKS)
if [ -z "$folder" ]; then
  for own in /usr/bin/ssh /usr/local/bin/ssh; do
    [ -x "$own" ] && exec "$own" "$@"
  done
  echo "ssh: $host is no task of this job, and this machine has no ssh" >&2
  exit 255
fi
shift "$count"
while :; do
  if [ "$1" = -- ]; then shift; break; fi
  if takes_value "$1"; then shift 2; continue; fi
  case $1 in -*) shift ;; *) break ;; esac
done
exec env -i "MA_CLI_TASK=$MA_CLI_TASK" /bin/sh -c '. "$0" && cd "$HOME" || exit
if [ "$#" -eq 0 ]; then exec /bin/sh; fi
exec /bin/sh -c "$*"' "$folder/ENVIRONMENT" "$@"
"#;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::Command;

    use super::{fs, name, write, write_access, write_hostfile};
    use crate::platform::runner::layout::Layout;
    use crate::platform::runner::plan::{Family, JobPlan};

    #[test]
    fn the_names_of_nodes_need_nothing_of_the_job_s_search_path() {
        // Without the means for it there are no names, which is another matter.
        let Some(way) = super::find_way() else { return };
        let folder = tempfile::tempdir().unwrap();
        let plan = JobPlan { nodes: 2, ..JobPlan::example(Family::Plain) };
        write(folder.path(), &plan).unwrap();
        let words = super::wrapper(&way, folder.path(), &plan);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["/bin/cat", "/etc/hosts"]).env_clear().env("PATH", "/home/ma-user/anaconda/bin");
        let hosts = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert!(hosts.contains("modelarts-job-1-worker-1"), "{hosts}");
    }

    #[test]
    fn a_command_for_another_task_runs_in_its_surroundings() {
        let folder = tempfile::tempdir().unwrap();
        let plan = JobPlan { nodes: 2, ..JobPlan::example(Family::Mpi) };
        write(folder.path(), &plan).unwrap();
        let tasks = plan.tasks();
        let mut bins = Vec::new();
        for task in &tasks {
            let layout = Layout::new(folder.path(), &plan, task);
            let (bin, home) = (layout.folder().join("bin"), layout.folder().join("it's home"));
            fs::create_dir_all(&bin).unwrap();
            fs::create_dir_all(&home).unwrap();
            let variables = [("HOME", home.to_str().unwrap()), ("OF", &task.id()), ("PATH", "/usr/bin:/bin"), ("my-data", "x")];
            let variables: BTreeMap<_, _> = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            write_access(folder.path(), &plan, &layout, &bin, &variables).unwrap();
            bins.push(bin);
        }
        let run = |words: &[&str]| {
            let output = Command::new(bins[0].join("ssh")).args(words).env("OF", "caller").output().unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        let second = name(&plan, &tasks[1]);
        let (code, text) = run(&["-p", "36666", "-o", "BatchMode=yes", &second, "echo $OF;", "pwd", ";exit 3"]);
        assert_eq!(code, Some(3));
        assert!(text.starts_with("worker-1\n/") && text.ends_with("/it's home\n"), "{text}");
        assert_eq!(run(&["root@127.0.0.1", "-p", "22", "-q", "echo", "$OF"]), (Some(0), "worker-0\n".into()));
        let hosts = fs::read_to_string(folder.path().join("1/hosts")).unwrap();
        assert!(hosts.ends_with(&format!("127.0.0.2 {second} modelarts-job-1-worker-1\n")), "{hosts}");
        let layout = Layout::new(folder.path(), &plan, &tasks[0]);
        fs::create_dir_all(layout.local(super::HOME)).unwrap();
        let hostfile = write_hostfile(&plan, &layout).unwrap();
        assert_eq!(fs::read_to_string(hostfile).unwrap(), "127.0.0.1 slots=1\n127.0.0.2 slots=1\n");
    }
}
