//! `--delete` and `--dry-run`.

use std::os::unix::fs::symlink;

use crate::program::{copy, counts, json_lines, run_with_input};
use crate::support::{Store, assert_same, client, keys, make_tree, put, tree};

#[tokio::test(flavor = "multi_thread")]
async fn the_store_becomes_the_mirror_of_a_folder() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    make_tree(&home.join("src"), &[("a", Some(b"1".to_vec())), ("d/b", Some(b"2".to_vec())), ("empty", None)]);
    for key in ["m/a", "m/", "m/d/", "m/extra", "m/d/extra", "m/gone/", "m/keep.log", "m/a//b", "other"] {
        put(&client, key, b"x").await;
    }
    let mirror = ["src", "obs://copies/m/", "-d", "--update", "--delete", "--exclude", "*.log"];
    // Nobody to ask: nothing is deleted.
    let (_, error) = copy(&store, home, &mirror, 1);
    assert!(error.contains("Delete 3 files") || error.contains("Delete 4 files"), "{error}");
    assert!(keys(&client, "m/extra").await.len() == 1);
    let answered = run_with_input(&store, home, &[["obs-copy"].as_slice(), &mirror].concat(), "n\n");
    assert_eq!((answered.status.code(), keys(&client, "m/extra").await.len()), (Some(1), 1));
    let answered = run_with_input(&store, home, &[["obs-copy"].as_slice(), &mirror].concat(), "y\n");
    assert_eq!(answered.status.code(), Some(0), "{}", String::from_utf8_lossy(&answered.stderr));
    assert_eq!(keys(&client, "").await, ["m/", "m/a", "m/d/", "m/d/b", "m/empty/", "m/keep.log", "other"]);
    assert_eq!(counts(&store, home, &[mirror.as_slice(), &["-y"]].concat(), 0), [0, 2, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_14_a_folder_becomes_the_mirror_of_the_store() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    for key in ["m/a", "m/d/b", "m/marked/"] {
        put(&client, key, if key.ends_with('/') { b"" } else { b"x" }).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    make_tree(
        &home.join("dst"),
        &[
            ("extra", Some(b"1".to_vec())),
            ("d/extra", Some(b"2".to_vec())),
            ("gone/deep/er", Some(b"3".to_vec())),
            ("gone/too", Some(b"3".to_vec())),
            ("holds/keep.log", Some(b"4".to_vec())),
            ("holds/extra", Some(b"5".to_vec())),
            ("was empty", None),
            ("outside/precious", Some(b"6".to_vec())),
            (".d.0123.ma-part", Some(b"7".to_vec())),
        ],
    );
    std::fs::rename(home.join("dst/outside"), home.join("outside")).unwrap();
    symlink(home.join("outside"), home.join("dst/link")).unwrap();
    let mirror = ["obs://copies/m/", "dst", "-d", "--update", "--delete", "-y", "--exclude", "*.log"];
    assert_eq!(counts(&store, home, &mirror, 0), [2, 0, 5, 0]);
    let left = tree(home);
    let left: Vec<&str> =
        left.keys().filter_map(|name| name.strip_prefix("dst/")).filter(|name| !name.starts_with("link")).collect();
    assert_eq!(left, [".d.0123.ma-part", "a", "d", "d/b", "holds", "holds/keep.log", "marked"]);
    assert!(home.join("outside/precious").exists() && home.join("dst/link").is_symlink());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_after_a_doubt() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    put(&client, "m/extra", b"x").await;
    // A failure: what could not be read may be what seems to be missing.
    make_tree(&home.join("src"), &[("a", Some(b"1".to_vec()))]);
    symlink("nowhere", home.join("src/broken")).unwrap();
    let (_, error) = copy(&store, home, &["src", "obs://copies/m/", "-d", "--delete", "-y"], 3);
    assert!(error.contains("nothing was deleted"), "{error}");
    // An empty source.
    std::fs::create_dir(home.join("nothing")).unwrap();
    let (_, error) = copy(&store, home, &["nothing", "obs://copies/m/", "-d", "--delete"], 1);
    assert!(error.contains("the source is empty"), "{error}");
    // A file is no folder; a missing source is none either.
    copy(&store, home, &["src/a", "obs://copies/m/", "--delete", "-y"], 2);
    copy(&store, home, &["obs://copies/nowhere/", "src", "-d", "--delete", "-y"], 5);
    assert_eq!(keys(&client, "m/").await, ["m/", "m/a", "m/extra"]);
    assert!(home.join("src/a").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_looked_into_is_no_empty_one() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    make_tree(&home.join("src"), &[("a.jpg", Some(b"1".to_vec()))]);
    // Deeper than keys are long.
    let part = "d".repeat(250);
    std::fs::create_dir_all(home.join("src").join([part.as_str(); 5].join("/"))).unwrap();
    put(&client, "m/extra.jpg", b"x").await;
    for chosen in [["--include", "*.jpg"], ["--shard", "1/2"], ["--shard", "2/2"]] {
        let mirror = ["src", "obs://copies/m/", "-d", "--delete", "-y"];
        let (_, error) = copy(&store, home, &[mirror.as_slice(), &chosen].concat(), 3);
        assert!(error.contains("nothing was deleted"), "{chosen:?} {error}");
    }
    assert_eq!(keys(&client, "m/").await, ["m/a.jpg", "m/extra.jpg"]);
    copy(&store, home, &["src", "obs://copies/m/", "-d", "--delete", "-y", "--include", "*.jpg", "--exclude", "ddd*"], 0);
    assert_eq!(keys(&client, "m/").await, ["m/a.jpg"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_does_not_delete_its_own_source() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    put(&client, "e/a", b"x").await;
    let (_, error) = copy(&store, folder.path(), &["obs://copies/e/", "obs://copies", "-d", "--delete", "-y"], 2);
    assert!(error.contains("--delete would delete the source"), "{error}");
    assert_eq!(keys(&client, "").await, ["e/a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_deletes_only_its_own() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    make_tree(&home.join("src"), &[("a", Some(b"1".to_vec()))]);
    for number in 0..20 {
        put(&client, &format!("m/extra{number}"), b"x").await;
    }
    let deleted =
        |share: &str| counts(&store, home, &["src", "obs://copies/m/", "-d", "-u", "--delete", "-y", "--shard", share], 0)[2];
    let first = deleted("1/2");
    assert!(first > 0 && first < 20, "{first}");
    assert_eq!(first + deleted("2/2"), 20);
    assert_eq!(keys(&client, "m/").await, ["m/a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_and_does_nothing() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().canonicalize().unwrap();
    make_tree(
        &home.join("src"),
        &[("a", Some(b"1".to_vec())), ("d/b \"q\"", Some(b"22".to_vec())), ("skip.log", Some(Vec::new()))],
    );
    for key in ["m/a", "m/extra"] {
        put(&client, key, b"1").await;
    }
    let before = keys(&client, "").await;
    let up = ["src", "obs://copies/m/", "-d", "-u", "--delete", "--dry-run", "--exclude", "*.log"];
    let (out, error) = copy(&store, &home, &[up.as_slice(), &["-F", "jsonl"]].concat(), 0);
    let lines = json_lines(&out);
    assert_eq!(lines.len(), 2, "{out}");
    let shown = home.display();
    assert_eq!(
        lines[0],
        serde_json::json!({
            "action": "upload", "source": format!("{shown}/src/d/b \"q\""), "destination": "obs://copies/m/d/b \"q\"", "bytes": 2, "reason": "missing",
        })
    );
    assert_eq!(
        lines[1],
        serde_json::json!({
            "action": "delete", "source": null, "destination": "obs://copies/m/extra", "bytes": 1, "reason": "not in the source",
        })
    );
    assert!(error.contains("dry run: 1 file, 2 B, would be copied; 1 skipped; 1 would be deleted"), "{error}");
    let (table, _) = copy(&store, &home, &up, 0);
    assert!(table.contains("upload") && table.contains("obs://copies/m/extra  (not in the source)"), "{table}");
    let (document, _) = copy(&store, &home, &[up.as_slice(), &["--query", "[].action"]].concat(), 0);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&document).unwrap(), serde_json::json!(["upload", "delete"]));
    // Neither folder nor bucket is made.
    let (out, _) = copy(&store, &home, &["obs://copies/m/", "new/folder", "-n", "-F", "jsonl"], 0);
    assert_eq!(json_lines(&out)[0]["destination"], format!("{shown}/new/folder/m/a"));
    copy(&store, &home, &["src", "obs://no-such-bucket/", "-n", "-u"], 5);
    copy(&store, &home, &["src/a", "obs://copies/one", "-n"], 0);
    copy(&store, &home, &["obs://copies/m/a", "one", "-n"], 0);
    assert!(!home.join("new").exists() && !home.join("one").exists());
    assert_eq!(keys(&client, "").await, before);
    assert_eq!(client.list_buckets().await.unwrap().len(), 1);
    // What it told of is what is done.
    copy(&store, &home, &["src", "obs://copies/m/", "-d", "-u", "--delete", "-y"], 0);
    copy(&store, &home, &["obs://copies/m/", "back", "-d"], 0);
    assert_same(&home.join("src"), &home.join("back"));
}
