//! Copies within the store: whole objects and parts.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource, ETag, MetadataDirective, Range,
    UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::conditions::{ReadConditions, WriteConditions};
use super::content::content_of;
use super::digest::{Digests, Expected};
use super::error::Failure;
use super::index::{Detail, Object, Summary};
use super::multipart;
use super::objects::{canned, check_metadata, check_version, storage_class, timestamp};
use super::store::{Store, now};

const BLOCK: usize = 512 * 1024;

pub(super) async fn copy(store: &Arc<Store>, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
    let input = request.input;
    let (source_bucket, source_key) = source(&input.copy_source)?;
    let bucket = store.bucket(&input.bucket)?;
    let (found, file) = store.open_object(source_bucket, source_key)?;
    ReadConditions {
        if_match: input.copy_source_if_match.clone(),
        if_none_match: input.copy_source_if_none_match.clone(),
        if_modified_since: input.copy_source_if_modified_since.clone(),
        if_unmodified_since: input.copy_source_if_unmodified_since.clone(),
    }
    .check_source(&found.summary)?;
    let replace = input.metadata_directive.as_ref().is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
    let same = (source_bucket, source_key) == (input.bucket.as_str(), input.key.as_str());
    let class = storage_class(input.storage_class.as_ref(), &bucket.storage_class);
    if same && !replace && input.storage_class.is_none() && input.website_redirect_location.is_none() {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
             metadata, storage class or website redirect location.",
        ));
    }
    let content = if replace { content_of!(input) } else { found.detail.content.clone() };
    check_metadata(&content)?;
    let temp = store.files.temp();
    let size = u64::try_from(found.summary.size).unwrap_or_default();
    let path = temp.path().to_owned();
    let digests = tokio::task::spawn_blocking(move || copy_range(&file, 0, size, &path)).await.map_err(Failure::from)??;
    let object = Object {
        summary: Summary { size: found.summary.size, modified: now(), etag: digests.etag(), storage_class: class },
        detail: Detail {
            crc64: Some(digests.crc64),
            acl: canned(input.acl.as_ref().map(s3s::dto::ObjectCannedACL::as_str)),
            content,
            sums: found.detail.sums,
            ..Detail::default()
        },
    };
    let modified = object.summary.modified;
    store.commit(&input.bucket, &input.key, &temp, object, &WriteConditions::default(), |_| Ok(()))?;
    let result = CopyObjectResult {
        e_tag: Some(ETag::Strong(digests.etag())),
        last_modified: Some(timestamp(modified)),
        ..CopyObjectResult::default()
    };
    Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() }))
}

pub(super) async fn copy_part(
    store: &Arc<Store>,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let input = request.input;
    multipart::check_part_number(input.part_number)?;
    let (source_bucket, source_key) = source(&input.copy_source)?;
    multipart::upload(store, &input.bucket, &input.key, &input.upload_id)?;
    let (found, file) = store.open_object(source_bucket, source_key)?;
    ReadConditions {
        if_match: input.copy_source_if_match.clone(),
        if_none_match: input.copy_source_if_none_match.clone(),
        if_modified_since: input.copy_source_if_modified_since.clone(),
        if_unmodified_since: input.copy_source_if_unmodified_since.clone(),
    }
    .check_source(&found.summary)?;
    let size = u64::try_from(found.summary.size).unwrap_or_default();
    let (start, end) = part_range(input.copy_source_range.as_deref(), size)?;
    let temp = store.files.temp();
    let path = temp.path().to_owned();
    let digests = tokio::task::spawn_blocking(move || copy_range(&file, start, end, &path)).await.map_err(Failure::from)??;
    let etag = digests.etag();
    let modified = multipart::keep_part(store, &input.bucket, &input.key, &input.upload_id, input.part_number, &temp, digests)?;
    let result = CopyPartResult {
        e_tag: Some(ETag::Strong(etag)),
        last_modified: Some(timestamp(modified)),
        ..CopyPartResult::default()
    };
    Ok(S3Response::new(UploadPartCopyOutput { copy_part_result: Some(result), ..UploadPartCopyOutput::default() }))
}

fn source(source: &CopySource) -> S3Result<(&str, &str)> {
    match source {
        CopySource::Bucket { bucket, key, version_id } => {
            check_version(version_id.as_ref().map(|version| version.to_string()).as_ref())?;
            Ok((bucket, key))
        }
        _ => Err(S3Error::with_message(S3ErrorCode::NotImplemented, "Copies from access points are not implemented.")),
    }
}

/// A part's range must lie inside the source, unlike a GET's.
fn part_range(range: Option<&str>, size: u64) -> S3Result<(u64, u64)> {
    let Some(text) = range else { return Ok((0, size)) };
    match Range::parse(text) {
        Ok(Range::Int { first, last: Some(last) }) if last < size => Ok((first, last + 1)),
        Ok(Range::Int { .. } | Range::Suffix { .. }) => Err(S3ErrorCode::InvalidRange.into()),
        Err(_) => Err(S3ErrorCode::InvalidArgument.into()),
    }
}

/// Copies `start..end` of `file` to a new file at `path` and digests it.
fn copy_range(file: &File, start: u64, end: u64, path: &Path) -> Result<Digests, Failure> {
    let mut target = File::create_new(path)?;
    let mut digester = Expected::default().digester();
    let mut buffer = vec![0; BLOCK];
    let mut position = start;
    while position < end {
        let most = usize::try_from(end - position).map_or(BLOCK, |left| left.min(BLOCK));
        let read = file.read_at(&mut buffer[..most], position)?;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        digester.update(&buffer[..read]);
        target.write_all(&buffer[..read])?;
        position += read as u64;
    }
    Ok(digester.finish())
}

#[cfg(test)]
mod tests {
    use super::part_range;

    #[test]
    fn a_part_cannot_reach_beyond_its_source() {
        assert_eq!(part_range(None, 10).ok(), Some((0, 10)));
        assert_eq!(part_range(Some("bytes=2-9"), 10).ok(), Some((2, 10)));
        for text in ["bytes=2-10", "bytes=-3", "bytes=3-", "2-3", "bytes=5-2"] {
            assert!(part_range(Some(text), 10).is_err(), "{text}");
        }
    }
}
