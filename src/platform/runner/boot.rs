//! The command that starts a task, as the preset images build it.

use std::collections::BTreeSet;
use std::io;
use std::net::TcpListener;
use std::path::Path;

use crate::platform::runner::hosts;
use crate::platform::runner::layout::Layout;
use crate::platform::runner::plan::{Access, Boot, Channel, Family, JobPlan, Launcher, Task, node_address};

/// The documented ports of parameter servers and workers of TensorFlow.
const PORTS: std::ops::Range<u16> = 5000..10_000;

/// The ports of `torchrun` where the job names none: the documented one, and those that follow it for jobs that run side by side.
const TORCHRUN_PORTS: std::ops::Range<u16> = 18_888..19_888;

/// The variable by which a job names the port of `torchrun`, and learns of it.
pub const TORCHRUN_PORT: &str = "MA_TORCHRUN_MASTER_PORT";

/// What the tasks of one job agree on before they start.
#[derive(Clone, Debug, Default)]
pub struct Meeting {
    /// A free port of the first node, for `--init_method` and the launchers.
    port: u16,
    /// `host:port` of each parameter server.
    ps_hosts: Vec<String>,
    /// `host:port` of each TensorFlow worker.
    worker_hosts: Vec<String>,
}

impl Meeting {
    /// Picks free ports. They are free now; whoever starts first takes them, as on the cloud. `promised` are ports of `torchrun`
    /// that other jobs were given and perhaps do not listen on yet.
    ///
    /// # Errors
    /// The loopback addresses cannot be used.
    pub fn arrange(plan: &JobPlan, has_names: bool, promised: &BTreeSet<u16>) -> io::Result<Self> {
        // All listeners are held until all ports are known, so that no port is given twice.
        let mut held = Vec::new();
        let mut hosts = |role| -> io::Result<Vec<String>> {
            let host = |index| {
                let task = Task { role, index };
                let listener = listen(&task, from_anywhere(PORTS))?;
                let port = listener.local_addr()?.port();
                held.push(listener);
                let host = if has_names { hosts::name(plan, &task) } else { task.address().to_string() };
                Ok(format!("{host}:{port}"))
            };
            (0..plan.nodes).map(host).collect()
        };
        match plan.family() {
            Family::TensorFlow if plan.nodes > 1 => {
                Ok(Self { port: 0, ps_hosts: hosts("ps")?, worker_hosts: hosts("worker")? })
            }
            Family::PyTorch | Family::Ascend => {
                let first = Task { role: "worker", index: 0 };
                let is_torchrun = plan.launcher() == Some(Launcher::Torchrun);
                let candidates = TORCHRUN_PORTS.filter(|port| is_torchrun && !promised.contains(port));
                Ok(Self { port: listen(&first, candidates)?.local_addr()?.port(), ..Self::default() })
            }
            _ => Ok(Self::default()),
        }
    }

    /// The port of the job's `torchrun`; `None` for a job that is not started by it or names one itself.
    pub fn torchrun_port(&self, plan: &JobPlan) -> Option<u16> {
        let is_ours = plan.launcher() == Some(Launcher::Torchrun) && plan.variable(TORCHRUN_PORT).is_none();
        is_ours.then_some(self.port)
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

/// Listens on a port of a task's node: the first free one of those, else any.
fn listen(task: &Task, mut ports: impl Iterator<Item = u16>) -> io::Result<TcpListener> {
    let address = task.address();
    let found = ports.find_map(|port| TcpListener::bind((address, port)).ok());
    found.map_or_else(|| TcpListener::bind((address, 0)), Ok)
}

/// A range beginning somewhere in it, so that platforms whose jobs start at the same time do not all try the same.
fn from_anywhere(ports: std::ops::Range<u16>) -> impl Iterator<Item = u16> {
    let length = u32::from(ports.end - ports.start);
    let begin = std::process::id().wrapping_mul(31).wrapping_add(u32::from(ports.start)) % length;
    (0..length).map(move |step| ports.start + ((begin + step) % length) as u16)
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
            let script = code.join(file).to_string_lossy().into_owned();
            if let Some(launcher) = plan.launcher() {
                return launched(launcher, plan, task, meeting, programs, [vec![script], arguments].concat());
            }
            let mut argv = vec![programs.python.clone(), script];
            argv.extend(meeting.arguments(plan, task));
            argv.extend(arguments);
            argv
        }
        Boot::Command(command) => {
            let quoted = arguments.iter().map(|argument| format!(" {}", quote(argument))).collect::<String>();
            return vec!["/bin/bash".to_owned(), "-c".to_owned(), layout.replace(command) + &quoted];
        }
    };
    match plan.family() {
        Family::Mpi if plan.is_led() => ranks(plan, task, programs, argv),
        Family::Ascend if plan.cards > 0 => per_card(plan, task, programs, argv),
        _ => argv,
    }
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
    /// The launcher that the job has chosen, if it has.
    pub launcher: String,
    /// The list of nodes for `mpirun`.
    pub hostfile: String,
    /// The rank table that HCCL reads.
    pub rank_table: String,
    /// The script that runs a program once for each card.
    pub run_per_card: String,
    /// Words before a program that let it see the names of the job's nodes.
    pub wrapper: Vec<String>,
}

/// One command for all ranks on the first node; the others say where the log is and wait to be ended.
fn ranks(plan: &JobPlan, task: &Task, programs: &Programs, argv: Vec<String>) -> Vec<String> {
    if task.index > 0 {
        let script = "echo 'the training log is in worker-0'; exec sleep 365d";
        return ["/bin/bash", "-c", script].map(str::to_owned).to_vec();
    }
    let mut launch = vec![programs.mpirun.clone(), "--allow-run-as-root".to_owned(), "--oversubscribe".to_owned()];
    launch.extend(["-hostfile".to_owned(), programs.hostfile.clone()]);
    launch.extend(["-bind-to", "none", "-map-by", "slot"].map(str::to_owned));
    launch.extend(["-mca", "plm_rsh_agent", "ssh", "-mca", "plm_rsh_no_tree_spawn", "true"].map(str::to_owned));
    launch.extend(["-np".to_owned(), (plan.nodes * plan.cards.max(1)).to_string()]);
    launch.extend(argv);
    launch
}

/// One run of the program for each card of the node.
fn per_card(plan: &JobPlan, task: &Task, programs: &Programs, argv: Vec<String>) -> Vec<String> {
    let mut launch = vec!["/bin/bash".to_owned(), programs.run_per_card.clone()];
    let (first, size) = (task.index * plan.cards, plan.nodes * plan.cards);
    launch.extend([plan.cards, first, size].map(|number| number.to_string()));
    launch.extend([plan.workload(), programs.rank_table.clone()]);
    launch.extend(argv);
    launch
}

/// The launcher of the framework, which starts one process a card by itself. `program` is the boot file with its arguments.
fn launched(
    launcher: Launcher,
    plan: &JobPlan,
    task: &Task,
    meeting: &Meeting,
    programs: &Programs,
    program: Vec<String>,
) -> Vec<String> {
    let (nodes, cards, index) = (plan.nodes, plan.cards.max(1), task.index);
    let master = node_address(0);
    let port = plan.variable(TORCHRUN_PORT).map_or_else(|| meeting.port.to_string(), str::to_owned);
    let mut argv = vec![programs.launcher.clone()];
    match launcher {
        Launcher::Torchrun => {
            argv.extend((nodes == 1).then(|| "--standalone".to_owned()));
            argv.extend([format!("--nnodes={nodes}"), format!("--nproc_per_node={cards}")]);
            if nodes > 1 {
                argv.extend([format!("--node_rank={index}"), format!("--master_addr={master}")]);
                argv.extend([format!("--master_port={port}"), format!("--rdzv_id={}", plan.id)]);
                argv.push("--rdzv_backend=static".to_owned());
            }
            let extra = plan.variable("MA_EXTRA_TORCHRUN_PARAMS").unwrap_or_default();
            argv.extend(extra.split_whitespace().map(str::to_owned));
        }
        Launcher::Msrun => {
            argv.extend([format!("--worker_num={}", nodes * cards), format!("--local_worker_num={cards}")]);
            if nodes > 1 {
                argv.extend([format!("--master_addr={master}"), format!("--node_rank={index}")]);
            }
            let limit = plan.variable("MSRUN_CLUSTER_TIME_OUT").unwrap_or("600");
            argv.extend([format!("--master_port={}", meeting.port), "--join=True".to_owned()]);
            argv.push(format!("--cluster_time_out={limit}"));
            if plan.variable("MS_RANKTABLE_ENABLE") == Some("True") && !programs.rank_table.is_empty() {
                argv.push(format!("--rank_table_file={}", programs.rank_table));
            }
        }
    }
    argv.extend(program);
    argv
}

/// A word that the shell takes literally.
pub fn quote(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_=./:,@%+".contains(character);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::{Meeting, Programs, TORCHRUN_PORT, command, quote};
    use crate::platform::runner::layout::Layout;
    use crate::platform::runner::plan::{Access, Boot, Channel, Family, JobPlan, ObsPlace, Task};

    fn plan(family: Family, nodes: u32, boot: Boot) -> JobPlan {
        let channel = |name: &str, access| Channel {
            name: name.into(),
            remote: ObsPlace::parse("obs://b/d/").unwrap(),
            local_dir: String::new(),
            access,
            predownload: false,
        };
        JobPlan {
            boot,
            inputs: vec![channel("data_url", Access::Parameter)],
            outputs: vec![channel("OUT", Access::Environment)],
            parameters: vec![("epochs".into(), "3".into()), ("fast".into(), String::new())],
            nodes,
            ..JobPlan::example(family)
        }
    }

    fn build(plan: &JobPlan, index: u32) -> Vec<String> {
        let task = Task { role: "worker", index };
        let meeting =
            Meeting { port: 5, ps_hosts: vec!["p:1".into(), "q:2".into()], worker_hosts: vec!["r:3".into(), "s:4".into()] };
        let layout = Layout::new(Path::new("/j"), plan, &task);
        let channels = [(&plan.inputs[0], "/in".to_owned()), (&plan.outputs[0], "/out".to_owned())];
        let programs = Programs {
            python: "python3".into(),
            mpirun: "mpirun".into(),
            launcher: "torchrun".into(),
            hostfile: "/hosts".into(),
            rank_table: "/table".into(),
            run_per_card: "/run".into(),
            ..Programs::default()
        };
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
        assert_eq!(led[..5], ["mpirun", "--allow-run-as-root", "--oversubscribe", "-hostfile", "/hosts"]);
        let at = led.iter().position(|word| word == "-np").unwrap();
        assert_eq!(led[at + 1..at + 4], ["2", "python3", "/c/main.py"]);
        assert!(build(&plan(Family::Mpi, 2, file()), 1)[2].contains("sleep"));
    }

    #[test]
    fn cards_are_run_one_by_one_or_by_a_launcher() {
        let file = || Boot::File("main.py".into());
        let cards = JobPlan { cards: 2, ..plan(Family::Ascend, 2, file()) };
        let argv = build(&cards, 1);
        assert_eq!(argv[..9], ["/bin/bash", "/run", "2", "2", "4", "modelarts-job-1", "/table", "python3", "/c/main.py"]);
        assert_eq!(argv[9..], ["--data_url=/in", "--epochs=3", "--fast"]);
        let method = |name: &str| vec![("MA_RUN_METHOD".to_owned(), name.to_owned())];
        let several = JobPlan { environment: method("torchrun"), ..cards.clone() };
        assert_eq!(
            build(&several, 1)[..9],
            [
                "torchrun",
                "--nnodes=2",
                "--nproc_per_node=2",
                "--node_rank=1",
                "--master_addr=127.0.0.1",
                "--master_port=5",
                "--rdzv_id=1",
                "--rdzv_backend=static",
                "/c/main.py",
            ]
        );
        let one = JobPlan { environment: method("torchrun"), ..plan(Family::PyTorch, 1, file()) };
        assert_eq!(build(&one, 0)[..5], ["torchrun", "--standalone", "--nnodes=1", "--nproc_per_node=1", "/c/main.py"]);
        let mind = JobPlan { environment: method("msrun"), ..cards };
        assert_eq!(
            build(&mind, 0)[1..5],
            ["--worker_num=4", "--local_worker_num=2", "--master_addr=127.0.0.1", "--node_rank=0"]
        );
        let other = JobPlan { environment: method("torchrun"), ..plan(Family::TensorFlow, 1, file()) };
        assert_eq!(build(&other, 0)[0], "python3");
    }

    #[test]
    fn jobs_of_torchrun_have_ports_of_their_own() {
        let torchrun = |port: &str| JobPlan {
            environment: vec![("MA_RUN_METHOD".into(), "torchrun".into()), (TORCHRUN_PORT.into(), port.into())],
            ..plan(Family::PyTorch, 2, Boot::File("main.py".into()))
        };
        let of = |promised: &BTreeSet<u16>| {
            let plan = torchrun("");
            Meeting::arrange(&plan, false, promised).unwrap().torchrun_port(&plan).unwrap()
        };
        let mut promised = BTreeSet::from([18_888]);
        for _ in 0..3 {
            let port = of(&promised);
            assert!(super::TORCHRUN_PORTS.contains(&port) && promised.insert(port), "{port}");
        }
        let named = torchrun("7");
        assert_eq!(Meeting::arrange(&named, false, &promised).unwrap().torchrun_port(&named), None);
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
