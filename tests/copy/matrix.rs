//! Each fault, in each direction, with a small and with a large file: identical bytes while the faults end, and nothing under a
//! final name while they do not.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ma_cli::copy::{self, Summary};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::proxy::{Fault, Head, Kind, Proxy, Rule};
use crate::support::{Store, assert_same, client, download, impatient, make_tree, noise, upload};

/// Cells at the same time: most of them wait.
const TOGETHER: usize = 12;

/// The smallest part that SeaweedFS takes.
const PART_UP: u64 = 5 << 20;

/// Ranges may be smaller.
const PART_DOWN: u64 = 256 * 1024;

const PAUSE: Duration = Duration::from_millis(300);

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
        [Fault::ResetAfter(100_000), Fault::StallUp(100_000), Fault::TrickleUp(PAUSE), Fault::FlipUp, Fault::CloseDelimited];
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

fn spent(proxy: &Proxy) -> Result<(), String> {
    if proxy.is_spent() { Ok(()) } else { Err("the fault never happened".to_owned()) }
}

async fn up(bench: Arc<Bench>, name: String, size: &'static str, (fault, when): Row) -> Result<(), String> {
    let proxy = Proxy::narrow(&bench.store.endpoint, vec![Rule::first(1, fault, when)], 64 * 1024).await;
    complete(upload(&impatient(&proxy.endpoint), &bench.source(size), &format!("{name}/"), &options()).await)?;
    spent(&proxy)?;
    let back = bench.fresh(&name);
    complete(download(&client(&bench.store.endpoint), &format!("{name}/"), &back, &options_down()).await)?;
    assert_same(&bench.source(size), &back);
    Ok(())
}

async fn down(bench: Arc<Bench>, name: String, size: &'static str, (fault, when): Row) -> Result<(), String> {
    let proxy = Proxy::with(&bench.store.endpoint, vec![Rule::first(1, fault, when)]).await;
    let target = bench.fresh(&name);
    complete(download(&impatient(&proxy.endpoint), &format!("in/{size}/"), &target, &options_down()).await)?;
    spent(&proxy)?;
    assert_same(&bench.source(size), &target);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_ends_is_survived() {
    let bench = Arc::new(Bench::start().await);
    let mut cells: Vec<(String, futures_util::future::BoxFuture<'static, Result<(), String>>)> = Vec::new();
    for (size, _) in SIZES {
        for (index, row) in rows_up().into_iter().enumerate() {
            if size != "large" && !is(row.1, sends) {
                continue;
            }
            let name = format!("up-{size}-{index}");
            cells.push((format!("{name} {:?}", row.0), Box::pin(up(Arc::clone(&bench), name, size, row))));
        }
        for (index, row) in rows_down().into_iter().enumerate() {
            // In ranges is in ranges.
            if size == "large" || cannot_be_told(size, row) {
                continue;
            }
            let name = format!("down-{size}-{index}");
            cells.push((format!("{name} {:?}", row.0), Box::pin(down(Arc::clone(&bench), name, size, row))));
        }
    }
    run(cells, &bench).await;
}
