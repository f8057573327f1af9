//! Put, get, head and delete.

use http::{HeaderMap, HeaderValue};
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, GetObjectInput,
    GetObjectOutput, HeadObjectInput, HeadObjectOutput, ObjectVersionId, PutObjectInput, PutObjectOutput, Range, StorageClass,
    Timestamp,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use time::OffsetDateTime;

use super::conditions::{ReadConditions, WriteConditions};
use super::content::{algorithm_name, content_of, set_sums, sums_of};
use super::digest::{CRC64_HEADERS, Digests, Expected};
use super::error::Failure;
use super::index::{Detail, Object, Summary};
use super::store::{Store, now};
use super::{ingest, reading};

/// Storage class of objects that name none.
pub(super) const STANDARD: &str = "STANDARD";

/// User metadata may have this many bytes, names and values together.
const MOST_METADATA: usize = 2 * 1024;

pub(super) async fn put(store: &Store, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
    let mut input = request.input;
    let content = content_of!(input);
    check_metadata(&content)?;
    // Tells of a missing bucket before the bytes travel.
    let bucket = store.bucket(&input.bucket)?;
    let conditions = WriteConditions { if_match: input.if_match.take(), if_none_match: input.if_none_match.take() };
    let expected = Expected::new(
        &request.headers,
        &request.extensions,
        sums_of!(input),
        input.content_md5.as_deref(),
        algorithm_name(input.checksum_algorithm.as_ref()),
        request.trailing_headers,
    )?
    .with_length(input.content_length);
    let (temp, digests) = ingest::receive(store, input.body.take(), expected).await?;
    let object = Object {
        summary: Summary {
            size: i64::try_from(digests.size).unwrap_or(i64::MAX),
            modified: now(),
            etag: digests.etag(),
            storage_class: storage_class(input.storage_class.as_ref(), &bucket.storage_class),
        },
        detail: Detail {
            crc64: Some(digests.crc64),
            acl: canned(input.acl.as_ref().map(s3s::dto::ObjectCannedACL::as_str)),
            content,
            sums: digests.sums.clone(),
            ..Detail::default()
        },
    };
    store.commit(&input.bucket, &input.key, &temp, object, &conditions, |_| Ok(()))?;
    let mut output = PutObjectOutput { e_tag: Some(ETag::Strong(digests.etag())), ..PutObjectOutput::default() };
    let Digests { sums, crc64, .. } = digests;
    set_sums!(output, sums);
    Ok(S3Response::with_headers(output, crc64_headers(Some(crc64))))
}

pub(super) fn get(store: &Store, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
    let input = request.input;
    check_version(input.version_id.as_ref())?;
    let (object, file) = store.open_object(&input.bucket, &input.key)?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.check(&object.summary).map_err(|failure| with_object(failure, &object))?;
    check_part_number(input.part_number, &object)?;
    let window = window(input.range, &object)?;
    let body = reading::stream(file, window.start, window.end).map_err(Failure::from)?;
    let headers = crc64_headers(object.detail.crc64);
    let mut output = GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(body),
        content_length: Some(window.length()),
        content_range: window.header(),
        last_modified: Some(timestamp(object.summary.modified)),
        e_tag: Some(ETag::Strong(object.summary.etag)),
        expires: object.detail.content.expires(),
        storage_class: shown_class(&object.summary.storage_class),
        ..GetObjectOutput::default()
    };
    if input.checksum_mode.is_some() && window.whole {
        set_sums!(output, object.detail.sums);
    }
    let content = object.detail.content;
    output.cache_control = content.cache_control;
    output.content_disposition = content.content_disposition;
    output.content_encoding = content.content_encoding;
    output.content_language = content.content_language;
    output.content_type = content.content_type.or_else(|| Some("binary/octet-stream".to_owned()));
    output.website_redirect_location = content.website_redirect_location;
    output.metadata = (!content.metadata.is_empty()).then(|| content.metadata.into_iter().collect());
    Ok(S3Response::with_headers(output, headers))
}

pub(super) fn head(store: &Store, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
    let input = request.input;
    check_version(input.version_id.as_ref())?;
    let object = store.object(&input.bucket, &input.key)?;
    let conditions = ReadConditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        if_modified_since: input.if_modified_since,
        if_unmodified_since: input.if_unmodified_since,
    };
    conditions.check(&object.summary).map_err(|failure| with_object(failure, &object))?;
    check_part_number(input.part_number, &object)?;
    let window = window(input.range, &object)?;
    let mut headers = crc64_headers(object.detail.crc64);
    if object.detail.appends > 0 {
        headers.insert("x-obs-object-type", HeaderValue::from_static("Appendable"));
        headers.insert("x-obs-next-append-position", HeaderValue::from(object.summary.size));
    }
    let mut output = HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        content_length: Some(window.length()),
        content_range: window.header(),
        last_modified: Some(timestamp(object.summary.modified)),
        e_tag: Some(ETag::Strong(object.summary.etag)),
        expires: object.detail.content.expires(),
        storage_class: shown_class(&object.summary.storage_class),
        ..HeadObjectOutput::default()
    };
    if input.checksum_mode.is_some() && window.whole {
        set_sums!(output, object.detail.sums);
    }
    let content = object.detail.content;
    output.cache_control = content.cache_control;
    output.content_disposition = content.content_disposition;
    output.content_encoding = content.content_encoding;
    output.content_language = content.content_language;
    output.content_type = content.content_type.or_else(|| Some("binary/octet-stream".to_owned()));
    output.website_redirect_location = content.website_redirect_location;
    output.metadata = (!content.metadata.is_empty()).then(|| content.metadata.into_iter().collect());
    Ok(S3Response::with_headers(output, headers))
}

pub(super) fn delete(store: &Store, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
    let input = request.input;
    check_version(input.version_id.as_ref())?;
    let conditions = WriteConditions { if_match: input.if_match, if_none_match: None };
    store.delete(&input.bucket, &input.key, &conditions)?;
    Ok(S3Response::new(DeleteObjectOutput::default()))
}

pub(super) fn delete_many(store: &Store, request: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let input = request.input;
    store.bucket(&input.bucket)?;
    if input.delete.objects.len() > 1000 {
        return Err(S3ErrorCode::MalformedXML.into());
    }
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in input.delete.objects {
        let done = check_version(object.version_id.as_ref())
            .and_then(|()| Ok(store.delete(&input.bucket, &object.key, &WriteConditions::default())?));
        match done {
            Ok(()) => deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() }),
            Err(error) => errors.push(s3s::dto::Error {
                code: Some(error.code().as_str().to_owned()),
                message: error.message().map(str::to_owned),
                key: Some(object.key),
                version_id: None,
            }),
        }
    }
    let quiet = input.delete.quiet.unwrap_or(false);
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: (!quiet).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..DeleteObjectsOutput::default()
    }))
}

/// A part of an object's bytes.
struct Window {
    start: u64,
    end: u64,
    size: u64,
    ranged: bool,
    whole: bool,
}

impl Window {
    fn length(&self) -> i64 {
        i64::try_from(self.end - self.start).unwrap_or(i64::MAX)
    }

    fn header(&self) -> Option<String> {
        self.ranged.then(|| format!("bytes {}-{}/{}", self.start, self.end - 1, self.size))
    }
}

fn window(range: Option<Range>, object: &Object) -> S3Result<Window> {
    let size = u64::try_from(object.summary.size).unwrap_or_default();
    let Some(range) = range else { return Ok(Window { start: 0, end: size, size, ranged: false, whole: true }) };
    // The last bytes of nothing are no range either.
    match range.check(size).ok().filter(|window| window.start < window.end) {
        Some(window) => {
            let whole = window.start == 0 && window.end == size;
            Ok(Window { start: window.start, end: window.end, size, ranged: true, whole })
        }
        None => {
            let mut error = S3Error::with_message(S3ErrorCode::InvalidRange, "The requested range is not satisfiable.");
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::try_from(format!("bytes */{size}")) {
                headers.insert(http::header::CONTENT_RANGE, value);
            }
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
            error.set_headers(headers);
            Err(error)
        }
    }
}

/// 304 carries the entity tag and the date.
fn with_object(failure: Failure, object: &Object) -> S3Error {
    let mut error = S3Error::from(failure);
    if *error.code() == S3ErrorCode::NotModified {
        let mut headers = HeaderMap::new();
        if let Ok(value) = ETag::Strong(object.summary.etag.clone()).to_http_header() {
            headers.insert(http::header::ETAG, value);
        }
        let date = super::content::http_date(&timestamp(object.summary.modified));
        if let Some(value) = date.and_then(|date| HeaderValue::try_from(date).ok()) {
            headers.insert(http::header::LAST_MODIFIED, value);
        }
        error.set_headers(headers);
    }
    error
}

/// One version is kept of each object; its name is `null`.
pub(super) fn check_version(version: Option<&ObjectVersionId>) -> S3Result<()> {
    match version {
        None => Ok(()),
        Some(version) if version == "null" || version.is_empty() => Ok(()),
        Some(_) => Err(S3ErrorCode::NoSuchVersion.into()),
    }
}

/// An object in one piece is its own part 1; the parts of others are not kept apart.
fn check_part_number(number: Option<i32>, object: &Object) -> S3Result<()> {
    match number {
        None => Ok(()),
        Some(1) if !object.summary.etag.contains('-') => Ok(()),
        Some(_) => Err(S3Error::with_message(S3ErrorCode::NotImplemented, "GetObject with partNumber is not implemented.")),
    }
}

pub(super) fn check_metadata(content: &super::content::Content) -> S3Result<()> {
    let bytes: usize = content.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > MOST_METADATA {
        return Err(S3ErrorCode::MetadataTooLarge.into());
    }
    Ok(())
}

/// The storage class in the words of AWS, which the index uses.
pub(super) fn storage_class(given: Option<&StorageClass>, otherwise: &str) -> String {
    given.map_or(otherwise, StorageClass::as_str).to_owned()
}

/// The header is left out for ordinary objects.
fn shown_class(class: &str) -> Option<StorageClass> {
    (class != STANDARD).then(|| StorageClass::from(class.to_owned()))
}

/// A canned ACL, or the default.
pub(super) fn canned(acl: Option<&str>) -> String {
    acl.unwrap_or("private").to_owned()
}

/// Milliseconds since 1970 as the framework wants them.
pub(super) fn timestamp(milliseconds: i64) -> Timestamp {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000);
    Timestamp::from(time.unwrap_or(OffsetDateTime::UNIX_EPOCH))
}

/// The CRC-64 for clients of either dialect.
pub(super) fn crc64_headers(crc64: Option<u64>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(crc64) = crc64 {
        for name in CRC64_HEADERS {
            headers.insert(name, HeaderValue::from(crc64));
        }
    }
    headers
}
