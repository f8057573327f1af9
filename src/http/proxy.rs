//! Which proxy a request takes. Loopback addresses never take one.

/// Proxy settings as the environment gives them.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `HTTPS_PROXY` / `https_proxy`: URL of the proxy for https targets.
    pub https: Option<String>,
    /// `HTTP_PROXY` / `http_proxy`: URL of the proxy for http targets.
    pub http: Option<String>,
    /// `NO_PROXY` / `no_proxy`: comma-separated hosts, suffixes and networks that are reached directly.
    pub none: Option<String>,
}
