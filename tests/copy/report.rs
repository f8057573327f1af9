//! `--report`, and running its failures again.

use std::os::unix::fs::PermissionsExt as _;

use crate::program::{copy, counts, json_lines, run_with_input};
use crate::support::{Store, client, keys, make_tree, put};

#[tokio::test(flavor = "multi_thread")]
async fn tells_of_every_object_and_can_be_run_again() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    make_tree(&home.join("src"), &[("a", Some(b"1".to_vec())), ("kept", Some(b"22".to_vec())), ("d/b", Some(b"333".to_vec()))]);
    put(&client, "r/kept", b"22").await;
    put(&client, "r/extra", b"x").await;
    std::os::unix::fs::symlink("nowhere", home.join("src/broken")).unwrap();
    let arguments = ["src", "obs://copies/r/", "-d", "-u", "--report", "report"];
    copy(&store, home, &arguments, 3);
    let path = home.join("report");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let read = || {
        let mut lines = json_lines(&std::fs::read_to_string(&path).unwrap());
        lines.sort_by_key(|line| line["name"].as_str().unwrap().to_owned());
        lines
    };
    let lines = read();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[0], serde_json::json!({"name": "a", "status": "done", "bytes": 1, "check": "md5"}));
    assert_eq!((lines[1]["name"].as_str(), lines[1]["status"].as_str()), (Some("broken"), Some("failed")));
    assert!(lines[1]["error"].as_str().unwrap().contains("broken"));
    assert_eq!((&lines[2]["status"], &lines[3]["status"]), (&"done".into(), &"skipped".into()));

    // The cause put right, what failed is copied, and only that.
    std::fs::remove_file(home.join("src/broken")).unwrap();
    std::fs::write(home.join("src/broken"), "mended").unwrap();
    copy(&store, home, &["src", "obs://copies/r/", "-d", "--files-from", "report", "--report", "report"], 2);
    assert_eq!(counts(&store, home, &["src", "obs://copies/r/", "-d", "--files-from", "report"], 0), [1, 0, 0, 0]);
    assert_eq!(keys(&client, "r/broken").await, ["r/broken"]);

    // What is deleted is told of too.
    copy(&store, home, &["src", "obs://copies/r/", "-d", "-u", "--delete", "-y", "--report", "report"], 0);
    let lines = read();
    assert_eq!(lines.iter().filter(|line| line["status"] == "skipped").count(), 4);
    assert_eq!(lines.iter().find(|line| line["status"] == "deleted").unwrap()["name"], "extra");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_downloads_can_be_run_again() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    for key in ["r/a", "r/taken", "r/../x"] {
        put(&client, key, b"content").await;
    }
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    make_tree(home, &[("dst/taken/in the way", Some(Vec::new()))]);
    copy(&store, home, &["obs://copies/r/", "dst", "-d", "--report", "report"], 3);
    std::fs::remove_dir_all(home.join("dst/taken")).unwrap();
    assert_eq!(counts(&store, home, &["obs://copies/r/", "dst", "-d", "--files-from", "report"], 3), [1, 0, 0, 1]);
    assert!(home.join("dst/taken").is_file());
    for conflict in ["encode", "abort"] {
        let unordered = ["obs://copies/r/", "new", "-d", "--files-from", "report", "--conflict", conflict];
        copy(&store, home, &unordered, 2);
    }
    assert!(!home.join("new").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_replaced_before_the_copy_is_known_to_be_in_order() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    make_tree(home, &[("file", Some(b"precious".to_vec())), ("report", Some(b"old".to_vec()))]);
    copy(&store, home, &["file", "obs://copies/r/", "--report", "file"], 2);
    // A source of one file has no patterns, so the old report stays.
    copy(&store, home, &["file", "obs://copies/r/", "--report", "report", "--include", "*"], 2);
    assert_eq!(std::fs::read(home.join("file")).unwrap(), b"precious");
    assert_eq!(std::fs::read(home.join("report")).unwrap(), b"old");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_failure_that_ends_a_run_is_told_of() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    make_tree(&home.join("src"), &[("file", Some(b"1".to_vec()))]);
    std::os::unix::fs::symlink("nowhere", home.join("src/broken")).unwrap();
    let failed = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["obs-copy"].iter().chain(arguments).chain(&["--report", "report"]).copied().collect();
        assert!(!run_with_input(&store, home, &arguments, "").status.success(), "{arguments:?}");
        let lines = json_lines(&std::fs::read_to_string(home.join("report")).unwrap());
        let failed = lines.into_iter().filter(|line| line["status"] == "failed");
        failed.map(|line| line["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(failed(&["src", "obs://copies/r/", "-d", "--fail-fast"]), ["broken"]);
    assert_eq!(failed(&["src", "obs://copies/r/", "-d"]), ["broken"]);
    let single = failed(&["src/file", "obs://missing/file"]);
    assert!(single.len() == 1 && single[0].ends_with("src/file"), "{single:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_keys_and_takes_folders_by_their_names() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    for key in ["r/a", "r/../x"] {
        put(&client, key, b"content").await;
    }
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let encoding = ["obs://copies/r/", "dst", "-d", "--no-overwrite", "--conflict", "encode", "--report", "report"];
    for status in ["done", "skipped"] {
        copy(&store, home, &encoding, 0);
        let mut lines = json_lines(&std::fs::read_to_string(home.join("report")).unwrap());
        lines.sort_by_key(|line| line["name"].as_str().unwrap().to_owned());
        let told: Vec<_> =
            lines.iter().map(|line| (line["name"].as_str().unwrap(), line["status"].as_str().unwrap())).collect();
        assert_eq!(told, [("../x", status), ("a", status)], "the key, not the path");
    }
    assert!(home.join("dst/%2E%2E/x").is_file());

    make_tree(&home.join("src"), &[("empty", None), ("full/file", Some(Vec::new()))]);
    std::fs::write(home.join("list"), "empty/\n").unwrap();
    copy(&store, home, &["src", "obs://copies/f/", "-d", "--files-from", "list"], 0);
    assert_eq!(keys(&client, "f/").await, ["f/empty/"]);
    copy(&store, home, &["obs://copies/f/", "back", "-d", "--files-from", "list"], 0);
    assert!(home.join("back/empty").is_dir());
    std::fs::write(home.join("list"), "full/\nempty/../full/\n").unwrap();
    assert_eq!(counts(&store, home, &["src", "obs://copies/f/", "-d", "--files-from", "list"], 3)[3], 2);
}
