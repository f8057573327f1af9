//! What need not be copied again.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::program::counts;
use crate::support::{Store, assert_same, client, keys, make_tree, noise, put};

fn touch(path: &Path, ago: u64) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(ago)).unwrap();
}

/// Names whose order by bytes differs from their order by folders, beside more than a page of others.
fn sample(root: &Path, many: usize) {
    make_tree(
        root,
        &[
            ("a", Some(b"1".to_vec())),
            ("b-c/x", Some(b"2".to_vec())),
            ("b.txt", Some(b"3".to_vec())),
            ("b/x", Some(b"4".to_vec())),
            ("b/x-y/z", Some(b"5".to_vec())),
            ("b/x+", Some(b"6".to_vec())),
            ("b0", Some(b"7".to_vec())),
            ("empty", None),
            ("large", Some(noise(11 << 20, 1))),
        ],
    );
    for number in 0..many {
        make_tree(root, &[(&format!("many/{}/{number}", number % 7), Some(b"m".to_vec()))]);
    }
}

async fn round_trip(store: &Store, many: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (src, home) = (folder.path().join("src"), folder.path());
    sample(&src, many);
    let files = 8 + many as u64;
    let up = ["src", "obs://copies/u/", "-d", "--update", "--part-size", "5M"];
    let down = ["obs://copies/u/", "back", "-d", "--update"];
    assert_eq!(counts(store, home, &up, 0), [files, 0, 0, 0]);
    assert_eq!(counts(store, home, &up, 0), [0, files, 0, 0], "nothing to send");
    assert_eq!(counts(store, home, &down, 0), [files, 0, 0, 0]);
    assert_same(&src, &folder.path().join("back"));
    assert_eq!(counts(store, home, &down, 0), [0, files, 0, 0], "nothing to fetch");
    let back = ["back", "obs://copies/u/", "-d", "--update"];
    assert_eq!(counts(store, home, &back, 0), [0, files, 0, 0], "a round trip copies nothing");

    // Other sizes, newer times, missing on either side.
    std::fs::write(src.join("b.txt"), "longer").unwrap();
    touch(&src.join("b.txt"), 1000);
    std::fs::write(src.join("b/new"), "new").unwrap();
    let later = std::fs::File::options().write(true).open(src.join("b0")).unwrap();
    later.set_modified(SystemTime::now() + Duration::from_secs(5)).unwrap();
    assert_eq!(counts(store, home, &up, 0), [3, files - 2, 0, 0]);
    std::fs::remove_file(folder.path().join("back/b/x")).unwrap();
    touch(&folder.path().join("back/a"), 100_000);
    std::fs::write(folder.path().join("back/b-c/x"), "other size").unwrap();
    // Stores tell times in seconds.
    touch(&folder.path().join("back/b0"), 100_000);
    // b.txt, b/new and b0 are newer at the store by now.
    assert_eq!(counts(store, home, &down, 0), [6, files - 5, 0, 0]);
    assert_same(&src, &folder.path().join("back"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_copied_twice() {
    round_trip(&Store::embedded().await, 1200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_copied_twice_at_seaweedfs() {
    round_trip(&Store::seaweedfs().await, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_or_checksums_decide_where_asked() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    make_tree(&home.join("src"), &[("same", Some(b"12345".to_vec())), ("large", Some(noise(11 << 20, 1)))]);
    counts(&store, home, &["src", "obs://copies/c/", "-d", "--part-size", "5M"], 0);
    // Newer, but the same.
    for name in ["same", "large"] {
        let file = std::fs::File::options().write(true).open(home.join("src").join(name)).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(100)).unwrap();
    }
    assert_eq!(counts(&store, home, &["src", "obs://copies/c/", "-d", "--size-only"], 0), [0, 2, 0, 0]);
    assert_eq!(counts(&store, home, &["src", "obs://copies/c/", "-d", "--checksum"], 0), [0, 2, 0, 0]);
    // Older, of the same size, and not the same.
    std::fs::write(home.join("src/same"), "54321").unwrap();
    touch(&home.join("src/same"), 1000);
    assert_eq!(counts(&store, home, &["src", "obs://copies/c/", "-d", "--update", "--exclude", "large"], 0), [0, 1, 0, 0]);
    assert_eq!(counts(&store, home, &["src", "obs://copies/c/", "-d", "--checksum"], 0), [1, 1, 0, 0]);
    counts(&store, home, &["obs://copies/c/", "back", "-d"], 0);
    std::fs::write(home.join("back/same"), "99999").unwrap();
    assert_eq!(counts(&store, home, &["obs://copies/c/", "back", "-d", "--update"], 0), [0, 2, 0, 0]);
    assert_eq!(counts(&store, home, &["obs://copies/c/", "back", "-d", "--checksum"], 0), [1, 1, 0, 0]);
    assert_same(&home.join("src"), &home.join("back"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exists_stays_where_asked() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    make_tree(&home.join("src"), &[("old", Some(b"new content".to_vec())), ("new", Some(b"1".to_vec()))]);
    put(&client, "k/old", b"kept").await;
    assert_eq!(counts(&store, home, &["src", "obs://copies/k/", "-d", "--no-overwrite"], 0), [1, 1, 0, 0]);
    assert_eq!(client.head(&"obs://copies/k/old".parse().unwrap()).await.unwrap().size, 4);
    assert_eq!(counts(&store, home, &["obs://copies/k/", "src", "-d", "--no-overwrite"], 0), [0, 2, 0, 0]);
    assert_eq!(std::fs::read(home.join("src/old")).unwrap(), b"new content");
    // Single files, both ways.
    let single = [["src/old", "obs://copies/k/old"], ["obs://copies/k/old", "src/old"]];
    for [from, to] in single {
        assert_eq!(counts(&store, home, &[from, to, "--no-overwrite"], 0), [0, 1, 0, 0], "{from}");
    }
    assert_eq!(counts(&store, home, &["src/new", "obs://copies/k/new", "--update"], 0), [0, 1, 0, 0]);
    assert_eq!(counts(&store, home, &["src/old", "obs://copies/k/old", "--update"], 0), [1, 0, 0, 0]);
    assert_eq!(keys(&client, "k/").await, ["k/new", "k/old"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_inside_the_store_choose_update_and_mirror() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    for key in ["from/a.txt", "from/d/b.txt", "from/d/c.log", "to/a.txt", "to/extra", "to/kept.log"] {
        put(&client, key, b"x").await;
    }
    let folder = tempfile::tempdir().unwrap();
    let copy = ["obs://copies/from/", "obs://copies/to/", "-d", "--size-only", "--exclude", "*.log"];
    let dry = [copy.as_slice(), &["--delete", "-n", "-F", "jsonl"]].concat();
    let (told, _) = crate::program::copy(&store, folder.path(), &dry, 0);
    let actions: Vec<_> = crate::program::json_lines(&told).iter().map(|line| line["action"].clone()).collect();
    assert_eq!(actions, ["copy", "delete"], "{told}");
    let mirror = [copy.as_slice(), &["--delete", "-y"]].concat();
    assert_eq!(counts(&store, folder.path(), &mirror, 0), [1, 1, 1, 0]);
    assert_eq!(counts(&store, folder.path(), &mirror, 0), [0, 2, 0, 0]);
    assert_eq!(keys(&client, "to/").await, ["to/a.txt", "to/d/b.txt", "to/kept.log"]);
}
