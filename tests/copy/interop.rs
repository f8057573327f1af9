//! The vendor's SDK reads what the copier wrote, and the copier what the SDK wrote.

use std::path::Path;

use ma_cli::obs::ObsUrl;

use crate::dialect::obs_copy;
use crate::programs;
use crate::support::{
    ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Store, assert_same, client, download, make_tree, noise, small_parts, upload,
};

async fn sdk(store: &Store, mode: &str, prefix: &str, folder: &Path, more: &[&str]) {
    let script = programs::script("obs_copies.py");
    let folder = folder.display().to_string();
    let arguments = [&[&script, &store.endpoint, ACCESS_KEY, SECRET_KEY, mode, BUCKET, prefix, &folder], more].concat();
    programs::run("python", &arguments, &[], "").await;
}

async fn both_ways(store: &Store) {
    let folder = tempfile::tempdir().unwrap();
    let (source, back) = (folder.path().join("in"), folder.path().join("out"));
    make_tree(
        &source,
        &[
            ("a b+c%é~.json", Some(b"{}".to_vec())),
            ("empty", Some(Vec::new())),
            ("deep/中文/file", Some(noise(300_000, 1))),
            ("parts", Some(noise((10 << 20) + 17, 2))),
        ],
    );
    let client = client(&store.endpoint);
    let up = upload(&client, &source, "ours/", &small_parts()).await.unwrap();
    assert_eq!((up.files, up.failed), (4, 0), "{:?}", up.failures);
    sdk(store, "read", "ours/", &source, &[]).await;
    let owned = obs_copy(
        &store.endpoint,
        &[("REGION_NAME", REGION)],
        folder.path(),
        &["in", "obs://copies/owned/", "-d", "--metadata", "owner=alice", "--part-size", "5M"],
    );
    let owned = owned.await;
    assert_eq!(owned.code, Some(0), "{}", owned.stderr);
    sdk(store, "read", "owned/", &source, &["metadata"]).await;
    sdk(store, "write", "theirs/", &source, &[]).await;
    let down = download(&client, "theirs/", &back, &small_parts()).await.unwrap();
    assert_eq!((down.files, down.failed), (4, 0), "{:?}", down.failures);
    assert_same(&source, &back);
    let info = client.head(&ObsUrl::new(BUCKET, "theirs/a b+c%é~.json")).await.unwrap();
    assert_eq!(info.content_type.as_deref(), Some("application/json"));
    assert!(info.metadata.contains(&("owner".to_owned(), "alice".to_owned())), "{:?}", info.metadata);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_seaweedfs() {
    both_ways(&Store::seaweedfs().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_embedded_store() {
    both_ways(&Store::embedded().await).await;
}
