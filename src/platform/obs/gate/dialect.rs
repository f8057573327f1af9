//! Between the words of OBS and those of AWS, which the framework speaks.

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_TYPE, RANGE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use s3s::{Body, S3Error, S3ErrorCode, S3Result};

use super::Dialect;
use super::body::SharedBody;
use super::query::Query;
use super::signature::is_sub_resource;
use crate::platform::obs::checks::virtual_bucket;

/// Storage classes of both families.
const CLASSES: [(&str, &str); 2] = [("WARM", "STANDARD_IA"), ("COLD", "GLACIER")];

/// Longest document that creates a bucket, in bytes.
const MOST_CREATE: usize = 64 * 1024;

/// Turns the headers of a request into what the framework reads.
pub(super) fn translate(parts: &mut Parts, dialect: Dialect) {
    // A range that cannot be read is to be ignored (RFC 9110, 14.2); the framework would refuse it.
    let bad_range = |value: &HeaderValue| value.to_str().map_or(true, |text| s3s::dto::Range::parse(text).is_err());
    if parts.headers.get(RANGE).is_some_and(bad_range) {
        parts.headers.remove(RANGE);
    }
    if dialect == Dialect::Aws {
        return;
    }
    let mut translated = HeaderMap::with_capacity(parts.headers.len());
    for (name, value) in &parts.headers {
        // Names of the other family are not covered by the signature.
        if name.as_str().starts_with("x-amz-") {
            continue;
        }
        match name.as_str().strip_prefix("x-obs-").map(|rest| HeaderName::try_from(format!("x-amz-{rest}"))) {
            Some(Ok(name)) => translated.append(name, to_aws(value)),
            _ => translated.append(name, value.clone()),
        };
    }
    parts.headers = translated;
}

/// Header values that differ: the storage classes. Header names decide nothing, as no other value looks like them.
fn to_aws(value: &HeaderValue) -> HeaderValue {
    let class = CLASSES.iter().find(|(obs, _)| value == obs);
    class.map_or_else(|| value.clone(), |(_, aws)| HeaderValue::from_static(aws))
}

fn to_obs(value: &HeaderValue) -> HeaderValue {
    let class = CLASSES.iter().find(|(_, aws)| value == aws);
    class.map_or_else(|| value.clone(), |(obs, _)| HeaderValue::from_static(obs))
}

/// The body as the framework reads it. Only the document that creates a bucket differs.
///
/// # Errors
/// A document that is too long or does not arrive.
pub(super) async fn translate_body(parts: &Parts, query: &Query, dialect: Dialect, body: SharedBody) -> S3Result<Body> {
    let creates = dialect == Dialect::Obs && parts.method == Method::PUT && is_bucket(parts);
    if !creates || query.iter().any(|parameter| is_sub_resource(&parameter.name)) {
        return Ok(Body::http_body_unsync(body));
    }
    let document = Limited::new(body, MOST_CREATE).collect().await;
    let document = document.map_err(|_| S3Error::new(S3ErrorCode::MaxMessageLengthExceeded))?.to_bytes();
    let text = String::from_utf8_lossy(&document);
    let text = text.replace("<Location>", "<LocationConstraint>").replace("</Location>", "</LocationConstraint>");
    Ok(Body::from(text))
}

fn is_bucket(parts: &Parts) -> bool {
    let host = parts.headers.get(http::header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let path = parts.uri.path().trim_matches('/');
    match virtual_bucket(host) {
        Some(_) => path.is_empty(),
        None => !path.is_empty() && !path.contains('/'),
    }
}

/// Names the operation in an answer that says only that it is not known.
pub(super) fn name_operation(answer: Response<Body>, method: &Method, uri: &Uri, query: &Query) -> Response<Body> {
    let unnamed = answer.body().bytes().is_some_and(|body| contains(&body, b"Unknown operation"));
    if !unnamed {
        return answer;
    }
    let names: Vec<&str> = query.iter().map(|parameter| parameter.name.as_str()).collect();
    let mark = if names.is_empty() { "" } else { "?" };
    let message = format!("{method} {}{mark}{} is not implemented.", uri.path(), names.join("&"));
    S3Error::with_message(S3ErrorCode::NotImplemented, message).to_http_response().unwrap_or(answer)
}

/// Completes an answer: request id, and the words of the client's dialect.
pub(super) async fn finish(mut answer: Response<Body>, dialect: Dialect, request_id: &str, uri: &Uri) -> Response<Body> {
    let status = answer.status();
    let headers = answer.headers_mut();
    headers.insert(http::header::SERVER, HeaderValue::from_static("OBS"));
    for name in ["x-amz-request-id", "x-amz-id-2", "x-obs-request-id", "x-obs-id-2"] {
        if let Ok(value) = HeaderValue::try_from(request_id) {
            headers.insert(name, value);
        }
    }
    if dialect == Dialect::Obs {
        let more: Vec<(HeaderName, HeaderValue)> = headers
            .iter()
            .filter_map(|(name, value)| {
                let name = HeaderName::try_from(format!("x-obs-{}", name.as_str().strip_prefix("x-amz-")?)).ok()?;
                Some((name, to_obs(value)))
            })
            .collect();
        headers.extend(more);
    }
    if status == StatusCode::NOT_MODIFIED || status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_TYPE);
        headers.remove(CONTENT_LENGTH);
        *answer.body_mut() = Body::empty();
        return answer;
    }
    // What an object holds is nobody's to change, whatever it looks like.
    let object = answer.headers().contains_key(ACCEPT_RANGES);
    let document =
        !object && answer.headers().get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/xml"));
    let failed = status.is_client_error() || status.is_server_error();
    if !document || !(failed || dialect == Dialect::Obs) {
        return answer;
    }
    let Some(body) = answer.body().bytes() else { return answer };
    let rewritten = if failed { with_request(&body, request_id, uri) } else { to_obs_words(&body) };
    if let Some(rewritten) = rewritten {
        answer.headers_mut().remove(CONTENT_LENGTH);
        *answer.body_mut() = Body::from(rewritten);
    }
    answer
}

fn with_request(body: &Bytes, request_id: &str, uri: &Uri) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let inner = text.strip_suffix("</Error>")?;
    let resource = quick_xml::escape::escape(uri.path());
    Some(format!(
        "{inner}<RequestId>{request_id}</RequestId><HostId>{request_id}</HostId><Resource>{resource}</Resource></Error>"
    ))
}

/// The documents of OBS name some elements and storage classes differently.
fn to_obs_words(body: &Bytes) -> Option<String> {
    let mut text = std::str::from_utf8(body).ok()?.to_owned();
    for (from, to) in [("LocationConstraint", "Location"), ("BucketRegion", "Location")] {
        text = text.replace(&format!("<{from}"), &format!("<{to}")).replace(&format!("</{from}>"), &format!("</{to}>"));
    }
    for (obs, aws) in CLASSES {
        text = text.replace(&format!("<StorageClass>{aws}</"), &format!("<StorageClass>{obs}</"));
    }
    Some(text)
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len()).any(|window| window == text)
}
