//! Training jobs from submit to delete, on a platform that really runs them.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{LocalPlatform, Output};

/// A platform with a bucket that holds a script; `code/main.py` prints its arguments and ends with the status `--code=N` asks for.
pub(crate) fn prepared() -> LocalPlatform {
    let platform = LocalPlatform::start();
    let code = platform.home.path().join("code");
    fs::create_dir(&code).unwrap();
    let script = "import sys, time\nprint('args', sys.argv[1:], flush=True)\n\
                  options = dict(a.lstrip('-').split('=') for a in sys.argv[1:] if '=' in a)\n\
                  time.sleep(float(options.get('sleep', 0)))\nprint('the end', flush=True)\nsys.exit(int(options.get('code', 0)))\n";
    fs::write(code.join("main.py"), script).unwrap();
    let job = "framework-type: Python\nframework_version: python-3-local\ncode-dir: obs://jobs/code/\nboot-file: main.py\n\
               train-instance-type: modelarts.vm.cpu.1u\nparameters:\n  - epoch: 3\n  - pretrained:\n";
    fs::write(platform.home.path().join("job.yaml"), job).unwrap();
    assert_eq!(platform.run(&["obs", "mb", "obs://jobs"]).code, 0);
    assert_eq!(platform.run(&["obs-copy", "code", "obs://jobs/"]).code, 0);
    platform
}

fn submit(platform: &LocalPlatform, options: &[&str]) -> Output {
    platform.run(&[&["ma-job", "submit", "job.yaml"], options].concat())
}

/// Submits without waiting; the id of the job.
pub(crate) fn submit_quietly(platform: &LocalPlatform, options: &[&str]) -> String {
    let output = submit(platform, &[options, &["-q", "--query", "metadata.id"]].concat());
    assert_eq!(output.code, 0, "{output:?}");
    output.stdout.trim().to_owned()
}

pub(crate) fn phase(platform: &LocalPlatform, id: &str) -> String {
    platform.run(&["ma-job", "get-job", "-i", id, "--query", "status.phase"]).stdout.trim().to_owned()
}

#[test]
fn submit_waits_and_tells_how_the_job_ended() {
    let platform = prepared();
    let done = submit(&platform, &["--name", "done"]);
    assert_eq!(done.code, 0, "{done:?}");
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert!(lines[0].starts_with("[OK] Current training job id is: "), "{done:?}");
    assert_eq!(lines[lines.len() - 2], "[OK] Completed");
    assert!(lines[lines.len() - 1].starts_with("[OK] Successfully submit training job ["));

    let failed = submit(&platform, &["--parameters", "code 3"]);
    assert_eq!(failed.code, 10, "{failed:?}");
    assert!(failed.stderr.contains("task [worker-0] exited with 3") && failed.stderr.contains("get-log"), "{failed:?}");

    // Options win over the file, and a list replaces a list as a whole.
    let id = submit_quietly(&platform, &["--parameters", "only 1"]);
    let log = platform.run(&["ma-job", "get-log", "-i", &id, "-f"]);
    assert_eq!(log.code, 0, "{log:?}");
    assert!(log.stdout.contains("args ['--only=1']") && log.stdout.contains("\nthe end\n"), "{log:?}");
    let again = platform.run(&["ma-job", "get-log", "-i", &id, "-t", "worker-0"]);
    assert_eq!(again.stdout, log.stdout);

    let document: serde_json::Value =
        serde_json::from_str(&submit(&platform, &["--name", "as-json", "-F", "json"]).stdout).unwrap();
    assert_eq!(document["status"]["phase"], "Completed");
    assert_eq!(document["algorithm"]["parameters"][1]["name"], "pretrained");
}

#[test]
fn jobs_are_listed_found_and_shown() {
    let platform = prepared();
    for name in ["auto-1", "auto-2", "other"] {
        submit_quietly(&platform, &["--name", name]);
    }
    let names = |arguments: &[&str]| {
        let output = platform.run(&[&["ma-job", "get-job"], arguments, &["--query", "[].metadata.name"]].concat());
        serde_json::from_str::<Vec<String>>(&output.stdout).unwrap()
    };
    assert_eq!(names(&[]), ["other", "auto-2", "auto-1"]);
    assert_eq!(names(&["-n", "auto"]), ["auto-2", "auto-1"]);
    assert_eq!(names(&["-pn", "2", "-ps=2"]), ["auto-1"]);
    let table = platform.run(&["ma-job", "get-job", "-F", "csv"]).stdout;
    let header = table.lines().next().unwrap();
    assert_eq!(header.trim_end(), "index,id,name,status,user_name,duration,create_time,start_time,description");
    let missing = platform.run(&["ma-job", "get-job", "-i", "no-such-job"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (5, ""), "{missing:?}");
    for verb in ["get-log", "get-event"] {
        assert_eq!(platform.run(&["ma-job", verb, "-i", "no-such-job"]).code, 5, "{verb}");
    }
}

#[test]
fn a_running_job_is_stopped_then_deleted_each_after_a_question() {
    let platform = prepared();
    let id = submit_quietly(&platform, &["--parameters", "sleep 600"]);
    let answer = |verb: &str, input: &str| {
        let variables = [("MA_CLI_PROFILE", "local")];
        platform.home.run_with(&["ma-job", verb, "-i", &id], &variables, input)
    };
    let no = answer("stop", "n\n");
    assert_eq!(no.code, 1, "{no:?}");
    let refused = platform.run(&["ma-job", "delete", "-i", &id, "-y"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let nobody = answer("stop", "");
    assert!(nobody.code == 1 && nobody.stderr.contains("-y"), "{nobody:?}");
    let yes = answer("stop", "y\n");
    assert_eq!((yes.code, yes.stdout), (0, format!("[OK] Successfully stop training job [{id}]\n")));
    let deadline = Instant::now() + Duration::from_secs(30);
    while phase(&platform, &id) != "Terminated" {
        assert!(Instant::now() < deadline, "the job does not stop");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(platform.run(&["ma-job", "stop", "-i", &id, "-y"]).code, 1);
    let deleted = answer("delete", "y\n");
    assert_eq!((deleted.code, deleted.stdout), (0, format!("[OK] Successfully delete training job [{id}]\n")));
    assert_eq!(platform.run(&["ma-job", "get-job", "-i", &id]).code, 5);
}

#[test]
fn ctrl_c_ends_the_waiting_but_not_the_job() {
    use std::io::{BufRead as _, BufReader, Read as _};
    let platform = prepared();
    let mut command = platform.home.command();
    command.env("MA_CLI_PROFILE", "local").args(["ma-job", "submit", "job.yaml", "--parameters", "sleep 600"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let id = lines.next().unwrap().unwrap().rsplit(' ').next().unwrap().to_owned();
    // The second line is printed once the command has begun to wait.
    lines.next().unwrap().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{stderr}");
    assert!(stderr.contains("goes on") && stderr.contains("get-log"), "{stderr}");
    assert!(["Creating", "Pending", "Running"].contains(&phase(&platform, &id).as_str()));
    assert_eq!(platform.run(&["ma-job", "stop", "-i", &id, "-y"]).code, 0);
}

#[test]
fn mistakes_are_told_before_anything_is_sent() {
    let platform = prepared();
    fs::write(platform.home.path().join("bad.yaml"), "name: x\n\ncode_dri: obs://b/\n").unwrap();
    let unknown = platform.run(&["ma-job", "submit", "bad.yaml"]);
    assert_eq!(unknown.code, 1, "{unknown:?}");
    assert!(unknown.stderr.contains("bad.yaml], line 3, key [code_dri]"), "{unknown:?}");
    assert!(unknown.stderr.contains("did you mean [code-dir]?"), "{unknown:?}");
    for (options, code) in [
        (["--train-instance-count", "0"], 2),
        (["--policy", "fast"], 2),
        (["--output", "nameless"], 2),
        (["--code-dir", "./here"], 1),
        (["--train-instance-type", "no-such-flavor"], 5),
    ] {
        let output = submit(&platform, &options);
        assert_eq!((output.code, output.stdout.as_str()), (code, ""), "{options:?}: {output:?}");
    }
    assert_eq!(platform.run(&["ma-job", "get-job", "-F", "json"]).stdout.trim(), "[]");
}

#[test]
fn engines_flavors_pools_and_events_are_listed() {
    let platform = prepared();
    let header = |arguments: &[&str]| {
        let output = platform.run(&[&["ma-job"], arguments, &["-F", "csv"]].concat());
        assert_eq!(output.code, 0, "{output:?}");
        output.stdout.lines().next().unwrap().trim_end().to_owned()
    };
    assert_eq!(header(&["get-engine"]), "index,engine id,engine name,run user");
    assert_eq!(header(&["get-flavor"]), "index,flavor id,flavor name,flavor type");
    assert_eq!(header(&["get-pool"]), "index,id,name,status,flavor,nodes");
    let types = platform.run(&["ma-job", "get-flavor", "-t", "cpu", "--query", "[].flavor_type"]).stdout;
    let types: Vec<String> = serde_json::from_str(&types).unwrap();
    assert!(!types.is_empty() && types.iter().all(|kind| kind == "CPU"), "{types:?}");
    let output = submit(&platform, &["-F", "json", "--query", "metadata.id"]);
    let id = output.stdout.trim();
    assert_eq!(header(&["get-event", "-i", id]), "index,time,level,message");
    let messages = platform.run(&["ma-job", "get-event", "-i", id, "--query", "[].message"]).stdout;
    assert!(messages.contains("Training job completed."), "{messages}");
}
