//! Lists: order, prefixes, delimiters, pages, encoding.

use std::collections::BTreeSet;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::EncodingType;

use crate::support::Server;

async fn fill(client: &Client, keys: &[&str]) {
    for key in keys {
        client.put_object().bucket("bucket").key(*key).send().await.unwrap();
    }
}

/// What a list must show, worked out the slow way.
fn expected(keys: &[&str], prefix: &str, delimiter: &str) -> BTreeSet<String> {
    keys.iter()
        .filter_map(|key| {
            let rest = key.strip_prefix(prefix)?;
            Some(match rest.find(delimiter).filter(|_| !delimiter.is_empty()) {
                Some(position) => format!("{prefix}{}", &rest[..position + delimiter.len()]),
                None => (*key).to_owned(),
            })
        })
        .collect()
}

#[tokio::test]
async fn pages_of_every_size_show_the_same() {
    let (_server, client) = Server::with_bucket().await;
    let keys = ["a", "a/", "a/b", "a/c/d", "a/c/e", "a0", "b/1", "b/2", "b/3/4", "c", "ä/x", "ä/y", "ﬀ", "😀/1", "😀/2", "😀x"];
    fill(&client, &keys).await;
    for (prefix, delimiter) in
        [("", "/"), ("", ""), ("a", "/"), ("a/", "/"), ("b/", ""), ("a/c/", "/"), ("ä", "/"), ("z", "/"), ("", "/c")]
    {
        for size in [1, 2, 3, 1000] {
            let (mut v1, mut v2) = (Vec::new(), Vec::new());
            let (mut marker, mut token) = (String::new(), None);
            loop {
                let page =
                    client.list_objects().bucket("bucket").prefix(prefix).delimiter(delimiter).marker(&marker).max_keys(size);
                let page = page.send().await.unwrap();
                assert!(page.contents().len() + page.common_prefixes().len() <= usize::try_from(size).unwrap());
                v1.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
                v1.extend(page.common_prefixes().iter().map(|common| common.prefix().unwrap().to_owned()));
                if page.is_truncated() != Some(true) {
                    break;
                }
                marker = page.next_marker().unwrap().to_owned();
            }
            loop {
                let page = client.list_objects_v2().bucket("bucket").prefix(prefix).delimiter(delimiter);
                let page = page.set_continuation_token(token).max_keys(size).send().await.unwrap();
                v2.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
                v2.extend(page.common_prefixes().iter().map(|common| common.prefix().unwrap().to_owned()));
                token = page.next_continuation_token().map(str::to_owned);
                assert_eq!(page.is_truncated(), Some(token.is_some()));
                if token.is_none() {
                    break;
                }
            }
            let wanted: Vec<String> = expected(&keys, prefix, delimiter).into_iter().collect();
            v1.sort();
            v2.sort();
            assert_eq!(v1, wanted, "v1 {prefix:?} {delimiter:?} {size}");
            assert_eq!(v2, wanted, "v2 {prefix:?} {delimiter:?} {size}");
        }
    }
}

#[tokio::test]
async fn entries_are_complete() {
    let (_server, client) = Server::with_bucket().await;
    fill(&client, &["a", "b", "c"]).await;
    let list = client.list_objects_v2().bucket("bucket").start_after("a").send().await.unwrap();
    let head = client.head_object().bucket("bucket").key("b").send().await.unwrap();
    let entry = &list.contents()[0];
    assert_eq!(entry.key(), Some("b"));
    assert_eq!(entry.e_tag(), head.e_tag());
    assert_eq!(entry.size(), Some(0));
    assert_eq!(entry.storage_class().map(|class| class.as_str()), Some("STANDARD"));
    assert_eq!(entry.last_modified().unwrap().secs(), head.last_modified().unwrap().secs());
    let none = client.list_objects_v2().bucket("bucket").max_keys(0).send().await.unwrap();
    assert_eq!((none.key_count(), none.is_truncated()), (Some(0), Some(false)));
}

#[tokio::test]
async fn url_encoding_encodes() {
    let (_server, client) = Server::with_bucket().await;
    fill(&client, &["a+b %c/d"]).await;
    let list = client.list_objects_v2().bucket("bucket").prefix("a+").encoding_type(EncodingType::Url).send().await.unwrap();
    assert_eq!(list.contents()[0].key(), Some("a%2Bb%20%25c/d"));
    assert_eq!(list.prefix(), Some("a%2B"));
    let list = client.list_objects().bucket("bucket").delimiter("/").encoding_type(EncodingType::Url).send().await.unwrap();
    assert_eq!(list.common_prefixes()[0].prefix(), Some("a%2Bb%20%25c/"));
}
