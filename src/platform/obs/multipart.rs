//! Multipart uploads.

use std::fs::{self, File};
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use md5::{Digest as _, Md5};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CompletedPart, CreateMultipartUploadInput, CreateMultipartUploadOutput, ETag, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::conditions::WriteConditions;
use super::content::{Sums, algorithm_name, content_of, set_sums, sums_of};
use super::digest::{CRC64, CRC64_HEADERS, Digests, Expected};
use super::error::Failure;
use super::files::TempFile;
use super::index::{Detail, Object, Summary};
use super::ingest;
use super::objects::{canned, check_metadata, crc64_headers, storage_class};
use super::store::{Store, now};
use super::upload_index::{self, Part, Upload, UploadDetail};

/// Highest part number.
const MOST_PARTS: i32 = 10_000;

/// Smallest part, but for the last one, in bytes.
const SMALLEST_PART: i64 = 100 * 1024;

pub(super) fn create(
    store: &Store,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let input = request.input;
    let bucket = store.bucket(&input.bucket)?;
    let content = content_of!(input);
    check_metadata(&content)?;
    let upload = Upload {
        id: uuid::Uuid::new_v4().simple().to_string().to_uppercase(),
        key: input.key.clone(),
        created: now(),
        detail: UploadDetail {
            storage_class: storage_class(input.storage_class.as_ref(), &bucket.storage_class),
            acl: canned(input.acl.as_ref().map(s3s::dto::ObjectCannedACL::as_str)),
            content,
            algorithm: algorithm_name(input.checksum_algorithm.as_ref()).map(str::to_owned),
        },
    };
    store.state.write(|transaction| upload_index::put_upload(transaction, &input.bucket, &upload))?;
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload.id),
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: input.checksum_type,
        ..CreateMultipartUploadOutput::default()
    }))
}

pub(super) async fn put_part(store: &Store, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
    let mut input = request.input;
    check_part_number(input.part_number)?;
    let upload = upload(store, &input.bucket, &input.key, &input.upload_id)?;
    let algorithm = algorithm_name(input.checksum_algorithm.as_ref()).or(upload.detail.algorithm.as_deref());
    let expected = Expected::new(
        &request.headers,
        &request.extensions,
        sums_of!(input),
        input.content_md5.as_deref(),
        algorithm,
        request.trailing_headers,
    )?
    .with_length(input.content_length);
    let (temp, digests) = ingest::receive(store, input.body.take(), expected).await?;
    let mut output = UploadPartOutput { e_tag: Some(ETag::Strong(digests.etag())), ..UploadPartOutput::default() };
    let (sums, crc64) = (digests.sums.clone(), digests.crc64);
    keep_part(store, &input.bucket, &input.key, &input.upload_id, input.part_number, &temp, digests)?;
    set_sums!(output, sums);
    Ok(S3Response::with_headers(output, crc64_headers(Some(crc64))))
}

/// Stores a received part in place of an earlier one with its number and returns its time.
///
/// # Errors
/// `NoSuchUpload` when the upload ended meanwhile.
pub(super) fn keep_part(
    store: &Store,
    bucket: &str,
    key: &str,
    upload: &str,
    number: i32,
    temp: &TempFile,
    digests: Digests,
) -> Result<i64, Failure> {
    let part = Part {
        number,
        path: store.files.part_path(upload, number),
        size: i64::try_from(digests.size).unwrap_or(i64::MAX),
        modified: now(),
        etag: digests.etag(),
        crc64: digests.crc64,
        sums: digests.sums,
    };
    store.files.place(temp, &part.path)?;
    let kept = store.state.write(|transaction| {
        if upload_index::upload(transaction, bucket, key, upload)?.is_none() {
            return Err(Failure::from(S3ErrorCode::NoSuchUpload));
        }
        upload_index::put_part(transaction, upload, &part)
    });
    let unused = match &kept {
        Ok(replaced) => replaced.as_ref(),
        Err(_) => Some(&part.path),
    };
    if let Some(path) = unused {
        // What stays behind goes with the upload's folder.
        let _ = fs::remove_file(store.files.absolute(path));
    }
    if let Err(Failure::Answer(answer)) = &kept
        && *answer.code() == S3ErrorCode::NoSuchUpload
    {
        store.files.remove_upload(upload);
    }
    kept.map(|_| part.modified)
}

pub(super) async fn complete(
    store: &Arc<Store>,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let input = request.input;
    let crc64 = CRC64_HEADERS.iter().find_map(|name| request.headers.get(*name)?.to_str().ok()?.parse::<u64>().ok());
    let location = request.uri.path().to_owned();
    let (bucket, key) = (input.bucket.clone(), input.key.clone());
    let store = Arc::clone(store);
    // Copying gigabytes takes seconds: not on a thread that serves others.
    let etag = tokio::task::spawn_blocking(move || assemble(&store, input, crc64)).await.map_err(Failure::from)??;
    Ok(S3Response::new(CompleteMultipartUploadOutput {
        bucket: Some(bucket),
        key: Some(key),
        e_tag: Some(ETag::Strong(etag)),
        location: Some(location),
        ..CompleteMultipartUploadOutput::default()
    }))
}

fn assemble(store: &Store, input: CompleteMultipartUploadInput, crc64: Option<u64>) -> Result<String, Failure> {
    let _claim = store.claim(&input.upload_id)?;
    let upload = upload(store, &input.bucket, &input.key, &input.upload_id)?;
    let listed = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let stored = store.state.read(|connection| upload_index::parts(connection, &upload.id, 0, usize::MAX))?;
    let parts = select(&listed, &stored)?;
    let conditions = WriteConditions { if_match: input.if_match, if_none_match: input.if_none_match };
    let temp = store.files.temp();
    let paths: Vec<PathBuf> = parts.iter().map(|part| store.files.absolute(&part.path)).collect();
    join(temp.path(), &paths)?;
    let mut md5 = Md5::new();
    for part in &parts {
        md5.update(hex::decode(&part.etag).unwrap_or_default());
    }
    let combined = combine(&parts);
    if crc64.is_some_and(|crc64| crc64 != combined) {
        return Err(S3ErrorCode::BadDigest.into());
    }
    let etag = format!("{}-{}", hex::encode(md5.finalize()), parts.len());
    let object = Object {
        summary: Summary {
            size: parts.iter().map(|part| part.size).sum(),
            modified: now(),
            etag: etag.clone(),
            storage_class: upload.detail.storage_class,
        },
        detail: Detail {
            crc64: Some(combined),
            acl: upload.detail.acl,
            content: upload.detail.content,
            sums: Sums::default(),
            ..Detail::default()
        },
    };
    let id = upload.id;
    store.commit(&input.bucket, &input.key, &temp, object, &conditions, |transaction| {
        upload_index::delete_upload(transaction, &id).map(|_| ())
    })?;
    store.files.remove_upload(&id);
    Ok(etag)
}

/// The stored parts that the client lists, checked.
fn select(listed: &[CompletedPart], stored: &[Part]) -> Result<Vec<Part>, Failure> {
    if listed.is_empty() {
        return Err(S3ErrorCode::MalformedXML.into());
    }
    let mut parts: Vec<Part> = Vec::with_capacity(listed.len());
    for part in listed {
        let number = part.part_number.unwrap_or_default();
        if parts.last().is_some_and(|last| last.number >= number) {
            return Err(S3ErrorCode::InvalidPartOrder.into());
        }
        let found = stored
            .binary_search_by_key(&number, |part| part.number)
            .ok()
            .map(|position| &stored[position])
            .filter(|found| part.e_tag.as_ref().is_some_and(|etag| etag.value().trim_matches('"') == found.etag))
            .filter(|found| {
                let sums = sums_of!(part);
                sums.pairs(&found.sums).iter().all(|(given, kept)| given.is_none() || kept.is_none() || given == kept)
            });
        let Some(found) = found else {
            return Err(Failure::answer(
                S3ErrorCode::InvalidPart,
                format!("Part {number} was not found, or its entity tag is not the one it was stored with."),
            ));
        };
        parts.push(found.clone());
    }
    if parts.iter().rev().skip(1).any(|part| part.size < SMALLEST_PART) {
        return Err(S3ErrorCode::EntityTooSmall.into());
    }
    Ok(parts)
}

/// Joins the files at `paths` in a new file; the kernel copies.
fn join(target: &Path, paths: &[PathBuf]) -> io::Result<()> {
    let mut target = File::create_new(target)?;
    for path in paths {
        // `io::copy` between files uses `copy_file_range`.
        io::copy(&mut File::open(path)?, &mut target)?;
    }
    target.rewind()
}

fn combine(parts: &[Part]) -> u64 {
    let mut parts = parts.iter();
    let first = parts.next().map_or(0, |part| part.crc64);
    parts.fold(first, |crc64, part| {
        crc_fast::checksum_combine(CRC64, crc64, part.crc64, u64::try_from(part.size).unwrap_or_default())
    })
}

pub(super) fn abort(
    store: &Store,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = request.input;
    let _claim = store.claim(&input.upload_id)?;
    let upload = upload(store, &input.bucket, &input.key, &input.upload_id)?;
    if !store.state.write(|transaction| upload_index::delete_upload(transaction, &upload.id))? {
        return Err(S3ErrorCode::NoSuchUpload.into());
    }
    store.files.remove_upload(&upload.id);
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}

/// The upload under way.
///
/// # Errors
/// `NoSuchBucket`, `NoSuchUpload`.
pub(super) fn upload(store: &Store, bucket: &str, key: &str, id: &str) -> Result<Upload, Failure> {
    match store.state.read(|connection| upload_index::upload(connection, bucket, key, id))? {
        Some(upload) => Ok(upload),
        None => {
            store.bucket(bucket)?;
            Err(S3ErrorCode::NoSuchUpload.into())
        }
    }
}

/// # Errors
/// `InvalidArgument` outside 1 to 10,000.
pub(super) fn check_part_number(number: i32) -> S3Result<()> {
    if (1..=MOST_PARTS).contains(&number) {
        return Ok(());
    }
    Err(S3Error::with_message(S3ErrorCode::InvalidArgument, "The part number must be between 1 and 10000."))
}
