//! What is chosen: patterns, lists of names, shares, links, and keys that cannot be placed.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::program::{copy, counts, run_with_input};
use crate::support::{Store, assert_same, client, keys, make_tree, put, tree};

fn sample(root: &Path) {
    let files = ["a.txt", "a.tmp", "data/raw/1.csv", "data/raw/2.csv", "data/clean/1.csv", ".git/config", "data/notes.txt"];
    let entries: Vec<(&str, Option<Vec<u8>>)> = files.iter().map(|name| (*name, Some(name.as_bytes().to_vec()))).collect();
    make_tree(root, &entries);
}

fn files(root: &Path) -> Vec<String> {
    if !root.exists() {
        return Vec::new();
    }
    tree(root).into_iter().filter(|(_, content)| content.is_some()).map(|(name, _)| name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_choose_both_ways() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    sample(&folder.path().join("src"));
    let table: [(&[&str], &[&str]); 4] = [
        (&["--include", "*.txt"], &["a.txt", "data/notes.txt"]),
        (
            &["--exclude", "*.tmp", "--exclude", ".git"],
            &["a.txt", "data/clean/1.csv", "data/notes.txt", "data/raw/1.csv", "data/raw/2.csv"],
        ),
        (&["--include", "data/**/*.csv", "--exclude", "raw/"], &["data/clean/1.csv"]),
        (&["--include", "*.csv", "--include", "data/*", "--exclude", "1.*"], &["data/notes.txt", "data/raw/2.csv"]),
    ];
    copy(&store, folder.path(), &["src", "obs://copies/all/", "-d"], 0);
    for (number, (patterns, expected)) in table.into_iter().enumerate() {
        let prefix = format!("up{number}/");
        let up = format!("obs://copies/{prefix}");
        copy(&store, folder.path(), &[["src", &up, "-d"].as_slice(), patterns].concat(), 0);
        let uploaded: Vec<String> = keys(&client, &prefix).await.iter().map(|key| key[prefix.len()..].to_owned()).collect();
        assert_eq!(uploaded, expected, "{patterns:?}");
        let down = format!("down{number}");
        copy(&store, folder.path(), &[["obs://copies/all/", &down, "-d"].as_slice(), patterns].concat(), 0);
        assert_eq!(files(&folder.path().join(down)), expected, "{patterns:?}");
    }
    let (_, error) = copy(&store, folder.path(), &["src", "obs://copies/x/", "--include", "[a"], 2);
    assert!(error.contains("[[a]"), "{error}");
    let (_, error) = copy(&store, folder.path(), &["src/a.txt", "obs://copies/x/", "--exclude", "*.txt"], 2);
    assert!(error.contains("one file"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_are_disjoint_and_complete() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..60).map(|number| format!("d{}/f{number}", number % 5)).collect();
    let entries: Vec<_> = names.iter().map(|name| (name.as_str(), Some(b"x".to_vec()))).collect();
    make_tree(&folder.path().join("src"), &entries);
    let mut total = 0;
    for index in 1..=3 {
        let share = format!("{index}/3");
        total += counts(&store, folder.path(), &["src", "obs://copies/s/", "-d", "--shard", &share], 0)[0];
        let down = counts(&store, folder.path(), &["obs://copies/s/", "back", "-d", "--shard", &share], 0)[0];
        assert!((5..40).contains(&down), "{share}: {down}");
    }
    assert_eq!((total, keys(&client, "s/").await.len()), (60, 60), "no name is in two shares, none is in none");
    assert_same(&folder.path().join("src"), &folder.path().join("back"));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_come_from_a_list() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    sample(&folder.path().join("src"));
    copy(&store, folder.path(), &["src", "obs://copies/all/", "-d"], 0);
    let list = "a.txt\n\ndata/raw/1.csv\nmissing\n../secret\n/etc/passwd\ndata\n";
    std::fs::write(folder.path().join("list"), list).unwrap();
    std::fs::write(folder.path().join("secret"), "1").unwrap();
    let up = counts(&store, folder.path(), &["src", "obs://copies/l/", "-d", "--files-from", "list"], 3);
    assert_eq!(up, [2, 0, 0, 4]);
    assert_eq!(keys(&client, "l/").await, ["l/a.txt", "l/data/raw/1.csv"]);
    let down = counts(&store, folder.path(), &["obs://copies/all/", "down", "-d", "--files-from", "list"], 3);
    assert_eq!(down, [2, 0, 0, 4]);
    assert_eq!(files(&folder.path().join("down")), ["a.txt", "data/raw/1.csv"]);
    let arguments = ["obs-copy", "src", "obs://copies/n/", "-d", "--files-from", "-", "--null", "--update"];
    let output = run_with_input(&store, folder.path(), &arguments, "data/notes.txt\0a.tmp\0");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(keys(&client, "n/").await, ["n/a.tmp", "n/data/notes.txt"]);
    copy(&store, folder.path(), &["src", "obs://copies/l/", "--files-from", "list", "--delete"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_what_was_asked_for() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    make_tree(&folder.path().join("src"), &[("real/file", Some(b"1".to_vec()))]);
    symlink("real", folder.path().join("src/linked")).unwrap();
    symlink("real/file", folder.path().join("src/also")).unwrap();
    let table = [("follow", [3, 0, 0, 0], 0, 3), ("skip", [1, 2, 0, 0], 0, 1), ("error", [1, 0, 0, 2], 3, 1)];
    for (links, expected, code, objects) in table {
        let target = format!("obs://copies/{links}/");
        assert_eq!(counts(&store, folder.path(), &["src", &target, "-d", "--links", links], code), expected, "{links}");
        assert_eq!(keys(&client, &format!("{links}/")).await.len(), objects);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_fail_are_skipped_encoded_or_end_it() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let all = ["a", "a/b", "a/b/c", "b//c", "b/../d", "line\u{7}", "50%", "%41", "good"];
    for key in all {
        put(&client, &format!("p/{key}"), key.as_bytes()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let plain: BTreeSet<String> = ["%41", "50%", "a", "good"].map(str::to_owned).into();
    for (conflict, code, failed, skipped) in [("fail", 3, 5, 0), ("skip", 0, 0, 5)] {
        let found = counts(&store, folder.path(), &["obs://copies/p/", conflict, "-d", "--conflict", conflict], code);
        assert_eq!(found, [4, skipped, 0, failed], "{conflict}");
        assert_eq!(files(&folder.path().join(conflict)).into_iter().collect::<BTreeSet<_>>(), plain);
    }
    let (_, error) = copy(&store, folder.path(), &["obs://copies/p/", "abort", "-d", "--conflict", "abort"], 2);
    assert!(error.contains("b//c") && !folder.path().join("abort").exists(), "{error}");
    copy(&store, folder.path(), &["obs://copies/p/", "ok", "-d", "--conflict", "abort", "--include", "good"], 0);
    assert_eq!(counts(&store, folder.path(), &["obs://copies/p/", "encode", "-d", "--conflict", "encode"], 0), [9, 0, 0, 0]);
    let encoded = folder.path().join("encode");
    for name in files(&encoded) {
        let key = percent_encoding::percent_decode_str(&name).decode_utf8().unwrap().into_owned();
        assert_eq!(std::fs::read(encoded.join(&name)).unwrap(), key.as_bytes(), "decoding {name} gives the key");
    }
    assert_eq!(
        counts(&store, folder.path(), &["obs://copies/p/", "encode", "-d", "--conflict", "encode", "-u"], 0),
        [0, 9, 0, 0]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_for_names_counts_as_requests() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..8).map(|number| format!("f{number}")).collect();
    for name in &names {
        put(&client, &format!("n/{name}"), b"x").await;
    }
    std::fs::write(folder.path().join("names"), names.join("\n")).unwrap();
    let arguments = ["obs://copies/n/", "out", "-d", "--files-from", "names", "--limit-requests", "8", "-F", "json"];
    let (out, _) = copy(&store, folder.path(), &arguments, 0);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["files"], 8);
    // Sixteen requests: eight look, eight fetch.
    let seconds = document["seconds"].as_f64().unwrap();
    assert!(seconds > 1.5, "{seconds}");
}
