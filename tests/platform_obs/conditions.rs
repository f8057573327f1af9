//! Conditional requests.

use aws_sdk_s3::primitives::{ByteStream, DateTime};

use crate::refused;
use crate::support::Server;

#[tokio::test]
async fn reads() {
    let (_server, client) = Server::with_bucket().await;
    let put = client.put_object().bucket("bucket").key("k").body(ByteStream::from_static(b"1")).send().await.unwrap();
    let etag = put.e_tag().unwrap();
    let get = || client.get_object().bucket("bucket").key("k");
    let head = || client.head_object().bucket("bucket").key("k");
    let past = DateTime::from_secs(1_000_000_000);
    let modified = *head().send().await.unwrap().last_modified().unwrap();
    get().if_match(etag).send().await.unwrap();
    refused!(get().if_match("\"0\"").send().await, 412, "PreconditionFailed");
    refused!(get().if_unmodified_since(past).send().await, 412, "PreconditionFailed");
    get().if_none_match("\"0\"").send().await.unwrap();
    let not_modified = get().if_none_match(etag).send().await.unwrap_err();
    let response = not_modified.raw_response().unwrap();
    assert_eq!((response.status().as_u16(), response.headers().get("etag")), (304, Some(etag)));
    assert_eq!(crate::support::refusal(&get().if_modified_since(modified).send().await.unwrap_err()).0, 304);
    get().if_modified_since(past).send().await.unwrap();
    assert_eq!(crate::support::refusal(&head().if_none_match(etag).send().await.unwrap_err()).0, 304);
    assert_eq!(crate::support::refusal(&head().if_match("\"0\"").send().await.unwrap_err()).0, 412);
}

#[tokio::test]
async fn writes() {
    let (_server, client) = Server::with_bucket().await;
    let put = |body: &'static [u8]| client.put_object().bucket("bucket").key("k").body(ByteStream::from_static(body));
    refused!(put(b"0").if_match("\"0\"").send().await, 404, "NoSuchKey");
    let first = put(b"1").if_none_match("*").send().await.unwrap();
    refused!(put(b"2").if_none_match("*").send().await, 412, "PreconditionFailed");
    refused!(put(b"2").if_match("\"0\"").send().await, 412, "PreconditionFailed");
    put(b"2").if_match(first.e_tag().unwrap()).send().await.unwrap();
    refused!(put(b"3").if_match(first.e_tag().unwrap()).send().await, 412, "PreconditionFailed");
    let get = client.get_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(get.body.collect().await.unwrap().to_vec(), b"2");
    let upload = client.create_multipart_upload().bucket("bucket").key("k").send().await.unwrap();
    let id = upload.upload_id().unwrap();
    let part = client.upload_part().bucket("bucket").key("k").upload_id(id).part_number(1).send().await.unwrap();
    let part = aws_sdk_s3::types::CompletedPart::builder().part_number(1).e_tag(part.e_tag().unwrap()).build();
    let parts = aws_sdk_s3::types::CompletedMultipartUpload::builder().parts(part).build();
    let complete = client.complete_multipart_upload().bucket("bucket").key("k").upload_id(id).multipart_upload(parts);
    refused!(complete.clone().if_none_match("*").send().await, 412, "PreconditionFailed");
    complete.send().await.unwrap();
}

/// The condition and the write are one step: of many that say "only if it is not there", one succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn races_have_one_winner() {
    let (_server, client) = Server::with_bucket().await;
    for round in 0..20 {
        let tries: Vec<_> = (0..8)
            .map(|number: u8| {
                let call = client.put_object().bucket("bucket").key(format!("k{round}")).if_none_match("*");
                tokio::spawn(async move { (number, call.body(ByteStream::from(vec![number; 300])).send().await.is_ok()) })
            })
            .collect();
        let mut winners = Vec::new();
        for attempt in tries {
            let (number, won) = attempt.await.unwrap();
            winners.extend(won.then_some(number));
        }
        assert_eq!(winners.len(), 1, "round {round}");
        let get = client.get_object().bucket("bucket").key(format!("k{round}")).send().await.unwrap();
        assert_eq!(get.body.collect().await.unwrap().to_vec(), vec![winners[0]; 300]);
    }
}

/// A reader sees one version or another, never a mixture or a length that does not fit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_whole_objects_while_they_are_replaced() {
    let (_server, client) = Server::with_bucket().await;
    let body = |number: u8| ByteStream::from(vec![number; 200_000 + usize::from(number)]);
    client.put_object().bucket("bucket").key("k").body(body(0)).send().await.unwrap();
    let writer = {
        let client = client.clone();
        tokio::spawn(async move {
            for number in 1..=60 {
                client.put_object().bucket("bucket").key("k").body(body(number)).send().await.unwrap();
            }
        })
    };
    let mut reads = 0;
    while !writer.is_finished() || reads == 0 {
        let get = client.get_object().bucket("bucket").key("k").send().await.unwrap();
        let etag = get.e_tag().unwrap().to_owned();
        let bytes = get.body.collect().await.unwrap().to_vec();
        assert_eq!(bytes.len(), 200_000 + usize::from(bytes[0]));
        assert!(bytes.iter().all(|byte| *byte == bytes[0]));
        assert_eq!(etag.trim_matches('"'), hex::encode(<md5::Md5 as md5::Digest>::digest(&bytes)));
        reads += 1;
    }
    writer.await.unwrap();
}
