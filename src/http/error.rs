//! Failures below the level of a service's answer.

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
    /// The TLS handshake failed or the certificate is not trusted.
    #[error("no trusted TLS connection to {host}: {message}")]
    Tls {
        /// Host and port that were tried.
        host: String,
        /// The reason.
        message: String,
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
    /// Whether trying again may help: connections that fail, break or stall.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Timeout { .. } | Self::Interrupted { .. })
    }

    /// The same error again, for one that a library below keeps hold of.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        match self {
            Self::Connect { host, message } => Self::Connect { host: host.clone(), message: message.clone() },
            Self::Tls { host, message } => Self::Tls { host: host.clone(), message: message.clone() },
            Self::Timeout { host, seconds } => Self::Timeout { host: host.clone(), seconds: *seconds },
            Self::Interrupted { host, message } => Self::Interrupted { host: host.clone(), message: message.clone() },
            Self::Invalid(message) => Self::Invalid(message.clone()),
            Self::CaBundle { path, message } => Self::CaBundle { path: path.clone(), message: message.clone() },
        }
    }
}
