//! The operations of IAM that the platform serves.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::request::{self, Proof};
use super::tokens::Method;
use super::{Caller, Identity, Refusal, keys, timestamp};
use crate::auth::Secret;
use crate::platform::authenticate::Admission;
use crate::platform::error::Error;
use crate::platform::reply::{self, Service};

const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// Where the platform's services are reached; goes into token catalogues and links.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    /// All control planes, without a slash at the end.
    pub control: String,
    /// The object store, likewise.
    pub obs: String,
}

/// What the handlers share.
#[derive(Clone, Debug)]
struct Iam {
    identity: Arc<Identity>,
    endpoints: Arc<Endpoints>,
}

/// The routes of IAM.
pub(crate) fn routes(identity: Arc<Identity>, endpoints: Endpoints) -> Router {
    Router::new()
        .route("/", get(versions))
        .route("/v3", get(version))
        .route("/v3/auth/tokens", post(create_token).get(show_token))
        .route("/v3/auth/catalog", get(catalog))
        .route("/v3/auth/projects", get(auth_projects))
        .route("/v3/auth/domains", get(auth_domains))
        .route("/v3/projects", get(projects))
        .route("/v3/projects/{project_id}", get(project))
        .route("/v3/users/{user_id}/projects", get(user_projects))
        .route("/v3/regions", get(regions))
        .route("/v3.0/OS-CREDENTIAL/securitytokens", post(create_temporary_key))
        .with_state(Iam { identity, endpoints: Arc::new(endpoints) })
}

/// An answer that is not the wanted one, in Keystone's or the older shape.
struct Failure {
    service: Service,
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Failure {
    fn keystone(status: StatusCode, message: impl Into<String>) -> Self {
        Self { service: Service::Iam, status, code: "", message: message.into() }
    }

    /// The same failure as the calls below `/v3.0` tell it.
    fn old(mut self, code: &'static str) -> Self {
        (self.service, self.code) = (Service::IamOld, code);
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "identity");
        Self::keystone(StatusCode::INTERNAL_SERVER_ERROR, "the platform's state cannot be read or written")
    }
}

impl From<request::Invalid> for Failure {
    fn from(invalid: request::Invalid) -> Self {
        let status = match invalid {
            request::Invalid::Body(_) => StatusCode::BAD_REQUEST,
            request::Invalid::NotFound(_) => StatusCode::NOT_FOUND,
            request::Invalid::Unauthorized(_) => StatusCode::UNAUTHORIZED,
        };
        Self::keystone(status, invalid.to_string())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::keystone(StatusCode::UNAUTHORIZED, format!("The request you have made requires authentication: {refusal}."))
    }
}

impl axum::response::IntoResponse for Failure {
    fn into_response(self) -> Response {
        reply::error(self.service, self.status, self.code, &self.message, "")
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TokenQuery {
    nocatalog: Option<String>,
}

impl TokenQuery {
    fn with_catalog(&self) -> bool {
        !self.nocatalog.as_deref().is_some_and(|value| !value.is_empty() && !value.eq_ignore_ascii_case("false"))
    }
}

async fn create_token(
    State(iam): State<Iam>,
    Query(query): Query<TokenQuery>,
    Extension(admission): Extension<Admission>,
    body: Bytes,
) -> Result<Response, Failure> {
    let now = OffsetDateTime::now_utc();
    let document = request::parse(&body)?;
    let account = iam.identity.account();
    let method = match request::proof(&document)? {
        Proof::Password => {
            request::check_password(&document, account)?;
            Method::Password
        }
        Proof::Token(token) => {
            let token = token.ok_or(Refusal::Anonymous)?;
            iam.identity.find_token(&token, now)?.ok_or(Refusal::WrongToken)?;
            Method::Token
        }
        Proof::AssumeRole => {
            admission.0?;
            request::check_agency(&document, account)?;
            Method::AssumeRole
        }
    };
    let scope = request::scope(&document, account)?;
    let (token, description) = iam.identity.issue_token(method, scope, now)?;
    Ok(token_reply(&iam, StatusCode::CREATED, token.expose(), description, query.with_catalog()))
}

async fn show_token(State(iam): State<Iam>, Query(query): Query<TokenQuery>, headers: HeaderMap) -> Result<Response, Failure> {
    let missing = || Failure::keystone(StatusCode::BAD_REQUEST, "The header X-Subject-Token is missing.");
    let token = headers.get(SUBJECT_TOKEN).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
    let description = iam.identity.find_token(token, OffsetDateTime::now_utc())?;
    let description =
        description.ok_or_else(|| Failure::keystone(StatusCode::NOT_FOUND, "The token does not exist or has expired."))?;
    Ok(token_reply(&iam, StatusCode::OK, token, description, query.with_catalog()))
}

fn token_reply(iam: &Iam, status: StatusCode, token: &str, mut description: Value, with_catalog: bool) -> Response {
    description["catalog"] = if with_catalog { services(iam) } else { json!([]) };
    let mut response = (status, Json(json!({"token": description}))).into_response();
    if let Ok(mut value) = HeaderValue::try_from(token) {
        value.set_sensitive(true);
        response.headers_mut().insert(SUBJECT_TOKEN, value);
    }
    response
}

async fn create_temporary_key(
    State(iam): State<Iam>,
    Extension(admission): Extension<Admission>,
    body: Bytes,
) -> Result<Response, Failure> {
    temporary_key(&iam, &admission, &body).map_err(|failure| match failure.status {
        StatusCode::UNAUTHORIZED => failure.old("IAM.0003"),
        StatusCode::NOT_FOUND => failure.old("IAM.0004"),
        StatusCode::BAD_REQUEST => failure.old("IAM.0011"),
        _ => failure.old("IAM.0006"),
    })
}

fn temporary_key(iam: &Iam, admission: &Admission, body: &[u8]) -> Result<Response, Failure> {
    let now = OffsetDateTime::now_utc();
    let document = request::parse(body)?;
    let identity = &document["auth"]["identity"];
    let life = match request::proof(&document)? {
        Proof::Password => return Err(request::Invalid::Body("methods must be [\"token\"] or [\"assume_role\"]").into()),
        Proof::Token(Some(token)) => {
            iam.identity.find_token(&token, now)?.ok_or(Refusal::WrongToken)?;
            request::life(&identity["token"]["duration_seconds"])?
        }
        Proof::Token(None) => {
            admission.0.as_ref().map_err(|refusal| *refusal)?;
            request::life(&identity["token"]["duration_seconds"])?
        }
        Proof::AssumeRole => {
            admission.0.as_ref().map_err(|refusal| *refusal)?;
            request::check_agency(&document, iam.identity.account())?;
            request::life(&identity["assume_role"]["duration_seconds"])?
        }
    };
    debug_assert!((keys::SHORTEST..=keys::LONGEST).contains(&life));
    let key = iam.identity.issue_key(life, now)?;
    let credential = json!({
        "access": key.access_key,
        "secret": key.secret_key.expose(),
        "securitytoken": key.security_token.as_ref().map(Secret::expose),
        "expires_at": timestamp(now + life),
    });
    Ok((StatusCode::CREATED, Json(json!({"credential": credential}))).into_response())
}

async fn versions(State(iam): State<Iam>) -> Json<Value> {
    Json(json!({"versions": {"values": [version_document(&iam)]}}))
}

async fn version(State(iam): State<Iam>) -> Json<Value> {
    Json(json!({"version": version_document(&iam)}))
}

fn version_document(iam: &Iam) -> Value {
    json!({
        "id": "v3.6",
        "status": "stable",
        "updated": "2016-04-04T00:00:00Z",
        "links": [{"rel": "self", "href": format!("{}/v3/", iam.endpoints.control)}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    })
}

async fn catalog(State(iam): State<Iam>) -> Json<Value> {
    let links = json!({"self": format!("{}/v3/auth/catalog", iam.endpoints.control)});
    Json(json!({"catalog": services(&iam), "links": links}))
}

/// The services of the platform and where they are.
fn services(iam: &Iam) -> Value {
    let account = iam.identity.account();
    let control = &iam.endpoints.control;
    let regional = |version: &str| format!("{control}/{version}/{}", account.project_id);
    let service = |name: &str, kind: &str, url: String| {
        let endpoint = json!({
            "id": format!("{name}-public"), "interface": "public", "region": account.region, "region_id": account.region, "url": url,
        });
        json!({"id": name, "name": name, "type": kind, "endpoints": [endpoint]})
    };
    json!([
        service("iam", "identity", format!("{control}/v3")),
        service("modelarts", "modelarts", regional("v1")),
        service("modelarts_v2", "modelartsv2", regional("v2")),
        service("obs", "object", iam.endpoints.obs.clone()),
    ])
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProjectQuery {
    domain_id: Option<String>,
    name: Option<String>,
    parent_id: Option<String>,
    enabled: Option<String>,
    is_domain: Option<String>,
    page: Option<usize>,
    per_page: Option<usize>,
}

impl ProjectQuery {
    /// Whether the one project fits: it is enabled, belongs to the account and is no account itself.
    fn fits(&self, iam: &Iam) -> bool {
        let account = iam.identity.account();
        let is =
            |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(value));
        self.name.as_deref().is_none_or(|name| name == account.region)
            && is(&self.domain_id, &account.domain_id)
            && is(&self.parent_id, &account.domain_id)
            && is(&self.enabled, "true")
            && is(&self.is_domain, "false")
            && self.page.is_none_or(|page| page <= 1)
    }
}

async fn projects(State(iam): State<Iam>, Query(query): Query<ProjectQuery>) -> Result<Json<Value>, Failure> {
    if query.per_page.is_some_and(|size| !(1..=5_000).contains(&size)) || query.page == Some(0) {
        return Err(request::Invalid::Body("page starts at 1, per_page is 1 to 5000").into());
    }
    let found = if query.fits(&iam) { vec![project_document(&iam)] } else { Vec::new() };
    Ok(Json(json!({"projects": found, "links": links(&iam, "/v3/projects")})))
}

async fn project(State(iam): State<Iam>, Path(project_id): Path<String>) -> Result<Json<Value>, Failure> {
    if project_id != iam.identity.account().project_id {
        return Err(request::Invalid::NotFound(format!("Could not find project: {project_id}.")).into());
    }
    Ok(Json(json!({"project": project_document(&iam)})))
}

async fn user_projects(
    State(iam): State<Iam>,
    Extension(caller): Extension<Caller>,
    Path(user_id): Path<String>,
) -> Result<Json<Value>, Failure> {
    if user_id != caller.user_id {
        return Err(Failure::keystone(StatusCode::FORBIDDEN, "You are not authorized to perform the requested action."));
    }
    let links = links(&iam, &format!("/v3/users/{user_id}/projects"));
    Ok(Json(json!({"projects": [project_document(&iam)], "links": links})))
}

async fn auth_projects(State(iam): State<Iam>) -> Json<Value> {
    Json(json!({"projects": [project_document(&iam)], "links": links(&iam, "/v3/auth/projects")}))
}

async fn auth_domains(State(iam): State<Iam>) -> Json<Value> {
    let account = iam.identity.account();
    let own = format!("{}/v3/domains/{}", iam.endpoints.control, account.domain_id);
    let domain = json!({
        "id": account.domain_id, "name": account.domain_name, "enabled": true, "description": "", "links": {"self": own},
    });
    Json(json!({"domains": [domain], "links": links(&iam, "/v3/auth/domains")}))
}

async fn regions(State(iam): State<Iam>) -> Json<Value> {
    let region = &iam.identity.account().region;
    let own = format!("{}/v3/regions/{region}", iam.endpoints.control);
    let locales = json!({"zh-cn": region, "en-us": region});
    let region = json!({
        "id": region, "type": "private", "description": "", "parent_region_id": "", "locales": locales, "links": {"self": own},
    });
    Json(json!({"regions": [region], "links": links(&iam, "/v3/regions")}))
}

fn project_document(iam: &Iam) -> Value {
    let account = iam.identity.account();
    json!({
        "id": account.project_id,
        "name": account.region,
        "domain_id": account.domain_id,
        "parent_id": account.domain_id,
        "is_domain": false,
        "enabled": true,
        "description": "",
        "links": links(iam, &format!("/v3/projects/{}", account.project_id)),
    })
}

/// Links of a document or list that fits on one page.
fn links(iam: &Iam, path: &str) -> Value {
    json!({"self": format!("{}{path}", iam.endpoints.control), "previous": "", "next": ""})
}
