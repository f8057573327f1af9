//! Failures below the level of a service's answer.

use std::error::Error as StdError;

use crate::http::proxy::Proxy;

/// What went wrong on the way to or from a server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection: name not resolved, refused, unreachable.
    #[error("cannot connect to {host}: {message}")]
    Connect {
        /// Host and port that were tried.
        host: String,
        /// The system's reason.
        message: String,
    },
    /// The proxy could not be reached, or would not connect us.
    #[error("cannot reach {host} through the proxy [{proxy}] of {origin}: {message}")]
    Proxy {
        /// Host and port that were to be reached.
        host: String,
        /// Address of the proxy, without user and password.
        proxy: String,
        /// Where the proxy was set.
        origin: String,
        /// The system's reason, or that of the proxy.
        message: String,
        /// The proxy answered and said no: the next answer would be the same, and repeated logins may lock an account.
        is_refusal: bool,
    },
    /// The TLS handshake failed or the certificate is not trusted.
    #[error("no trusted TLS connection to {host}: {message}")]
    Tls {
        /// Host and port that were tried.
        host: String,
        /// The reason.
        message: String,
        /// It is the certificate: all else went well.
        is_certificate: bool,
    },
    /// No answer within the time limit.
    #[error("{host} did not answer within {seconds} s")]
    Timeout {
        /// Host and port.
        host: String,
        /// The limit that passed.
        seconds: u64,
    },
    /// The connection broke while a message was on its way.
    #[error("the connection to {host} broke: {message}")]
    Interrupted {
        /// Host and port.
        host: String,
        /// The system's reason.
        message: String,
    },
    /// A URL, proxy or header that cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// A certificate file that cannot be read or holds none.
    #[error("cannot read certificates from {path}: {message}")]
    CaBundle {
        /// The file named by `--ca-bundle`.
        path: String,
        /// What is wrong with it.
        message: String,
    },
}

impl Error {
    /// No connection to `host` came about, for what `cause` says in its depth. TLS failures are told apart, because trying again
    /// does not help against a certificate.
    pub(super) fn of_connecting(host: &str, proxy: Option<&Proxy>, cause: &(dyn StdError + 'static)) -> Self {
        let host = host.to_owned();
        if let Some(error) = find::<rustls::Error>(cause) {
            let is_certificate = matches!(error, rustls::Error::InvalidCertificate(_));
            return Self::Tls { host, message: error.to_string(), is_certificate };
        }
        let message = innermost(cause);
        let Some(proxy) = proxy else { return Self::Connect { host, message } };
        // What the system reports is wrapped; what the proxy says is not.
        let is_refusal = find::<std::io::Error>(cause).is_none();
        let message = if is_refusal { format!("it refuses ({message})") } else { message };
        Self::of_proxy(host, proxy, message, is_refusal)
    }

    /// The proxy did not connect us within so many seconds.
    pub(super) fn of_slow_proxy(host: String, proxy: &Proxy, seconds: u64) -> Self {
        Self::of_proxy(host, proxy, format!("no answer within {seconds} s"), false)
    }

    fn of_proxy(host: String, proxy: &Proxy, message: String, is_refusal: bool) -> Self {
        Self::Proxy { host, proxy: proxy.address.clone(), origin: proxy.origin.clone(), message, is_refusal }
    }

    /// Whether trying again may help: connections that fail, break or stall.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Proxy { is_refusal, .. } => !is_refusal,
            _ => matches!(self, Self::Connect { .. } | Self::Timeout { .. } | Self::Interrupted { .. }),
        }
    }

    /// The same error again, for one that a library below keeps hold of.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        match self {
            Self::Connect { host, message } => Self::Connect { host: host.clone(), message: message.clone() },
            Self::Proxy { host, proxy, origin, message, is_refusal } => Self::Proxy {
                host: host.clone(),
                proxy: proxy.clone(),
                origin: origin.clone(),
                message: message.clone(),
                is_refusal: *is_refusal,
            },
            Self::Tls { host, message, is_certificate } => {
                Self::Tls { host: host.clone(), message: message.clone(), is_certificate: *is_certificate }
            }
            Self::Timeout { host, seconds } => Self::Timeout { host: host.clone(), seconds: *seconds },
            Self::Interrupted { host, message } => Self::Interrupted { host: host.clone(), message: message.clone() },
            Self::Invalid(message) => Self::Invalid(message.clone()),
            Self::CaBundle { path, message } => Self::CaBundle { path: path.clone(), message: message.clone() },
        }
    }
}

/// The deepest cause, in its own words.
pub(super) fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Looks for an error of that type among the causes; input/output errors wrap theirs, sometimes twice, without naming it as source.
pub(super) fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.and_then(|inner| find(inner)).or_else(|| error.source().and_then(find))
}
