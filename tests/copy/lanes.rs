//! Many uploads that are read and digested together.

use ma_cli::copy::{self, Verify};

use crate::proxy::{Fault, Proxy};
use crate::support::{Store, assert_same, client, download, make_tree, noise, small_parts, upload};

/// Files of one piece, of several that fit into memory, of more, and in parts; none ends where another does.
fn many(root: &std::path::Path) -> u64 {
    let sizes = [100_000, 262_144, 262_145, 700_001, 1 << 20, (1 << 20) + 1, 2_500_000, (11 << 20) + 77];
    for number in 0..32_usize {
        let length = sizes[number % sizes.len()] + number / sizes.len();
        make_tree(root, &[(&format!("file {number}"), Some(noise(length, number as u64)))]);
    }
    32
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_side_by_side_keep_their_bytes_apart() {
    let store = Store::embedded().await;
    let client = client(&store.endpoint);
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    let files = many(&source);
    for (verify, name) in [(Verify::Auto, "auto"), (Verify::Md5, "md5"), (Verify::Size, "size"), (Verify::None, "none")] {
        let options = copy::Options { verify, ..small_parts() };
        let up = upload(&client, &source, &format!("{name}/"), &options).await.unwrap();
        assert_eq!((up.failed, up.files), (0, files), "{name}: {:?}", up.failures);
        let checked = match verify {
            Verify::Auto | Verify::Md5 => up.checks.md5,
            Verify::None => up.checks.none,
            _ => up.checks.size,
        };
        assert_eq!(checked, files, "{name}: {:?}", up.checks);
        let copied = folder.path().join(name);
        let down = download(&client, &format!("{name}/"), &copied, &small_parts()).await.unwrap();
        assert_eq!((down.failed, down.files), (0, files), "{name}: {:?}", down.failures);
        assert_same(&source, &copied);
        std::fs::remove_dir_all(&copied).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_that_fail_begin_again_with_their_own_bytes() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    let files = many(&source);
    for (fault, name) in [(Fault::Reset, "reset"), (Fault::FlipUp, "flip"), (Fault::Status(503), "busy")] {
        let proxy = Proxy::start(&store.endpoint, fault, 20, |method, _| method == http::Method::PUT).await;
        let up = upload(&client(&proxy.endpoint), &source, &format!("{name}/"), &small_parts()).await.unwrap();
        assert_eq!((up.failed, up.checks.md5), (0, files), "{name}: {:?}", up.failures);
        assert!(proxy.is_spent(), "{name}");
        let copied = folder.path().join(name);
        download(&client(&store.endpoint), &format!("{name}/"), &copied, &small_parts()).await.unwrap();
        assert_same(&source, &copied);
        std::fs::remove_dir_all(&copied).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_holds_for_all_that_is_sent() {
    let store = Store::embedded().await;
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    let sizes = [("one", 200_000), ("held", 700_000), ("streamed", 1_500_000), ("parts", 5_600_000)];
    for (number, (name, size)) in (0..).zip(sizes) {
        make_tree(&source, &[(name, Some(noise(size, number)))]);
    }
    let limit = std::num::NonZeroU64::new(4_000_000);
    let begun = std::time::Instant::now();
    let options = copy::Options { limit_rate: limit, ..small_parts() };
    let up = upload(&client(&store.endpoint), &source, "limited/", &options).await.unwrap();
    assert_eq!((up.failed, up.checks.md5), (0, 4), "{:?}", up.failures);
    assert!(begun.elapsed().as_secs_f64() > 1.8, "8 MB at 4 MB a second took {:?}", begun.elapsed());
    let copied = folder.path().join("copied");
    download(&client(&store.endpoint), "limited/", &copied, &small_parts()).await.unwrap();
    assert_same(&source, &copied);
}
