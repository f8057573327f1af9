//! Lists of objects.

use std::ops::ControlFlow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{
    CommonPrefix, ETag, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output,
    ObjectStorageClass,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::acl::owner;
use super::error::Failure;
use super::index::{self, Summary};
use super::objects::timestamp;
use super::store::Store;

/// Most entries of a page.
const MOST_KEYS: i32 = 1000;

/// Rows asked for first where a delimiter may make the scan leap; what lies behind a leap is read in vain.
const FIRST_BATCH: usize = 4;

/// What a page of a list shows.
#[derive(Debug, Default, PartialEq)]
struct Page {
    objects: Vec<(String, Summary)>,
    prefixes: Vec<String>,
    /// The last key or prefix shown, if there is more to come.
    next: Option<String>,
}

pub(super) fn objects(store: &Store, request: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    store.bucket(&input.bucket)?;
    let encode = Encoder::new(input.encoding_type.as_ref())?;
    let max_keys = limit(input.max_keys)?;
    let prefix = input.prefix.unwrap_or_default();
    let marker = input.marker.unwrap_or_default();
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let page = page(store, &input.bucket, &prefix, delimiter.as_deref(), &marker, max_keys)?;
    Ok(S3Response::new(ListObjectsOutput {
        name: Some(input.bucket),
        max_keys: Some(max_keys),
        is_truncated: Some(page.next.is_some()),
        next_marker: page.next.as_deref().map(|next| encode.text(next)),
        contents: Some(page.objects.into_iter().map(|(key, summary)| entry(&encode, &key, summary, true)).collect()),
        common_prefixes: Some(page.prefixes.iter().map(|prefix| common_prefix(&encode, prefix)).collect()),
        prefix: Some(encode.text(&prefix)),
        marker: Some(encode.text(&marker)),
        delimiter: delimiter.as_deref().map(|delimiter| encode.text(delimiter)),
        encoding_type: input.encoding_type,
        ..ListObjectsOutput::default()
    }))
}

pub(super) fn objects_v2(store: &Store, request: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    store.bucket(&input.bucket)?;
    let encode = Encoder::new(input.encoding_type.as_ref())?;
    let max_keys = limit(input.max_keys)?;
    let prefix = input.prefix.unwrap_or_default();
    let after = match &input.continuation_token {
        None => input.start_after.clone().unwrap_or_default(),
        Some(token) => decode_token(token).ok_or_else(|| {
            S3Error::with_message(S3ErrorCode::InvalidArgument, "The continuation token provided is incorrect.")
        })?,
    };
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let page = page(store, &input.bucket, &prefix, delimiter.as_deref(), &after, max_keys)?;
    let fetch_owner = input.fetch_owner.unwrap_or(false);
    Ok(S3Response::new(ListObjectsV2Output {
        name: Some(input.bucket),
        max_keys: Some(max_keys),
        key_count: i32::try_from(page.objects.len() + page.prefixes.len()).ok(),
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.map(hex::encode),
        continuation_token: input.continuation_token,
        contents: Some(page.objects.into_iter().map(|(key, summary)| entry(&encode, &key, summary, fetch_owner)).collect()),
        common_prefixes: Some(page.prefixes.iter().map(|prefix| common_prefix(&encode, prefix)).collect()),
        prefix: Some(encode.text(&prefix)),
        start_after: input.start_after.as_deref().map(|start| encode.text(start)),
        delimiter: delimiter.as_deref().map(|delimiter| encode.text(delimiter)),
        encoding_type: input.encoding_type,
        ..ListObjectsV2Output::default()
    }))
}

fn decode_token(token: &str) -> Option<String> {
    String::from_utf8(hex::decode(token).ok()?).ok()
}

/// The size of a page.
///
/// # Errors
/// `InvalidArgument` for a negative one.
pub(super) fn limit(asked: Option<i32>) -> S3Result<i32> {
    match asked {
        None => Ok(MOST_KEYS),
        Some(asked) if asked < 0 => Err(S3ErrorCode::InvalidArgument.into()),
        Some(asked) => Ok(asked.min(MOST_KEYS)),
    }
}

fn entry(encode: &Encoder, key: &str, summary: Summary, with_owner: bool) -> s3s::dto::Object {
    s3s::dto::Object {
        key: Some(encode.text(key)),
        size: Some(summary.size),
        last_modified: Some(timestamp(summary.modified)),
        e_tag: Some(ETag::Strong(summary.etag)),
        storage_class: Some(ObjectStorageClass::from(summary.storage_class)),
        owner: with_owner.then(owner),
        ..s3s::dto::Object::default()
    }
}

/// A prefix as lists show it.
pub(super) fn common_prefix(encode: &Encoder, prefix: &str) -> CommonPrefix {
    CommonPrefix { prefix: Some(encode.text(prefix)) }
}

/// One page: a scan of the index that leaps over what a common prefix stands for.
fn page(
    store: &Store,
    bucket: &str,
    prefix: &str,
    delimiter: Option<&str>,
    after: &str,
    max_keys: i32,
) -> Result<Page, Failure> {
    let most = usize::try_from(max_keys).unwrap_or_default();
    if most == 0 {
        return Ok(Page::default());
    }
    store.state.read(|connection| {
        let rows = |from: &[u8], until: &[u8], limit| index::scan(connection, bucket, from, until, limit);
        Scan { rows: &rows, prefix, delimiter, most }.run(after)
    })
}

/// Reads rows: from, until (exclusive), at most so many.
type Rows<'a> = dyn Fn(&[u8], &[u8], usize) -> Result<Vec<(String, Summary)>, Failure> + 'a;

struct Scan<'a> {
    rows: &'a Rows<'a>,
    prefix: &'a str,
    delimiter: Option<&'a str>,
    most: usize,
}

impl Scan<'_> {
    fn run(&self, after: &str) -> Result<Page, Failure> {
        let until = successor(self.prefix).unwrap_or_else(|| index::END.to_vec());
        let first_batch = if self.delimiter.is_some() { FIRST_BATCH } else { usize::MAX };
        let mut batch = first_batch;
        let mut from = self.start(after);
        let mut page = Page::default();
        let mut last = String::new();
        loop {
            // One more than there is room for tells whether the list goes on.
            let limit = batch.min(self.most - page.objects.len() - page.prefixes.len() + 1);
            let rows = (self.rows)(&from, &until, limit)?;
            let is_end = rows.len() < limit;
            match self.take(rows, &mut page, &mut last) {
                ControlFlow::Continue(()) if is_end => return Ok(page),
                ControlFlow::Continue(()) => {
                    from = [last.as_bytes(), b"\0"].concat();
                    batch = batch.saturating_mul(4);
                }
                ControlFlow::Break(None) => {
                    page.next = Some(last);
                    return Ok(page);
                }
                ControlFlow::Break(Some(next)) => {
                    from = next;
                    batch = first_batch;
                }
            }
        }
    }

    /// Where a list that goes on after `after` begins.
    fn start(&self, after: &str) -> Vec<u8> {
        if after.is_empty() || after < self.prefix {
            return self.prefix.as_bytes().to_vec();
        }
        // A prefix shown on the page before is not shown again.
        match self.common(after) {
            Some(common) if common == after => successor(after).unwrap_or_default(),
            _ => [after.as_bytes(), b"\0"].concat(),
        }
    }

    /// Takes rows until the page is full (`Break(None)`), a prefix is to be leapt over (`Break(Some)`), or all are taken.
    fn take(&self, rows: Vec<(String, Summary)>, page: &mut Page, last: &mut String) -> ControlFlow<Option<Vec<u8>>> {
        for (key, summary) in rows {
            if page.objects.len() + page.prefixes.len() == self.most {
                return ControlFlow::Break(None);
            }
            match self.common(&key) {
                None => {
                    last.clone_from(&key);
                    page.objects.push((key, summary));
                }
                Some(common) => {
                    let leap = successor(common);
                    *last = common.to_owned();
                    page.prefixes.push(common.to_owned());
                    return ControlFlow::Break(Some(leap.unwrap_or_else(|| index::END.to_vec())));
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// The common prefix that stands for the key, if one does.
    fn common<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter?;
        let rest = key.strip_prefix(self.prefix)?;
        let position = rest.find(delimiter)?;
        Some(&key[..self.prefix.len() + position + delimiter.len()])
    }
}

/// The first byte string after all that begin with `prefix`; nothing for the empty prefix. UTF-8 has no byte 0xFF.
fn successor(prefix: &str) -> Option<Vec<u8>> {
    let mut bytes = prefix.as_bytes().to_vec();
    *bytes.last_mut()? += 1;
    Some(bytes)
}

/// Characters that are left alone with `encoding-type=url`.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/').remove(b'*');

/// Writes names as `encoding-type` asks.
pub(super) struct Encoder {
    url: bool,
}

impl Encoder {
    /// # Errors
    /// `InvalidArgument` for an encoding other than `url`.
    pub(super) fn new(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None | Some("") => Ok(Self { url: false }),
            Some("url") => Ok(Self { url: true }),
            Some(_) => Err(S3Error::with_message(S3ErrorCode::InvalidArgument, "The only encoding-type is url.")),
        }
    }

    pub(super) fn text(&self, text: &str) -> String {
        if self.url { utf8_percent_encode(text, PLAIN).to_string() } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::{Scan, Summary};

    #[test]
    fn a_leap_reads_few_rows_in_vain() {
        let keys: Vec<String> =
            (0..100).flat_map(|folder| (0..1000).map(move |file| format!("{folder:02}/{file:03}"))).collect();
        let read = Cell::new(0);
        let rows = |from: &[u8], until: &[u8], limit: usize| {
            let start = keys.partition_point(|key| key.as_bytes() < from);
            let end = keys.partition_point(|key| key.as_bytes() < until).max(start).min(start + limit);
            read.set(read.get() + end - start);
            Ok(keys[start..end].iter().map(|key| (key.clone(), Summary::default())).collect())
        };
        let list = |prefix: &str, delimiter: Option<&str>, most: usize| {
            read.set(0);
            let page = Scan { rows: &rows, prefix, delimiter, most }.run("").unwrap();
            (page.objects.len(), page.prefixes.len(), page.next, read.get())
        };
        let (objects, prefixes, next, read) = list("", Some("/"), 1000);
        assert_eq!((objects, prefixes, next), (0, 100, None));
        assert!(read <= 400, "{read} rows are read for 100 prefixes");
        assert_eq!(list("", Some("/"), 3), (0, 3, Some("02/".to_owned()), 10));
        assert_eq!(list("42/", Some("/"), 1000), (1000, 0, None, 1000));
        assert_eq!(list("42/", Some("/"), 7), (7, 0, Some("42/006".to_owned()), 8));
        assert_eq!(list("", None, 1000), (1000, 0, Some("00/999".to_owned()), 1001));
    }
}
