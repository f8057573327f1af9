//! The command that starts a task, as the preset images build it.

use std::path::Path;

use crate::platform::runner::layout::{LOG_DIR, Layout};
use crate::platform::runner::meeting::{Meeting, TORCHRUN_PORT};
use crate::platform::runner::plan::{Access, Boot, Channel, Family, JobPlan, Launcher, Task, node_address};

/// What the job adds to its program: the places of inputs and outputs, and hyperparameters.
pub fn arguments(plan: &JobPlan, layout: &Layout, channels: &[(&Channel, String)]) -> Vec<String> {
    let places = channels.iter().filter(|(channel, _)| channel.access == Access::Parameter);
    let places = places.map(|(channel, path)| format!("--{}={path}", channel.name));
    let parameters = plan.parameters.iter().map(|(name, value)| {
        if value.is_empty() { format!("--{name}") } else { format!("--{name}={}", layout.replace(value)) }
    });
    places.chain(parameters).collect()
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
    let arguments = arguments(plan, layout, channels);
    let argv = match &plan.boot {
        Boot::File(file) => {
            let script = code.join(file).to_string_lossy().into_owned();
            if let Some(launcher) = plan.launcher() {
                let argv = launched(launcher, plan, task, layout, meeting, programs, [vec![script], arguments].concat());
                return after_preparation(plan, code, argv);
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
        Family::Ascend if plan.cards > 0 => after_preparation(plan, code, per_card(plan, task, programs, argv)),
        _ => after_preparation(plan, code, argv),
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
    /// The client of Docker with its options, for a job with an image.
    pub docker: Vec<String>,
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
    layout: &Layout,
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
            // What its processes print goes to files, which are kept with the job's other logs.
            argv.push(format!("--log_dir={}", layout.local(LOG_DIR).display()));
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

/// The same words after the documented preparation for Ascend, where its files are beside the boot file: `ma-pre-start.sh` in the
/// very shell, so that variables it sets are the program's, and `ma-pre-start.py`.
fn after_preparation(plan: &JobPlan, code: &Path, argv: Vec<String>) -> Vec<String> {
    let (Boot::File(file), Family::Ascend) = (&plan.boot, plan.family()) else { return argv };
    let script = code.join(file);
    let folder = script.parent().unwrap_or(code);
    if !["ma-pre-start.sh", "ma-pre-start.py"].iter().any(|name| folder.join(name).is_file()) {
        return argv;
    }
    let folder = folder.to_string_lossy().into_owned();
    let words = ["/bin/bash".to_owned(), "-c".to_owned(), PREPARATION.to_owned(), folder];
    words.into_iter().chain(argv).collect()
}

/// Runs what is in the folder `$0`, and becomes the program.
const PREPARATION: &str = "if [ -f \"$0/ma-pre-start.sh\" ]; then . \"$0/ma-pre-start.sh\"; fi
if [ -f \"$0/ma-pre-start.py\" ]; then python \"$0/ma-pre-start.py\" || exit; fi
exec \"$@\"";

/// A word that the shell takes literally.
pub fn quote(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_=./:,@%+".contains(character);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Meeting, Programs, command, quote};
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
        assert_eq!(build(&mind, 0)[5], "--log_dir=/j/1/worker-0/home/ma-user/modelarts/log");
        let other = JobPlan { environment: method("torchrun"), ..plan(Family::TensorFlow, 1, file()) };
        assert_eq!(build(&other, 0)[0], "python3");
    }

    #[test]
    fn what_prepares_ascend_is_beside_the_boot_file() {
        let folder = tempfile::tempdir().unwrap();
        let argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), "echo $READY $0".to_owned(), "program".to_owned()];
        let of = |family| {
            let plan = plan(family, 1, Boot::File("sub/main.py".into()));
            super::after_preparation(&plan, folder.path(), argv.clone())
        };
        assert_eq!(of(Family::Ascend), argv);
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::fs::write(folder.path().join("sub/ma-pre-start.sh"), "export READY=yes\n").unwrap();
        assert_eq!(of(Family::PyTorch), argv);
        let words = of(Family::Ascend);
        let output = std::process::Command::new(&words[0]).args(&words[1..]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "yes program\n");
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
