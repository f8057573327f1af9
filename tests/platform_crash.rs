//! A platform that is killed while jobs run: what was true stays true, and what is still going on goes on.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

#[path = "platform_training/bench.rs"]
mod bench;
#[path = "contract/catalogue.rs"]
mod catalogue;

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use bench::{Access, Bench, Folder, command, is_alive, job};
use ma_cli::settings::env::Env;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const ONE: &str = "modelarts.vm.cpu.1u";
const TWO: &str = "modelarts.vm.cpu.2u";

/// The real program with a data directory of its own; stopped when dropped.
struct Program {
    folder: Folder,
}

impl Program {
    fn new() -> Self {
        Self { folder: Folder::new() }
    }

    fn data_dir(&self) -> std::path::PathBuf {
        self.folder.path().join("platform")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ma-cli"));
        let env = Env::from_process();
        let search_path = env.get("PATH").unwrap_or_default();
        command.env_clear().env("PATH", search_path).env("HOME", self.folder.path());
        command.arg("platform").args(arguments).arg("--data-dir").arg(self.data_dir());
        command.output().unwrap()
    }

    /// Starts the platform and returns what `status` says of it.
    fn start(&self) -> Value {
        let started = self.run(&["start", "--slots", "4"]);
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let status: Value = serde_json::from_slice(&self.run(&["status", "-F", "json"]).stdout).unwrap();
        let log = || String::from_utf8_lossy(&self.run(&["logs"]).stdout).into_owned();
        assert_eq!(status["state"], "running", "{started:?} {}", log());
        status
    }

    /// Kills the platform without giving it a chance, and waits until it is gone.
    fn kill(&self, status: &Value) {
        let pid = i32::try_from(status["pid"].as_i64().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        let started = Instant::now();
        while is_alive(&pid.to_string()) {
            assert!(started.elapsed() < bench::DEADLINE);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.run(&["stop"]);
    }
}

fn access(status: &Value) -> Access {
    let text = |name: &str| status[name].as_str().unwrap_or_else(|| panic!("{name}: {status}")).to_owned();
    Access {
        endpoint: text("endpoint"),
        obs_endpoint: text("obs_endpoint"),
        region: text("region"),
        project_id: text("project_id"),
        access_key: text("access_key"),
        secret_key: text("secret_key"),
        account: text("account"),
        username: text("username"),
        password: text("password"),
    }
}

/// A command that says `begun PID`, and ends with `code` once the file is there, leaving an output.
fn until(file: &Path, code: i32) -> String {
    let wait = format!("echo begun $$; while [ ! -e {} ]; do sleep 0.05; done; echo went on", file.display());
    format!("f() {{ {wait}; echo result > ${{1#*=}}/result; exit {code}; }}; f")
}

fn with_output(mut job: Value, place: &str) -> Value {
    job["algorithm"]["outputs"] = json!([{"name": "train_url", "remote": {"obs": {"obs_url": place}}}]);
    job
}

fn begun(log: &str) -> &str {
    log.lines().find_map(|line| line.strip_prefix("begun ")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_wrong_after_the_platform_was_killed() {
    let program = Program::new();
    let status = program.start();
    let bench = Bench::new(access(&status)).await;
    let (go, gone_before) = (program.folder.path().join("go"), program.folder.path().join("early"));
    bench.put("code", &[("main.py", "print('before')\n")]).await;
    let before = bench.submit(&job("before", "code", "python-3-local", TWO, 1)).await;
    let before_end = bench.wait(&before, &["Completed"]).await;
    let events_before = bench.events(&before).await;
    let watched = bench.submit(&with_output(command("watched", &until(&go, 5), TWO), "/lab/watched/")).await;
    let alone = bench.submit(&with_output(command("alone", &until(&gone_before, 0), TWO), "/lab/alone/")).await;
    let queued =
        bench.submit(&with_output(command("queued", "f() { echo late > ${1#*=}/result; }; f", TWO), "/lab/queued/")).await;
    let watched_log = bench.wait_log(&watched, "worker-0", "begun ").await;
    let alone_log = bench.wait_log(&alone, "worker-0", "begun ").await;
    bench.wait(&queued, &["Pending"]).await;
    let start_time = bench.show(&watched).await["status"]["start_time"].clone();

    program.kill(&status);
    // Tasks outlive the platform: one runs on, the other ends while nobody looks.
    assert!(is_alive(begun(&watched_log)));
    std::fs::write(&gone_before, "").unwrap();
    let started = Instant::now();
    while is_alive(begun(&alone_log)) {
        assert!(started.elapsed() < bench::DEADLINE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let status = program.start();
    let bench = Bench::new(access(&status)).await;
    assert_eq!(bench.show(&before).await, before_end);
    assert_eq!(bench.events(&before).await, events_before);
    let link =
        bench.get(&format!("training-jobs/{before}/tasks/worker-0/logs/url")).await["obs_url"].as_str().unwrap().to_owned();
    assert!(bench.follow(&link).await.1.contains("before\n"));
    bench.wait(&alone, &["Completed"]).await;
    assert_eq!(bench.stored("alone").await["result"], "result\n");
    // Its end made room for the one that waited.
    bench.wait(&queued, &["Completed"]).await;
    assert_eq!(bench.stored("queued").await["result"], "late\n");
    let running = bench.show(&watched).await;
    assert_eq!((running["status"]["phase"].as_str(), &running["status"]["start_time"]), (Some("Running"), &start_time));
    assert!(is_alive(begun(&watched_log)));
    std::fs::write(&go, "").unwrap();
    let failed = bench.wait(&watched, &["Failed"]).await;
    assert_eq!(failed["status"]["task_statuses"][0]["exit_code"], 5);
    assert!(bench.log(&watched, "worker-0").await.contains("went on"));
    assert_eq!(bench.stored("watched").await["result"], "result\n");
    let started = bench.events(&watched).await.iter().filter(|event| event.contains("training started")).count();
    assert_eq!(started, 1);
}

/// A queue of jobs, each of which writes its number once; the platform is killed twice while they run.
#[tokio::test(flavor = "multi_thread")]
async fn every_job_of_a_queue_runs_once_though_the_platform_is_killed() {
    const JOBS: usize = 60;
    let program = Program::new();
    let mut status = program.start();
    let mut bench = Bench::new(access(&status)).await;
    let ran = program.folder.path().join("ran");
    let count = || std::fs::read_to_string(&ran).unwrap_or_default().lines().count();
    let mut ids = Vec::new();
    for number in 0..JOBS {
        let wanted = command(&format!("job-{number}"), &format!("echo {number} >> {}", ran.display()), ONE);
        ids.push(bench.submit(&wanted).await);
    }
    for part in 1..=2 {
        let started = Instant::now();
        while count() < part * JOBS / 4 {
            assert!(started.elapsed() < bench::DEADLINE, "{} of {JOBS} have run", count());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        program.kill(&status);
        status = program.start();
        bench = Bench::new(access(&status)).await;
    }
    for id in &ids {
        bench.wait(id, &["Completed"]).await;
    }
    let text = std::fs::read_to_string(&ran).unwrap();
    let mut numbers: Vec<usize> = text.lines().map(|line| line.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..JOBS).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_vanish_fail_and_stops_that_were_under_way_are_finished() {
    let program = Program::new();
    let status = program.start();
    let bench = Bench::new(access(&status)).await;
    let never = program.folder.path().join("never");
    // A child of it has left its group and session.
    let leaving = format!("setsid sleep 600 & echo away $!; {}", until(&never, 0));
    let vanishing = bench.submit(&command("vanishing", &leaving, TWO)).await;
    // Does not listen to SIGTERM, so the stop takes its whole grace.
    let stubborn = format!("trap '' TERM; {}", until(&never, 0));
    let stopping = bench.submit(&command("stopping", &stubborn, TWO)).await;
    let vanishing_log = bench.wait_log(&vanishing, "worker-0", "begun ").await;
    let stopping_log = bench.wait_log(&stopping, "worker-0", "begun ").await;
    assert_eq!(bench.stop(&stopping).await.body["status"]["phase"], "Terminating");
    program.kill(&status);
    let file = program.data_dir().join("jobs").join(&vanishing).join("worker-0/status.json");
    let mut task: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let supervisor = i32::try_from(task["supervisor"]["pid"].as_i64().unwrap()).unwrap();
    kill_process(Pid::from_raw(supervisor).unwrap(), Signal::KILL).unwrap();
    // As if it had been killed before it could record what it had started.
    task["process"] = Value::Null;
    std::fs::write(&file, task.to_string()).unwrap();

    let bench = Bench::new(access(&program.start())).await;
    let failed = bench.wait(&vanishing, &["Failed"]).await;
    let message = failed["status"]["task_statuses"][0]["message"].as_str().unwrap();
    assert!(message.contains("supervisor ended without recording a result"), "{message}");
    let away = vanishing_log.lines().find_map(|line| line.strip_prefix("away ")).unwrap();
    assert!(!is_alive(begun(&vanishing_log)) && !is_alive(away), "nothing of a failed job runs on");
    bench.wait(&stopping, &["Terminated"]).await;
    assert!(!is_alive(begun(&stopping_log)));
}

#[test]
fn a_supervisor_that_cannot_record_what_it_started_ends_it() {
    let folder = Folder::new();
    let task = folder.path().join("platform/jobs/job/worker-0");
    // In the way of every status after the first.
    std::fs::create_dir_all(task.join("status.new")).unwrap();
    let spec = json!({
        "task": "worker-0",
        "folder": task,
        "log": task.join("log"),
        "steps": [{"stage": "training", "argv": ["/bin/sleep", "60"]}],
        "working_directory": task,
        "environment": {"OF": folder.path()},
        "grace": 100,
        "sample_period": 100,
        "cores": 1,
        "memory": 1 << 20,
    });
    std::fs::write(task.join("spec.json"), spec.to_string()).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_ma-cli")).args(["platform", "run-task"]).arg(task.join("spec.json")).status();
    assert_eq!(run.unwrap().code(), Some(1));
    let mark = format!("OF={}", folder.path().display());
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&environment).contains(&mark), "{} runs on", entry.path().display());
    }
}
