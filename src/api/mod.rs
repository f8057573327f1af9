//! The control planes' REST API: requests out, typed views on the documents that come back.
//!
//! A [`Reply`] keeps the document as the service sent it, unknown fields included; views such as
//! [`modelarts::training_job::TrainingJob`] only read from it.

pub mod error;
mod fetch;
pub mod modelarts;
pub mod page;
pub mod terminal;
pub mod webhook;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use url::Url;

use crate::auth::secret::masked_address;
use crate::auth::{Authenticator, sign};
use crate::http as transport;

use fetch::fetched;

pub use error::{Error, Refusal};
pub use fetch::{Download, Fetched};
pub use transport::TimeClass;

/// Where the project id stands in a path.
const PROJECT: &str = "{project_id}";

/// A request to a control plane.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    body: Option<Value>,
    class: TimeClass,
    repeatable: bool,
}

impl Request {
    /// A request for `path`, in which `{project_id}` stands for the project and every other `{…}` for the next of `segments`,
    /// which are percent-encoded.
    pub fn new(method: Method, path: &str, segments: &[&str]) -> Self {
        let mut segments = segments.iter();
        let filled = path.split('/').map(|part| {
            if part.starts_with('{') && part != PROJECT {
                sign::encode(segments.next().copied().unwrap_or_default())
            } else {
                part.to_owned()
            }
        });
        Self::literal(method, &filled.collect::<Vec<_>>().join("/"))
    }

    /// A request for a path whose segments are encoded already; only `{project_id}` stands for the project.
    pub fn literal(method: Method, path: &str) -> Self {
        Self { method, path: path.to_owned(), query: Vec::new(), body: None, class: TimeClass::Control, repeatable: false }
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Makes `document` the body.
    #[must_use]
    pub fn body(mut self, document: Value) -> Self {
        self.body = Some(document);
        self
    }

    /// Says that sending the request twice does no harm although its method does not promise so, as with a search.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }
}

/// What the service answered to a request it carried out.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status, 2xx.
    pub status: StatusCode,
    /// The document as it came; `Null` when the body was empty.
    pub document: Value,
    /// The service's id of the request.
    pub request_id: Option<String>,
}

/// One control plane, as one user; cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    endpoint: String,
    client: transport::Client,
    authenticator: Authenticator,
    is_global: bool,
}

impl Api {
    /// A control plane at `endpoint` (scheme, host and port). Nothing is sent yet.
    pub fn new(endpoint: impl Into<String>, client: transport::Client, authenticator: Authenticator) -> Self {
        let endpoint: String = endpoint.into();
        Self { endpoint: endpoint.trim_end_matches('/').to_owned(), client, authenticator, is_global: false }
    }

    /// Of a service that is not of a project, such as IAM: the project is told only where a path names it.
    #[must_use]
    pub fn global(mut self) -> Self {
        self.is_global = true;
        self
    }

    /// Scheme, host and port, without a slash at the end.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The project of requests; looked up when it is not configured.
    ///
    /// # Errors
    /// The lookup failed.
    pub async fn project_id(&self) -> Result<String, Error> {
        Ok(self.authenticator.project_id().await?)
    }

    /// Sends the request, signed or with a token, and reads the answer. After a 401 it is sent once more when there is another
    /// identity to send it with.
    ///
    /// # Errors
    /// [`Error::Service`] for a status that is not 2xx; no credentials, no connection, an answer that is no JSON.
    pub async fn send(&self, request: Request) -> Result<Reply, Error> {
        self.read(&self.exchange(request).await?)
    }

    /// As [`Api::send`], for an answer of any kind.
    ///
    /// # Errors
    /// As [`Api::send`], but for what the answer holds.
    pub async fn exchange(&self, request: Request) -> Result<transport::Answer, Error> {
        let is_needed = !self.is_global || request.path.contains(PROJECT);
        let project_id = if is_needed { Some(self.project_id().await?) } else { None };
        let mut renewed = false;
        loop {
            let prepare = || self.prepare(&request, project_id.as_deref());
            let (answer, sent) = self.client.call_and_tell(prepare).await?;
            if answer.status == StatusCode::UNAUTHORIZED && !renewed && self.authenticator.refused(&sent) {
                renewed = true;
                continue;
            }
            return if answer.status.is_success() { Ok(answer) } else { Err(refusal(&answer)) };
        }
    }

    /// Begins to fetch, from byte `from` on, what a link that carries its own permission leads to, such as a signed link to a log.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub async fn fetch(&self, link: &str, from: u64) -> Result<Fetched, Error> {
        let url =
            Url::parse(link).map_err(|error| Error::Invalid(format!("the service sent a link that is no URL: {error}")))?;
        let mut request = transport::Request::new(Method::GET, url);
        request.class = TimeClass::Transfer;
        if let Ok(range) = HeaderValue::from_str(&format!("bytes={from}-")) {
            request.headers.insert(http::header::RANGE, range);
        }
        fetched(self.client.open(request).await?, from).await
    }

    async fn prepare(&self, request: &Request, project_id: Option<&str>) -> Result<transport::Request, Error> {
        let path = request.path.replace(PROJECT, &sign::encode(project_id.unwrap_or_default()));
        if is_folded(&path) {
            return Err(Error::Invalid(format!("[{path}] cannot be asked for: a part that is . or .. leads to another path")));
        }
        let address = format!("{}{path}", self.endpoint);
        let mut url = Url::parse(&address)
            .map_err(|error| Error::Invalid(format!("the endpoint [{}] is no URL: {error}", masked_address(&self.endpoint))))?;
        if !request.query.is_empty() {
            url.set_query(Some(&sign::query(&request.query)));
        }
        let mut prepared = transport::Request::new(request.method.clone(), url);
        prepared.class = request.class;
        prepared.repeatable = request.repeatable;
        let headers = &mut prepared.headers;
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
        if let Ok(value) = HeaderValue::from_str(self.client.user_agent()) {
            headers.insert(http::header::USER_AGENT, value);
        }
        if let Some(Ok(value)) = project_id.map(HeaderValue::from_str) {
            headers.insert(HeaderName::from_static("x-project-id"), value);
        }
        if let Some(body) = &request.body {
            prepared.body = Bytes::from(body.to_string());
        }
        self.authenticator.authorize(&mut prepared).await?;
        Ok(prepared)
    }

    fn read(&self, answer: &transport::Answer) -> Result<Reply, Error> {
        let request_id = answer.request_id().map(str::to_owned);
        let document = if answer.body.iter().all(u8::is_ascii_whitespace) {
            Value::Null
        } else {
            serde_json::from_slice(&answer.body).map_err(|error| Error::Unreadable {
                host: self.endpoint.clone(),
                message: error.to_string(),
                request_id: request_id.clone(),
            })?
        };
        Ok(Reply { status: answer.status, document, request_id })
    }
}

/// One segment of a path, percent-encoded.
pub fn segment(text: &str) -> String {
    sign::encode(text)
}

/// Whether a URL with that path is one with another path: `.` and `..` are taken out of URLs, encoded or not (WHATWG URL, 4.4).
pub fn is_folded(path: &str) -> bool {
    let decoded = |segment: &str| segment.to_ascii_lowercase().replace("%2e", ".");
    path.split('/').any(|segment| matches!(decoded(segment).as_str(), "." | ".."))
}

fn refusal(answer: &transport::Answer) -> Error {
    let mut refusal = Refusal::read(answer.status, answer.request_id(), &answer.body);
    if let Some(why) = answer.explanation() {
        refusal.message = format!("{} ({why})", refusal.message);
    }
    Error::Service(Box::new(refusal))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::Method;
    use serde_json::json;

    use super::{Api, Error, Request};
    use crate::auth::{Authenticator, Cache, Credential, Login, Project, Secret, StaticCredential, TokenSource};
    use crate::http::testing::{Script, Server};
    use crate::http::{Client, Options};

    fn with_keys(server: &Server) -> Api {
        let keys =
            Credential { access_key: "AK".to_owned(), secret_key: Secret::from("SK"), security_token: None, expires_at: None };
        let credentials = Arc::new(StaticCredential::new(keys));
        let authenticator = Authenticator::Keys { credentials, project: Project::Known("p1".to_owned()) };
        Api::new(&server.endpoint, Client::new(Options::default()), authenticator)
    }

    fn with_password(server: &Server) -> Api {
        let login = Login {
            endpoint: server.endpoint.clone(),
            account: None,
            username: "jo".to_owned(),
            password: Secret::from("pw"),
            region: "r".to_owned(),
            project_id: None,
        };
        let client = Client::new(Options::default());
        let tokens = Arc::new(TokenSource::new(client.clone(), login, Cache::none()));
        Api::new(format!("{}/", server.endpoint), client, Authenticator::Token(tokens))
    }

    fn token(value: &str) -> Script {
        let body = r#"{"token": {"expires_at": "2999-01-01T00:00:00Z", "project": {"id": "p7"}}}"#;
        Script::new(201, body).header("X-Subject-Token", value)
    }

    #[tokio::test]
    async fn ids_are_encoded_and_the_request_is_signed_as_it_is_sent() {
        let server = Server::start(vec![Script::new(200, r#"{"a": 1, "unknown": true}"#).header("X-Request-Id", "r1")]);
        let request = Request::new(Method::GET, "/v2/{project_id}/jobs/{id}/log", &["a/b ü"]).parameter("q", "x y");
        let reply = with_keys(&server).send(request).await.unwrap();
        assert_eq!((reply.document, reply.request_id.as_deref()), (json!({"a": 1, "unknown": true}), Some("r1")));
        let seen = server.seen()[0].to_ascii_lowercase();
        assert!(seen.starts_with("get /v2/p1/jobs/a%2fb%20%c3%bc/log?q=x%20y http/1.1\r\n"), "{seen}");
        assert!(seen.contains("signedheaders=content-type;host;user-agent;x-project-id;x-sdk-date, signature="), "{seen}");
    }

    #[tokio::test]
    async fn a_token_that_is_refused_is_replaced_once() {
        let scripts = vec![token("t1"), Script::new(401, "{}"), token("t2"), Script::new(200, "{}")];
        let server = Server::start(scripts);
        with_password(&server).send(Request::new(Method::GET, "/v2/{project_id}/pools", &[])).await.unwrap();
        let seen = server.seen();
        assert!(seen[1].starts_with("GET /v2/p7/pools ") && seen[1].contains("x-auth-token: t1"), "{}", seen[1]);
        assert!(seen[3].contains("x-auth-token: t2"), "{}", seen[3]);

        let refused = || Script::new(401, r#"{"error_code": "APIGW.0301", "error_msg": "no"}"#);
        let server = Server::start(vec![token("t1"), refused(), token("t2"), refused(), token("t3")]);
        let error = with_password(&server).send(Request::new(Method::GET, "/v2", &[])).await.unwrap_err();
        let Error::Service(refusal) = error else { panic!("{error:?}") };
        assert_eq!((refusal.status.as_u16(), refusal.code.as_str(), server.seen().len()), (401, "APIGW.0301", 4));
    }

    #[tokio::test]
    async fn permanent_keys_that_are_refused_are_not_tried_again() {
        let server = Server::start(vec![Script::new(401, "{}"), Script::new(200, "{}")]);
        with_keys(&server).send(Request::new(Method::GET, "/v2", &[])).await.unwrap_err();
        assert_eq!(server.seen().len(), 1);
    }

    #[tokio::test]
    async fn an_answer_that_is_no_document_is_said_so() {
        let server = Server::start(vec![Script::new(200, "<html>"), Script::new(204, "")]);
        let api = with_keys(&server);
        let error = api.send(Request::new(Method::GET, "/v2", &[])).await.unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error:?}");
        assert_eq!(api.send(Request::new(Method::DELETE, "/v2", &[])).await.unwrap().document, json!(null));
    }
}
