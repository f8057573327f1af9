//! The platform's door and its IAM, over HTTP: what is admitted, what is refused and in which words.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "python/mod.rs"]
mod python;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ma_cli::platform::{Handle, Options, Platform};
use ma_cli::settings::env::Env;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime, macros::format_description};

/// A platform of its own for a test, and a client.
struct Bench {
    platform: Handle,
    client: reqwest::Client,
    _folder: TempDir,
}

/// An answer, read whole.
struct Reply {
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

/// A key to sign with; temporary ones have a security token.
#[derive(Clone, Default)]
struct Key {
    access: String,
    secret: String,
    security_token: Option<String>,
    clock_off_by: Duration,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::on_free_ports(folder.path().join("platform"), env!("CARGO_BIN_EXE_ma-cli"));
        let platform = Platform::start(options).await.unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { platform, client, _folder: folder }
    }

    fn key(&self) -> Key {
        let account = &self.platform.account;
        Key { access: account.access_key.clone(), secret: account.secret_key.expose().to_owned(), ..Key::default() }
    }

    async fn send(&self, method: Method, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut request = self.client.request(method, format!("{}{target}", self.platform.endpoint)).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let reply = request.send().await.unwrap();
        let (status, headers) = (reply.status(), reply.headers().clone());
        let text = reply.text().await.unwrap();
        assert_eq!(headers["x-request-id"].len(), 32, "{target}");
        Reply { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    /// Signs as the README of the vendor's client says, independently of the platform's own code.
    async fn signed(&self, method: Method, target: &str, key: &Key, body: &str) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let date = (OffsetDateTime::now_utc() + key.clock_off_by)
            .format(format_description!("[year][month][day]T[hour][minute][second]Z"))
            .unwrap();
        let host = self.platform.endpoint.strip_prefix("http://").unwrap();
        let canonical = format!(
            "{method}\n{path}/\n{query}\nhost:{host}\nx-sdk-date:{date}\n\nhost;x-sdk-date\n{}",
            hex::encode(Sha256::digest(body))
        );
        let text = format!("SDK-HMAC-SHA256\n{date}\n{}", hex::encode(Sha256::digest(canonical)));
        let mut mac = Hmac::<Sha256>::new_from_slice(key.secret.as_bytes()).unwrap();
        mac.update(text.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let authorization =
            format!("SDK-HMAC-SHA256 Access={}, SignedHeaders=host;x-sdk-date, Signature={signature}", key.access);
        let mut headers = vec![("X-Sdk-Date", date.as_str()), ("Authorization", &authorization)];
        if let Some(token) = &key.security_token {
            headers.push(("X-Security-Token", token));
        }
        self.send(method, target, &headers, body).await
    }

    /// Lists the buckets with the object store's own signature.
    async fn buckets(&self, key: &Key) -> (StatusCode, String) {
        let format = format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
        let date = OffsetDateTime::now_utc().format(format).unwrap();
        let token = key.security_token.as_ref();
        let header = token.map(|token| format!("x-obs-security-token:{token}\n")).unwrap_or_default();
        let mut mac = Hmac::<Sha1>::new_from_slice(key.secret.as_bytes()).unwrap();
        mac.update(format!("GET\n\n\n{date}\n{header}/").as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let authorization = format!("OBS {}:{signature}", key.access);
        let mut request = self.client.get(format!("{}/", self.platform.obs_endpoint));
        request = request.header("Date", date).header("Authorization", authorization);
        if let Some(token) = token {
            request = request.header("x-obs-security-token", token);
        }
        let reply = request.send().await.unwrap();
        (reply.status(), reply.text().await.unwrap())
    }

    fn password_document(&self, scope: &Value) -> Value {
        let account = &self.platform.account;
        let user = json!({
            "name": account.user_name, "password": account.password.expose(), "domain": {"name": account.domain_name},
        });
        json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}})
    }

    async fn token(&self, scope: &Value) -> Reply {
        self.send(Method::POST, "/v3/auth/tokens", &[], &self.password_document(scope).to_string()).await
    }

    async fn project_token(&self) -> String {
        let reply = self.token(&json!({"project": {"name": self.platform.account.region}})).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.body);
        reply.header("x-subject-token")
    }
}

impl Reply {
    fn header(&self, name: &str) -> String {
        self.headers[name].to_str().unwrap().to_owned()
    }

    fn is_keystone_error(&self, status: StatusCode) {
        assert_eq!(self.status, status, "{}", self.body);
        let error = &self.body["error"];
        assert_eq!(error["code"], status.as_u16());
        assert_eq!(error["title"].as_str(), status.canonical_reason());
        assert!(error["message"].as_str().is_some_and(|message| message.len() > 10), "{error}");
    }

    fn is_gateway_error(&self, status: StatusCode, code: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.body["error_code"], code);
        assert_eq!(self.body["request_id"], self.header("x-request-id"));
        assert!(self.body["error_msg"].as_str().is_some_and(|message| message.len() > 10), "{}", self.body);
    }
}

/// Fails unless the document is what the catalogue says the operation answers.
fn validate(schema: &str, document: &Value) {
    let catalogue: Value = serde_json::from_str(include_str!("data/catalogue/iam.json")).unwrap();
    assert!(catalogue["components"]["schemas"][schema].is_object(), "{schema}");
    let schema = json!({"$ref": format!("#/components/schemas/{schema}"), "components": catalogue["components"]});
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<String> = validator.iter_errors(document).map(|error| error.to_string()).collect();
    assert!(problems.is_empty(), "{problems:?} in {document}");
}

#[tokio::test]
async fn tokens_are_given_for_passwords_and_open_the_project() {
    let bench = Bench::new().await;
    let account = &bench.platform.account;
    let reply = bench.token(&json!({"project": {"id": account.project_id}})).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.body);
    validate("KeystoneValidateTokenResponse", &reply.body);
    assert_eq!(reply.body["token"]["project"]["name"], account.region);
    assert!(reply.body["token"]["catalog"].as_array().is_some_and(|services| services.len() >= 3));
    let token = reply.header("x-subject-token");
    let headers = [("X-Auth-Token", token.as_str()), ("X-Subject-Token", token.as_str())];
    let shown = bench.send(Method::GET, "/v3/auth/tokens?nocatalog=true", &headers, "").await;
    assert_eq!((shown.status, &shown.body["token"]["catalog"]), (StatusCode::OK, &json!([])));
    validate("KeystoneValidateTokenResponse", &shown.body);
    let missing = bench.send(Method::GET, "/v3/auth/tokens", &headers[..1], "").await;
    missing.is_keystone_error(StatusCode::BAD_REQUEST);
    let other = [headers[0], ("X-Subject-Token", "none")];
    bench.send(Method::GET, "/v3/auth/tokens", &other, "").await.is_keystone_error(StatusCode::NOT_FOUND);
    let scoped = json!({"auth": {"identity": {"methods": ["token"], "token": {"id": token}},
        "scope": {"domain": {"name": account.domain_name}}}});
    let scoped = bench.send(Method::POST, "/v3/auth/tokens", &[], &scoped.to_string()).await;
    assert_eq!(scoped.status, StatusCode::CREATED, "{}", scoped.body);
    validate("KeystoneValidateTokenResponse", &scoped.body);
    // A token for the account opens IAM, but no project.
    let token = scoped.header("x-subject-token");
    let headers = [("X-Auth-Token", token.as_str())];
    assert_eq!(bench.send(Method::GET, "/v3/projects", &headers, "").await.status, StatusCode::OK);
    let path = format!("/v2/{}/pools", account.project_id);
    bench.send(Method::GET, &path, &headers, "").await.is_gateway_error(StatusCode::FORBIDDEN, "APIGW.0302");
}

#[tokio::test]
async fn wrong_passwords_scopes_and_documents_are_refused() {
    let bench = Bench::new().await;
    let mut document = bench.password_document(&Value::Null);
    document["auth"]["identity"]["password"]["user"]["password"] = json!("wrong");
    let reply = bench.send(Method::POST, "/v3/auth/tokens", &[], &document.to_string()).await;
    reply.is_keystone_error(StatusCode::UNAUTHORIZED);
    assert!(!reply.headers.contains_key("x-subject-token"));
    bench.token(&json!({"project": {"name": "cn-north-4"}})).await.is_keystone_error(StatusCode::NOT_FOUND);
    for text in ["", "{", "[]", "{\"auth\":{\"identity\":{\"methods\":[\"magic\"]}}}"] {
        bench.send(Method::POST, "/v3/auth/tokens", &[], text).await.is_keystone_error(StatusCode::BAD_REQUEST);
    }
    let agency = json!({"auth": {"identity": {"methods": ["assume_role"], "assume_role":
        {"agency_name": "modelarts_agency", "domain_name": bench.platform.account.domain_name}}}});
    let anonymous = bench.send(Method::POST, "/v3/auth/tokens", &[], &agency.to_string()).await;
    anonymous.is_keystone_error(StatusCode::UNAUTHORIZED);
    let reply = bench.signed(Method::POST, "/v3/auth/tokens", &bench.key(), &agency.to_string()).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.body);
    validate("KeystoneCreateAgencyTokenResponse", &reply.body);
}

#[tokio::test]
async fn lists_of_iam_follow_the_catalogue() {
    let bench = Bench::new().await;
    let account = &bench.platform.account;
    let user = format!("/v3/users/{}/projects", account.user_id);
    let project = format!("/v3/projects/{}", account.project_id);
    for (target, schema) in [
        ("/v3", "KeystoneShowVersionResponse"),
        ("/", "KeystoneListVersionsResponse"),
        ("/v3/projects", "KeystoneListProjectsResponse"),
        ("/v3/auth/projects", "KeystoneListAuthProjectsResponse"),
        ("/v3/auth/domains", "KeystoneListAuthDomainsResponse"),
        ("/v3/auth/catalog", "KeystoneShowCatalogResponse"),
        ("/v3/regions", "KeystoneListRegionsResponse"),
        (&user, "KeystoneListProjectsForUserResponse"),
        (&project, "KeystoneShowProjectResponse"),
    ] {
        let reply = bench.signed(Method::GET, target, &bench.key(), "").await;
        // A path that ends in a slash is signed without another one: only the root does.
        let reply = if target == "/" { bench.send(Method::GET, "/", &[], "").await } else { reply };
        assert_eq!(reply.status, StatusCode::OK, "{target} {}", reply.body);
        validate(schema, &reply.body);
    }
    for (query, count) in [("name=local-1", 1), ("name=local", 0), ("enabled=false", 0), ("page=2&per_page=10", 0)] {
        let reply = bench.signed(Method::GET, &format!("/v3/projects?{query}"), &bench.key(), "").await;
        assert_eq!(reply.body["projects"].as_array().map(Vec::len), Some(count), "{query}");
    }
    let wrong = bench.signed(Method::GET, "/v3/projects?per_page=0", &bench.key(), "").await;
    wrong.is_keystone_error(StatusCode::BAD_REQUEST);
    let foreign = bench.signed(Method::GET, "/v3/projects/0123", &bench.key(), "").await;
    foreign.is_keystone_error(StatusCode::NOT_FOUND);
    let foreign = bench.signed(Method::GET, "/v3/users/0123/projects", &bench.key(), "").await;
    foreign.is_keystone_error(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn temporary_keys_come_from_tokens_and_agencies() {
    const PATH: &str = "/v3.0/OS-CREDENTIAL/securitytokens";
    let bench = Bench::new().await;
    let token = bench.project_token().await;
    let document = |life: &Value| {
        json!({"auth": {"identity": {"methods": ["token"], "token": {"id": token, "duration_seconds": life}}}}).to_string()
    };
    let reply = bench.send(Method::POST, PATH, &[], &document(&json!(3600))).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.body);
    validate("CreateTemporaryAccessKeyByAgencyResponse", &reply.body);
    let field = |name: &str| reply.body["credential"][name].as_str().unwrap().to_owned();
    let security_token = Some(field("securitytoken"));
    let key = Key { access: field("access"), secret: field("secret"), security_token, ..Key::default() };
    assert_eq!(bench.signed(Method::GET, "/v3/projects", &key, "").await.status, StatusCode::OK);
    for security_token in [None, Some("other".to_owned())] {
        let key = Key { security_token, ..key.clone() };
        bench.signed(Method::GET, "/v3/projects", &key, "").await.is_keystone_error(StatusCode::UNAUTHORIZED);
    }
    // Without a token in the document, the request's own credentials count.
    let own = json!({"auth": {"identity": {"methods": ["token"], "token": {}}}}).to_string();
    let by_header = bench.send(Method::POST, PATH, &[("X-Auth-Token", &token)], &own).await;
    assert_eq!(by_header.status, StatusCode::CREATED, "{}", by_header.body);
    let role = json!({"agency_name": "modelarts_agency", "domain_id": bench.platform.account.domain_id});
    let agency = json!({"auth": {"identity": {"methods": ["assume_role"], "assume_role": role}}}).to_string();
    let by_agency = bench.signed(Method::POST, PATH, &bench.key(), &agency).await;
    validate("CreateTemporaryAccessKeyByAgencyResponse", &by_agency.body);
    assert_eq!(by_agency.status, StatusCode::CREATED, "{}", by_agency.body);
    for (body, status, code) in [
        (document(&json!(899)), StatusCode::BAD_REQUEST, "IAM.0011"),
        (document(&json!(86_401)), StatusCode::BAD_REQUEST, "IAM.0011"),
        ("{}".to_owned(), StatusCode::BAD_REQUEST, "IAM.0011"),
        (document(&json!(900)).replace(&token, "other"), StatusCode::UNAUTHORIZED, "IAM.0003"),
        (agency, StatusCode::UNAUTHORIZED, "IAM.0003"),
        (own, StatusCode::UNAUTHORIZED, "IAM.0003"),
    ] {
        let reply = bench.send(Method::POST, PATH, &[], &body).await;
        assert_eq!((reply.status, reply.body["error_code"].as_str()), (status, Some(code)), "{body}");
        assert!(reply.body["error_msg"].is_string());
    }
}

#[tokio::test]
async fn the_object_store_takes_the_same_keys() {
    let bench = Bench::new().await;
    let token = bench.project_token().await;
    let document = json!({"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}}).to_string();
    let reply = bench.send(Method::POST, "/v3.0/OS-CREDENTIAL/securitytokens", &[], &document).await;
    let field = |name: &str| reply.body["credential"][name].as_str().unwrap().to_owned();
    let security_token = Some(field("securitytoken"));
    let temporary = Key { access: field("access"), secret: field("secret"), security_token, ..Key::default() };
    let permanent = bench.key();
    for key in [&permanent, &temporary] {
        let (status, text) = bench.buckets(key).await;
        assert!(status == StatusCode::OK && text.contains("ListAllMyBucketsResult"), "{status} {text}");
    }
    let wrong = [
        (Key { secret: "x".repeat(40), ..permanent.clone() }, "SignatureDoesNotMatch"),
        (Key { access: "NOBODY".to_owned(), ..permanent }, "InvalidAccessKeyId"),
        (Key { security_token: None, ..temporary.clone() }, "Code"),
        (Key { security_token: Some("other".to_owned()), ..temporary }, "Code"),
    ];
    for (key, code) in wrong {
        let (status, text) = bench.buckets(&key).await;
        assert!(status == StatusCode::FORBIDDEN && text.contains(code), "{status} {text}");
    }
}

#[tokio::test]
async fn every_service_refuses_what_is_not_signed_right() {
    let bench = Bench::new().await;
    let project = &bench.platform.account.project_id;
    let regional = format!("/v2/{project}/pools");
    let (good, unauthorized) = (bench.key(), StatusCode::UNAUTHORIZED);
    let wrong_secret = Key { secret: "x".repeat(40), ..good.clone() };
    let unknown = Key { access: "NOBODY".to_owned(), ..good.clone() };
    let late = Key { clock_off_by: Duration::minutes(-16), ..good.clone() };
    let early = Key { clock_off_by: Duration::minutes(16), ..good.clone() };
    for key in [&wrong_secret, &unknown, &late, &early] {
        bench.signed(Method::GET, &regional, key, "").await.is_gateway_error(unauthorized, "APIGW.0301");
        bench.signed(Method::GET, "/v3/projects", key, "").await.is_keystone_error(unauthorized);
        let swr = bench.signed(Method::GET, "/v2/manage/namespaces", key, "").await;
        assert_eq!((swr.status, &swr.body["errors"][0]["errorCode"]), (unauthorized, &json!("APIGW.0301")));
        let old = bench.signed(Method::GET, "/v3.0/OS-CREDENTIAL/credentials", key, "").await;
        assert_eq!((old.status, &old.body["error_code"]), (unauthorized, &json!("IAM.0003")));
    }
    for headers in
        [&[][..], &[("X-Auth-Token", "x")], &[("Authorization", "Basic eDp5")], &[("Authorization", "SDK-HMAC-SHA256")]]
    {
        bench.send(Method::GET, &regional, headers, "").await.is_gateway_error(unauthorized, "APIGW.0301");
        bench.send(Method::GET, "/no/such/path", headers, "").await.is_gateway_error(unauthorized, "APIGW.0301");
    }
    let foreign = format!("/v2/{}/pools", "0".repeat(32));
    bench.signed(Method::GET, &foreign, &good, "").await.is_gateway_error(StatusCode::FORBIDDEN, "APIGW.0302");
    let token = bench.project_token().await;
    let headers = [("X-Auth-Token", token.as_str()), ("X-Project-Id", "other")];
    bench.send(Method::GET, &regional, &headers, "").await.is_gateway_error(StatusCode::FORBIDDEN, "APIGW.0302");
    bench.send(Method::GET, &foreign, &headers[..1], "").await.is_gateway_error(StatusCode::FORBIDDEN, "APIGW.0302");
    let unknown = bench.signed(Method::GET, &format!("/v2/{project}/nothing"), &good, "").await;
    unknown.is_gateway_error(StatusCode::NOT_FOUND, "APIGW.0101");
    let body = "x".repeat((12 << 20) + 1);
    let large = bench.signed(Method::POST, &regional, &good, &body).await;
    large.is_gateway_error(StatusCode::PAYLOAD_TOO_LARGE, "APIGW.0201");
}

/// A word that stands where a path of the catalogue has no project must not open the paths that have one.
#[tokio::test]
async fn words_are_no_projects() {
    let bench = Bench::new().await;
    for word in ["brain", "aihub", "auth-mode", "manage"] {
        let reply = bench.signed(Method::GET, &format!("/v2/{word}/training-job-engines"), &bench.key(), "").await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{word}: {}", reply.body);
    }
    let gallery = bench.signed(Method::GET, "/v1/aihub/contents", &bench.key(), "").await;
    gallery.is_gateway_error(StatusCode::NOT_IMPLEMENTED, "Platform.0501");
}

#[tokio::test]
async fn paths_and_queries_that_cannot_be_read_are_refused_in_the_service_s_shape() {
    let bench = Bench::new().await;
    let token = bench.project_token().await;
    let headers = [("X-Auth-Token", token.as_str())];
    let project = &bench.platform.account.project_id;
    for target in ["training-jobs/j/events?limit=abc", "training-jobs/%FF", "training-jobs/j/tasks/%FF/logs/preview"] {
        let reply = bench.send(Method::GET, &format!("/v2/{project}/{target}"), &headers, "").await;
        reply.is_gateway_error(StatusCode::BAD_REQUEST, "ModelArts.2788");
    }
    for target in ["/v3/projects?page=x", "/v3/projects/%FF", "/v3/users/%FF/projects"] {
        bench.send(Method::GET, target, &headers, "").await.is_keystone_error(StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn operations_that_nobody_implements_are_named_and_only_get_fewer() {
    let bench = Bench::new().await;
    let token = bench.project_token().await;
    let mut unimplemented = String::new();
    for operation in ma_cli::catalogue::operations() {
        let path: Vec<&str> = operation
            .path
            .split('/')
            .map(|segment| match segment {
                "{project_id}" => bench.platform.account.project_id.as_str(),
                _ if segment.starts_with('{') => "unknown",
                _ => segment,
            })
            .collect();
        let method = Method::from_bytes(operation.method.as_bytes()).unwrap();
        let reply = bench.send(method, &path.join("/"), &[("X-Auth-Token", &token)], "").await;
        if reply.status == StatusCode::NOT_IMPLEMENTED {
            assert!(reply.body.to_string().contains("is not implemented by this platform"), "{}", reply.body);
            unimplemented.push_str(&format!("{} {} {}\n", operation.service, operation.method, operation.path));
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/unimplemented-operations.txt");
    let listed = std::fs::read_to_string(&path).unwrap_or_default();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let (known, now) = (lines(&listed), lines(&unimplemented));
    let lost: Vec<_> = now.difference(&known).collect();
    assert!(lost.is_empty() || known.is_empty(), "no longer implemented: {lost:#?}");
    if known != now && Env::from_process().get("MA_CLI_UPDATE").is_some() {
        std::fs::write(&path, &unimplemented).unwrap();
    }
    let gained: Vec<_> = known.difference(&now).collect();
    assert!(known == now, "run again with MA_CLI_UPDATE=1 and commit the shorter list, these are implemented now: {gained:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vendors_sdk_works_with_it() {
    let bench = Bench::new().await;
    let account = &bench.platform.account;
    let input = json!({
        "endpoint": bench.platform.endpoint,
        "obs_endpoint": bench.platform.obs_endpoint,
        "region": account.region,
        "project_id": account.project_id,
        "access_key": account.access_key,
        "secret_key": account.secret_key.expose(),
        "account": account.domain_name,
        "username": account.user_name,
        "password": account.password.expose(),
    });
    let text = python::run("python", &[&python::script("iam.py")], &[], &input.to_string()).await;
    assert!(text.contains("iam: ok"), "{text}");
}

#[tokio::test]
async fn a_platform_ends_and_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::on_free_ports(folder.path().join("platform"), env!("CARGO_BIN_EXE_ma-cli"));
    let first = Platform::start(options.clone()).await.unwrap();
    let second = Platform::start(options.clone()).await;
    assert!(matches!(second, Err(ma_cli::platform::Error::Running { .. })), "{second:?}");
    let (endpoint, key) = (first.endpoint.clone(), first.account.access_key.clone());
    first.shutdown().await;
    let again = Platform::start(Options { port: None, obs_port: None, ..options }).await.unwrap();
    assert_eq!((&again.endpoint, &again.account.access_key), (&endpoint, &key));
    again.shutdown().await;
}
