//! Bodies: ranges, digests, chunks, large ones.

use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method};
use md5::{Digest as _, Md5};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::refused;
use crate::signatures::{obs_signed, signed};
use crate::support::{Server, tree};

#[tokio::test]
async fn an_upload_says_how_long_it_is() {
    let (server, _) = Server::with_bucket().await;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    stream.write_all(b"PUT /bucket/k HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 411 ") && answer.contains("<Code>MissingContentLength</Code>"), "{answer}");
}

#[tokio::test]
async fn ranges() {
    let (server, client) = Server::with_bucket().await;
    let body: Vec<u8> = (0..=255).cycle().take(1_500_000).collect();
    client.put_object().bucket("bucket").key("k").body(ByteStream::from(body.clone())).send().await.unwrap();
    client.put_object().bucket("bucket").key("empty").send().await.unwrap();
    let cases = [
        ("bytes=0-0", 0..1),
        ("bytes=5-9", 5..10),
        ("bytes=1499999-", 1_499_999..1_500_000),
        ("bytes=-10", 1_499_990..1_500_000),
        ("bytes=-2000000", 0..1_500_000),
        ("bytes=100-900000", 100..900_001),
        ("bytes=1400000-9999999", 1_400_000..1_500_000),
    ];
    for (range, wanted) in cases {
        let get = client.get_object().bucket("bucket").key("k").range(range).send().await.unwrap();
        let header = format!("bytes {}-{}/1500000", wanted.start, wanted.end - 1);
        assert_eq!(get.content_range(), Some(header.as_str()), "{range}");
        assert!(get.body.collect().await.unwrap().to_vec() == body[wanted], "{range}");
    }
    for range in ["bytes=1500000-", "bytes=1500000-1500001", "bytes=-0"] {
        refused!(client.get_object().bucket("bucket").key("k").range(range).send().await, 416, "InvalidRange");
    }
    refused!(client.get_object().bucket("bucket").key("empty").range("bytes=0-").send().await, 416, "InvalidRange");
    // What is no range is ignored.
    let mut headers = signed(&Method::GET, "/bucket/k", &[]);
    headers.insert("range", HeaderValue::from_static("bytes=9-5"));
    let answer = server.raw(Method::GET, "/bucket/k", &headers, b"").await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, body.len()));
    let head = client.head_object().bucket("bucket").key("k").range("bytes=0-4").send().await.unwrap();
    assert_eq!(head.content_length(), Some(5));
}

#[tokio::test]
async fn bytes_that_do_not_fit_their_digest_are_not_kept() {
    let (server, client) = Server::with_bucket().await;
    let good = STANDARD.encode(Md5::digest(b"good"));
    for size in [4, 3_000_000] {
        let body = || ByteStream::from(vec![b'x'; size]);
        let put = || client.put_object().bucket("bucket").key("k").body(body());
        refused!(put().content_md5(&good).send().await, 400, "BadDigest");
        refused!(put().content_md5("nonsense").send().await, 400, "InvalidDigest");
        refused!(put().checksum_crc32("AAAAAA==").send().await, 400, "BadDigest");
        refused!(put().checksum_sha256(STANDARD.encode([0; 32])).send().await, 400, "BadDigest");
    }
    let target = "/bucket/k";
    for (name, value) in [("x-obs-content-sha256", "0".repeat(64)), ("x-obs-checksum-crc64ecma", "1".to_owned())] {
        let answer = server.raw(Method::PUT, target, &obs_signed(&Method::PUT, target, &[(name, &value)]), b"data").await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.text());
        assert!(answer.text().contains("BadDigest"), "{}", answer.text());
    }
    assert_eq!(tree(&server.folder.path().join("obs")), Vec::<String>::new());
    let crc64 = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Xz, b"data").to_string();
    let headers = obs_signed(&Method::PUT, target, &[("x-obs-checksum-crc64ecma", &crc64)]);
    let answer = server.raw(Method::PUT, target, &headers, b"data").await;
    assert_eq!((answer.status.as_u16(), answer.header("x-obs-checksum-crc64ecma")), (200, crc64.as_str()));
    let answer = server.raw(Method::HEAD, target, &obs_signed(&Method::HEAD, target, &[]), b"").await;
    assert_eq!(answer.header("x-obs-checksum-crc64ecma"), crc64);
}

/// The checksums that AWS clients send by default travel in trailers of an `aws-chunked` body.
#[tokio::test]
async fn checksums_in_trailers() {
    let (_server, client) = Server::with_bucket().await;
    let config = client.config().to_builder().request_checksum_calculation(RequestChecksumCalculation::WhenSupported).build();
    let client = aws_sdk_s3::Client::from_conf(config);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![42; 700_000]).unwrap();
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ] {
        let body = ByteStream::from_path(file.path()).await.unwrap();
        let put = client.put_object().bucket("bucket").key("k").checksum_algorithm(algorithm.clone()).body(body);
        put.send().await.unwrap_or_else(|error| panic!("{algorithm}: {error:?}"));
        let head = client.head_object().bucket("bucket").key("k").checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
        assert_eq!(head.content_length(), Some(700_000), "{algorithm}");
        assert_eq!(head.content_encoding(), None, "{algorithm}");
        let sums = [
            head.checksum_crc32(),
            head.checksum_crc32_c(),
            head.checksum_crc64_nvme(),
            head.checksum_sha1(),
            head.checksum_sha256(),
        ];
        assert_eq!(sums.iter().flatten().count(), 1, "{algorithm}: {sums:?}");
    }
}

#[tokio::test]
async fn large_bodies_pass_through() {
    let (server, client) = Server::with_bucket().await;
    let body: Vec<u8> = (0..40_000_000_u32).map(|number| number.to_le_bytes()[(number % 4) as usize]).collect();
    let put = client.put_object().bucket("bucket").key("dir/large").body(ByteStream::from(body.clone())).send().await.unwrap();
    assert_eq!(put.e_tag(), Some(format!("\"{}\"", hex::encode(Md5::digest(&body))).as_str()));
    let get = client.get_object().bucket("bucket").key("dir/large").send().await.unwrap();
    assert!(get.body.collect().await.unwrap().to_vec() == body);
    assert!(std::fs::read(server.folder.path().join("obs/bucket/dir/large")).unwrap() == body);
}

/// A body that ends early leaves nothing, and the server goes on.
#[tokio::test]
async fn a_broken_upload_leaves_nothing() {
    use tokio::io::AsyncWriteExt as _;
    let (server, client) = Server::with_bucket().await;
    let headers = signed(&Method::PUT, "/bucket/k", &[]);
    let mut head = "PUT /bucket/k HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n".to_owned();
    for (name, value) in &headers {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    stream.write_all(&vec![1; 500_000]).await.unwrap();
    drop(stream);
    let incoming = server.folder.path().join("obs/.incoming");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while std::fs::read_dir(&incoming).unwrap().next().is_some() {
        assert!(std::time::Instant::now() < deadline, "the temporary file stays");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    refused!(client.get_object().bucket("bucket").key("k").send().await, 404, "NoSuchKey");
}

/// A folder that was copied has other times; the bytes decide.
#[tokio::test]
async fn a_copied_file_is_accepted() {
    let (server, client) = Server::with_bucket().await;
    client.put_object().bucket("bucket").key("k").body(ByteStream::from_static(b"right")).send().await.unwrap();
    std::fs::write(server.folder.path().join("obs/bucket/k"), "right").unwrap();
    for _ in 0..2 {
        let get = client.get_object().bucket("bucket").key("k").send().await.unwrap();
        assert_eq!(get.body.collect().await.unwrap().to_vec(), b"right");
    }
}

/// A file that somebody changed is not passed off as the object.
#[tokio::test]
async fn a_changed_file_is_noticed() {
    let (server, client) = Server::with_bucket().await;
    client.put_object().bucket("bucket").key("k").body(ByteStream::from_static(b"right")).send().await.unwrap();
    std::fs::write(server.folder.path().join("obs/bucket/k"), "wrong").unwrap();
    refused!(client.get_object().bucket("bucket").key("k").send().await, 500, "InternalError");
    client.put_object().bucket("bucket").key("k").body(ByteStream::from_static(b"again")).send().await.unwrap();
    client.get_object().bucket("bucket").key("k").send().await.unwrap();
}
