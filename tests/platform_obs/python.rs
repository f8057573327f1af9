//! The vendor's SDK, boto3 and s5cmd, from the test environment.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::{ACCESS_KEY, REGION, SECRET_KEY, Server};

/// The virtual environment that `scripts/test` fills.
fn environment() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "tests find their environment like the scripts do")]
    let (named, home) = (std::env::var_os("MA_CLI_TEST_VENV"), std::env::var_os("HOME"));
    named.map(PathBuf::from).unwrap_or_else(|| Path::new(&home.unwrap_or_default()).join(".cache/ma-cli/venv"))
}

async fn run(mut command: Command) -> Output {
    command
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_REGION", REGION)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null());
    let shown = format!("{command:?}");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.unwrap_or_else(|error| panic!("{shown}: {error}; run scripts/test, which makes the environment"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}\n{out}\n{err}");
    output
}

async fn script(name: &str, more: &[&str]) {
    let server = Server::start().await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk").join(name);
    let mut command = Command::new(environment().join("bin/python"));
    command.arg(path).args([&server.endpoint(), ACCESS_KEY, SECRET_KEY]).args(more);
    run(command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn esdk_with_its_own_signature() {
    script("obs_esdk.py", &["obs"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn esdk_with_version_4() {
    script("obs_esdk.py", &["v4"]).await;
}

/// On a host name, the vendor's SDK asks for the version, uses virtual hosts and signs as `OBS`.
#[tokio::test(flavor = "multi_thread")]
async fn esdk_on_a_host_name() {
    script("obs_esdk.py", &["obs", "obs.localhost"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_with_version_4() {
    script("obs_boto3.py", &["s3v4"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_with_version_2() {
    script("obs_boto3.py", &["s3"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5cmd_copies_a_tree() {
    let (server, _client) = Server::with_bucket().await;
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (name, size) in [("a.txt", 10), ("dir/b c+d.bin", 100_000), ("dir/deep/模型", 0), ("large", 12_000_000)] {
        let path = from.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, name.bytes().cycle().take(size).collect::<Vec<_>>()).unwrap();
    }
    let s5cmd = |arguments: &[&str]| {
        let mut command = Command::new(environment().join("bin/s5cmd"));
        command.args(["--endpoint-url", &server.endpoint()]).args(arguments);
        run(command)
    };
    let source = format!("{}/", from.path().display());
    let target = format!("{}/", to.path().display());
    s5cmd(&["cp", "--part-size", "5", &source, "s3://bucket/tree/"]).await;
    let list = s5cmd(&["ls", "s3://bucket/tree/dir/"]).await;
    assert!(String::from_utf8_lossy(&list.stdout).contains("b c+d.bin"));
    s5cmd(&["cp", "s3://bucket/tree/*", &target]).await;
    for name in crate::support::tree(from.path()) {
        assert!(std::fs::read(from.path().join(&name)).unwrap() == std::fs::read(to.path().join(&name)).unwrap(), "{name}");
    }
    s5cmd(&["rm", "s3://bucket/*"]).await;
    s5cmd(&["rb", "s3://bucket"]).await;
}
