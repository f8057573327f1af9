//! Makes `aws-sdk-s3` speak the dialect of OBS, over our connections, with our credentials and clock.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, ConfigBag, Credentials, HttpClient, IdentityCache, Intercept, ProvideCredentials, Region,
    RequestChecksumCalculation, ResponseChecksumValidation, RuntimeComponents, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::auth::{Credential, CredentialSource};
use crate::http;
use crate::obs::address::Address;
use crate::obs::error::{Error, ServiceError};
use crate::obs::transport::{Progress, Transport};

/// What the SDK needs of the client.
pub(crate) struct Parts<'a> {
    pub(crate) address: &'a Address,
    pub(crate) region: &'a str,
    pub(crate) transport: Transport,
    pub(crate) credentials: Arc<dyn CredentialSource>,
    pub(crate) clock: Arc<Clock>,
}

/// Builds the SDK's client: no retries, time limits or checksums of its own.
pub(crate) fn client(parts: Parts<'_>) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(parts.region.to_owned()))
        .endpoint_url(parts.address.base())
        .force_path_style(!parts.address.is_virtual_host())
        .credentials_provider(Provider(parts.credentials))
        .identity_cache(IdentityCache::no_cache())
        .http_client(Connector(parts.transport))
        .time_source(SharedClock(parts.clock))
        // The clock is corrected here for both halves; the SDK would add its own correction to that.
        .disable_clock_skew_correction(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .interceptor(Dialect)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

/// Our clock, corrected by what the store's answers said.
#[derive(Debug, Default)]
pub(crate) struct Clock(AtomicI64);

impl Clock {
    /// Now, as the store sees it.
    pub(crate) fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + time::Duration::seconds(self.0.load(Ordering::Relaxed))
    }

    /// Takes the store's time as right.
    pub(crate) fn correct(&self, server: OffsetDateTime) {
        self.0.store((server - OffsetDateTime::now_utc()).whole_seconds(), Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct SharedClock(Arc<Clock>);

impl TimeSource for SharedClock {
    fn now(&self) -> SystemTime {
        self.0.now().into()
    }
}

#[derive(Debug)]
struct Provider(Arc<dyn CredentialSource>);

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        aws_credential_types::provider::future::ProvideCredentials::new(async {
            let credential =
                self.0.credential().await.map_err(aws_credential_types::provider::error::CredentialsError::provider_error)?;
            Ok(to_sdk(&credential))
        })
    }
}

fn to_sdk(credential: &Credential) -> Credentials {
    let token = credential.security_token.as_ref().map(|token| token.expose().to_owned());
    Credentials::new(credential.access_key.clone(), credential.secret_key.expose(), token, None, "ma-cli")
}

/// Hands the SDK's requests to the shared transport.
#[derive(Clone, Debug)]
struct Connector(Transport);

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let transport = self.0.clone();
        HttpConnectorFuture::new(async move {
            // Added after the interceptor ran, and not signed: they tell the store nothing it knows.
            for name in ["amz-sdk-request", "amz-sdk-invocation-id"] {
                request.headers_mut().remove(name);
            }
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            match transport.send(request, &Progress::new()).await {
                Ok(response) => HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                    .map_err(|error| ConnectorError::other(error.into(), None)),
                Err(error) => Err(ConnectorError::io(error.into())),
            }
        })
    }
}

/// Takes out of each request what OBS does not know.
#[derive(Debug)]
struct Dialect;

impl Intercept for Dialect {
    fn name(&self) -> &'static str {
        "obs-dialect"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        for name in ["x-amz-user-agent", "user-agent"] {
            request.headers_mut().remove(name);
        }
        let uri = request.uri().to_owned();
        if let Some((path, query)) = uri.split_once('?') {
            let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("x-id=")).collect();
            let rewritten = if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) };
            request.set_uri(rewritten)?;
        }
        Ok(())
    }
}

/// Batch deletes need a digest; OBS wants `Content-MD5`, the SDK adds a CRC.
pub(crate) fn content_md5_instead_of_crc(request: &mut HttpRequest) {
    for name in ["x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm"] {
        request.headers_mut().remove(name);
    }
    if let Some(body) = request.body().bytes() {
        let digest = STANDARD.encode(Md5::digest(body));
        request.headers_mut().insert("content-md5", digest);
    }
}

/// Sets headers before the request is signed.
pub(crate) fn with_headers(headers: &[(&str, &str)]) -> impl Fn(&mut HttpRequest) + Send + Sync + 'static {
    let headers: Vec<(String, String)> = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    move |request| {
        for (name, value) in &headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
    }
}

/// The SDK's error as ours.
pub(crate) fn convert<E>(operation: &'static str, target: String, error: SdkError<E, HttpResponse>) -> Error
where
    E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
{
    match &error {
        SdkError::ServiceError(context) => {
            let meta = context.err().meta();
            let (code, message) = (meta.code(), meta.message());
            Error::Service(Box::new(service_error(operation, target, context.raw(), code, message)))
        }
        SdkError::ResponseError(context) if !context.raw().status().is_success() => {
            Error::Service(Box::new(service_error(operation, target, context.raw(), None, None)))
        }
        SdkError::DispatchFailure(failure) => {
            let host = target.clone();
            let source = failure.as_connector_error().and_then(StdError::source);
            source
                .and_then(|source| source.downcast_ref::<http::Error>())
                .map(http::Error::duplicate)
                .map_or_else(|| Error::Http(http::Error::Interrupted { host, message: chain(&error) }), Error::Http)
        }
        SdkError::TimeoutError(_) => Error::Http(http::Error::Timeout { host: target, seconds: 0 }),
        SdkError::ResponseError(_) => Error::Answer { operation, target, message: chain(&error) },
        _ => Error::Source(format!("{operation} [{target}]: {}", chain(&error))),
    }
}

fn service_error(
    operation: &'static str,
    target: String,
    raw: &HttpResponse,
    code: Option<&str>,
    message: Option<&str>,
) -> ServiceError {
    let header = |name: &str| raw.headers().get(name).map(str::to_owned);
    ServiceError {
        operation,
        target,
        status: raw.status().as_u16(),
        code: code.unwrap_or_default().to_owned(),
        message: message.unwrap_or_default().to_owned(),
        request_id: header("x-obs-request-id").or_else(|| header("x-amz-request-id")),
        retry_after: header("retry-after"),
        date: header("date").and_then(|value| parse_date(&value)),
        home: header("x-amz-bucket-region"),
    }
}

/// Reads the date of an HTTP header.
pub(crate) fn parse_date(value: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(&value.replace("GMT", "+0000"), &Rfc2822).ok()
}

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut link = error.source();
    while let Some(current) = link {
        text = format!("{text}: {current}");
        link = current.source();
    }
    text
}
