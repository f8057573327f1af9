//! The real binary, killed at random moments: what it copied is identical in the end, and only what was in flight is moved again.

use std::path::Path;

use ma_cli::copy::journal::unfinished;

use crate::meter::Meter;
use crate::process::{Process, command, run, said};
use crate::support::{Store, assert_same, client, keys, make_tree, noise};

const MIB: u64 = 1 << 20;
const PART: u64 = 5 * MIB;
const JOBS: u64 = 4;
/// Slow enough that a process can be killed in the middle.
const RATE: u64 = 150 * MIB;

/// How much is copied, and how often it is killed.
#[derive(Clone, Copy)]
struct Scale {
    kills: u64,
    size: u64,
    files: usize,
}

const SMALL: Scale = Scale { kills: 10, size: 160 * MIB, files: 600 };

/// The size of the soak can be set, for machines with less room.
#[expect(clippy::disallowed_methods, reason = "tests of many minutes are scaled from outside")]
fn soak() -> Scale {
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    Scale {
        kills: number("MA_CLI_TEST_KILLS", 50),
        size: number("MA_CLI_TEST_MIB", 8192) * MIB,
        files: usize::try_from(number("MA_CLI_TEST_FILES", 20_000)).unwrap(),
    }
}

/// Runs a copy, kills it each time it has moved a random share, and lets the last one end.
async fn kill_and_go_on(
    home: &Path,
    endpoint: &str,
    arguments: &[&str],
    kills: u64,
    share: u64,
    moved: impl Fn() -> u64,
) -> u64 {
    let mut random = fastrand::Rng::with_seed(7);
    let mut killed = 0;
    for _ in 0..kills {
        let mut process = Process::start(command(home, endpoint, arguments));
        let goal = moved() + random.u64(1..=share.max(2));
        if process.until(|| moved() >= goal).await {
            process.signal("KILL");
            killed += 1;
        }
        let output = process.output().await;
        assert!(output.status.success() || output.status.code().is_none(), "{}", said(&output));
        if output.status.success() {
            break;
        }
    }
    let output = run(home, endpoint, arguments).await;
    assert!(output.status.success(), "{}", said(&output));
    killed
}

fn write_noise(path: &Path, size: u64) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    for index in 0..size / MIB {
        file.write_all(&noise(MIB as usize, index)).unwrap();
    }
}

fn same_content(left: &Path, right: &Path) -> bool {
    use std::io::Read as _;
    let (mut left, mut right) = (std::fs::File::open(left).unwrap(), std::fs::File::open(right).unwrap());
    if left.metadata().unwrap().len() != right.metadata().unwrap().len() {
        return false;
    }
    let (mut one, mut other) = (vec![0; MIB as usize], vec![0; MIB as usize]);
    loop {
        let length = left.read(&mut one).unwrap();
        right.read_exact(&mut other[..length]).unwrap();
        if one[..length] != other[..length] {
            return false;
        }
        if length == 0 {
            return true;
        }
    }
}

/// A large file up and down again, killed each way.
async fn large_file(store: &Store, scale: Scale, rate: u64) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    write_noise(&home.join("large"), scale.size);
    let share = 2 * scale.size / scale.kills;
    let options = ["--part-size", "5M", "--jobs", "4"];
    // A kill loses what is in flight, and a part may have been confirmed just before its line was written.
    let bound = |killed: u64| scale.size + killed * (JOBS + 1) * PART + scale.size / 50 + 4 * MIB;

    let meter = Meter::start(&store.endpoint, rate).await;
    let arguments = [&["obs-copy", "large", "obs://copies/large"][..], &options].concat();
    let killed = kill_and_go_on(home, &meter.endpoint, &arguments, scale.kills, share, || meter.up()).await;
    assert!(killed * 2 >= scale.kills, "{killed}");
    assert!(meter.up() <= bound(killed), "{} MiB were sent in {killed} kills", meter.up() / MIB);

    let meter = Meter::start(&store.endpoint, rate).await;
    let arguments = [&["obs-copy", "obs://copies/large", "copy"][..], &options].concat();
    let killed = kill_and_go_on(home, &meter.endpoint, &arguments, scale.kills, share, || meter.down()).await;
    assert!(killed * 2 >= scale.kills, "{killed}");
    assert!(meter.down() <= bound(killed), "{} MiB were fetched in {killed} kills", meter.down() / MIB);
    assert!(same_content(&home.join("large"), &home.join("copy")), "it differs");
    assert!(unfinished(&home.join(".modelarts/transfers")).unwrap().is_empty());
}

/// Many small files and a large one among them, killed each way.
async fn folder_of_files(store: &Store, scale: Scale, rate: u64) {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let mut random = fastrand::Rng::with_seed(3);
    for index in 0..scale.files {
        let content = noise(random.usize(0..20_000), index as u64);
        make_tree(&home.join("in"), &[(&format!("{:02}/{index}", index % 20), Some(content))]);
    }
    write_noise(&home.join("in/large"), 24 * MIB);
    let options = ["--part-size", "5M", "--jobs", "4", "-d"];
    let meter = Meter::start(&store.endpoint, rate).await;
    let share = 2 * (24 * MIB + scale.files as u64 * 10_000) / scale.kills;
    let arguments = [&["obs-copy", "in", "obs://copies/tree/"][..], &options].concat();
    let killed = kill_and_go_on(home, &meter.endpoint, &arguments, scale.kills / 2, share, || meter.up()).await;
    assert!(killed > 0);
    assert_eq!(keys(&client(&store.endpoint), "tree/").await.len(), scale.files + 1);

    let arguments = [&["obs-copy", "obs://copies/tree/", "out"][..], &options].concat();
    let killed = kill_and_go_on(home, &meter.endpoint, &arguments, scale.kills / 2, share, || meter.down()).await;
    assert!(killed > 0);
    // No partial files among them either.
    assert_same(&home.join("in"), &home.join("out"));
    assert!(unfinished(&home.join(".modelarts/transfers")).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_survives_kills() {
    large_file(&Store::embedded().await, SMALL, RATE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_files_survives_kills() {
    folder_of_files(&Store::embedded().await, SMALL, RATE / 4).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes many minutes, and the room of four times what is copied"]
async fn soak_a_huge_file_survives_kills() {
    large_file(&Store::embedded().await, soak(), u64::MAX).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes many minutes"]
async fn soak_many_files_survive_kills() {
    folder_of_files(&Store::seaweedfs().await, soak(), u64::MAX).await;
}
