//! Many jobs: listed by filters, watched, stopped and deleted together.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fake_service::FakeService;
use crate::ma_job::{phase, prepared, submit_quietly};
use crate::support::{Home, LocalPlatform};

fn until(platform: &LocalPlatform, id: &str, wanted: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while phase(platform, id) != wanted {
        assert!(Instant::now() < deadline, "the job does not become {wanted}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn jobs_are_chosen_by_filters_and_sorted() {
    let platform = prepared();
    let failed = submit_quietly(&platform, &["--name", "b-failed", "--parameters", "code 3"]);
    let done = submit_quietly(&platform, &["--name", "a-done"]);
    until(&platform, &failed, "Failed");
    until(&platform, &done, "Completed");
    let names = |arguments: &[&str]| {
        let output = platform.run(&[&["ma-job", "get-job"], arguments, &["--query", "[].metadata.name"]].concat());
        assert_eq!(output.code, 0, "{output:?}");
        serde_json::from_str::<Vec<String>>(&output.stdout).unwrap()
    };
    assert_eq!(names(&["--state", "failed"]), ["b-failed"]);
    assert_eq!(names(&["--state", "Failed,Completed", "--sort", "name"]), ["b-failed", "a-done"]);
    assert_eq!(names(&["--all", "--sort", "name", "--ascending"]), ["a-done", "b-failed"]);
    assert_eq!(names(&["--since", "1h"]).len(), 2);
    assert_eq!(names(&["--until", "1h"]), [""; 0]);
    assert_eq!(names(&["--user", "nobody"]), [""; 0]);
    assert_eq!(names(&["--pool", "none"]), [""; 0]);
    assert_eq!(platform.run(&["ma-job", "get-job", "--since", "soon"]).code, 2);
    assert_eq!(platform.run(&["ma-job", "get-job", "--state", "Lost"]).code, 2);
    assert_eq!(platform.run(&["ma-job", "get-job", "--all", "-pn", "2"]).code, 2);

    // All pages: more jobs than one page holds.
    for _ in 0..52 {
        submit_quietly(&platform, &["--name", "many", "--train-instance-type", "modelarts.vm.cpu.1u"]);
    }
    assert_eq!(names(&["--all", "-n", "many"]).len(), 52);
    let output = platform.run(&["ma-job", "stop", "-n", "many", "-y"]);
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn tags_are_set_shown_chosen_by_and_removed() {
    let platform = prepared();
    let tagged = submit_quietly(
        &platform,
        &["--name", "tagged", "--tag", "team=vision", "--tag", "empty=", "--parameters", "sleep 600"],
    );
    let other = submit_quietly(&platform, &["--name", "other", "--tag", "team=speech"]);
    let tags = |id: &str| platform.run(&["ma-job", "tag", id, "-F", "csv"]).stdout.replace('\r', "");
    assert_eq!(tags(&tagged), "key,value\nempty,\nteam,vision\n");
    let names = |tag: &str| platform.run(&["ma-job", "get-job", "--tag", tag, "--query", "join(' ', [].metadata.name)"]).stdout;
    assert_eq!((names("team").trim(), names("team=vision").trim(), names("team=x").trim()), ("other tagged", "tagged", ""));
    assert_eq!(platform.run(&["ma-job", "tag", "-i", &tagged, "team=audio", "--remove", "empty"]).code, 0);
    assert_eq!(tags(&tagged), "key,value\nteam,audio\n");
    assert_eq!(platform.run(&["ma-job", "tag", &tagged, "nonsense"]).code, 2);
    assert_eq!(platform.run(&["ma-job", "tag", "no-such-job"]).code, 5);
    let exported = platform.run(&["ma-job", "export", &other]).stdout;
    assert!(exported.contains("team: speech"), "{exported}");
    let stopped = platform.run(&["ma-job", "stop", "--tag", "team=audio", "-y"]);
    assert_eq!((stopped.code, stopped.stdout), (0, format!("[OK] Successfully stop training job [{tagged}]\n")));
}

#[test]
fn the_priority_of_a_waiting_job_is_changed() {
    let platform = prepared();
    let large = ["--train-instance-type", "modelarts.vm.cpu.8u", "--parameters", "sleep 600"];
    let running = submit_quietly(&platform, &large);
    until(&platform, &running, "Running");
    let waiting = submit_quietly(&platform, &large);
    assert_eq!(platform.run(&["ma-job", "set-priority", &waiting, "--priority", "3"]).code, 0);
    let priority = platform.run(&["ma-job", "get-job", &waiting, "--query", "spec.schedule_policy.priority"]);
    assert_eq!(priority.stdout.trim(), "3");
    assert_eq!(platform.run(&["ma-job", "set-priority", &waiting, "--priority", "4"]).code, 2);
    assert_eq!(platform.run(&["ma-job", "stop", "-y", &running, &waiting]).code, 0);
}

#[test]
fn a_watched_job_is_a_line_for_each_state_until_it_has_ended() {
    let platform = prepared();
    let id = submit_quietly(&platform, &["--parameters", "sleep 1"]);
    let output = platform.run(&["ma-job", "get-job", &id, "--watch"]);
    assert_eq!(output.code, 0, "{output:?}");
    let lines: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let phases: Vec<_> = lines.iter().map(|job| job["status"]["phase"].as_str().unwrap()).collect();
    assert_eq!(phases.last(), Some(&"Completed"), "{phases:?}");
    assert!(phases.windows(2).all(|pair| pair[0] != pair[1]), "{phases:?}");

    let mut command = platform.home.command();
    command.env("MA_CLI_PROFILE", "local").args(["ma-job", "get-job", "-w"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let first = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    assert!(first.contains(&id), "{first}");
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn several_jobs_are_stopped_and_deleted_together() {
    let platform = prepared();
    let done = submit_quietly(&platform, &["--name", "done"]);
    until(&platform, &done, "Completed");
    let running: Vec<String> = (0..3)
        .map(|index| submit_quietly(&platform, &["--name", &format!("run-{index}"), "--parameters", "sleep 600"]))
        .collect();
    let answer = |arguments: &[&str], input: &str| {
        platform.home.run_with(&[&["ma-job"], arguments].concat(), &[("MA_CLI_PROFILE", "local")], input)
    };
    assert_eq!(answer(&["stop"], "").code, 2, "nothing is chosen");
    assert_eq!(answer(&["stop", &done, "--state", "Running"], "").code, 2, "chosen twice");
    let no = answer(&["stop", "-n", "run"], "n\n");
    assert!(no.code == 1 && no.stderr.contains("Stop these 3 jobs?") && no.stderr.contains("[run-2]"), "{no:?}");

    let partly = answer(&["stop", &running[0], &done, "no-such-job", "-y"], "");
    assert_eq!(
        (partly.code, partly.stdout),
        (3, format!("[OK] Successfully stop training job [{}]\n", running[0])),
        "{}",
        partly.stderr
    );
    assert!(
        partly.stderr.contains("is Completed and cannot be stopped") && partly.stderr.contains("2 of 3"),
        "{}",
        partly.stderr
    );
    // What has ended is not chosen by a filter.
    let rest = answer(&["stop", "--since", "1h", "-y"], "");
    assert_eq!((rest.code, rest.stdout.lines().count()), (0, 2), "{rest:?}");
    for id in &running {
        until(&platform, id, "Terminated");
    }
    assert_eq!(answer(&["stop", "--since", "1h", "-y"], "").stdout, "[OK] There is no training job to stop\n");
    let none = answer(&["delete", "no-such-job", "nor-this", "-y"], "");
    assert_eq!(none.code, 5, "{none:?}");
    let deleted = answer(&["delete", "--state", "Terminated"], "y\n");
    assert_eq!((deleted.code, deleted.stdout.lines().count()), (0, 3), "{deleted:?}");
    assert_eq!(
        platform.run(&["ma-job", "get-job", "--query", "[].metadata.name"]).stdout.trim().replace([' ', '\n'], ""),
        "[\"done\"]"
    );
}

#[test]
fn only_jobs_that_were_chosen_are_deleted() {
    let home = Home::new();
    let service = FakeService::start(&["worker-0"], |_, _| {});
    service.state.lock().unwrap().status["phase"] = "Completed".into();
    let delete = |options: &[&str]| service.run(&home, &[&["ma-job", "delete", "-y"], options].concat());
    // A variable of a script that is not set chooses nothing.
    for options in [&["-n", ""][..], &["--user", ""], &["--pool", ""], &["--tag", ""], &["--tag", "=x"]] {
        let output = delete(options);
        assert_eq!(output.code, 2, "{options:?}: {output:?}");
    }
    // This service knows no filters.
    for options in [&["-n", "other"][..], &["--state", "Failed"], &["--user", "u"], &["--since", "1h"]] {
        let output = delete(options);
        assert_eq!((output.code, output.stdout.as_str()), (0, "[OK] There is no training job to delete\n"), "{options:?}");
    }
    assert_eq!(service.requests("DELETE"), 0);
    assert_eq!((delete(&["-n", "n1"]).code, service.requests("DELETE")), (0, 1));
}

#[test]
fn a_watched_job_that_leaves_the_filter_is_told_of() {
    let home = Home::new();
    let service = FakeService::start(&["worker-0"], |state, _| state.status["phase"] = "Completed".into());
    service.state.lock().unwrap().found = 1;
    let mut command = service.command(&home, &["ma-job", "get-job", "--state", "Running", "--watch"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(2);
    let phases: Vec<Value> =
        lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap()["status"]["phase"].clone()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(phases, ["Running", "Completed"]);
}
