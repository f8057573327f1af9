//! `POST ?append&position=N`: a verb of OBS alone, so the framework has no name for it.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri};
use md5::{Digest as _, Md5};
use s3s::dto::{ETag, ETagCondition, StreamingBlob};
use s3s::route::S3Route;
use s3s::{Body, S3ErrorCode, S3Request, S3Response, S3Result};

use super::checks::{Checks, virtual_bucket};
use super::conditions::WriteConditions;
use super::content::{Content, Sums};
use super::digest::{CRC64, Digests, Expected};
use super::error::{Failure, custom};
use super::files::TempFile;
use super::index::{Detail, Object, Summary};
use super::ingest;
use super::objects::{canned, crc64_headers};
use super::store::{Store, now};

/// The verb as the framework sees it.
pub(super) struct Append {
    pub(super) store: Arc<Store>,
    pub(super) checks: Checks,
}

#[async_trait::async_trait]
impl S3Route for Append {
    fn is_match(&self, method: &Method, uri: &Uri, _: &HeaderMap, _: &mut Extensions) -> bool {
        method == Method::POST && uri.query().unwrap_or_default().split('&').any(|part| matches!(part, "append" | "append="))
    }

    async fn check_access(&self, request: &mut S3Request<Body>) -> S3Result<()> {
        let access_key = request.credentials.as_ref().map(|credentials| credentials.access_key.as_str());
        let query = request.uri.query().unwrap_or_default();
        self.checks.allow(access_key, &request.headers, query, &request.extensions)
    }

    async fn call(&self, request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let (bucket, key) = place(&request)?;
        let position = parameter(&request.uri, "position").and_then(|text| text.parse::<i64>().ok());
        let Some(position) = position.filter(|position| *position >= 0) else {
            return Err(s3s::S3Error::with_message(S3ErrorCode::InvalidArgument, "position must be a number of bytes."));
        };
        let class = self.store.bucket(&bucket)?.storage_class;
        let text = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let md5 = text("content-md5");
        let expected = Expected::new(
            &request.headers,
            &request.extensions,
            Sums::default(),
            md5.as_deref(),
            None,
            request.trailing_headers,
        )?;
        let (temp, digests) = ingest::receive(&self.store, Some(StreamingBlob::from(request.input)), expected).await?;
        let start = Object {
            summary: Summary {
                size: 0,
                modified: now(),
                etag: String::new(),
                storage_class: text("x-amz-storage-class").unwrap_or(class),
            },
            detail: Detail {
                acl: canned(text("x-amz-acl").as_deref()),
                content: Content {
                    content_type: text("content-type"),
                    metadata: metadata(&request.headers),
                    ..Content::default()
                },
                ..Detail::default()
            },
        };
        let store = Arc::clone(&self.store);
        let appended = tokio::task::spawn_blocking(move || append(&store, &bucket, &key, position, start, &temp, &digests));
        let object = appended.await.map_err(Failure::from)??;
        let mut response = S3Response::new(Body::empty());
        response.headers = crc64_headers(object.detail.crc64);
        response.headers.insert("x-obs-next-append-position", HeaderValue::from(object.summary.size));
        response.headers.insert("x-amz-next-append-position", HeaderValue::from(object.summary.size));
        if let Ok(value) = ETag::Strong(object.summary.etag).to_http_header() {
            response.headers.insert(http::header::ETAG, value);
        }
        Ok(response)
    }
}

fn append(
    store: &Store,
    bucket: &str,
    key: &str,
    position: i64,
    start: Object,
    temp: &TempFile,
    digests: &Digests,
) -> Result<Object, Failure> {
    let exists = match store.object(bucket, key) {
        Ok(_) => true,
        Err(Failure::Answer(answer)) if *answer.code() == S3ErrorCode::NoSuchKey => false,
        Err(failure) => return Err(failure),
    };
    if !exists {
        if position != 0 {
            return Err(wrong_position(0));
        }
        let object = grown(start, digests);
        let conditions = WriteConditions { if_none_match: Some(ETagCondition::Any), ..WriteConditions::default() };
        store.commit(bucket, key, temp, object.clone(), &conditions, |_| Ok(()))?;
        return Ok(object);
    }
    store.update(bucket, key, |object| {
        let object = object.ok_or_else(|| Failure::from(S3ErrorCode::NoSuchKey))?;
        if object.detail.appends == 0 {
            let message = "The object was not made by appending and cannot be appended to.";
            return Err(custom("ObjectNotAppendable", StatusCode::CONFLICT, message).into());
        }
        if object.summary.size != position {
            return Err(wrong_position(object.summary.size));
        }
        // Bytes behind the end that the row names are of an append that did not finish: they are overwritten.
        let mut file = OpenOptions::new().write(true).open(store.files.absolute(&object.detail.path))?;
        let end = u64::try_from(object.summary.size).unwrap_or_default();
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        io::copy(&mut File::open(temp.path())?, &mut file)?;
        Ok(grown(object, digests))
    })
}

/// The row after one more append.
fn grown(mut object: Object, digests: &Digests) -> Object {
    object.detail.crc64 = Some(match (object.detail.appends, object.detail.crc64) {
        (0, _) | (_, None) => digests.crc64,
        (_, Some(before)) => crc_fast::checksum_combine(CRC64, before, digests.crc64, digests.size),
    });
    object.detail.appends += 1;
    object.summary.size += i64::try_from(digests.size).unwrap_or_default();
    object.summary.modified = now();
    // Not the MD5 of all bytes, which would have to be read again, and so it must not look like one.
    let tag = Md5::new().chain_update(&object.summary.etag).chain_update(digests.md5).finalize();
    object.summary.etag = format!("{}-{}", hex::encode(tag), object.detail.appends);
    object
}

fn wrong_position(size: i64) -> Failure {
    let mut answer = custom("PositionNotEqualToLength", StatusCode::CONFLICT, format!("The next position is {size}."));
    let mut headers = HeaderMap::new();
    headers.insert("x-obs-next-append-position", HeaderValue::from(size));
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer.set_headers(headers);
    answer.into()
}

/// Bucket and key, from host and path.
fn place(request: &S3Request<Body>) -> S3Result<(String, String)> {
    let host = request.headers.get(http::header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let path = percent_encoding::percent_decode_str(request.uri.path()).decode_utf8();
    let path = path.map_err(|_| S3ErrorCode::InvalidURI)?;
    let path = path.strip_prefix('/').unwrap_or(&path);
    let (bucket, key) = match virtual_bucket(host) {
        Some(bucket) => (bucket, path),
        None => path.split_once('/').ok_or(S3ErrorCode::MethodNotAllowed)?,
    };
    if key.is_empty() || !s3s::path::check_bucket_name(bucket) {
        return Err(S3ErrorCode::MethodNotAllowed.into());
    }
    if !s3s::path::check_key(key) {
        return Err(S3ErrorCode::KeyTooLongError.into());
    }
    Ok((bucket.to_owned(), key.to_owned()))
}

fn parameter(uri: &Uri, name: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(uri.query()?.as_bytes());
    pairs.into_iter().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

fn metadata(headers: &HeaderMap) -> std::collections::BTreeMap<String, String> {
    headers
        .iter()
        .filter_map(|(name, value)| {
            Some((name.as_str().strip_prefix("x-amz-meta-")?.to_owned(), value.to_str().ok()?.to_owned()))
        })
        .collect()
}
