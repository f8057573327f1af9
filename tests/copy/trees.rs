//! Files and folders, both ways.

use std::path::Path;

use ma_cli::copy::{self, Error, Plan, Verify};
use ma_cli::obs::copying::CopySource;
use ma_cli::obs::{Client, ObsUrl};

use crate::support::{
    BUCKET, Store, assert_same, client, copy_plan, download, keys, make_tree, noise, small_parts, tree, upload,
};

/// Names and sizes that copiers get wrong.
fn difficult_tree(root: &Path) {
    make_tree(
        root,
        &[
            ("plain.txt", Some(b"hello".to_vec())),
            ("empty file", Some(Vec::new())),
            ("empty folder", None),
            ("deep/er/empty", None),
            ("deep/er/file", Some(b"x".to_vec())),
            ("spaces and+plus", Some(b"plus".to_vec())),
            ("per%cent %41 100%", Some(b"percent".to_vec())),
            ("ünïcødé/中文/😀", Some(b"unicode".to_vec())),
            ("quotes'\"&<>;=?#@!*()[]{}|^`~$,:", Some(b"punctuation".to_vec())),
            (".hidden/.file", Some(b"dots".to_vec())),
            ("...", Some(b"three dots".to_vec())),
            ("a-b", Some(b"sorts before the slash".to_vec())),
            ("a/b", Some(b"below a".to_vec())),
            (&"n".repeat(200), Some(b"long name".to_vec())),
            ("one piece", Some(noise(256 * 1024, 1))),
            ("one piece and one byte", Some(noise(256 * 1024 + 1, 2))),
            ("one part", Some(noise(5 << 20, 3))),
            ("parts and a rest", Some(noise((11 << 20) + 12_345, 4))),
        ],
    );
}

async fn round_trip(client: &Client) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    difficult_tree(&source);
    let options = small_parts();
    let up = upload(client, &source, "trees/", &options).await.unwrap();
    assert_eq!((up.failed, up.files, up.folders), (0, 16, 2), "{:?}", up.failures);
    assert_eq!(up.checks.md5, up.files, "every upload is checked by its MD5");
    let down = download(client, "trees/", &folder.path().join("copy"), &options).await.unwrap();
    assert_eq!((down.failed, down.files, down.bytes), (0, up.files, up.bytes), "{:?}", down.failures);
    assert_eq!(down.checks.md5, 15, "all but the one in parts are checked by MD5");
    assert_eq!(down.checks.crc + down.checks.size, 1, "that one by the store's CRC, if it has any");
    assert_same(&source, &folder.path().join("copy"));
}

/// A key without a slash may be both; every way to write source and destination, as the reference has it.
async fn destinations(client: &Client) {
    let folder = tempfile::tempdir().unwrap();
    make_tree(folder.path(), &[("data/sub/f", Some(b"1".to_vec())), ("test.csv", Some(b"2".to_vec())), ("there", None)]);
    let uploads = [
        ("test.csv", "u1/", false, "u1/test.csv"),
        ("./test.csv", "u2", false, "u2"),
        ("data/", "u3/", false, "u3/data/sub/f"),
        ("data", "u4", false, "u4/data/sub/f"),
        ("data/", "u5", true, "u5/sub/f"),
        ("data/sub/..", "u6/", false, "u6/data/sub/f"),
    ];
    for (source, destination, drop, expected) in uploads {
        let destination_url = format!("obs://{BUCKET}/{destination}");
        run(client, folder.path(), source, &destination_url, drop).await.unwrap();
        assert_eq!(keys(client, expected).await, [expected], "{source} {destination} {drop}");
    }
    let downloads = [
        ("u1/test.csv", "d1.csv", false, "d1.csv"),
        ("u1/test.csv", "d2/", false, "d2/test.csv"),
        ("u1/test.csv", "there", false, "there/test.csv"),
        ("u3/data/", "d3/", false, "d3/data/sub/f"),
        ("u3/data", "d4", false, "d4/data/sub/f"),
        ("u3/data/", "d5", true, "d5/sub/f"),
        ("u3", "d6", true, "d6/data/sub/f"),
    ];
    for (source, destination, drop, expected) in downloads {
        let source_url = format!("obs://{BUCKET}/{source}");
        run(client, folder.path(), &source_url, destination, drop).await.unwrap();
        assert!(folder.path().join(expected).is_file(), "{source} {destination} {drop}");
    }
    let missing = run(client, folder.path(), &format!("obs://{BUCKET}/u"), "d7", false).await;
    assert!(matches!(missing, Err(Error::NoSource(_))), "a prefix that is no folder is no source");
    assert!(!folder.path().join("d7").exists());
    let missing = run(client, folder.path(), "nowhere", &format!("obs://{BUCKET}/x"), false).await;
    assert!(matches!(missing, Err(Error::NoSource(_))));
}

async fn run(client: &Client, directory: &Path, source: &str, destination: &str, drop: bool) -> Result<copy::Summary, Error> {
    let request = copy::plan::Request::parse(source, destination, directory)?;
    let plan = Plan::resolve(client, &request, drop).await?;
    copy_plan(client, plan, &copy::Options::default()).await
}

/// Object verbs that the commands stand on.
async fn verbs(client: &Client) {
    let url = |key: &str| ObsUrl::new(BUCKET, key);
    crate::support::put(client, "verbs/a b+c%", b"content").await;
    let info = client.head(&url("verbs/a b+c%")).await.unwrap();
    assert_eq!((info.size, info.etag.as_str()), (7, "9a0364b9e99bb480dd25e1f0284c8555"));
    assert!(info.modified.is_some());
    let source = CopySource { url: &url("verbs/a b+c%"), etag: &info.etag };
    client.copy_object(source, &url("verbs/copy é")).await.unwrap();
    assert_eq!(keys(client, "verbs/").await, ["verbs/a b+c%", "verbs/copy é"]);
    let left = client.delete_many(BUCKET, &["verbs/a b+c%".to_owned(), "verbs/copy é".to_owned()]).await.unwrap();
    assert!(left.is_empty() && keys(client, "verbs/").await.is_empty());
    assert!(client.head(&url("verbs/copy é")).await.unwrap_err().is_not_found());
    assert!(client.list_buckets().await.unwrap().iter().any(|bucket| bucket.name == BUCKET));
    let upload = client.create_multipart(&url("verbs/parts")).await.unwrap();
    assert!(client.list_parts(&url("verbs/parts"), &upload).await.unwrap().is_empty());
    client.abort_multipart(&url("verbs/parts"), &upload).await.unwrap();
}

/// Checks that cannot be made are refused; checks that were not asked for are not made.
async fn checks(client: &Client) {
    let folder = tempfile::tempdir().unwrap();
    make_tree(&folder.path().join("in"), &[("large", Some(noise(6 << 20, 5))), ("small", Some(b"s".to_vec()))]);
    let with = |verify| copy::Options { verify, ..small_parts() };
    for (verify, expected) in [(Verify::Size, (0, 2, 0)), (Verify::None, (0, 0, 2)), (Verify::Md5, (2, 0, 0))] {
        let up = upload(client, &folder.path().join("in"), "checks/", &with(verify)).await.unwrap();
        assert_eq!((up.checks.md5, up.checks.size, up.checks.none), expected, "{verify:?}");
    }
    let down = download(client, "checks/", &folder.path().join("out"), &with(Verify::Md5)).await.unwrap();
    assert_eq!((down.checks.md5, down.failed), (1, 1), "an object of parts has no MD5");
    assert_eq!(tree(&folder.path().join("out")).keys().collect::<Vec<_>>(), ["small"], "what cannot be checked is not kept");
}

macro_rules! against_both_stores {
    ($($scenario:ident),*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                let store = super::Store::embedded().await;
                super::$scenario(&super::client(&store.endpoint)).await;
            })*
        }

        /// One test, because starting SeaweedFS takes seconds and every test has a process of its own.
        #[tokio::test(flavor = "multi_thread")]
        async fn seaweedfs() {
            let store = Store::seaweedfs().await;
            $(
                $scenario(&client(&store.endpoint)).await;
            )*
        }
    };
}

against_both_stores!(round_trip, destinations, verbs, checks);
