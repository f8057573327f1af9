//! A store that believes everybody and keeps little: for what no real store can hold, and for answers that none gives. Takes
//! requests with a path, with a host name for the bucket, and, as an HTTP proxy does, with a whole URL.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use md5::{Digest as _, Md5};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// What the store does with what it is sent, and what it says it has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habits {
    /// Bodies are counted, not digested: the ETag says nothing.
    pub(crate) careless: bool,
    /// So many objects are listed below every prefix, besides those that were put.
    pub(crate) generated: u64,
    /// Its clock, and what is signed by another is refused.
    pub(crate) hours_ahead: i64,
    /// Status and code of every answer: the bucket is in another region.
    pub(crate) moved: Option<(u16, &'static str)>,
}

/// A running store.
pub(crate) struct Stub {
    pub(crate) endpoint: String,
    pub(crate) shared: Arc<Shared>,
    accepting: AbortHandle,
}

#[derive(Default)]
pub(crate) struct Shared {
    habits: Habits,
    seen: Mutex<Vec<Seen>>,
    objects: Mutex<BTreeMap<String, Bytes>>,
    uploads: Mutex<HashMap<String, BTreeMap<u32, u64>>>,
    completed: Mutex<Vec<Vec<(u32, u64)>>>,
    gets: AtomicU64,
    puts: AtomicU64,
}

/// A request: first line and headers, lower case, in order.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// What every generated object holds.
pub(crate) const CONTENT: &[u8] = b"content";

impl Stub {
    pub(crate) async fn start(habits: Habits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared { habits, ..Shared::default() });
        let serving = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(Arc::clone(&serving), stream));
            }
        });
        Self { endpoint, shared, accepting: accepting.abort_handle() }
    }

    pub(crate) fn put(&self, key: &str, content: &[u8]) {
        self.shared.objects.lock().unwrap().insert(key.to_owned(), Bytes::copy_from_slice(content));
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Objects that were fetched.
    pub(crate) fn gets(&self) -> u64 {
        self.shared.gets.load(Ordering::SeqCst)
    }

    /// Objects that were sent in one piece.
    pub(crate) fn puts(&self) -> u64 {
        self.shared.puts.load(Ordering::SeqCst)
    }

    /// Numbers and lengths of the parts of each upload that was completed, as the completion named them.
    pub(crate) fn completed(&self) -> Vec<Vec<(u32, u64)>> {
        self.shared.completed.lock().unwrap().clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves one connection, plain or not.
pub(crate) async fn serve<S>(shared: Arc<Shared>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(shared.answer(request).await.unwrap_or_else(empty)) }
    });
    // The other side may leave at any time.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
    let mut builder = Response::builder().status(status).header("server", "OBS");
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Full::new(body.into()).boxed()).unwrap()
}

fn empty(status: StatusCode) -> Answer {
    answer(status.as_u16(), &[], Bytes::new())
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, StatusCode> {
        let (head, mut body) = request.into_parts();
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        let line = format!("{} {}", head.method, head.uri);
        let seen = Seen { line, headers: headers.collect() };
        let host = seen.header("host").unwrap_or_default().to_owned();
        if self.habits.generated == 0 {
            self.seen.lock().unwrap().push(seen);
        }
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let path = decode(head.uri.path());
        // `bucket.obs.…` or `/bucket/…`.
        let key = if host.contains(".obs.") {
            path[1..].to_owned()
        } else {
            path[1..].split_once('/').unwrap_or_default().1.to_owned()
        };
        let query: HashMap<String, String> = head
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (name.to_owned(), decode(value))
            })
            .collect();
        let keep = head.method == "POST" || (!query.contains_key("uploadId") && !self.habits.careless);
        let (mut length, mut digest, mut kept) = (0, Md5::new(), Vec::new());
        while let Some(frame) = body.frame().await {
            let piece = frame.map_err(|_| StatusCode::BAD_REQUEST)?.into_data().unwrap_or_default();
            length += piece.len() as u64;
            if !self.habits.careless {
                digest.update(&piece);
            }
            if keep {
                kept.extend_from_slice(&piece);
            }
        }
        let etag = format!("\"{}\"", if self.habits.careless { "none-1".to_owned() } else { hex::encode(digest.finalize()) });
        if let Some((status, code)) = self.habits.moved {
            let body = format!("<Error><Code>{code}</Code><Message>not here</Message><Region>cn-south-1</Region></Error>");
            return Ok(answer(status, &[("x-amz-bucket-region", "cn-south-1")], body));
        }
        if let Some(refusal) = self.check_clock(&head.headers) {
            return Ok(refusal);
        }
        let upload = query.get("uploadId");
        match (head.method.as_str(), upload) {
            ("PUT", Some(upload)) => {
                let number = query["partNumber"].parse().unwrap();
                self.uploads.lock().unwrap().get_mut(upload).ok_or(StatusCode::NOT_FOUND)?.insert(number, length);
                Ok(answer(200, &[("etag", &etag)], ""))
            }
            ("PUT", None) => {
                self.puts.fetch_add(1, Ordering::SeqCst);
                self.objects.lock().unwrap().insert(key, kept.into());
                Ok(answer(200, &[("etag", &etag)], ""))
            }
            ("POST", Some(upload)) => self.complete(upload, &String::from_utf8_lossy(&kept)),
            ("POST", None) if query.contains_key("uploads") => {
                let mut uploads = self.uploads.lock().unwrap();
                let upload = format!("upload-{}", uploads.len());
                uploads.insert(upload.clone(), BTreeMap::new());
                let name = "InitiateMultipartUploadResult";
                Ok(xml(&format!("<{name}><Bucket>b</Bucket><Key>k</Key><UploadId>{upload}</UploadId></{name}>")))
            }
            ("POST", None) => Ok(xml("<DeleteResult></DeleteResult>")),
            ("GET" | "HEAD", None) if query.contains_key("list-type") || key.is_empty() => Ok(self.list(&query)),
            ("GET" | "HEAD", None) => self.get(&key, head.method == "HEAD"),
            ("DELETE", _) => Ok(empty(StatusCode::NO_CONTENT)),
            _ => Err(StatusCode::NOT_IMPLEMENTED),
        }
    }

    fn check_clock(&self, headers: &http::HeaderMap) -> Option<Answer> {
        let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
        let signed = time::PrimitiveDateTime::parse(headers["x-amz-date"].to_str().unwrap(), format).unwrap().assume_utc();
        let now = time::OffsetDateTime::now_utc() + time::Duration::hours(self.habits.hours_ahead);
        let date = now.format(&time::format_description::well_known::Rfc2822).unwrap().replace("+0000", "GMT");
        let body = "<Error><Code>RequestTimeTooSkewed</Code><Message>too far apart</Message></Error>";
        ((signed - now).abs() > time::Duration::minutes(15)).then(|| answer(403, &[("date", &date)], body))
    }

    fn complete(&self, upload: &str, named: &str) -> Result<Answer, StatusCode> {
        let parts = self.uploads.lock().unwrap().remove(upload).ok_or(StatusCode::NOT_FOUND)?;
        let numbers = named.split("<PartNumber>").skip(1).map(|rest| rest.split('<').next().unwrap().parse::<u32>().unwrap());
        self.completed.lock().unwrap().push(numbers.map(|number| (number, parts[&number])).collect());
        let name = "CompleteMultipartUploadResult";
        Ok(xml(&format!("<{name}><ETag>\"none-{}\"</ETag></{name}>", parts.len())))
    }

    fn get(&self, key: &str, head: bool) -> Result<Answer, StatusCode> {
        let put = self.objects.lock().unwrap().get(key).cloned();
        let content = match put {
            Some(content) => content,
            None if key.rsplit('/').next().is_some_and(|name| name.starts_with("key-")) => Bytes::from_static(CONTENT),
            None => return Err(StatusCode::NOT_FOUND),
        };
        let etag = format!("\"{}\"", hex::encode(Md5::digest(&content)));
        let headers = [("etag", etag.as_str()), ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")];
        if !head {
            self.gets.fetch_add(1, Ordering::SeqCst);
            return Ok(answer(200, &headers, content));
        }
        let length = content.len().to_string();
        Ok(answer(200, &[&headers[..], &[("content-length", &length)]].concat(), ""))
    }

    fn list(&self, query: &HashMap<String, String>) -> Answer {
        let text = |name: &str| query.get(name).map_or("", String::as_str);
        let prefix = text("prefix");
        let token = String::from_utf8(hex::decode(text("continuation-token")).unwrap()).unwrap();
        let after = text("start-after").max(&token);
        let most: usize = text("max-keys").parse().unwrap_or(1000);
        let etag = hex::encode(Md5::digest(CONTENT));
        let put: Vec<(String, u64, String)> = {
            let objects = self.objects.lock().unwrap();
            let range = objects.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
            let fields =
                |(key, content): (&String, &Bytes)| (key.clone(), content.len() as u64, hex::encode(Md5::digest(content)));
            range.filter(|(key, _)| key.as_str() > after).take(most + 1).map(fields).collect()
        };
        let first = after.rsplit("key-").next().and_then(|number| number.parse::<u64>().ok()).map_or(0, |number| number + 1);
        let generated = (first..self.habits.generated).take(most + 1);
        let generated = generated.map(|number| (format!("{prefix}key-{number:09}"), CONTENT.len() as u64, etag.clone()));
        let entries: Vec<_> = put.into_iter().chain(generated).collect();
        let mut body = String::with_capacity(entries.len() * 200);
        for (key, size, etag) in entries.iter().take(most) {
            let key = percent_encoding::utf8_percent_encode(key, percent_encoding::NON_ALPHANUMERIC);
            let modified = "2026-01-01T00:00:00.000Z";
            let _ = write!(
                body,
                "<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>\"{etag}\"</ETag><Size>{size}</Size></Contents>"
            );
        }
        let next = entries.get(most).map_or(String::new(), |_| {
            // A token means nothing to anybody else.
            format!("<NextContinuationToken>{}</NextContinuationToken>", hex::encode(&entries[most - 1].0))
        });
        let truncated = !next.is_empty();
        xml(&format!(
            "<ListBucketResult><Name>b</Name><EncodingType>url</EncodingType><IsTruncated>{truncated}</IsTruncated>{next}{body}</ListBucketResult>"
        ))
    }
}

fn xml(body: &str) -> Answer {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{body}");
    answer(200, &[("content-type", "application/xml")], body)
}
