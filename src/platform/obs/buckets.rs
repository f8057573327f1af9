//! Buckets.

use s3s::dto::{
    BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput,
    GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput, ListBucketsInput, ListBucketsOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::acl::owner;
use super::gate::Dialect;
use super::index::{self, Bucket};
use super::objects::{STANDARD, canned, timestamp};
use super::store::{Store, now};

/// The header with which OBS clients name the storage class of a bucket, after translation.
const CLASS_HEADER: &str = "x-amz-storage-class";

pub(super) fn create(store: &Store, request: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
    let input = request.input;
    let asked = input.create_bucket_configuration.and_then(|configuration| configuration.location_constraint);
    if let Some(region) = asked.as_ref().map(BucketLocationConstraint::as_str)
        && !is_here(region, &store.region)
    {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidLocationConstraint,
            format!("The platform has one region, {}; {region} is not it.", store.region),
        ));
    }
    let class = request.headers.get(CLASS_HEADER).and_then(|value| value.to_str().ok()).unwrap_or(STANDARD);
    let bucket = Bucket {
        name: input.bucket.clone(),
        created: now(),
        storage_class: class.to_owned(),
        acl: canned(input.acl.as_ref().map(s3s::dto::BucketCannedACL::as_str)),
    };
    // OBS answers 200 when the bucket is the caller's own already; AWS refuses but for its oldest region.
    if !store.create_bucket(&bucket)? && request.extensions.get::<Dialect>() != Some(&Dialect::Obs) {
        return Err(S3ErrorCode::BucketAlreadyOwnedByYou.into());
    }
    Ok(S3Response::new(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) }))
}

/// Clients that know no region of ours send what they were set to; names of AWS and nothing at all are taken as "here".
fn is_here(region: &str, ours: &str) -> bool {
    region.is_empty() || region == ours || region == "region" || region.starts_with("us-") || region == "EU"
}

pub(super) fn delete(store: &Store, request: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
    store.delete_bucket(&request.input.bucket)?;
    Ok(S3Response::new(DeleteBucketOutput {}))
}

pub(super) fn head(store: &Store, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
    let bucket = store.bucket(&request.input.bucket)?;
    let mut response =
        S3Response::new(HeadBucketOutput { bucket_region: Some(store.region.clone()), ..HeadBucketOutput::default() });
    for (name, value) in [("x-obs-bucket-location", &store.region), ("x-obs-storage-class", &bucket.storage_class)] {
        if let Ok(value) = http::HeaderValue::try_from(value.as_str()) {
            response.headers.insert(name, value);
        }
    }
    response.headers.insert("x-obs-version", http::HeaderValue::from_static("3.0"));
    Ok(response)
}

pub(super) fn list(store: &Store, request: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
    let input = request.input;
    let prefix = input.prefix.clone().unwrap_or_default();
    let after = input.continuation_token.unwrap_or_default();
    let most = input.max_buckets.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let mut buckets = store.state.read(index::buckets)?;
    buckets.retain(|bucket| bucket.name.starts_with(&prefix) && bucket.name > after);
    let truncated = buckets.len() > most;
    buckets.truncate(most);
    Ok(S3Response::new(ListBucketsOutput {
        continuation_token: buckets.last().filter(|_| truncated).map(|bucket| bucket.name.clone()),
        buckets: Some(
            buckets
                .into_iter()
                .map(|bucket| s3s::dto::Bucket {
                    bucket_region: Some(store.region.clone()),
                    creation_date: Some(timestamp(bucket.created)),
                    name: Some(bucket.name),
                })
                .collect(),
        ),
        owner: Some(owner()),
        prefix: input.prefix,
    }))
}

pub(super) fn location(
    store: &Store,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    store.bucket(&request.input.bucket)?;
    let region = BucketLocationConstraint::from(store.region.clone());
    Ok(S3Response::new(GetBucketLocationOutput { location_constraint: Some(region) }))
}
