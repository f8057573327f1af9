//! Training jobs on an in-process platform: real code, real processes, real transfers.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod bench;
#[path = "../contract/catalogue.rs"]
mod catalogue;
mod families;
mod images;
#[path = "../python/mod.rs"]
mod python;
mod restart;
mod routes;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bench::{Access, Bench, Folder, command, is_alive, job};
use ma_cli::platform::modelarts::Timing;
use ma_cli::platform::{Handle, Options, Platform};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const PYTORCH: &str = "pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64";
const TENSORFLOW: &str = "tensorflow_2.1.0-cuda_10.1-py_3.7-ubuntu_18.04-x86_64";
const LOCAL: &str = "python-3-local";
const ONE: &str = "modelarts.vm.cpu.1u";
const TWO: &str = "modelarts.vm.cpu.2u";

/// A platform of its own for a test.
struct Lab {
    bench: Bench,
    platform: Handle,
    folder: Folder,
}

async fn lab(slots: u32) -> Lab {
    let folder = Folder::new();
    let platform = start(&folder, slots).await;
    Lab { bench: Bench::new(access(&platform)).await, platform, folder }
}

async fn start(folder: &Folder, slots: u32) -> Handle {
    start_with(folder, slots, BTreeMap::new()).await
}

async fn start_with(folder: &Folder, slots: u32, interpreters: BTreeMap<String, PathBuf>) -> Handle {
    start_changed(folder, slots, interpreters, |_| ()).await
}

async fn start_changed(
    folder: &Folder,
    slots: u32,
    interpreters: BTreeMap<String, PathBuf>,
    change: impl FnOnce(&mut Options),
) -> Handle {
    let mut options = Options::on_free_ports(folder.path().join("platform"), env!("CARGO_BIN_EXE_ma-cli"));
    options.slots = Some(slots);
    options.interpreters = interpreters;
    let short = Duration::from_millis(200);
    options.timing = Timing { logs: short, outputs: short, grace: Duration::from_secs(1), samples: short, ..Timing::default() };
    change(&mut options);
    Platform::start(options).await.unwrap()
}

fn access(platform: &Handle) -> Access {
    let account = &platform.account;
    Access {
        endpoint: platform.endpoint.clone(),
        obs_endpoint: platform.obs_endpoint.clone(),
        region: account.region.clone(),
        project_id: account.project_id.clone(),
        access_key: account.access_key.clone(),
        secret_key: account.secret_key.expose().to_owned(),
        account: account.domain_name.clone(),
        username: account.user_name.clone(),
        password: account.password.expose().to_owned(),
    }
}

const WHOLE_JOB: &str = r#"
import argparse, os, sys, pathlib
from package import helper
parser = argparse.ArgumentParser()
for name in ("data_url", "train_url", "epochs", "init_method"):
    parser.add_argument("--" + name)
parser.add_argument("--fast", action="store_true")
known, rest = parser.parse_known_args()
total = sum(int(p.read_text()) for p in pathlib.Path(known.data_url).rglob("*.txt"))
assert rest == [] and known.fast and known.init_method.startswith("tcp://127.0.0.1:")
assert known.data_url.endswith("/home/ma-user/modelarts/inputs/data_url_0"), known.data_url
assert pathlib.Path(os.environ["EXTRA"]).read_text() == "7", os.environ["EXTRA"]
assert os.environ["WHERE"] == os.environ["MA_MOUNT_PATH"] + "/here" and "CARGO_HOME" not in os.environ
assert os.getcwd() == os.environ["WORKSPACE"] == os.environ["MA_JOB_DIR"] + "/code"
pathlib.Path(os.environ["MA_LOG_DIR"], "own.log").write_text("own words\n")
pathlib.Path(os.environ["MA_LOG_DIR"], "other.txt").write_text("not a log\n")
out = pathlib.Path(known.train_url, "model")
out.mkdir()
(out / "sum.txt").write_text(str(total * int(known.epochs) + helper.OFFSET))
print("to standard output")
print("to standard error", file=sys.stderr)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_from_code_and_data_to_output_and_logs() {
    let Lab { bench, platform, folder } = lab(2).await;
    bench.put("code", &[("main.py", WHOLE_JOB), ("package/helper.py", "OFFSET = 1\n"), ("package/__init__.py", "")]).await;
    bench.put("data", &[("a.txt", "20"), ("deep/b.txt", "22")]).await;
    bench.put("extra", &[("seven", "7")]).await;
    let mut wanted = job("whole", "code", PYTORCH, TWO, 1);
    wanted["metadata"]["description"] = json!("a whole job");
    wanted["algorithm"]["inputs"] = json!([
        {"name": "data_url", "remote": {"obs": {"obs_url": "/lab/data/"}}},
        {"name": "EXTRA", "access_method": "env", "remote": {"obs": {"obs_url": "obs://lab/extra/seven"}}},
    ]);
    wanted["algorithm"]["outputs"] = json!([{"name": "train_url", "remote": {"obs": {"obs_url": "/lab/result/"}}}]);
    wanted["algorithm"]["parameters"] = json!([{"name": "epochs", "value": "10"}, {"name": "fast"}]);
    wanted["algorithm"]["environments"] = json!({"WHERE": "/home/ma-user/modelarts/here"});
    wanted["algorithm"]["working_dir"] = json!("/home/ma-user/modelarts/user-job-dir/code");
    wanted["spec"]["log_export_path"] = json!({"obs_url": "/lab/logs/"});
    let id = bench.submit(&wanted).await;
    let done = bench.wait(&id, &["Completed"]).await;

    assert_eq!(bench.stored("result").await.into_iter().collect::<Vec<_>>(), [("model/sum.txt".into(), "421".into())]);
    let log_name = format!("modelarts-job-{id}-worker-0.log");
    let logs = bench.stored("logs").await;
    assert_eq!(logs.keys().map(String::as_str).collect::<Vec<_>>(), [log_name.as_str(), "own.log"]);
    let log = bench.log(&id, "worker-0").await;
    assert_eq!(logs[&log_name], log);
    for text in
        ["to standard output\n", "to standard error\n", "[ModelArts Service Log][init] download code_url: obs://lab/code/"]
    {
        assert!(log.contains(text), "{text}: {log}");
    }
    let link = bench.get(&format!("training-jobs/{id}/tasks/worker-0/logs/url")).await["obs_url"].as_str().unwrap().to_owned();
    assert_eq!(bench.follow(&link).await, (StatusCode::OK, log));
    assert_eq!(bench.follow(&link.replace("expires=1", "expires=2")).await.0, StatusCode::FORBIDDEN);

    let status = &done["status"];
    assert_eq!(status["task_statuses"], json!([{"task": "worker-0", "exit_code": 0, "message": ""}]));
    assert!(
        status["duration"].as_i64().unwrap() > 0 && status["start_time"].as_i64() > done["metadata"]["create_time"].as_i64()
    );
    assert_eq!(status["running_records"][0]["end_reason"], "job completed");
    assert_eq!(done["metadata"]["user_name"], json!(platform.account.user_name));
    let events = bench.events(&id).await;
    let has = |text: &str| assert!(events.iter().any(|event| event.contains(text)), "{text}: {events:#?}");
    for text in [
        "Training job is created.",
        "queuing",
        "is run by /",
        "[worker-0] Training code is downloading.",
        "Training input(parameter name: data_url) is downloaded.",
        "Training job is running.",
        "[worker-0] training started.",
        "[worker-0] Training finished, Exit code 0.",
        "Upload training output(parameter name: train_url) finished",
        "Training job completed.",
    ] {
        has(text);
    }
    let tasks = bench.get(&format!("training-jobs/{id}/tasks")).await;
    assert_eq!(tasks[0]["task"], "worker-0");

    // Code, inputs and what is stored go with the job's end, as with a container. The log stays.
    platform.shutdown().await;
    let task = folder.path().join("platform/jobs").join(&id).join("worker-0");
    assert!(!task.join("home").exists() && !task.join("bin").exists() && task.join(log_name).exists());
}

const RENDEZVOUS: &str = r#"
import argparse, os, pathlib, socket, sys
pathlib.Path(os.environ["MA_LOG_DIR"], "own.log").write_text(os.environ["VC_TASK_INDEX"])
parser = argparse.ArgumentParser()
for name in ("init_method", "rank", "world_size", "fail"):
    parser.add_argument("--" + name)
known = parser.parse_args()
host, port = known.init_method[len("tcp://"):].split(":")
hosts = os.environ["VC_WORKER_HOSTS"].split(",")
assert known.world_size == "2" and len(hosts) == 2 and socket.gethostbyname(hosts[int(known.rank)]) == os.environ["MA_CURRENT_IP"]
if known.rank == "0":
    server = socket.create_server((host, int(port)))
    peer, address = server.accept()
    print("rank 0 heard", peer.recv(100).decode(), "from", address[0], flush=True)
else:
    while True:
        try:
            peer = socket.create_connection((host, int(port)), source_address=(os.environ["MA_CURRENT_IP"], 0))
            break
        except ConnectionRefusedError:
            pass
    peer.sendall(b"hello")
    if known.fail:
        sys.exit(int(known.fail))
if known.fail:
    import time
    time.sleep(600)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn nodes_reach_each_other_and_one_that_fails_ends_the_job() {
    let Lab { bench, platform, folder: _folder } = lab(2).await;
    bench.put("code", &[("main.py", RENDEZVOUS)]).await;
    let mut wanted = job("pair", "code", PYTORCH, ONE, 2);
    wanted["spec"]["log_export_path"] = json!({"obs_url": "/lab/logs/"});
    let id = bench.submit(&wanted).await;
    let done = bench.wait(&id, &["Completed"]).await;
    assert_eq!(done["status"]["tasks"], json!(["worker-0", "worker-1"]));
    assert!(bench.log(&id, "worker-0").await.contains("rank 0 heard hello from 127.0.0.2"));
    let logs = bench.stored("logs").await;
    assert_eq!((logs["worker-0/own.log"].as_str(), logs["worker-1/own.log"].as_str(), logs.len()), ("0", "1", 4));

    wanted["algorithm"]["parameters"] = json!([{"name": "fail", "value": "3"}]);
    let id = bench.submit(&wanted).await;
    let failed = bench.wait(&id, &["Failed"]).await;
    let statuses = failed["status"]["task_statuses"].as_array().unwrap();
    assert_eq!((statuses[0]["exit_code"].as_i64(), statuses[1]["exit_code"].as_i64()), (Some(143), Some(3)), "{statuses:?}");
    assert_eq!(failed["status"]["running_records"][0]["end_related_task"], "worker-1");
    assert!(bench.events(&id).await.iter().any(|event| event.contains("worker-1 exited with code 3")));
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tensorflow_nodes_have_a_worker_and_a_parameter_server_each() {
    let Lab { bench, platform, folder: _folder } = lab(2).await;
    bench.put("code", &[("main.py", "import sys\nprint(' '.join(sys.argv[1:]), flush=True)\n")]).await;
    let id = bench.submit(&job("flow", "code", TENSORFLOW, ONE, 2)).await;
    let done = bench.wait(&id, &["Completed"]).await;
    assert_eq!(done["status"]["tasks"], json!(["worker-0", "worker-1", "ps-0", "ps-1"]));
    let log = bench.log(&id, "ps-1").await;
    let line = log.lines().find(|line| line.starts_with("--task_index")).unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    assert_eq!((words[1], words[3].split(',').count(), words[7]), ("1", 2, "ps"), "{line}");
    for host in words[3].split(',') {
        let port: u16 = host.rsplit_once(':').unwrap().1.parse().unwrap();
        assert!((5000..10_000).contains(&port), "{line}");
    }
    assert_ne!(words[3], words[5]);
    let events = bench.events(&id).await;
    let engine = events.iter().find(|event| event.starts_with("Engine ")).unwrap();
    assert!(engine.contains(TENSORFLOW) && engine.contains("Python 3."), "{engine}");
    platform.shutdown().await;
}

/// A launcher in the place of Open MPI's, which runs every rank here.
const MPIRUN: &str = r#"#!/bin/sh
[ "$1" = --version ] && exit 0
while [ "$1" != -np ]; do shift; done
ranks=$2; shift 2
for rank in $(seq 1 "$ranks"); do RANK=$rank "$@" || exit; done
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_node_of_an_mpi_job_launches_all_ranks() {
    let folder = Folder::new();
    let mpirun = folder.path().join("mpirun");
    std::fs::write(&mpirun, MPIRUN).unwrap();
    std::fs::set_permissions(&mpirun, std::fs::Permissions::from_mode(0o755)).unwrap();
    let platform = start_with(&folder, 2, BTreeMap::from([("mpirun".to_owned(), mpirun)])).await;
    let bench = Bench::new(access(&platform)).await;
    bench.put("code", &[("main.py", "import os\nprint('rank', os.environ['RANK'])\n")]).await;
    let engine = "mindspore_1.3.0-cuda_10.1-py_3.7-ubuntu_1804-x86_64";
    let id = bench.submit(&job("ranks", "code", engine, ONE, 2)).await;
    bench.wait(&id, &["Completed"]).await;
    assert!(bench.log(&id, "worker-0").await.ends_with("rank 1\nrank 2\n"));
    assert!(bench.log(&id, "worker-1").await.contains("the training log is in worker-0"));

    // The platform ends between the end of the tasks and that of the job.
    refuse_phase(&folder, Some("Completed"));
    let id = bench.submit(&job("ranks", "code", engine, ONE, 2)).await;
    wait_event(&bench, &id, "[worker-1] Training stopped, Exit code 143.").await;
    platform.shutdown().await;
    refuse_phase(&folder, None);
    let platform = start(&folder, 2).await;
    let bench = Bench::new(access(&platform)).await;
    bench.wait(&id, &["Completed"]).await;
    let ends =
        bench.events(&id).await.iter().filter(|event| event.contains("[worker-1]") && event.contains("Exit code")).count();
    assert_eq!(ends, 1);
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_wait_for_slots_and_stop_with_everything_they_started() {
    let Lab { bench, platform, folder: _folder } = lab(2).await;
    // Ignores SIGTERM, and has a child that has left its group and session.
    let stubborn = "trap '' TERM; setsid sleep 600 & echo pids $$ $!; while true; do sleep 1; done";
    let first = bench.submit(&command("first", stubborn, TWO)).await;
    let second = bench.submit(&command("second", "echo second", TWO)).await;
    let third = bench.submit(&command("third", "echo third", ONE)).await;
    let log = bench.wait_log(&first, "worker-0", "pids ").await;
    let pids: Vec<&str> = log.lines().find_map(|line| line.strip_prefix("pids ")).unwrap().split(' ').collect();
    bench.wait(&second, &["Pending"]).await;
    // Not before its turn, though it would fit beside nothing either.
    assert_eq!(bench.wait(&third, &["Pending"]).await["status"]["secondary_phase"], "Queuing");
    let refused = bench.call(Method::DELETE, &format!("training-jobs/{first}"), None).await;
    assert_eq!((refused.status, refused.body["error_code"].as_str()), (StatusCode::CONFLICT, Some("ModelArts.2796")));

    let stopped = bench.stop(&second).await;
    assert_eq!((stopped.status, stopped.body["status"]["phase"].as_str()), (StatusCode::ACCEPTED, Some("Terminated")));
    let stopped = bench.stop(&first).await;
    assert_eq!((stopped.status, stopped.body["status"]["phase"].as_str()), (StatusCode::ACCEPTED, Some("Terminating")));
    let first_end = bench.wait(&first, &["Terminated"]).await;
    assert_eq!(first_end["status"]["task_statuses"][0]["exit_code"], 137);
    assert!(pids.iter().all(|pid| !is_alive(pid)), "{pids:?}");
    bench.wait(&third, &["Completed"]).await;
    assert_eq!(bench.stop(&third).await.status, StatusCode::CONFLICT);
    assert_eq!(bench.stop(&first).await.status, StatusCode::CONFLICT);
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_prepared_says_why() {
    let Lab { bench, platform, folder: _folder } = lab(2).await;
    bench.put("code", &[("main.py", "print(1)\n")]).await;
    let mut other_boot = job("boot", "code", LOCAL, ONE, 1);
    other_boot["algorithm"]["boot_file"] = json!("/lab/code/none.py");
    let mut no_data = job("data", "code", LOCAL, ONE, 1);
    no_data["algorithm"]["inputs"] = json!([{"name": "data_url", "remote": {"obs": {"obs_url": "/lab/nothing/"}}}]);
    let mut no_folder = job("folder", "code", LOCAL, ONE, 1);
    no_folder["algorithm"]["working_dir"] = json!("/home/ma-user/none");
    for (wanted, reason) in [
        (job("code", "none", LOCAL, ONE, 1), "nothing was found at obs://lab/none/"),
        (other_boot, "nothing was found at obs://lab/code/none.py"),
        (no_data, "nothing was found at obs://lab/nothing/"),
        (no_folder, "the working directory /home/ma-user/none does not exist"),
    ] {
        let id = bench.submit(&wanted).await;
        let end = bench.wait(&id, &["Abnormal"]).await;
        assert!(end["status"]["task_statuses"][0]["message"].as_str().unwrap().contains(reason), "{end:#}");
        assert!(end["status"].get("start_time").is_none());
        assert!(bench.events(&id).await.last().unwrap().contains(reason));
    }
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_wrong_are_refused_with_the_catalogues_codes() {
    let Lab { bench, platform, folder: _folder } = lab(2).await;
    let change = |pointer: &str, value: Value| {
        let mut wanted = job("right", "code", LOCAL, ONE, 1);
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        wanted.pointer_mut(parent).unwrap()[name] = value;
        wanted
    };
    for (wanted, code) in [
        (change("/metadata/name", json!("no spaces")), "ModelArts.2788"),
        (change("/metadata/name", json!("x".repeat(65))), "ModelArts.2788"),
        (change("/metadata/description", json!("x".repeat(257))), "ModelArts.2788"),
        (change("/kind", json!("edge_job")), "ModelArts.2788"),
        (change("/algorithm/engine", json!({"engine_id": "none"})), "ModelArts.2780"),
        (change("/algorithm/boot_file", json!("/lab/elsewhere/main.py")), "ModelArts.2792"),
        (change("/algorithm/boot_file", json!("/lab/code/main.sh")), "ModelArts.2758"),
        (change("/algorithm/code_dir", json!("code")), "ModelArts.2757"),
        (change("/algorithm/inputs", json!([{"name": "a", "remote": {"obs": {"obs_url": "a/b"}}}])), "ModelArts.2791"),
        (change("/algorithm/environments", json!({"A": "$HOME"})), "ModelArts.2788"),
        (change("/spec/resource/flavor_id", json!("none")), "ModelArts.2781"),
        (change("/spec/resource/node_count", json!(0)), "ModelArts.2793"),
        (change("/spec/resource/node_count", json!(3)), "ModelArts.2793"),
        (change("/spec/resource/flavor_id", json!("modelarts.kat1.xlarge")), "ModelArts.2781"),
        (change("/spec/volumes", json!([{"nfs": {"nfs_server_path": "a:/b", "local_path": "/c"}}])), "ModelArts.2788"),
        (change("/spec/notification", json!({"topic_urn": "urn:smn:r:p:t", "events": ["JobFailed"]})), "ModelArts.2788"),
        (change("/spec/log_export_path", json!({"host_path": "/logs"})), "ModelArts.2788"),
        (change("/spec/custom_metrics", json!([{"http_get": {"path": "/m", "port": 10001}}])), "ModelArts.2788"),
        (change("/spec/schedule_policy", json!({"required_affinity": {"affinity_type": "cabinet"}})), "ModelArts.2788"),
        (change("/endpoints", json!({"ssh": {"key_pair_names": ["mine"]}})), "ModelArts.2788"),
        (change("/spec/auto_stop", json!({"time_unit": "HOURS", "duration": 721})), "ModelArts.2788"),
        (json!({"kind": "job", "metadata": {"name": "x"}, "algorithm": {}}), "ModelArts.2806"),
        (json!({"kind": "job"}), "ModelArts.2787"),
    ] {
        let reply = bench.call(Method::POST, "training-jobs", Some(&wanted)).await;
        assert_eq!(
            (reply.status, reply.body["error_code"].as_str()),
            (StatusCode::BAD_REQUEST, Some(code)),
            "{wanted}\n{}",
            reply.text
        );
        assert!(reply.body["error_msg"].as_str().is_some_and(|message| message.len() > 10));
    }
    let pool = bench.call(Method::POST, "training-jobs", Some(&change("/spec/resource/pool_id", json!("other")))).await;
    assert_eq!((pool.status, pool.body["error_code"].as_str()), (StatusCode::NOT_FOUND, Some("ModelArts.2890")));
    for (method, path) in [
        (Method::GET, "training-jobs/none"),
        (Method::DELETE, "training-jobs/none"),
        (Method::GET, "training-jobs/none/events"),
    ] {
        let reply = bench.call(method, path, None).await;
        assert_eq!((reply.status, reply.body["error_code"].as_str()), (StatusCode::NOT_FOUND, Some("ModelArts.2775")));
    }
    assert_eq!(bench.call(Method::GET, "pools/none", None).await.status, StatusCode::NOT_FOUND);
    // Links are served without credentials; a terminal whose path begins like one is not.
    for path in ["logs/training-jobs/none/tasks/worker-0/terminal", "x/training-jobs/none/tasks/worker-0/terminal"] {
        let reply = bench.follow(&format!("{}/platform/{path}", bench.access.endpoint)).await;
        assert_eq!(reply.0, StatusCode::UNAUTHORIZED, "{path}: {}", reply.1);
    }
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_searched_described_and_deleted() {
    let Lab { bench, platform, folder } = lab(4).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let script = if number == 3 { "exit 9" } else { "true" };
        ids.push(bench.submit(&command(&format!("job-{number}"), script, ONE)).await);
    }
    for (number, id) in ids.iter().enumerate() {
        bench.wait(id, &[if number == 3 { "Failed" } else { "Completed" }]).await;
    }
    let search = async |body: Value| {
        let reply = bench.call(Method::POST, "training-job-searches", Some(&body)).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        let names =
            reply.body["items"].as_array().unwrap().iter().map(|job| job["metadata"]["name"].as_str().unwrap().to_owned());
        (reply.body["total"].as_i64().unwrap(), reply.body["count"].as_i64().unwrap(), names.collect::<Vec<_>>().join(" "))
    };
    assert_eq!(search(json!({"offset": 0, "limit": 2})).await, (5, 5, "job-4 job-3".into()));
    assert_eq!(search(json!({"offset": 2, "limit": 2})).await, (5, 5, "job-0".into()));
    assert_eq!(search(json!({"order": "asc", "sort_by": "name", "limit": 3})).await.2, "job-0 job-1 job-2");
    let filter = json!([{"key": "phase", "operator": "in", "value": ["Failed"]}]);
    assert_eq!(search(json!({"filters": filter})).await, (5, 1, "job-3".into()));
    let filter = json!([{"key": "name", "operator": "like", "value": ["-4"]}]);
    assert_eq!(search(json!({"filters": filter})).await, (5, 1, "job-4".into()));

    let described = bench.call(Method::PUT, &format!("training-jobs/{}", ids[0]), Some(&json!({"description": "new"}))).await;
    assert_eq!((described.status, described.text.as_str()), (StatusCode::OK, ""));
    assert_eq!(bench.show(&ids[0]).await["metadata"]["description"], "new");
    assert_eq!(bench.get("training-job-names?job_name=job-0").await["is_duplicate"], true);

    let files = folder.path().join("platform/jobs").join(&ids[0]);
    assert!(files.is_dir());
    let deleted = bench.call(Method::DELETE, &format!("training-jobs/{}", ids[0]), None).await;
    assert_eq!(deleted.status, StatusCode::ACCEPTED);
    assert!(!files.exists());
    assert_eq!(bench.call(Method::GET, &format!("training-jobs/{}", ids[0]), None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(bench.get("training-job-names?job_name=job-0").await["is_duplicate"], false);
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_flavors_pools_events_and_usage_are_shown() {
    let Lab { bench, platform, folder: _folder } = lab(4).await;
    let engines = bench.get("training-job-engines").await;
    assert!(engines["items"].as_array().unwrap().iter().any(|engine| engine["engine_id"] == PYTORCH));
    let flavors = bench.get("training-job-flavors?flavor_type=CPU").await;
    assert!(flavors["flavors"].as_array().unwrap().iter().any(|flavor| flavor["flavor_id"] == "modelarts.vm.cpu.8u"));
    assert_eq!(bench.get("training-job-flavors?flavor_type=GPU").await["total_count"], 0);
    assert_eq!(bench.call(Method::GET, "training-job-flavors?flavor_type=QPU", None).await.status, StatusCode::BAD_REQUEST);
    let pools = bench.get("pools").await;
    let name = pools["items"][0]["metadata"]["name"].as_str().unwrap();
    assert_eq!(bench.get(&format!("pools/{name}")).await["status"]["resources"]["available"]["count"], 4);

    let mut busy = command("busy", "echo busy; python3 -c 'while True: pass'", TWO);
    busy["spec"]["resource"]["pool_id"] = json!(name);
    let id = bench.submit(&busy).await;
    bench.wait_log(&id, "worker-0", "busy").await;
    assert_eq!(bench.get(&format!("pools/{name}")).await["status"]["resources"]["available"]["count"], 2);
    let started = std::time::Instant::now();
    loop {
        let usage = bench.get(&format!("training-jobs/{id}/metrics/worker-0")).await;
        let value = |index: usize| usage["metrics"][index]["value"][0].as_f64().unwrap_or(-1.0);
        assert_eq!(usage["metrics"][3]["metric"], "ma_container_disk_write_kilobytes");
        if value(0) > 1.0 && value(1) > 0.0 {
            break;
        }
        assert!(started.elapsed() < bench::DEADLINE, "{usage}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bench.stop(&id).await;
    bench.wait(&id, &["Terminated"]).await;
    let path = format!("training-jobs/{id}/events");
    let all = bench.events(&id).await;
    let page = bench.get(&format!("{path}?limit=1&offset=1&order=asc")).await;
    assert_eq!(
        (page["total"].as_u64(), page["events"][0]["message"].as_str()),
        (Some(all.len() as u64), Some(all[1].as_str()))
    );
    assert_eq!(bench.get(&format!("{path}?pattern=created")).await["total"], 1);
    assert_eq!(bench.get(&format!("{path}?level=Error")).await["total"], 0);
    let last_year = "start_time=1000000000000&end_time=1000000001000";
    assert_eq!(bench.get(&format!("{path}?{last_year}")).await["total"], 0);
    assert_eq!(bench.call(Method::GET, &format!("{path}?limit=101"), None).await.status, StatusCode::BAD_REQUEST);
    platform.shutdown().await;
}

/// Makes a wheel of one module, as a base64 text that the job's own code unpacks nothing of: pip does.
const MAKE_WHEEL: &str = r#"
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("madeup.py", "ANSWER = 42\n")
    info = "madeup-1.0.dist-info/"
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: madeup\nVersion: 1.0\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(info + "RECORD", "madeup.py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n")
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_requirements_file_gives_the_job_an_environment_of_its_own() {
    let Lab { bench, platform, folder } = lab(2).await;
    let wheel = folder.path().join("madeup-1.0-py3-none-any.whl");
    let made = Command::new("python3").args(["-c", MAKE_WHEEL]).arg(&wheel).status().unwrap();
    assert!(made.success());
    let main = "import madeup, sys\nprint('answer', madeup.ANSWER, sys.prefix)\n";
    let requirements = format!("--no-index\n{}\n", wheel.display());
    bench.put("code", &[("main.py", main), ("requirements.txt", &requirements)]).await;
    let id = bench.submit(&job("packages", "code", LOCAL, ONE, 1)).await;
    bench.wait(&id, &["Completed"]).await;
    let log = bench.log(&id, "worker-0").await;
    assert!(log.contains("Successfully installed madeup-1.0") && log.contains("answer 42") && log.contains("/venv\n"), "{log}");
    assert!(bench.events(&id).await.iter().any(|event| event.contains("requirements.txt")));

    bench.put("broken", &[("main.py", main), ("requirements.txt", "--no-index\nno-such-package-anywhere\n")]).await;
    let id = bench.submit(&job("broken", "broken", LOCAL, ONE, 1)).await;
    let failed = bench.wait(&id, &["Failed"]).await;
    assert!(failed["status"]["task_statuses"][0]["message"].as_str().unwrap().contains("(pip) failed"), "{failed:#}");
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_that_cannot_be_kept_fail_the_job() {
    let Lab { bench, platform, folder } = lab(2).await;
    let mut wanted = command("lost", "f() { echo model > ${1#*=}/model; }; f", ONE);
    wanted["algorithm"]["outputs"] = json!([{"name": "train_url", "remote": {"obs": {"obs_url": "/no-such-bucket/x/"}}}]);
    let id = bench.submit(&wanted).await;
    let failed = bench.wait(&id, &["Failed"]).await;
    assert!(failed["status"]["running_records"][0]["end_reason"].as_str().unwrap().contains("outputs could not be uploaded"));
    assert_eq!(failed["status"]["task_statuses"][0]["exit_code"], 0);

    // A start that follows finds what could not be stored: it is nowhere else.
    let script = "f() { [ -e ${1#*=}/model ] && { echo kept; exit 0; }; echo model > ${1#*=}/model; exit 3; }; f";
    wanted = command("again", script, ONE);
    wanted["algorithm"]["outputs"] = json!([{"name": "train_url", "remote": {"obs": {"obs_url": "/no-such-bucket/x/"}}}]);
    wanted["metadata"]["annotations"] =
        json!({"fault-tolerance/job-retry-num": "1", "fault-tolerance/job-unconditional-retry": "true"});
    let id = bench.submit(&wanted).await;
    let failed = bench.wait(&id, &["Failed"]).await;
    let records = failed["status"]["running_records"].as_array().unwrap();
    assert_eq!((records.len(), &records[0]["end_recover"]), (2, &json!("proc_restart")));
    assert!(bench.log(&id, "worker-0").await.ends_with("kept\n"));
    let task = folder.path().join("platform/jobs").join(&id).join("worker-0");
    assert!(task.join("home").exists(), "they are kept at the end as well");

    // No folder any more, nothing but a link that leads nowhere: neither can be sent.
    for script in ["rmdir ${1#*=}; echo model > ${1#*=}", "ln -s nowhere ${1#*=}/model"] {
        let mut wanted = command("lost", &format!("f() {{ {script}; }}; f"), ONE);
        wanted["algorithm"]["outputs"] = json!([{"name": "train_url", "remote": {"obs": {"obs_url": "/lab/kept/"}}}]);
        let id = bench.submit(&wanted).await;
        bench.wait(&id, &["Failed"]).await;
        wait_event(&bench, &id, "Training output upload failed").await;
    }
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vendors_sdk_works_with_it() {
    let Lab { bench, platform, folder: _folder } = lab(2).await;
    bench.put("sdk", &[("main.py", "import os\nprint(os.environ['GREETING'], 'from the job')\n")]).await;
    let access = &bench.access;
    let input = json!({
        "endpoint": access.endpoint,
        "project_id": access.project_id,
        "access_key": access.access_key,
        "secret_key": access.secret_key,
    });
    for (script, word) in [("modelarts.py", "modelarts: ok"), ("algorithm.py", "algorithm: ok")] {
        let text = python::run("python", &[&python::script(script)], &[], &input.to_string()).await;
        assert!(text.contains(word), "{text}");
    }
    platform.shutdown().await;
}

/// Waits until the job has an event with a text in it.
async fn wait_event(bench: &Bench, id: &str, text: &str) {
    let started = std::time::Instant::now();
    while !bench.events(id).await.iter().any(|event| event.contains(text)) {
        assert!(started.elapsed() < bench::DEADLINE, "{text:?} is waited for");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Lets no job reach a phase, as if its write met a full disk, or lets it again.
fn refuse_phase(folder: &Folder, phase: Option<&str>) {
    let state = rusqlite::Connection::open(folder.path().join("platform/state.sqlite")).unwrap();
    let change = match phase {
        Some(phase) => format!(
            "CREATE TRIGGER full BEFORE INSERT ON document
             WHEN NEW.kind = 'training-job' AND json_extract(NEW.body, '$.status.phase') = '{phase}'
             BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        ),
        None => "DROP TRIGGER full".to_owned(),
    };
    state.execute_batch(&change).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_cannot_be_read_for_a_while_does_not_end_the_job() {
    let Lab { bench, platform, folder } = lab(2).await;
    let go = folder.path().join("go");
    let script = format!("echo begun; until [ -e {} ]; do sleep 0.02; done", go.display());
    let id = bench.submit(&command("unreadable", &script, ONE)).await;
    bench.wait_log(&id, "worker-0", "begun").await;
    let status = folder.path().join("platform/jobs").join(&id).join("worker-0/status.json");
    let text = std::fs::read(&status).unwrap();
    std::fs::write(&status, "").unwrap();
    // Nothing shows that it has been looked at: time for many looks, and the test is right whenever they come.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(bench.show(&id).await["status"]["phase"], "Running");
    std::fs::write(&status, text).unwrap();
    std::fs::write(go, "").unwrap();
    bench.wait(&id, &["Completed"]).await;
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_cannot_be_written_for_a_while_is_written_later() {
    let Lab { bench, platform, folder } = lab(2).await;
    for phase in ["Pending", "Running", "Completed"] {
        refuse_phase(&folder, Some(phase));
        let id = bench.submit(&command("late", "echo done", TWO)).await;
        if phase == "Completed" {
            bench.wait_log(&id, "worker-0", "done").await;
            wait_event(&bench, &id, "Exit code 0").await;
        }
        // Nothing shows whether it has been tried yet: time for the first try, and the test is right whenever it comes.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let before = if phase == "Pending" {
            "Creating"
        } else if phase == "Running" {
            "Pending"
        } else {
            "Running"
        };
        assert_eq!(bench.show(&id).await["status"]["phase"], before);
        refuse_phase(&folder, None);
        bench.wait(&id, &["Completed"]).await;
        let begun = bench.events(&id).await.iter().filter(|event| event.contains("is running")).count();
        assert_eq!(begun, 1);
    }
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_needs_more_slots_than_there_are_now_does_not_block_the_others() {
    let Lab { bench, platform, folder } = lab(4).await;
    let busy = bench.submit(&command("busy", "echo busy; sleep 600", TWO)).await;
    let mut wanted = command("large", "true", ONE);
    wanted["spec"]["resource"]["node_count"] = json!(3);
    wanted["algorithm"]["engine"] = json!({"engine_id": LOCAL});
    let large = bench.submit(&wanted).await;
    bench.wait_log(&busy, "worker-0", "busy").await;
    bench.wait(&large, &["Pending"]).await;
    platform.shutdown().await;
    let platform = start(&folder, 2).await;
    let bench = Bench::new(access(&platform)).await;
    let end = bench.wait(&large, &["Abnormal"]).await;
    let message = end["status"]["task_statuses"][0]["message"].as_str().unwrap();
    assert!(message.contains("needs 3 slots") && message.contains("has 2"), "{message}");
    bench.stop(&busy).await;
    let small = bench.submit(&command("small", "true", ONE)).await;
    bench.wait(&small, &["Completed"]).await;
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_upload_that_is_given_up_stays_at_the_store() {
    let Lab { bench, platform, folder } = lab(2).await;
    let uploads = folder.path().join("platform/obs/.uploads");
    // Ends when the first parts of its output are there, in the middle of the upload.
    let wait = format!("until [ -n \"$(ls -A {})\" ]; do sleep 0.01; done", uploads.display());
    let mut wanted = command("large", &format!("f() {{ truncate -s 160M ${{1#*=}}/model; {wait}; }}; f"), ONE);
    wanted["algorithm"]["outputs"] = json!([{"name": "train_url", "remote": {"obs": {"obs_url": "/lab/large/"}}}]);
    let id = bench.submit(&wanted).await;
    bench.wait(&id, &["Completed"]).await;
    let state = rusqlite::Connection::open(folder.path().join("platform/state.sqlite")).unwrap();
    let left: i64 = state.query_row("SELECT count(*) FROM obs_upload", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
    assert_eq!(std::fs::metadata(folder.path().join("platform/obs/lab/large/model")).unwrap().len(), 160 << 20);
    platform.shutdown().await;
}
