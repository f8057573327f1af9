//! Keys that must not be followed, and failures of single files while the rest goes on.

use std::os::unix::fs::symlink;

use ma_cli::copy::{self, Plan, Verify};
use ma_cli::obs::ObsUrl;

use crate::proxy::{Fault, Proxy};
use crate::support::{Store, client, copy_plan, download, keys, make_tree, put, small_parts, tree, upload};

#[tokio::test(flavor = "multi_thread")]
async fn d1_1_d1_9_d1_11_nothing_is_written_outside_the_destination() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let hostile = ["../evil", "a/../../evil", "/etc/evil", "a//evil", "./evil", "link/evil", "x/..", "bell\u{7}", "named/"];
    for key in hostile {
        put(&client, &format!("p/{key}"), b"evil").await;
    }
    put(&client, "p/good", b"good").await;
    put(&client, "p/back\\..\\slash", b"a name like any other").await;
    put(&client, "p/taken", b"file").await;
    put(&client, "p/taken/below", b"needs a folder").await;
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside");
    let destination = folder.path().join("in/destination");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::create_dir_all(&destination).unwrap();
    symlink(&outside, destination.join("link")).unwrap();

    let down = download(&client, "p/", &destination, &copy::Options::default()).await.unwrap();
    assert_eq!((down.files, down.failed), (3, hostile.len() as u64 + 1), "{:?}", down.failures);
    assert!(tree(&outside).is_empty());
    std::fs::remove_file(destination.join("link")).unwrap();
    let names = tree(folder.path());
    let expected =
        ["in", "in/destination", "in/destination/back\\..\\slash", "in/destination/good", "in/destination/taken", "outside"];
    assert_eq!(names.keys().collect::<Vec<_>>(), expected);
    assert_eq!(names["in/destination/taken"].as_deref(), Some(b"file".as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_fails_and_the_rest_goes_on() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    make_tree(folder.path(), &[("good", Some(b"1".to_vec())), ("sub/also good", Some(b"2".to_vec()))]);
    symlink("nowhere", folder.path().join("broken")).unwrap();
    symlink("good", folder.path().join("linked")).unwrap();
    symlink("..", folder.path().join("sub/loop")).unwrap();
    let up = upload(&client, folder.path(), "p/", &small_parts()).await.unwrap();
    assert_eq!((up.files, up.failed), (3, 2), "{:?}", up.failures);
    assert_eq!(keys(&client, "p/").await, ["p/good", "p/linked", "p/sub/also good"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_the_place_of_a_file_fails_that_file() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    put(&client, "p/a", b"1").await;
    put(&client, "p/b", b"2").await;
    let folder = tempfile::tempdir().unwrap();
    make_tree(folder.path(), &[("a/kept", Some(b"kept".to_vec()))]);
    let down = download(&client, "p/", folder.path(), &copy::Options::default()).await.unwrap();
    assert_eq!((down.files, down.failed), (1, 1));
    assert_eq!(tree(folder.path()).keys().collect::<Vec<_>>(), ["a", "a/kept", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder_makes_no_bucket() {
    let store = Store::embedded().await;
    let proxy = Proxy::start(&store.endpoint, Fault::Reset, 0, |_, _| true).await;
    let client = client(&proxy.endpoint);
    let folder = tempfile::tempdir().unwrap();
    let up = upload(&client, folder.path(), "", &copy::Options::default()).await.unwrap();
    assert_eq!((up.files, up.folders, up.failed), (0, 1, 0), "{:?}", up.failures);
    let plan = Plan::UploadFolder { source: folder.path().to_owned(), destination: ObsUrl::new("missing", "") };
    let error = copy_plan(&client, plan, &copy::Options::default()).await.unwrap_err();
    assert!(error.store().unwrap().is_no_such_bucket(), "{error}");
    assert!(proxy.seen().iter().all(|request| !request.starts_with("PUT")), "{:?}", proxy.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder_passes_every_check() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    make_tree(folder.path(), &[("empty", None)]);
    for verify in [Verify::Auto, Verify::Md5, Verify::Crc, Verify::Size, Verify::None] {
        let up = upload(&client, folder.path(), "p/", &copy::Options { verify, ..copy::Options::default() }).await.unwrap();
        assert_eq!((up.folders, up.failed), (1, 0), "{verify:?} {:?}", up.failures);
    }
    assert_eq!(keys(&client, "p/").await, ["p/empty/"]);
}
