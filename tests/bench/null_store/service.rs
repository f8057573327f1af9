//! Requests and their answers.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use md5::{Digest as _, Md5};
use percent_encoding::percent_decode_str;

use crate::answer::{Answer, Pace};
use crate::listing;
use crate::store::{Digest, Object, Store, multipart_tag, quoted};

/// When everything here was written: long ago.
pub(crate) const MODIFIED: &str = "2024-01-01T00:00:00.000Z";
const MODIFIED_HEADER: &str = "Mon, 01 Jan 2024 00:00:00 GMT";

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

pub(crate) struct Service {
    pub(crate) counters: Counters,
    store: Store,
    latency: Duration,
    bytes_per_second: Option<f64>,
    uploads: AtomicU64,
}

#[derive(Default)]
pub(crate) struct Counters {
    requests: [AtomicU64; METHODS.len()],
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    connections: AtomicU64,
    connections_made: AtomicU64,
    connections_most: AtomicU64,
}

const METHODS: [&str; 6] = ["GET", "PUT", "HEAD", "POST", "DELETE", "LIST"];

/// A request without its body.
struct Asked {
    method: Method,
    bucket: String,
    key: String,
    query: String,
    headers: HeaderMap,
    /// Bytes of the body, and their digest where it is one of bare content.
    received: u64,
    digest: Option<Digest>,
}

impl Service {
    pub(crate) fn new(latency: Duration, bytes_per_second: Option<f64>) -> Self {
        Self { counters: Counters::default(), store: Store::default(), latency, bytes_per_second, uploads: AtomicU64::new(1) }
    }

    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
        let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        if path == "/__stats" {
            return Ok(Response::new(Answer::text(self.counters.report(query == "reset"))));
        }
        let (bucket, key) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
        let (parts, body) = request.into_parts();
        let mut asked = Asked {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            method: parts.method,
            query,
            headers: parts.headers,
            received: 0,
            digest: None,
        };
        self.counters.count(&asked);
        self.receive(&mut asked, body).await;
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        Ok(if asked.key.is_empty() { self.of_bucket(&asked) } else { self.of_object(&asked) })
    }

    /// Takes the body in. Its digest is worked out only if nothing of the same name and length is known.
    async fn receive(&self, asked: &mut Asked, mut body: Incoming) {
        let is_content = asked.method == Method::PUT && !asked.headers.contains_key("x-amz-decoded-content-length");
        let length = asked.number(header::CONTENT_LENGTH.as_str()).unwrap_or(0);
        let name = format!("{}\0{}\0{length}", asked.key, asked.part().unwrap_or(0));
        let known = if is_content { self.store.known(&name) } else { None };
        let mut digest = (is_content && known.is_none()).then(Md5::new);
        let mut pace = self.bytes_per_second.map(Pace::new);
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            asked.received += data.len() as u64;
            if let Some(digest) = &mut digest {
                digest.update(&data);
            }
            if let Some(pace) = &mut pace {
                pace.add(data.len() as u64);
                pace.wait().await;
            }
        }
        self.counters.bytes_in.fetch_add(asked.received, Ordering::Relaxed);
        asked.digest = known.or_else(|| {
            let digest: Digest = digest?.finalize().into();
            if asked.received == length {
                self.store.remember(name, digest);
            }
            Some(digest)
        });
    }

    fn of_bucket(&self, asked: &Asked) -> Response<Answer> {
        match asked.method {
            Method::GET if asked.bucket.is_empty() => xml(
                "<ListAllMyBucketsResult><Buckets><Bucket><Name>bench</Name><CreationDate>2024-01-01T00:00:00.000Z</CreationDate>\
                 </Bucket></Buckets></ListAllMyBucketsResult>",
            ),
            Method::GET if asked.has("location") => xml("<LocationConstraint>us-east-1</LocationConstraint>"),
            Method::GET if asked.has("versioning") => xml("<VersioningConfiguration/>"),
            Method::GET if asked.has("uploads") => {
                xml("<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>")
            }
            Method::GET => typed(Answer::text(listing::page(&self.store, &asked.bucket, &asked.query))),
            Method::POST => xml("<DeleteResult/>"),
            _ => Response::new(Answer::empty()),
        }
    }

    fn of_object(&self, asked: &Asked) -> Response<Answer> {
        let upload = parameter(&asked.query, "uploadId");
        match (&asked.method, upload) {
            (&Method::POST, None) => self.begin(asked),
            (&Method::POST, Some(id)) => self.complete(asked, &id),
            (&Method::PUT, Some(id)) => self.put_part(asked, &id),
            (&Method::PUT, None) => self.put(asked),
            (&Method::DELETE, upload) => {
                match upload {
                    Some(id) => drop(self.store.end(&id)),
                    None => self.store.delete(&asked.key),
                }
                status(Response::new(Answer::empty()), StatusCode::NO_CONTENT)
            }
            (&Method::GET, Some(id)) => self.list_parts(asked, &id),
            _ => self.get(asked),
        }
    }

    fn begin(&self, asked: &Asked) -> Response<Answer> {
        let id = format!("u{}", self.uploads.fetch_add(1, Ordering::Relaxed));
        self.store.begin(id.clone(), &asked.key);
        let (bucket, key) = (&asked.bucket, &asked.key);
        xml(&format!(
            "<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        ))
    }

    fn put_part(&self, asked: &Asked, id: &str) -> Response<Answer> {
        let (size, digest) = self.written(asked);
        if !self.store.add_part(id, asked.part().unwrap_or(0), size, digest) {
            return failure(StatusCode::NOT_FOUND, "NoSuchUpload");
        }
        let tag = quoted(&digest);
        if asked.headers.contains_key("x-amz-copy-source") {
            return xml(&format!("<CopyPartResult><ETag>{tag}</ETag><LastModified>{MODIFIED}</LastModified></CopyPartResult>"));
        }
        tagged(Response::new(Answer::empty()), &tag)
    }

    fn complete(&self, asked: &Asked, id: &str) -> Response<Answer> {
        let Some(upload) = self.store.end(id) else { return failure(StatusCode::NOT_FOUND, "NoSuchUpload") };
        let tag = multipart_tag(upload.parts.values().map(|(_, digest)| *digest));
        let size = upload.parts.values().map(|(size, _)| size).sum();
        self.store.put(&upload.key, Object { size, tag: Arc::clone(&tag) });
        let (bucket, key) = (&asked.bucket, &asked.key);
        xml(&format!(
            "<CompleteMultipartUploadResult><Location>/{bucket}/{key}</Location><Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>{tag}</ETag>\
             </CompleteMultipartUploadResult>"
        ))
    }

    fn list_parts(&self, asked: &Asked, id: &str) -> Response<Answer> {
        let after: u32 = parameter(&asked.query, "part-number-marker").and_then(|number| number.parse().ok()).unwrap_or(0);
        let text = self.store.look(id, |upload| {
            let mut text = String::from("<ListPartsResult><IsTruncated>false</IsTruncated>");
            for (number, (size, digest)) in upload.parts.range(after + 1..) {
                let tag = quoted(digest);
                // Writing to a String cannot fail.
                let _ = write!(text, "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag><Size>{size}</Size></Part>");
            }
            text + "</ListPartsResult>"
        });
        text.map_or_else(|| failure(StatusCode::NOT_FOUND, "NoSuchUpload"), |text| xml(&text))
    }

    fn put(&self, asked: &Asked) -> Response<Answer> {
        if let Some(source) = asked.text("x-amz-copy-source") {
            let source = percent_decode_str(source.trim_start_matches('/')).decode_utf8_lossy().into_owned();
            let found = source.split_once('/').and_then(|(_, key)| self.store.find(key));
            let Some(object) = found else { return failure(StatusCode::NOT_FOUND, "NoSuchKey") };
            let tag = Arc::clone(&object.tag);
            self.store.put(&asked.key, object);
            return xml(&format!(
                "<CopyObjectResult><ETag>{tag}</ETag><LastModified>{MODIFIED}</LastModified></CopyObjectResult>"
            ));
        }
        let (size, digest) = self.written(asked);
        let tag = quoted(&digest);
        self.store.put(&asked.key, Object { size, tag: Arc::clone(&tag) });
        tagged(Response::new(Answer::empty()), &tag)
    }

    /// Size and digest of what a PUT wrote. Content in chunks with signatures is not taken apart: its digest is that of zeros.
    fn written(&self, asked: &Asked) -> (u64, Digest) {
        let range = asked.text("x-amz-copy-source-range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let copied = range.and_then(|(from, to)| Some(to.parse::<u64>().ok()? + 1 - from.parse::<u64>().ok()?));
        let size = copied.or_else(|| asked.number("x-amz-decoded-content-length")).unwrap_or(asked.received);
        (size, asked.digest.filter(|_| copied.is_none()).unwrap_or_else(|| self.store.zero_digest(size)))
    }

    fn get(&self, asked: &Asked) -> Response<Answer> {
        let Some(object) = self.store.find(&asked.key) else { return failure(StatusCode::NOT_FOUND, "NoSuchKey") };
        let range = asked.text(header::RANGE.as_str()).and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let (from, end) = match range {
            None => (0, object.size),
            Some(("", last)) => (object.size.saturating_sub(last.parse().unwrap_or(0)), object.size),
            Some((from, to)) => {
                let to = to.parse::<u64>().map_or(object.size, |to| to.saturating_add(1).min(object.size));
                (from.parse().unwrap_or(0), to)
            }
        };
        if range.is_some() && from >= end {
            return failure(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange");
        }
        let is_head = asked.method == Method::HEAD;
        let body = if is_head { Answer::empty() } else { Answer::zeros(end - from, self.bytes_per_second) };
        let mut response = tagged(Response::new(body), &object.tag);
        if !is_head {
            self.counters.bytes_out.fetch_add(end - from, Ordering::Relaxed);
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(end - from));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::LAST_MODIFIED, HeaderValue::from_static(MODIFIED_HEADER));
        if range.is_none() {
            return response;
        }
        let content_range = format!("bytes {from}-{}/{}", end - 1, object.size);
        headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(&content_range).expect("digits and punctuation"));
        status(response, StatusCode::PARTIAL_CONTENT)
    }
}

impl Asked {
    fn has(&self, name: &str) -> bool {
        parameter(&self.query, name).is_some()
    }

    fn part(&self) -> Option<u32> {
        parameter(&self.query, "partNumber")?.parse().ok()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }
}

impl Counters {
    pub(crate) fn connect(&self) {
        self.connections_made.fetch_add(1, Ordering::Relaxed);
        let now = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        self.connections_most.fetch_max(now, Ordering::Relaxed);
    }

    pub(crate) fn disconnect(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    fn count(&self, asked: &Asked) {
        let is_listing = asked.method == Method::GET && asked.key.is_empty();
        let name = if is_listing { "LIST" } else { asked.method.as_str() };
        if let Some(at) = METHODS.iter().position(|method| *method == name) {
            self.requests[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn report(&self, resets: bool) -> String {
        let read =
            |counter: &AtomicU64| if resets { counter.swap(0, Ordering::Relaxed) } else { counter.load(Ordering::Relaxed) };
        let by_method: Vec<u64> = self.requests.iter().map(read).collect();
        let mut report = serde_json::json!({
            "requests": by_method.iter().sum::<u64>(),
            "bytes_in": read(&self.bytes_in),
            "bytes_out": read(&self.bytes_out),
            "connections_made": read(&self.connections_made),
            "connections_most": read(&self.connections_most),
        });
        for (method, count) in METHODS.iter().zip(by_method) {
            report[*method] = count.into();
        }
        format!("{report}\n")
    }
}

/// The value of a parameter of the query, decoded; empty if it has none.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
        (found == name).then(|| percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned())
    })
}

fn xml(document: &str) -> Response<Answer> {
    typed(Answer::text(format!("{DECLARATION}{document}")))
}

fn typed(body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

fn tagged(mut response: Response<Answer>, tag: &str) -> Response<Answer> {
    response.headers_mut().insert(header::ETAG, HeaderValue::from_str(tag).expect("hexadecimal digits in quotes"));
    response
}

fn status(mut response: Response<Answer>, status: StatusCode) -> Response<Answer> {
    *response.status_mut() = status;
    response
}

fn failure(code: StatusCode, name: &str) -> Response<Answer> {
    status(xml(&format!("<Error><Code>{name}</Code><Message>{name}</Message></Error>")), code)
}
