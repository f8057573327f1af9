//! Uploads in parts.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use md5::{Digest as _, Md5};

use crate::obs::attributes::add_metadata;
use crate::obs::client::Client;
use crate::obs::error::Error;
use crate::obs::sdk::{convert, with_headers};
use crate::obs::url::ObsUrl;

/// A part that the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// 1 to 10,000.
    pub number: u32,
    /// ETag without its quotes.
    pub etag: String,
    /// Bytes; 0 where it is not known.
    pub size: u64,
}

impl Client {
    /// Begins an upload in parts, with the client's attributes; returns its id.
    ///
    /// # Errors
    /// Every [`Error`].
    pub async fn create_multipart(&self, url: &ObsUrl) -> Result<String, Error> {
        let mut headers = Vec::new();
        self.attributes.add_headers(&url.key, &mut headers);
        self.create_multipart_with(url, &headers).await
    }

    /// The same with metadata of this object alone, as in [`PutOptions::metadata`](crate::obs::bytes::PutOptions::metadata).
    ///
    /// # Errors
    /// Every [`Error`].
    pub async fn create_multipart_of(&self, url: &ObsUrl, metadata: &[(&'static str, String)]) -> Result<String, Error> {
        let mut headers = Vec::new();
        self.attributes.add_headers(&url.key, &mut headers);
        add_metadata(metadata, &mut headers);
        self.create_multipart_with(url, &headers).await
    }

    /// The same with these headers instead of the attributes.
    pub(crate) async fn create_multipart_with(&self, url: &ObsUrl, headers: &[(&str, &str)]) -> Result<String, Error> {
        let target = url.to_string();
        let answer = self
            .control(&target, |_| async {
                let request = self.inner.sdk.create_multipart_upload().bucket(&url.bucket).key(&url.key).customize();
                let request = request.mutate_request(with_headers(headers));
                request.send().await.map_err(|error| convert("begin upload", target.clone(), error))
            })
            .await?;
        let message = "the answer has no upload id".to_owned();
        answer.upload_id().map(str::to_owned).ok_or(Error::Answer { operation: "begin upload", target, message })
    }

    /// Makes the object of its parts, which must be in order. An answer lost on the way is found out by looking at the object.
    ///
    /// # Errors
    /// Every [`Error`].
    pub async fn complete_multipart(&self, url: &ObsUrl, upload: &str, parts: &[Part]) -> Result<String, Error> {
        let target = url.to_string();
        let completed = parts.iter().map(|part| {
            let number = i32::try_from(part.number).unwrap_or(i32::MAX);
            CompletedPart::builder().part_number(number).e_tag(format!("\"{}\"", part.etag)).build()
        });
        let document = CompletedMultipartUpload::builder().set_parts(Some(completed.collect())).build();
        let completed = self
            .control_work(&target, |attempt| {
                let (target, document) = (target.clone(), document.clone());
                async move {
                    let request = self.inner.sdk.complete_multipart_upload().bucket(&url.bucket).key(&url.key);
                    let mut headers = Vec::new();
                    self.attributes.add_condition(&mut headers);
                    let request = request.upload_id(upload).multipart_upload(document).customize();
                    let request = request.mutate_request(with_headers(&headers));
                    match request.send().await.map_err(|error| convert("complete upload", target.clone(), error)) {
                        Ok(answer) => Ok(answer.e_tag().unwrap_or_default().trim_matches('"').to_owned()),
                        Err(error) if attempt > 1 && error.is_not_found() => Err((error, true)),
                        Err(error) => Err((error, false)),
                    }
                    .or_else(|(error, maybe_done)| if maybe_done { Ok(String::new()) } else { Err(error) })
                }
            })
            .await;
        match &completed {
            Ok(etag) if !etag.is_empty() => return completed,
            // What is in the way may be what was sent: the first attempt succeeded, and its answer was lost.
            Err(error) if !error.is_changed() => return completed,
            _ => {}
        }
        let info = self.head(url).await?;
        let size: u64 = parts.iter().map(|part| part.size).sum();
        if composite_etag(parts).is_some_and(|expected| expected == info.etag) && info.size == size {
            return Ok(info.etag);
        }
        completed?;
        let message = "the store no longer knows the upload, and the object is not what was sent".to_owned();
        Err(Error::Answer { operation: "complete upload", target, message })
    }

    /// Gives an upload up; the store forgets its parts. One that is gone is no error.
    ///
    /// # Errors
    /// Every [`Error`].
    pub async fn abort_multipart(&self, url: &ObsUrl, upload: &str) -> Result<(), Error> {
        let target = url.to_string();
        let aborted = self
            .control(&target, |_| async {
                let request = self.inner.sdk.abort_multipart_upload().bucket(&url.bucket).key(&url.key).upload_id(upload);
                request.send().await.map_err(|error| convert("abort upload", target.clone(), error))
            })
            .await;
        match aborted {
            Err(error) if error.is_not_found() => Ok(()),
            aborted => aborted.map(|_| ()),
        }
    }

    /// The parts that the store has of an upload, by number.
    ///
    /// # Errors
    /// Every [`Error`]; an upload that is gone is [`Error::is_not_found`].
    pub async fn list_parts(&self, url: &ObsUrl, upload: &str) -> Result<Vec<Part>, Error> {
        let target = url.to_string();
        let mut parts = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let answer = self
                .control(&target, |_| async {
                    let request = self.inner.sdk.list_parts().bucket(&url.bucket).key(&url.key).upload_id(upload);
                    let request = request.set_part_number_marker(marker.clone());
                    request.send().await.map_err(|error| convert("list parts", target.clone(), error))
                })
                .await?;
            parts.extend(answer.parts().iter().map(|part| Part {
                number: part.part_number().and_then(|number| u32::try_from(number).ok()).unwrap_or(0),
                etag: part.e_tag().unwrap_or_default().trim_matches('"').to_owned(),
                size: part.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            }));
            let next = answer.next_part_number_marker().map(str::to_owned);
            if !answer.is_truncated().unwrap_or(false) || next.is_none() || next == marker {
                break;
            }
            marker = next;
        }
        parts.sort_by_key(|part| part.number);
        Ok(parts)
    }
}

/// The ETag that stores give an object of parts: the MD5 of the parts' MD5s, and their number. `None` where an ETag is no MD5.
pub fn composite_etag(parts: &[Part]) -> Option<String> {
    let mut digest = Md5::new();
    for part in parts {
        let md5 = hex::decode(&part.etag).ok().filter(|md5| md5.len() == 16)?;
        digest.update(&md5);
    }
    Some(format!("{}-{}", hex::encode(digest.finalize()), parts.len()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Part, composite_etag};
    use crate::auth::{Credential, Secret, StaticCredential};
    use crate::http::testing::{Script, Server};
    use crate::obs::{Client, ObsUrl, Options};

    /// The store joins the parts for longer than a request may stall; an earlier attempt may still be at it.
    #[tokio::test]
    async fn the_store_may_take_its_time_to_join_the_parts() {
        let busy = "<Error><Code>OperationAborted</Code><Message>another request is ending this upload</Message></Error>";
        let done = "<CompleteMultipartUploadResult><ETag>\"abc-1\"</ETag></CompleteMultipartUploadResult>";
        let late = Script::new(200, done).after(Duration::from_millis(600));
        let server = Server::start(vec![Script::new(409, busy), late]);
        let credential =
            Credential { access_key: "AK".into(), secret_key: Secret::new("s"), security_token: None, expires_at: None };
        let options = Options::new(&server.endpoint, "r", Arc::new(StaticCredential::new(credential)));
        let client = Client::new(Options { stall: Duration::from_millis(100), ..options }).unwrap();
        let part = Part { number: 1, etag: "0cc175b9c0f1b6a831c399e269772661".into(), size: 1 };
        assert_eq!(client.complete_multipart(&ObsUrl::new("b", "k"), "u", &[part]).await.unwrap(), "abc-1");
        assert_eq!(server.seen().len(), 2, "{:?}", server.seen());
    }

    #[test]
    fn computes_the_composite_etag() {
        let part = |number, etag: &str| Part { number, etag: etag.into(), size: 1 };
        // md5 of "a" and of "b"; the composite is what md5sum says of the two digests.
        let parts = [part(1, "0cc175b9c0f1b6a831c399e269772661"), part(2, "92eb5ffee6ae2fec3ad71c777531578f")];
        assert_eq!(composite_etag(&parts).unwrap(), "96e024ba2074fe77e8e965ba43a704be-2");
        assert_eq!(composite_etag(&[part(1, "odd")]), None);
    }
}
