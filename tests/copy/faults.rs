//! What goes wrong on the way is survived, or found out; never kept.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Uri};
use ma_cli::copy::{self, Error, Event, EventSink, Plan};
use ma_cli::obs::ObsUrl;
use tokio_util::sync::CancellationToken;

use crate::proxy::{Fault, Proxy};
use crate::support::{
    BUCKET, SECRET_KEY, Store, assert_same, client, client_with, download, keys, make_tree, noise, put, small_parts, tree,
    upload,
};

fn is_put(method: &Method, _: &Uri) -> bool {
    method == Method::PUT
}

fn is_object_get(method: &Method, uri: &Uri) -> bool {
    method == Method::GET && !uri.query().is_some_and(|query| query.contains("list-type"))
}

fn is_complete(method: &Method, uri: &Uri) -> bool {
    method == Method::POST && uri.query().is_some_and(|query| query.contains("uploadId"))
}

fn is_any(_: &Method, _: &Uri) -> bool {
    true
}

/// A small file, one that streams, and one in parts.
fn sizes(root: &Path) {
    make_tree(
        root,
        &[("small", Some(noise(4096, 1))), ("stream", Some(noise(1 << 20, 2))), ("parts", Some(noise(11 << 20, 3)))],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_survived_with_identical_bytes() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("in");
    sizes(&source);
    let options = small_parts();
    let faults = [Fault::Status(503), Fault::Status(500), Fault::Status(429), Fault::Reset, Fault::LoseAnswer];
    for (index, fault) in faults.into_iter().chain([Fault::FlipUp]).enumerate() {
        let proxy = Proxy::start(&store.endpoint, fault, 3, is_put).await;
        let up = upload(&client(&proxy.endpoint), &source, &format!("up{index}/"), &options).await.unwrap();
        assert_eq!((up.files, up.failed), (3, 0), "{fault:?} {:?}", up.failures);
        assert!(proxy.is_spent(), "{fault:?}");
        let copy = folder.path().join(format!("up{index}"));
        download(&client(&store.endpoint), &format!("up{index}/"), &copy, &options).await.unwrap();
        assert_same(&source, &copy);
    }
    for (index, fault) in faults.into_iter().chain([Fault::CutBody]).enumerate() {
        let proxy = Proxy::start(&store.endpoint, fault, 4, is_object_get).await;
        let copy = folder.path().join(format!("down{index}"));
        let down = download(&client(&proxy.endpoint), "up0/", &copy, &options).await.unwrap();
        assert_eq!((down.files, down.failed), (3, 0), "{fault:?} {:?}", down.failures);
        assert!(proxy.is_spent(), "{fault:?}");
        assert_same(&source, &copy);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_fetched_again() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    make_tree(&folder.path().join("in"), &[("small", Some(noise(4096, 1))), ("stream", Some(noise(1 << 20, 2)))]);
    upload(&client(&store.endpoint), &folder.path().join("in"), "p/", &copy::Options::default()).await.unwrap();
    let proxy = Proxy::start(&store.endpoint, Fault::FlipDown, 2, is_object_get).await;
    let down = download(&client(&proxy.endpoint), "p/", &folder.path().join("out"), &copy::Options::default()).await.unwrap();
    assert_eq!((down.failed, down.checks.md5), (0, 2));
    assert!(proxy.is_spent());
    assert_same(&folder.path().join("in"), &folder.path().join("out"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_stay_wrong_are_not_kept() {
    let store = Store::embedded().await;
    let direct = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("in");
    sizes(&source);
    let proxy = Proxy::start(&store.endpoint, Fault::FlipUp, usize::MAX, is_put).await;
    let up = upload(&client(&proxy.endpoint), &source, "bad/", &small_parts()).await.unwrap();
    assert_eq!((up.files, up.failed), (0, 3));
    assert_eq!(keys(&direct, "bad/").await, Vec::<String>::new(), "nothing that is wrong has a name");

    put(&direct, "good/small", &noise(4096, 1)).await;
    let proxy = Proxy::start(&store.endpoint, Fault::FlipDown, usize::MAX, is_object_get).await;
    let down = download(&client(&proxy.endpoint), "good/", &folder.path().join("out"), &small_parts()).await.unwrap();
    assert_eq!((down.files, down.failed), (0, 1));
    assert!(down.failures[0].error.to_string().contains("MD5"), "{}", down.failures[0].error);
    assert!(tree(&folder.path().join("out")).is_empty());
}

/// One that is sent from memory, and one that streams in one piece.
fn undivided(root: &Path) {
    make_tree(root, &[("small", Some(noise(4096, 1))), ("stream", Some(noise(1 << 20, 2)))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_etag_of_a_store_that_encrypts_proves_nothing() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("in");
    undivided(&source);
    let proxy = Proxy::start(&store.endpoint, Fault::OtherEtag(true), usize::MAX, is_any).await;
    let up = upload(&client(&proxy.endpoint), &source, "p/", &copy::Options::default()).await.unwrap();
    assert_eq!((up.files, up.failed, up.checks.md5), (2, 0, 0), "{:?}", up.failures);
    let down = download(&client(&proxy.endpoint), "p/", &folder.path().join("out"), &copy::Options::default()).await.unwrap();
    assert_eq!((down.files, down.failed, down.checks.md5), (2, 0, 0), "{:?}", down.failures);
    assert_same(&source, &folder.path().join("out"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etag_that_differs_is_no_reason_to_delete() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    undivided(folder.path());
    let proxy = Proxy::start(&store.endpoint, Fault::OtherEtag(false), usize::MAX, is_put).await;
    let up = upload(&client(&proxy.endpoint), folder.path(), "p/", &copy::Options::default()).await.unwrap();
    assert_eq!((up.files, up.failed), (0, 2), "{:?}", up.failures);
    assert_eq!(keys(&client(&store.endpoint), "p/").await, ["p/small", "p/stream"]);
    let puts: Vec<String> = proxy.seen().into_iter().filter(|request| request.starts_with("PUT")).collect();
    assert!(puts.iter().all(|request| request.contains("content-md5")), "{puts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lost_after_complete_is_found_out() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    make_tree(&folder.path().join("in"), &[("parts", Some(noise(11 << 20, 3)))]);
    let proxy = Proxy::start(&store.endpoint, Fault::LoseAnswer, 1, is_complete).await;
    let up = upload(&client(&proxy.endpoint), &folder.path().join("in"), "p/", &small_parts()).await.unwrap();
    assert_eq!((up.files, up.failed), (1, 0), "{:?}", up.failures);
    assert!(proxy.is_spent());
    download(&client(&store.endpoint), "p/", &folder.path().join("out"), &small_parts()).await.unwrap();
    assert_same(&folder.path().join("in"), &folder.path().join("out"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dialect_of_obs_is_kept() {
    let store = Store::embedded().await;
    let proxy = Proxy::start(&store.endpoint, Fault::Reset, 0, is_any).await;
    let client = client(&proxy.endpoint);
    let folder = tempfile::tempdir().unwrap();
    sizes(&folder.path().join("in"));
    upload(&client, &folder.path().join("in"), "p/", &small_parts()).await.unwrap();
    download(&client, "p/", &folder.path().join("out"), &small_parts()).await.unwrap();
    client.head(&ObsUrl::new(BUCKET, "p/small")).await.unwrap();
    client.delete_many(BUCKET, &["p/small".to_owned(), "p/stream".to_owned()]).await.unwrap();
    let seen = proxy.seen();
    assert!(seen.len() > 10);
    for request in &seen {
        for unwanted in ["x-id=", "x-amz-checksum", "amz-sdk-", "x-amz-user-agent", "x-amz-sdk", "aws-chunked"] {
            assert!(!request.contains(unwanted), "{request}");
        }
    }
    let batch = seen.iter().find(|request| request.starts_with("POST") && request.contains("?delete")).unwrap();
    assert!(batch.contains("content-md5"), "{batch}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_refused_at_once() {
    let store = Store::embedded().await;
    let proxy = Proxy::start(&store.endpoint, Fault::Reset, 0, is_any).await;
    let folder = tempfile::tempdir().unwrap();
    make_tree(folder.path(), &[("a", Some(b"1".to_vec())), ("b", Some(b"2".to_vec()))]);
    let wrong = client_with(&proxy.endpoint, &SECRET_KEY.replace('1', "2"));
    let one = copy::Options { jobs: 1, ..copy::Options::default() };
    let error = upload(&wrong, folder.path(), "p/", &one).await.unwrap_err();
    assert!(error.store().unwrap().is_unauthenticated(), "{error}");
    let puts = proxy.seen().len();
    assert!(puts <= 2, "{puts} requests were sent with a secret that is wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_ends_the_run() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    make_tree(folder.path(), &[("a", Some(b"1".to_vec()))]);
    let error = upload(&client(&format!("http://{closed}")), folder.path(), "p/", &copy::Options::default()).await.unwrap_err();
    // At once: nothing is on its way up on this machine.
    assert!(error.store().unwrap().is_network() && !error.to_string().contains("attempts"), "{error}");
}

/// Stops the copy when the first file that streams has moved a piece.
#[derive(Debug)]
struct StopAtFirstByte(CancellationToken);

impl EventSink for StopAtFirstByte {
    fn event(&self, event: Event) {
        if matches!(event, Event::Moved(1..)) {
            self.0.cancel();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_copy_leaves_nothing_half_done() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large");
    std::fs::write(&large, noise(64 << 20, 9)).unwrap();
    let url = ObsUrl::new(BUCKET, "large");
    let plan = Plan::UploadFile { source: large.clone(), destination: url.clone() };
    let (elapsed, error) = stopped(&client, plan).await;
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
    assert!(keys(&client, "").await.is_empty());

    crate::support::copy_plan(&client, Plan::UploadFile { source: large, destination: url.clone() }, &small_parts())
        .await
        .unwrap();
    let out = folder.path().join("out");
    let (_, error) = stopped(&client, Plan::DownloadFile { source: url, destination: out.join("large") }).await;
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert!(tree(&out).is_empty(), "{:?}", tree(&out).keys());
}

async fn stopped(client: &ma_cli::obs::Client, plan: Plan) -> (Duration, Error) {
    let cancel = CancellationToken::new();
    let sink = Arc::new(StopAtFirstByte(cancel.clone()));
    let started = Instant::now();
    let error = copy::copy(client, plan, &small_parts(), sink, &cancel).await.unwrap_err();
    (started.elapsed(), error)
}

/// Writes to the file as soon as its first byte was sent.
#[derive(Debug)]
struct Scribble(std::path::PathBuf, std::sync::Once);

impl EventSink for Scribble {
    fn event(&self, event: Event) {
        if matches!(event, Event::Moved(1..)) {
            self.1.call_once(|| {
                let file = std::fs::OpenOptions::new().append(true).open(&self.0).unwrap();
                std::io::Write::write_all(&mut &file, b"more").unwrap();
            });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d4_4_a_source_that_changes_fails_and_leaves_no_object() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    for (name, size) in [("stream", 2 << 20), ("parts", 40 << 20)] {
        let path = folder.path().join(name);
        std::fs::write(&path, noise(size, 1)).unwrap();
        let plan = Plan::UploadFile { source: path.clone(), destination: ObsUrl::new(BUCKET, name) };
        let sink = Arc::new(Scribble(path, std::sync::Once::new()));
        let error = copy::copy(&client, plan, &small_parts(), sink, &CancellationToken::new()).await.unwrap_err();
        assert!(matches!(error, Error::Changed(_)), "{error}");
    }
    assert!(keys(&client, "").await.is_empty());
}
