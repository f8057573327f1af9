//! Verbs on buckets and objects that move no bytes.

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, Delete, ObjectIdentifier};
use time::OffsetDateTime;

use crate::obs::client::Client;
use crate::obs::error::{Error, ServiceError};
use crate::obs::sdk::{content_md5_instead_of_crc, convert, with_headers};
use crate::obs::url::ObsUrl;

/// The store takes at most this many keys in one batch delete.
pub const DELETE_BATCH: usize = 1000;

/// A bucket of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Option<OffsetDateTime>,
}

/// What a HEAD says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Bytes.
    pub size: u64,
    /// ETag without its quotes.
    pub etag: String,
    /// When it was written.
    pub modified: Option<OffsetDateTime>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// Storage class; none means standard.
    pub storage_class: Option<String>,
    /// `Cache-Control`, `Content-Disposition`, `Content-Encoding`, `Content-Language` and `Expires`, where they are set.
    pub headers: Vec<(&'static str, String)>,
    /// User metadata, by name.
    pub metadata: Vec<(String, String)>,
    /// The store encrypted it, so its ETag may be no MD5.
    pub encrypted: bool,
}

/// A key that a batch delete left, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotDeleted {
    /// The key.
    pub key: String,
    /// The store's code and words.
    pub reason: String,
}

impl Client {
    /// The buckets of the account.
    ///
    /// # Errors
    /// Every [`Error`].
    pub async fn list_buckets(&self) -> Result<Vec<Bucket>, Error> {
        let answer = self
            .control("buckets", |_| async {
                self.inner.sdk.list_buckets().send().await.map_err(|error| convert("list", "buckets".into(), error))
            })
            .await?;
        let bucket = |bucket: &aws_sdk_s3::types::Bucket| Bucket {
            name: bucket.name().unwrap_or_default().to_owned(),
            created: bucket.creation_date().and_then(from_sdk_time),
        };
        Ok(answer.buckets().iter().map(bucket).collect())
    }

    /// Makes a bucket; one of one's own that exists already is no error.
    ///
    /// # Errors
    /// Every [`Error`].
    pub async fn create_bucket(&self, bucket: &str) -> Result<(), Error> {
        let target = ObsUrl::new(bucket, "").to_string();
        let location = self.inner.address.is_virtual_host().then(|| {
            let constraint = BucketLocationConstraint::from(self.inner.region.as_str());
            CreateBucketConfiguration::builder().location_constraint(constraint).build()
        });
        let made = self
            .control(&target, |_| async {
                let request = self.inner.sdk.create_bucket().bucket(bucket).set_create_bucket_configuration(location.clone());
                request.send().await.map_err(|error| convert("make bucket", target.clone(), error))
            })
            .await;
        match made {
            Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => Ok(()),
            made => made.map(|_| ()),
        }
    }

    /// Deletes an empty bucket.
    ///
    /// # Errors
    /// Every [`Error`].
    pub async fn delete_bucket(&self, bucket: &str) -> Result<(), Error> {
        let target = ObsUrl::new(bucket, "").to_string();
        self.control(&target, |_| async {
            let request = self.inner.sdk.delete_bucket().bucket(bucket);
            request.send().await.map_err(|error| convert("delete bucket", target.clone(), error))
        })
        .await
        .map(|_| ())
    }

    /// Whether the bucket exists and may be looked into.
    ///
    /// # Errors
    /// Every [`Error`]; a missing bucket is [`Error::is_not_found`].
    pub async fn head_bucket(&self, bucket: &str) -> Result<(), Error> {
        let target = ObsUrl::new(bucket, "").to_string();
        self.control(&target, |_| async {
            let request = self.inner.sdk.head_bucket().bucket(bucket);
            request.send().await.map_err(|error| name_bucket(convert("look at bucket", target.clone(), error)))
        })
        .await
        .map(|_| ())
    }

    /// What the store knows of an object.
    ///
    /// # Errors
    /// Every [`Error`]; a missing object is [`Error::is_not_found`].
    pub async fn head(&self, url: &ObsUrl) -> Result<ObjectInfo, Error> {
        let target = url.to_string();
        let answer = self
            .control(&target, |_| async {
                let mut headers = Vec::new();
                self.attributes.add_key(&mut headers);
                let request = self.inner.sdk.head_object().bucket(&url.bucket).key(&url.key).customize();
                let request = request.mutate_request(with_headers(&headers));
                request.send().await.map_err(|error| convert("look at", target.clone(), error))
            })
            .await?;
        let metadata = answer.metadata().into_iter().flatten();
        let mut metadata: Vec<(String, String)> = metadata.map(|(name, value)| (name.clone(), value.clone())).collect();
        metadata.sort();
        let headers = [
            ("cache-control", answer.cache_control()),
            ("content-disposition", answer.content_disposition()),
            ("content-encoding", answer.content_encoding()),
            ("content-language", answer.content_language()),
            ("expires", answer.expires_string()),
        ];
        Ok(ObjectInfo {
            size: answer.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0),
            etag: answer.e_tag().unwrap_or_default().trim_matches('"').to_owned(),
            modified: answer.last_modified().and_then(from_sdk_time),
            content_type: answer.content_type().map(str::to_owned),
            storage_class: answer.storage_class().map(|class| class.as_str().to_owned()),
            headers: headers.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned()))).collect(),
            metadata,
            encrypted: answer.server_side_encryption().is_some() || answer.sse_customer_algorithm().is_some(),
        })
    }

    /// Deletes an object; one that is not there is no error.
    ///
    /// # Errors
    /// Every [`Error`].
    pub async fn delete(&self, url: &ObsUrl) -> Result<(), Error> {
        let target = url.to_string();
        self.control(&target, |_| async {
            let request = self.inner.sdk.delete_object().bucket(&url.bucket).key(&url.key);
            request.send().await.map_err(|error| convert("delete", target.clone(), error))
        })
        .await
        .map(|_| ())
    }

    /// Deletes up to [`DELETE_BATCH`] keys in one request. Returns those that the store left.
    ///
    /// # Errors
    /// Every [`Error`].
    pub async fn delete_many(&self, bucket: &str, keys: &[String]) -> Result<Vec<NotDeleted>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let target = ObsUrl::new(bucket, "").to_string();
        let unusable = |error: aws_sdk_s3::error::BuildError| Error::Source(error.to_string());
        let objects: Result<Vec<_>, _> = keys.iter().map(|key| ObjectIdentifier::builder().key(key).build()).collect();
        let delete = Delete::builder().set_objects(Some(objects.map_err(unusable)?)).quiet(true).build().map_err(unusable)?;
        let answer = self
            .control(&target, |_| async {
                let request = self.inner.sdk.delete_objects().bucket(bucket).delete(delete.clone()).customize();
                let request = request.mutate_request(content_md5_instead_of_crc);
                request.send().await.map_err(|error| convert("delete", target.clone(), error))
            })
            .await?;
        let left = answer.errors().iter().map(|error| NotDeleted {
            key: error.key().unwrap_or_default().to_owned(),
            reason: format!("{}: {}", error.code().unwrap_or("unknown"), error.message().unwrap_or_default()),
        });
        Ok(left.collect())
    }
}

/// An answer to HEAD has no body and so no code; for a bucket, 404 can mean one thing only.
fn name_bucket(error: Error) -> Error {
    match error {
        Error::Service(service) if service.status == 404 => {
            Error::Service(Box::new(ServiceError { code: "NoSuchBucket".to_owned(), ..*service }))
        }
        other => other,
    }
}

pub(crate) fn from_sdk_time(time: &aws_sdk_s3::primitives::DateTime) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(time.as_nanos()).ok()
}
