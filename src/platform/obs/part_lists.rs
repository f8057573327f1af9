//! Lists of parts and uploads.

use s3s::dto::{
    ETag, Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload,
    Part, StorageClass,
};
use s3s::{S3Request, S3Response, S3Result};

use super::acl::{OWNER, owner};
use super::content::set_sums;
use super::lists::{Encoder, common_prefix, limit};
use super::multipart;
use super::objects::timestamp;
use super::store::Store;
use super::upload_index::{self, Upload};

pub(super) fn parts(store: &Store, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    let upload = multipart::upload(store, &input.bucket, &input.key, &input.upload_id)?;
    let max_parts = limit(input.max_parts)?;
    let after = input.part_number_marker.unwrap_or_default();
    let most = usize::try_from(max_parts).unwrap_or_default();
    let mut found = store.state.read(|connection| upload_index::parts(connection, &upload.id, after, most + 1))?;
    let truncated = found.len() > most;
    found.truncate(most);
    let next = found.last().map(|part| part.number);
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload.id),
        initiator: Some(initiator()),
        owner: Some(owner()),
        storage_class: Some(StorageClass::from(upload.detail.storage_class)),
        max_parts: Some(max_parts),
        part_number_marker: Some(after),
        next_part_number_marker: next.filter(|_| truncated),
        is_truncated: Some(truncated),
        parts: Some(found.into_iter().map(shown_part).collect()),
        ..ListPartsOutput::default()
    }))
}

fn shown_part(part: upload_index::Part) -> Part {
    let mut shown = Part {
        part_number: Some(part.number),
        size: Some(part.size),
        last_modified: Some(timestamp(part.modified)),
        e_tag: Some(ETag::Strong(part.etag)),
        ..Part::default()
    };
    set_sums!(shown, part.sums);
    shown
}

fn initiator() -> Initiator {
    Initiator { id: Some(OWNER.to_owned()), display_name: None }
}

pub(super) fn uploads(
    store: &Store,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    store.bucket(&input.bucket)?;
    let encode = Encoder::new(input.encoding_type.as_ref())?;
    let max_uploads = limit(input.max_uploads)?;
    let prefix = input.prefix.unwrap_or_default();
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let page = UploadPage {
        prefix: &prefix,
        delimiter: delimiter.as_deref(),
        key_marker: input.key_marker.as_deref().unwrap_or_default(),
        id_marker: input.upload_id_marker.as_deref().unwrap_or_default(),
        most: usize::try_from(max_uploads).unwrap_or_default(),
        ..UploadPage::default()
    };
    let page = page.fill(store.state.read(|connection| upload_index::uploads(connection, &input.bucket))?);
    let next = page.last.filter(|_| page.truncated);
    Ok(S3Response::new(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        common_prefixes: Some(page.prefixes.iter().map(|prefix| common_prefix(&encode, prefix)).collect()),
        delimiter: delimiter.as_deref().map(|delimiter| encode.text(delimiter)),
        encoding_type: input.encoding_type,
        is_truncated: Some(page.truncated),
        key_marker: input.key_marker.as_deref().map(|marker| encode.text(marker)),
        max_uploads: Some(max_uploads),
        next_key_marker: next.as_ref().map(|(key, _)| encode.text(key)),
        next_upload_id_marker: next.map(|(_, id)| id),
        prefix: Some(encode.text(&prefix)),
        uploads: Some(page.uploads.into_iter().map(|upload| shown_upload(&encode, upload)).collect()),
        upload_id_marker: input.upload_id_marker,
        ..ListMultipartUploadsOutput::default()
    }))
}

fn shown_upload(encode: &Encoder, upload: Upload) -> MultipartUpload {
    MultipartUpload {
        key: Some(encode.text(&upload.key)),
        upload_id: Some(upload.id),
        initiated: Some(timestamp(upload.created)),
        initiator: Some(initiator()),
        owner: Some(owner()),
        storage_class: Some(StorageClass::from(upload.detail.storage_class)),
        ..MultipartUpload::default()
    }
}

/// A page of uploads and what was asked for. There are few uploads at a time, so that a pass over all of them is quick.
#[derive(Debug, Default)]
struct UploadPage<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
    key_marker: &'a str,
    id_marker: &'a str,
    most: usize,
    uploads: Vec<Upload>,
    prefixes: Vec<String>,
    /// Key or prefix, and id, of the last one on the page.
    last: Option<(String, String)>,
    truncated: bool,
}

impl UploadPage<'_> {
    fn fill(mut self, all: Vec<Upload>) -> Self {
        for upload in all {
            let Some(rest) = upload.key.strip_prefix(self.prefix) else { continue };
            let common = self.delimiter.and_then(|delimiter| {
                let end = rest.find(delimiter)? + delimiter.len();
                Some(upload.key[..self.prefix.len() + end].to_owned())
            });
            let repeated = common.is_some() && self.prefixes.last() == common.as_ref();
            if repeated || self.is_before(common.as_deref(), &upload) {
                continue;
            }
            if self.uploads.len() + self.prefixes.len() == self.most {
                self.truncated = true;
                return self;
            }
            self.last = Some((common.clone().unwrap_or_else(|| upload.key.clone()), upload.id.clone()));
            match common {
                Some(common) => self.prefixes.push(common),
                None => self.uploads.push(upload),
            }
        }
        self
    }

    /// Whether a page before this one has shown it.
    fn is_before(&self, common: Option<&str>, upload: &Upload) -> bool {
        let name = common.unwrap_or(&upload.key);
        if self.key_marker.is_empty() || name > self.key_marker {
            return false;
        }
        let same_key = name == self.key_marker && common.is_none() && !self.id_marker.is_empty();
        !same_key || upload.id.as_str() <= self.id_marker
    }
}
