//! One page of a listing, from the store's document. Pure, and safe with hostile input.

use std::borrow::Cow;

use memchr::{memchr2, memmem};
use percent_encoding::percent_decode_str;
use time::OffsetDateTime;

use crate::obs::list::Entry;
pub use crate::obs::xml::Malformed;
use crate::obs::xml::Reader;

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Objects, in the store's order.
    pub entries: Vec<Entry>,
    /// Common prefixes; only with a delimiter.
    pub prefixes: Vec<String>,
    /// Where the listing goes on; `None` after the last page.
    pub next: Option<Next>,
}

/// A position between two pages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Next {
    /// Before the first.
    Start,
    /// As the store calls it; means nothing to anybody else.
    Token(String),
    /// After this key or prefix: the older version of the request.
    Marker(String),
}

/// Reads the document of a page, of either version of the request.
///
/// # Errors
/// [`Malformed`] when it is not such a document, an object has no key or size, or it is not said whether and where it goes on.
pub fn parse_page(document: &[u8]) -> Result<Page, Malformed> {
    let mut reader = Reader::new(document);
    let wrong = |reason| Malformed { reason, position: 0 };
    if reader.child()? != Some(b"ListBucketResult") {
        return Err(wrong("no list of a bucket"));
    }
    let mut page = Page { entries: Vec::with_capacity(1000), ..Page::default() };
    let (mut is_encoded, mut is_truncated, mut is_second_version) = (false, None, false);
    let (mut token, mut marker) = (None, None);
    while let Some(name) = reader.child()? {
        match name {
            b"Contents" => page.entries.push(entry(&mut reader)?),
            b"CommonPrefixes" => {
                while let Some(name) = reader.child()? {
                    match name {
                        b"Prefix" => page.prefixes.push(reader.text()?.into_owned()),
                        _ => reader.skip()?,
                    }
                }
            }
            b"EncodingType" => is_encoded = reader.text()?.eq_ignore_ascii_case("url"),
            b"IsTruncated" => {
                is_truncated = match &*reader.text()? {
                    "true" => Some(true),
                    "false" => Some(false),
                    _ => return Err(wrong("neither true nor false where it must be one of them")),
                };
            }
            b"KeyCount" => {
                is_second_version = true;
                reader.skip()?;
            }
            b"NextContinuationToken" => token = Some(reader.text()?.into_owned()),
            b"NextMarker" => marker = Some(reader.text()?.into_owned()),
            _ => reader.skip()?,
        }
    }
    reader.end()?;
    if is_encoded {
        let names = page.entries.iter_mut().map(|entry| &mut entry.key).chain(&mut page.prefixes).chain(&mut marker);
        names.for_each(decode);
    }
    if is_truncated.ok_or(wrong("it is not said whether the listing goes on"))? {
        let marker = marker.or_else(|| (!is_second_version).then(|| last(&page)).flatten());
        let next = token.filter(|token| !token.is_empty()).map(Next::Token).or(marker.map(Next::Marker));
        page.next = Some(next.ok_or(wrong("it is not said where the listing goes on"))?);
    }
    Ok(page)
}

/// The last of what is shown: where the older version of the request goes on.
fn last(page: &Page) -> Option<String> {
    let key = page.entries.last().map(|entry| &entry.key);
    key.max(page.prefixes.last()).cloned()
}

fn entry(reader: &mut Reader<'_>) -> Result<Entry, Malformed> {
    let wrong = |reason| Malformed { reason, position: 0 };
    let (mut key, mut size, mut etag, mut modified) = (None, None, String::new(), None);
    while let Some(name) = reader.child()? {
        match name {
            b"Key" => key = Some(reader.text()?.into_owned()),
            b"Size" => size = Some(reader.text()?.trim().parse().map_err(|_| wrong("a size that is no number"))?),
            b"ETag" => etag = reader.text()?.trim_matches('"').to_owned(),
            b"LastModified" => modified = parse_time(&reader.text()?),
            _ => reader.skip()?,
        }
    }
    let key = key.ok_or(wrong("an object without a key"))?;
    Ok(Entry { key, size: size.ok_or(wrong("an object without a size"))?, etag, modified })
}

/// Names come escaped as in a form, so that XML can carry any of them: a blank may be `+`.
fn decode(text: &mut String) {
    if memchr2(b'%', b'+', text.as_bytes()).is_some() {
        let blanks = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text.as_str()) };
        *text = percent_decode_str(&blanks).decode_utf8_lossy().into_owned();
    }
}

/// Where the page says it goes on, found without reading it. A guess: only [`parse_page`] knows.
pub(crate) fn token_of(document: &[u8]) -> Option<Next> {
    const START: &[u8] = b"<NextContinuationToken>";
    let start = memmem::find(document, START)?;
    let mut reader = Reader::new(&document[start..]);
    reader.child().ok()??;
    let token = reader.text().ok()?;
    (!token.is_empty()).then(|| Next::Token(token.into_owned()))
}

/// Name of a document's root element.
pub(crate) fn root(document: &[u8]) -> Option<&[u8]> {
    Reader::new(document).child().ok()?
}

/// `2026-11-22T06:13:00.000Z`, as every store writes it.
fn parse_time(text: &str) -> Option<OffsetDateTime> {
    let bytes = text.trim().as_bytes();
    let (date, fraction) = bytes.split_at_checked(19)?;
    let digits = |range: std::ops::Range<usize>| {
        date[range].iter().try_fold(0i64, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
    };
    let [b'-', b'-', b'T', b':', b':'] = [date[4], date[7], date[10], date[13], date[16]] else { return None };
    let (year, month, day) = (digits(0..4)?, digits(5..7)?, digits(8..10)?);
    let (hour, minute, second) = (digits(11..13)?, digits(14..16)?, digits(17..19)?);
    let is_real = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    let nanoseconds = match fraction {
        [b'Z'] => 0,
        [b'.', digits @ .., b'Z'] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(9);
            padded.fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
        }
        _ => return None,
    };
    // Days since 1970 of a year that begins in March, so that the leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * month + 2) / 5 + day - 1;
    let seconds = (era * 146_097 + day_of_era - 719_468) * 86_400 + hour * 3600 + minute * 60 + second;
    is_real
        .then(|| OffsetDateTime::from_unix_timestamp(seconds).ok())?
        .map(|time| time + time::Duration::nanoseconds(nanoseconds))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;
    use time::macros::datetime;

    use super::{Entry, Next, parse_page, parse_time, root, token_of};

    #[test]
    fn reads_a_page() {
        let document = br#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://obs.myhwclouds.com/doc/2015-06-30/"><Name>b</Name><Prefix>p+/</Prefix><Marker/>
  <Contents><Key>a+b%2Bc%25%C3%A9%0A/d</Key><LastModified>2026-11-22T06:13:00.250Z</LastModified>
    <ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>5497558138880</Size>
    <Owner><ID>x</ID><Key>of the owner</Key></Owner><StorageClass>WARM</StorageClass></Contents>
  <Contents><Key>plain</Key><Size>0</Size><ETag>"e-2"</ETag></Contents>
  <CommonPrefixes><Prefix>x%2By/</Prefix><MTime>1</MTime></CommonPrefixes>
  <IsTruncated>true</IsTruncated><NextContinuationToken>t+%2B&amp;</NextContinuationToken><EncodingType>url</EncodingType>
</ListBucketResult>"#;
        let page = parse_page(document).unwrap();
        let first = Entry {
            key: "a b+c%\u{e9}\n/d".into(),
            size: 5_497_558_138_880,
            etag: "d41d8cd98f00b204e9800998ecf8427e".into(),
            modified: Some(datetime!(2026-11-22 06:13:00.25 UTC)),
        };
        assert_eq!(page.entries, [first, Entry { key: "plain".into(), size: 0, etag: "e-2".into(), modified: None }]);
        assert_eq!(page.prefixes, ["x+y/"]);
        assert_eq!(page.next, Some(Next::Token("t+%2B&".into())), "a token is passed on as it is");
        assert_eq!(token_of(document), page.next);
        assert_eq!(root(document), Some(b"ListBucketResult".as_slice()));
    }

    #[test]
    fn names_are_decoded_only_if_they_are_encoded() {
        let document = b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a+b%2B&amp;</Key><Size>1</Size></Contents></ListBucketResult>";
        let page = parse_page(document).unwrap();
        assert_eq!((page.entries[0].key.as_str(), page.next), ("a+b%2B&", None));
    }

    #[test]
    fn refuses_pages_that_leave_something_out() {
        let table = [
            "<IsTruncated>false</IsTruncated><Contents><Size>1</Size></Contents>",
            "<IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents>",
            "<IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>-1</Size></Contents>",
            "<IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>1</Size>",
            "<IsTruncated>maybe</IsTruncated>",
            "<IsTruncated>true</IsTruncated>",
            "<KeyCount>1</KeyCount><IsTruncated>true</IsTruncated><Contents><Key>a</Key><Size>1</Size></Contents>",
            "",
        ];
        for inner in table {
            assert!(parse_page(format!("<ListBucketResult>{inner}</ListBucketResult>").as_bytes()).is_err(), "{inner}");
        }
        for document in ["", "<Error/>", "<ListBucketResult><IsTruncated>false</IsTruncated>", "{}"] {
            assert!(parse_page(document.as_bytes()).is_err(), "{document}");
        }
    }

    #[test]
    fn times_that_are_none_are_nothing() {
        for text in
            ["", "2026-11-22", "2026-11-22T06:13:00", "2026-13-22T06:13:00Z", "2026-11-22T06:13:00.Z", "2026-11-22T06:13:0xZ"]
        {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn d4_1_attributes_and_namespaces_without_number_take_no_time() {
        let attributes: String = (0..100_000).map(|number| format!(" xmlns:n{number}=\"u\" a{number}=\"v\"")).collect();
        let document = format!("<ListBucketResult{attributes}><IsTruncated>false</IsTruncated></ListBucketResult>");
        let begun = std::time::Instant::now();
        assert!(parse_page(document.as_bytes()).is_ok());
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    }

    proptest! {
        #[test]
        fn reads_times(milliseconds in 0i64..4_102_444_800_000) {
            let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000).unwrap();
            prop_assert_eq!(parse_time(&time.format(&Rfc3339).unwrap()), Some(time));
        }

        #[test]
        fn d4_1_never_panics(inner in "(<(/)?(Contents|Key|Size|IsTruncated|CommonPrefixes|Prefix)/?>|&amp;|[a0&;%+]){0,20}") {
            let _ = parse_page(format!("<ListBucketResult>{inner}</ListBucketResult>").as_bytes());
        }
    }
}
