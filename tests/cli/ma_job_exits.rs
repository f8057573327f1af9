//! How the commands that stay with a job end, on a platform that really runs it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::ma_job::{phase, prepared, submit_quietly};
use crate::support::LocalPlatform;

/// Starts the binary with the profile named on the command line.
fn start(platform: &LocalPlatform, arguments: &[&str]) -> Child {
    let mut command = platform.home.command();
    command.args(arguments).args(["-P", "local"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Interrupts it as Ctrl-C does; how it ended and what it said.
fn interrupt(mut child: Child) -> (Option<i32>, String) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (child.wait().unwrap().code(), stderr)
}

fn wait_for_phase(platform: &LocalPlatform, id: &str, wanted: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while phase(platform, id) != wanted {
        assert!(Instant::now() < deadline, "the job does not become {wanted}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_exit_code_tells_how_it_ended() {
    let platform = prepared();
    let completed = submit_quietly(&platform, &[]);
    let failed = submit_quietly(&platform, &["--parameters", "code 3"]);
    let long = submit_quietly(&platform, &["--parameters", "sleep 600"]);
    let code = |arguments: &[&str]| platform.run(&[&["ma-job"], arguments].concat());
    for verb in [&["wait"][..], &["get-log", "-f", "-i"]] {
        assert_eq!(code(&[verb, &[&completed]].concat()).code, 0, "{verb:?}");
        let output = code(&[verb, &[&failed]].concat());
        assert_eq!(output.code, 10, "{verb:?}: {output:?}");
        assert!(output.stderr.contains("ended as Failed: task [worker-0] exited with 3"), "{output:?}");
        assert_eq!(code(&[verb, &["no-such-job"]].concat()).code, 5, "{verb:?}");
    }
    // Every verb knows which job was meant.
    let slip = format!("{}-", &completed[..35]);
    for verb in ["get-event", "metrics", "evaluate", "tag", "shell", "trials", "export", "rerun", "set-priority=--priority=2"] {
        let (verb, option) = verb.split_once('=').unwrap_or((verb, "--no-progress"));
        let output = code(&[verb, &slip, option]);
        assert!(output.code == 5 && output.stderr.contains(&format!("did you mean [{completed}]")), "{verb}: {output:?}");
    }
    for format in ["table", "json"] {
        let output = code(&["get-log", &completed, "-t", "worker-1", "-F", format]);
        assert!(output.code == 5 && output.stderr.contains("did you mean [worker-0]?"), "{output:?}");
    }
    let running = code(&["wait", &long, "--for", "Running", "--timeout", "60s"]);
    assert_eq!(running.code, 0, "{running:?}");
    let late = code(&["wait", "-i", &long, "--timeout", "1s"]);
    assert!(late.code == 6 && late.stderr.contains("which is Running"), "{late:?}");
    assert_eq!(code(&["stop", "-i", &long, "-y"]).code, 0);
    let stopped = code(&["wait", &long, "--timeout", "60s"]);
    assert!(stopped.code == 11 && stopped.stderr.contains("stopped manually"), "{stopped:?}");

    let keys =
        [("MA_CLI_PROFILE", "local"), ("HUAWEICLOUD_SDK_AK", "WRONG"), ("HUAWEICLOUD_SDK_SK", "WRONG"), ("PROJECT_ID", "p")];
    let endpoint = [("MA_CLI_MODELARTS_ENDPOINT", platform.field("endpoint"))];
    let stranger = platform.home.run_with(&["ma-job", "wait", &completed], &[&keys[1..], &endpoint].concat(), "");
    assert_eq!(stranger.code, 4, "{stranger:?}");

    // One job that is looked at tells why it failed, and where to look further.
    let shown = code(&["get-job", "-i", &failed]);
    assert_eq!(shown.code, 0);
    for text in ["reason: task [worker-0] exited with 3", "    the end", "hint: see its log: ma-cli ma-job get-log -i"] {
        assert!(shown.stderr.contains(text) && !shown.stdout.contains(text), "{text}: {shown:?}");
    }
    assert_eq!(code(&["get-job", "-i", &failed, "-F", "json"]).stderr, "");
    // What is stored under the name of an evaluation is shown.
    fs::write(platform.home.path().join("eval.json"), r#"{"accuracy": 0.75}"#).unwrap();
    assert_eq!(platform.run(&["obs-copy", "eval.json", "obs://jobs/o/"]).code, 0);
    let with_output = submit_quietly(&platform, &["--output", "train_url=obs://jobs/o/"]);
    assert_eq!(code(&["wait", &with_output]).code, 0);
    let evaluation = code(&["evaluate", &with_output, "-F", "csv"]);
    assert_eq!(evaluation.stdout.trim_end().lines().last(), Some("accuracy,0.75"), "{evaluation:?}");
    assert_eq!(code(&["evaluate", &completed]).code, 5);
    let metrics = code(&["metrics", &with_output, "-F", "json"]);
    assert!(metrics.code == 0 && metrics.stdout.contains("cpuUsage"), "{metrics:?}");
}

#[test]
fn ctrl_c_leaves_the_job_or_stops_it_as_it_is_asked_to() {
    let platform = prepared();
    let submit = ["ma-job", "submit", "job.yaml", "--parameters", "sleep 600", "--follow"];
    let mut child = start(&platform, &submit);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let id = lines.next().unwrap().rsplit(' ').next().unwrap().to_owned();
    // The log comes while the job runs.
    assert!(lines.any(|line| line.starts_with("args [")), "the log is not followed");
    let (code, stderr) = interrupt(child);
    assert_eq!(code, Some(130), "{stderr}");
    assert!(stderr.contains(&format!("hint: go on with: ma-cli -P local ma-job get-log -f -i {id}\n")), "{stderr}");
    assert_eq!(phase(&platform, &id), "Running");

    let mut waiting = start(&platform, &["ma-job", "wait", &id]);
    let mut first = BufReader::new(waiting.stdout.take().unwrap()).lines();
    assert_eq!(first.next().unwrap().unwrap(), "[OK] Running");
    let (code, stderr) = interrupt(waiting);
    assert!(code == Some(130) && stderr.contains(&format!("ma-cli -P local ma-job wait {id}\n")), "{stderr}");
    assert_eq!(platform.run(&["ma-job", "stop", "-i", &id, "-y"]).code, 0);

    let mut child = start(&platform, &[&submit[..5], &["--stop-on-interrupt"]].concat());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let id = lines.next().unwrap().rsplit(' ').next().unwrap().to_owned();
    lines.next().unwrap();
    let (code, stderr) = interrupt(child);
    assert!(code == Some(130) && stderr.contains("is being stopped"), "{stderr}");
    wait_for_phase(&platform, &id, "Terminated");
    let refused = platform.run(&["ma-job", "submit", "job.yaml", "-q", "--exec", "true"]);
    assert!(refused.code == 2 && refused.stderr.contains("--quiet"), "{refused:?}");
}

/// Passes connections on to the platform, and cuts each after so many bytes of answers; its address, and how many it has cut.
fn cutting_relay(target: &str, most: u64) -> (String, Arc<AtomicU64>) {
    let cuts = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&cuts);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let target = target.trim_start_matches("http://").to_owned();
    // Ends with the process of the test.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(client), Ok(server)) = (stream, TcpStream::connect(&target)) else { return };
            let (mut requests, mut upstream) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut requests, &mut upstream);
                let _ = upstream.shutdown(Shutdown::Write);
            });
            let cuts = Arc::clone(&counted);
            std::thread::spawn(move || {
                let (mut client, server) = (client, server);
                if std::io::copy(&mut server.try_clone().unwrap().take(most), &mut client).is_ok_and(|sent| sent == most) {
                    cuts.fetch_add(1, Ordering::Relaxed);
                }
                let _ = client.flush();
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.shutdown(Shutdown::Both);
            });
        }
    });
    (address, cuts)
}

#[test]
fn a_long_log_comes_whole_through_a_line_that_breaks_again_and_again() {
    let platform = prepared();
    let script = "import sys\nfor i in range(60000):\n    print('line', i)\n    if i % 10000 == 0: sys.stdout.flush()\n";
    fs::write(platform.home.path().join("code/main.py"), script).unwrap();
    assert_eq!(platform.run(&["obs-copy", "code", "obs://jobs/"]).code, 0);
    let id = submit_quietly(&platform, &[]);
    let (relay, cuts) = cutting_relay(platform.field("endpoint"), 200_000);
    let variables = [
        ("MA_CLI_MODELARTS_ENDPOINT", relay.as_str()),
        ("HUAWEICLOUD_SDK_AK", platform.field("access_key")),
        ("HUAWEICLOUD_SDK_SK", platform.field("secret_key")),
        ("PROJECT_ID", platform.field("project_id")),
    ];
    let output = platform.home.run_with(&["ma-job", "get-log", "-f", "--no-system", "-i", &id], &variables, "");
    assert_eq!(output.code, 0, "{}", output.stderr);
    let expected: String = (0..60_000).map(|number| format!("line {number}\n")).collect();
    assert!(output.stdout == expected, "{} bytes came of {}", output.stdout.len(), expected.len());
    assert!(cuts.load(Ordering::Relaxed) >= 2, "the line did not break");
}
