//! Listings of real stores: every key, once, spelt as it is.

use std::collections::BTreeSet;

use ma_cli::copy;
use ma_cli::obs::{Client, ObsUrl};

use crate::support::{BUCKET, Store, client, make_tree, put, upload};

/// More than a page holds, in folders and beside them, and names that want escaping.
async fn lists_every_key(client: &Client) {
    let folder = tempfile::tempdir().unwrap();
    let mut names: BTreeSet<String> = (0..2100).map(|number| format!("many/{:02}/{number:05}", number % 50)).collect();
    let odd =
        ["a+b", "a b", "100%", "%41", "&amp;", "<Key>", "\"'", "ünï/中文/😀", "tab\tand\nline", "~-_.!*()", "=?#;:@,$", "]]>"];
    names.extend(odd.iter().map(|name| format!("odd/{name}")));
    let files: Vec<(&str, Option<Vec<u8>>)> =
        names.iter().filter(|name| name.starts_with("many/")).map(|name| (name.as_str(), Some(b"12345".to_vec()))).collect();
    make_tree(folder.path(), &files);
    let up = upload(client, folder.path(), "list/", &copy::Options::default()).await.unwrap();
    assert_eq!((up.files, up.failed), (2100, 0), "{:?}", up.failures);
    for name in odd {
        put(client, &format!("list/odd/{name}"), b"12345").await;
    }
    let mut listing = client.list(&ObsUrl::new(BUCKET, "list/"), true);
    let (mut found, mut pages) = (BTreeSet::new(), 0);
    while let Some(page) = listing.next_page().await.unwrap() {
        pages += 1;
        for entry in page.entries {
            assert_eq!((entry.size, entry.etag.as_str()), (5, "827ccb0eea8a706c4c34a16891f84e7b"), "{}", entry.key);
            assert!(entry.modified.is_some(), "{}", entry.key);
            let name = entry.key.strip_prefix("list/").unwrap().to_owned();
            assert!(found.insert(name), "{} is listed twice", entry.key);
        }
    }
    assert!(pages >= 3, "{pages} pages");
    assert!(found == names, "{:?}", found.symmetric_difference(&names).take(10).collect::<Vec<_>>());
    assert!(listing.next_page().await.unwrap().is_none(), "the end stays the end");
    let mut listing = client.list(&ObsUrl::new(BUCKET, "list/many/"), false);
    let page = listing.next_page().await.unwrap().unwrap();
    assert_eq!((page.entries.len(), page.prefixes.len()), (0, 50));
    assert_eq!(page.prefixes[49], "list/many/49/");
    assert!(client.any(&ObsUrl::new(BUCKET, "list/odd/a+")).await.unwrap());
    assert!(!client.any(&ObsUrl::new(BUCKET, "list/none")).await.unwrap());
    let missing = client.list(&ObsUrl::new("no-such-bucket-here", ""), true).next_page().await;
    assert!(missing.unwrap_err().is_no_such_bucket());
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded() {
    let store = Store::embedded().await;
    lists_every_key(&client(&store.endpoint)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seaweedfs() {
    let store = Store::seaweedfs().await;
    lists_every_key(&client(&store.endpoint)).await;
}
