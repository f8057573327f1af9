//! The OBS signature and AWS version 2: HMAC-SHA1 over a canonical text. They differ in the names of headers only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use s3s::dto::{Timestamp, TimestampFormat};
use s3s::{S3Error, S3ErrorCode, S3Result};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use time::macros::format_description;

use super::query::Query;
use super::{Dialect, MOST_SKEW};
use crate::platform::obs::checks::virtual_bucket;
use crate::platform::obs::keys::AccessKey;

/// Characters that stay as they are in a key.
pub(super) const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Query parameters that are part of what is signed, in lower case; so are all that begin with `x-obs-` or `x-amz-`.
const SUB_RESOURCES: &str = include_str!("../../data/sub-resources.txt");

/// Whether a query parameter is part of the resource.
pub(in crate::platform::obs) fn is_sub_resource(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("x-obs-")
        || name.starts_with("x-amz-")
        || name.starts_with("x-workflow-")
        || SUB_RESOURCES.lines().any(|line| line == name)
}

/// Refuses requests whose date is missing or too far off.
///
/// # Errors
/// `AccessDenied`, `RequestTimeTooSkewed`.
pub(super) fn check_date(headers: &HeaderMap, dialect: Dialect, now: OffsetDateTime) -> S3Result<()> {
    let named = format!("{}date", dialect.prefix());
    let text = headers.get(named).or_else(|| headers.get(http::header::DATE)).and_then(|value| value.to_str().ok());
    let Some(date) = text.and_then(parse_date) else {
        return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "A valid Date header is required."));
    };
    if (now - date).abs() > MOST_SKEW {
        return Err(S3Error::with_message(
            S3ErrorCode::RequestTimeTooSkewed,
            "The difference between the request time and the server's time is too large.",
        ));
    }
    Ok(())
}

/// The forms of a date that clients send.
pub(super) fn parse_date(text: &str) -> Option<OffsetDateTime> {
    let basic = format_description!("[year][month][day]T[hour][minute][second]Z");
    Timestamp::parse(TimestampFormat::HttpDate, text)
        .ok()
        .map(OffsetDateTime::from)
        .or_else(|| OffsetDateTime::parse(text, &Rfc2822).ok())
        .or_else(|| time::PrimitiveDateTime::parse(text, basic).ok().map(time::PrimitiveDateTime::assume_utc))
}

/// Verifies a signature from the `Authorization` header.
///
/// # Errors
/// `SignatureDoesNotMatch`.
pub(super) fn check_header(parts: &Parts, query: &Query, dialect: Dialect, key: &AccessKey, signature: &str) -> S3Result<()> {
    let named = format!("{}date", dialect.prefix());
    // A date under the dialect's own name stands among the headers, and the line for it stays empty.
    let date = if parts.headers.contains_key(named) { "" } else { text(&parts.headers, "date") };
    let head = head(parts, date, dialect, &[]);
    compare(parts, query, &[], &head, key, signature)
}

/// Verifies a signature from the query, and that it has not expired.
///
/// # Errors
/// `AccessDenied`, `SignatureDoesNotMatch`.
pub(super) fn check_url(parts: &Parts, query: &Query, dialect: Dialect, key: &AccessKey, now: OffsetDateTime) -> S3Result<()> {
    let expires = query.get("Expires").unwrap_or_default();
    match expires.parse::<i64>() {
        Ok(seconds) if seconds >= now.unix_timestamp() => {}
        Ok(_) => return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Request has expired.")),
        Err(_) => return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Expires must be a time in seconds.")),
    }
    let signature = query.get("Signature").unwrap_or_default();
    let plain = head(parts, expires, dialect, &[]);
    if compare(parts, query, &[], &plain, key, signature).is_ok() {
        return Ok(());
    }
    // Some clients sign headers of the dialect and then send them as parameters.
    let moved: Vec<(String, String)> = query
        .iter()
        .filter(|parameter| parameter.name.to_ascii_lowercase().starts_with(dialect.prefix()))
        .map(|parameter| (parameter.name.to_ascii_lowercase(), parameter.value.clone().unwrap_or_default()))
        .collect();
    let names: Vec<&str> = moved.iter().map(|(name, _)| name.as_str()).collect();
    let head = head(parts, expires, dialect, &moved);
    compare(parts, query, &names, &head, key, signature)
}

/// Tries the ways in which clients write down the resource.
fn compare(parts: &Parts, query: &Query, without: &[&str], head: &str, key: &AccessKey, signature: &str) -> S3Result<()> {
    let host = text(&parts.headers, "host");
    for resource in resources(virtual_bucket(host), parts.uri.path()) {
        for bare in [true, false] {
            let text = format!("{head}{resource}{}", sub_resources(query, without, bare));
            if sign(key.secret_key.expose(), &text).as_bytes().ct_eq(signature.as_bytes()).into() {
                return Ok(());
            }
        }
    }
    Err(S3Error::with_message(
        S3ErrorCode::SignatureDoesNotMatch,
        "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
    ))
}

fn sign(secret_key: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret_key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// All lines but the last.
fn head(parts: &Parts, date: &str, dialect: Dialect, more: &[(String, String)]) -> String {
    let headers = &parts.headers;
    let mut lines: Vec<(String, String)> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(dialect.prefix()))
        .map(|name| {
            let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned());
            (name.as_str().to_owned(), values.collect::<Vec<_>>().join(","))
        })
        .chain(more.iter().cloned())
        .collect();
    lines.sort();
    let mut text =
        format!("{}\n{}\n{}\n{date}\n", parts.method, self::text(headers, "content-md5"), self::text(headers, "content-type"));
    for (name, value) in lines {
        text.push_str(&format!("{name}:{value}\n"));
    }
    text
}

/// The ways to write the path: as it was sent, encoded as it should be, and with or without the slash after a bucket.
fn resources(bucket: Option<&str>, path: &str) -> Vec<String> {
    let base = bucket.map_or_else(|| path.to_owned(), |bucket| format!("/{bucket}{path}"));
    let decoded = percent_decode_str(&base).decode_utf8_lossy();
    let mut ways = vec![base.clone(), utf8_percent_encode(&decoded, PATH).to_string()];
    let inner = base.trim_start_matches('/').trim_end_matches('/');
    if !inner.is_empty() && !inner.contains('/') {
        ways.push(format!("/{inner}/"));
        ways.push(format!("/{inner}"));
    }
    ways.sort();
    ways.dedup();
    ways
}

/// `?` and the signed parameters in order; `bare` says how one with an empty value is written.
fn sub_resources(query: &Query, without: &[&str], bare: bool) -> String {
    let mut kept: Vec<(&str, String)> = query
        .iter()
        .filter(|parameter| is_sub_resource(&parameter.name))
        .filter(|parameter| !without.contains(&parameter.name.to_ascii_lowercase().as_str()))
        .map(|parameter| {
            let name = parameter.name.as_str();
            match parameter.value.as_deref() {
                None => (name, name.to_owned()),
                Some("") if bare => (name, name.to_owned()),
                Some(value) => (name, format!("{name}={value}")),
            }
        })
        .collect();
    kept.sort();
    if kept.is_empty() {
        return String::new();
    }
    let joined: Vec<String> = kept.into_iter().map(|(_, text)| text).collect();
    format!("?{}", joined.join("&"))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
