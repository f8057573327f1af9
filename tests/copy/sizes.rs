//! More than a machine holds: files of very many parts, and very many keys, in bounded memory. What takes long has `soak` in its
//! name and runs with `scripts/test --soak`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ma_cli::copy::parts::{Division, MOST_PARTS, PART_SIZE, SMALLEST_PART};
use ma_cli::copy::{self, Verify};

use crate::stub::{CONTENT, Habits, Stub};
use crate::support::{ACCESS_KEY, REGION, SECRET_KEY, client, upload};

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// The promise of the documentation, for the whole process.
const MOST_MEMORY: u64 = 64 * MIB;

/// A file of that size that takes no room.
fn sparse(path: &Path, size: u64) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::File::create(path).unwrap().set_len(size).unwrap();
}

/// Sends a sparse file and compares what arrived with what should have: all parts, their lengths, their order.
async fn send_in_parts(size: u64, part_size: Option<u64>) {
    let stub = Stub::start(Habits { careless: true, ..Habits::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    sparse(&folder.path().join("in/file"), size);
    let options = copy::Options { part_size, verify: Verify::None, ..copy::Options::default() };
    let up = upload(&client(&stub.endpoint), &folder.path().join("in"), "p/", &options).await.unwrap();
    assert_eq!((up.files, up.failed, up.bytes), (1, 0, size), "{:?}", up.failures);
    let parts = Division::new(size, part_size).parts();
    let expected: Vec<(u32, u64)> = parts.map(|part| (part.number, part.length)).collect();
    assert_eq!(stub.completed(), [expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_parts_arrive_in_order() {
    send_in_parts(4000 * SMALLEST_PART + 1, Some(SMALLEST_PART)).await;
}

#[test]
fn sixty_gibibytes_are_divided_as_the_store_allows() {
    for (size, wanted, count, first) in [
        (60 * GIB, None, 3840, PART_SIZE),
        (60 * GIB, Some(SMALLEST_PART), 8778, 7 * MIB),
        (60 * GIB + 1, None, 3841, PART_SIZE),
    ] {
        let parts: Vec<_> = Division::new(size, wanted).parts().collect();
        assert_eq!((parts.len(), parts[0].length), (count, first), "{size} {wanted:?}");
        assert!(parts.len() as u64 <= MOST_PARTS);
        assert_eq!(parts.iter().map(|part| part.length).sum::<u64>(), size);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute: scripts/test --soak"]
async fn soak_sixty_gibibytes() {
    let stub = Stub::start(Habits { careless: true, ..Habits::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    sparse(&folder.path().join("file"), 60 * GIB);
    let peak = run(&stub, folder.path(), &["file", "obs://copies/p/", "--verify", "none"]).await;
    let expected: Vec<(u32, u64)> = Division::new(60 * GIB, None).parts().map(|part| (part.number, part.length)).collect();
    assert_eq!(stub.completed(), [expected]);
    assert!(peak < MOST_MEMORY, "{} MiB", peak / MIB);
}

/// Runs `obs-copy` to its end; gives the most memory it held.
async fn run(stub: &Stub, directory: &Path, arguments: &[&str]) -> u64 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ma-cli"))
        .arg("obs-copy")
        .args(arguments)
        .env_clear()
        .env("HOME", directory)
        .env("MA_CLI_OBS_ENDPOINT", &stub.endpoint)
        .env("HUAWEICLOUD_SDK_AK", ACCESS_KEY)
        .env("HUAWEICLOUD_SDK_SK", SECRET_KEY)
        .env("REGION_NAME", REGION)
        .env("PROJECT_ID", "none")
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(directory.join("stderr")).unwrap())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        // The peak only grows, so the last look before the end tells it.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
        peak = peak.max(line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024);
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(ended.success() && peak > 0, "{ended} {}", std::fs::read_to_string(directory.join("stderr")).unwrap());
    peak
}

/// The number of files below a folder.
fn count(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
}

async fn many_objects_down(objects: u64) {
    let stub = Stub::start(Habits { generated: objects, ..Habits::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    for more in [&["--dry-run", "-F", "jsonl"][..], &[], &["--update"]] {
        let peak = run(&stub, folder.path(), &[&["obs://copies/p/", "out", "-d"], more].concat()).await;
        let there = if more.contains(&"--dry-run") { 0 } else { objects };
        assert_eq!(count(&folder.path().join("out")), there, "{more:?}");
        assert!(peak < MOST_MEMORY, "{more:?} {} MiB", peak / MIB);
    }
    assert_eq!(stub.gets(), objects, "nothing is fetched twice");
}

async fn many_files_up(files: u64) {
    let stub = Stub::start(Habits { generated: files, ..Habits::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("in")).unwrap();
    // Older than what the store lists, and of the same size: nothing is to be done.
    let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    for number in 0..files {
        let file = std::fs::File::create(folder.path().join(format!("in/key-{number:09}"))).unwrap();
        file.set_len(CONTENT.len() as u64).unwrap();
        file.set_modified(old).unwrap();
    }
    for more in [&["--dry-run", "-F", "jsonl"][..], &["--update"]] {
        let peak = run(&stub, folder.path(), &[&["in", "obs://copies/p/", "-d"], more].concat()).await;
        assert!(peak < MOST_MEMORY, "{more:?} {} MiB", peak / MIB);
    }
    assert_eq!(stub.puts(), 0, "nothing was to be sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_files_that_are_there_already_are_left_alone() {
    many_files_up(20_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: scripts/test --soak"]
async fn soak_a_million_files_that_are_there_already() {
    many_files_up(1_000_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_objects_come_down_in_little_memory() {
    many_objects_down(20_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes: scripts/test --soak"]
async fn soak_a_million_objects_down() {
    many_objects_down(1_000_000).await;
}
