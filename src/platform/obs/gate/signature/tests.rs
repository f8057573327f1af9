//! The published vectors, and dates.

use http::Request;
use serde_json::Value;

use super::{Dialect, check_header, head, parse_date, resources, sub_resources};
use crate::auth::Secret;
use crate::platform::obs::checks::virtual_bucket;
use crate::platform::obs::gate::query::Query;
use crate::platform::obs::gate::signature::PATH;
use crate::platform::obs::gate::v4::Claim;
use crate::platform::obs::keys::AccessKey;

fn vectors() -> (AccessKey, Vec<Value>) {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/signing-vectors.json"));
    let document: Value = serde_json::from_str(text).unwrap();
    let secret = document["secret_key"].as_str().unwrap();
    let key = AccessKey { secret_key: Secret::new(secret), security_token: None, expires_at: None };
    (key, document["obs"].as_array().unwrap().clone())
}

/// The request that a vector describes, as it comes over the wire.
fn request(vector: &Value) -> http::request::Parts {
    let text = |name: &str| vector[name].as_str().unwrap_or_default();
    let key = percent_encoding::utf8_percent_encode(text("key"), PATH).to_string();
    let path_style = vector["path_style"].as_bool().unwrap();
    let mut target = if path_style { format!("/{}/{key}", text("bucket")) } else { format!("/{key}") };
    for (position, (name, value)) in vector["args"].as_object().unwrap().iter().enumerate() {
        target.push(if position == 0 { '?' } else { '&' });
        target.push_str(name);
        let value = value.as_str().map(str::to_owned).or_else(|| value.as_i64().map(|number| number.to_string()));
        if let Some(value) = value {
            target.push_str(&format!("={}", percent_encoding::utf8_percent_encode(&value, PATH)));
        }
    }
    let host = if path_style { "127.0.0.1:9000".to_owned() } else { format!("{}.obs.localhost", text("bucket")) };
    let mut builder = Request::builder().method(text("method")).uri(target);
    let headers = vector["headers"].as_object().unwrap();
    if !headers.contains_key("Host") {
        builder = builder.header("Host", host);
    }
    for (name, value) in headers.iter().chain(vector["signed_headers_extra"].as_object().into_iter().flatten()) {
        builder = builder.header(name, value.as_str().unwrap());
    }
    builder.body(()).unwrap().into_parts().0
}

#[test]
fn the_vectors_verify() {
    let (key, vectors) = vectors();
    assert_eq!(vectors.len(), 6);
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let parts = request(&vector);
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let authorization = vector["authorization"].as_str().unwrap();
        let mut wrong = key.clone();
        wrong.secret_key = Secret::new("wrong");
        if vector["scheme"] == "v4" {
            let claim = Claim::parse(authorization).unwrap();
            assert!(claim.canonical_request(&parts, &query, parts.uri.path()) == vector["canonical_request"], "{name}");
            claim.check(&parts, &query, &key).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(claim.check(&parts, &query, &wrong).is_err(), "{name}");
            continue;
        }
        let dialect = if vector["scheme"] == "obs" { Dialect::Obs } else { Dialect::Aws };
        let signature = authorization.rsplit_once(':').unwrap().1;
        check_header(&parts, &query, dialect, &key, signature).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(check_header(&parts, &query, dialect, &wrong, signature).is_err(), "{name}");
        let named = format!("{}date", dialect.prefix());
        let date = if parts.headers.contains_key(named) { "" } else { vector["headers"]["Date"].as_str().unwrap() };
        let bucket = virtual_bucket(parts.headers["host"].to_str().unwrap());
        let texts: Vec<String> = resources(bucket, parts.uri.path())
            .iter()
            .map(|resource| format!("{}{resource}{}", head(&parts, date, dialect, &[]), sub_resources(&query, &[], true)))
            .collect();
        assert!(texts.iter().any(|text| *text == vector["string_to_sign"]), "{name}: {texts:?}");
    }
}

#[test]
fn dates_of_all_forms() {
    for text in ["Thu, 15 Jan 2026 08:30:00 GMT", "Thu, 15 Jan 2026 08:30:00 +0000", "20260115T083000Z"] {
        assert_eq!(parse_date(text).map(|date| date.unix_timestamp()), Some(1_768_465_800), "{text}");
    }
    assert!(parse_date("yesterday").is_none());
}
