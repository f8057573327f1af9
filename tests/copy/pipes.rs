//! Streams from and to standard input and output.

use std::io::{self, Cursor, Read, Write};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use ma_cli::copy::{self, Error, Silent, Summary, Verify, pipe};
use ma_cli::obs::{Client, ObsUrl};
use tokio_util::sync::CancellationToken;

use crate::proxy::{Fault, Proxy};
use crate::support::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Store, client, keys, noise, put, small_parts};

fn url(key: &str) -> ObsUrl {
    ObsUrl::new(BUCKET, key)
}

async fn send<R: Read + Send + 'static>(
    client: &Client,
    reader: R,
    key: &str,
    options: &copy::Options,
) -> Result<Summary, Error> {
    pipe::from_reader(client, reader, &url(key), options, Arc::new(Silent), &CancellationToken::new()).await
}

/// A writer whose content can be looked at afterwards.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn fetch(client: &Client, key: &str, verify: Verify) -> Result<(Vec<u8>, Summary), Error> {
    let (sink, options) = (Sink::default(), copy::Options { verify, ..copy::Options::default() });
    let cancel = CancellationToken::new();
    let summary = pipe::to_writer(client, &url(key), sink.clone(), &options, Arc::new(Silent), &cancel).await?;
    let content = std::mem::take(&mut *sink.0.lock().unwrap());
    Ok((content, summary))
}

/// Gives few bytes at a time, as pipes do, and may fail in the end.
struct Trickle {
    left: Cursor<Vec<u8>>,
    fails: bool,
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(65_537);
        match self.left.read(&mut buffer[..most]) {
            Ok(0) if self.fails => Err(io::Error::other("the pipe broke")),
            read => read,
        }
    }
}

async fn round_trips(client: &Client) {
    const PART: usize = 5 << 20;
    for (index, length) in [0, 1, PART - 1, PART, PART + 1, 2 * PART, 3 * PART + 7].into_iter().enumerate() {
        let (content, key) = (noise(length, index as u64), format!("pipes/{length}"));
        let reader = Trickle { left: Cursor::new(content.clone()), fails: false };
        let sent = send(client, reader, &key, &small_parts()).await.unwrap();
        assert_eq!((sent.files, sent.bytes, sent.checks.md5), (1, length as u64, 1), "{length}");
        let (found, summary) = fetch(client, &key, Verify::Auto).await.unwrap();
        assert!(found == content, "{length} differs");
        assert_eq!((summary.files, summary.bytes), (1, length as u64));
        let is_md5 = length > 0 && length < PART;
        assert_eq!(summary.checks.md5 == 1, is_md5, "{length} {:?}", summary.checks);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded() {
    let store = Store::embedded().await;
    round_trips(&client(&store.endpoint)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs() {
    let store = Store::seaweedfs().await;
    round_trips(&client(&store.endpoint)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_survived() {
    let store = Store::embedded().await;
    let content = noise(12 << 20, 9);
    for fault in [Fault::Status(503), Fault::Reset, Fault::LoseAnswer, Fault::FlipUp] {
        let proxy = Proxy::start(&store.endpoint, fault, 3, |method, _| method == http::Method::PUT).await;
        let sent = send(&client(&proxy.endpoint), Cursor::new(content.clone()), "faults", &small_parts()).await.unwrap();
        assert_eq!((sent.files, sent.checks.md5), (1, 1), "{fault:?}");
        assert!(proxy.is_spent());
        let found = fetch(&client(&store.endpoint), "faults", Verify::Auto).await.unwrap().0;
        assert!(found == content, "{fault:?}");
    }
    for fault in [Fault::Status(503), Fault::Reset, Fault::CutBody] {
        let proxy = Proxy::start(&store.endpoint, fault, 3, |method, _| method == http::Method::GET).await;
        let (found, _) = fetch(&client(&proxy.endpoint), "faults", Verify::Auto).await.unwrap();
        assert!(found == content, "{fault:?}");
        assert!(proxy.is_spent());
    }
    // What has been written cannot be taken back, but it is not called right.
    put(&client(&store.endpoint), "flip", &noise(5 << 20, 8)).await;
    let proxy = Proxy::start(&store.endpoint, Fault::FlipDown, 1, |method, _| method == http::Method::GET).await;
    let flipped = fetch(&client(&proxy.endpoint), "flip", Verify::Auto).await;
    assert!(
        matches!(flipped, Err(Error::Store(ma_cli::obs::Error::Digest { .. }))),
        "{:?}",
        flipped.map(|(_, summary)| summary)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_stream_that_broke() {
    let store = Store::embedded().await;
    let direct = client(&store.endpoint);
    let proxy = Proxy::start(&store.endpoint, Fault::Status(500), 0, |_, _| false).await;
    for length in [10, 11 << 20] {
        let reader = Trickle { left: Cursor::new(noise(length, 1)), fails: true };
        let broken = send(&client(&proxy.endpoint), reader, "broken", &small_parts()).await;
        assert!(matches!(broken, Err(Error::Local { .. })), "{broken:?}");
    }
    assert!(proxy.seen().iter().any(|request| request.starts_with("DELETE /copies/broken?")), "the upload is aborted");
    assert!(keys(&direct, "").await.is_empty());
    let folder = send(&direct, Cursor::new(b"x".to_vec()), "folder/", &small_parts()).await;
    assert!(matches!(folder, Err(Error::Plan(_))));
    assert!(matches!(fetch(&direct, "missing", Verify::Auto).await, Err(Error::NoSource(_))));
}

fn run(store: &Store, arguments: &[&str], input: &[u8], most: usize) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ma-cli"))
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .env("MA_CLI_OBS_ENDPOINT", &store.endpoint)
        .env("HUAWEICLOUD_SDK_AK", ACCESS_KEY)
        .env("HUAWEICLOUD_SDK_SK", SECRET_KEY)
        .env("REGION_NAME", REGION)
        .env("PROJECT_ID", "none")
        .current_dir(home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let mut stdout = Vec::new();
    child.stdout.take().unwrap().take(most as u64).read_to_end(&mut stdout).unwrap();
    let output = child.wait_with_output().unwrap();
    Output { stdout, ..output }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_is_a_part_of_pipelines() {
    let store = Store::embedded().await;
    let content = noise((13 << 20) + 3, 5);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let sent = run(&store, &["obs-copy", "-", "obs://copies/in.tar", "--part-size", "5M"], &content, usize::MAX);
    assert_eq!(sent.status.code(), Some(0), "{}", text(&sent.stderr));
    assert_eq!(text(&sent.stdout), "[OK] local src path: [-]\n[OK] obs dst path: [obs://copies/in.tar]\n");
    assert_eq!(client(&store.endpoint).head(&url("in.tar")).await.unwrap().content_type.as_deref(), Some("application/x-tar"));
    let fetched = run(&store, &["obs-copy", "obs://copies/in.tar", "-"], b"", usize::MAX);
    assert_eq!(fetched.status.code(), Some(0), "{}", text(&fetched.stderr));
    assert!(fetched.stdout == content, "standard output is the object and nothing else");
    assert!(text(&fetched.stderr).contains("1 file, 13.0 MiB"), "{}", text(&fetched.stderr));
    // Whoever reads has enough: quiet, as with other tools.
    let cut = run(&store, &["obs-copy", "obs://copies/in.tar", "-"], b"", 1000);
    assert_eq!((cut.status.code(), text(&cut.stderr)), (Some(0), String::new()));
    let missing = run(&store, &["obs-copy", "obs://copies/none", "-"], b"", usize::MAX);
    assert_eq!((missing.status.code(), missing.stdout.len()), (Some(5), 0));
    for arguments in [["obs-copy", "-", "file"], ["obs-copy", "-", "-"], ["obs-copy", "-", "obs://copies/folder/"]] {
        assert_eq!(run(&store, &arguments, b"", usize::MAX).status.code(), Some(2), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stream_cannot_keep_to_is_refused() {
    let store = Store::embedded().await;
    put(&client(&store.endpoint), "kept", b"old").await;
    let options: [&[&str]; 12] = [
        &["--dry-run"],
        &["--no-overwrite"],
        &["--update"],
        &["--size-only"],
        &["--checksum"],
        &["--delete"],
        &["--report", "report"],
        &["--include", "*"],
        &["--exclude", "*"],
        &["--shard", "1/2"],
        &["--files-from", "list"],
        &["--drop-last-dir"],
    ];
    for option in options {
        for sides in [["-", "obs://copies/kept"], ["obs://copies/kept", "-"]] {
            let arguments: Vec<&str> = ["obs-copy"].iter().chain(&sides).chain(option).copied().collect();
            let output = run(&store, &arguments, b"", usize::MAX);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?} {error}");
            assert!(error.contains(option[0]), "{arguments:?} {error}");
        }
    }
    let parts = run(&store, &["obs-copy", "-", "obs://copies/kept", "--part-size", "64M"], b"", usize::MAX);
    assert_eq!(parts.status.code(), Some(2), "a part does not fit into the memory");
    let discard = run(&store, &["obs-copy", "--discard-unfinished", "--dry-run", "-y"], b"", usize::MAX);
    assert_eq!(discard.status.code(), Some(2));
    assert_eq!(fetch(&client(&store.endpoint), "kept", Verify::Auto).await.unwrap().0, b"old");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_keep_to_a_limited_rate() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let options = copy::Options { limit_rate: std::num::NonZeroU64::new(4 << 20), ..small_parts() };
    let begun = std::time::Instant::now();
    send(&client, Cursor::new(noise(11 << 20, 6)), "slow", &options).await.unwrap();
    // Two parts of 5 MiB are paid for before the last one goes.
    assert!(begun.elapsed().as_millis() > 2000, "{:?}", begun.elapsed());
    let (sink, begun, cancel) = (Sink::default(), std::time::Instant::now(), CancellationToken::new());
    pipe::to_writer(&client, &url("slow"), sink, &options, Arc::new(Silent), &cancel).await.unwrap();
    assert!(begun.elapsed().as_millis() > 2000, "{:?}", begun.elapsed());
}
