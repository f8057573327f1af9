//! `--list-unfinished` and `--discard-unfinished`, with the real binary.

use std::path::Path;

use ma_cli::copy::journal::{Version, unfinished};
use ma_cli::obs::ObsUrl;
use serde_json::Value;

use crate::meter::Meter;
use crate::process::{Process, command, run, said};
use crate::support::{BUCKET, Store, client, noise};

const MIB: u64 = 1 << 20;

/// Kills an upload and a download in the middle; gives the store's id of the upload.
async fn leave_two(home: &Path, meter: &Meter) -> String {
    std::fs::write(home.join("large"), noise(60 << 20, 1)).unwrap();
    let done = run(home, &meter.endpoint, &["obs-copy", "large", "obs://copies/there"]).await;
    assert!(done.status.success(), "{}", said(&done));
    for (source, target) in [("large", "obs://copies/large"), ("obs://copies/there", "copy")] {
        let arguments = ["obs-copy", source, target, "--part-size", "5M", "--jobs", "2"];
        let mut process = Process::start(command(home, &meter.endpoint, &arguments));
        let folder = home.join(".modelarts/transfers");
        let is_begun = || unfinished(&folder).unwrap().iter().any(|left| left.done > 0 && left.is_running);
        assert!(process.until(is_begun).await, "a part is done");
        let listed = list(home, meter).await;
        assert!(listed.iter().any(|transfer| transfer["running"] == true), "{listed:?}");
        process.signal("KILL");
        process.output().await;
    }
    let left = unfinished(&home.join(".modelarts/transfers")).unwrap();
    let upload = left.iter().find_map(|left| match &left.head.version {
        Version::File { upload, .. } => Some(upload.clone()),
        Version::Object { .. } => None,
    });
    upload.unwrap()
}

async fn list(home: &Path, meter: &Meter) -> Vec<Value> {
    let output = run(home, &meter.endpoint, &["obs-copy", "--list-unfinished", "-F", "json"]).await;
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_is_listed_and_given_up() {
    let store = Store::embedded().await;
    let meter = Meter::start(&store.endpoint, 60 * MIB).await;
    let folder = tempfile::tempdir().unwrap();
    let home = &folder.path().canonicalize().unwrap();
    assert!(list(home, &meter).await.is_empty());
    let upload = leave_two(home, &meter).await;
    let mut listed = list(home, &meter).await;
    assert_eq!(listed.len(), 2);
    // Both may have begun in the same second.
    listed.sort_by_key(|row| std::cmp::Reverse(row["direction"].as_str().map(str::to_owned)));
    assert_eq!((listed[0]["direction"].as_str(), listed[1]["direction"].as_str()), (Some("upload"), Some("download")));
    assert_eq!(listed[0]["source"].as_str(), home.join("large").to_str());
    assert_eq!(listed[0]["destination"], "obs://copies/large");
    assert_eq!((listed[0]["running"].as_bool(), listed[0]["size"].as_u64()), (Some(false), Some(60 * MIB)));
    let table = run(home, &meter.endpoint, &["obs-copy", "--list-unfinished"]).await;
    assert!(String::from_utf8_lossy(&table.stdout).contains(listed[0]["id"].as_str().unwrap()));

    // Nobody is asked, nobody agrees: nothing happens.
    let asked = run(home, &meter.endpoint, &["obs-copy", "--discard-unfinished"]).await;
    assert_eq!((asked.status.code(), list(home, &meter).await.len()), (Some(1), 2), "{}", said(&asked));
    let unknown = run(home, &meter.endpoint, &["obs-copy", "--discard-unfinished", "0123456789abcdef", "-y"]).await;
    assert_eq!(unknown.status.code(), Some(5));
    // Another store's uploads are not this one's to abort.
    let id = listed[0]["id"].as_str().unwrap();
    let elsewhere = run(home, "http://127.0.0.1:1", &["obs-copy", "--discard-unfinished", id, "-y"]).await;
    assert_eq!(elsewhere.status.code(), Some(3), "{}", said(&elsewhere));
    assert!(said(&elsewhere).contains(&meter.endpoint));

    let one = run(home, &meter.endpoint, &["obs-copy", "--discard-unfinished", id, "-y"]).await;
    assert!(one.status.success(), "{}", said(&one));
    assert_eq!(list(home, &meter).await.len(), 1);
    let gone = client(&store.endpoint).list_parts(&ObsUrl::new(BUCKET, "large"), &upload).await;
    assert!(gone.is_err_and(|error| error.is_not_found()));
    let rest = run(home, &meter.endpoint, &["obs-copy", "--discard-unfinished", "-y", "-F", "json"]).await;
    assert!(rest.status.success(), "{}", said(&rest));
    assert!(list(home, &meter).await.is_empty());
    let mut names: Vec<_> = std::fs::read_dir(home).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".modelarts", "large"], "the partial file went too");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_does_not_give_up_stays_listed() {
    let store = Store::embedded().await;
    let meter = Meter::start(&store.endpoint, 60 * MIB).await;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    leave_two(home, &meter).await;
    let wrong_key = |arguments: &[&str]| {
        let mut command = command(home, &meter.endpoint, arguments);
        command.env("HUAWEICLOUD_SDK_SK", "wrong");
        Process::start(command).output()
    };
    let output = wrong_key(&["obs-copy", "--discard-unfinished", "-y"]).await;
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let listed = list(home, &meter).await;
    assert!(listed.len() == 1 && listed[0]["direction"] == "upload", "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_still_needs_its_ends() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["obs-copy"][..], &["obs-copy", "a"], &["obs-copy", "--list-unfinished", "a"]] {
        let output = run(folder.path(), "http://127.0.0.1:1", arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {}", said(&output));
    }
}
