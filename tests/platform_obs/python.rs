//! The vendor's SDK, boto3 and s5cmd, from the test environment.

use crate::programs;
use crate::support::{ACCESS_KEY, REGION, SECRET_KEY, Server};

async fn run(program: &str, arguments: &[&str]) -> String {
    let variables = [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_REGION", REGION),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    programs::run(program, arguments, &variables, "").await
}

async fn script(name: &str, more: &[&str]) {
    let server = Server::start().await;
    run("python", &[&[programs::script(name).as_str(), &server.endpoint(), ACCESS_KEY, SECRET_KEY], more].concat()).await;
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
    let endpoint = server.endpoint();
    let s5cmd = async |arguments: &[&str]| run("s5cmd", &[&["--endpoint-url", endpoint.as_str()], arguments].concat()).await;
    let source = format!("{}/", from.path().display());
    let target = format!("{}/", to.path().display());
    s5cmd(&["cp", "--part-size", "5", &source, "s3://bucket/tree/"]).await;
    let list = s5cmd(&["ls", "s3://bucket/tree/dir/"]).await;
    assert!(list.contains("b c+d.bin"), "{list}");
    s5cmd(&["cp", "s3://bucket/tree/*", &target]).await;
    for name in crate::support::tree(from.path()) {
        assert!(std::fs::read(from.path().join(&name)).unwrap() == std::fs::read(to.path().join(&name)).unwrap(), "{name}");
    }
    s5cmd(&["rm", "s3://bucket/*"]).await;
    s5cmd(&["rb", "s3://bucket"]).await;
}
