//! `POST ?append&position=N`: a verb of OBS alone, so the framework has no name for it.

use std::fs::File;
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
    // Only the append itself waits for the bytes to be copied: the key's lock is taken for the row alone.
    let _turn = store.appending(bucket, key);
    let Some((before, file)) = store.open_for_append(bucket, key)? else {
        if position != 0 {
            return Err(wrong_position(0));
        }
        let object = grown(start, digests);
        let conditions = WriteConditions { if_none_match: Some(ETagCondition::Any), ..WriteConditions::default() };
        store.commit(bucket, key, temp, object.clone(), &conditions, |_| Ok(()))?;
        return Ok(object);
    };
    check(&before, position)?;
    extend(file, &before, temp)?;
    store.update(bucket, key, |object| {
        check(&object, position)?;
        if !is_same_file(&before, &object) {
            return Err(Failure::answer(S3ErrorCode::OperationAborted, "The object was replaced meanwhile; try again."));
        }
        Ok(grown(object, digests))
    })
}

/// Whether the object may be appended to at the position.
fn check(object: &Object, position: i64) -> Result<(), Failure> {
    if object.detail.appends == 0 {
        let message = "The object was not made by appending and cannot be appended to.";
        return Err(custom("ObjectNotAppendable", StatusCode::CONFLICT, message).into());
    }
    if object.summary.size != position {
        return Err(wrong_position(object.summary.size));
    }
    Ok(())
}

/// Writes behind the end that the row names. Bytes there are of an append that did not finish: they are overwritten.
fn extend(mut file: File, object: &Object, temp: &TempFile) -> Result<(), Failure> {
    let end = u64::try_from(object.summary.size).unwrap_or_default();
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    io::copy(&mut File::open(temp.path())?, &mut file)?;
    Ok(())
}

/// Whether the rows are of the same file; its access list may have changed.
fn is_same_file(before: &Object, now: &Object) -> bool {
    let place = |object: &Object| (object.detail.path.clone(), object.detail.file_time, object.detail.appends);
    before.summary == now.summary && place(before) == place(now)
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;

    use md5::{Digest as _, Md5};
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use s3s::S3ErrorCode;

    use super::{CRC64, Digests, Failure, Object, Store, Sums, WriteConditions, append};
    use crate::platform::obs::index::Bucket;
    use crate::platform::state::State;

    fn bucket(name: &str) -> Bucket {
        Bucket { name: name.to_owned(), created: 0, storage_class: String::new(), acl: String::new() }
    }

    fn digests(bytes: &[u8]) -> Digests {
        Digests {
            size: bytes.len() as u64,
            md5: Md5::digest(bytes).into(),
            crc64: crc_fast::checksum(CRC64, bytes),
            sha256_hex: None,
            sums: Sums::default(),
        }
    }

    /// Begins an append of bytes that have not come yet, and runs `meanwhile` while it waits for them.
    fn during_an_append(
        meanwhile: impl FnOnce(&Store) + Send + 'static,
    ) -> (Arc<Store>, tempfile::TempDir, Result<Object, Failure>) {
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(&folder.path().join("state")).unwrap());
        let store = Arc::new(Store::open(folder.path(), state, "r").unwrap());
        assert!(store.create_bucket(&bucket("first")).unwrap());
        let temp = store.files.temp();
        std::fs::write(temp.path(), "one").unwrap();
        append(&store, "first", "log", 0, Object::default(), &temp, &digests(b"one")).unwrap();
        let pipe = store.files.temp();
        let path = pipe.path().to_owned();
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let appender = {
            let store = Arc::clone(&store);
            thread::spawn(move || append(&store, "first", "log", 3, Object::default(), &pipe, &digests(b"two")))
        };
        // Opens when the other side does, in the midst of the append.
        let mut end = File::options().write(true).open(path).unwrap();
        let (done, waits) = mpsc::channel();
        let other = Arc::clone(&store);
        thread::spawn(move || {
            meanwhile(&other);
            let _ = done.send(());
        });
        waits.recv_timeout(Duration::from_secs(10)).expect("others wait for the append");
        end.write_all(b"two").unwrap();
        drop(end);
        (store, folder, appender.join().unwrap())
    }

    #[test]
    fn others_go_on_during_an_append() {
        let (store, _folder, appended) = during_an_append(|store| {
            assert!(store.create_bucket(&bucket("second")).unwrap());
            assert_eq!(store.open_object("first", "log").unwrap().0.summary.size, 3);
            store
                .update("first", "log", |mut object| {
                    object.detail.acl = "public-read".to_owned();
                    Ok(object)
                })
                .unwrap();
        });
        let appended = appended.unwrap();
        assert_eq!((appended.summary.size, appended.detail.acl.as_str()), (6, "public-read"));
        assert_eq!(store.object("first", "log").unwrap(), appended);
        assert_eq!(std::fs::read(store.files.absolute(&appended.detail.path)).unwrap(), b"onetwo");
    }

    #[test]
    fn an_object_that_is_replaced_during_an_append_stays_as_it_is() {
        let (store, _folder, appended) = during_an_append(|store| {
            let temp = store.files.temp();
            std::fs::write(temp.path(), "new").unwrap();
            let mut object = Object::default();
            object.summary.size = 3;
            store.commit("first", "log", &temp, object, &WriteConditions::default(), |_| Ok(())).unwrap();
        });
        let Err(Failure::Answer(answer)) = appended else { panic!("the append is refused") };
        assert_eq!(*answer.code(), S3ErrorCode::Custom("ObjectNotAppendable".into()));
        let object = store.object("first", "log").unwrap();
        assert_eq!(std::fs::read(store.files.absolute(&object.detail.path)).unwrap(), b"new");
    }
}
