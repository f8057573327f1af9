//! The thin path: put object, upload part, get range. One attempt each; the caller wraps them in
//! [`Client::retrying`](crate::obs::Client::retrying), because only it can give the bytes again or throw away what arrived.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Request;
use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, LAST_MODIFIED, RANGE,
};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::obs::attributes::{Preserved, add_metadata};
use crate::obs::body::{Body, Payload, StreamBody};
use crate::obs::client::Client;
use crate::obs::error::Error;
use crate::obs::refusal::service_error;
use crate::obs::sdk::parse_date;
use crate::obs::sign::{UNSIGNED_PAYLOAD, Unsigned};
use crate::obs::url::ObsUrl;

/// No more of an error's body is read than this.
const ERROR_BODY: usize = 64 * 1024;

/// Further wishes about a put.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    /// `Content-MD5` in base64: the store refuses bytes that do not match.
    pub content_md5: Option<String>,
    /// `partNumber` and `uploadId`: sends a part instead of an object.
    pub part: Option<(u32, String)>,
    /// Send no condition: what is there was made by this caller a moment ago.
    pub replaces: bool,
    /// Headers with metadata of this object alone; where the client's attributes have the same name, those are sent.
    pub metadata: Vec<(&'static str, String)>,
}

/// What the store says of an object it took or gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// `ETag` without its quotes.
    pub etag: String,
    /// CRC-64/XZ of the whole object (`x-obs-checksum-crc64ecma`).
    pub crc64: Option<u64>,
    /// CRC-64/NVME of the whole object (`x-amz-checksum-crc64nvme`, of type `FULL_OBJECT`).
    pub crc64nvme: Option<u64>,
    /// The store keeps the object encrypted with a key of its own, so its ETag is no MD5.
    pub encrypted: bool,
    /// What the metadata says of the file that the object was made of, where that was asked for.
    pub preserved: Preserved,
}

impl Tags {
    /// The MD5 of the bytes in hex, where the ETag is one.
    pub fn md5(&self) -> Option<&str> {
        let is_md5 = self.etag.len() == 32 && self.etag.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_md5 && !self.encrypted).then_some(self.etag.as_str())
    }
}

/// Which bytes to get.
#[derive(Clone, Debug, Default)]
pub struct GetOptions {
    /// First byte and length; `None` for the whole object.
    pub range: Option<(u64, u64)>,
    /// ETag the object must still have.
    pub if_match: Option<String>,
    /// Ask stores of the AWS family for their checksum.
    pub checksum: bool,
    /// Read what the metadata says of the file that the object was made of.
    pub preserved: bool,
}

/// The head of an answer to a get, and its body to come.
#[derive(Debug)]
pub struct Got {
    /// Size of the whole object.
    pub size: u64,
    /// ETag and checksums.
    pub tags: Tags,
    /// When the object was written.
    pub modified: Option<OffsetDateTime>,
    /// The bytes of the range.
    pub body: Body,
}

impl Client {
    /// Sends an object, or a part of one, once. Returns what the store says of it.
    ///
    /// # Errors
    /// Every [`Error`]; [`Error::Source`] when the payload could not be read.
    pub async fn put_once(&self, url: &ObsUrl, payload: Payload, options: &PutOptions) -> Result<Tags, Error> {
        let operation = if options.part.is_some() { "upload part" } else { "put" };
        let query = options
            .part
            .as_ref()
            .map(|(number, upload)| format!("partNumber={number}&uploadId={}", crate::obs::address::encode_query(upload)))
            .unwrap_or_default();
        let mut headers: Vec<(&str, &str)> = Vec::new();
        if let Some(digest) = &options.content_md5 {
            headers.push(("content-md5", digest));
        }
        if options.part.is_some() {
            self.attributes.add_key(&mut headers);
        } else {
            self.attributes.add_headers(&url.key, &mut headers);
            add_metadata(&options.metadata, &mut headers);
            if !options.replaces {
                self.attributes.add_condition(&mut headers);
            }
        }
        let call = Call { operation, method: "PUT", url, query: &query, headers: &headers, payload };
        let answer = self.exchange(call, &[]).await?;
        let tags = tags(&answer.headers);
        // Read to the end, so that the connection can be used again.
        let _ = answer.body.collect(ERROR_BODY).await;
        if tags.etag.is_empty() {
            return Err(Error::Answer { operation, target: url.to_string(), message: "the answer has no ETag".to_owned() });
        }
        Ok(tags)
    }

    /// Asks for an object or a range of it, once. The range of the answer is checked.
    ///
    /// # Errors
    /// Every [`Error`]; [`Error::Answer`] when the range is not the one asked for.
    pub async fn get_once(&self, url: &ObsUrl, options: &GetOptions) -> Result<Got, Error> {
        let operation = "get";
        let mut extra: Vec<(HeaderName, String)> = Vec::new();
        if let Some((first, length)) = options.range {
            extra.push((RANGE, format!("bytes={first}-{}", first + length.max(1) - 1)));
        }
        if let Some(etag) = &options.if_match {
            extra.push((IF_MATCH, format!("\"{etag}\"")));
        }
        let mut headers: Vec<(&str, &str)> = Vec::new();
        if options.checksum {
            headers.push(("x-amz-checksum-mode", "ENABLED"));
        }
        self.attributes.add_key(&mut headers);
        let headers = headers.as_slice();
        let payload = Payload::Whole(Bytes::new());
        let answer = self.exchange(Call { operation, method: "GET", url, query: "", headers, payload }, &extra).await?;
        let wrong = |message: String| Error::Answer { operation, target: url.to_string(), message };
        let length = answer.length.ok_or_else(|| wrong("the answer has no length".to_owned()))?;
        let size = match options.range {
            None => length,
            Some((first, wanted)) => {
                let header = header(&answer.headers, &CONTENT_RANGE).unwrap_or_default();
                let (start, end, size) =
                    parse_content_range(header).ok_or_else(|| wrong(format!("the answer has no usable range [{header}]")))?;
                if start != first || end + 1 - start != length || length > wanted || (length < wanted && end + 1 != size) {
                    return Err(wrong(format!("the answer has another range than asked for [{header}]")));
                }
                size
            }
        };
        let mut tags = tags(&answer.headers);
        if options.preserved {
            let text = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
            let metadata = |name: &str| text(&format!("x-amz-meta-{name}")).or_else(|| text(&format!("x-obs-meta-{name}")));
            tags.preserved = Preserved::read(metadata);
        }
        if options.if_match.as_ref().is_some_and(|etag| *etag != tags.etag) {
            return Err(wrong("the store ignored If-Match and sent another version".to_owned()));
        }
        let modified = header(&answer.headers, &LAST_MODIFIED).and_then(parse_date);
        Ok(Got { size, tags, modified, body: answer.body })
    }

    /// Sends one signed request; an answer that is no success is an error.
    pub(crate) async fn exchange(&self, call: Call<'_>, extra: &[(HeaderName, String)]) -> Result<Reply, Error> {
        let (operation, target) = (call.operation, call.url.to_string());
        let wire = &self.inner.wire;
        let reason = Arc::new(Mutex::new(None));
        let (host, mut request) = self.signed(&call).await?;
        for (name, value) in extra {
            request.headers_mut().insert(name, header_value(value)?);
        }
        let streams = matches!(call.payload, Payload::Stream { .. });
        let body = StreamBody::new(call.payload, Arc::clone(&reason));
        let answer = match Box::pin(wire.send(&host, request.map(|()| body))).await {
            Ok(answer) => answer,
            Err(error) => {
                let stopped = reason.lock().unwrap_or_else(PoisonError::into_inner).take();
                return Err(stopped.map_or_else(|| error.into(), Error::Source));
            }
        };
        let length = header(&answer.headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let (status, mut answer) = (answer.status, answer);
        let headers = std::mem::take(&mut answer.headers);
        if streams && !status.is_success() {
            // What was not sent of the body would come before the next request.
            answer.link.retire();
        }
        let body = answer.body(wire, target.clone(), operation, length);
        if status.is_success() {
            return Ok(Reply { headers, length, body });
        }
        let text = match tokio::time::timeout(wire.stall(), body.collect(ERROR_BODY)).await {
            Ok(Ok(text)) => text,
            _ => Bytes::new(),
        };
        Err(Error::Service(Box::new(service_error(operation, target, status.as_u16(), &headers, &text))))
    }

    /// The host to ask, and the request without its body.
    async fn signed(&self, call: &Call<'_>) -> Result<(String, Request<()>), Error> {
        let inner = &self.inner;
        let credential = self.credential().await?;
        let (host, path) = inner.address.locate(&call.url.bucket, &call.url.key);
        let digest = match &call.payload {
            // On a plain connection to another machine the signature covers the body, as far as it is in memory.
            Payload::Whole(bytes) if !inner.address.is_private() => hex::encode(Sha256::digest(bytes)),
            _ => UNSIGNED_PAYLOAD.to_owned(),
        };
        let unsigned = Unsigned {
            method: call.method,
            host: &host,
            path: &path,
            query: call.query,
            headers: call.headers,
            payload: &digest,
        };
        let signature = inner.signer.sign(&unsigned, &credential, inner.clock.now());
        let mut path_and_query = path;
        if !call.query.is_empty() {
            let _ = write!(path_and_query, "?{}", call.query);
        }
        let mut builder = Request::builder()
            .method(call.method)
            .uri(path_and_query)
            .header("x-amz-content-sha256", digest)
            .header("x-amz-date", signature.date)
            .header(AUTHORIZATION, sensitive(&signature.authorization)?);
        for (name, value) in call.headers {
            builder = builder.header(*name, *value);
        }
        if let Some(token) = &credential.security_token {
            builder = builder.header("x-amz-security-token", sensitive(token.expose())?);
        }
        let request = builder.body(()).map_err(|error| Error::Url(format!("[{}] cannot be asked for: {error}", call.url)))?;
        Ok((host, request))
    }
}

/// One request of the byte path.
pub(crate) struct Call<'a> {
    /// What it does, for messages.
    pub(crate) operation: &'static str,
    pub(crate) method: &'a str,
    pub(crate) url: &'a ObsUrl,
    /// Escaped, sorted by name, each with `=`.
    pub(crate) query: &'a str,
    /// Headers that are signed: lower case, `content-md5` or `x-amz-…` only.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) payload: Payload,
}

/// A success: its headers, the announced length, and the body to come.
pub(crate) struct Reply {
    pub(crate) headers: HeaderMap,
    pub(crate) length: Option<u64>,
    pub(crate) body: Body,
}

fn header_value(value: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(value).map_err(|_| Error::Url("a header holds characters that cannot be sent".to_owned()))
}

fn sensitive(value: &str) -> Result<HeaderValue, Error> {
    let mut value = header_value(value)?;
    value.set_sensitive(true);
    Ok(value)
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Reads `bytes 0-9/100` as first, last and size; none unless the range lies within the size.
pub fn parse_content_range(value: &str) -> Option<(u64, u64, u64)> {
    let (range, size) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size) = (first.parse().ok()?, last.parse().ok()?, size.parse().ok()?);
    (first <= last && last < size).then_some((first, last, size))
}

fn tags(headers: &HeaderMap) -> Tags {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let whole = text("x-amz-checksum-type").is_none_or(|kind| kind == "FULL_OBJECT");
    Tags {
        etag: header(headers, &ETAG).unwrap_or_default().trim_matches('"').to_owned(),
        crc64: text("x-obs-checksum-crc64ecma").or_else(|| text("x-obs-hash-crc64ecma")).and_then(|value| value.parse().ok()),
        crc64nvme: text("x-amz-checksum-crc64nvme").filter(|_| whole).and_then(decode_crc),
        encrypted: is_encrypted(headers),
        preserved: Preserved::default(),
    }
}

/// Whether encryption at the store makes the ETag something else than an MD5. With OBS any does; with AWS only keys of KMS or of
/// the customer do, `AES256` does not. OBS may answer in the names of AWS, so anything that says OBS decides.
fn is_encrypted(headers: &HeaderMap) -> bool {
    const SCHEMES: [&str; 2] = ["x-amz-server-side-encryption", "x-obs-server-side-encryption"];
    const CUSTOMERS: [&str; 2] =
        ["x-amz-server-side-encryption-customer-algorithm", "x-obs-server-side-encryption-customer-algorithm"];
    if CUSTOMERS.iter().any(|name| headers.contains_key(*name)) {
        return true;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_obs = || headers.keys().any(|name| name.as_str().starts_with("x-obs-")) || text("server") == Some("OBS");
    SCHEMES.iter().filter_map(|name| text(name)).any(|scheme| scheme.contains("kms") || is_obs())
}

fn decode_crc(value: &str) -> Option<u64> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(value).ok()?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use http::HeaderMap;

    use super::{Client, ObsUrl, Payload, PutOptions, Tags, is_encrypted, parse_content_range};
    use crate::auth::{Credential, Secret, StaticCredential};
    use crate::http::testing::{Script, Server};
    use crate::obs::Options;

    #[tokio::test]
    async fn an_empty_object_says_that_it_is_empty() {
        let server = Server::start(vec![Script::new(200, "").header("ETag", "\"e\"")]);
        let credential =
            Credential { access_key: "AK".into(), secret_key: Secret::new("s"), security_token: None, expires_at: None };
        let options = Options::new(&server.endpoint, "r", Arc::new(StaticCredential::new(credential)));
        let client = Client::new(options).unwrap();
        let payload = Payload::Whole(Bytes::new());
        client.put_once(&ObsUrl::new("b", "empty/"), payload, &PutOptions::default()).await.unwrap();
        assert!(server.seen()[0].contains("content-length: 0\r\n"), "{:?}", server.seen());
    }

    #[test]
    fn reads_ranges() {
        assert_eq!(parse_content_range("bytes 0-9/100"), Some((0, 9, 100)));
        for bad in ["", "bytes */100", "bytes 9-0/100", "bytes 0-100/100", "0-9/100", "bytes 0-9/*"] {
            assert_eq!(parse_content_range(bad), None, "{bad}");
        }
    }

    #[test]
    fn knows_which_encryption_changes_the_etag() {
        let table: &[(&[(&'static str, &'static str)], bool)] = &[
            (&[], false),
            (&[("x-obs-request-id", "1")], false),
            (&[("x-obs-server-side-encryption", "AES256")], true),
            (&[("x-obs-server-side-encryption", "kms")], true),
            (&[("x-obs-server-side-encryption-customer-algorithm", "AES256")], true),
            (&[("x-amz-server-side-encryption", "AES256")], false),
            (&[("x-amz-server-side-encryption", "AES256"), ("server", "OBS")], true),
            (&[("x-amz-server-side-encryption", "AES256"), ("x-obs-request-id", "1")], true),
            (&[("x-amz-server-side-encryption", "aws:kms")], true),
            (&[("x-amz-server-side-encryption-customer-algorithm", "AES256")], true),
        ];
        for (given, expected) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in *given {
                headers.insert(*name, value.parse().unwrap());
            }
            assert_eq!(is_encrypted(&headers), *expected, "{given:?}");
        }
    }

    #[test]
    fn knows_when_an_etag_is_an_md5() {
        let tags = |etag: &str, encrypted| Tags { etag: etag.into(), encrypted, ..Tags::default() };
        assert!(tags("d41d8cd98f00b204e9800998ecf8427e", false).md5().is_some());
        assert!(tags("d41d8cd98f00b204e9800998ecf8427e", true).md5().is_none());
        assert!(tags("d41d8cd98f00b204e9800998ecf8427e-2", false).md5().is_none());
        assert!(tags("", false).md5().is_none());
    }
}
