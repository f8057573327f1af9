//! Following a job: every line once and in order, whatever happens to the log, the task or the connection.

use std::fmt::Write as _;
use std::process::Stdio;

use serde_json::json;

use crate::fake_service::{FakeService, State};
use crate::support::Home;

/// Numbered lines, each of a length of its own.
fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "line {number} {}", "ä".repeat(number % 7));
        text
    })
}

fn end(state: &mut State, phase: &str) {
    state.status["phase"] = json!(phase);
    if phase == "Failed" {
        state.status["task_statuses"] = json!([{"task": "worker-0", "exit_code": 1, "message": ""}]);
    }
}

#[test]
fn every_line_comes_once_through_broken_connections() {
    let home = Home::new();
    for (has_ranges, growth) in [(true, 40), (true, 2000), (false, 400)] {
        let service = FakeService::start(&["worker-0"], move |state, look| {
            let look = look as usize;
            if look == 12 {
                end(state, "Completed");
            } else if look < 12 {
                state.logs[0].1.extend_from_slice(lines(look * growth..(look + 1) * growth).as_bytes());
            }
        });
        (service.state.lock().unwrap().has_ranges, service.state.lock().unwrap().cut_each) = (has_ranges, Some(3));
        let output = service.run(&home, &["ma-job", "get-log", "-i", "j1", "-f"]);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{has_ranges} {growth}");
        assert!(output.stdout == lines(0..12 * growth), "{has_ranges} {growth}: the log does not come whole and once");
        // Once it is long, only what is new is asked for.
        let seen = service.state.lock().unwrap().seen.clone();
        assert!(seen.iter().any(|line| line.contains("/log/worker-0")), "{seen:?}");
    }
}

#[test]
fn lines_that_come_after_the_end_of_the_job_are_not_missed() {
    let home = Home::new();
    let service = FakeService::start(&["worker-0"], |state, look| match look {
        0 => state.logs[0].1 = lines(0..5).into_bytes(),
        2 => end(state, "Completed"),
        _ => {}
    });
    service.state.lock().unwrap().late = Some(lines(5..9).into_bytes());
    let output = service.run(&home, &["ma-job", "get-log", "-i", "j1", "-f"]);
    assert_eq!((output.code, output.stdout), (0, lines(0..9)));
}

#[test]
fn a_log_that_is_replaced_is_read_from_its_beginning() {
    let home = Home::new();
    // Longer, as long and shorter than what was read of the old one, below and above what a preview shows.
    for (old, new) in [(50, 20), (50, 80), (50, 50), (2000, 3000), (2000, 100)] {
        let service = FakeService::start(&["worker-0"], move |state, look| match look {
            0 => state.logs[0].1 = lines(0..old).into_bytes(),
            2 => state.logs[0].1 = lines(0..new).replace("line", "new!").into_bytes(),
            4 => end(state, "Completed"),
            _ => {}
        });
        let output = service.run(&home, &["ma-job", "get-log", "-i", "j1", "--follow"]);
        assert_eq!(output.code, 0, "{output:?}");
        assert!(output.stdout == lines(0..old) + &lines(0..new).replace("line", "new!"), "{old} {new}");
    }
}

#[test]
fn what_cannot_be_fetched_is_told_of_and_the_rest_goes_on() {
    let home = Home::new();
    let service = FakeService::start(&["worker-0"], |state, look| match look {
        0 => state.logs[0].1 = lines(0..10).into_bytes(),
        1 => state.logs[0].1.extend_from_slice(lines(10..2000).as_bytes()),
        2 => end(state, "Completed"),
        _ => {}
    });
    service.state.lock().unwrap().has_no_links = true;
    let output = service.run(&home, &["ma-job", "get-log", "-i", "j1", "-f"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.starts_with(&lines(0..10)) && output.stdout.ends_with(&lines(1900..2000)), "{}", output.stdout);
    assert_eq!(output.stderr.matches("bytes of the log are left out").count(), 1, "{output:?}");
}

#[test]
fn following_ends_with_the_job_and_tells_how() {
    let home = Home::new();
    for (phase, code) in [("Completed", 0), ("Failed", 10), ("Abnormal", 10), ("Terminated", 11)] {
        let service = FakeService::start(&["worker-0"], move |state, look| match look {
            0 => {
                state.status = json!({"phase": "Pending", "tasks": []});
                state.logs.clear();
            }
            2 => {
                state.status = json!({"phase": "Running", "start_time": 1, "tasks": ["worker-0"]});
                state.logs.push(("worker-0".to_owned(), b"ModuleNotFoundError: No module named 'x'\nno end".to_vec()));
            }
            3 => end(state, phase),
            _ => {}
        });
        let output = service.run(&home, &["ma-job", "get-log", "j1", "-f"]);
        assert_eq!(output.code, code, "{phase}: {output:?}");
        assert_eq!(output.stdout, "ModuleNotFoundError: No module named 'x'\nno end");
        assert!(output.stderr.starts_with("Waiting for training job [j1]: the queue is long\n"), "{output:?}");
        assert_eq!(output.stderr.matches("Waiting").count(), 1, "{output:?}");
        assert_eq!(output.stderr.contains("a Python package is missing"), code == 10, "{output:?}");
        assert_eq!(output.stderr.contains("obs://b/logs/modelarts-job-j1-worker-0.log"), code != 0, "{output:?}");
        // The log was shown already.
        assert!(!output.stderr.contains("The last"), "{output:?}");
        // Without following, a log is a log.
        assert_eq!(service.run(&home, &["ma-job", "get-log", "-i", "j1"]).code, 0);
    }
}

#[test]
fn the_logs_of_all_tasks_are_told_apart_and_lines_are_chosen() {
    let home = Home::new();
    let service = FakeService::start(&["worker-0", "worker-1"], |state, look| {
        if look == 0 {
            state.logs[0].1 = b"[ModelArts Service Log] x\nloss 1\nother\nloss 2\n".to_vec();
            state.logs[1].1 = b"loss 3\n2024-05-01 10:00:00 late\nlast".to_vec();
        }
        end(state, "Completed");
    });
    let run = |arguments: &[&str]| service.run(&home, &[&["ma-job", "get-log", "j1"], arguments].concat());
    let mut all: Vec<String> = run(&["--all-tasks", "--no-system"]).stdout.lines().map(str::to_owned).collect();
    all.sort();
    let expected = [
        "[worker-0] loss 1",
        "[worker-0] loss 2",
        "[worker-0] other",
        "[worker-1] 2024-05-01 10:00:00 late",
        "[worker-1] last",
        "[worker-1] loss 3",
    ];
    assert_eq!(all, expected);
    assert_eq!(run(&["--grep", "^loss [0-9]$", "--tail", "1"]).stdout, "loss 2\n");
    assert_eq!(run(&["-t", "worker-1", "--since", "2024-05-01"]).stdout, "2024-05-01 10:00:00 late\nlast\n");
    assert_eq!(run(&["-t", "worker-1", "--tail", "1", "-f"]).stdout, "last");
    assert_eq!(run(&["--grep", "("]).code, 2);
    assert_eq!(run(&["-t", "worker-7"]).code, 5);
    let json = run(&["-t", "worker-1", "-F", "jsonl"]).stdout;
    assert_eq!(json.lines().next(), Some(r#"{"task":"worker-1","line":"loss 3"}"#));
    let saved = run(&["--all-tasks", "--download", "logs"]);
    assert_eq!((saved.code, saved.stdout.matches("[OK] Successfully download").count()), (0, 2), "{saved:?}");
    let text = std::fs::read_to_string(home.path().join("logs/modelarts-job-j1-worker-0.log")).unwrap();
    assert!(text.ends_with("other\nloss 2\n") && std::fs::read_dir(home.path().join("logs")).unwrap().count() == 2, "{text}");
}

#[test]
fn waiting_ends_as_it_is_asked_to() {
    let home = Home::new();
    let service = FakeService::start(&["worker-0"], |_, _| {});
    let run = |arguments: &[&str]| service.run(&home, &[&["ma-job", "wait"], arguments].concat());
    let running = run(&["j1", "--for", "running"]);
    assert_eq!((running.code, running.stdout.as_str()), (0, "[OK] Running\n"), "{running:?}");
    let late = run(&["-i", "j1", "--timeout", "1s"]);
    assert!(late.code == 6 && late.stderr.contains("waited 1.00 s for training job [j1], which is Running"), "{late:?}");
    assert_eq!(run(&["none"]).code, 5);
    assert_eq!(run(&[]).code, 2);
    assert_eq!(run(&["j1", "-i", "j1"]).code, 2);
    assert_eq!(run(&["j1", "--timeout", "soon"]).code, 2);
    for (phase, wanted, code) in [
        ("Completed", "Completed", 0),
        ("Failed", "Failed", 0),
        ("Completed", "Failed", 1),
        ("Failed", "Running", 10),
        ("Terminated", "Completed", 11),
    ] {
        end(&mut service.state.lock().unwrap(), phase);
        assert_eq!(run(&["j1", "--for", wanted]).code, code, "{phase} {wanted}");
    }
}

#[test]
fn hooks_hear_of_each_change_and_of_no_secret() {
    let home = Home::new();
    let service = FakeService::start(&["worker-0"], |state, look| match look {
        0 => state.status["phase"] = json!("Pending"),
        1 => state.status["phase"] = json!("Running"),
        3 => end(state, "Failed"),
        _ => {}
    });
    // Half of the posts must be sent twice.
    let url = format!("{}/hook/w0rd", service.endpoint);
    let script = "env >>env.txt; cat >>input.txt; echo told $MA_CLI_JOB_STATE";
    let exec = format!("sh -c '{script}'");
    let arguments = ["ma-job", "wait", "j1", "--exec", &exec, "--webhook", &url];
    let output = service
        .command(&home, &arguments)
        .env("AWS_SECRET_ACCESS_KEY", "secret-key-of-tests")
        .env("KEPT", "yes")
        .stdin(Stdio::null())
        .output();
    let output = output.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(10), "{stderr}");
    let told: Vec<&str> = stderr.lines().filter(|line| line.starts_with("told")).collect();
    assert_eq!(told, ["told Pending", "told Running", "told Failed"]);
    let variables = std::fs::read_to_string(home.path().join("env.txt")).unwrap();
    assert!(variables.contains("MA_CLI_JOB_PREVIOUS_STATE=Running\n") && variables.contains("KEPT=yes\n"), "{variables}");
    assert!(!variables.contains("secret-key-of-tests") && !variables.contains("ACCESSKEYOFTESTS"), "{variables}");
    let input = std::fs::read_to_string(home.path().join("input.txt")).unwrap();
    let input: Vec<serde_json::Value> = input.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(input, service.state.lock().unwrap().posted);
    assert_eq!((&input[2]["state"], &input[2]["reason"]), (&json!("Failed"), &json!("task [worker-0] exited with 1")));

    let failing = service.run(&home, &["ma-job", "wait", "j1", "--exec", "no-such-program x"]);
    assert!(failing.code == 10 && failing.stderr.contains("[no-such-program] cannot be run"), "{failing:?}");
    let traced = service.run(&home, &["ma-job", "wait", "j1", "--webhook", &url, "-D"]);
    assert!(traced.stderr.contains("POST") && !traced.stderr.contains("w0rd"), "the address of a webhook is a secret");
}

#[test]
fn a_log_that_cannot_be_read_does_not_hide_how_the_job_ends() {
    let home = Home::new();
    let service = FakeService::start(&["worker-0"], |state, look| {
        if look == 2 {
            end(state, "Failed");
        }
    });
    service.state.lock().unwrap().no_preview = Some(400);
    let output = service.run(&home, &["ma-job", "get-log", "-i", "j1", "-f"]);
    assert_eq!((output.code, output.stdout.as_str()), (10, ""), "{output:?}");
    assert!(output.stderr.contains("cannot be read") && output.stderr.contains("not generated"), "{output:?}");
}

#[test]
fn what_the_preview_shows_does_where_the_host_of_links_is_out_of_reach() {
    let home = Home::new();
    let service = FakeService::start(&["worker-0"], |state, look| match look as usize {
        5 => end(state, "Completed"),
        look if look < 5 => state.logs[0].1.extend_from_slice(lines(look * 5000..(look + 1) * 5000).as_bytes()),
        _ => {}
    });
    (service.state.lock().unwrap().preview, service.state.lock().unwrap().link_host) =
        (5 << 20, Some("http://127.0.0.1:9".to_owned()));
    let followed = service.run(&home, &["ma-job", "get-log", "j1", "-f"]);
    assert_eq!((followed.code, followed.stderr.as_str()), (0, ""));
    assert!(followed.stdout.len() > 256 * 1024 && followed.stdout == lines(0..25_000), "the log does not come whole and once");
    // What no preview shows is told of.
    service.state.lock().unwrap().preview = 4096;
    let newest = service.run(&home, &["ma-job", "get-log", "j1"]);
    assert!(newest.code == 0 && newest.stderr.contains("bytes of the log are left out"), "{}", newest.stderr);
    assert!(lines(0..25_000).ends_with(&newest.stdout) && newest.stdout.len() == 4096);
}

#[test]
fn a_page_of_a_proxy_instead_of_a_link_loses_no_line() {
    let home = Home::new();
    let service = FakeService::start(&["worker-0"], |state, _| state.logs[0].1 = lines(0..3000).into_bytes());
    service.state.lock().unwrap().bad_links = 1;
    let output = service.run(&home, &["ma-job", "get-log", "j1"]);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    assert!(output.stdout == lines(0..3000), "the log does not come whole");
    // Lines are chosen where lines are written.
    for option in [&["--all-tasks"][..], &["--tail", "1"], &["--grep", "x"], &["--since", "1h"], &["--no-system"]] {
        let refused = service.run(&home, &[&["ma-job", "get-log", "j1", "-F", "json"], option].concat());
        assert!(refused.code == 2 && refused.stdout.is_empty() && refused.stderr.contains("jsonl"), "{refused:?}");
    }
}

#[test]
fn nothing_holds_up_the_end_of_the_time() {
    let home = Home::new();
    let service = FakeService::start(&["worker-0"], |state, look| state.is_silent = look > 0);
    let begun = std::time::Instant::now();
    // The service falls silent after the first look, and a command does not end.
    let slow = ["ma-job", "wait", "j1", "--timeout", "1s", "--exec", "sleep 600"];
    let output = service.run(&home, &slow);
    assert!(output.code == 6 && output.stderr.contains("which is Running") && output.stderr.contains("--exec"), "{output:?}");
    let output = service.run(&home, &slow[..5]);
    assert!(output.code == 6 && output.stderr.contains("has not told"), "{output:?}");
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn a_phase_that_goes_by_between_two_looks_is_not_missed() {
    let home = Home::new();
    let service = FakeService::start(&["worker-0"], |state, look| match look {
        0 => state.status = json!({"phase": "Creating", "tasks": []}),
        1 => state.status["phase"] = json!("Running"),
        _ => end(state, "Failed"),
    });
    assert_eq!(service.run(&home, &["ma-job", "wait", "j1", "--for", "Pending"]).code, 0);
}
