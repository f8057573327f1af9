//! What goes to the cloud's own endpoint, and what a client must do with the answers that only the cloud gives.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::Mutex;

use async_trait::async_trait;
use ma_cli::auth::{self, Credential, CredentialSource, Secret};
use tokio::net::TcpListener;

use crate::proxy::{Fault, Head, Proxy, Rule};
use crate::stub::{Habits, Seen, Stub};
use crate::support::{
    ACCESS_KEY, SECRET_KEY, Store, assert_same, client, credential, download, impatient_with, make_tree, noise, put,
    small_parts, tree, upload,
};

/// An endpoint of the cloud, where buckets are hosts.
pub(crate) const CLOUD: &str = "obs.cn-north-4.myhuaweicloud.com";

/// What came of a run.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `ma-cli obs-copy` against an endpoint in the region of [`CLOUD`].
pub(crate) async fn obs_copy(endpoint: &str, variables: &[(&str, &str)], folder: &Path, arguments: &[&str]) -> Ran {
    ma_cli(endpoint, variables, folder, &[&["obs-copy"], arguments].concat()).await
}

async fn ma_cli(endpoint: &str, variables: &[(&str, &str)], folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ma-cli"));
    command.args(arguments).env_clear().current_dir(folder).env("HOME", folder);
    command.env("MA_CLI_OBS_ENDPOINT", endpoint).env("HUAWEICLOUD_SDK_AK", ACCESS_KEY).env("HUAWEICLOUD_SDK_SK", SECRET_KEY);
    command.env("REGION_NAME", "cn-north-4").env("PROJECT_ID", "none").envs(variables.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn check_dialect(seen: &Seen) {
    let Seen { line, headers } = seen;
    assert!(line.contains(&format!("http://copies.{CLOUD}/")), "{line}");
    assert_eq!(seen.header("host"), Some(format!("copies.{CLOUD}").as_str()), "{line}");
    assert!(!line.contains("x-id="), "{line}");
    for (name, value) in headers {
        let unwanted = ["x-amz-checksum", "x-amz-sdk", "amz-sdk", "x-amz-user-agent", "x-amz-trailer", "x-amz-decoded"];
        assert!(!unwanted.iter().any(|unwanted| name.starts_with(unwanted)), "{line} {name}");
        assert!(!value.contains("aws-chunked") && !value.contains("STREAMING"), "{line} {name}: {value}");
    }
    let authorization = seen.header("authorization").unwrap();
    assert!(authorization.contains("/cn-north-4/s3/aws4_request"), "{authorization}");
    assert!(seen.header("user-agent").unwrap().starts_with("ma-cli/"), "{line}");
    assert!(!line.starts_with("P") || seen.header("content-length").is_some(), "{line}");
    let single = line.starts_with("PUT") && !line.contains("uploadId");
    let batch = line.starts_with("POST") && line.contains("?delete");
    assert_eq!(seen.header("content-md5").is_some(), single || batch, "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_the_cloud_are_what_it_understands() {
    let stub = Stub::start(Habits::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let names = [("a b+c%é", 1000), ("empty", 0), ("stream", 700_000), ("deep/parts", 2_000_000)];
    let entries: Vec<_> = names.iter().map(|(name, size)| (*name, Some(noise(*size, 1)))).chain([("folder", None)]).collect();
    make_tree(&folder.path().join("in"), &entries);
    stub.put("down/file", b"content");
    let endpoint = format!("http://{CLOUD}");
    let variables = [("HTTP_PROXY", stub.endpoint.as_str())];
    let commands: [&[&str]; 6] = [
        &["obs-copy", "in", "obs://copies/up/", "-d", "--part-size", "1M"],
        &["obs-copy", "obs://copies/down/", "out", "-d"],
        &["obs-copy", "obs://copies/down/file", "out/other"],
        &["obs", "ls", "obs://copies/down/"],
        &["obs", "stat", "obs://copies/down/file"],
        &["obs", "rm", "-r", "-y", "obs://copies/down/"],
    ];
    for arguments in commands {
        let ran = ma_cli(&endpoint, &variables, folder.path(), arguments).await;
        assert_eq!(ran.code, Some(0), "{arguments:?} {} {}", ran.stdout, ran.stderr);
    }
    let seen = stub.seen();
    let asked = |what: &str| seen.iter().filter(|seen| seen.line.contains(what)).count();
    for (what, least) in [("PUT ", 6), ("uploads", 1), ("partNumber=2", 1), ("list-type=2", 2), ("HEAD ", 1), ("?delete", 1)] {
        assert!(asked(what) >= least, "{what} {seen:#?}");
    }
    assert_eq!(asked(&format!("PUT http://copies.{CLOUD}/up/a%20b%2Bc%25%C3%A9")), 1);
    seen.iter().for_each(check_dialect);
}

/// Counts who comes.
async fn trap() -> (String, Arc<Mutex<u32>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/copies/elsewhere", listener.local_addr().unwrap());
    let visits = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&visits);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            *counted.lock().unwrap() += 1;
        }
    });
    (address, visits)
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_elsewhere_with_our_keys() {
    let store = Store::embedded().await;
    put(&client(&store.endpoint), "p/file", b"content").await;
    let folder = tempfile::tempdir().unwrap();
    make_tree(&folder.path().join("in"), &[("small", Some(noise(1000, 1))), ("large", Some(noise(6 << 20, 1)))]);
    let (address, visits) = trap().await;
    let proxy = Proxy::with(&store.endpoint, vec![Rule::always(Fault::Redirect(address.leak()), |_| true)]).await;
    let client = client(&proxy.endpoint);
    let refusals = [
        upload(&client, &folder.path().join("in"), "up/", &small_parts()).await,
        download(&client, "p/", &folder.path().join("out"), &small_parts()).await,
    ];
    for refused in refusals {
        let error = refused.unwrap_err();
        assert!(error.to_string().contains("307"), "{error}");
    }
    assert_eq!(*visits.lock().unwrap(), 0);
    assert!(!folder.path().join("out").exists() || tree(&folder.path().join("out")).is_empty());
}

/// Gives the first credential until it is told that it is no good, then the next.
#[derive(Debug)]
struct Changing(Mutex<VecDeque<Arc<Credential>>>);

impl Changing {
    fn new(tokens: [Option<&str>; 2]) -> Arc<Self> {
        let with = |token: Option<&str>| {
            let ends = time::OffsetDateTime::now_utc() + time::Duration::hours(1);
            Arc::new(Credential { security_token: token.map(Secret::new), expires_at: Some(ends), ..credential(SECRET_KEY) })
        };
        Arc::new(Self(Mutex::new(tokens.into_iter().map(with).collect())))
    }
}

#[async_trait]
impl CredentialSource for Changing {
    async fn credential(&self) -> Result<Arc<Credential>, auth::Error> {
        Ok(Arc::clone(self.0.lock().unwrap().front().unwrap()))
    }

    fn invalidate(&self) {
        let mut left = self.0.lock().unwrap();
        if left.len() > 1 {
            left.pop_front();
        }
    }
}

fn has_old_token(head: &Head) -> bool {
    head.header("x-amz-security-token") == Some("old")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_in_the_middle_is_replaced() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("in");
    let files: Vec<String> = (0..40).map(|index| index.to_string()).collect();
    let mut entries: Vec<_> = files.iter().map(|name| (name.as_str(), Some(noise(3000, 1)))).collect();
    entries.push(("large", Some(noise(11 << 20, 2))));
    make_tree(&source, &entries);
    for (index, (status, code)) in
        [(400, "ExpiredToken"), (403, "InvalidToken"), (403, "SignatureDoesNotMatch")].into_iter().enumerate()
    {
        let proxy = Proxy::with(&store.endpoint, vec![Rule::always(Fault::Code(status, code), has_old_token)]).await;
        let keys = Changing::new([Some("old"), None]);
        let client = impatient_with(&proxy.endpoint, keys, 2);
        let prefix = format!("{index}/");
        let up = upload(&client, &source, &prefix, &small_parts()).await.unwrap();
        assert_eq!((up.files, up.failed), (41, 0), "{code} {:?}", up.failures);
        assert!(proxy.spoilt() > 0);
        let client = impatient_with(&proxy.endpoint, Changing::new([Some("old"), None]), 2);
        let target = folder.path().join(&prefix);
        let down = download(&client, &prefix, &target, &small_parts()).await.unwrap();
        assert_eq!((down.files, down.failed), (41, 0), "{code} {:?}", down.failures);
        assert_same(&source, &target);
    }
}

/// The store's clock is hours ahead, and it refuses what is not signed by it.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_is_put_right() {
    for hours in [-30, 5] {
        let stub = Stub::start(Habits { hours_ahead: hours, ..Habits::default() }).await;
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("in");
        make_tree(&source, &[("small", Some(noise(1000, 1))), ("large", Some(noise(6 << 20, 1)))]);
        let client = client(&stub.endpoint);
        let up = upload(&client, &source, "p/", &small_parts()).await.unwrap();
        assert_eq!((up.files, up.failed), (2, 0), "{hours} {:?}", up.failures);
        stub.put("q/file", b"content");
        let down = download(&client, "q/", &folder.path().join("out"), &small_parts()).await.unwrap();
        assert_eq!((down.files, down.failed), (1, 0), "{hours} {:?}", down.failures);
    }
}

/// Signed for one region, the bucket in another: said at once, with its name, whatever was asked first.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_in_another_region_is_a_bad_plan() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<String> = (0..200).map(|index| index.to_string()).collect();
    let entries: Vec<_> = files.iter().map(|name| (name.as_str(), Some(noise(100, 1)))).collect();
    make_tree(&folder.path().join("in"), &entries);
    for (status, code) in [(301, "PermanentRedirect"), (400, "AuthorizationHeaderMalformed")] {
        let stub = Stub::start(Habits { moved: Some((status, code)), ..Habits::default() }).await;
        for arguments in [["in", "obs://copies/up/"], ["obs://copies/down/", "out"], ["obs://copies/down/file", "out"]] {
            let ran = obs_copy(&stub.endpoint, &[], folder.path(), &arguments).await;
            assert_eq!(ran.code, Some(1), "{code} {arguments:?} {}", ran.stderr);
            assert!(
                ran.stderr.contains("[cn-south-1]") && ran.stderr.contains("--region"),
                "{code} {arguments:?} {}",
                ran.stderr
            );
            assert!(ran.stdout.is_empty() && !folder.path().join("out").exists());
        }
        assert!(stub.seen().len() < 100, "{} requests", stub.seen().len());
    }
}
