//! Times and modes of files that are kept in metadata; and what exists and is to be kept, however late it came to be.

use std::collections::HashMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ma_cli::copy::select::{Existing, Selection};
use ma_cli::copy::{self, Event, EventSink, Plan, Summary};
use ma_cli::obs::ObsUrl;
use ma_cli::obs::attributes::{Attributes, Metadata};
use tokio_util::sync::CancellationToken;

use crate::program::{copy, counts};
use crate::proxy::{Fault, Kind, Proxy, Rule};
use crate::support::{BUCKET, Store, client, make_tree, noise, put, small_parts, tree};

const SIZES: [(&str, usize); 3] = [("small", 5), ("middle", 3 << 20), ("large", 11 << 20)];

fn url(key: &str) -> ObsUrl {
    ObsUrl::new(BUCKET, key)
}

fn sample(root: &Path) {
    for (seed, (name, size)) in SIZES.into_iter().enumerate() {
        make_tree(root, &[(name, Some(noise(size, seed as u64)))]);
    }
}

fn set(path: &Path, modified: SystemTime, mode: u32) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(modified).unwrap();
    file.set_permissions(PermissionsExt::from_mode(mode)).unwrap();
}

fn status(path: &Path) -> ((i64, i64), u32) {
    let status = path.metadata().unwrap();
    ((status.mtime(), status.mtime_nsec()), status.mode() & 0o7777)
}

/// What a dry run would do.
fn planned(store: &Store, home: &Path, arguments: &[&str]) -> usize {
    let (out, _) = copy(store, home, &[arguments, &["-F", "jsonl"]].concat(), 0);
    out.lines().filter(|line| line.contains("\"action\"")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn times_and_modes_come_back_and_nothing_is_copied_twice() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let (home, src, back) = (folder.path(), folder.path().join("src"), folder.path().join("back"));
    sample(&src);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::new(1_500_000_000, 123_000_000);
    for (name, _) in SIZES {
        set(&src.join(name), long_ago, 0o4751);
    }
    let up = ["src", "obs://copies/p/", "-d", "--preserve", "mtime,mode", "--part-size", "5M"];
    let down = ["obs://copies/p/", "back", "-d", "--preserve", "mtime", "--preserve", "mode", "--part-size", "5M"];
    assert_eq!(counts(&store, home, &up, 0), [3, 0, 0, 0]);
    assert_eq!(counts(&store, home, &down, 0), [3, 0, 0, 0]);
    let client = client(&store.endpoint);
    for (name, _) in SIZES {
        let mut found = client.head(&url(&format!("p/{name}"))).await.unwrap().metadata;
        found.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
        found.sort();
        let expected = [("mode", 0o100_751.to_string()), ("mtime", "1500000000.123000000".to_owned())];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)), "{name}");
        assert_eq!(status(&back.join(name)), ((1_500_000_000, 123_000_000), 0o751), "{name}: never more than permissions");
    }
    let update = |arguments: &[&'static str]| [arguments, &["--update"]].concat();
    for arguments in [[&update(&up)[..], &["-n"]].concat(), [&update(&down)[..], &["-n"]].concat()] {
        assert_eq!(planned(&store, home, &arguments), 0, "{arguments:?}");
    }
    assert_eq!(counts(&store, home, &update(&up), 0), [0, 3, 0, 0]);
    assert_eq!(counts(&store, home, &update(&down), 0), [0, 3, 0, 0]);
    // Without the option the object is newer than the file.
    assert_eq!(planned(&store, home, &["obs://copies/p/", "back", "-d", "--update", "-n"]), 3);

    // Newer than the file that was sent, though older than the object; a single file is looked at too.
    set(&src.join("small"), long_ago + Duration::from_secs(60), 0o600);
    assert_eq!(counts(&store, home, &["src", "obs://copies/p/", "-d", "--update"], 0), [0, 3, 0, 0]);
    let single = ["src/middle", "obs://copies/p/middle", "--update", "--preserve", "mtime"];
    assert_eq!(counts(&store, home, &single, 0), [0, 1, 0, 0]);
    let single = ["obs://copies/p/middle", "back/middle", "--update", "--preserve", "mtime"];
    assert_eq!(counts(&store, home, &single, 0), [0, 1, 0, 0]);
    assert_eq!(planned(&store, home, &[&update(&up)[..], &["-n"]].concat()), 1);
    assert_eq!(counts(&store, home, &update(&up), 0), [1, 2, 0, 0]);
    assert_eq!(counts(&store, home, &update(&down), 0), [1, 2, 0, 0]);
    assert_eq!(status(&back.join("small")), ((1_500_000_060, 123_000_000), 0o600));
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_4_metadata_that_makes_no_sense_is_ignored() {
    let store = Store::embedded().await;
    let plain = client(&store.endpoint);
    let odd = [
        ("plain", "", ""),
        ("huge", "99999999999999999999", "99999999999"),
        ("far", "9999999999999", "16895"),
        ("words", "yesterday", "rwxrwxrwx"),
        ("negative", "1.-5", "-33188"),
        ("bare", "1e9", "777"),
    ];
    for (name, time, mode) in odd.into_iter().chain([("setuid", "1500000000", "35309")]) {
        let mut metadata = Metadata::default();
        metadata.add("mtime", time).unwrap();
        metadata.add("mode", mode).unwrap();
        let metadata = if name == "plain" { Metadata::default() } else { metadata };
        let with = plain.clone().with_attributes(Attributes { metadata, ..Attributes::default() }).unwrap();
        put(&with, &format!("odd/{name}"), b"content").await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join("back").join(name);
    let down = ["obs://copies/odd/", "back", "-d", "--preserve", "mtime,mode"];
    assert_eq!(counts(&store, folder.path(), &down, 0), [7, 0, 0, 0]);
    for (name, ..) in odd {
        let written = plain.head(&url(&format!("odd/{name}"))).await.unwrap().modified.unwrap();
        assert_eq!(status(&path(name)).0.0, written.unix_timestamp(), "{name}");
        assert_eq!(status(&path(name)).1, status(&path("plain")).1, "{name}");
    }
    assert_eq!(status(&path("setuid")), ((1_500_000_000, 0), 0o755));
}

/// Has what is found made by somebody else, before it can be copied.
#[derive(Debug)]
struct Rival {
    endpoint: String,
    // By size.
    names: HashMap<u64, &'static str>,
    folder: Option<PathBuf>,
}

impl EventSink for Rival {
    fn event(&self, event: Event) {
        let Event::Found { bytes } = event else { return };
        let (name, endpoint) = (self.names[&bytes], self.endpoint.clone());
        if let Some(folder) = &self.folder {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join(name), "theirs").unwrap();
            return;
        }
        let putting = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { put(&client(&endpoint), &format!("race/{name}"), b"theirs").await });
        };
        std::thread::spawn(putting).join().unwrap();
    }
}

fn keeping() -> copy::Options {
    let selection = Selection { existing: Existing::Keep, ..Selection::default() };
    copy::Options { selection: Arc::new(selection), ..small_parts() }
}

async fn against(store: &Store, plan: Plan, folder: Option<PathBuf>) -> Summary {
    let names = SIZES.iter().map(|(name, size)| (*size as u64, *name)).collect();
    let rival = Rival { endpoint: store.endpoint.clone(), names, folder };
    let client = client(&store.endpoint);
    copy::copy(&client, plan, &keeping(), Arc::new(rival), &CancellationToken::new()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_to_be_meanwhile_is_kept() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let (src, back) = (folder.path().join("src"), folder.path().join("back"));
    sample(&src);
    let up = against(&store, Plan::UploadFolder { source: src.clone(), destination: url("race/") }, None).await;
    assert_eq!((up.files, up.skipped, up.failed), (0, 3, 0), "{:?}", up.failures);
    let client = client(&store.endpoint);
    for (name, _) in SIZES {
        assert_eq!(client.head(&url(&format!("race/{name}"))).await.unwrap().size, 6, "{name}");
    }
    counts(&store, folder.path(), &["src", "obs://copies/other/", "-d"], 0);
    let plan = Plan::DownloadFolder { source: url("other/"), destination: back.clone() };
    let down = against(&store, plan, Some(back.clone())).await;
    assert_eq!((down.files, down.skipped, down.failed), (0, 3, 0), "{:?}", down.failures);
    let found = tree(&back);
    assert_eq!(found.len(), 3, "nothing partial is left: {:?}", found.keys());
    assert!(found.values().all(|content| content.as_deref() == Some(b"theirs")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_answer_was_lost_is_ours() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    make_tree(folder.path(), &[("f", Some(b"content".to_vec()))]);
    let proxy = Proxy::with(&store.endpoint, vec![Rule::first(1, Fault::LoseAnswer, |head| head.kind() == Kind::Put)]).await;
    let plan = Plan::UploadFolder { source: folder.path().to_owned(), destination: url("lost/") };
    let up = crate::support::copy_plan(&client(&proxy.endpoint), plan, &keeping()).await.unwrap();
    assert!(proxy.is_spent());
    assert_eq!((up.files, up.skipped, up.failed), (1, 0, 0), "{:?}", up.failures);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_named_like_partial_files_are_refused() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    for key in ["n/a/.b.0a1b2c3d.ma-part", "n/a/b", "n/.ma-part"] {
        put(&client, key, b"x").await;
    }
    let folder = tempfile::tempdir().unwrap();
    let down = ["obs://copies/n/", "back", "-d", "-F", "json"];
    let (_, told) = copy(&store, folder.path(), &down, 3);
    assert!(told.contains("named like a file that is not complete"), "{told}");
    assert_eq!(tree(&folder.path().join("back")).keys().collect::<Vec<_>>(), [".ma-part", "a", "a/b"]);
    counts(&store, folder.path(), &["obs://copies/n/", "encoded", "-d", "--conflict", "encode"], 0);
    assert!(folder.path().join("encoded/a/%2Eb.0a1b2c3d.ma-part").exists());
}
