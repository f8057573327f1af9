//! Disks that are full, read-only or somebody else's, and files that go away: a clear reason, nothing half done, the rest goes on.
//! The program runs in a name space of its own where it needs a disk of its own or fewer rights; no rights are needed for that.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ma_cli::copy::{self, Event, EventSink, Plan};
use ma_cli::obs::ObsUrl;
use tokio_util::sync::CancellationToken;

use crate::proxy::{Kind, Proxy};
use crate::support::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Store, client, keys, make_tree, noise, put, tree};

/// What came of a run, and the files that it left below its folder.
struct Ran {
    code: Option<i32>,
    stderr: String,
    files: Vec<String>,
}

/// Runs `obs-copy` with a prelude in front of it: a piece of shell that may use `$folder`, where the copy is started.
async fn run(endpoint: &str, prelude: &str, spaces: &[&str], folder: &Path, arguments: &[&str]) -> Ran {
    let script = format!(
        "folder=$1; shift; {prelude}
         cd \"$folder\"; code=0; \"$@\" || code=$?
         trap - XFSZ; ulimit -f unlimited 2>/dev/null || true
         echo FILES; find . -type f | sort; exit $code"
    );
    let mut command = match spaces {
        [] => Command::new("sh"),
        spaces => {
            let mut command = Command::new("unshare");
            command.args(spaces).arg("sh");
            command
        }
    };
    command.args(["-ec", &script, "sh"]).arg(folder).arg(env!("CARGO_BIN_EXE_ma-cli")).arg("obs-copy").args(arguments);
    // Not the folder of the copy: that is listed.
    let home = tempfile::tempdir().unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", home.path());
    command.env("MA_CLI_OBS_ENDPOINT", endpoint).env("HUAWEICLOUD_SDK_AK", ACCESS_KEY).env("HUAWEICLOUD_SDK_SK", SECRET_KEY);
    command.env("REGION_NAME", REGION).env("PROJECT_ID", "none");
    let Output { status, stdout, stderr } = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    let files = stdout.split_once("FILES\n").unwrap_or_else(|| panic!("{stdout} {stderr}")).1;
    Ran { code: status.code(), stderr, files: files.lines().map(|line| line.trim_start_matches("./").to_owned()).collect() }
}

/// Mounts are seen by this run only; without root a user's own name space allows them.
fn mounts() -> &'static [&'static str] {
    if rustix::process::geteuid().is_root() { &["-m"] } else { &["-Urm"] }
}

/// Owner and rights decide again, for root too.
const NO_PRIVILEGES: &[&str] = &["-U"];

async fn three_files(store: &Store, middle: usize) {
    let direct = client(&store.endpoint);
    for (name, size) in [("a", 10_000), ("b", middle), ("c", 10_000)] {
        put(&direct, &format!("p/{name}"), &noise(size, 1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn room_is_asked_for_before_the_first_byte() {
    let store = Store::embedded().await;
    three_files(&store, 3 << 20).await;
    let proxy = Proxy::with(&store.endpoint, Vec::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let tmpfs = "mount -t tmpfs -o size=2m,mode=777 none \"$folder\";";
    for (arguments, name) in [(["obs://copies/p/", "out"], "out"), (["obs://copies/p/b", "./file"], ".")] {
        let ran = run(&proxy.endpoint, tmpfs, mounts(), folder.path(), &arguments).await;
        // The first of a listing may be under way when the rest of it is read.
        let is_small = |file: &String| file.ends_with("/a") || file.ends_with(".ma-part");
        assert!(ran.code == Some(1) && ran.files.iter().all(is_small), "{name} {} {:?}", ran.stderr, ran.files);
        assert!(ran.stderr.contains("there is no room") && ran.stderr.contains("2.0 MiB are free"), "{}", ran.stderr);
    }
    assert!(!proxy.heads().iter().any(|head| head.kind() == Kind::Get && head.uri.path().ends_with("/b")));
    let ran = run(&proxy.endpoint, tmpfs, mounts(), folder.path(), &["obs://copies/p/a", "out/"]).await;
    assert_eq!((ran.code, ran.files), (Some(0), vec!["out/a".to_owned()]), "{}", ran.stderr);
}

/// The limit on the size of a file stands for disks and quotas that are found full only while they are written to.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_turns_out_full_fails_that_file_only() {
    let store = Store::embedded().await;
    for middle in [1 << 20, 6 << 20] {
        three_files(&store, middle).await;
        let folder = tempfile::tempdir().unwrap();
        let limit = "trap '' XFSZ; ulimit -f 1000;";
        let ran = run(&store.endpoint, limit, &[], folder.path(), &["obs://copies/p/", "out", "-d", "--part-size", "5M"]).await;
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        assert!(ran.stderr.contains("failed: [b]: cannot write") && ran.stderr.contains("File too large"), "{}", ran.stderr);
        let named: Vec<_> = ran.files.iter().filter(|name| !name.ends_with(".ma-part")).collect();
        assert_eq!(named, ["out/a", "out/c"], "{}", ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_for_names_fails_what_it_cannot_take() {
    let store = Store::embedded().await;
    three_files(&store, 10_000).await;
    let folder = tempfile::tempdir().unwrap();
    // Its root, the folder and two files.
    let tmpfs = "mount -t tmpfs -o size=2m,mode=777,nr_inodes=4 none \"$folder\";";
    let ran = run(&store.endpoint, tmpfs, mounts(), folder.path(), &["obs://copies/p/", "out", "-d", "--jobs", "1"]).await;
    assert_eq!((ran.code, ran.files.len()), (Some(3), 2), "{} {:?}", ran.stderr, ran.files);
    assert!(ran.stderr.contains("No space left on device"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_written_is_found_out_first() {
    let store = Store::embedded().await;
    three_files(&store, 10_000).await;
    let proxy = Proxy::with(&store.endpoint, Vec::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let read_only = "mount -t tmpfs -o size=2m,mode=777,ro none \"$folder\";";
    for target in ["out", "."] {
        let ran = run(&proxy.endpoint, read_only, mounts(), folder.path(), &["obs://copies/p/", target, "-d"]).await;
        assert_eq!((ran.code, ran.files.len()), (Some(1), 0), "{}", ran.stderr);
        assert!(ran.stderr.contains("cannot write to") && ran.stderr.contains("ead-only"), "{}", ran.stderr);
    }
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    let ran = run(&proxy.endpoint, "", NO_PRIVILEGES, folder.path(), &["obs://copies/p/", "out", "-d"]).await;
    assert_eq!((ran.code, ran.files.len()), (Some(1), 0), "{}", ran.stderr);
    assert!(ran.stderr.contains("ermission denied"), "{}", ran.stderr);
    assert_eq!(proxy.count(Kind::Get).requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_folder_that_is_not_ours_fails_what_belongs_there() {
    let store = Store::embedded().await;
    three_files(&store, 10_000).await;
    put(&client(&store.endpoint), "p/locked/d", b"1").await;
    let folder = tempfile::tempdir().unwrap();
    make_tree(folder.path(), &[("out/locked", None)]);
    std::fs::set_permissions(folder.path().join("out/locked"), std::fs::Permissions::from_mode(0o555)).unwrap();
    let ran = run(&store.endpoint, "", NO_PRIVILEGES, folder.path(), &["obs://copies/p/", "out", "-d"]).await;
    assert_eq!((ran.code, ran.files), (Some(3), ["out/a", "out/b", "out/c"].map(str::to_owned).to_vec()), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("failed: [locked/d]: cannot create") && ran.stderr.contains("ermission denied"),
        "{}",
        ran.stderr
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_does_not_stop_the_rest() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let data = || Some(noise(1000, 1));
    make_tree(folder.path(), &[("in/a", data()), ("in/secret", data()), ("in/z", data()), ("in/closed/b", data())]);
    let lock = |name: &str| std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(0o0)).unwrap();
    lock("in/secret");
    lock("in/closed");
    // What is opened for reading without a writer would hang.
    assert!(Command::new("mkfifo").arg(folder.path().join("in/pipe")).status().unwrap().success());
    let listed = "find() { :; };";
    let ran = run(&store.endpoint, listed, NO_PRIVILEGES, folder.path(), &["in", "obs://copies/up/", "-d"]).await;
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    for (name, reason) in
        [("secret", "ermission denied"), ("closed", "ermission denied"), ("pipe", "neither a file nor a folder")]
    {
        let line = ran.stderr.lines().find(|line| line.contains(&format!("failed: [{name}]")));
        assert!(line.is_some_and(|line| line.contains(reason)), "{name} {}", ran.stderr);
    }
    assert_eq!(keys(&client(&store.endpoint), "up/").await, ["up/a", "up/z"]);
}

/// Removes files that are not begun yet when the first one is done.
#[derive(Debug)]
struct Remove {
    folder: std::path::PathBuf,
    done: AtomicBool,
    removed: Mutex<Vec<String>>,
}

impl EventSink for Remove {
    fn event(&self, event: Event) {
        if let Event::Finished { name, .. } = event
            && !self.done.swap(true, Ordering::SeqCst)
        {
            for index in 0..60 {
                let other = format!("{index:02}");
                if other != name && index % 2 == 0 {
                    std::fs::remove_file(self.folder.join(&other)).unwrap();
                    self.removed.lock().unwrap().push(other);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_vanished_fails_alone() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    for index in 0..60 {
        std::fs::write(folder.path().join(format!("{index:02}")), noise(2000, index)).unwrap();
    }
    let sink = Arc::new(Remove { folder: folder.path().to_owned(), done: AtomicBool::new(false), removed: Mutex::default() });
    let plan = Plan::UploadFolder { source: folder.path().to_owned(), destination: ObsUrl::new(BUCKET, "p/") };
    let options = copy::Options { jobs: 1, ..copy::Options::default() };
    let up = copy::copy(&client, plan, &options, Arc::clone(&sink) as Arc<dyn EventSink>, &CancellationToken::new()).await;
    let up = up.unwrap();
    assert!(up.failed > 10 && up.failed + up.files == 60, "{} {:?}", up.files, up.failures);
    for failure in &up.failures {
        assert!(sink.removed.lock().unwrap().contains(&failure.name), "{failure:?}");
        assert!(failure.error.to_string().contains("No such file"), "{failure:?}");
    }
    let arrived = keys(&client, "p/").await;
    for name in tree(folder.path()).keys() {
        assert!(arrived.contains(&format!("p/{name}")), "{name}");
    }
}

/// A device is no file that could be replaced: as root, that would do harm.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_is_not_replaced() {
    let store = Store::embedded().await;
    three_files(&store, 10_000).await;
    let folder = tempfile::tempdir().unwrap();
    let fifo = "mkfifo pipe;";
    let script = format!("cd \"$folder\"; {fifo}");
    let ran = run(&store.endpoint, &script, &[], folder.path(), &["obs://copies/p/a", "pipe"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("neither a file nor a folder"), "{}", ran.stderr);
    assert!(ran.files.is_empty(), "{:?}", ran.files);
}
