//! The one error a user sees: what kind it is, what to do next, and which exit code it gives.
//!
//! Each module below has typed errors of its own; this file, and `store` for those of
//! the object store, alone classify them (`From<…>`) and choose hints.

mod kind;
mod store;
mod suggest;

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;

use http::StatusCode;

use crate::http::proxy::is_loopback;
use crate::{api, auth, copy, http as transport, obs, settings};

pub use kind::Kind;
pub use suggest::{nearest, nearest_file};

/// An error ready to be shown: message, causes, hints.
#[derive(Debug)]
pub struct Error {
    /// Class of the error.
    pub kind: Kind,
    /// What failed, on what.
    pub message: String,
    /// Error code of the service, such as `ModelArts.2772`.
    pub code: Option<String>,
    /// Request id of the service's answer.
    pub request_id: Option<String>,
    /// What to do next, one sentence each.
    pub hints: Vec<String>,
    /// What caused it.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of that kind with a message: what failed, on what.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code: None, request_id: None, hints: Vec::new(), source: None }
    }

    /// Adds a hint: the next thing to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds the cause, shown below the message.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds the way that needs no account.
    fn or_here(self) -> Self {
        let here = "or work on this machine, without an account: ma-cli platform start; then add -P local to each command";
        if cfg!(feature = "platform") { self.hint(here) } else { self }
    }

    /// Puts what was being done in front of the message; the kind stays.
    #[must_use]
    pub fn context(mut self, doing: &str) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<settings::Error> for Error {
    fn from(error: settings::Error) -> Self {
        let message = error.to_string();
        match error {
            settings::Error::File { source, .. } => Self::new(Kind::Local, message).caused_by(source),
            settings::Error::Syntax { path, .. } | settings::Error::Value { path, .. } => {
                Self::new(Kind::Config, message).hint(format!("correct [{}], or name another file with -C", path.display()))
            }
            settings::Error::NoProfile { name, known, named, .. } => {
                // That of the platform on this machine is built in.
                let meant = nearest(&name, known.iter().map(String::as_str).chain(["local"]));
                let meant = meant.map(|meant| format!("did you mean [{meant}]?"));
                // Whoever edits the file may name a profile as no program would.
                let plain = |name: &String| name.replace(char::is_control, "?");
                let known: Vec<String> = known.iter().map(plain).collect();
                let profile = Some(plain(&name)).filter(|name| name != settings::DEFAULT_PROFILE);
                let options = settings::Flags { config_file: named, profile, ..Default::default() }.options();
                let make = format!("make it with: ma-cli configure{options}");
                if known.is_empty() {
                    let mut shown = Self::new(Kind::Config, format!("ma-cli is not configured yet: {message}"));
                    shown.hints.extend(meant.into_iter().chain([make]));
                    return shown.or_here();
                }
                let mut shown = Self::new(Kind::Config, message);
                shown.hints.extend(meant);
                shown.hint(format!("there are: {}", known.join(", "))).hint(make)
            }
            settings::Error::Region { origin: settings::Origin::Flag(_), .. } => Self::new(Kind::Usage, message),
            settings::Error::Region { .. } => {
                Self::new(Kind::Config, message).hint("configure a region with: ma-cli configure --region REGION")
            }
            settings::Error::Kept { .. } => Self::new(Kind::Local, message)
                .hint("the profile is logged out; run the same command again, with the keyring unlocked where there is one"),
            settings::Error::Endpoint { .. } => {
                Self::new(Kind::Config, message).hint("an endpoint is written https://HOST or https://HOST:PORT")
            }
            settings::Error::NoPlatform { .. } => Self::new(Kind::Config, message).hint("start it with: ma-cli platform start"),
            settings::Error::NoEndpoint { .. } => {
                Self::new(Kind::Config, message).hint("configure a region with: ma-cli configure --region REGION").or_here()
            }
        }
    }
}

impl From<transport::Error> for Error {
    fn from(error: transport::Error) -> Self {
        let message = error.to_string();
        match error {
            transport::Error::Connect { host, .. } if is_loopback(host.rsplit_once(':').map_or(&*host, |(name, _)| name)) => {
                Self::new(Kind::Network, message).hint("if this is the embedded platform, start it with: ma-cli platform start")
            }
            transport::Error::Connect { .. } => Self::new(Kind::Network, message)
                .hint("check the network and the region or endpoint; where a proxy is needed, set HTTPS_PROXY"),
            transport::Error::Proxy { origin, .. } => Self::new(Kind::Network, message)
                .hint(format!("check the proxy of {origin}, or name the host in NO_PROXY to reach it directly")),
            transport::Error::Tls { is_certificate: true, .. } => Self::new(Kind::Network, message)
                .hint("trust the certificate's issuer with --ca-bundle FILE, or skip the check with --no-verify-ssl"),
            transport::Error::Tls { .. } => Self::new(Kind::Network, message)
                .hint("check that the endpoint and what stands before it speak TLS 1.2 or later on this port"),
            transport::Error::Timeout { .. } => Self::new(Kind::Network, message)
                .hint("check the network and the endpoint; the profile's connect_timeout and read_timeout allow more time"),
            transport::Error::Interrupted { .. } => {
                Self::new(Kind::Network, message).hint("check the network, then run the same command again")
            }
            transport::Error::Invalid(_) | transport::Error::CaBundle { .. } => Self::new(Kind::Config, message),
        }
    }
}

/// What to do when credentials are missing or refused.
pub const CONFIGURE: &str = "check the credentials with: ma-cli configure";

impl From<auth::Error> for Error {
    fn from(error: auth::Error) -> Self {
        let message = error.to_string();
        match error {
            auth::Error::NothingConfigured(report) => {
                let mut shown = Self::new(Kind::Auth, message)
                    .hint("log in with: ma-cli auth login, or store credentials with: ma-cli configure");
                shown.hints.extend(report.steps.iter().map(|step| format!("looked for in {step}")));
                shown
            }
            auth::Error::Refused { request_id, .. } => {
                let mut shown = Self::new(Kind::Auth, message).hint(CONFIGURE);
                shown.request_id = request_id;
                shown
            }
            auth::Error::NotAllowed { request_id, .. } => {
                let mut shown =
                    Self::new(Kind::Forbidden, message).hint("ask whoever administers the account for the permission");
                shown.request_id = request_id;
                shown
            }
            auth::Error::Agency { request_id, .. } => {
                let mut shown = Self::new(Kind::Forbidden, message)
                    .hint("check agency_name and agency_domain of the profile, and that the agency trusts your account");
                shown.request_id = request_id;
                shown
            }
            auth::Error::Project { .. } => {
                Self::new(Kind::Config, message).hint("name the project with: ma-cli configure --project-id ID")
            }
            auth::Error::Unexpected(_) => Self::new(Kind::Service, message).hint("check the endpoint of IAM"),
            auth::Error::Unsignable(_) => Self::new(Kind::Config, message),
            auth::Error::Http(error) => error.into(),
        }
    }
}

impl From<api::Error> for Error {
    fn from(error: api::Error) -> Self {
        let message = error.to_string();
        match error {
            api::Error::Service(refusal) => refused(*refusal),
            api::Error::Unreadable { request_id, .. } => {
                let mut shown = Self::new(Kind::Service, message).hint("check the endpoint of the service");
                shown.request_id = request_id;
                shown
            }
            api::Error::Invalid(_) => Self::new(Kind::Config, message),
            api::Error::Auth(error) => error.into(),
            api::Error::Http(error) => error.into(),
        }
    }
}

fn refused(refusal: api::Refusal) -> Error {
    let (kind, hint) = match refusal.status {
        // The service calls the whole request wrong when it names an engine or a flavor that does not exist.
        StatusCode::BAD_REQUEST if ["ModelArts.2780", "ModelArts.2781"].contains(&refusal.code.as_str()) => {
            (Kind::NotFound, None)
        }
        StatusCode::UNAUTHORIZED => (Kind::Auth, Some(CONFIGURE)),
        StatusCode::FORBIDDEN => {
            (Kind::Forbidden, Some("the credentials lack a permission, or are those of another project; see: ma-cli configure"))
        }
        StatusCode::NOT_FOUND => (Kind::NotFound, None),
        StatusCode::CONFLICT => (Kind::Conflict, None),
        StatusCode::TOO_MANY_REQUESTS => (Kind::Throttled, Some("try again later")),
        StatusCode::NOT_IMPLEMENTED => (Kind::Unsupported, None),
        status if status.is_redirection() => (Kind::Service, Some("configure the endpoint that it names, if you trust it")),
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            (Kind::Service, Some("the service is busy or down: try again later"))
        }
        _ => (Kind::Service, None),
    };
    let mut error = Error::new(kind, refusal.message);
    error.hints.extend(refusal.solution);
    error.hints.extend(hint.map(str::to_owned));
    error.code = Some(refusal.code);
    error.request_id = refusal.request_id;
    error
}

impl From<copy::Error> for Error {
    fn from(error: copy::Error) -> Self {
        let message = error.to_string();
        match error {
            copy::Error::Plan(_) => Self::new(Kind::Usage, message),
            copy::Error::NoSource(source) => {
                let mut shown = Self::new(Kind::NotFound, message);
                let meant = Some(Path::new(&source)).filter(|_| !obs::ObsUrl::looks_like(&source)).and_then(nearest_file);
                shown.hints.extend(meant.map(|meant| format!("did you mean [{}]?", meant.display())));
                shown
            }
            copy::Error::Store(error) => error.into(),
            copy::Error::Local { .. } | copy::Error::Unplaceable { .. } => Self::new(Kind::Local, message),
            copy::Error::NoRoom { .. } => Self::new(Kind::Local, message).hint("make room, or copy to another disk"),
            copy::Error::Changed(_) => Self::new(Kind::Conflict, message).hint("run the same command again"),
            copy::Error::Exists(_) => Self::new(Kind::Conflict, message),
            copy::Error::Unverifiable { .. } => Self::new(Kind::Unsupported, message).hint("use --verify auto"),
            copy::Error::Exhausted { source, .. } => Self { message, ..(*source).into() },
            copy::Error::NotDeleted { .. } => Self::new(Kind::Partial, message),
            copy::Error::Cancelled => Self::new(Kind::Interrupted, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::{Error, Kind};
    use crate::{api, http as transport, obs, settings};

    #[test]
    fn a_refusal_keeps_code_and_request_id_and_says_what_to_do() {
        let body = br#"{"error_code": "APIGW.0301", "error_msg": "no", "request_id": "r1"}"#;
        let table = [
            (401, Kind::Auth),
            (403, Kind::Forbidden),
            (404, Kind::NotFound),
            (409, Kind::Conflict),
            (429, Kind::Throttled),
            (500, Kind::Service),
            (501, Kind::Unsupported),
        ];
        for (status, kind) in table {
            let refusal = api::Refusal::read(StatusCode::from_u16(status).unwrap(), None, body);
            let error = Error::from(api::Error::Service(Box::new(refusal)));
            assert_eq!(
                (error.kind, error.code.as_deref(), error.request_id.as_deref()),
                (kind, Some("APIGW.0301"), Some("r1"))
            );
            let points = error.hints.iter().any(|hint| hint.contains("ma-cli configure"));
            assert_eq!(points, kind.exit_code() == 4, "{status}");
        }
    }

    #[test]
    fn an_engine_or_flavor_that_does_not_exist_is_not_found() {
        for (code, kind) in
            [("ModelArts.2780", Kind::NotFound), ("ModelArts.2781", Kind::NotFound), ("ModelArts.2793", Kind::Service)]
        {
            let body = format!(r#"{{"error_code": "{code}", "error_msg": "no"}}"#);
            let refusal = api::Refusal::read(StatusCode::BAD_REQUEST, None, body.as_bytes());
            assert_eq!(Error::from(api::Error::Service(Box::new(refusal))).kind, kind, "{code}");
        }
    }

    /// What is not there has a next step that can be pasted.
    #[test]
    fn hints_of_the_store_name_what_was_asked_for() {
        let hints = |operation, target: &str, code: &str| {
            let service = obs::error::ServiceError {
                operation,
                target: target.to_owned(),
                status: 404,
                code: code.to_owned(),
                ..Default::default()
            };
            Error::from(obs::Error::Service(Box::new(service))).hints.join("; ")
        };
        assert_eq!(hints("get", "obs://b/d/a.tx", "NoSuchKey"), "see what is there: ma-cli obs ls obs://b/d/");
        assert_eq!(hints("look at", "obs://b/a", ""), "see what is there: ma-cli obs ls obs://b/");
        assert_eq!(hints("list", "obs://nope/", "NoSuchBucket"), "make it with: ma-cli obs mb obs://nope");
        assert_eq!(
            (hints("delete bucket", "obs://b/", "NoSuchBucket"), hints("get", "obs://b/$(x)/a", "")),
            (String::new(), String::new())
        );
    }

    #[test]
    fn without_any_profile_both_ways_to_begin_are_named() {
        let missing = |name: &str| {
            Error::from(settings::Error::NoProfile {
                name: name.to_owned(),
                path: "p.yaml".into(),
                known: Vec::new(),
                named: None,
            })
        };
        let error = missing("DEFAULT");
        assert!(error.message.starts_with("ma-cli is not configured yet: "), "{}", error.message);
        assert_eq!(error.hints[0], "make it with: ma-cli configure");
        assert!(error.hints[1].contains("ma-cli platform start"), "{:?}", error.hints);
        assert_eq!(missing("dev").hints[0], "make it with: ma-cli configure -P dev");
    }

    #[test]
    fn a_closed_port_of_this_machine_points_to_the_platform() {
        for (host, points) in [("127.0.0.1:1", true), ("localhost:1", true), ("[::1]:1", true), ("iam.example:443", false)] {
            let error = Error::from(transport::Error::Connect { host: host.to_owned(), message: "refused".to_owned() });
            assert_eq!(error.hints[0].contains("ma-cli platform start"), points, "{host}");
        }
    }
}
