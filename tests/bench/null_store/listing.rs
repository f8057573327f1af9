//! Pages of a listing. Those of synthetic keys are put together from constant pieces: a page of 1,000 keys takes microseconds.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::service::{MODIFIED, parameter};
use crate::store::{Family, Object, Store};

const LARGEST_PAGE: usize = 1000;

struct Page {
    keys: usize,
    contents: String,
    prefixes: BTreeSet<String>,
    last: String,
    is_truncated: bool,
}

/// The XML of the page that the query asks for, of either version of the operation.
pub(crate) fn page(store: &Store, bucket: &str, query: &str) -> String {
    let text = |name| parameter(query, name).unwrap_or_default();
    let (prefix, delimiter) = (text("prefix"), text("delimiter"));
    let after =
        ["continuation-token", "start-after", "marker"].iter().find_map(|name| parameter(query, name)).unwrap_or_default();
    let most = parameter(query, "max-keys").and_then(|number| number.parse().ok()).unwrap_or(LARGEST_PAGE).min(LARGEST_PAGE);
    let encodes = parameter(query, "encoding-type").is_some();
    let page = match Family::parse(&prefix) {
        Some(family) => synthetic(store, &family, &delimiter, &after, most),
        None => uploaded(store, &prefix, &delimiter, &after, most, encodes),
    };
    let mut xml = String::with_capacity(page.contents.len() + 1024);
    xml.push_str(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
    );
    let count = page.keys + page.prefixes.len();
    // Writing to a String cannot fail, here and below.
    let _ = write!(xml, "<Name>{bucket}</Name><Prefix>{}</Prefix><KeyCount>{count}</KeyCount>", shown(&prefix, encodes));
    let _ = write!(xml, "<MaxKeys>{most}</MaxKeys><IsTruncated>{}</IsTruncated>", page.is_truncated);
    if encodes {
        xml.push_str("<EncodingType>url</EncodingType>");
    }
    if page.is_truncated {
        let last = shown(&page.last, encodes);
        let _ = write!(
            xml,
            "<NextContinuationToken>{}</NextContinuationToken><NextMarker>{last}</NextMarker>",
            shown(&page.last, false)
        );
    }
    xml.push_str(&page.contents);
    for prefix in &page.prefixes {
        let _ = write!(xml, "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", shown(prefix, encodes));
    }
    xml.push_str("</ListBucketResult>");
    xml
}

fn synthetic(store: &Store, family: &Family<'_>, delimiter: &str, after: &str, most: usize) -> Page {
    let base = format!("synth/{}/{}/", family.count, family.size);
    let Some(name) = family.name else {
        return match delimiter {
            "/" => Page::new([base].into(), String::new()),
            _ => numbered(store, family, &base, "", after, most),
        };
    };
    numbered(store, family, &base, name, after, most)
}

fn numbered(store: &Store, family: &Family<'_>, base: &str, name: &str, after: &str, most: usize) -> Page {
    // Numbers have leading zeros, so the order of keys is that of numbers.
    let compare = |number: u64, other: &str| key_name(number).as_slice().cmp(other.as_bytes());
    let after = after.strip_prefix(base).unwrap_or(if after > base { "~" } else { "" });
    let from =
        first(family.count, |number| compare(number, name).is_ge() && (after.is_empty() || compare(number, after).is_gt()));
    let end = first(family.count, |number| compare(number, name).is_ge() && !key_name(number).starts_with(name.as_bytes()));
    let to = end.min(from + most as u64);
    let head = format!("<Contents><Key>{base}");
    let tag = store.zero_tag(family.size);
    let tail = format!(
        "</Key><LastModified>{MODIFIED}</LastModified><ETag>{}</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
        tag.replace('"', "&quot;"),
        family.size
    );
    let mut contents =
        String::with_capacity(usize::try_from(to.saturating_sub(from)).unwrap_or(0) * (head.len() + 8 + tail.len()));
    for number in from..to {
        contents.push_str(&head);
        contents.extend(key_name(number).map(char::from));
        contents.push_str(&tail);
    }
    let mut page = Page::new(BTreeSet::new(), contents);
    page.keys = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
    page.is_truncated = to < end;
    if page.keys > 0 {
        page.last = format!("{base}{:08}", to - 1);
    }
    page
}

fn uploaded(store: &Store, prefix: &str, delimiter: &str, after: &str, most: usize, encodes: bool) -> Page {
    let mut page = Page::new(BTreeSet::new(), String::new());
    if let Some(object) = store.find(prefix).filter(|_| prefix.starts_with("big/") || prefix.starts_with("plain/")) {
        page.add(prefix, &object, encodes);
        return page;
    }
    store.walk(prefix, after, |key, object| {
        let end = (!delimiter.is_empty()).then(|| key[prefix.len()..].find(delimiter)).flatten();
        let common = end.map(|end| &key[..prefix.len() + end + delimiter.len()]);
        if common.is_some_and(|common| page.prefixes.contains(common) || after.starts_with(common)) {
            return true;
        }
        if page.keys + page.prefixes.len() == most {
            page.is_truncated = true;
            return false;
        }
        match common {
            Some(common) => {
                page.prefixes.insert(common.to_owned());
                common.clone_into(&mut page.last);
            }
            None => page.add(key, object, encodes),
        }
        true
    });
    page
}

impl Page {
    fn new(prefixes: BTreeSet<String>, contents: String) -> Self {
        Self { keys: 0, contents, prefixes, last: String::new(), is_truncated: false }
    }

    fn add(&mut self, key: &str, object: &Object, encodes: bool) {
        let _ = write!(
            self.contents,
            "<Contents><Key>{}</Key><LastModified>{MODIFIED}</LastModified><ETag>{}</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
            shown(key, encodes),
            object.tag.replace('"', "&quot;"),
            object.size
        );
        self.keys += 1;
        key.clone_into(&mut self.last);
    }
}

/// The last eight digits of the number, with leading zeros.
fn key_name(mut number: u64) -> [u8; 8] {
    let mut digits = [b'0'; 8];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}

/// The first number below `count` for which `holds`, which then holds for all that follow; `count` if there is none.
fn first(count: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// A key as XML carries it.
fn shown(key: &str, encodes: bool) -> String {
    if encodes {
        const KEPT: percent_encoding::AsciiSet =
            percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');
        return percent_encoding::utf8_percent_encode(key, &KEPT).to_string();
    }
    key.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
