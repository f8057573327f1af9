//! Where a bucket is reached: path style or virtual host, and how keys are spelt in a URL.

use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::auth::secret::masked_address;
use crate::http::proxy::is_loopback;
use crate::obs::Error;

/// Everything is escaped but the unreserved characters and the slash.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// As [`KEY`], the slash escaped too.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Escapes a key for the path of a URL, byte by byte.
pub fn encode_key(key: &str) -> String {
    utf8_percent_encode(key, KEY).to_string()
}

/// Escapes a name or value for the query of a URL.
pub fn encode_query(value: &str) -> String {
    utf8_percent_encode(value, QUERY).to_string()
}

/// The endpoint of an object store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    https: bool,
    // Host with its port, the port left out where it is the scheme's own: as the `Host` header has it.
    authority: String,
    virtual_host: bool,
    loopback: bool,
}

impl Address {
    /// Reads `https://host[:port]`; a missing scheme means https.
    ///
    /// # Errors
    /// [`Error::Url`] when it is not such a URL.
    pub fn parse(endpoint: &str) -> Result<Self, Error> {
        let shown = masked_address(endpoint);
        let unusable = |reason: &str| Error::Url(format!("the OBS endpoint [{shown}] cannot be used: {reason}"));
        let with_scheme = if endpoint.contains("://") { endpoint.to_owned() } else { format!("https://{endpoint}") };
        let url = Url::parse(&with_scheme).map_err(|error| unusable(&error.to_string()))?;
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            other => return Err(unusable(&format!("the scheme [{other}] is neither http nor https"))),
        };
        let host = url.host_str().ok_or_else(|| unusable("it names no host"))?;
        if url.path() != "/" || url.query().is_some() {
            return Err(unusable("only a host and a port may stand there"));
        }
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Self { https, authority, virtual_host: is_cloud(host), loopback: is_loopback(host) })
    }

    /// `scheme://host[:port]`.
    pub fn base(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }

    /// Whether buckets are reached below a host name of their own.
    pub fn is_virtual_host(&self) -> bool {
        self.virtual_host
    }

    /// Whether bytes on the way are safe from others: TLS, or they do not leave the machine.
    pub fn is_private(&self) -> bool {
        self.https || self.loopback
    }

    /// Whether the store is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Host (as the `Host` header has it) and escaped path of an object.
    pub fn locate(&self, bucket: &str, key: &str) -> (String, String) {
        if self.virtual_host && is_host_label(bucket) {
            (format!("{bucket}.{}", self.authority), format!("/{}", encode_key(key)))
        } else {
            (self.authority.clone(), format!("/{bucket}/{}", encode_key(key)))
        }
    }

    /// Whether connections are TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }
}

/// Cloud endpoints have a certificate and a name for every bucket; anything else is reached by path, which every store understands.
fn is_cloud(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_err()
        && !is_loopback(&host)
        && (host.starts_with("obs.") || host.contains(".myhuaweicloud.") || host.ends_with(".amazonaws.com"))
}

/// A name with dots is not covered by the cloud's certificate (`*.obs…`), so such a bucket is reached by path.
fn is_host_label(bucket: &str) -> bool {
    bucket.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::{Address, encode_key};

    #[test]
    fn locates_objects() {
        let table = [
            ("https://obs.cn-north-4.myhuaweicloud.com", "bkt", "a b", "bkt.obs.cn-north-4.myhuaweicloud.com", "/a%20b"),
            ("obs.cn-north-4.myhuaweicloud.com:443", "b.c", "k", "obs.cn-north-4.myhuaweicloud.com", "/b.c/k"),
            ("http://127.0.0.1:9000", "bkt", "k", "127.0.0.1:9000", "/bkt/k"),
            ("http://localhost:9000/", "bkt", "", "localhost:9000", "/bkt/"),
            ("http://seaweed:8333", "bkt", "/k", "seaweed:8333", "/bkt//k"),
            ("http://[::1]:80", "bkt", "k", "[::1]", "/bkt/k"),
        ];
        for (endpoint, bucket, key, host, path) in table {
            let address = Address::parse(endpoint).unwrap();
            assert_eq!(address.locate(bucket, key), (host.to_owned(), path.to_owned()), "{endpoint}");
        }
        for bad in ["ftp://h", "http://", "https://h/path", "https://h?x"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn escapes_every_byte_but_the_unreserved() {
        assert_eq!(encode_key("a/b c+d%e~é?#&=:@!*'()"), "a/b%20c%2Bd%25e~%C3%A9%3F%23%26%3D%3A%40%21%2A%27%28%29");
        for byte in 0u8..=127 {
            let text = char::from(byte).to_string();
            let plain = byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
            let expected = if plain { text.clone() } else { format!("%{byte:02X}") };
            assert_eq!(encode_key(&text), expected);
        }
    }
}
