//! What all calls of the identity service share: addresses and refusals.

use http::StatusCode;
use serde_json::Value;
use url::Url;

use crate::auth::Error;
use crate::auth::secret::masked_address;
use crate::http::Answer;

/// The address of `path` on `endpoint`.
///
/// # Errors
/// [`Error::Unsignable`] when the endpoint is no URL.
pub(in crate::auth) fn url(endpoint: &str, path: &str) -> Result<Url, Error> {
    Url::parse(&format!("{}{path}", endpoint.trim_end_matches('/')))
        .map_err(|error| Error::Unsignable(format!("the identity endpoint [{}] is no URL: {error}", masked_address(endpoint))))
}

/// The document of a successful answer.
///
/// # Errors
/// [`Error::Refused`] for 400 and 401, [`Error::NotAllowed`] for 403 and 404, [`Error::Unexpected`] for anything else that is not a document.
pub(in crate::auth) fn document(answer: &Answer) -> Result<Value, Error> {
    let document: Option<Value> = serde_json::from_slice(&answer.body).ok();
    if answer.status.is_success() {
        return document.ok_or_else(|| Error::Unexpected("it is no JSON document".to_owned()));
    }
    let said = document.as_ref().and_then(message);
    let said = match (said, answer.explanation()) {
        (Some(said), Some(why)) => Some(format!("{said} ({why})")),
        (said, why) => said.or(why),
    };
    let status = answer.status.as_u16();
    let (message, request_id) =
        (said.clone().unwrap_or_else(|| format!("status {status}")), answer.request_id().map(str::to_owned));
    Err(match answer.status {
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => Error::Refused { message, request_id },
        StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Error::NotAllowed { message, request_id },
        _ => Error::Unexpected(format!("status {status} {}", said.unwrap_or_default())),
    })
}

fn message(document: &Value) -> Option<String> {
    let places = ["/error/message", "/error_msg", "/message", "/error_message"];
    places.iter().find_map(|place| document.pointer(place)?.as_str()).map(str::to_owned)
}
