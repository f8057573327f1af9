//! Multipart uploads.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use md5::{Digest as _, Md5};

use crate::refused;
use crate::support::{Server, tree};

const PART: usize = 100 * 1024;

async fn create(client: &Client, key: &str) -> String {
    let created = client.create_multipart_upload().bucket("bucket").key(key).metadata("m", "1").content_type("text/x");
    created.send().await.unwrap().upload_id().unwrap().to_owned()
}

async fn part(client: &Client, key: &str, upload: &str, number: i32, body: Vec<u8>) -> String {
    let sent =
        client.upload_part().bucket("bucket").key(key).upload_id(upload).part_number(number).body(ByteStream::from(body));
    sent.send().await.unwrap().e_tag().unwrap().to_owned()
}

fn listing(parts: &[(i32, &str)]) -> CompletedMultipartUpload {
    let parts = parts.iter().map(|(number, etag)| CompletedPart::builder().part_number(*number).e_tag(*etag).build()).collect();
    CompletedMultipartUpload::builder().set_parts(Some(parts)).build()
}

macro_rules! complete {
    ($client:expr, $key:expr, $upload:expr, $parts:expr) => {
        $client
            .complete_multipart_upload()
            .bucket("bucket")
            .key($key)
            .upload_id($upload)
            .multipart_upload(listing($parts))
            .send()
            .await
    };
}

#[tokio::test]
async fn parts_become_an_object() {
    let (server, client) = Server::with_bucket().await;
    let upload = create(&client, "big").await;
    let bodies = [vec![1; PART], vec![2; PART + 7], vec![3; 5]];
    let replaced = part(&client, "big", &upload, 5, vec![9; 10]).await;
    let third = part(&client, "big", &upload, 9000, bodies[2].clone()).await;
    let first = part(&client, "big", &upload, 2, bodies[0].clone()).await;
    let second = part(&client, "big", &upload, 5, bodies[1].clone()).await;
    let page = client.list_parts().bucket("bucket").key("big").upload_id(&upload).max_parts(2).send().await.unwrap();
    let shown: Vec<_> = page.parts().iter().map(|part| (part.part_number().unwrap(), part.e_tag().unwrap())).collect();
    assert_eq!(shown, [(2, first.as_str()), (5, second.as_str())]);
    assert_eq!((page.is_truncated(), page.next_part_number_marker()), (Some(true), Some("5")));
    let page = client.list_parts().bucket("bucket").key("big").upload_id(&upload).part_number_marker("5").send().await.unwrap();
    assert_eq!(page.parts()[0].size(), Some(5));
    refused!(complete!(client, "big", &upload, &[(5, &second), (2, &first)]), 400, "InvalidPartOrder");
    refused!(complete!(client, "big", &upload, &[(2, &first), (5, &replaced)]), 400, "InvalidPart");
    refused!(complete!(client, "big", &upload, &[(3, &first)]), 400, "InvalidPart");
    refused!(
        complete!(client, "big", &upload, &[(2, &first), (5, &second), (9000, &third), (9001, &third)]),
        400,
        "InvalidPart"
    );
    let done = complete!(client, "big", &upload, &[(2, &first), (5, &second), (9000, &third)]).unwrap();
    let mut digests = Md5::new();
    bodies.iter().for_each(|body| digests.update(Md5::digest(body)));
    assert_eq!(done.e_tag(), Some(format!("\"{}-3\"", hex::encode(digests.finalize())).as_str()));
    let get = client.get_object().bucket("bucket").key("big").send().await.unwrap();
    assert_eq!((get.content_type(), get.metadata().unwrap()["m"].as_str()), (Some("text/x"), "1"));
    assert_eq!(get.e_tag(), done.e_tag());
    assert_eq!(get.body.collect().await.unwrap().to_vec(), bodies.concat());
    refused!(complete!(client, "big", &upload, &[(2, &first)]), 404, "NoSuchUpload");
    assert_eq!(tree(&server.folder.path().join("obs")), ["bucket/big"]);
}

#[tokio::test]
async fn small_parts_are_refused_at_the_end() {
    let (_server, client) = Server::with_bucket().await;
    let upload = create(&client, "k").await;
    let first = part(&client, "k", &upload, 1, vec![1; PART - 1]).await;
    let second = part(&client, "k", &upload, 2, vec![1; 1]).await;
    refused!(complete!(client, "k", &upload, &[(1, &first), (2, &second)]), 400, "EntityTooSmall");
    complete!(client, "k", &upload, &[(1, &first)]).unwrap();
    assert_eq!(client.head_object().bucket("bucket").key("k").send().await.unwrap().content_length(), Some(102_399));
    for number in [0, 10_001] {
        let sent = client.upload_part().bucket("bucket").key("k").upload_id("x").part_number(number).send().await;
        refused!(sent, 400, "InvalidArgument");
    }
}

#[tokio::test]
async fn an_aborted_upload_is_gone() {
    let (server, client) = Server::with_bucket().await;
    let (one, two) = (create(&client, "dir/k").await, create(&client, "other").await);
    part(&client, "dir/k", &one, 1, vec![0; 10]).await;
    let list = client.list_multipart_uploads().bucket("bucket").send().await.unwrap();
    let shown: Vec<_> = list.uploads().iter().map(|upload| (upload.key().unwrap(), upload.upload_id().unwrap())).collect();
    assert_eq!(shown, [("dir/k", one.as_str()), ("other", two.as_str())]);
    let list = client.list_multipart_uploads().bucket("bucket").delimiter("/").max_uploads(1).send().await.unwrap();
    assert_eq!(list.common_prefixes()[0].prefix(), Some("dir/"));
    assert_eq!((list.is_truncated(), list.next_key_marker()), (Some(true), Some("dir/")));
    let rest = client.list_multipart_uploads().bucket("bucket").delimiter("/").key_marker("dir/").send().await.unwrap();
    assert_eq!((rest.uploads().len(), rest.common_prefixes().len()), (1, 0));
    client.abort_multipart_upload().bucket("bucket").key("dir/k").upload_id(&one).send().await.unwrap();
    refused!(client.list_parts().bucket("bucket").key("dir/k").upload_id(&one).send().await, 404, "NoSuchUpload");
    refused!(complete!(client, "dir/k", &one, &[(1, "\"0\"")]), 404, "NoSuchUpload");
    let late = client.upload_part().bucket("bucket").key("dir/k").upload_id(&one).part_number(1).send().await;
    refused!(late, 404, "NoSuchUpload");
    assert_eq!(tree(&server.folder.path().join("obs")), Vec::<String>::new());
    // An upload belongs to its key.
    refused!(client.list_parts().bucket("bucket").key("x").upload_id(&two).send().await, 404, "NoSuchUpload");
    client.delete_bucket().bucket("bucket").send().await.unwrap();
}

#[tokio::test]
async fn parts_are_copied_from_objects() {
    let (_server, client) = Server::with_bucket().await;
    let source: Vec<u8> = (0..=255).cycle().take(PART * 2).collect();
    client.put_object().bucket("bucket").key("source").body(ByteStream::from(source.clone())).send().await.unwrap();
    let upload = create(&client, "k").await;
    let copy = |number: i32, range: &'static str| {
        let call = client.upload_part_copy().bucket("bucket").key("k").upload_id(&upload).part_number(number);
        call.copy_source("bucket/source").copy_source_range(range)
    };
    let first = copy(1, "bytes=100-102499").send().await.unwrap();
    let second = copy(2, "bytes=0-9").send().await.unwrap();
    refused!(copy(3, "bytes=0-999999").send().await, 416, "InvalidRange");
    let etags = [first, second].map(|part| part.copy_part_result().unwrap().e_tag().unwrap().to_owned());
    complete!(client, "k", &upload, &[(1, &etags[0]), (2, &etags[1])]).unwrap();
    let get = client.get_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(get.body.collect().await.unwrap().to_vec(), [&source[100..102_500], &source[..10]].concat());
}

#[tokio::test]
async fn one_of_many_completions_wins() {
    let (_server, client) = Server::with_bucket().await;
    let upload = create(&client, "k").await;
    let etag = part(&client, "k", &upload, 1, vec![7; 3 * 1024 * 1024]).await;
    let tries = (0..8).map(|_| {
        let (client, upload, etag) = (client.clone(), upload.clone(), etag.clone());
        tokio::spawn(
            async move { complete!(client, "k", &upload, &[(1, &etag)]).map_err(|error| crate::support::refusal(&error)) },
        )
    });
    let mut won = 0;
    for attempt in tries.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Ok(_) => won += 1,
            Err((status, code)) => {
                assert!(
                    [(404, "NoSuchUpload"), (409, "OperationAborted")].contains(&(status, code.as_str())),
                    "{status} {code}"
                );
            }
        }
    }
    assert_eq!(won, 1);
    assert_eq!(client.head_object().bucket("bucket").key("k").send().await.unwrap().content_length(), Some(3 * 1024 * 1024));
}
