//! Copies that the store makes itself: whole objects, and parts of large ones.

use crate::obs::address::encode_key;
use crate::obs::client::Client;
use crate::obs::control::ObjectInfo;
use crate::obs::error::Error;
use crate::obs::multipart::Part;
use crate::obs::sdk::{convert, with_headers};
use crate::obs::url::ObsUrl;

/// The store copies no more than this in one request.
pub const LARGEST_COPY: u64 = 5 * 1024 * 1024 * 1024;

const OPERATION: &str = "copy to";

/// The version of an object that is to be copied.
#[derive(Clone, Copy, Debug)]
pub struct CopySource<'a> {
    /// Where it is.
    pub url: &'a ObsUrl,
    /// Its ETag; the store refuses to copy another version. Empty: whatever is there.
    pub etag: &'a str,
}

impl CopySource<'_> {
    /// Bucket and escaped key, as the header has them.
    fn header(&self) -> String {
        format!("{}/{}", self.url.bucket, encode_key(&self.url.key))
    }

    fn condition(&self) -> Option<String> {
        (!self.etag.is_empty()).then(|| format!("\"{}\"", self.etag))
    }
}

impl Client {
    /// Copies an object inside the store, up to [`LARGEST_COPY`]. Metadata comes along, unless the client's attributes say what
    /// it shall be. Returns the ETag of the copy.
    ///
    /// # Errors
    /// Every [`Error`]; [`Error::is_changed`] when the source has another ETag.
    pub async fn copy_object(&self, source: CopySource<'_>, destination: &ObsUrl) -> Result<String, Error> {
        let target = destination.to_string();
        let replaces = self.attributes.replaces_metadata();
        let mut headers = Vec::new();
        self.attributes.add_headers(&destination.key, &mut headers);
        if !replaces {
            headers.retain(|(name, _)| *name != "content-type");
        }
        headers.push(("x-amz-metadata-directive", if replaces { "REPLACE" } else { "COPY" }));
        self.attributes.add_source_key(&mut headers);
        let answer = self
            .control_work(&target, |_| async {
                let request = self.inner.sdk.copy_object().copy_source(source.header());
                let request = request.set_copy_source_if_match(source.condition()).bucket(&destination.bucket);
                let request = request.key(&destination.key).customize().mutate_request(with_headers(&headers));
                let answer = request.send().await.map_err(|error| convert(OPERATION, target.clone(), error))?;
                // An answer that began with 200 before the copy was made may end in anything.
                let etag = answer.copy_object_result().and_then(|result| result.e_tag()).unwrap_or_default();
                self.etag(etag, &target)
            })
            .await?;
        Ok(answer)
    }

    /// Copies the bytes from `first` on, `part.size` of them, to be a part of an upload. Returns the part with its ETag.
    ///
    /// # Errors
    /// Every [`Error`]; [`Error::is_changed`] when the source has another ETag.
    pub async fn copy_part(
        &self,
        source: CopySource<'_>,
        first: u64,
        destination: &ObsUrl,
        upload: &str,
        part: Part,
    ) -> Result<Part, Error> {
        let target = destination.to_string();
        let range = format!("bytes={first}-{}", first + part.size.max(1) - 1);
        let number = i32::try_from(part.number).unwrap_or(i32::MAX);
        let mut headers = Vec::new();
        self.attributes.add_key(&mut headers);
        self.attributes.add_source_key(&mut headers);
        let etag = self
            .control_work(&target, |_| async {
                let request = self.inner.sdk.upload_part_copy().copy_source(source.header());
                let request = request.set_copy_source_if_match(source.condition()).copy_source_range(&range);
                let request = request.bucket(&destination.bucket).key(&destination.key).upload_id(upload).part_number(number);
                let request = request.customize().mutate_request(with_headers(&headers));
                let answer = request.send().await.map_err(|error| convert(OPERATION, target.clone(), error))?;
                self.etag(answer.copy_part_result().and_then(|result| result.e_tag()).unwrap_or_default(), &target)
            })
            .await?;
        Ok(Part { etag, ..part })
    }

    /// Begins an upload in parts whose object is to be a copy: what is not replaced by the client's attributes is the source's.
    ///
    /// # Errors
    /// Every [`Error`].
    pub(crate) async fn create_multipart_like(&self, url: &ObsUrl, source: &ObjectInfo) -> Result<String, Error> {
        let mut headers: Vec<(&str, &str)> = Vec::new();
        self.attributes.add_headers(&url.key, &mut headers);
        let metadata: Vec<(String, &str)> =
            source.metadata.iter().map(|(name, value)| (format!("x-amz-meta-{name}"), value.as_str())).collect();
        if !self.attributes.replaces_metadata() {
            headers.retain(|(name, _)| *name != "content-type");
            headers.extend(source.content_type.as_deref().map(|value| ("content-type", value)));
            headers.extend(source.headers.iter().map(|(name, value)| (*name, value.as_str())));
            headers.extend(metadata.iter().map(|(name, value)| (name.as_str(), *value)));
        }
        if self.attributes.storage_class.is_none() {
            headers.extend(source.storage_class.as_deref().map(|class| ("x-amz-storage-class", class)));
        }
        self.create_multipart_with(url, &headers).await
    }

    fn etag(&self, etag: &str, target: &str) -> Result<String, Error> {
        let message = || "the answer does not say that the copy was made".to_owned();
        match etag.trim_matches('"') {
            "" => Err(Error::Answer { operation: OPERATION, target: target.to_owned(), message: message() }),
            etag => Ok(etag.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::CopySource;
    use crate::auth::{Credential, Secret, StaticCredential};
    use crate::http::testing::{Script, Server};
    use crate::obs::attributes::Attributes;
    use crate::obs::multipart::Part;
    use crate::obs::{Client, Error, ObsUrl, Options};

    fn client(server: &Server) -> Client {
        let credential =
            Credential { access_key: "AK".into(), secret_key: Secret::new("s"), security_token: None, expires_at: None };
        Client::new(Options::new(&server.endpoint, "r", Arc::new(StaticCredential::new(credential)))).unwrap()
    }

    async fn copy(client: &Client) -> Result<String, Error> {
        let url = ObsUrl::new("a", "k é");
        client.copy_object(CopySource { url: &url, etag: "e" }, &ObsUrl::new("b", "x.csv")).await
    }

    const DONE: &str = "<CopyObjectResult><ETag>&quot;abc&quot;</ETag></CopyObjectResult>";

    #[tokio::test]
    async fn a_200_that_tells_of_an_error_is_one() {
        let busy = "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code><Message>again</Message></Error>";
        let server = Server::start(vec![Script::new(200, busy), Script::new(200, ""), Script::new(200, DONE)]);
        assert_eq!(copy(&client(&server)).await.unwrap(), "abc");
        let seen = server.seen();
        assert_eq!(seen.len(), 3);
        assert!(seen[0].contains("x-amz-copy-source: a/k%20%C3%A9\r\n"), "{seen:?}");
        assert!(seen[0].contains("x-amz-copy-source-if-match: \"e\"\r\n"), "{seen:?}");
        assert!(seen[0].contains("x-amz-metadata-directive: COPY\r\n") && !seen[0].contains("x-id"), "{seen:?}");
        let server = Server::start(vec![Script::new(200, &busy.replace("InternalError", "AccessDenied"))]);
        assert_eq!(copy(&client(&server)).await.unwrap_err().code(), Some("AccessDenied"));
    }

    #[tokio::test]
    async fn given_attributes_replace_the_metadata() {
        let server = Server::start(vec![Script::new(200, DONE), Script::new(200, DONE)]);
        let mut attributes = Attributes { guess_type: true, storage_class: Some("COLD".into()), ..Attributes::default() };
        let client = client(&server);
        copy(&client.clone().with_attributes(attributes.clone()).unwrap()).await.unwrap();
        attributes.metadata.add("k", "v").unwrap();
        copy(&client.with_attributes(attributes).unwrap()).await.unwrap();
        let seen = server.seen();
        assert!(seen[0].contains("directive: COPY\r\n") && seen[0].contains("storage-class: GLACIER\r\n"), "{seen:?}");
        assert!(!seen[0].contains("text/csv"), "{seen:?}");
        assert!(seen[1].contains("directive: REPLACE\r\n") && seen[1].contains("content-type: text/csv\r\n"), "{seen:?}");
        assert!(seen[1].contains("x-amz-meta-k: v\r\n"), "{seen:?}");
    }

    #[tokio::test]
    async fn copies_parts() {
        let answer = "<CopyPartResult><ETag>\"abc\"</ETag></CopyPartResult>";
        let server = Server::start(vec![Script::new(200, answer)]);
        let (from, to) = (ObsUrl::new("a", "k"), ObsUrl::new("b", "x"));
        let part = Part { number: 2, etag: String::new(), size: 10 };
        let copied = client(&server).copy_part(CopySource { url: &from, etag: "" }, 5, &to, "u", part).await.unwrap();
        assert_eq!(copied, Part { number: 2, etag: "abc".into(), size: 10 });
        assert!(server.seen()[0].contains("x-amz-copy-source-range: bytes=5-14\r\n"), "{:?}", server.seen());
    }
}
