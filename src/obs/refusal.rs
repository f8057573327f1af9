//! Answers that are errors: XML or JSON, headers, or nothing but a status.

use http::HeaderMap;

use crate::obs::error::ServiceError;
use crate::obs::sdk::parse_date;

#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct ErrorDocument {
    #[serde(alias = "Code")]
    code: String,
    #[serde(alias = "Message")]
    message: String,
    #[serde(alias = "RequestId")]
    request_id: Option<String>,
    #[serde(alias = "Region")]
    region: Option<String>,
    #[serde(alias = "Endpoint")]
    endpoint: Option<String>,
}

/// What a store says with anything but success.
pub(crate) fn service_error(
    operation: &'static str,
    target: String,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
) -> ServiceError {
    let text = String::from_utf8_lossy(body);
    let document: ErrorDocument = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).unwrap_or_default()
    } else {
        quick_xml::de::from_str(&text).unwrap_or_default()
    };
    let find = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    ServiceError {
        operation,
        target,
        status,
        code: document.code,
        message: document.message,
        request_id: document.request_id.or_else(|| find("x-obs-request-id")).or_else(|| find("x-amz-request-id")),
        retry_after: find("retry-after"),
        date: find("date").and_then(|value| parse_date(&value)),
        home: find("x-amz-bucket-region").or(document.region).or(document.endpoint),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::service_error;

    #[test]
    fn reads_error_bodies() {
        let mut headers = HeaderMap::new();
        headers.insert("x-obs-request-id", "H1".parse().unwrap());
        let xml = b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>gone</Message><HostId>h</HostId></Error>";
        let error = service_error("get", "t".into(), 404, &headers, xml);
        assert_eq!((error.code.as_str(), error.message.as_str()), ("NoSuchKey", "gone"));
        assert_eq!(error.request_id.as_deref(), Some("H1"));
        let json = br#"{"code":"AccessDenied","message":"no","request_id":"R"}"#;
        let error = service_error("get", "t".into(), 403, &headers, json);
        assert_eq!((error.code.as_str(), error.request_id.as_deref()), ("AccessDenied", Some("R")));
        let moved = b"<Error><Code>PermanentRedirect</Code><Endpoint>b.obs.cn-south-1.example</Endpoint></Error>";
        let error = service_error("get", "t".into(), 301, &headers, moved);
        assert_eq!(error.home.as_deref(), Some("b.obs.cn-south-1.example"));
        assert_eq!(service_error("get", "t".into(), 502, &headers, b"<html>bad gateway").code, "");
    }
}
