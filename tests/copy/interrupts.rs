//! Ctrl-C, as a user gives it to the real binary while the store stalls.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use ma_cli::copy::journal::unfinished;

use crate::meter::Meter;
use crate::process::{Process, command, run, said};
use crate::support::{Store, client, noise};

const MIB: u64 = 1 << 20;
/// What is promised, on a machine that has the time: the best of a few tries counts.
const SOON: Duration = Duration::from_secs(1);
const TRIES: usize = 5;

/// Starts a copy that stalls with all its requests in flight, and interrupts it so often. Gives the time it took to end.
async fn interrupt(store: &Store, arguments: &[&str], home: &Path, after: u64, times: usize) -> (Duration, Output) {
    let meter = Meter::fast(&store.endpoint).await;
    meter.stall_after(after);
    let mut process = Process::start(command(home, &meter.endpoint, arguments));
    assert!(process.until(|| meter.up() + meter.down() > after).await, "it stalls");
    let stopped = Instant::now();
    for _ in 0..times {
        process.signal("INT");
    }
    let output = process.output().await;
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    (stopped.elapsed(), output)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_copy_ends_at_once_and_says_how_to_go_on() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    std::fs::write(home.join("large"), noise(80 << 20, 1)).unwrap();
    let up = ["obs-copy", "large", "obs://copies/large", "--part-size", "1M"];
    let down = ["obs-copy", "obs://copies/large", "copy", "--part-size", "1M"];
    for arguments in [up, down] {
        let mut best = Duration::MAX;
        for _ in 0..TRIES {
            let _ = std::fs::remove_dir_all(home.join(".modelarts"));
            let (elapsed, output) = interrupt(&store, &arguments, home, 60 * MIB, 1).await;
            best = best.min(elapsed);
            assert!(said(&output).contains("run the same command again"), "{}", said(&output));
            let left = unfinished(&home.join(".modelarts/transfers")).unwrap();
            assert!(left.len() == 1 && left[0].done > 0, "{left:?}");
            if best < SOON {
                break;
            }
        }
        assert!(best < SOON, "{best:?}");
        let again = run(home, &store.endpoint, &arguments).await;
        assert!(again.status.success(), "{}", said(&again));
    }
    assert!(std::fs::read(home.join("large")).unwrap() == std::fs::read(home.join("copy")).unwrap(), "it differs");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_cannot_go_on_is_waited_for() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    std::fs::write(home.join("large"), noise(80 << 20, 1)).unwrap();
    let arguments = ["obs-copy", "large", "obs://copies/large", "--part-size", "1M", "--no-resume"];
    for times in [1, 2] {
        let mut best = Duration::MAX;
        for _ in 0..TRIES {
            best = best.min(interrupt(&store, &arguments, home, 30 * MIB, times).await.0);
            if best < SOON {
                break;
            }
        }
        assert!(best < SOON, "{best:?}");
        assert!(!home.join(".modelarts/transfers").exists());
    }
    assert!(client(&store.endpoint).head(&"obs://copies/large".parse().unwrap()).await.is_err());
}
