//! Ctrl-C, as a user gives it to the real binary while the store stalls.

use std::time::{Duration, Instant};

use ma_cli::copy::journal::unfinished;

use crate::meter::Meter;
use crate::process::{Process, command, run, said};
use crate::support::{Store, client, noise};

const MIB: u64 = 1 << 20;
/// What is promised.
const SOON: Duration = Duration::from_secs(1);

/// Starts a copy of 200 MiB that stalls with all its requests in flight, and interrupts it so often.
async fn interrupt(
    store: &Store,
    arguments: &[&str],
    home: &std::path::Path,
    after: u64,
    times: usize,
) -> (Duration, std::process::Output) {
    let meter = Meter::fast(&store.endpoint).await;
    meter.stall_after(after);
    let mut process = Process::start(command(home, &meter.endpoint, arguments));
    assert!(process.until(|| meter.up() + meter.down() > after).await, "it stalls");
    let stopped = Instant::now();
    for _ in 0..times {
        process.signal("INT");
    }
    let output = process.output().await;
    (stopped.elapsed(), output)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_copy_ends_at_once_and_says_how_to_go_on() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    std::fs::write(home.join("large"), noise(200 << 20, 1)).unwrap();
    let up = ["obs-copy", "large", "obs://copies/large", "--part-size", "5M"];
    let down = ["obs-copy", "obs://copies/large", "copy", "--part-size", "5M"];
    for arguments in [up, down] {
        let (elapsed, output) = interrupt(&store, &arguments, home, 180 * MIB, 1).await;
        assert_eq!(output.status.code(), Some(130), "{}", said(&output));
        assert!(elapsed < SOON, "{elapsed:?}");
        assert!(said(&output).contains("run the same command again"), "{}", said(&output));
        let left = unfinished(&home.join(".modelarts/transfers")).unwrap();
        assert!(left.len() == 1 && left[0].done > 0, "{left:?}");
        let again = run(home, &store.endpoint, &arguments).await;

        assert!(again.status.success(), "{}", said(&again));
        std::fs::remove_dir_all(home.join(".modelarts")).unwrap();
    }
    assert!(std::fs::read(home.join("large")).unwrap() == std::fs::read(home.join("copy")).unwrap(), "it differs");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_cannot_go_on_is_waited_for() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    std::fs::write(home.join("large"), noise(200 << 20, 1)).unwrap();
    let arguments = ["obs-copy", "large", "obs://copies/large", "--part-size", "5M", "--no-resume"];
    for times in [1, 2] {
        let (elapsed, output) = interrupt(&store, &arguments, home, 50 * MIB, times).await;
        assert_eq!(output.status.code(), Some(130), "{}", said(&output));
        assert!(elapsed < SOON, "{elapsed:?}");
        assert!(!home.join(".modelarts/transfers").exists());
    }
    assert!(client(&store.endpoint).head(&"obs://copies/large".parse().unwrap()).await.is_err());
}
