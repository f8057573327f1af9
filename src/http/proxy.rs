//! Which proxy a request takes. Loopback addresses never take one.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::http::Error;

/// What was set: nothing, a proxy, or why none can be made of it, which only matters to a request that would take it.
pub type Setting = Option<Result<Proxy, String>>;

/// Which proxies there are.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The proxy for https targets.
    pub https: Setting,
    /// The proxy for http targets.
    pub http: Setting,
    /// `NO_PROXY` / `no_proxy`: comma-separated hosts, suffixes and networks that are reached directly.
    pub none: Option<String>,
}

/// A proxy that speaks HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// `http://host:port`, without user and password.
    pub address: String,
    /// `Proxy-Authorization`, when the URL held a user.
    pub authorization: Option<HeaderValue>,
    /// Where it was set, for messages.
    pub origin: String,
}

impl Options {
    /// The proxy for a target, or `None` to connect directly.
    ///
    /// # Errors
    /// [`Error::Invalid`]: the target takes a proxy that cannot be used.
    pub fn decide(&self, scheme: &str, host: &str, port: u16) -> Result<Option<&Proxy>, Error> {
        let chosen = if scheme == "https" { &self.https } else { &self.http };
        let is_direct = || is_loopback(host) || self.none.as_deref().is_some_and(|list| is_excluded(list, host, port));
        match chosen.as_ref().filter(|_| !is_direct()) {
            None => Ok(None),
            Some(Ok(proxy)) => Ok(Some(proxy)),
            Some(Err(reason)) => Err(Error::Invalid(reason.clone())),
        }
    }

    /// As [`Options::decide`].
    ///
    /// # Errors
    /// As [`Options::decide`].
    pub fn for_url(&self, url: &Url) -> Result<Option<&Proxy>, Error> {
        match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) => self.decide(url.scheme(), host, port),
            _ => Ok(None),
        }
    }
}

impl Proxy {
    /// Reads what was set: `http://user:password@host:port`, of which only the host is needed. Nothing is no proxy.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else, with `origin`: where it was set. The text is not shown, it may hold a password.
    pub fn parse(value: &str, origin: String) -> Result<Option<Self>, Error> {
        let value = value.trim();
        if value.is_empty() {
            return Ok(None);
        }
        let unusable = |reason: &str| {
            Error::Invalid(format!("the proxy of {origin} cannot be used: {reason}; http://HOST:PORT is expected"))
        };
        let with_scheme = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
        let url = Url::parse(&with_scheme).map_err(|error| unusable(&error.to_string()))?;
        if url.scheme() != "http" {
            return Err(unusable(&format!("the scheme [{}] is not supported", url.scheme())));
        }
        let host = url.host_str().ok_or_else(|| unusable("it names no host"))?;
        let address = format!("http://{host}:{}", url.port_or_known_default().unwrap_or(80));
        let authorization = (!url.username().is_empty()).then(|| {
            let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let pair = format!("{}:{}", decode(url.username()), decode(url.password().unwrap_or_default()));
            let mut header =
                HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).expect("base64 is a valid header value");
            header.set_sensitive(true);
            header
        });
        Ok(Some(Self { address, authorization, origin }))
    }
}

/// Whether the host is this machine: `localhost`, names below it, and loopback addresses.
pub fn is_loopback(host: &str) -> bool {
    let host = bare(host);
    let lower = host.to_ascii_lowercase();
    lower == "localhost" || lower.ends_with(".localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_excluded(list: &str, host: &str, port: u16) -> bool {
    let host = bare(host).trim_end_matches('.').to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok();
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let (Some(address), Some((network, bits))) = (address, entry.split_once('/')) {
            return in_network(address, network, bits);
        }
        let (name, wanted_port) = split_port(entry);
        if wanted_port.is_some_and(|wanted| wanted != port) {
            return false;
        }
        let name = name.to_ascii_lowercase();
        if let Some(wanted) = bare(&name).parse::<IpAddr>().ok().filter(|_| address.is_some()) {
            return address == Some(wanted);
        }
        let name = name.trim_start_matches('*').trim_start_matches('.');
        !name.is_empty() && (host == name || (host.ends_with(name) && host[..host.len() - name.len()].ends_with('.')))
    })
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn split_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            port.parse().map_or((entry, None), |port| (name, Some(port)))
        }
        _ => (entry, None),
    }
}

fn in_network(address: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (bare(network).parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            address.to_bits() & mask == network.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Options, Proxy};

    #[test]
    fn decides_by_host() {
        let table = [
            ("", "obs.example.com", true),
            ("*", "obs.example.com", false),
            ("example.com", "obs.example.com", false),
            (".example.com", "obs.example.com", false),
            ("*.example.com", "obs.example.com", false),
            ("ample.com", "obs.example.com", true),
            ("OBS.Example.com", "obs.example.com", false),
            ("other.org, obs.example.com", "obs.example.com", false),
            ("obs.example.com:443", "obs.example.com", false),
            ("obs.example.com:8443", "obs.example.com", true),
            ("10.0.0.0/8", "10.1.2.3", false),
            ("10.0.0.0/8", "11.1.2.3", true),
            ("0.0.0.0/0", "11.1.2.3", false),
            ("10.1.2.3", "10.1.2.3", false),
            ("10.1.2.3", "10.1.2.30", true),
            ("fd00::/8", "[fd00::1]", false),
            ("fd00::/8", "[fe80::1]", true),
            ("fd00::1", "[fd00::1]", false),
            ("", "localhost", false),
            ("", "bucket.localhost", false),
            ("", "127.0.0.9", false),
            ("", "[::1]", false),
            ("", "localhost.example.com", true),
        ];
        for (none, host, proxied) in table {
            let https = Proxy::parse("http://p:3128", "a test".to_owned()).unwrap().map(Ok);
            let options = Options { https, http: None, none: Some(none.into()) };
            assert_eq!(options.decide("https", host, 443).unwrap().is_some(), proxied, "{none} {host}");
            assert_eq!(options.decide("http", host, 443).unwrap(), None);
            // What cannot be used is in nobody's way who does not take it.
            let options = Options { https: Some(Err("unusable".to_owned())), http: None, none: Some(none.into()) };
            assert_eq!(options.decide("https", host, 443).is_err(), proxied, "{none} {host}");
        }
    }

    #[test]
    fn reads_proxy_urls() {
        let read = |value: &str| Proxy::parse(value, "variable HTTP_PROXY".to_owned());
        assert_eq!(read("proxy:3128").unwrap().unwrap().address, "http://proxy:3128");
        assert_eq!(read("http://proxy").unwrap().unwrap().address, "http://proxy:80");
        assert_eq!(read(" ").unwrap(), None);
        let proxy = read("http://us%40er:p%3Aw@proxy:1").unwrap().unwrap();
        assert_eq!(proxy.address, "http://proxy:1");
        assert_eq!(proxy.authorization.unwrap().to_str().unwrap(), "Basic dXNAZXI6cDp3");
        for (value, reason) in [("socks5://proxy:1", "[socks5]"), ("https://u:pw@proxy", "[https]"), ("u:pw@not a url", "")] {
            let error = read(value).unwrap_err().to_string();
            assert!(
                error.starts_with("the proxy of variable HTTP_PROXY cannot be used: ") && error.contains(reason),
                "{error}"
            );
            assert!(!error.contains("pw"), "{error}");
        }
    }
}
