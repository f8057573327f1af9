//! What is shown while a copy runs: events for programs, one line in a notebook, nothing elsewhere.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::null_store::NullStore;
use crate::support::make_tree;

/// Every answer takes so long that progress has to be shown.
const SLOW: &[&str] = &["--latency-ms", "700"];

fn events(stderr: &[u8]) -> Vec<Value> {
    let lines = std::str::from_utf8(stderr).unwrap().lines();
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn programs_read_events() {
    let (store, folder) = (NullStore::start(SLOW), tempfile::tempdir().unwrap());
    let home = folder.path();
    make_tree(home, &[("data/a", Some(vec![1; 5000])), ("data/b", Some(vec![2; 5000]))]);
    let output = store.copy(home, &["data", "obs://bench/x/", "--progress", "jsonl"]).output().unwrap();
    assert!(output.status.success());
    let events = events(&output.stderr);
    let named = |name: &str| events.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
    let progress = named("progress");
    assert!(progress.iter().any(|event| event["total_files"] == 2 && event["total_bytes"] == 10_000), "{events:?}");
    let [end] = named("end")[..] else { panic!("one end: {events:?}") };
    assert_eq!((&end["files"], &end["bytes"], &end["failed"]), (&2.into(), &10_000.into(), &0.into()), "{events:?}");
    assert_eq!(named("note").len(), 1, "the summary is an event too: {events:?}");
}

#[test]
fn failures_are_events_and_so_is_the_error() {
    let (store, folder) = (NullStore::start(&[]), tempfile::tempdir().unwrap());
    let home = folder.path();
    // A folder is in the way of one of the two.
    std::fs::create_dir_all(home.join("out/00000001/x")).unwrap();
    let arguments = ["obs://bench/synth/2/10/", "out/", "--drop-last-dir", "--progress", "jsonl"];
    let output = store.copy(home, &arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let events = events(&output.stderr);
    let failed: Vec<_> = events.iter().filter(|event| event["event"] == "failed").collect();
    assert_eq!(failed.len(), 1, "{events:?}");
    assert!(failed[0]["name"] == "00000001" && failed[0]["error"].is_string(), "{events:?}");
    assert!(events.iter().any(|event| event["error"]["kind"] == "partial"), "{events:?}");
}

#[test]
fn a_notebook_gets_one_line_written_over() {
    let (store, folder) = (NullStore::start(SLOW), tempfile::tempdir().unwrap());
    let home = folder.path();
    make_tree(home, &[("data/a", Some(vec![1; 5000]))]);
    let copy = |is_notebook: bool, arguments: &[&str]| {
        let mut command = store.copy(home, arguments);
        if is_notebook {
            command.env("JPY_PARENT_PID", "1");
        }
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let shown = copy(true, &["data", "obs://bench/x/"]);
    assert!(shown.starts_with('\r') && shown.contains("4.88 KiB") && !shown.contains('\u{1b}'), "{shown:?}");
    let last = shown.trim_end().rsplit('\r').next().unwrap();
    assert!(last.starts_with("1 file, "), "the line is gone before the summary: {shown:?}");
    for (is_notebook, arguments) in
        [(false, &["data", "obs://bench/x/"][..]), (true, &["data", "obs://bench/x/", "--no-progress"])]
    {
        let shown = copy(is_notebook, arguments);
        assert!(!shown.contains('\r'), "{shown:?}");
    }
}

#[test]
fn what_stands_still_is_shown_too() {
    let (store, folder) = (NullStore::start(&["--latency-ms", "600000"]), tempfile::tempdir().unwrap());
    let home = folder.path();
    make_tree(home, &[("data/a", Some(vec![1; 5000]))]);
    let mut command = store.copy(home, &["data/a", "obs://bench/x/a", "--progress", "jsonl"]);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stream, mut seen) = (process.stderr.take().unwrap(), Vec::new());
    let deadline = Instant::now() + Duration::from_secs(30);
    // Events come without anything happening; a read ends at the latest with the next of them.
    while seen.iter().filter(|byte| **byte == b'\n').count() < 3 && Instant::now() < deadline {
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "ended early: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&piece[..length]);
    }
    process.kill().unwrap();
    process.wait().unwrap();
    let whole = seen.iter().rposition(|byte| *byte == b'\n').expect("events came") + 1;
    assert!(events(&seen[..whole]).iter().all(|event| event["event"] == "progress" && event["files"] == 0));
}

#[test]
fn a_terminal_shows_one_line_and_takes_it_away() {
    let (store, folder) = (NullStore::start(&["--latency-ms", "3000"]), tempfile::tempdir().unwrap());
    let home = folder.path();
    make_tree(home, &[("data/a", Some(vec![1; 5000]))]);
    let server = Server(home.join("tmux"));
    let tmux = |arguments: &[&str]| {
        let output = Command::new("tmux").arg("-S").arg(&server.0).args(arguments).output();
        output.unwrap_or_else(|error| panic!("tmux is needed for this test (scripts/test installs it): {error}"))
    };
    let copy = store.copy(home, &["data", "obs://bench/x/"]);
    let environment: Vec<String> =
        copy.get_envs().filter_map(|(name, value)| Some(format!("{}='{}'", name.to_str()?, value?.to_str()?))).collect();
    let program = copy.get_program().to_str().unwrap();
    // The line stays on the screen of a shell that is still there.
    let script = format!(
        "cd '{}'; env -i TERM=xterm {} '{program}' obs-copy data obs://bench/x/; echo over; sleep 60",
        home.display(),
        environment.join(" ")
    );
    let opened = tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "20", &script]);
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    let wait_for = |text: &str| {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let screen = String::from_utf8_lossy(&tmux(&["capture-pane", "-p"]).stdout).into_owned();
            if screen.contains(text) {
                return screen;
            }
            assert!(Instant::now() < deadline, "[{text}] does not come up:\n{screen}");
            std::thread::yield_now();
        }
    };
    let screen = wait_for(" file, ");
    // No locale says that there is more than ASCII.
    assert!(screen.contains("4.88 KiB") && screen.contains("/s") && screen.is_ascii(), "{screen}");
    let screen = wait_for("over\n");
    assert!(
        screen.starts_with("[OK] local src path:") && screen.matches(" file, ").count() == 1,
        "the summary only:\n{screen}"
    );
}

/// Ends the server of tmux, and what runs in it.
struct Server(PathBuf);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("tmux").arg("-S").arg(&self.0).arg("kill-server").output();
    }
}
