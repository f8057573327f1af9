//! The binary: lines, documents and exit codes.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Store, client, make_tree, put};

fn run(store: &Store, directory: &Path, secret_key: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ma-cli"))
        .args(arguments)
        .env_clear()
        .env("HOME", directory)
        .env("MA_CLI_OBS_ENDPOINT", &store.endpoint)
        .env("HUAWEICLOUD_SDK_AK", ACCESS_KEY)
        .env("HUAWEICLOUD_SDK_SK", secret_key)
        .env("REGION_NAME", REGION)
        .env("PROJECT_ID", "none")
        .current_dir(directory)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_the_originals_lines_and_a_summary() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().canonicalize().unwrap();
    make_tree(&home, &[("data/a", Some(b"12345".to_vec()))]);
    let shown = home.display();
    let table: [(&[&str], String); 4] = [
        (
            &["obs-copy", "./data/", "obs://copies/x/"],
            format!("[OK] local src path: [{shown}/data/]\n[OK] obs dst path: [obs://copies/x/]\n"),
        ),
        (
            &["obs-copy", "./data/", "obs://copies/x/", "--drop-last-dir"],
            format!("[OK] local src path: [{shown}/data]\n[OK] obs dst path: [obs://copies/x/]\n"),
        ),
        (
            &["obs-copy", "obs://copies/x/a", "out"],
            format!("[OK] obs src path: [obs://copies/x/a]\n[OK] local dst path: [{shown}/out]\n"),
        ),
        (
            &["obs-copy", "-d", "obs://copies/x/", "folder/"],
            format!("[OK] obs src path: [obs://copies/x]\n[OK] local dst path: [{shown}/folder/]\n"),
        ),
    ];
    for (arguments, expected) in table {
        let output = run(&store, &home, SECRET_KEY, arguments);
        assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stderr).contains(" file") && text(&output.stderr).contains("checked by md5"));
    }
    assert_eq!(std::fs::read(home.join("folder/data/a")).unwrap(), b"12345");
    let output = run(&store, &home, SECRET_KEY, &["obs-copy", "data", "obs://copies/y", "-F", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((document["files"].as_u64(), document["bytes"].as_u64()), (Some(1), Some(5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_what_happened() {
    let store = Store::embedded().await;
    let direct = client(&store.endpoint);
    put(&direct, "p/good", b"1").await;
    put(&direct, "p/../evil", b"2").await;
    let folder = tempfile::tempdir().unwrap();
    make_tree(folder.path(), &[("file", Some(b"1".to_vec()))]);
    let table: [(&[&str], &str, i32); 7] = [
        (&["obs-copy", "obs://copies/p/", "out"], SECRET_KEY, 3),
        (&["obs-copy", "obs://copies/nothing", "out"], SECRET_KEY, 5),
        (&["obs-copy", "nothing", "obs://copies/"], SECRET_KEY, 5),
        (&["obs-copy", "file", "obs://no-such-bucket/"], SECRET_KEY, 5),
        (&["obs-copy", "file", "other"], SECRET_KEY, 2),
        (&["obs-copy", "file", "obs://copies/"], "wrong", 4),
        (&["obs", "ls"], "wrong", 4),
    ];
    for (arguments, secret_key, expected) in table {
        let output = run(&store, folder.path(), secret_key, arguments);
        assert_eq!(output.status.code(), Some(expected), "{arguments:?} {}", text(&output.stderr));
        assert!(expected == 2 || text(&output.stderr).contains("[ERROR]"), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    let partial = run(&store, folder.path(), SECRET_KEY, &["obs-copy", "obs://copies/p/", "again"]);
    assert!(text(&partial.stderr).contains("failed: [../evil]"), "{}", text(&partial.stderr));
    assert!(folder.path().join("again/p/good").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_into_buckets() {
    let store = Store::embedded().await;
    put(&client(&store.endpoint), "d/a b", b"content").await;
    let folder = tempfile::tempdir().unwrap();
    let succeed = |arguments: &[&str]| {
        let output = run(&store, folder.path(), SECRET_KEY, arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?} {}", text(&output.stderr));
        text(&output.stdout).to_owned()
    };
    assert_eq!(succeed(&["obs", "cat", "obs://copies/d/a b"]), "content");
    assert_eq!(succeed(&["obs", "mb", "obs://new-bucket"]), "[OK] bucket: [obs://new-bucket/]\n");
    let buckets: serde_json::Value = serde_json::from_str(&succeed(&["obs", "ls", "-F", "json"])).unwrap();
    assert_eq!(buckets.as_array().unwrap().len(), 2);
    assert_eq!(succeed(&["obs", "ls", "obs://copies", "--query", "[].key | [0]"]).trim(), "d/");
    assert_eq!(succeed(&["obs", "ls", "-r", "obs://copies", "--query", "[].key | [0]"]).trim(), "d/a b");
    assert_eq!(succeed(&["obs", "stat", "obs://copies/d/a b", "--query", "size"]).trim(), "7");
    succeed(&["obs", "rm", "-r", "-y", &format!("obs://{BUCKET}/d/")]);
    let gone = run(&store, folder.path(), SECRET_KEY, &["obs", "rm", "obs://copies/d/a b"]);
    assert_eq!(gone.status.code(), Some(5));
}
