//! The platform's life cycle, with the real binary: start, second start, status, stop, kill, restart, ports, reset.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A home folder with a platform of its own; what still runs is ended with it.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join(".modelarts/platform")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ma-cli"));
        command.args(arguments).env_clear().env("HOME", self.folder.path()).env("PATH", "/usr/bin:/bin");
        command.current_dir(self.folder.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// The error that the command ends with.
    fn fails(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stderr)
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.succeeds(&["platform", "status", "-F", "json"])).unwrap()
    }

    /// How many processes work with this home's data directory. One that has ended but is not yet reaped has no command line.
    fn processes(&self) -> usize {
        let names_it = |entry: &std::fs::DirEntry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            text(&line).contains(self.data_dir().to_str().unwrap())
        };
        std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter(names_it).count()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.status()["pid"].as_u64().expect("it runs")).unwrap()).unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.run(&["platform", "stop"]);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within 20 seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_platform_starts_once_and_stops() {
    let home = Home::new();
    assert_eq!(home.status()["state"], "stopped");
    assert!(home.succeeds(&["platform", "stop"]).contains("[OK] The platform is not running"));
    let started = home.succeeds(&["platform", "start"]);
    assert!(started.starts_with("[OK] The platform is ready"), "{started}");
    let status = home.status();
    assert_eq!(status["state"], "running");
    for key in ["endpoint", "obs_endpoint"] {
        let url = status[key].as_str().unwrap();
        assert!(started.contains(url) && url.starts_with("http://127.0.0.1:"), "{key} {url}");
    }
    for key in ["region", "project_id", "access_key", "secret_key", "account", "username", "password"] {
        assert!(status[key].as_str().is_some_and(|value| !value.is_empty()), "{key}");
    }
    assert_eq!(status["data_dir"].as_str(), home.data_dir().to_str());
    let table = home.succeeds(&["platform", "status"]);
    assert!(table.contains(status["access_key"].as_str().unwrap()) && table.contains("***"), "{table}");
    assert!(!table.contains(status["secret_key"].as_str().unwrap()), "{table}");
    assert!(!table.contains(status["password"].as_str().unwrap()), "{table}");
    let again = home.succeeds(&["platform", "start"]);
    assert!(again.starts_with(&format!("[OK] The platform is already running (pid {})", status["pid"])), "{again}");
    let second = home.fails(&["platform", "start", "--foreground"], 1);
    assert!(second.contains("another platform serves"), "{second}");
    assert!(home.succeeds(&["platform", "stop"]).contains("[OK] The platform is stopped"));
    let stopped = home.status();
    assert_eq!((&stopped["state"], &stopped["pid"]), (&Value::from("stopped"), &Value::Null));
    home.succeeds(&["platform", "start"]);
    let restarted = home.status();
    for key in ["endpoint", "obs_endpoint", "access_key", "secret_key", "project_id", "password"] {
        assert_eq!(restarted[key], status[key], "{key}");
    }
}

#[test]
fn what_is_secret_is_only_for_its_owner() {
    let home = Home::new();
    home.succeeds(&["platform", "start"]);
    let mode = |path: PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.data_dir()), 0o700);
    for name in ["client.yaml", "platform.json", "state.sqlite", "platform.log", "platform.run.json"] {
        assert_eq!(mode(home.data_dir().join(name)), 0o600, "{name}");
    }
    let secret = home.status()["secret_key"].as_str().unwrap().to_owned();
    let profile = std::fs::read_to_string(home.data_dir().join("client.yaml")).unwrap();
    assert!(profile.contains(&secret));
    let log = home.succeeds(&["platform", "logs"]);
    assert!(log.contains("ready") && !log.contains(&secret), "{log}");
    assert_eq!(home.succeeds(&["platform", "logs", "--tail", "1"]).lines().count(), 1);
}

#[test]
fn a_killed_platform_comes_back_as_it_was() {
    let home = Home::new();
    home.succeeds(&["platform", "start", "--slots", "3"]);
    let before = home.status();
    assert_eq!(before["slots"], 3);
    let pid = home.pid();
    kill_process(pid, Signal::KILL).unwrap();
    wait_until("the killed platform is gone", || home.status()["state"] == "stopped");
    assert!(home.data_dir().join("platform.run.json").exists(), "a killed platform leaves its record behind");
    home.succeeds(&["platform", "start", "--slots", "3"]);
    let mut after = home.status();
    assert_ne!(after["pid"], before["pid"]);
    after["pid"] = before["pid"].clone();
    assert_eq!(after, before);
}

#[test]
fn a_stale_record_of_a_living_process_is_not_trusted() {
    let home = Home::new();
    std::fs::create_dir_all(home.data_dir()).unwrap();
    let own = std::process::id();
    let record = serde_json::json!({
        "pid": own, "process_start": 1, "endpoint": "http://127.0.0.1:1", "obs_endpoint": "http://127.0.0.1:2", "slots": 1,
    });
    std::fs::write(home.data_dir().join("platform.run.json"), record.to_string()).unwrap();
    assert_eq!(home.status()["state"], "stopped");
    home.succeeds(&["platform", "stop"]);
    assert!(test_kill_process(Pid::from_raw(own.cast_signed()).unwrap()).is_ok());
    home.succeeds(&["platform", "start"]);
    assert_ne!(home.status()["pid"], own);
}

#[test]
fn a_taken_port_is_named_with_what_to_do() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for option in ["--port", "--obs-port"] {
        let error = home.fails(&["platform", "start", option, &port], 1);
        assert!(error.contains(&format!("port {port} of 127.0.0.1 is in use by another program")), "{error}");
        assert!(error.contains(&format!("choose another port with {option} N")), "{error}");
        assert_eq!(home.status()["state"], "stopped");
    }
    drop(taken);
    home.succeeds(&["platform", "start", "--port", &port]);
    let endpoint = home.status()["endpoint"].clone();
    assert_eq!(endpoint, format!("http://127.0.0.1:{port}"));
    home.succeeds(&["platform", "stop"]);
    home.succeeds(&["platform", "start"]);
    assert_eq!(home.status()["endpoint"], endpoint, "a chosen port is kept");
}

#[test]
fn two_starts_at_once_give_one_platform() {
    let home = Home::new();
    let starts: Vec<_> = (0..4).map(|_| home.command(&["platform", "start"]).spawn().unwrap()).collect();
    let codes: Vec<_> = starts.into_iter().map(|mut start| start.wait().unwrap().code()).collect();
    assert_eq!(codes, [Some(0); 4]);
    home.succeeds(&["platform", "stop"]);
    wait_until("the one platform has ended", || home.processes() == 0);
}

#[test]
fn reset_asks_and_deletes_only_a_stopped_platform() {
    let home = Home::new();
    assert!(home.succeeds(&["platform", "reset", "-y"]).contains("Nothing to delete"));
    home.succeeds(&["platform", "start"]);
    let access_key = home.status()["access_key"].clone();
    let refused = home.fails(&["platform", "reset", "-y"], 1);
    assert!(refused.contains("the platform is running") && refused.contains("ma-cli platform stop"), "{refused}");
    home.succeeds(&["platform", "stop"]);
    home.fails(&["platform", "reset"], 1);
    home.fails(&["platform", "reset", "--no-input"], 1);
    assert!(home.data_dir().join("platform.json").exists());
    home.succeeds(&["platform", "reset", "-y"]);
    assert!(!home.data_dir().exists());
    home.succeeds(&["platform", "start"]);
    assert_ne!(home.status()["access_key"], access_key, "a new platform has new keys");
}

#[test]
fn other_folders_are_chosen_by_option_and_environment() {
    let home = Home::new();
    let folder = home.folder.path().join("elsewhere");
    let status = |command: &mut Command| -> Value { serde_json::from_slice(&command.output().unwrap().stdout).unwrap() };
    home.succeeds(&["platform", "start", "--data-dir", "elsewhere"]);
    let by_option = status(&mut home.command(&["platform", "status", "-F", "json", "--data-dir", "elsewhere"]));
    let by_environment = status(home.command(&["platform", "status", "-F", "json"]).env("MA_CLI_PLATFORM_DIR", &folder));
    assert_eq!(by_option, by_environment);
    assert_eq!(by_option["state"], "running");
    assert_eq!(home.status()["state"], "stopped");
    home.succeeds(&["platform", "stop", "--data-dir", "elsewhere"]);
}

#[test]
fn a_foreground_platform_ends_on_a_signal() {
    let home = Home::new();
    for signal in [Signal::TERM, Signal::INT] {
        let mut child = home.command(&["platform", "start", "--foreground"]).spawn().unwrap();
        wait_until("the platform is ready", || home.status()["state"] == "running");
        assert_eq!(home.status()["pid"], child.id());
        kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), signal).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(home.status()["state"], "stopped");
        assert!(!home.data_dir().join("platform.run.json").exists());
    }
}
