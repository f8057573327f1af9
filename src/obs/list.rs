//! Listing a bucket, page by page.

use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode_str;
use time::OffsetDateTime;

use crate::obs::client::Client;
use crate::obs::control::from_sdk_time;
use crate::obs::error::Error;
use crate::obs::sdk::convert;
use crate::obs::url::ObsUrl;

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// ETag without its quotes.
    pub etag: String,
    /// When it was written.
    pub modified: Option<OffsetDateTime>,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Objects, by key.
    pub entries: Vec<Entry>,
    /// Common prefixes; only with a delimiter.
    pub prefixes: Vec<String>,
}

/// A listing under way; holds one page at a time.
#[derive(Debug)]
pub struct Listing {
    client: Client,
    bucket: String,
    prefix: String,
    delimiter: Option<&'static str>,
    page_size: i32,
    token: Option<String>,
    done: bool,
}

impl Client {
    /// Lists what begins with the address's key. `deep` goes into folders, else they come as prefixes.
    pub fn list(&self, url: &ObsUrl, deep: bool) -> Listing {
        Listing {
            client: self.clone(),
            bucket: url.bucket.clone(),
            prefix: url.key.clone(),
            delimiter: (!deep).then_some("/"),
            page_size: 1000,
            token: None,
            done: false,
        }
    }

    /// Whether anything begins with that key.
    ///
    /// # Errors
    /// Every [`Error`].
    pub async fn any(&self, url: &ObsUrl) -> Result<bool, Error> {
        let mut listing = Listing { page_size: 1, ..self.list(url, true) };
        Ok(listing.next_page().await?.is_some_and(|page| !page.entries.is_empty()))
    }
}

impl Listing {
    /// The next page; `None` after the last.
    ///
    /// # Errors
    /// Every [`Error`].
    pub async fn next_page(&mut self) -> Result<Option<Page>, Error> {
        if self.done {
            return Ok(None);
        }
        let target = ObsUrl::new(self.bucket.clone(), self.prefix.clone()).to_string();
        let (client, this) = (self.client.clone(), &*self);
        let answer = client
            .control(&target, |_| async {
                let request = client
                    .inner
                    .sdk
                    .list_objects_v2()
                    .bucket(&this.bucket)
                    .encoding_type(EncodingType::Url)
                    .max_keys(this.page_size)
                    .set_prefix(Some(this.prefix.clone()).filter(|prefix| !prefix.is_empty()))
                    .set_delimiter(this.delimiter.map(str::to_owned))
                    .set_continuation_token(this.token.clone());
                request.send().await.map_err(|error| convert("list", target.clone(), error))
            })
            .await?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let next = answer.next_continuation_token().map(str::to_owned);
        self.done = !answer.is_truncated().unwrap_or(false);
        if !self.done && (next.is_none() || next == self.token) {
            let message = "the listing says that it goes on, but not where".to_owned();
            return Err(Error::Answer { operation: "list", target, message });
        }
        self.token = next;
        let entry = |object: &aws_sdk_s3::types::Object| Entry {
            key: decode(object.key().unwrap_or_default(), encoded),
            size: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            etag: object.e_tag().unwrap_or_default().trim_matches('"').to_owned(),
            modified: object.last_modified().and_then(from_sdk_time),
        };
        Ok(Some(Page {
            entries: answer.contents().iter().map(entry).collect(),
            prefixes: answer
                .common_prefixes()
                .iter()
                .map(|prefix| decode(prefix.prefix().unwrap_or_default(), encoded))
                .collect(),
        }))
    }
}

/// Keys of a listing come escaped as in a form, so that XML can carry any of them: a blank may be `+`.
fn decode(text: &str, encoded: bool) -> String {
    if !encoded {
        return text.to_owned();
    }
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn decodes_keys() {
        assert_eq!(decode("a+b%2Bc%25%C3%A9%0A/d", true), "a b+c%é\n/d");
        assert_eq!(decode("a+b%2B", false), "a+b%2B");
    }
}
