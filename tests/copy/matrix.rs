//! Each fault, in each direction, with a small and with a large file: identical bytes while the faults end, and nothing under a
//! final name while they do not.

use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ma_cli::auth::StaticCredential;
use ma_cli::copy::destination::PARTIAL_SUFFIX;
use ma_cli::copy::{self, Plan, Summary};
use ma_cli::obs::ObsUrl;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::proxy::{Fault, Head, Kind, Proxy, Rule};
use crate::support::{
    BUCKET, SECRET_KEY, STALL, Store, assert_same, client, copy_plan, credential, download, impatient, impatient_with, keys,
    make_tree, noise, put, tree, upload,
};

/// Cells at the same time: most of them wait.
const TOGETHER: usize = 12;

/// The smallest part that SeaweedFS takes.
const PART_UP: u64 = 5 << 20;

/// Ranges may be smaller.
const PART_DOWN: u64 = 256 * 1024;

/// After each 64 KiB: a megabyte then takes longer than an impatient client waits for a byte.
const PAUSE: Duration = Duration::from_millis(250);

/// On the way up, so much lies in the system's buffers that less would look like a stall.
const PAUSE_UP: Duration = Duration::from_millis(100);

fn sends(head: &Head) -> bool {
    matches!(head.kind(), Kind::Put | Kind::Part)
}

fn creates(head: &Head) -> bool {
    head.kind() == Kind::Create
}

fn completes(head: &Head) -> bool {
    head.kind() == Kind::Complete
}

fn gets(head: &Head) -> bool {
    head.kind() == Kind::Get
}

fn lists(head: &Head) -> bool {
    head.kind() == Kind::List
}

fn copies(head: &Head) -> bool {
    matches!(head.kind(), Kind::Copy | Kind::CopyPart)
}

fn heads(head: &Head) -> bool {
    head.kind() == Kind::Head
}

type Cell = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

type Row = (Fault, fn(&Head) -> bool);

/// What the store says without doing anything, and connections that break or hang: for every kind of request.
const ANYWHERE: [Fault; 13] = [
    Fault::Status(503),
    Fault::Status(500),
    Fault::RetryAfter(429, 1),
    Fault::Code(503, "SlowDown"),
    Fault::Code(500, "InternalError"),
    Fault::Code(403, "RequestTimeTooSkewed"),
    Fault::Code(400, "ExpiredToken"),
    Fault::Code(200, "InternalError"),
    Fault::Reset,
    Fault::LoseAnswer,
    Fault::Silence,
    Fault::Garbage,
    Fault::Oversize,
];

fn rows_up() -> Vec<Row> {
    let body =
        [Fault::ResetAfter(100_000), Fault::StallUp(100_000), Fault::TrickleUp(PAUSE_UP), Fault::FlipUp, Fault::CloseDelimited];
    let mut rows: Vec<Row> = ANYWHERE.into_iter().chain(body).map(|fault| (fault, sends as fn(&Head) -> bool)).collect();
    rows.extend(ANYWHERE.into_iter().map(|fault| (fault, creates as fn(&Head) -> bool)));
    let cut = [Fault::CutBody, Fault::StallDown];
    rows.extend(ANYWHERE.into_iter().chain(cut).map(|fault| (fault, completes as fn(&Head) -> bool)));
    rows
}

fn rows_down() -> Vec<Row> {
    let body = [Fault::CutBody, Fault::StallDown, Fault::TrickleDown(PAUSE), Fault::FlipDown, Fault::CloseDelimited];
    let mut rows: Vec<Row> = ANYWHERE.into_iter().chain(body).map(|fault| (fault, gets as fn(&Head) -> bool)).collect();
    let cut = [Fault::CutBody, Fault::StallDown];
    rows.extend(ANYWHERE.into_iter().chain(cut).map(|fault| (fault, lists as fn(&Head) -> bool)));
    rows
}

/// The answers to a copy have bodies, in which a 200 may end badly.
fn rows_copy() -> Vec<Row> {
    let cut = [Fault::CutBody, Fault::StallDown, Fault::Code(200, "SlowDown")];
    let mut rows: Vec<Row> = ANYWHERE.into_iter().chain(cut).map(|fault| (fault, copies as fn(&Head) -> bool)).collect();
    rows.extend(ANYWHERE.into_iter().chain(cut).map(|fault| (fault, completes as fn(&Head) -> bool)));
    // The answer to a HEAD ends with its head.
    let bodiless = ANYWHERE.into_iter().filter(|fault| !matches!(fault, Fault::Code(..)));
    rows.extend(bodiless.map(|fault| (fault, heads as fn(&Head) -> bool)));
    rows
}

fn options() -> copy::Options {
    copy::Options { part_size: Some(PART_UP), ..copy::Options::default() }
}

fn options_down() -> copy::Options {
    copy::Options { part_size: Some(PART_DOWN), ..copy::Options::default() }
}

/// Sent from memory; and in parts, the last of which is small. In between lies what streams in one piece.
const SIZES: [(&str, usize); 3] = [("small", 40_000), ("middle", 1 << 20), ("large", PART_UP as usize + 312_345)];

fn content(size: &str) -> Vec<u8> {
    let (index, (_, length)) = SIZES.iter().enumerate().find(|(_, (name, _))| *name == size).unwrap();
    noise(*length, index as u64)
}

/// What every cell needs.
struct Bench {
    store: Store,
    folder: tempfile::TempDir,
    turns: Semaphore,
}

impl Bench {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (size, _) in SIZES {
            make_tree(&folder.path().join("in").join(size), &[("file", Some(content(size)))]);
        }
        let bench = Self { store: Store::seaweedfs().await, folder, turns: Semaphore::new(TOGETHER) };
        upload(&client(&bench.store.endpoint), &bench.folder.path().join("in"), "in/", &options()).await.unwrap();
        bench
    }

    fn source(&self, size: &str) -> PathBuf {
        self.folder.path().join("in").join(size)
    }

    fn fresh(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// What went wrong in a cell, with the cell's name.
struct Wrong(String);

impl fmt::Debug for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Runs cells side by side and tells of all that failed.
async fn run<F>(cells: Vec<(String, F)>, bench: &Arc<Bench>)
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let count = cells.len();
    for (name, cell) in cells {
        let bench = Arc::clone(bench);
        tasks.spawn(async move {
            let _turn = bench.turns.acquire().await.unwrap();
            let started = Instant::now();
            let outcome = tokio::time::timeout(Duration::from_secs(30), cell).await;
            let outcome = outcome.unwrap_or_else(|_| Err("it does not end".to_owned()));
            outcome.map_err(|error| Wrong(format!("{name}: {error} ({:.1} s)", started.elapsed().as_secs_f64())))
        });
    }
    let mut wrong = Vec::new();
    while let Some(outcome) = tasks.join_next().await {
        wrong.extend(outcome.unwrap().err());
    }
    assert!(wrong.is_empty(), "{} of {count} cells: {wrong:#?}", wrong.len());
}

fn complete(copied: Result<Summary, copy::Error>) -> Result<Summary, String> {
    let summary = copied.map_err(|error| format!("stopped: {error}"))?;
    match summary.failures.first() {
        None if summary.files == 1 => Ok(summary),
        None => Err(format!("{} files arrived", summary.files)),
        Some(failure) => Err(format!("failed: {}", failure.error)),
    }
}

/// One file that stays spoilt among others that are not.
fn is_spoilt(head: &Head) -> bool {
    head.uri.path().ends_with("/spoilt") && matches!(head.kind(), Kind::Put | Kind::Part | Kind::Get)
}

/// Refused for good, or tried as often as it is worth: a clear reason, the rest arrives, nothing has a final name.
fn partly(copied: Result<Summary, copy::Error>) -> Result<(), String> {
    let summary = copied.map_err(|error| format!("stopped: {error}"))?;
    match summary.failures.as_slice() {
        [failure] if summary.files == 2 && failure.name == "spoilt" => {
            let reason = failure.error.to_string();
            if reason.contains("/spoilt") || reason.contains("127.0.0.1:") { Ok(()) } else { Err(format!("unclear: {reason}")) }
        }
        failures => Err(format!("{} arrived, failed: {failures:?}", summary.files)),
    }
}

const FOR_GOOD: [Fault; 11] = [
    Fault::Status(503),
    Fault::Code(403, "AccessDenied"),
    Fault::Code(400, "InvalidArgument"),
    Fault::Code(507, "InsufficientStorage"),
    Fault::Reset,
    Fault::Silence,
    Fault::Garbage,
    Fault::StallUp(100_000),
    Fault::FlipUp,
    Fault::CutBody,
    Fault::FlipDown,
];

fn lonely(fault: Fault) -> Vec<Rule> {
    vec![Rule::always(fault, is_spoilt)]
}

async fn up_for_good(bench: Arc<Bench>, name: String, size: &'static str, fault: Fault) -> Result<(), String> {
    let tree = bench.fresh(&format!("{name}-in"));
    let file = |seed| Some(noise(1000, seed));
    make_tree(&tree, &[("spoilt", Some(content(size))), ("one", file(1)), ("other", file(2))]);
    let proxy = Proxy::with(&bench.store.endpoint, lonely(fault)).await;
    let credentials = Arc::new(StaticCredential::new(credential(SECRET_KEY)));
    let client = impatient_with(&proxy.endpoint, credentials, 2);
    partly(upload(&client, &tree, &format!("{name}/"), &options()).await)?;
    let found = keys(&crate::support::client(&bench.store.endpoint), &format!("{name}/")).await;
    let arrived = [format!("{name}/one"), format!("{name}/other")];
    // What the store took and could not say so is there, and is right.
    let unsaid = matches!(fault, Fault::Silence) && size != "large";
    if found == arrived || unsaid { Ok(()) } else { Err(format!("left at the store: {found:?}")) }
}

async fn down_for_good(bench: Arc<Bench>, name: String, size: &'static str, fault: Fault) -> Result<(), String> {
    let proxy = Proxy::with(&bench.store.endpoint, lonely(fault)).await;
    let credentials = Arc::new(StaticCredential::new(credential(SECRET_KEY)));
    let client = impatient_with(&proxy.endpoint, credentials, 2);
    let target = bench.fresh(&name);
    partly(download(&client, &format!("bad/{size}/"), &target, &options_down()).await)?;
    let left: Vec<String> = tree(&target).into_keys().filter(|name| !name.ends_with(PARTIAL_SUFFIX)).collect();
    if left == ["one", "other"] { Ok(()) } else { Err(format!("left on disk: {left:?}")) }
}

/// The fault happened; and one that is none, because bytes moved all the time, made nobody ask twice.
fn happened(proxy: &Proxy, fault: Fault, requests: u64) -> Result<(), String> {
    let count = |kinds: &[Kind]| kinds.iter().map(|kind| proxy.count(*kind).requests).sum::<u64>();
    let asked = count(&[Kind::Put, Kind::Part, Kind::Get]);
    match fault {
        _ if !proxy.is_spent() => Err("the fault never happened".to_owned()),
        Fault::TrickleUp(_) | Fault::TrickleDown(_) if asked != requests => Err(format!("{asked} requests, not {requests}")),
        _ => Ok(()),
    }
}

fn pieces(size: &str, part: u64) -> u64 {
    (content(size).len() as u64).div_ceil(part)
}

async fn up(bench: Arc<Bench>, name: String, size: &'static str, (fault, when): Row) -> Result<(), String> {
    let proxy = Proxy::narrow(&bench.store.endpoint, vec![Rule::first(1, fault, when)], 64 * 1024).await;
    let sender = if matches!(fault, Fault::TrickleUp(_)) { client(&proxy.endpoint) } else { impatient(&proxy.endpoint) };
    complete(upload(&sender, &bench.source(size), &format!("{name}/"), &options()).await)?;
    happened(&proxy, fault, pieces(size, PART_UP))?;
    let back = bench.fresh(&name);
    complete(download(&client(&bench.store.endpoint), &format!("{name}/"), &back, &options_down()).await)?;
    assert_same(&bench.source(size), &back);
    Ok(())
}

async fn down(bench: Arc<Bench>, name: String, size: &'static str, (fault, when): Row) -> Result<(), String> {
    let proxy = Proxy::with(&bench.store.endpoint, vec![Rule::first(1, fault, when)]).await;
    let target = bench.fresh(&name);
    complete(download(&impatient(&proxy.endpoint), &format!("in/{size}/"), &target, &options_down()).await)?;
    happened(&proxy, fault, pieces(size, PART_DOWN))?;
    assert_same(&bench.source(size), &target);
    Ok(())
}

async fn copy(bench: Arc<Bench>, name: String, size: &'static str, (fault, when): Row) -> Result<(), String> {
    let proxy = Proxy::with(&bench.store.endpoint, vec![Rule::first(1, fault, when)]).await;
    let url = |key: String| ObsUrl::new(BUCKET, key);
    let plan = Plan::CopyFolder { source: url(format!("in/{size}/")), destination: url(format!("{name}/")) };
    complete(copy_plan(&impatient(&proxy.endpoint), plan, &options()).await)?;
    happened(&proxy, fault, 0)?;
    let back = bench.fresh(&name);
    complete(download(&client(&bench.store.endpoint), &format!("{name}/"), &back, &options_down()).await)?;
    assert_same(&bench.source(size), &back);
    Ok(())
}

/// Without a checksum of the whole, nothing tells that a byte of a range changed: SeaweedFS gives none for objects in parts. And
/// an object may have any content, that of an error too.
fn cannot_be_told(size: &str, (fault, when): Row) -> bool {
    (size != "small" && fault == Fault::FlipDown) || (is(when, gets) && matches!(fault, Fault::Code(200, _)))
}

fn is(one: fn(&Head) -> bool, other: fn(&Head) -> bool) -> bool {
    std::ptr::fn_addr_eq(one, other)
}

/// One test, because starting SeaweedFS takes seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_ends_is_survived_and_one_that_stays_fails_one_file() {
    let bench = Arc::new(Bench::start().await);
    let mut cells = cells_that_end(&bench);
    cells.extend(cells_that_stay(&bench).await);
    run(cells, &bench).await;
}

fn cells_that_end(bench: &Arc<Bench>) -> Vec<(String, Cell)> {
    let mut cells: Vec<(String, Cell)> = Vec::new();
    for (size, _) in SIZES {
        for (index, row) in rows_up().into_iter().enumerate() {
            if size != "large" && !is(row.1, sends) {
                continue;
            }
            let name = format!("up-{size}-{index}");
            cells.push((format!("{name} {:?}", row.0), Box::pin(up(Arc::clone(bench), name, size, row))));
        }
        for (index, row) in rows_copy().into_iter().enumerate() {
            // Nobody asks for the head of what is copied whole.
            if size == "middle" || (size == "small" && !is(row.1, copies)) {
                continue;
            }
            let name = format!("copy-{size}-{index}");
            cells.push((format!("{name} {:?}", row.0), Box::pin(copy(Arc::clone(bench), name, size, row))));
        }
        for (index, row) in rows_down().into_iter().enumerate() {
            // In ranges is in ranges.
            if size == "large" || cannot_be_told(size, row) {
                continue;
            }
            let name = format!("down-{size}-{index}");
            cells.push((format!("{name} {:?}", row.0), Box::pin(down(Arc::clone(bench), name, size, row))));
        }
    }
    cells
}

async fn cells_that_stay(bench: &Arc<Bench>) -> Vec<(String, Cell)> {
    let direct = client(&bench.store.endpoint);
    let mut cells: Vec<(String, Cell)> = Vec::new();
    for (size, _) in SIZES {
        for (name, content) in [("spoilt", content(size)), ("one", noise(1000, 1)), ("other", noise(1000, 2))] {
            put(&direct, &format!("bad/{size}/{name}"), &content).await;
        }
        for (index, fault) in FOR_GOOD.into_iter().enumerate() {
            let ways = match fault {
                Fault::StallUp(_) | Fault::FlipUp => [true, false],
                Fault::FlipDown | Fault::CutBody => [false, true],
                _ => [true, true],
            };
            let name = format!("bad-up-{size}-{index}");
            if ways[0] {
                let cell = up_for_good(Arc::clone(bench), name.clone(), size, fault);
                cells.push((format!("{name} {fault:?}"), Box::pin(cell)));
            }
            let name = format!("bad-down-{size}-{index}");
            if ways[1] && size != "large" && !cannot_be_told(size, (fault, gets)) {
                let cell = down_for_good(Arc::clone(bench), name.clone(), size, fault);
                cells.push((format!("{name} {fault:?}"), Box::pin(cell)));
            }
        }
    }
    cells
}

/// Longer than the client waits for a byte, but bytes move all the time: sent once.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_line_is_no_stall() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), noise(20 << 20, 1)).unwrap();
    let slow = Rule::always(Fault::TrickleUp(Duration::from_millis(25)), sends);
    let proxy = Proxy::narrow(&store.endpoint, vec![slow], 64 * 1024).await;
    let whole = copy::Options { part_size: Some(64 << 20), ..copy::Options::default() };
    let started = Instant::now();
    let up = upload(&impatient(&proxy.endpoint), folder.path(), "p/", &whole).await.unwrap();
    assert_eq!((up.files, up.failed), (1, 0), "{:?}", up.failures);
    assert!(started.elapsed() > 2 * STALL, "this line was not slow: {:?}", started.elapsed());
    assert_eq!(proxy.count(Kind::Put).requests, 1);
}

/// One request of five goes wrong, each time in another way: which ones depends on the seed alone.
#[tokio::test(flavor = "multi_thread")]
async fn many_faults_at_once_are_survived() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("in");
    let files: Vec<(String, Vec<u8>)> =
        (0..300).map(|index| (format!("{}/{index}", index % 7), noise(500 * index, 1))).collect();
    let mut entries: Vec<_> = files.iter().map(|(name, content)| (name.as_str(), Some(content.clone()))).collect();
    entries.push(("large", Some(noise(6 << 20, 2))));
    make_tree(&source, &entries);
    let faults = [
        Fault::Status(503),
        Fault::Status(500),
        Fault::Reset,
        Fault::ResetAfter(50_000),
        Fault::LoseAnswer,
        Fault::CutBody,
        Fault::FlipUp,
        Fault::Garbage,
    ];
    for seed in [1, 2] {
        let rules = || faults.into_iter().zip(0..).map(|(fault, index)| Rule::share(3, seed * 100 + index, fault, |_| true));
        let proxy = Proxy::with(&store.endpoint, rules().collect()).await;
        let credentials = Arc::new(StaticCredential::new(credential(SECRET_KEY)));
        let client = impatient_with(&proxy.endpoint, credentials, 12);
        let up = upload(&client, &source, &format!("{seed}/"), &options_down()).await.unwrap();
        assert_eq!((up.files, up.failed), (301, 0), "seed {seed} {:?}", up.failures);
        let target = folder.path().join(seed.to_string());
        let down = download(&client, &format!("{seed}/"), &target, &options_down()).await.unwrap();
        assert_eq!((down.files, down.failed), (301, 0), "seed {seed} {:?}", down.failures);
        assert!(proxy.spoilt() > 50, "{}", proxy.spoilt());
        assert_same(&source, &target);
    }
}
