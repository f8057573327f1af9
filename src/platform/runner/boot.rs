//! The command that starts a task, as the preset images build it.

use std::io;
use std::net::TcpListener;
use std::path::Path;

use crate::platform::runner::layout::Layout;
use crate::platform::runner::plan::{Access, Boot, Channel, Family, JobPlan, Task, node_address};

/// What the tasks of one job agree on before they start.
#[derive(Clone, Debug, Default)]
pub struct Meeting {
    /// A free port of the first node, for `--init_method`.
    port: u16,
    /// `address:port` of each parameter server.
    ps_hosts: Vec<String>,
    /// `address:port` of each TensorFlow worker.
    worker_hosts: Vec<String>,
}

impl Meeting {
    /// Picks free ports. They are free now; whoever starts first takes them, as on the cloud.
    ///
    /// # Errors
    /// The loopback addresses cannot be used.
    pub fn arrange(plan: &JobPlan) -> io::Result<Self> {
        // All listeners are held until all ports are known, so that no port is given twice.
        let mut held = Vec::new();
        let mut hosts = || -> io::Result<Vec<String>> {
            (0..plan.nodes)
                .map(|node| {
                    let listener = TcpListener::bind((node_address(node), 0))?;
                    let host = listener.local_addr()?.to_string();
                    held.push(listener);
                    Ok(host)
                })
                .collect()
        };
        match plan.family() {
            Family::TensorFlow if plan.nodes > 1 => Ok(Self { port: 0, ps_hosts: hosts()?, worker_hosts: hosts()? }),
            Family::PyTorch => {
                let first = TcpListener::bind((node_address(0), 0))?;
                Ok(Self { port: first.local_addr()?.port(), ..Self::default() })
            }
            _ => Ok(Self::default()),
        }
    }

    /// The arguments that the engine adds.
    fn arguments(&self, plan: &JobPlan, task: &Task) -> Vec<String> {
        let several = plan.nodes > 1;
        match plan.family() {
            Family::PyTorch => {
                let mut arguments = vec!["--init_method".to_owned(), format!("tcp://{}:{}", node_address(0), self.port)];
                if several {
                    arguments.extend(["--rank".to_owned(), task.index.to_string()]);
                    arguments.extend(["--world_size".to_owned(), plan.nodes.to_string()]);
                }
                arguments
            }
            Family::TensorFlow if several => [
                ("--task_index", task.index.to_string()),
                ("--ps_hosts", self.ps_hosts.join(",")),
                ("--worker_hosts", self.worker_hosts.join(",")),
                ("--job_name", task.role.to_owned()),
            ]
            .into_iter()
            .flat_map(|(name, value)| [name.to_owned(), value])
            .collect(),
            _ => Vec::new(),
        }
    }
}

/// Builds program and arguments. `python` and `mpirun` are programs of this machine, `channels` hold local paths.
pub fn command(
    plan: &JobPlan,
    task: &Task,
    meeting: &Meeting,
    layout: &Layout,
    programs: &Programs,
    code: &Path,
    channels: &[(&Channel, String)],
) -> Vec<String> {
    let mut arguments: Vec<String> = channels
        .iter()
        .filter(|(channel, _)| channel.access == Access::Parameter)
        .map(|(channel, path)| format!("--{}={path}", channel.name))
        .collect();
    arguments.extend(plan.parameters.iter().map(|(name, value)| {
        if value.is_empty() { format!("--{name}") } else { format!("--{name}={}", layout.replace(value)) }
    }));
    let argv = match &plan.boot {
        Boot::File(file) => {
            let mut argv = vec![programs.python.clone(), code.join(file).to_string_lossy().into_owned()];
            argv.extend(meeting.arguments(plan, task));
            argv.extend(arguments);
            argv
        }
        Boot::Command(command) => {
            let quoted = arguments.iter().map(|argument| format!(" {}", quote(argument))).collect::<String>();
            vec!["/bin/bash".to_owned(), "-c".to_owned(), layout.replace(command) + &quoted]
        }
    };
    if plan.is_led() { ranks(plan, task, programs, argv) } else { argv }
}

/// Programs of this machine that a command names.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    /// The engine's Python.
    pub python: String,
    /// Whether it has pip; else each environment is given one, which takes seconds.
    pub has_pip: bool,
    /// Open MPI's launcher.
    pub mpirun: String,
}

/// One command for all ranks on the first node; the others say where the log is and wait to be ended.
fn ranks(plan: &JobPlan, task: &Task, programs: &Programs, argv: Vec<String>) -> Vec<String> {
    if task.index > 0 {
        let script = "echo 'the training log is in worker-0'; exec sleep 365d";
        return ["/bin/bash", "-c", script].map(str::to_owned).to_vec();
    }
    let mut launch = vec![programs.mpirun.clone()];
    launch.extend(["--allow-run-as-root", "--oversubscribe", "-np"].map(str::to_owned));
    launch.push(plan.nodes.to_string());
    launch.extend(argv);
    launch
}

/// A word that the shell takes literally.
fn quote(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_=./:,@%+".contains(character);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Meeting, Programs, command, quote};
    use crate::platform::runner::layout::{JOB_DIR, Layout};
    use crate::platform::runner::plan::{Access, Boot, Channel, Engine, Family, JobPlan, ObsPlace, Task};

    fn plan(family: Family, nodes: u32, boot: Boot) -> JobPlan {
        let channel = |name: &str, access| Channel {
            name: name.into(),
            remote: ObsPlace::parse("obs://b/d/").unwrap(),
            local_dir: String::new(),
            access,
        };
        JobPlan {
            id: "1".into(),
            code: ObsPlace::parse("obs://b/code/"),
            local_code_dir: JOB_DIR.into(),
            boot,
            working_dir: None,
            engine: Some(Engine { id: "e".into(), name: "E".into(), family, module: None }),
            inputs: vec![channel("data_url", Access::Parameter)],
            outputs: vec![channel("OUT", Access::Environment)],
            parameters: vec![("epochs".into(), "3".into()), ("fast".into(), String::new())],
            environment: Vec::new(),
            nodes,
            cores: 2,
            memory: 1,
            log: None,
        }
    }

    fn build(plan: &JobPlan, index: u32) -> Vec<String> {
        let task = Task { role: "worker", index };
        let meeting =
            Meeting { port: 5, ps_hosts: vec!["p:1".into(), "q:2".into()], worker_hosts: vec!["r:3".into(), "s:4".into()] };
        let layout = Layout::new(Path::new("/j"), plan, &task);
        let channels = [(&plan.inputs[0], "/in".to_owned()), (&plan.outputs[0], "/out".to_owned())];
        let programs = Programs { python: "python3".into(), has_pip: true, mpirun: "mpirun".into() };
        command(plan, &task, &meeting, &layout, &programs, Path::new("/c"), &channels)
    }

    #[test]
    fn engines_add_their_arguments() {
        let file = || Boot::File("main.py".into());
        let tail = ["--data_url=/in", "--epochs=3", "--fast"];
        let one = build(&plan(Family::PyTorch, 1, file()), 0);
        assert_eq!(one[..4], ["python3", "/c/main.py", "--init_method", "tcp://127.0.0.1:5"]);
        assert_eq!(one[4..], tail);
        let two = build(&plan(Family::PyTorch, 2, file()), 1);
        assert_eq!(two[4..8], ["--rank", "1", "--world_size", "2"]);
        let flow = build(&plan(Family::TensorFlow, 2, file()), 1);
        assert_eq!(flow[2..6], ["--task_index", "1", "--ps_hosts", "p:1,q:2"]);
        assert_eq!(flow[6..10], ["--worker_hosts", "r:3,s:4", "--job_name", "worker"]);
        assert_eq!(build(&plan(Family::TensorFlow, 1, file()), 0)[2..], tail);
        let led = build(&plan(Family::Mpi, 2, file()), 0);
        assert_eq!(led[..6], ["mpirun", "--allow-run-as-root", "--oversubscribe", "-np", "2", "python3"]);
        assert!(build(&plan(Family::Mpi, 2, file()), 1)[2].contains("sleep"));
    }

    #[test]
    fn a_command_gets_its_arguments_appended_and_quoted() {
        let mut plan = plan(Family::Plain, 1, Boot::Command("cd /home/ma-user/x && python t.py".into()));
        plan.parameters.push(("name".into(), "a b'c".into()));
        let argv = build(&plan, 0);
        assert_eq!(argv[..2], ["/bin/bash", "-c"]);
        assert_eq!(
            argv[2],
            r"cd /j/1/worker-0/home/ma-user/x && python t.py --data_url=/in --epochs=3 --fast '--name=a b'\''c'"
        );
    }

    #[test]
    fn words_are_quoted_only_when_they_must_be() {
        assert_eq!(quote("--a=1/b"), "--a=1/b");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("$x"), "'$x'");
    }
}
