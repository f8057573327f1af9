//! What `-D` shows of requests and answers.

use std::time::Instant;

use crate::http::client::host;
use crate::http::{Answer, Error, Request, redact};

/// Tells of the request, secrets masked.
pub(super) fn trace_request(request: &Request) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let url = if request.is_secret { host(&request.url) } else { redact::url(&request.url) };
    let method = &request.method;
    tracing::debug!(headers = redact::headers(&request.headers), body = redact::body(&request.body), "-> {method} {url}");
}

/// Tells of the answer, and how long it took.
pub(super) fn trace_answer(answer: &Answer, begun: Instant) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let (headers, body) = (redact::headers(&answer.headers), redact::body(&answer.body));
    tracing::debug!(headers, body, "<- {} after {} ms", answer.status, begun.elapsed().as_millis());
}

/// Tells of a request without an answer.
pub(super) fn traced(error: Error, begun: Instant) -> Error {
    tracing::debug!("<- no answer after {} ms: {error}", begun.elapsed().as_millis());
    error
}
