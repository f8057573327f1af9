//! A copy that was stopped goes on where it stood, and believes nothing that it has not checked.

use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ma_cli::copy::journal::{Head, Identity, Journals, Unfinished, Version, Way, unfinished};
use ma_cli::copy::{self, Error, Event, EventSink, Plan, Summary};
use ma_cli::obs::attributes::Attributes;
use ma_cli::obs::{Client, ObsUrl};
use tokio_util::sync::CancellationToken;

use crate::meter::Meter;
use crate::support::{BUCKET, Store, client, copy_plan, noise, put, small_parts};

const MIB: u64 = 1 << 20;
const PART: u64 = 5 * MIB;
/// Heads of requests and answers, lists of parts and the like.
const TALK: u64 = MIB;

/// Stops a copy after so many bytes, and remembers what was said of it.
#[derive(Debug, Default)]
struct Stop {
    after: i64,
    moved: AtomicI64,
    kept: AtomicU64,
    notices: Mutex<Vec<String>>,
    cancel: CancellationToken,
}

impl EventSink for Stop {
    fn event(&self, event: Event) {
        match event {
            Event::Moved(bytes) if self.moved.fetch_add(bytes, Ordering::SeqCst) + bytes > self.after => self.cancel.cancel(),
            Event::Kept { bytes, .. } => self.kept.store(bytes, Ordering::SeqCst),
            Event::Notice(notice) => self.notices.lock().unwrap().push(notice),
            _ => {}
        }
    }
}

/// A file at both ends, a place for journals, a store.
struct Scene {
    store: Store,
    folder: tempfile::TempDir,
    options: copy::Options,
    url: ObsUrl,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("large"), noise(8 * PART as usize, 1)).unwrap();
        let journal = Some(folder.path().join("transfers"));
        // Few in flight: most of what was sent when it stops is whole parts.
        let options = copy::Options { journal, jobs: 2, ..small_parts() };
        Self { store: Store::embedded().await, folder, options, url: ObsUrl::new(BUCKET, "large") }
    }

    fn source(&self) -> PathBuf {
        self.folder.path().join("large")
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("out/large")
    }

    fn up(&self) -> Plan {
        Plan::UploadFile { source: self.source(), destination: self.url.clone() }
    }

    fn down(&self) -> Plan {
        Plan::DownloadFile { source: self.url.clone(), destination: self.target() }
    }

    /// Copies until so many bytes have moved, and a few whole parts among them are kept.
    async fn stop(&self, client: &Client, plan: Plan, after: u64) -> u64 {
        let stop = Arc::new(Stop { after: i64::try_from(after).unwrap(), ..Stop::default() });
        let cancel = stop.cancel.clone();
        let error =
            copy::copy(client, plan, &self.options, Arc::clone(&stop) as Arc<dyn EventSink>, &cancel).await.unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        stop.kept.load(Ordering::SeqCst)
    }

    async fn finish(&self, client: &Client, plan: Plan) -> (Summary, Vec<String>) {
        let watch = Arc::new(Stop { after: i64::MAX, ..Stop::default() });
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let copied = loop {
            let events = Arc::clone(&watch) as Arc<dyn EventSink>;
            let copied = copy::copy(client, plan.clone(), &self.options, events, &CancellationToken::new()).await;
            // A write that was under way when the run before was stopped holds the file a moment longer.
            let is_held = copied.as_ref().is_err_and(|error| error.to_string().contains("another copy"));
            if !is_held || std::time::Instant::now() > deadline {
                break copied;
            }
        };
        let notices = watch.notices.lock().unwrap().clone();
        (copied.unwrap(), notices)
    }

    fn unfinished(&self) -> Vec<Unfinished> {
        unfinished(self.options.journal.as_ref().unwrap()).unwrap()
    }

    fn upload_id(&self) -> String {
        match &self.unfinished()[0].head.version {
            Version::File { upload, .. } => upload.clone(),
            other @ Version::Object { .. } => panic!("{other:?}"),
        }
    }

    fn partial(&self) -> PathBuf {
        let mut entries = std::fs::read_dir(self.folder.path().join("out")).unwrap().map(|entry| entry.unwrap().path());
        let partial = entries.next().unwrap();
        assert!(partial.to_str().unwrap().ends_with(".ma-part") && entries.next().is_none());
        partial
    }

    /// The object is what the file is, and nothing is left of the transfer.
    async fn assert_arrived(&self) {
        assert!(self.unfinished().is_empty());
        let journals = self.options.journal.as_ref().unwrap();
        assert!(!journals.exists() || std::fs::read_dir(journals).unwrap().count() == 0);
        let check = self.folder.path().join("check");
        let plan = Plan::DownloadFile { source: self.url.clone(), destination: check.clone() };
        copy_plan(&client(&self.store.endpoint), plan, &small_parts()).await.unwrap();
        assert!(std::fs::read(check).unwrap() == std::fs::read(self.source()).unwrap(), "it differs");
    }

    fn assert_fetched(&self) {
        assert!(self.unfinished().is_empty());
        assert!(std::fs::read(self.target()).unwrap() == std::fs::read(self.source()).unwrap(), "it differs");
        assert_eq!(std::fs::read_dir(self.folder.path().join("out")).unwrap().count(), 1);
    }

    async fn is_upload_gone(&self, id: &str) -> bool {
        client(&self.store.endpoint).list_parts(&self.url, id).await.is_err_and(|error| error.is_not_found())
    }
}

fn rewrite(path: &Path, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(path).unwrap();
    let changed = change(text.clone());
    assert_ne!(text, changed);
    std::fs::write(path, changed).unwrap();
}

fn journal_file(scene: &Scene) -> PathBuf {
    std::fs::read_dir(scene.options.journal.as_ref().unwrap()).unwrap().next().unwrap().unwrap().path()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on() {
    let scene = Scene::new().await;
    let meter = Meter::fast(&scene.store.endpoint).await;
    let client = client(&meter.endpoint);
    let kept = scene.stop(&client, scene.up(), 5 * PART).await;
    assert!(kept >= 2 * PART, "{kept}");
    let left = &scene.unfinished()[0];
    assert_eq!((left.done, left.is_running, left.head.identity.way), (kept, false, Way::Upload));
    assert_eq!(journal_file(&scene).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(scene.options.journal.as_ref().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let before = meter.up();
    let (summary, notices) = scene.finish(&client, scene.up()).await;
    assert_eq!((summary.files, summary.bytes, summary.checks.md5), (1, 8 * PART, 1));
    assert!(notices.is_empty(), "{notices:?}");
    let sent = meter.up() - before;
    assert!(sent < 8 * PART - kept + TALK, "{sent} were sent, {kept} were kept");
    scene.assert_arrived().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_needs_no_more_than_the_first_line_of_its_journal() {
    let scene = Scene::new().await;
    let meter = Meter::fast(&scene.store.endpoint).await;
    let client = client(&meter.endpoint);
    let kept = scene.stop(&client, scene.up(), 5 * PART).await;
    // A power cut took the lines of the parts; what the store has is compared with the file.
    rewrite(&journal_file(&scene), |text| format!("{}\n{{\"part\":", text.lines().next().unwrap()));
    let before = meter.up();
    scene.finish(&client, scene.up()).await;
    assert!(meter.up() - before < 8 * PART - kept + TALK);
    scene.assert_arrived().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_not_what_the_file_holds_is_sent_again() {
    let scene = Scene::new().await;
    let meter = Meter::fast(&scene.store.endpoint).await;
    let client = client(&meter.endpoint);
    scene.stop(&client, scene.up(), 5 * PART).await;
    // Written to without a trace: size and time are the same, bytes of the first part are not.
    let file = std::fs::OpenOptions::new().write(true).open(scene.source()).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    file.write_all_at(b"other bytes", 100).unwrap();
    file.set_modified(modified).unwrap();
    let upload = scene.upload_id();
    scene.finish(&client, scene.up()).await;
    scene.assert_arrived().await;
    assert!(scene.is_upload_gone(&upload).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changed_begins_anew_and_leaves_no_upload() {
    let scene = Scene::new().await;
    let client = client(&scene.store.endpoint);
    scene.stop(&client, scene.up(), 5 * PART).await;
    let upload = scene.upload_id();
    std::fs::write(scene.source(), noise(8 * PART as usize, 2)).unwrap();
    scene.finish(&client, scene.up()).await;
    scene.assert_arrived().await;
    assert!(scene.is_upload_gone(&upload).await, "the old upload was aborted");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_attributes_begin_anew() {
    let scene = Scene::new().await;
    let client = |team: &str| {
        let mut attributes = Attributes::default();
        attributes.metadata.add("team", team).unwrap();
        client(&scene.store.endpoint).with_attributes(attributes).unwrap()
    };
    scene.stop(&client("vision"), scene.up(), 5 * PART).await;
    let upload = scene.upload_id();
    scene.stop(&client("vision"), scene.up(), 6 * PART).await;
    assert_eq!(scene.upload_id(), upload, "the same attributes go on");
    scene.finish(&client("audio"), scene.up()).await;
    scene.assert_arrived().await;
    let info = client("").head(&scene.url).await.unwrap();
    assert_eq!(info.metadata, [("team".to_owned(), "audio".to_owned())]);
    assert!(scene.is_upload_gone(&upload).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_the_store_forgot_begins_anew() {
    let scene = Scene::new().await;
    let client = client(&scene.store.endpoint);
    scene.stop(&client, scene.up(), 5 * PART).await;
    client.abort_multipart(&scene.url, &scene.upload_id()).await.unwrap();
    scene.finish(&client, scene.up()).await;
    scene.assert_arrived().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn death_after_the_object_was_made_sends_nothing_again() {
    let scene = Scene::new().await;
    let meter = Meter::fast(&scene.store.endpoint).await;
    let client = client(&meter.endpoint);
    scene.stop(&client, scene.up(), 5 * PART).await;
    let journal = std::fs::read(journal_file(&scene)).unwrap();
    let path = journal_file(&scene);
    scene.finish(&client, scene.up()).await;
    for (content, limit) in [(1, TALK), (2, 9 * PART)] {
        std::fs::write(&path, &journal).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        if content == 2 {
            // Another object took its place since: nothing can be gone on with.
            put(&client, &scene.url.key, b"other").await;
        }
        let before = meter.up();
        let (summary, _) = scene.finish(&client, scene.up()).await;
        assert_eq!((summary.files, summary.checks.md5), (1, 1));
        let sent = meter.up() - before;
        assert!(sent < limit && (content == 1 || sent > 8 * PART), "{sent}");
        scene.assert_arrived().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_lies_does_no_harm() {
    let scene = Scene::new().await;
    let client = client(&scene.store.endpoint);
    scene.stop(&client, scene.up(), 5 * PART).await;
    let path = journal_file(&scene);
    let honest = std::fs::read_to_string(&path).unwrap();
    let lies: [(&str, String); 4] = [
        ("digests", honest.replace("\"md5:", "\"md5:00")),
        ("garbage", "\u{0}\u{1}garbage\n".repeat(500)),
        ("another transfer's", honest.replace("\"key\":\"large\"", "\"key\":\"other\"")),
        ("cut in its first line", honest[..20].to_owned()),
    ];
    for (what, lie) in lies {
        assert_ne!(lie, honest, "{what}");
        std::fs::write(&path, lie).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let (summary, notices) = scene.finish(&client, scene.up()).await;
        assert_eq!(summary.files, 1, "{what}");
        assert_eq!(notices.len(), usize::from(what == "garbage" || what == "another transfer's"), "{what} {notices:?}");
        scene.assert_arrived().await;
        std::fs::write(&path, "").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on() {
    let scene = Scene::new().await;
    copy_plan(&client(&scene.store.endpoint), scene.up(), &small_parts()).await.unwrap();
    let meter = Meter::fast(&scene.store.endpoint).await;
    let client = client(&meter.endpoint);
    let kept = scene.stop(&client, scene.down(), 5 * PART).await;
    assert!(kept >= 2 * PART, "{kept}");
    assert!(!scene.target().exists());
    assert_eq!((scene.unfinished()[0].done, scene.unfinished()[0].head.identity.way), (kept, Way::Download));
    let before = meter.down();
    let (summary, notices) = scene.finish(&client, scene.down()).await;
    assert_eq!((summary.files, summary.bytes), (1, 8 * PART));
    assert!(notices.is_empty(), "{notices:?}");
    let fetched = meter.down() - before;
    assert!(fetched < 8 * PART - kept + TALK, "{fetched} were fetched, {kept} were kept");
    scene.assert_fetched();
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_a_power_cut_took_are_fetched_again() {
    let scene = Scene::new().await;
    copy_plan(&client(&scene.store.endpoint), scene.up(), &small_parts()).await.unwrap();
    let meter = Meter::fast(&scene.store.endpoint).await;
    let client = client(&meter.endpoint);
    let kept = scene.stop(&client, scene.down(), 5 * PART).await;
    let file = std::fs::OpenOptions::new().write(true).open(scene.partial()).unwrap();
    file.write_all_at(&[0; 4096], PART / 2).unwrap();
    let before = meter.down();
    scene.finish(&client, scene.down()).await;
    let fetched = meter.down() - before;
    let expected = 8 * PART - kept + PART;
    assert!(fetched > expected && fetched < expected + TALK, "one part more: {fetched} were fetched, {kept} were kept");
    scene.assert_fetched();

    // Cut short, emptied, or gone altogether.
    for length in [Some(PART + 7), Some(0), None] {
        std::fs::remove_file(scene.target()).unwrap();
        scene.stop(&client, scene.down(), 5 * PART).await;
        match length {
            Some(length) => {
                std::fs::OpenOptions::new().write(true).open(scene.partial()).unwrap().set_len(length).unwrap();
            }
            None => std::fs::remove_file(scene.partial()).unwrap(),
        }
        scene.finish(&client, scene.down()).await;
        scene.assert_fetched();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn death_after_the_file_got_its_name_fetches_nothing_again() {
    let scene = Scene::new().await;
    copy_plan(&client(&scene.store.endpoint), scene.up(), &small_parts()).await.unwrap();
    let meter = Meter::fast(&scene.store.endpoint).await;
    let client = client(&meter.endpoint);
    scene.stop(&client, scene.down(), 5 * PART).await;
    // Both names of one file: the other keeps every line, also when the copy removes its journal.
    let (path, other) = (journal_file(&scene), scene.folder.path().join("journal"));
    std::fs::hard_link(&path, &other).unwrap();
    scene.finish(&client, scene.down()).await;
    for is_damaged in [false, true] {
        std::fs::copy(&other, &path).unwrap();
        if is_damaged {
            std::fs::OpenOptions::new().write(true).open(scene.target()).unwrap().write_all_at(b"damage", 100).unwrap();
        }
        let before = meter.down();
        let (summary, _) = scene.finish(&client, scene.down()).await;
        assert_eq!((summary.files, summary.bytes), (1, 8 * PART));
        assert_eq!(meter.down() - before > TALK, is_damaged);
        scene.assert_fetched();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changed_is_fetched_anew_and_the_old_bytes_are_removed() {
    let scene = Scene::new().await;
    let client = client(&scene.store.endpoint);
    copy_plan(&client, scene.up(), &small_parts()).await.unwrap();
    scene.stop(&client, scene.down(), 5 * PART).await;
    std::fs::write(scene.source(), noise(8 * PART as usize, 2)).unwrap();
    copy_plan(&client, scene.up(), &small_parts()).await.unwrap();
    scene.finish(&client, scene.down()).await;
    scene.assert_fetched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_file_without_its_journal_is_not_believed() {
    let scene = Scene::new().await;
    let client = client(&scene.store.endpoint);
    copy_plan(&client, scene.up(), &small_parts()).await.unwrap();
    scene.stop(&client, scene.down(), 5 * PART).await;
    std::fs::write(scene.partial(), vec![7; 9 * PART as usize]).unwrap();
    std::fs::remove_file(journal_file(&scene)).unwrap();
    scene.finish(&client, scene.down()).await;
    scene.assert_fetched();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_without_a_journal() {
    let scene = Scene::new().await;
    let client = client(&scene.store.endpoint);
    copy_plan(&client, scene.up(), &small_parts()).await.unwrap();
    let scene = Scene { options: copy::Options { journal: None, ..scene.options.clone() }, ..scene };
    assert_eq!(scene.stop(&client, scene.down(), 5 * PART).await, 0);
    assert_eq!(std::fs::read_dir(scene.folder.path().join("out")).unwrap().count(), 0);
    assert_eq!(scene.stop(&client, scene.up(), 5 * PART).await, 0);
    assert!(!scene.folder.path().join("transfers").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_copy_of_the_same_file_does_not_touch_the_first() {
    let scene = Scene::new().await;
    let client = client(&scene.store.endpoint);
    scene.stop(&client, scene.up(), 5 * PART).await;
    let upload = scene.upload_id();
    // Another process that goes on with the upload holds its journal.
    let journals = Journals::new(scene.options.journal.as_ref().unwrap());
    let held = journals.slot(&scene.unfinished()[0].head.identity).unwrap().unwrap();
    let (summary, notices) = scene.finish(&client, scene.up()).await;
    assert_eq!((summary.files, notices.len()), (1, 1), "{notices:?}");
    assert!(!scene.is_upload_gone(&upload).await);
    drop(held);
    client.abort_multipart(&scene.url, &upload).await.unwrap();
    scene.finish(&client, scene.up()).await;
    scene.assert_arrived().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs_goes_on_too() {
    let scene = Scene { store: Store::seaweedfs().await, ..Scene::new().await };
    let meter = Meter::fast(&scene.store.endpoint).await;
    let client = client(&meter.endpoint);
    let kept = scene.stop(&client, scene.up(), 5 * PART).await;
    let before = meter.up();
    scene.finish(&client, scene.up()).await;
    assert!(kept > 0 && meter.up() - before < 8 * PART - kept + TALK, "{} were sent, {kept} were kept", meter.up() - before);
    scene.assert_arrived().await;
    let kept = scene.stop(&client, scene.down(), 5 * PART).await;
    let before = meter.down();
    scene.finish(&client, scene.down()).await;
    assert!(kept > 0 && meter.down() - before < 8 * PART - kept + TALK);
    scene.assert_fetched();
}

#[test]
fn journals_of_other_stores_and_names_are_others() {
    let identity = |endpoint: &str, key: &str| Identity {
        way: Way::Upload,
        endpoint: endpoint.into(),
        bucket: BUCKET.into(),
        key: key.into(),
        path: "/data/large".into(),
    };
    let folder = tempfile::tempdir().unwrap();
    let journals = Journals::new(folder.path());
    for (endpoint, key) in [("http://a", "k"), ("http://b", "k"), ("http://a", "l")] {
        let identity = identity(endpoint, key);
        let version = Version::File { mtime: 0, mtime_ns: 0, upload: "id".into() };
        let head = Head { identity: identity.clone(), size: 10, part_size: 5, version, attributes: String::new(), created: 0 };
        assert!(journals.slot(&identity).unwrap().unwrap().restart(&head).is_ok());
    }
    assert_eq!(unfinished(folder.path()).unwrap().len(), 3);
}
