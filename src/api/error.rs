//! What a control plane can answer but the document that was asked for.

use http::StatusCode;
use serde_json::Value;

use crate::auth;
use crate::http as transport;

/// Failures of a request to a control plane.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service refused or failed.
    #[error(transparent)]
    Service(Box<Refusal>),
    /// The service answered something that is not the documented document.
    #[error("the answer of {host} cannot be read: {message}")]
    Unreadable {
        /// Host and port.
        host: String,
        /// What is wrong with it.
        message: String,
        /// The service's id of the request.
        request_id: Option<String>,
    },
    /// The request cannot be sent as it is: a value is out of its range, an endpoint is no URL.
    #[error("{0}")]
    Invalid(String),
    /// No credentials, or the identity service refused them.
    #[error(transparent)]
    Auth(#[from] auth::Error),
    /// No connection, time-out, TLS.
    #[error(transparent)]
    Http(#[from] transport::Error),
}

impl Error {
    /// Whether the service said no to this very request, so that asking again would not help: nothing that a connection, a proxy
    /// page, a token that ran out or too many requests may account for.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Service(refusal) => {
                refusal.status.is_client_error() && !matches!(refusal.status.as_u16(), 401 | 408 | 425 | 429)
            }
            Self::Invalid(_) => true,
            Self::Unreadable { .. } | Self::Auth(_) | Self::Http(_) => false,
        }
    }
}

/// A status of 400 and above, with what the body said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// HTTP status.
    pub status: StatusCode,
    /// Code of the service, such as `ModelArts.2772`; the status when the body names none.
    pub code: String,
    /// What the service said.
    pub message: String,
    /// What the service advises, when it does.
    pub solution: Option<String>,
    /// The service's id of the request.
    pub request_id: Option<String>,
}

impl Refusal {
    /// Reads any of the shapes the services use; `header_id` is the value of `X-Request-Id`.
    ///
    /// Looked for at the top and then inside every nested object or list: `error_code` + `error_msg`, `errorCode` + `errorMsg`,
    /// `code` + `message`. Failing all, the code is the status and the message the body.
    pub fn read(status: StatusCode, header_id: Option<&str>, body: &[u8]) -> Self {
        let document: Option<Value> = serde_json::from_slice(body).ok();
        let found = document.as_ref().and_then(find);
        let text = |names: &[&str]| {
            let document = document.as_ref()?;
            names.iter().find_map(|name| document.get(name)?.as_str()).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let (code, message) = found.unwrap_or((None, None));
        let plain = || {
            let body = String::from_utf8_lossy(body);
            let body: String = body.trim().chars().take(LONGEST_MESSAGE).collect();
            if body.is_empty() { status.canonical_reason().unwrap_or("no reason was given").to_owned() } else { body }
        };
        Self {
            status,
            code: code.unwrap_or_else(|| status.as_u16().to_string()),
            message: message.unwrap_or_else(plain),
            solution: text(&["error_solution", "solution_msg"]),
            request_id: header_id.map(str::to_owned).or_else(|| text(&["request_id", "requestId"])),
        }
    }
}

/// Bodies that are no JSON (a proxy's page) are cut here.
const LONGEST_MESSAGE: usize = 400;

/// Names of the code beside the names of the message that goes with it.
const SHAPES: [(&[&str], &[&str]); 3] = [
    (&["error_code"], &["error_msg", "error_message"]),
    (&["errorCode"], &["errorMsg", "errorMessage"]),
    (&["code"], &["message"]),
];

type Found = (Option<String>, Option<String>);

fn find(document: &Value) -> Option<Found> {
    match document {
        Value::Object(members) => {
            let text = |names: &[&str]| names.iter().find_map(|name| members.get(*name).and_then(scalar));
            for (codes, messages) in SHAPES {
                let found = (text(codes), text(messages));
                if found.1.is_some() {
                    return Some(found);
                }
            }
            members.values().find_map(find)
        }
        Value::Array(elements) => elements.iter().find_map(find),
        _ => None,
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::{Error, Refusal};

    #[test]
    fn what_may_pass_is_no_refusal() {
        for (status, is_refusal) in [
            (400, true),
            (403, true),
            (404, true),
            (401, false),
            (408, false),
            (425, false),
            (429, false),
            (500, false),
            (503, false),
        ] {
            let refusal = Refusal::read(StatusCode::from_u16(status).unwrap(), None, b"");
            assert_eq!(Error::Service(Box::new(refusal)).is_refusal(), is_refusal, "{status}");
        }
        let page = Error::Unreadable { host: "h".to_owned(), message: "HTML".to_owned(), request_id: None };
        let network = crate::http::Error::Invalid("cut".to_owned());
        assert!(!page.is_refusal() && !Error::Auth(crate::auth::Error::Http(network)).is_refusal());
        assert!(Error::Invalid("x".to_owned()).is_refusal());
    }

    #[test]
    fn every_shape_of_body_is_read() {
        let table = [
            (
                400,
                r#"{"error_code": "ModelArts.0104", "error_msg": "bad", "error_solution": "fix it"}"#,
                "ModelArts.0104",
                "bad",
            ),
            (401, r#"{"error_code": "APIGW.0301", "error_msg": "no", "request_id": "b1"}"#, "APIGW.0301", "no"),
            (400, r#"{"is_success": false, "error_code": "ModelArts.2", "error_message": "old"}"#, "ModelArts.2", "old"),
            (404, r#"{"error": {"code": 404, "message": "gone", "title": "Not Found"}}"#, "404", "gone"),
            (400, r#"{"errors": [{"errorCode": "SVCSTG.SWR.4001", "errorMessage": "swr"}]}"#, "SVCSTG.SWR.4001", "swr"),
            (400, r#"{"errorCode": "X.1", "errorMsg": "camel"}"#, "X.1", "camel"),
            (500, r#"{"is_success": false, "message": "dli"}"#, "500", "dli"),
            (502, "<html>Bad Gateway</html>", "502", "<html>Bad Gateway</html>"),
            (503, "", "503", "Service Unavailable"),
            (418, r#"{"error_code": "", "error_msg": ""}"#, "418", r#"{"error_code": "", "error_msg": ""}"#),
        ];
        for (status, body, code, message) in table {
            let refusal = Refusal::read(StatusCode::from_u16(status).unwrap(), None, body.as_bytes());
            assert_eq!((refusal.code.as_str(), refusal.message.as_str()), (code, message), "{body}");
        }
        let refusal = Refusal::read(StatusCode::BAD_REQUEST, None, table[0].1.as_bytes());
        assert_eq!(refusal.solution.as_deref(), Some("fix it"));
        let with_both = Refusal::read(StatusCode::UNAUTHORIZED, Some("h1"), table[1].1.as_bytes());
        assert_eq!(with_both.request_id.as_deref(), Some("h1"));
        let from_body = Refusal::read(StatusCode::UNAUTHORIZED, None, table[1].1.as_bytes());
        assert_eq!(from_body.request_id.as_deref(), Some("b1"));
    }
}
