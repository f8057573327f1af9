//! Credentials that the surroundings give, when nobody configured any: the agency of a notebook or training container, then that
//! of the cloud server.
//!
//! Formats: the vendor's SDKs. The metadata service of a server is at a fixed address, is asked without a proxy, is given two
//! seconds, and its redirects are not followed: else whoever sets an address or a proxy could have the server's keys sent there.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use url::{Host, Url};

use crate::auth::refresh::{Fetch, Refreshing, read};
use crate::auth::report::{CredentialReport, Link, Outcome, Step};
use crate::auth::{Cache, Credential, Error, Secret};
use crate::http::{Answer, Client, Options, Request, proxy};

/// The metadata service of a cloud server.
pub const METADATA: &str = "http://169.254.169.254";

/// Longest wait for a link: where there is no metadata service, packets to its address may be dropped without an answer.
const LIMIT: Duration = Duration::from_secs(2);

/// What the surroundings offer.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `OBS_ACCESS_KEY_ID` and its companions, which the object store's SDK reads.
    pub keys: Option<Credential>,
    /// What to say of half such a key.
    pub half: Option<String>,
    /// `HC_CONTAINER_CREDENTIALS_FULL_URI`: where a container's keys are given out.
    pub container: Option<String>,
    /// `HC_CONTAINER_AUTHORIZATION_TOKEN_FILE`: the file whose content goes into `Authorization` there.
    pub container_token: Option<PathBuf>,
    /// The metadata service; `None` not to ask it.
    pub metadata: Option<String>,
}

/// Asks the surroundings, link by link.
#[derive(Debug)]
pub struct Ambient {
    client: Client,
    surroundings: Surroundings,
    /// What came of the places before.
    earlier: Vec<Step>,
}

/// Keys of the surroundings, renewed before they end; never kept between runs.
pub type AmbientKeys = Refreshing<Ambient>;

impl AmbientKeys {
    /// A source that asks nobody until the first key is needed. Of `options` only what concerns TLS is used; `earlier` places go into
    /// the report when nothing is found.
    pub fn of_surroundings(options: Options, surroundings: Surroundings, earlier: Vec<Step>) -> Self {
        let options = Options { proxy: proxy::Options::default(), connect_timeout: LIMIT, ..options };
        Self::new(Ambient { client: Client::new(options), surroundings, earlier }, Cache::none(), String::new())
    }
}

impl Ambient {
    /// Looks at each link until one gives keys; says what came of each.
    pub async fn look(&self) -> (Option<Credential>, Vec<Step>) {
        let mut steps = Vec::new();
        let mut found = None;
        for link in [Link::Notebook, Link::Ecs] {
            if found.is_some() {
                steps.push(Step::new(link, Outcome::NotAsked, "an earlier place gave credentials"));
                continue;
            }
            let looked = match link {
                Link::Notebook => self.notebook().await,
                _ => self.ecs().await,
            };
            match looked {
                Ok((credential, reason)) => {
                    steps.push(Step::new(link, Outcome::Used, reason));
                    found = Some(credential);
                }
                Err(Missed { outcome, reason }) => steps.push(Step::new(link, outcome, reason)),
            }
        }
        (found, steps)
    }

    async fn notebook(&self) -> Result<(Credential, String), Missed> {
        if let Some(keys) = &self.surroundings.keys {
            return Ok((keys.clone(), "OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY are set".to_owned()));
        }
        if let Some(reason) = &self.surroundings.half {
            return Err(Missed::failed(reason.as_str()));
        }
        let Some(address) = &self.surroundings.container else {
            return Err(Missed::over("neither OBS_ACCESS_KEY_ID nor HC_CONTAINER_CREDENTIALS_FULL_URI is set"));
        };
        let url = Url::parse(address).ok().filter(is_trustworthy);
        let url = url.ok_or_else(|| {
            Missed::failed("HC_CONTAINER_CREDENTIALS_FULL_URI is neither an https address nor one of this machine")
        })?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut request = Request::new(Method::POST, url).json(&json!({}));
        if let Some(path) = &self.surroundings.container_token {
            let unreadable = |_| Missed::failed(format!("the token file [{}] cannot be read", path.display()));
            let token = Secret::new(std::fs::read_to_string(path).map_err(unreadable)?);
            insert(&mut request, "authorization", token.expose().trim())?;
        }
        let answer = self.ask(request, &host).await?;
        Ok((credential(&answer, &host)?, format!("{host} gave temporary keys")))
    }

    async fn ecs(&self) -> Result<(Credential, String), Missed> {
        let Some(endpoint) = &self.surroundings.metadata else {
            return Err(Missed::over("asking the metadata service is turned off"));
        };
        // Both requests together may take no longer than one.
        tokio::time::timeout(LIMIT, self.metadata(endpoint)).await.unwrap_or_else(|_| Err(silent(endpoint)))
    }

    async fn metadata(&self, endpoint: &str) -> Result<(Credential, String), Missed> {
        let unusable = |_| Missed::failed(format!("[{endpoint}] is no address"));
        let at = |path: &str| Url::parse(&format!("{endpoint}{path}")).map_err(unusable);
        let mut token = self.metadata_token(at("/meta-data/latest/api/token")?, endpoint).await?;
        for attempt in 0..2 {
            let mut request = Request::new(Method::GET, at("/openstack/latest/securitykey")?);
            if let Some(token) = &token {
                insert(&mut request, "x-metadata-token", token.expose())?;
            }
            let answer = self.ask(request, endpoint).await?;
            if answer.status == StatusCode::UNAUTHORIZED && attempt == 0 {
                token = self.metadata_token(at("/meta-data/latest/api/token")?, endpoint).await?;
                continue;
            }
            if answer.status == StatusCode::NOT_FOUND {
                return Err(Missed::over("this server has no agency"));
            }
            return Ok((credential(&answer, endpoint)?, "the server's agency gave temporary keys".to_owned()));
        }
        Err(Missed::failed(format!("{endpoint} refused its own token")))
    }

    /// The token that newer metadata services want; `None` where they know of none.
    async fn metadata_token(&self, url: Url, endpoint: &str) -> Result<Option<Secret>, Missed> {
        let mut request = Request::new(Method::PUT, url);
        insert(&mut request, "x-metadata-token-ttl-seconds", "21600")?;
        let answer = self.ask(request, endpoint).await?;
        match answer.status.as_u16() {
            404 | 405 | 503 => Ok(None),
            200..=299 => Ok(Some(Secret::new(String::from_utf8_lossy(&answer.body).trim()))),
            status => Err(Missed::failed(format!("{endpoint} answered with status {status}"))),
        }
    }

    /// One attempt: what gives out keys is near, or not there.
    async fn ask(&self, request: Request, host: &str) -> Result<Answer, Missed> {
        match tokio::time::timeout(LIMIT, self.client.send(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Missed::over(error.to_string())),
            Err(_) => Err(silent(host)),
        }
    }
}

#[async_trait]
impl Fetch for Ambient {
    async fn fetch(&self) -> Result<Credential, Error> {
        let (credential, steps) = self.look().await;
        let steps = [self.earlier.as_slice(), &steps].concat();
        credential.ok_or(Error::NothingConfigured(CredentialReport { steps }))
    }
}

/// Why a link gave nothing.
#[derive(Debug)]
struct Missed {
    outcome: Outcome,
    reason: String,
}

impl Missed {
    fn over(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::PassedOver, reason: reason.into() }
    }

    fn failed(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed, reason: reason.into() }
    }
}

fn silent(host: &str) -> Missed {
    Missed::over(format!("{host} did not answer within {} s", LIMIT.as_secs()))
}

fn insert(request: &mut Request, name: &'static str, value: &str) -> Result<(), Missed> {
    let mut value =
        HeaderValue::from_str(value).map_err(|_| Missed::failed("a token holds characters that no header takes"))?;
    value.set_sensitive(true);
    request.headers.insert(name, value);
    Ok(())
}

fn credential(answer: &Answer, host: &str) -> Result<Credential, Missed> {
    if !answer.status.is_success() {
        return Err(Missed::failed(format!("{host} answered with status {}", answer.status.as_u16())));
    }
    let document: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let found = document.as_ref().and_then(read);
    let credential =
        found.ok_or_else(|| Missed::failed(format!("the answer of {host} does not hold an access key with its end")))?;
    match credential.expires_at {
        Some(end) if end <= OffsetDateTime::now_utc() => {
            let end = end.format(&Rfc3339).unwrap_or_default();
            Err(Missed::failed(format!("the keys that {host} gave ended at {end}")))
        }
        _ => Ok(credential),
    }
}

/// Whether keys may be asked for there: over TLS, or without leaving this machine (169.254.0.0/16 is never routed).
fn is_trustworthy(url: &Url) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => address.is_loopback() || address.is_link_local(),
        ("http", Some(Host::Ipv6(address))) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|mapped: Ipv4Addr| mapped.is_loopback())
        }
        ("http", Some(Host::Domain(name))) => name == "localhost",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Ambient, AmbientKeys, METADATA, Surroundings, Url, is_trustworthy};
    use crate::auth::report::{Link, Outcome, Step};
    use crate::auth::{CredentialSource as _, Error};
    use crate::http::testing::{Script, Server};
    use crate::http::{Options, proxy};

    fn keys(access: &str, life: time::Duration) -> Script {
        let end = time::OffsetDateTime::now_utc() + life;
        let end = end.format(&time::format_description::well_known::Rfc3339).unwrap();
        Script::new(
            200,
            &format!(
                r#"{{"credential": {{"access": "{access}", "secret": "s3cret", "securitytoken": "st", "expires_at": "{end}"}}}}"#
            ),
        )
    }

    fn hour() -> time::Duration {
        time::Duration::hours(1)
    }

    /// A proxy that nobody listens at is set: whoever used it would fail.
    fn source(surroundings: Surroundings) -> AmbientKeys {
        let http = proxy::Proxy::parse("http://127.0.0.1:9", "a test".to_owned()).unwrap().map(Ok);
        let proxy = proxy::Options { http, ..proxy::Options::default() };
        AmbientKeys::of_surroundings(Options { proxy, ..Options::default() }, surroundings, Vec::new())
    }

    fn ecs(server: &Server) -> AmbientKeys {
        source(Surroundings { metadata: Some(server.endpoint.clone()), ..Surroundings::default() })
    }

    async fn steps(ambient: &Ambient) -> Vec<Step> {
        ambient.look().await.1
    }

    #[tokio::test]
    async fn the_metadata_service_gives_keys_and_renews_them() {
        let server = Server::start(vec![
            Script::new(200, "meta-token"),
            keys("first", time::Duration::minutes(9)),
            Script::new(200, "meta-token-2"),
            keys("second", hour()),
        ]);
        let keys = ecs(&server).resting(std::time::Duration::ZERO);
        assert_eq!(keys.credential().await.unwrap().access_key, "first");
        assert_eq!(keys.credential().await.unwrap().access_key, "second");
        assert_eq!(keys.credential().await.unwrap().access_key, "second");
        let seen: Vec<String> = server.seen().iter().map(|text| text.to_ascii_lowercase()).collect();
        assert_eq!(seen.len(), 4);
        assert!(seen[0].starts_with("put /meta-data/latest/api/token ") && seen[0].contains("ttl-seconds: 21600\r\n"));
        assert!(
            seen[1].starts_with("get /openstack/latest/securitykey ") && seen[1].contains("x-metadata-token: meta-token\r\n")
        );
        assert!(seen[3].contains("x-metadata-token: meta-token-2\r\n"));
    }

    #[tokio::test]
    async fn an_old_metadata_service_has_no_tokens_and_a_refused_token_is_renewed_once() {
        let server = Server::start(vec![Script::new(404, ""), keys("ak", hour())]);
        assert_eq!(ecs(&server).credential().await.unwrap().access_key, "ak");
        assert!(!server.seen()[1].to_ascii_lowercase().contains("x-metadata-token"));
        let refused = || Script::new(401, "");
        let token = || Script::new(200, "t");
        let server = Server::start(vec![token(), refused(), token(), keys("ak", hour())]);
        assert_eq!(ecs(&server).credential().await.unwrap().access_key, "ak");
        let server = Server::start(vec![token(), refused(), token(), refused()]);
        let steps = steps(ecs(&server).source()).await;
        assert_eq!(steps[1].outcome, Outcome::Failed, "{steps:?}");
    }

    #[tokio::test]
    async fn a_server_without_agency_is_passed_over_and_the_report_says_so() {
        let server = Server::start(vec![Script::new(200, "t"), Script::new(404, "")]);
        let Err(Error::NothingConfigured(report)) = ecs(&server).credential().await else { panic!("no keys were expected") };
        let shown: Vec<String> = report.steps.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "notebook agency: neither OBS_ACCESS_KEY_ID nor HC_CONTAINER_CREDENTIALS_FULL_URI is set",
                "ECS metadata: this server has no agency"
            ]
        );
        assert!(report.used().is_none());
    }

    #[tokio::test]
    async fn d2_10_a_metadata_service_that_redirects_or_keeps_silent_gives_nothing() {
        let elsewhere = Server::start(vec![keys("stolen", hour())]);
        let redirect = || Script::new(302, "").header("Location", &elsewhere.endpoint);
        let server = Server::start(vec![redirect(), redirect()]);
        let found = steps(ecs(&server).source()).await;
        assert_eq!(found[1].outcome, Outcome::Failed, "{found:?}");
        assert!(elsewhere.seen().is_empty());

        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", silent.local_addr().unwrap());
        let begun = std::time::Instant::now();
        let keys = source(Surroundings { metadata: Some(endpoint), ..Surroundings::default() });
        let found = steps(keys.source()).await;
        assert!(found[1].reason.ends_with("did not answer within 2 s"), "{found:?}");
        assert!(begun.elapsed().as_secs() < 4);
    }

    /// Loopback takes no proxy anyway; this address is of a network that nobody has.
    #[tokio::test]
    async fn d2_10_no_proxy_stands_between_us_and_what_gives_out_keys() {
        let server = Server::start(vec![keys("stolen", hour()); 4]);
        let proxy = proxy::Proxy::parse(&server.endpoint, "a test".to_owned()).unwrap().map(Ok);
        let proxy = proxy::Options { http: proxy.clone(), https: proxy, none: None };
        let far = |address: &str| Some(format!("{address}://192.0.2.1"));
        for surroundings in [
            Surroundings { metadata: far("http"), ..Surroundings::default() },
            Surroundings { container: far("https"), ..Surroundings::default() },
        ] {
            let options = Options { proxy: proxy.clone(), ..Options::default() };
            let (credential, steps) = AmbientKeys::of_surroundings(options, surroundings, Vec::new()).source().look().await;
            assert!(credential.is_none(), "{steps:?}");
        }
        assert!(server.seen().is_empty(), "{:?}", server.seen());
        assert_eq!(METADATA, "http://169.254.169.254");
    }

    #[tokio::test]
    async fn a_container_gives_keys_for_the_content_of_its_token_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "file-token\n").unwrap();
        let server = Server::start(vec![keys("pod", hour())]);
        let surroundings = Surroundings {
            container: Some(format!("{}/v1/credentials", server.endpoint)),
            container_token: Some(path),
            metadata: Some("http://127.0.0.1:9".to_owned()),
            ..Surroundings::default()
        };
        let (credential, steps) = source(surroundings).source().look().await;
        assert_eq!(credential.unwrap().access_key, "pod");
        assert_eq!((steps[0].link, steps[0].outcome), (Link::Notebook, Outcome::Used));
        assert_eq!((steps[1].link, steps[1].outcome), (Link::Ecs, Outcome::NotAsked));
        let seen = server.seen()[0].to_ascii_lowercase();
        assert!(seen.starts_with("post /v1/credentials ") && seen.contains("authorization: file-token\r\n"), "{seen}");
    }

    #[tokio::test]
    async fn a_container_address_elsewhere_gets_nothing() {
        let surroundings = Surroundings { container: Some("http://evil.example/keys".to_owned()), ..Surroundings::default() };
        let (credential, steps) = source(surroundings).source().look().await;
        assert!(credential.is_none());
        assert_eq!(steps[0].outcome, Outcome::Failed, "{steps:?}");
        for (address, fine) in [
            ("https://keys.example/a", true),
            ("http://169.254.170.2/a", true),
            ("http://127.0.0.1:81/a", true),
            ("http://localhost/a", true),
            ("http://10.0.0.1/a", false),
            ("http://127.0.0.1.evil.example/a", false),
            ("ftp://127.0.0.1/a", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(is_trustworthy(&Url::parse(address).unwrap()), fine, "{address}");
        }
    }
}
