//! Keys that do not look like paths, and where objects lie on the disk.

use aws_sdk_s3::primitives::ByteStream;

use crate::refused;
use crate::support::{Server, tree};

/// Each is an object of its own, whatever the file system makes of it.
fn hostile() -> Vec<String> {
    let mut keys: Vec<String> = [
        "a",
        "a/",
        "a/b",
        "a//b",
        "/lead",
        "//",
        ".",
        "..",
        "./x",
        "../x",
        "x/../y",
        "x/./y",
        "..\\z",
        "a b",
        "a+b",
        "a%2Fb",
        "a%20b",
        "q?x=1",
        "h#f",
        "s*&;:@=,$!'()[]",
        "<k>&amp;\"",
        "tab\there",
        "line\nbreak",
        "模型/数据 v1+~.bin",
        "e\u{301}",
        "é",
        "😀",
        ".names",
        ".incoming/x",
        "A",
        "con",
        "trail.",
        "trail ",
        "C:\\x",
    ]
    .map(str::to_owned)
    .to_vec();
    keys.push("x".repeat(255));
    keys.push("y".repeat(256));
    keys.push(vec!["seg"; 256].join("/"));
    keys.push(format!("deep/{}", "z".repeat(1019)));
    keys
}

#[tokio::test]
async fn every_key_is_an_object_of_its_own() {
    let (server, client) = Server::with_bucket().await;
    client.create_bucket().bucket("other").send().await.unwrap();
    let outside = server.folder.path().join("outside");
    std::fs::write(&outside, "untouched").unwrap();
    for round in ["first", "second"] {
        for key in hostile() {
            let body = format!("{round} {key}").into_bytes();
            client.put_object().bucket("bucket").key(&key).body(ByteStream::from(body)).send().await.unwrap();
        }
        for key in hostile() {
            let get = client.get_object().bucket("bucket").key(&key).send().await.unwrap();
            assert_eq!(get.body.collect().await.unwrap().to_vec(), format!("{round} {key}").into_bytes(), "{key:?}");
        }
    }
    let mut listed = Vec::new();
    let mut pages = client.list_objects_v2().bucket("bucket").max_keys(7).into_paginator().send();
    while let Some(page) = pages.next().await {
        listed.extend(page.unwrap().contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    let mut expected = hostile();
    expected.sort();
    assert_eq!(listed, expected);
    assert_eq!(client.list_objects_v2().bucket("other").send().await.unwrap().key_count(), Some(0));
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "untouched");
    let folder = server.folder.path().join("obs");
    for name in tree(&folder) {
        assert!(name.starts_with("bucket/") || name.starts_with(".names/bucket/"), "{name}");
    }
    assert_eq!(std::fs::read_to_string(folder.join("bucket/模型/数据 v1+~.bin")).unwrap(), "second 模型/数据 v1+~.bin");
    for key in hostile() {
        client.delete_object().bucket("bucket").key(&key).send().await.unwrap();
        refused!(client.head_object().bucket("bucket").key(&key).send().await, 404, "NotFound");
    }
    assert_eq!(tree(&folder), Vec::<String>::new());
    client.delete_bucket().bucket("bucket").send().await.unwrap();
    assert!(!folder.join("bucket").exists());
}

#[tokio::test]
async fn a_key_has_1024_bytes_at_most() {
    let (_server, client) = Server::with_bucket().await;
    client.put_object().bucket("bucket").key("k".repeat(1024)).send().await.unwrap();
    refused!(client.put_object().bucket("bucket").key("k".repeat(1025)).send().await, 400, "KeyTooLongError");
}
