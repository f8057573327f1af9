//! Signatures: OBS, AWS version 2 and 4, the vendor's version 4; in headers and in addresses.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use sha1::Sha1;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::refused;
use crate::support::{ACCESS_KEY, EXPIRED, SECRET_KEY, Server, TEMPORARY, TOKEN};

fn mac(text: &str, secret: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn date(time: OffsetDateTime) -> String {
    time.format(format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"))
        .unwrap()
}

/// What a test may do wrong.
struct Signer {
    scheme: &'static str,
    access_key: &'static str,
    secret_key: &'static str,
    time: OffsetDateTime,
}

impl Signer {
    fn new(scheme: &'static str) -> Self {
        Self { scheme, access_key: ACCESS_KEY, secret_key: SECRET_KEY, time: OffsetDateTime::now_utc() }
    }

    /// Signs a target whose query holds sub-resources only.
    fn sign(&self, method: &Method, target: &str, more: &[(&str, &str)]) -> HeaderMap {
        let date = date(self.time);
        let mut lines: Vec<String> = more.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        lines.sort();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut names: Vec<&str> = query.split('&').filter(|part| !part.is_empty()).collect();
        names.sort_unstable();
        let mark = if names.is_empty() { "" } else { "?" };
        let text = format!("{method}\n\n\n{date}\n{}{path}{mark}{}", lines.concat(), names.join("&"));
        let mut headers = HeaderMap::new();
        for (name, value) in more {
            headers.insert(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        headers.insert("date", HeaderValue::try_from(date).unwrap());
        let authorization = format!("{} {}:{}", self.scheme, self.access_key, mac(&text, self.secret_key));
        headers.insert("authorization", HeaderValue::try_from(authorization).unwrap());
        headers
    }
}

/// AWS version 2.
pub(crate) fn signed(method: &Method, target: &str, more: &[(&str, &str)]) -> HeaderMap {
    Signer::new("AWS").sign(method, target, more)
}

/// OBS.
pub(crate) fn obs_signed(method: &Method, target: &str, more: &[(&str, &str)]) -> HeaderMap {
    Signer::new("OBS").sign(method, target, more)
}

#[tokio::test]
async fn obs_headers_in_and_out() {
    let server = Server::start().await;
    let put = |target: &'static str, more: &'static [(&str, &str)], body: &'static [u8]| {
        let server = &server;
        async move { server.raw(Method::PUT, target, &obs_signed(&Method::PUT, target, more), body).await }
    };
    let body = b"<CreateBucketConfiguration xmlns=\"http://obs.myhwclouds.com/doc/2015-06-30/\"><Location>local-1</Location></CreateBucketConfiguration>";
    let answer = put("/bucket", &[("x-obs-storage-class", "WARM")], body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(put("/bucket", &[], b"").await.status, 200);
    let answer = put("/bucket/k", &[("x-obs-meta-owner", "alice"), ("x-obs-storage-class", "COLD")], b"data").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.header("x-obs-request-id").is_empty());
    let get = |target: &'static str| {
        let server = &server;
        async move { server.raw(Method::GET, target, &obs_signed(&Method::GET, target, &[]), b"").await }
    };
    let answer = get("/bucket/k").await;
    assert_eq!((answer.header("x-obs-meta-owner"), answer.header("x-obs-storage-class")), ("alice", "COLD"));
    assert_eq!(answer.text(), "data");
    assert!(get("/bucket").await.text().contains("<StorageClass>COLD</StorageClass>"));
    // An object that looks like a document is still an object.
    let list = b"<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><StorageClass>GLACIER</StorageClass></ListBucketResult>";
    let headers = signed(&Method::PUT, "/bucket/list.xml", &[]);
    assert_eq!(server.raw(Method::PUT, "/bucket/list.xml", &headers, list).await.status, 200);
    let answer = get("/bucket/list.xml?response-content-type=application/xml").await;
    assert_eq!((answer.header("content-type"), &answer.body[..]), ("application/xml", &list[..]), "{}", answer.text());
    let location = get("/bucket?location").await.text();
    assert!(location.contains("<Location") && location.contains(">local-1</Location>"), "{location}");
    let answer = put("/bucket/copy", &[("x-obs-copy-source", "/bucket/k")], b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(get("/bucket/copy").await.text(), "data");
    let answer = get("/bucket/none").await;
    assert_eq!(answer.status, 404);
    for part in ["<Code>NoSuchKey</Code>", "<RequestId>", "<HostId>", "<Resource>/bucket/none</Resource>"] {
        assert!(answer.text().contains(part), "{}", answer.text());
    }
}

#[tokio::test]
async fn virtual_hosts() {
    let (server, client) = Server::with_bucket().await;
    client.put_object().bucket("bucket").key("k").body(ByteStream::from_static(b"1")).send().await.unwrap();
    // The bucket in the host counts for the signature as if it stood in the path.
    let mut headers = obs_signed(&Method::GET, "/bucket/k", &[]);
    headers.insert("host", HeaderValue::from_static("bucket.obs.localhost:80"));
    let answer = server.raw(Method::GET, "/k", &headers, b"").await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "1"));
    let mut headers = obs_signed(&Method::GET, "/bucket/", &[]);
    headers.insert("host", HeaderValue::from_static("bucket.obs.localhost"));
    assert!(server.raw(Method::GET, "/", &headers, b"").await.text().contains("<Key>k</Key>"));
    let answer = server.raw(Method::HEAD, "/?apiversion", &HeaderMap::new(), b"").await;
    assert_eq!((answer.status.as_u16(), answer.header("x-obs-api")), (200, "3.0"));
}

#[tokio::test]
async fn refusals() {
    let (server, client) = Server::with_bucket().await;
    client.put_object().bucket("bucket").key("k").send().await.unwrap();
    let get = |headers: HeaderMap| {
        let server = &server;
        async move { server.raw(Method::GET, "/bucket/k", &headers, b"").await }
    };
    for scheme in ["AWS", "OBS"] {
        let sign = |signer: Signer| signer.sign(&Method::GET, "/bucket/k", &[]);
        assert_eq!(get(sign(Signer::new(scheme))).await.status, 200);
        let hours = |hours: i64| OffsetDateTime::now_utc() + time::Duration::hours(hours);
        let cases = [
            (Signer { secret_key: "wrong", ..Signer::new(scheme) }, "SignatureDoesNotMatch"),
            (Signer { access_key: "UNKNOWN", ..Signer::new(scheme) }, "InvalidAccessKeyId"),
            (Signer { time: hours(1), ..Signer::new(scheme) }, "RequestTimeTooSkewed"),
            (Signer { time: hours(-1), ..Signer::new(scheme) }, "RequestTimeTooSkewed"),
            (Signer { access_key: TEMPORARY, ..Signer::new(scheme) }, "InvalidToken"),
        ];
        for (signer, code) in cases {
            let answer = get(sign(signer)).await;
            assert_eq!(answer.status, 403, "{code}");
            assert!(answer.text().contains(&format!("<Code>{code}</Code>")), "{scheme} {code}: {}", answer.text());
        }
        let other = Signer::new(scheme).sign(&Method::GET, "/bucket/other", &[]);
        assert_eq!(get(other).await.status, 403);
    }
    let answer = get(HeaderMap::new()).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("<Code>AccessDenied</Code>"), "{}", answer.text());
    let wrong = |access_key: &str, secret_key: &str, token: Option<&str>| {
        server.client_with(access_key, secret_key, token).get_object().bucket("bucket").key("k")
    };
    refused!(wrong(ACCESS_KEY, "wrong", None).send().await, 403, "SignatureDoesNotMatch");
    refused!(wrong("UNKNOWN", SECRET_KEY, None).send().await, 403, "InvalidAccessKeyId");
    refused!(wrong(TEMPORARY, SECRET_KEY, None).send().await, 403, "InvalidToken");
    refused!(wrong(TEMPORARY, SECRET_KEY, Some("other")).send().await, 403, "InvalidToken");
    refused!(wrong(ACCESS_KEY, SECRET_KEY, Some(TOKEN)).send().await, 403, "InvalidToken");
    refused!(wrong(EXPIRED, SECRET_KEY, Some(TOKEN)).send().await, 403, "ExpiredToken");
    wrong(TEMPORARY, SECRET_KEY, Some(TOKEN)).send().await.unwrap();
    // A large body is heard to its end before it is refused, so that the client sees the answer.
    let big = server.client_with(ACCESS_KEY, "wrong", None).put_object().bucket("bucket").key("k");
    refused!(big.body(ByteStream::from(vec![0; 8_000_000])).send().await, 403, "SignatureDoesNotMatch");
}

/// A header of the other family is not signed, and so it counts for nothing.
#[tokio::test]
async fn unsigned_headers_are_dropped() {
    let (server, client) = Server::with_bucket().await;
    client.put_object().bucket("bucket").key("secret").body(ByteStream::from_static(b"secret")).send().await.unwrap();
    let mut headers = obs_signed(&Method::PUT, "/bucket/k", &[]);
    headers.insert("x-amz-copy-source", HeaderValue::from_static("/bucket/secret"));
    assert_eq!(server.raw(Method::PUT, "/bucket/k", &headers, b"mine").await.status, 200);
    let get = client.get_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(get.body.collect().await.unwrap().to_vec(), b"mine");
}

#[tokio::test]
async fn signed_addresses() {
    let (server, client) = Server::with_bucket().await;
    client.put_object().bucket("bucket").key("a b").body(ByteStream::from_static(b"1")).send().await.unwrap();
    let presigned = client.get_object().bucket("bucket").key("a b");
    let presigned = presigned.presigned(PresigningConfig::expires_in(Duration::from_secs(60)).unwrap()).await.unwrap();
    let target = presigned.uri().strip_prefix(&server.endpoint()).unwrap().to_owned();
    assert_eq!(server.raw(Method::GET, &target, &HeaderMap::new(), b"").await.text(), "1");
    let spoilt = target.replace("a%20b", "k");
    assert_eq!(server.raw(Method::GET, &spoilt, &HeaderMap::new(), b"").await.status, 403);
    let now = OffsetDateTime::now_utc().unix_timestamp();
    for name in ["AccessKeyId", "AWSAccessKeyId"] {
        for (expires, status) in [(now + 60, 200), (now - 1, 403)] {
            let signature = mac(&format!("GET\n\n\n{expires}\n/bucket/a%20b?response-content-type=text/x"), SECRET_KEY);
            let signature = percent_encoding::utf8_percent_encode(&signature, percent_encoding::NON_ALPHANUMERIC).to_string();
            let query = format!("{name}={ACCESS_KEY}&Expires={expires}&response-content-type=text%2Fx&Signature={signature}");
            let answer = server.raw(Method::GET, &format!("/bucket/a%20b?{query}"), &HeaderMap::new(), b"").await;
            assert_eq!(answer.status, status, "{name}: {}", answer.text());
            if status == 200 {
                assert_eq!((answer.text().as_str(), answer.header("content-type")), ("1", "text/x"));
            }
            let longer = query.replace(&expires.to_string(), &(expires + 1000).to_string());
            let answer = server.raw(Method::GET, &format!("/bucket/a%20b?{longer}"), &HeaderMap::new(), b"").await;
            assert_eq!(answer.status, 403, "the time of expiry is signed");
        }
    }
}
