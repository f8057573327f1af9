//! Images that jobs bring, run by a Docker service of the test's own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::{Bench, DEADLINE, Folder, command};
use crate::{ONE, access, start_with};

/// Programs of this machine that the image is made of, with the libraries that they need.
const PROGRAMS: [&str; 4] = ["bash", "cat", "id", "sleep"];

/// The service; it ends with the value, and so do its containers.
struct Docker {
    service: Child,
    folder: PathBuf,
}

impl Docker {
    /// Starts the service with everything that it keeps below the folder.
    fn start(folder: &Path) -> Self {
        let at = |name: &str| folder.join(name).display().to_string();
        let log = std::fs::File::create(folder.join("service.log")).unwrap();
        let service = Command::new("dockerd")
            .args(["--host", &format!("unix://{}", at("docker.sock")), "--data-root", &at("data"), "--exec-root", &at("exec")])
            .args([
                "--pidfile",
                &at("docker.pid"),
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("dockerd cannot be started: {error}"));
        let docker = Self { service, folder: folder.to_owned() };
        let started = Instant::now();
        while !docker.client(&["version"]).status.success() {
            let log = || std::fs::read_to_string(folder.join("service.log")).unwrap();
            assert!(started.elapsed() < DEADLINE, "dockerd does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        docker
    }

    fn client(&self, words: &[&str]) -> std::process::Output {
        let host = format!("unix://{}", self.folder.join("docker.sock").display());
        Command::new("docker").args(["--host", &host]).args(words).stdin(Stdio::null()).output().unwrap()
    }

    /// A program that reaches this service, as a platform is told of it.
    fn wrapper(&self) -> PathBuf {
        let host = format!("unix://{}", self.folder.join("docker.sock").display());
        script(&self.folder, "docker", &format!("exec docker --host '{host}' \"$@\""))
    }

    /// Makes the image `lab/tools:1`.
    fn make_image(&self) {
        let root = self.folder.join("root");
        for program in PROGRAMS {
            let found = Command::new("sh").args(["-c", &format!("readlink -f $(command -v {program})")]).output().unwrap();
            let path = String::from_utf8(found.stdout).unwrap().trim().to_owned();
            let libraries = String::from_utf8(Command::new("ldd").arg(&path).output().unwrap().stdout).unwrap();
            let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/'));
            let into = format!("/bin/{program}");
            for (from, to) in libraries.map(|library| (library, library)).chain([(path.as_str(), into.as_str())]) {
                let to = root.join(to.trim_start_matches('/'));
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::copy(from, to).unwrap();
            }
        }
        std::os::unix::fs::symlink("bash", root.join("bin/sh")).unwrap();
        let archive = self.folder.join("root.tar").display().to_string();
        assert!(Command::new("tar").args(["-C", root.to_str().unwrap(), "-cf", &archive, "."]).status().unwrap().success());
        let made = self.client(&["import", &archive, "lab/tools:1"]);
        assert!(made.status.success(), "{made:?}");
    }

    /// The names of all containers, running or not.
    fn containers(&self) -> String {
        String::from_utf8(self.client(&["ps", "--all", "--format", "{{.Names}}"]).stdout).unwrap()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        for name in self.containers().lines() {
            self.client(&["rm", "--force", name]);
        }
        // It ends what it has started when it is asked to, not when it is killed.
        let pid = rustix::process::Pid::from_child(&self.service);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.service.wait();
        // What it leaves behind would keep the folder from being removed.
        for place in ["exec/netns/default", "data"] {
            let _ = Command::new("umount").arg("--lazy").arg(self.folder.join(place)).stderr(Stdio::null()).status();
        }
    }
}

fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn of_image(text: &str) -> Value {
    let mut wanted = command("image", text, ONE);
    wanted["algorithm"]["engine"] = json!({"image_url": "lab/tools:1"});
    wanted
}

/// What the job does in its image: sees its code, input, environment and user, and writes an output.
const WORDS: &str = "set -e; id; [ -z \"$CARGO_HOME\" ]; echo greeting $GREETING of $MA_VJ_NAME; cat ${MA_JOB_DIR}/code/words; \
    cat $DATA/a.txt; [ -e /etc/passwd ] || echo on my own; echo 42 > $OUT/result";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_in_its_image() {
    let folder = Folder::new();
    let docker = Docker::start(&{
        let own = folder.path().join("docker");
        std::fs::create_dir(&own).unwrap();
        own
    });
    docker.make_image();
    let platform = start_with(&folder, 2, BTreeMap::from([("docker".to_owned(), docker.wrapper())])).await;
    let bench = Bench::new(access(&platform)).await;
    bench.put("code", &[("words", "code in the image\n")]).await;
    bench.put("data", &[("a.txt", "data in the image\n")]).await;

    let mut wanted = of_image(WORDS);
    wanted["algorithm"]["code_dir"] = json!("/lab/code/");
    wanted["algorithm"]["environments"] = json!({"GREETING": "hello world"});
    let channel =
        |name: &str, place: &str| json!([{"name": name, "access_method": "env", "remote": {"obs": {"obs_url": place}}}]);
    wanted["algorithm"]["inputs"] = channel("DATA", "/lab/data/");
    wanted["algorithm"]["outputs"] = channel("OUT", "/lab/result/");
    let id = bench.submit(&wanted).await;
    bench.wait(&id, &["Completed"]).await;
    let log = bench.log(&id, "worker-0").await;
    let greeting = format!("greeting hello world of modelarts-job-{id}\n");
    for text in ["uid=1000 gid=100", &greeting, "\ncode in the image\ndata in the image\non my own\n"] {
        assert!(log.contains(text), "{text}: {log}");
    }
    assert_eq!(bench.stored("result").await, BTreeMap::from([("result".to_owned(), "42\n".to_owned())]));

    // The exit code is the program's; one that does not heed SIGTERM is gone after the grace, with its container.
    let failed = bench.submit(&of_image("exit 3")).await;
    assert_eq!(bench.wait(&failed, &["Failed"]).await["status"]["task_statuses"][0]["exit_code"], 3);
    let deaf = bench.submit(&of_image("trap '' TERM; echo deaf; while true; do sleep 1; done")).await;
    bench.wait_log(&deaf, "worker-0", "deaf").await;
    assert_eq!(docker.containers(), format!("ma-cli-{deaf}-worker-0\n"));
    bench.stop(&deaf).await;
    bench.wait(&deaf, &["Terminated"]).await;
    assert_eq!(docker.containers(), "");

    let mut unknown = of_image("true");
    unknown["algorithm"]["engine"]["image_url"] = json!("lab/other:1");
    let unknown = bench.submit(&unknown).await;
    let end = bench.wait(&unknown, &["Abnormal"]).await;
    let message = end["status"]["task_statuses"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("there is no image lab/other:1 on this machine"), "{message}");
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_docker_is_refused_with_the_reason() {
    let folder = Folder::new();
    let client = folder.path().join("docker");
    let platform = start_with(&folder, 2, BTreeMap::from([("docker".to_owned(), client.clone())])).await;
    let bench = Bench::new(access(&platform)).await;
    let refused = async || bench.call(Method::POST, "training-jobs", Some(&of_image("true"))).await;
    let reply = refused().await;
    assert!(reply.status == 400 && reply.text.contains("cannot be started: No such file"), "{}", reply.text);
    script(folder.path(), "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1");
    let reply = refused().await;
    assert!(reply.text.contains("lab/tools:1 cannot be run: Docker does not answer: Cannot connect"), "{}", reply.text);
    platform.shutdown().await;
}
