//! Jobs that fail and are started again, that hang, and whose time is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ma_cli::platform::modelarts::Clock;
use reqwest::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::bench::{Bench, Folder, command, job};
use crate::{LOCAL, Lab, ONE, TWO, access, lab, start_changed, wait_event};

/// Counts epochs in its output and goes on from the last one. At the second epoch the workers wait for each other: the second one
/// to be killed, and the first one fails when that has happened.
const CHECKPOINTS: &str = r#"
import argparse, os, pathlib, socket, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--train_url")
known, _ = parser.parse_known_args()
checkpoint = pathlib.Path(known.train_url, "epoch")
epoch = int(checkpoint.read_text()) if checkpoint.exists() else 0
print("begins after epoch", epoch, flush=True)
fresh = epoch == 0
while epoch < 4:
    epoch += 1
    if os.environ["VC_TASK_INDEX"] == "0":
        checkpoint.write_text(str(epoch))
    if fresh and epoch == 2:
        meeting = socket.socket(socket.AF_UNIX)
        if os.environ["VC_TASK_INDEX"] == "0":
            meeting.bind(os.environ["MEET"])
            meeting.listen()
            peer = meeting.accept()[0]
        else:
            peer = meeting
            while peer.connect_ex(os.environ["MEET"]):
                time.sleep(0.01)
        print("waiting", os.getpid(), flush=True)
        peer.recv(1)
        sys.exit(1)
print("done after epoch", epoch, flush=True)
"#;

fn retried(mut job: Value, annotations: Value) -> Value {
    job["metadata"]["annotations"] = annotations;
    job
}

/// Kills a process that a log names behind `word`.
fn kill(log: &str, word: &str) {
    let pid = log.lines().rev().find_map(|line| line.strip_prefix(word)).unwrap();
    kill_process(Pid::from_raw(pid.trim().parse().unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_on_from_its_checkpoint_after_a_worker_was_killed() {
    let Lab { bench, platform, folder } = lab(2).await;
    bench.put("code", &[("main.py", CHECKPOINTS)]).await;
    let mut wanted = job("resumes", "code", LOCAL, ONE, 2);
    wanted["algorithm"]["environments"] = json!({"MEET": folder.path().join("first")});
    wanted["algorithm"]["outputs"] =
        json!([{"name": "train_url", "prefetch_to_local": true, "remote": {"obs": {"obs_url": "/lab/checkpoints/"}}}]);
    let once = json!({"fault-tolerance/job-retry-num": "1"});
    let id = bench.submit(&retried(wanted.clone(), once)).await;
    bench.wait_log(&id, "worker-0", "waiting ").await;
    let log = bench.wait_log(&id, "worker-1", "waiting ").await;
    kill(&log, "waiting ");
    let done = bench.wait(&id, &["Completed"]).await;
    let records = done["status"]["running_records"].as_array().unwrap();
    assert_eq!(records.len(), 2, "{records:#?}");
    assert_eq!(
        (&records[0]["end_related_task"], &records[0]["end_recover"], &records[1]["end_reason"]),
        (&json!("worker-1"), &json!("job_reschedule"), &json!("job completed"))
    );
    assert!(records[0]["end_reason"].as_str().unwrap().contains("ended by signal 9"));
    let log = bench.log(&id, "worker-1").await;
    let words: Vec<&str> = log.lines().filter(|line| line.starts_with("begins") || line.starts_with("done")).collect();
    assert_eq!(words, ["begins after epoch 0", "begins after epoch 2", "done after epoch 4"]);
    assert!(log.contains("[ModelArts Service Log]error, exiting"));
    assert_eq!(bench.stored("checkpoints").await["epoch"], "4");
    let tasks = bench.get(&format!("training-jobs/{id}/tasks")).await;
    assert_eq!(tasks[1]["schedule_count"], 2);

    // Without the wish the same end is the job's.
    wanted["algorithm"]["outputs"] = json!([{"name": "train_url", "remote": {"obs": {"obs_url": "/lab/checkpoints/"}}}]);
    wanted["algorithm"]["environments"] = json!({"MEET": folder.path().join("second")});
    let id = bench.submit(&wanted).await;
    let log = bench.wait_log(&id, "worker-1", "waiting ").await;
    kill(&log, "waiting ");
    let failed = bench.wait(&id, &["Failed"]).await;
    assert_eq!(failed["status"]["running_records"].as_array().unwrap().len(), 1);
    assert_eq!(failed["status"]["running_records"][0]["end_related_task"], "worker-1");
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_fails_is_started_again_only_when_the_job_says_so() {
    let Lab { bench, platform, folder: _folder } = lab(2).await;
    let faults_only = json!({"fault-tolerance/job-retry-num": "5"});
    let id = bench.submit(&retried(command("fails", "exit 3", ONE), faults_only)).await;
    let failed = bench.wait(&id, &["Failed"]).await;
    assert_eq!(failed["status"]["running_records"].as_array().unwrap().len(), 1);

    let always = json!({"fault-tolerance/job-retry-num": "5", "fault-tolerance/job-unconditional-retry": "true"});
    let id = bench.submit(&retried(command("fails", "echo one more; exit 3", ONE), always.clone())).await;
    wait_event(&bench, &id, "(restart 3)").await;
    let failed = bench.wait(&id, &["Failed"]).await;
    assert_eq!(failed["status"]["running_records"].as_array().unwrap().len(), 4, "three times in a row");
    let log = bench.log(&id, "worker-0").await;
    assert_eq!(log.lines().filter(|line| *line == "one more").count(), 4);
    let events = bench.events(&id).await;
    let told = |text: &str| events.iter().filter(|event| *event == text).count();
    assert_eq!(told("[worker-0] training started."), 4);
    assert_eq!(told("[worker-0] Training finished, Exit code 3."), 4);
    assert!(failed.get("platform").is_none());

    // A stop ends it, wherever it is between two starts.
    let often = json!({"fault-tolerance/job-retry-num": "128"});
    let id = bench.submit(&retried(command("stopped", "sleep 0.05; exit 137", ONE), often)).await;
    wait_event(&bench, &id, "(restart 1)").await;
    assert_eq!(bench.stop(&id).await.status, StatusCode::ACCEPTED);
    bench.wait(&id, &["Terminated"]).await;
    let wrong = retried(command("x", "true", ONE), json!({"fault-tolerance/job-retry-num": "129"}));
    let refused = bench.call(Method::POST, "training-jobs", Some(&wrong)).await;
    assert_eq!((refused.status, refused.body["error_code"].as_str()), (StatusCode::BAD_REQUEST, Some("ModelArts.2788")));
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_hangs_gets_new_processes_in_its_folders() {
    let folder = Folder::new();
    let platform = start_changed(&folder, 2, BTreeMap::new(), |options| {
        options.timing.minute = Duration::from_millis(30);
        options.timing.samples = Duration::from_millis(50);
    })
    .await;
    let bench = Bench::new(access(&platform)).await;
    let script = "if [ -e $HOME/before ]; then echo second; else touch $HOME/before; echo first; sleep 600; fi";
    let mut wanted = command("hangs", script, ONE);
    wanted["algorithm"]["environments"] = json!({"MA_HANG_DETECT_TIME": "10"});
    // Watched, but not to be started again: told of, and left alone.
    let told = bench.submit(&wanted).await;
    wait_event(&bench, &told, "[worker-0] The task may be suspended").await;
    assert_eq!(bench.show(&told).await["status"]["phase"], "Running");
    bench.stop(&told).await;

    let annotations = json!({"fault-tolerance/job-retry-num": "3", "fault-tolerance/hang-retry": "true"});
    let id = bench.submit(&retried(wanted, annotations)).await;
    wait_event(&bench, &id, "(restart 1)").await;
    let done = bench.wait(&id, &["Completed"]).await;
    let records = &done["status"]["running_records"];
    assert_eq!(
        records.as_array().unwrap().len(),
        2,
        "what the first start has left undone is not the second one's: {records:#}"
    );
    assert_eq!(
        (&records[0]["end_recover"], &records[0]["end_reason"], &records[1]["start_type"]),
        (&json!("proc_restart"), &json!("worker-0 is suspended"), &json!("restarted"))
    );
    let log = bench.log(&id, "worker-0").await;
    assert!(log.contains("first\n") && log.ends_with("second\n"), "{log}");
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_stopped_when_its_time_is_over() {
    let folder = Folder::new();
    let ahead = Arc::new(AtomicI64::new(0));
    let shared = Arc::clone(&ahead);
    let platform = start_changed(&folder, 2, BTreeMap::new(), |options| {
        let real = Clock::default();
        options.clock = Clock::new(move || real.now() + shared.load(Ordering::Relaxed));
    })
    .await;
    let bench = Bench::new(access(&platform)).await;
    let mut wanted = command("long", "echo begun; sleep 600", ONE);
    wanted["spec"]["auto_stop"] = json!({"time_unit": "HOURS", "duration": 2});
    let id = bench.submit(&wanted).await;
    bench.wait_log(&id, "worker-0", "begun").await;
    ahead.store(3_600_000, Ordering::Relaxed);
    assert!(bench.show(&id).await["status"]["duration"].as_i64().unwrap() >= 3_600_000);
    assert_eq!(bench.show(&id).await["status"]["phase"], "Running");
    ahead.store(2 * 3_600_000, Ordering::Relaxed);
    bench.wait(&id, &["Terminated"]).await;
    wait_event(&bench, &id, "its maximum running duration is over").await;

    // Thirty days after its end nothing but the job itself is left.
    let files = folder.path().join("platform/jobs").join(&id);
    assert!(files.exists());
    ahead.store(31 * 24 * 3_600_000, Ordering::Relaxed);
    platform.shutdown().await;
    let shared = Arc::clone(&ahead);
    let platform = start_changed(&folder, 2, BTreeMap::new(), |options| {
        let real = Clock::default();
        options.clock = Clock::new(move || real.now() + shared.load(Ordering::Relaxed));
    })
    .await;
    let bench = Bench::new(access(&platform)).await;
    let started = std::time::Instant::now();
    while files.exists() {
        assert!(started.elapsed() < crate::bench::DEADLINE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(bench.show(&id).await["status"]["phase"], "Terminated");
    assert!(bench.events(&id).await.is_empty());
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_start_in_the_order_of_their_priority() {
    let Lab { bench, platform, folder: _folder } = lab(2).await;
    let busy = bench.submit(&command("busy", "echo busy; sleep 600", TWO)).await;
    bench.wait_log(&busy, "worker-0", "busy").await;
    let mut ids = Vec::new();
    for (name, priority) in [("low", 1), ("raised", 1), ("high", 2)] {
        let mut wanted = command(name, "true", TWO);
        wanted["spec"]["schedule_policy"] = json!({"priority": priority});
        ids.push(bench.submit(&wanted).await);
    }
    // Changed while it waits; a job without a priority can be given one too.
    let change = json!({"spec": {"schedule_policy": {"priority": 3}}});
    for id in [&ids[1], &bench.submit(&command("plain", "true", TWO)).await] {
        let changed = bench.call(Method::PUT, &format!("training-jobs/{id}"), Some(&change)).await;
        assert_eq!(changed.status, StatusCode::OK, "{}", changed.text);
    }
    let preemptible = json!({"spec": {"schedule_policy": {"preemptible": true}}});
    let refused = bench.call(Method::PUT, &format!("training-jobs/{}", ids[1]), Some(&preemptible)).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
    bench.stop(&busy).await;
    let mut starts = Vec::new();
    for id in &ids {
        starts.push(bench.wait(id, &["Completed"]).await["status"]["start_time"].as_i64().unwrap());
    }
    assert!(starts[1] < starts[2] && starts[2] < starts[0], "raised, high, low: {starts:?}");
    let late = bench.call(Method::PUT, &format!("training-jobs/{}", ids[0]), Some(&change)).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    platform.shutdown().await;
}
