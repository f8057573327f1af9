//! What tests of training jobs share: a client of a platform's control plane and object store that checks every reply against the
//! API catalogue.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ma_cli::auth::{Credential, Secret, StaticCredential};
use ma_cli::copy::{self, Plan, Silent};
use ma_cli::obs::{self, ObsUrl};
use reqwest::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::catalogue::{Catalogue, Exchange};

/// A loaded two-core machine needs far less for any step.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A folder with a platform's data in `platform`. What a failed test has left running there ends with it.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let folders = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        for task in folders(&self.path().join("platform/jobs")).flat_map(|job| folders(&job).collect::<Vec<_>>()) {
            let status = std::fs::read(task.join("status.json")).unwrap_or_default();
            let status: Value = serde_json::from_slice(&status).unwrap_or_default();
            let pid = status["supervisor"]["pid"].as_i64().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
            if let (true, Some(pid)) = (status["finish"].is_null(), pid) {
                let _ = kill_process(pid, Signal::TERM);
            }
        }
    }
}

/// How a platform is reached.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) endpoint: String,
    pub(crate) obs_endpoint: String,
    pub(crate) region: String,
    pub(crate) project_id: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) account: String,
    pub(crate) username: String,
    pub(crate) password: String,
}

/// A client with a token.
pub(crate) struct Bench {
    pub(crate) access: Access,
    http: reqwest::Client,
    store: obs::Client,
    token: String,
    catalogue: Catalogue,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Bench {
    pub(crate) async fn new(access: Access) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
        let user = json!({"name": access.username, "password": access.password, "domain": {"name": access.account}});
        let methods = json!({"methods": ["password"], "password": {"user": user}});
        let document = json!({"auth": {"identity": methods, "scope": {"project": {"name": access.region}}}});
        let reply = http.post(format!("{}/v3/auth/tokens", access.endpoint)).body(document.to_string()).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::CREATED);
        let token = reply.headers()["x-subject-token"].to_str().unwrap().to_owned();
        let credential = Credential {
            access_key: access.access_key.clone(),
            secret_key: Secret::new(access.secret_key.clone()),
            security_token: None,
            expires_at: None,
        };
        let source = Arc::new(StaticCredential::new(credential));
        let store = obs::Client::new(obs::Options::new(&access.obs_endpoint, &access.region, source)).unwrap();
        let catalogue = Catalogue::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/catalogue"));
        let bench = Self { access, http, store, token, catalogue };
        if !bench.store.list_buckets().await.unwrap().iter().any(|bucket| bucket.name == "lab") {
            bench.store.create_bucket("lab").await.unwrap();
        }
        bench
    }

    /// Calls the control plane below `/v2/PROJECT` and checks request and reply against the catalogue.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let target = format!("/v2/{}/{path}", self.access.project_id);
        let mut request = self.http.request(method.clone(), format!("{}{target}", self.access.endpoint));
        request = request.header("X-Auth-Token", &self.token);
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let reply = request.send().await.unwrap();
        let status = reply.status();
        let headers =
            reply.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        let text = reply.text().await.unwrap();
        let mut request_headers = vec![("x-auth-token".to_owned(), "token".to_owned())];
        request_headers.extend(body.map(|_| ("content-type".to_owned(), "application/json".to_owned())));
        let verdict = self.catalogue.check(&Exchange {
            method: method.to_string(),
            target: target.clone(),
            request_headers,
            request_body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
            status: status.as_u16(),
            reply_headers: headers,
            reply_body: text.clone().into_bytes(),
        });
        let problems: Vec<&String> =
            verdict.problems.iter().filter(|problem| status.is_success() || problem.contains("reply")).collect();
        assert!(verdict.operation.is_some() && problems.is_empty(), "{method} {target}: {problems:#?}\n{text}");
        Reply { status, body: serde_json::from_str(&text).unwrap_or_default(), text }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let reply = self.call(Method::GET, path, None).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
        reply.body
    }

    /// Submits a job and returns its id.
    pub(crate) async fn submit(&self, job: &Value) -> String {
        let reply = self.call(Method::POST, "training-jobs", Some(job)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
        assert_eq!(reply.body["status"]["phase"], "Creating");
        reply.body["metadata"]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn show(&self, id: &str) -> Value {
        self.get(&format!("training-jobs/{id}")).await
    }

    pub(crate) async fn stop(&self, id: &str) -> Reply {
        self.call(Method::POST, &format!("training-jobs/{id}/actions"), Some(&json!({"action_type": "terminate"}))).await
    }

    /// Waits until the job is in one of the phases.
    pub(crate) async fn wait(&self, id: &str, phases: &[&str]) -> Value {
        let started = Instant::now();
        loop {
            let job = self.show(id).await;
            let phase = job["status"]["phase"].as_str().unwrap();
            if phases.contains(&phase) {
                return job;
            }
            let over = ["Completed", "Failed", "Abnormal", "Terminated"].contains(&phase) || started.elapsed() > DEADLINE;
            assert!(
                !over,
                "{phases:?} is waited for: {job:#}\n{:#?}\n{}",
                self.events(id).await,
                self.log(id, "worker-0").await
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the task's log holds a text; returns the log.
    pub(crate) async fn wait_log(&self, id: &str, task: &str, text: &str) -> String {
        let started = Instant::now();
        loop {
            let log = self.log(id, task).await;
            // The platform's own lines repeat the command.
            if log.lines().any(|line| !line.starts_with("[ModelArts") && line.contains(text)) {
                return log;
            }
            assert!(started.elapsed() < DEADLINE, "{text:?} is waited for: {log}\n{:#?}", self.events(id).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn log(&self, id: &str, task: &str) -> String {
        self.get(&format!("training-jobs/{id}/tasks/{task}/logs/preview")).await["content"].as_str().unwrap().to_owned()
    }

    /// Messages of all events, oldest first.
    pub(crate) async fn events(&self, id: &str) -> Vec<String> {
        let reply = self.get(&format!("training-jobs/{id}/events?order=asc&limit=100")).await;
        reply["events"].as_array().unwrap().iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Puts files below `obs://lab/PREFIX/`.
    pub(crate) async fn put(&self, prefix: &str, files: &[(&str, &str)]) {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let destination = ObsUrl::new("lab", format!("{prefix}/"));
        self.copy(Plan::UploadFolder { source: folder.path().to_owned(), destination }).await;
    }

    /// The files below `obs://lab/PREFIX/`, as text.
    pub(crate) async fn stored(&self, prefix: &str) -> BTreeMap<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let source = ObsUrl::new("lab", format!("{prefix}/"));
        self.copy(Plan::DownloadFolder { source, destination: folder.path().to_owned() }).await;
        let mut found = BTreeMap::new();
        let mut folders = vec![folder.path().to_owned()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).unwrap().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else {
                    let name = entry.path().strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned();
                    found.insert(name, std::fs::read_to_string(entry.path()).unwrap());
                }
            }
        }
        found
    }

    async fn copy(&self, plan: Plan) {
        let options = copy::Options::default();
        let summary = copy::copy(&self.store, plan, &options, Arc::new(Silent), &CancellationToken::new()).await.unwrap();
        assert_eq!(summary.failed, 0, "{:?}", summary.failures);
    }

    /// Follows a link without any credential.
    pub(crate) async fn follow(&self, url: &str) -> (StatusCode, String) {
        self.follow_from(url, None).await
    }

    /// The same, from an offset of the log on.
    pub(crate) async fn follow_from(&self, url: &str, offset: Option<usize>) -> (StatusCode, String) {
        let mut request = self.http.get(url);
        if let Some(offset) = offset {
            request = request.header("Range", format!("bytes={offset}-"));
        }
        let reply = request.send().await.unwrap();
        (reply.status(), reply.text().await.unwrap())
    }
}

/// A job of an engine that runs `main.py` of `obs://lab/CODE/`.
pub(crate) fn job(name: &str, code: &str, engine: &str, flavor: &str, nodes: u32) -> Value {
    json!({
        "kind": "job",
        "metadata": {"name": name, "workspace_id": "0"},
        "algorithm": {
            "code_dir": format!("/lab/{code}/"),
            "boot_file": format!("/lab/{code}/main.py"),
            "engine": {"engine_id": engine},
        },
        "spec": {"resource": {"flavor_id": flavor, "node_count": nodes}},
    })
}

/// A job that is one shell command.
pub(crate) fn command(name: &str, command: &str, flavor: &str) -> Value {
    json!({
        "kind": "job",
        "metadata": {"name": name},
        "algorithm": {"command": command},
        "spec": {"resource": {"flavor_id": flavor, "node_count": 1}},
    })
}

/// Whether a process of that pid is there and has not ended.
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
