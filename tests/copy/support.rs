//! Stores to copy to, clients for them, and folders to compare.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ma_cli::auth::{Credential, CredentialSource, Secret, StaticCredential};
use ma_cli::copy::{self, Error, Plan, Silent, Summary};
use ma_cli::http::retry::Policy;
use ma_cli::obs::body::Payload;
use ma_cli::obs::bytes::PutOptions;
use ma_cli::obs::{Client, ObsUrl, Options};
use ma_cli::platform::obs::{AccessKey, KeyRing, ObjectStore};
use ma_cli::platform::state::State;
use tokio_util::sync::CancellationToken;

pub(crate) const ACCESS_KEY: &str = "AKCOPYTEST0000000001";
pub(crate) const SECRET_KEY: &str = "SecretKeyOfTheCopierTests0000000000001";
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const BUCKET: &str = "copies";

/// A running object store; stops when dropped.
pub(crate) struct Store {
    pub(crate) endpoint: String,
    _folder: tempfile::TempDir,
    shutdown: CancellationToken,
    weed: Option<Child>,
}

#[derive(Debug)]
struct Keys;

impl KeyRing for Keys {
    fn find(&self, access_key: &str) -> Option<AccessKey> {
        let key = AccessKey { secret_key: Secret::new(SECRET_KEY), security_token: None, expires_at: None };
        (access_key == ACCESS_KEY).then_some(key)
    }
}

impl Store {
    /// The embedded store, with the bucket [`BUCKET`].
    pub(crate) async fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.sqlite")).unwrap();
        let store = ObjectStore::open(folder.path(), Arc::new(state), Arc::new(Keys), REGION).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        tokio::spawn(Arc::new(store).serve(listener, shutdown.clone()));
        let store = Self { endpoint, _folder: folder, shutdown, weed: None };
        client(&store.endpoint).create_bucket(BUCKET).await.unwrap();
        store
    }

    /// SeaweedFS from the environment that `scripts/test` fills, with the bucket [`BUCKET`]; fails where it is missing.
    pub(crate) async fn seaweedfs() -> Self {
        loop {
            // Between finding free ports and taking them others may take them.
            if let Ok(store) = Self::start_seaweedfs().await {
                return store;
            }
        }
    }

    async fn start_seaweedfs() -> Result<Self, &'static str> {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("s3.json");
        let identity = serde_json::json!({"identities": [{
            "name": "test",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]});
        std::fs::write(&config, identity.to_string()).unwrap();
        let ports = free_ports();
        let mut command = Command::new(weed());
        command.arg("server").arg("-filer").arg("-s3").arg("-ip=127.0.0.1").arg("-ip.bind=127.0.0.1");
        command.arg("-volume.max=20").arg("-master.volumeSizeLimitMB=64");
        command.arg(format!("-dir={}", folder.path().display())).arg(format!("-s3.config={}", config.display()));
        for (index, service) in ["master", "volume", "filer", "s3"].into_iter().enumerate() {
            command.arg(format!("-{service}.port={}", ports[2 * index]));
            command.arg(format!("-{service}.port.grpc={}", ports[2 * index + 1]));
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null()).current_dir(folder.path());
        let weed = command.spawn().unwrap_or_else(|error| panic!("cannot start SeaweedFS ({error}); run scripts/test"));
        let endpoint = format!("http://127.0.0.1:{}", ports[6]);
        let mut store = Self { endpoint, _folder: folder, shutdown: CancellationToken::new(), weed: Some(weed) };
        let deadline = Instant::now() + Duration::from_secs(90);
        let client = client(&store.endpoint);
        // A bucket that takes a file: only then are all its parts up.
        let probe = ObsUrl::new(BUCKET, "probe");
        loop {
            let made = async {
                client.create_bucket(BUCKET).await?;
                client.put_once(&probe, Payload::Whole(Bytes::from_static(b"x")), &PutOptions::default()).await?;
                client.delete(&probe).await
            };
            match made.await {
                Ok(()) => return Ok(store),
                Err(error) => assert!(Instant::now() < deadline, "SeaweedFS does not come up: {error}"),
            }
            if store.weed.as_mut().is_some_and(|weed| weed.try_wait().unwrap().is_some()) {
                return Err("it ended");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(weed) = &mut self.weed {
            let _ = weed.kill();
            let _ = weed.wait();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests find their tools as scripts/test does")]
fn weed() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || variable("XDG_CACHE_HOME").unwrap_or_else(|| variable("HOME").unwrap().join(".cache"));
    variable("MA_CLI_TEST_VENV").unwrap_or_else(|| cache().join("ma-cli/venv")).join("bin/weed")
}

fn free_ports() -> Vec<u16> {
    let listeners: Vec<TcpListener> = (0..8).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// A client with the right keys that loses little time between attempts.
pub(crate) fn client(endpoint: &str) -> Client {
    client_with(endpoint, SECRET_KEY)
}

pub(crate) fn client_with(endpoint: &str, secret_key: &str) -> Client {
    let credentials = Arc::new(StaticCredential::new(credential(secret_key)));
    Client::new(Options {
        retry: policy(),
        stall: Duration::from_secs(10),
        patience: Duration::from_secs(10),
        ..Options::new(endpoint, REGION, credentials)
    })
    .unwrap()
}

pub(crate) fn credential(secret_key: &str) -> Credential {
    Credential {
        access_key: ACCESS_KEY.to_owned(),
        secret_key: Secret::new(secret_key),
        security_token: None,
        expires_at: None,
    }
}

fn policy() -> Policy {
    Policy { attempts: 5, elapsed: Duration::from_secs(30), base: Duration::from_millis(5), cap: Duration::from_millis(50) }
}

/// A client that takes a store for stalled after [`STALL`].
pub(crate) fn impatient(endpoint: &str) -> Client {
    impatient_with(endpoint, Arc::new(StaticCredential::new(credential(SECRET_KEY))), 5)
}

/// How long an [`impatient`] client waits for a byte.
pub(crate) const STALL: Duration = Duration::from_secs(3);

pub(crate) fn impatient_with(endpoint: &str, credentials: Arc<dyn CredentialSource>, attempts: u32) -> Client {
    let retry = Policy { attempts, ..policy() };
    Client::new(Options { retry, stall: STALL, patience: STALL, ..Options::new(endpoint, REGION, credentials) }).unwrap()
}

/// Options with small parts, so that small files are large ones.
pub(crate) fn small_parts() -> copy::Options {
    copy::Options { part_size: Some(5 << 20), ..copy::Options::default() }
}

pub(crate) async fn copy_plan(client: &Client, plan: Plan, options: &copy::Options) -> Result<Summary, Error> {
    copy::copy(client, plan, options, Arc::new(Silent), &CancellationToken::new()).await
}

pub(crate) async fn upload(client: &Client, source: &Path, prefix: &str, options: &copy::Options) -> Result<Summary, Error> {
    let plan = Plan::UploadFolder { source: source.to_owned(), destination: ObsUrl::new(BUCKET, prefix) };
    copy_plan(client, plan, options).await
}

pub(crate) async fn download(
    client: &Client,
    prefix: &str,
    destination: &Path,
    options: &copy::Options,
) -> Result<Summary, Error> {
    let plan = Plan::DownloadFolder { source: ObsUrl::new(BUCKET, prefix), destination: destination.to_owned() };
    copy_plan(client, plan, options).await
}

pub(crate) async fn put(client: &Client, key: &str, content: &[u8]) {
    let payload = Payload::Whole(Bytes::copy_from_slice(content));
    client.put_once(&ObsUrl::new(BUCKET, key), payload, &PutOptions::default()).await.unwrap();
}

pub(crate) async fn keys(client: &Client, prefix: &str) -> Vec<String> {
    let mut listing = client.list(&ObsUrl::new(BUCKET, prefix), true);
    let mut keys = Vec::new();
    while let Some(page) = listing.next_page().await.unwrap() {
        keys.extend(page.entries.into_iter().map(|entry| entry.key));
    }
    keys.sort();
    keys
}

/// Bytes that look like noise, the same for the same seed.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

/// Writes files (`Some`) and empty folders (`None`) below a folder.
pub(crate) fn make_tree(root: &Path, entries: &[(&str, Option<Vec<u8>>)]) {
    for (name, content) in entries {
        let path = root.join(name);
        match content {
            Some(content) => {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, content).unwrap();
            }
            None => std::fs::create_dir_all(path).unwrap(),
        }
    }
}

/// Everything below a folder: contents of files, `None` for folders.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                found.insert(name, None);
                folders.push(path);
            } else {
                found.insert(name, Some(std::fs::read(&path).unwrap()));
            }
        }
    }
    found
}

/// Compares two trees without printing megabytes when they differ.
pub(crate) fn assert_same(left: &Path, right: &Path) {
    let (left, right) = (tree(left), tree(right));
    assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>());
    for (name, content) in &left {
        assert!(content == &right[name], "[{name}] differs");
    }
}
