//! The door: every request is authenticated here before any handler sees it.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use time::OffsetDateTime;

use super::error::Error;
use super::identity::{Caller, Identity, Refusal, tokens};
use super::modelarts::is_link;
use super::reply::{self, Service};
use super::signature::{ALGORITHM, Authorization, Parts};

/// Largest body of a control-plane request, in bytes; the cloud's gateway takes 12 MiB.
const LARGEST_BODY: usize = 12 << 20;

/// Longest text of the framework that is passed on, in bytes.
const LONGEST_REFUSAL: usize = 16 << 10;

/// Header that names the request in every answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The name of a request, in its extensions and in the header `X-Request-Id` of the answer.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub String);

/// Who sent the request, or why that is not known. Only the operations that take other credentials look at it.
#[derive(Clone, Debug)]
pub(crate) struct Admission(pub Result<Caller, Refusal>);

/// What a path demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    /// Nothing: versions and health.
    Nothing,
    /// The operation checks credentials in the body itself.
    Own,
    /// A signature or a token.
    Caller,
}

fn demand(method: &str, path: &str) -> Demand {
    match (method, path) {
        ("GET", "/" | "/v3" | "/health") => Demand::Nothing,
        // A link to a log is signed itself.
        ("GET", path) if is_link(path) => Demand::Nothing,
        ("POST", "/v3/auth/tokens" | "/v3.0/OS-CREDENTIAL/securitytokens") => Demand::Own,
        _ => Demand::Caller,
    }
}

/// Admits a request or refuses it; every answer gets its `X-Request-Id`.
pub(crate) async fn admit(State(identity): State<Arc<Identity>>, request: Request, next: Next) -> Response {
    let request_id = uuid::Uuid::new_v4().simple().to_string();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut response = match examine(&identity, request, &request_id).await {
        Ok(request) => documented(next.run(request).await, Service::of(&path), &request_id).await,
        Err(response) => *response,
    };
    tracing::info!(%method, path, status = response.status().as_u16(), request_id, "request");
    let value = HeaderValue::try_from(request_id).expect("hex digits are a valid header value");
    response.headers_mut().insert(REQUEST_ID, value);
    response
}

/// The framework refuses what it cannot read in a path or query with a line of text; clients wait for the service's document.
async fn documented(response: Response, service: Service, request_id: &str) -> Response {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let is_document = content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if !response.status().is_client_error() || is_document {
        return response;
    }
    let (head, body) = response.into_parts();
    let said = axum::body::to_bytes(body, LONGEST_REFUSAL).await.unwrap_or_default();
    let message = match String::from_utf8_lossy(&said).trim() {
        "" => head.status.canonical_reason().unwrap_or("The request cannot be read").to_owned(),
        said => said.to_owned(),
    };
    reply::error(service, head.status, service.invalid_request(), &message, request_id)
}

/// The request with its caller in the extensions, or the answer that refuses it.
async fn examine(identity: &Identity, request: Request, request_id: &str) -> Result<Request, Box<Response>> {
    let (mut head, body) = request.into_parts();
    let service = Service::of(head.uri.path());
    let refuse = |status, code: &str, message: &str| Box::new(reply::error(service, status, code, message, request_id));
    let demand = demand(head.method.as_str(), head.uri.path());
    let Ok(body) = axum::body::to_bytes(body, LARGEST_BODY).await else {
        let message = format!("the body cannot be read or is larger than {LARGEST_BODY} bytes");
        return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "APIGW.0201", &message));
    };
    if demand != Demand::Nothing {
        let parts = Parts {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
            body: &body,
        };
        let caller = identify(identity, parts, OffsetDateTime::now_utc()).map_err(|error| {
            tracing::error!(request_id, error = &error as &dyn std::error::Error, "identity");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "Platform.0500", "the platform's state cannot be read")
        })?;
        match &caller {
            Ok(caller) => {
                check_project(identity, service, parts, caller)
                    .map_err(|message| refuse(StatusCode::FORBIDDEN, "APIGW.0302", message))?;
                head.extensions.insert(caller.clone());
            }
            Err(refusal) if demand == Demand::Caller => {
                let code = if service == Service::IamOld { "IAM.0003" } else { "APIGW.0301" };
                let message = format!("Incorrect IAM authentication information: {refusal}");
                return Err(refuse(StatusCode::UNAUTHORIZED, code, &message));
            }
            Err(_) => {}
        }
        head.extensions.insert(Admission(caller));
    }
    head.extensions.insert(RequestId(request_id.to_owned()));
    Ok(Request::from_parts(head, whole(body)))
}

fn whole(body: Bytes) -> Body {
    Body::from(body)
}

/// The project in the path and in `X-Project-Id` must be the one the caller may act in.
fn check_project(identity: &Identity, service: Service, parts: Parts<'_>, caller: &Caller) -> Result<(), &'static str> {
    let own = identity.account().project_id.as_str();
    let stated = text(parts.headers, "x-project-id").filter(|stated| !stated.is_empty());
    if stated.is_some_and(|stated| stated != own) {
        return Err("the project in X-Project-Id is not a project of this account");
    }
    match service.project_in(parts.path) {
        None => Ok(()),
        Some(project) if project != own => Err("the project in the path is not a project of this account"),
        Some(_) if caller.project_id.is_none() => Err("the token is for the account, not for the project in the path"),
        Some(_) => Ok(()),
    }
}

/// Who sent the request. A signature is looked at first: clients that send both mean it.
fn identify(identity: &Identity, parts: Parts<'_>, now: OffsetDateTime) -> Result<Result<Caller, Refusal>, Error> {
    let signature = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if let Some(signature) = signature.filter(|value| value.starts_with(ALGORITHM)) {
        return check_signature(identity, signature, parts, now);
    }
    if let Some(token) = text(parts.headers, "x-auth-token") {
        let description = identity.find_token(token, now)?;
        return Ok(description.map(|description| tokens::caller(&description)).ok_or(Refusal::WrongToken));
    }
    if signature.is_some() {
        return Ok(Err(Refusal::Malformed("the Authorization header is none of SDK-HMAC-SHA256")));
    }
    Ok(Err(Refusal::Anonymous))
}

fn check_signature(
    identity: &Identity,
    header: &str,
    parts: Parts<'_>,
    now: OffsetDateTime,
) -> Result<Result<Caller, Refusal>, Error> {
    let authorization = match Authorization::parse(header) {
        Ok(authorization) => authorization,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if let Err(refusal) = authorization.check_head(parts.headers, now) {
        return Ok(Err(refusal));
    }
    let key = match identity.usable_key(&authorization.access_key, text(parts.headers, "x-security-token"), now)? {
        Ok(key) => key,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let admitted = authorization.check(parts, key.secret_key.expose());
    Ok(admitted.map(|()| identity.user(Some(identity.account().project_id.clone()))))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::{Demand, demand};

    #[test]
    fn only_what_is_signed_itself_or_public_is_let_through() {
        for (method, path, wanted) in [
            ("GET", "/health", Demand::Nothing),
            ("GET", "/platform/logs/job/worker-0", Demand::Nothing),
            ("POST", "/platform/logs/job/worker-0", Demand::Caller),
            ("GET", "/platform/logs/job", Demand::Caller),
            // Terminals begin alike: the word behind the first one is the project there.
            ("GET", "/platform/logs/training-jobs/job/tasks/worker-0/terminal", Demand::Caller),
            ("GET", "/platform/project/training-jobs/job/tasks/worker-0/terminal", Demand::Caller),
            ("POST", "/v3/auth/tokens", Demand::Own),
            ("GET", "/v2/project/training-jobs/job", Demand::Caller),
        ] {
            assert_eq!(demand(method, path), wanted, "{method} {path}");
        }
    }
}
