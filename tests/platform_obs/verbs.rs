//! Buckets and objects.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketCannedAcl, Delete, MetadataDirective, ObjectCannedAcl, ObjectIdentifier, Permission, StorageClass,
};
use http::Method;

use crate::refused;
use crate::signatures::signed;
use crate::support::{REGION, Server};

#[tokio::test]
async fn buckets_come_and_go() {
    let server = Server::start().await;
    let client = server.client();
    refused!(client.head_bucket().bucket("bucket").send().await, 404, "NotFound");
    client.create_bucket().bucket("bucket").send().await.unwrap();
    client.create_bucket().bucket("another.one").send().await.unwrap();
    refused!(client.create_bucket().bucket("bucket").send().await, 409, "BucketAlreadyOwnedByYou");
    refused!(client.create_bucket().bucket("Bad_Name").send().await, 400, "InvalidBucketName");
    let head = client.head_bucket().bucket("bucket").send().await.unwrap();
    assert_eq!(head.bucket_region(), Some(REGION));
    let location = client.get_bucket_location().bucket("bucket").send().await.unwrap();
    assert_eq!(location.location_constraint().map(|place| place.as_str()), Some(REGION));
    let list = client.list_buckets().send().await.unwrap();
    let names: Vec<&str> = list.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(names, ["another.one", "bucket"]);
    client.put_object().bucket("bucket").key("k").body(ByteStream::from_static(b"x")).send().await.unwrap();
    refused!(client.delete_bucket().bucket("bucket").send().await, 409, "BucketNotEmpty");
    client.delete_object().bucket("bucket").key("k").send().await.unwrap();
    client.delete_bucket().bucket("bucket").send().await.unwrap();
    refused!(client.delete_bucket().bucket("bucket").send().await, 404, "NoSuchBucket");
    refused!(client.put_object().bucket("bucket").key("k").send().await, 404, "NoSuchBucket");
    refused!(client.list_objects_v2().bucket("bucket").send().await, 404, "NoSuchBucket");
}

#[tokio::test]
async fn headers_and_metadata_are_kept() {
    let (_server, client) = Server::with_bucket().await;
    let body = b"the body".as_slice();
    let put = client
        .put_object()
        .bucket("bucket")
        .key("k")
        .body(ByteStream::from_static(body))
        .content_type("text/plain; charset=utf-8")
        .cache_control("no-cache")
        .content_disposition("attachment; filename=\"x\"")
        .content_encoding("identity")
        .content_language("de")
        .metadata("owner", "alice")
        .metadata("note", "モデル")
        .storage_class(StorageClass::StandardIa)
        .send()
        .await
        .unwrap();
    assert_eq!(put.e_tag(), Some("\"3066176185fcca35d26c1b1612a91e78\""));
    let head = client.head_object().bucket("bucket").key("k").send().await.unwrap();
    let get = client.get_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(head.e_tag(), put.e_tag());
    assert_eq!(head.content_length(), Some(8));
    assert_eq!(head.content_type(), Some("text/plain; charset=utf-8"));
    assert_eq!(head.storage_class(), Some(&StorageClass::StandardIa));
    assert_eq!(head.metadata().unwrap()["owner"], "alice");
    assert_eq!(get.cache_control(), Some("no-cache"));
    assert_eq!(get.content_disposition(), Some("attachment; filename=\"x\""));
    assert_eq!(get.content_encoding(), Some("identity"));
    assert_eq!(get.content_language(), Some("de"));
    assert_eq!(get.metadata(), head.metadata());
    assert_eq!(get.last_modified(), head.last_modified());
    assert_eq!(get.body.collect().await.unwrap().to_vec(), body);
    let renamed = client.get_object().bucket("bucket").key("k").response_content_type("application/json").send().await.unwrap();
    assert_eq!(renamed.content_type(), Some("application/json"));
}

#[tokio::test]
async fn copies_keep_or_replace() {
    let (_server, client) = Server::with_bucket().await;
    client
        .put_object()
        .bucket("bucket")
        .key("a b+c")
        .metadata("v", "1")
        .content_type("text/a")
        .body(ByteStream::from_static(b"data"))
        .send()
        .await
        .unwrap();
    let copy = |source: &str, key: &str| client.copy_object().bucket("bucket").copy_source(source).key(key);
    copy("bucket/a%20b%2Bc", "copy").send().await.unwrap();
    let head = client.head_object().bucket("bucket").key("copy").send().await.unwrap();
    assert_eq!((head.content_type(), head.metadata().unwrap()["v"].as_str()), (Some("text/a"), "1"));
    copy("/bucket/copy", "copy2").metadata_directive(MetadataDirective::Replace).metadata("v", "2").send().await.unwrap();
    let head = client.head_object().bucket("bucket").key("copy2").send().await.unwrap();
    assert_eq!(head.metadata().unwrap()["v"], "2");
    assert_ne!(head.content_type(), Some("text/a"));
    refused!(copy("bucket/copy", "copy").send().await, 400, "InvalidRequest");
    copy("bucket/copy", "copy").metadata_directive(MetadataDirective::Replace).metadata("v", "3").send().await.unwrap();
    let get = client.get_object().bucket("bucket").key("copy").send().await.unwrap();
    assert_eq!(get.metadata().unwrap()["v"], "3");
    assert_eq!(get.body.collect().await.unwrap().to_vec(), b"data");
    refused!(copy("bucket/none", "x").send().await, 404, "NoSuchKey");
    refused!(copy("nowhere/none", "x").send().await, 404, "NoSuchBucket");
    refused!(copy("bucket/copy", "x").copy_source_if_match("\"0\"").send().await, 412, "PreconditionFailed");
}

#[tokio::test]
async fn many_are_deleted_at_once() {
    let (_server, client) = Server::with_bucket().await;
    for key in ["a", "b/c", "d&<e>"] {
        client.put_object().bucket("bucket").key(key).send().await.unwrap();
    }
    let objects = ["a", "b/c", "d&<e>", "never there"];
    let objects = objects.map(|key| ObjectIdentifier::builder().key(key).build().unwrap()).to_vec();
    let delete = Delete::builder().set_objects(Some(objects)).build().unwrap();
    let done = client.delete_objects().bucket("bucket").delete(delete).send().await.unwrap();
    assert_eq!(done.deleted().len(), 4);
    assert!(done.errors().is_empty());
    let list = client.list_objects_v2().bucket("bucket").send().await.unwrap();
    assert_eq!(list.key_count(), Some(0));
    client.delete_object().bucket("bucket").key("a").send().await.unwrap();
}

#[tokio::test]
async fn access_control_lists_are_kept() {
    let (_server, client) = Server::with_bucket().await;
    client.put_object().bucket("bucket").key("k").send().await.unwrap();
    let acl = client.get_object_acl().bucket("bucket").key("k").send().await.unwrap();
    let permissions: Vec<_> = acl.grants().iter().filter_map(|grant| grant.permission()).collect();
    assert_eq!(permissions, [&Permission::FullControl]);
    client.put_object_acl().bucket("bucket").key("k").acl(ObjectCannedAcl::PublicRead).send().await.unwrap();
    let acl = client.get_object_acl().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(acl.grants().len(), 2);
    client.put_bucket_acl().bucket("bucket").acl(BucketCannedAcl::PublicReadWrite).send().await.unwrap();
    let acl = client.get_bucket_acl().bucket("bucket").send().await.unwrap();
    assert_eq!(acl.grants().len(), 3);
    refused!(client.get_object_acl().bucket("bucket").key("none").send().await, 404, "NoSuchKey");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let (server, client) = Server::with_bucket().await;
    let error = client.get_bucket_versioning().bucket("bucket").send().await.unwrap_err();
    assert_eq!(crate::support::refusal(&error).0, 501);
    assert!(format!("{error:?}").contains("GetBucketVersioning"), "{error:?}");
    for (method, target, words) in [
        (Method::GET, "/bucket?quota", "quota"),
        (Method::PUT, "/bucket?quota", "quota"),
        (Method::POST, "/bucket/key?rename&name=x", "rename"),
        (Method::PUT, "/bucket/key?metadata", "metadata"),
    ] {
        let answer = server.raw(method.clone(), target, &signed(&method, target, &[]), b"").await;
        assert_eq!(answer.status, 501, "{target}: {}", answer.text());
        assert!(answer.text().contains(words), "{target}: {}", answer.text());
    }
    // Nothing was made or changed by what is not implemented.
    refused!(client.head_object().bucket("bucket").key("key").send().await, 404, "NotFound");
}

#[tokio::test]
async fn appending() {
    let (server, client) = Server::with_bucket().await;
    let append = |position: u64, body: &'static [u8]| {
        let target = format!("/bucket/log.txt?append&position={position}");
        let server = &server;
        async move { server.raw(Method::POST, &target, &signed(&Method::POST, &target, &[]), body).await }
    };
    let answer = append(3, b"x").await;
    assert_eq!(answer.status, 409, "{}", answer.text());
    let answer = append(0, b"hello ").await;
    assert_eq!((answer.status.as_u16(), answer.header("x-obs-next-append-position")), (200, "6"), "{}", answer.text());
    let answer = append(0, b"again").await;
    assert_eq!((answer.status.as_u16(), answer.header("x-obs-next-append-position")), (409, "6"));
    let answer = append(6, b"world").await;
    assert_eq!((answer.status.as_u16(), answer.header("x-obs-next-append-position")), (200, "11"));
    let crc64 = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Xz, b"hello world").to_string();
    assert_eq!(answer.header("x-obs-checksum-crc64ecma"), crc64);
    let get = client.get_object().bucket("bucket").key("log.txt").send().await.unwrap();
    assert_eq!(get.body.collect().await.unwrap().to_vec(), b"hello world");
    client.put_object().bucket("bucket").key("log.txt").body(ByteStream::from_static(b"no")).send().await.unwrap();
    let answer = append(2, b"x").await;
    assert_eq!(answer.status, 409);
    assert!(answer.text().contains("ObjectNotAppendable"), "{}", answer.text());
}
