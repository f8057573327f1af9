//! Listing a bucket, page by page: while one page is looked at, the store makes the next.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

use bytes::Bytes;
use time::OffsetDateTime;
use tokio_util::task::AbortOnDropHandle;

use crate::obs::address::encode_query;
use crate::obs::body::Payload;
use crate::obs::bytes::{Call, service_error};
use crate::obs::client::Client;
use crate::obs::error::Error;
use crate::obs::page::{self, Next};
use crate::obs::url::ObsUrl;

pub use crate::obs::page::{Malformed, Page, parse_page};

/// Entries of a page; stores give no more.
const PAGE: u32 = 1000;

/// A page of the longest keys, every byte of them escaped twice, is a quarter of this.
const LARGEST_PAGE: usize = 32 * 1024 * 1024;

const OPERATION: &str = "list";

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

/// A listing under way; holds one page at a time, and the bytes of the next.
#[derive(Debug)]
pub struct Listing {
    query: Query,
    state: State,
    // Of the position of the page before: one that comes again would go on for ever.
    last: Option<u64>,
}

#[derive(Debug)]
enum State {
    /// The page at this position was not asked for yet.
    At(Next),
    /// It is on its way.
    Asked(Next, AbortOnDropHandle<Result<Bytes, Error>>),
    Done,
}

/// What all pages of a listing have in common.
#[derive(Clone, Debug)]
struct Query {
    client: Client,
    url: ObsUrl,
    delimiter: Option<&'static str>,
    page_size: u32,
}

impl Client {
    /// Lists what begins with the address's key. `deep` goes into folders, else they come as prefixes.
    pub fn list(&self, url: &ObsUrl, deep: bool) -> Listing {
        let delimiter = (!deep).then_some("/");
        let query = Query { client: self.clone(), url: url.clone(), delimiter, page_size: PAGE };
        Listing { query, state: State::At(Next::Start), last: None }
    }

    /// Whether anything begins with that key.
    ///
    /// # Errors
    /// Every [`Error`].
    pub async fn any(&self, url: &ObsUrl) -> Result<bool, Error> {
        let mut listing = self.list(url, true);
        listing.query.page_size = 1;
        // A store may answer with an empty page and say that there is more.
        while let Some(page) = listing.next_page().await? {
            if !page.entries.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Listing {
    /// The next page; `None` after the last. A listing never ends early without an error.
    ///
    /// # Errors
    /// Every [`Error`]; [`Error::Answer`] for a page that cannot be read or says that the list goes on, but not where.
    pub async fn next_page(&mut self) -> Result<Option<Page>, Error> {
        let (position, answer) = match std::mem::replace(&mut self.state, State::Done) {
            State::Done => return Ok(None),
            State::At(position) => {
                let answer = self.query.fetch(&position).await;
                (position, answer)
            }
            State::Asked(position, answer) => {
                let ended = |_| Err(self.query.wrong("the request for the next page was given up".to_owned()));
                (position, answer.await.unwrap_or_else(ended))
            }
        };
        let read = answer.and_then(|bytes| self.read(&position, &bytes));
        if read.is_err() {
            // Who asks again is not told that this was the end.
            self.state = State::At(position);
        }
        read.map(Some)
    }

    /// Reads a page, the next one being asked for before: store and client work at the same time.
    fn read(&mut self, position: &Next, bytes: &[u8]) -> Result<Page, Error> {
        let ahead = page::token_of(bytes).filter(|_| self.query.page_size > 1).map(|next| self.ask(next));
        let mut page = parse_page(bytes).map_err(|error| self.query.wrong(error.to_string()))?;
        if let Some(next) = page.next.take() {
            let mark = mark(&next);
            if next == *position || self.last.replace(mark) == Some(mark) {
                return Err(self.query.wrong("the listing says that it goes on, but not where".to_owned()));
            }
            self.state = match ahead {
                Some(State::Asked(guess, answer)) if guess == next => State::Asked(guess, answer),
                _ => State::At(next),
            };
        }
        Ok(page)
    }

    fn ask(&self, next: Next) -> State {
        let (query, position) = (self.query.clone(), next.clone());
        State::Asked(next, AbortOnDropHandle::new(tokio::spawn(async move { query.fetch(&position).await })))
    }
}

/// Whether the document ends as it must, found without reading it.
fn is_whole(document: &[u8]) -> bool {
    let end = document.rsplit(|byte| *byte == b'<').next().unwrap_or_default().trim_ascii_end();
    end.starts_with(b"/") && end.ends_with(b"ListBucketResult>")
}

fn mark(next: &Next) -> u64 {
    let mut hasher = DefaultHasher::new();
    next.hash(&mut hasher);
    hasher.finish()
}

impl Query {
    fn wrong(&self, message: String) -> Error {
        Error::Answer { operation: OPERATION, target: self.url.to_string(), message }
    }

    /// The document of a page, whole.
    async fn fetch(&self, position: &Next) -> Result<Bytes, Error> {
        let query = self.text(position);
        // The bucket is what is asked; the key of the address is only a parameter.
        let bucket = ObsUrl::new(self.url.bucket.clone(), "");
        self.client.retrying(async |_| self.fetch_once(&bucket, &query).await).await
    }

    async fn fetch_once(&self, bucket: &ObsUrl, query: &str) -> Result<Bytes, Error> {
        let payload = Payload::Whole(Bytes::new());
        let call = Call { operation: OPERATION, method: "GET", url: bucket, query, headers: &[], payload };
        let answer = self.client.exchange(call, &[]).await?;
        let bytes = answer.body.collect(LARGEST_PAGE).await?;
        match page::root(&bytes) {
            Some(b"ListBucketResult") if is_whole(&bytes) => Ok(bytes),
            Some(b"ListBucketResult") => Err(self.wrong("the answer was cut short".to_owned())),
            // It began with 200 and failed then.
            Some(b"Error") => {
                let error = service_error(OPERATION, self.url.to_string(), 200, &answer.headers, &bytes);
                Err(Error::Service(Box::new(error)))
            }
            _ => Err(self.wrong("the answer is no list of a bucket".to_owned())),
        }
    }

    /// The query of a page; names in order, as the signature needs them.
    fn text(&self, position: &Next) -> String {
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(8);
        let size = self.page_size.to_string();
        if let Next::Token(token) = position {
            pairs.push(("continuation-token", token));
        }
        if let Some(delimiter) = self.delimiter {
            pairs.push(("delimiter", delimiter));
        }
        pairs.push(("encoding-type", "url"));
        match position {
            Next::Marker(marker) => pairs.push(("marker", marker)),
            Next::Start | Next::Token(_) => pairs.push(("list-type", "2")),
        }
        pairs.push(("max-keys", &size));
        if !self.url.key.is_empty() {
            pairs.push(("prefix", &self.url.key));
        }
        pairs.sort_unstable();
        let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encode_query(value))).collect();
        pairs.join("&")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Entry, Listing, Page};
    use crate::auth::{Credential, Secret, StaticCredential};
    use crate::http::testing::{Script, Server};
    use crate::obs::{Client, Error, ObsUrl, Options};

    fn page(keys: &[&str], rest: &str) -> Script {
        let keys: String = keys.iter().map(|key| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>")).collect();
        Script::new(200, &format!("<?xml version=\"1.0\"?><ListBucketResult>{rest}{keys}</ListBucketResult>"))
    }

    fn more(token: &str) -> String {
        format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>")
    }

    const LAST: &str = "<IsTruncated>false</IsTruncated>";

    fn list(server: &Server) -> Listing {
        let credential =
            Credential { access_key: "AK".into(), secret_key: Secret::new("s"), security_token: None, expires_at: None };
        let options = Options::new(&server.endpoint, "r", Arc::new(StaticCredential::new(credential)));
        Client::new(options).unwrap().list(&ObsUrl::new("b", "p/ü"), true)
    }

    /// Keys of all pages, or what went wrong; and the paths that were asked for.
    async fn all(scripts: Vec<Script>) -> (Result<Vec<String>, Error>, Vec<String>) {
        let server = Server::start(scripts);
        let mut listing = list(&server);
        let mut keys = Vec::new();
        let result = loop {
            match listing.next_page().await {
                Ok(Some(Page { entries, .. })) => keys.extend(entries.into_iter().map(|Entry { key, .. }| key)),
                Ok(None) => break Ok(keys),
                Err(error) => break Err(error),
            }
        };
        let path = |request: &String| request.split(' ').nth(1).unwrap_or_default().to_owned();
        (result, server.seen().iter().map(path).collect())
    }

    #[tokio::test]
    async fn goes_on_where_the_page_before_ended() {
        let scripts = vec![page(&["a"], &more("1+/=&amp;")), page(&[], &more("2")), page(&["b"], LAST)];
        let (keys, paths) = all(scripts).await;
        assert_eq!(keys.unwrap(), ["a", "b"]);
        let common = "encoding-type=url&list-type=2&max-keys=1000&prefix=p%2F%C3%BC";
        let expected = [
            format!("/b/?{common}"),
            format!("/b/?continuation-token=1%2B%2F%3D%26&{common}"),
            format!("/b/?continuation-token=2&{common}"),
        ];
        assert_eq!(paths, expected);
    }

    #[tokio::test]
    async fn a_store_that_knows_only_markers_is_asked_with_them() {
        let more = "<Marker></Marker><IsTruncated>true</IsTruncated>";
        let scripts =
            vec![page(&["a", "b"], more), page(&["c"], &format!("{more}<NextMarker>c d</NextMarker>")), page(&["e"], LAST)];
        let (keys, paths) = all(scripts).await;
        assert_eq!(keys.unwrap(), ["a", "b", "c", "e"]);
        assert_eq!(paths[1], "/b/?encoding-type=url&marker=b&max-keys=1000&prefix=p%2F%C3%BC");
        assert_eq!(paths[2], "/b/?encoding-type=url&marker=c%20d&max-keys=1000&prefix=p%2F%C3%BC");
    }

    #[tokio::test]
    async fn never_ends_early_without_an_error() {
        let failed = "<Error><Code>AccessDenied</Code></Error>";
        let table = [
            vec![page(&["a"], &more("1")), page(&["b"], &more("1"))],
            vec![page(&[], "<KeyCount>0</KeyCount><IsTruncated>true</IsTruncated>")],
            vec![page(&["a"], "")],
            vec![page(&["a"], &more("1")), Script::new(200, failed)],
            vec![page(&["a"], &more("1")), Script::new(403, failed)],
            vec![page(&["a"], &more("1")), Script::new(200, "<ListBucketResult><Contents></ListBucketResult>")],
        ];
        for scripts in table {
            let shown = format!("{scripts:?}");
            assert!(all(scripts).await.0.is_err(), "{shown}");
        }
    }

    #[tokio::test]
    async fn what_failed_after_it_began_is_asked_again() {
        let busy = "<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code></Error>";
        let (keys, paths) = all(vec![Script::new(200, busy), Script::new(200, "<ListBucketResult>"), page(&["a"], LAST)]).await;
        assert_eq!(keys.unwrap(), ["a"]);
        assert_eq!(paths.len(), 3);
    }
}
