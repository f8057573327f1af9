//! A store on a port of its own, and clients for it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use ma_cli::auth::Secret;
use ma_cli::platform::obs::{AccessKey, KeyRing, ObjectStore};
use ma_cli::platform::state::State;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) const ACCESS_KEY: &str = "AKPLATFORM0000000001";
pub(crate) const SECRET_KEY: &str = "SecretKeyOfThePlatform0000000000000001";
pub(crate) const TEMPORARY: &str = "AKTEMPORARY000000001";
pub(crate) const EXPIRED: &str = "AKEXPIRED00000000001";
pub(crate) const TOKEN: &str = "TheTokenThatBelongsToTheTemporaryKey==";
pub(crate) const REGION: &str = "local-1";

#[derive(Debug)]
struct Keys;

impl KeyRing for Keys {
    fn find(&self, access_key: &str) -> Option<AccessKey> {
        let (token, hours) = match access_key {
            ACCESS_KEY => (None, None),
            TEMPORARY => (Some(Secret::new(TOKEN)), Some(1)),
            EXPIRED => (Some(Secret::new(TOKEN)), Some(-1)),
            _ => return None,
        };
        Some(AccessKey {
            secret_key: Secret::new(SECRET_KEY),
            security_token: token,
            expires_at: hours.map(|hours| OffsetDateTime::now_utc() + time::Duration::hours(hours)),
        })
    }
}

/// Opens the store of a data directory, with its index in a file beside it.
pub(crate) fn open(data_dir: &Path) -> ObjectStore {
    let state = State::open(&data_dir.join("state.sqlite")).unwrap();
    ObjectStore::open(data_dir, Arc::new(state), Arc::new(Keys), REGION).unwrap()
}

/// A running store; stops when dropped.
pub(crate) struct Server {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
    shutdown: CancellationToken,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    pub(crate) async fn start_in(folder: tempfile::TempDir) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shutdown = CancellationToken::new();
        tokio::spawn(Arc::new(open(folder.path())).serve(listener, shutdown.clone()));
        Self { folder, port, shutdown }
    }

    /// A store with one bucket, named `bucket`.
    pub(crate) async fn with_bucket() -> (Self, Client) {
        let server = Self::start().await;
        let client = server.client();
        client.create_bucket().bucket("bucket").send().await.unwrap();
        (server, client)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn client(&self) -> Client {
        self.client_with(ACCESS_KEY, SECRET_KEY, None)
    }

    pub(crate) fn client_with(&self, access_key: &str, secret_key: &str, token: Option<&str>) -> Client {
        client(&self.endpoint(), access_key, secret_key, token)
    }

    /// One request, as it is.
    pub(crate) async fn raw(&self, method: Method, target: &str, headers: &HeaderMap, body: &[u8]) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{target}", self.endpoint()));
        *request.headers_mut().unwrap() = headers.clone();
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let response = plain_client().request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn plain_client() -> legacy::Client<legacy::connect::HttpConnector, Full<Bytes>> {
    legacy::Client::builder(TokioExecutor::new()).build_http()
}

/// `aws-sdk-s3`, path style, without retries.
pub(crate) fn client(endpoint: &str, access_key: &str, secret_key: &str, token: Option<&str>) -> Client {
    let hyper = Hyper(legacy::Client::builder(TokioExecutor::new()).build_http());
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(access_key, secret_key, token.map(str::to_owned), None, "test"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .timeout_config(
            aws_sdk_s3::config::timeout::TimeoutConfig::builder().operation_timeout(Duration::from_secs(60)).build(),
        )
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(hyper.clone())))
        .build();
    Client::from_conf(config)
}

#[derive(Debug, Clone)]
struct Hyper(legacy::Client<legacy::connect::HttpConnector, SdkBody>);

impl HttpConnector for Hyper {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let response: Response<hyper::body::Incoming> =
                client.request(request).await.map_err(|error| ConnectorError::io(error.into()))?;
            let response = response.map(SdkBody::from_body_1_x);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Status and code of a refusal.
pub(crate) fn refusal<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> (u16, String) {
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    (status, error.code().unwrap_or_default().to_owned())
}

/// Asserts a refusal's status and code; `HEAD` has no code.
#[macro_export]
macro_rules! refused {
    ($result:expr, $status:expr, $code:expr) => {{
        let error = $result.expect_err("this must be refused");
        assert_eq!($crate::support::refusal(&error), ($status, $code.to_owned()), "{error:?}");
    }};
}

/// The names of all regular files below a folder, relative to it, sorted.
pub(crate) fn tree(folder: &Path) -> Vec<String> {
    fn walk(folder: &Path, base: &Path, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, base, names);
            } else {
                names.push(path.strip_prefix(base).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut names = Vec::new();
    walk(folder, folder, &mut names);
    names.sort();
    names
}
