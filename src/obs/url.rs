//! `obs://bucket/key`.

use std::fmt;
use std::str::FromStr;

use crate::obs::Error;

/// An object, a prefix, or a whole bucket (empty key).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObsUrl {
    /// Name of the bucket.
    pub bucket: String,
    /// Key or prefix, exactly as the store knows it: nothing is decoded or normalised.
    pub key: String,
}

impl ObsUrl {
    /// What such a URL begins with.
    pub const SCHEME: &'static str = "obs://";

    /// An address from its parts.
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: key.into() }
    }

    /// Whether the text means an object store at all (any case of `obs://`, or `s3://`).
    pub fn looks_like(text: &str) -> bool {
        Self::strip_scheme(text).is_some()
    }

    fn strip_scheme(text: &str) -> Option<&str> {
        [Self::SCHEME, "s3://"]
            .iter()
            .find(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
            .map(|scheme| &text[scheme.len()..])
    }

    /// Whether it can only mean a folder: the whole bucket, or a key that ends with `/`.
    pub fn is_folder(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }

    /// The same address as a folder: a `/` is added where one is missing.
    #[must_use]
    pub fn as_folder(&self) -> Self {
        let mut folder = self.clone();
        if !folder.is_folder() {
            folder.key.push('/');
        }
        folder
    }

    /// The address of something below this folder.
    #[must_use]
    pub fn join(&self, relative: &str) -> Self {
        let mut joined = self.as_folder();
        joined.key.push_str(relative);
        joined
    }

    /// Last element of the key without slashes: `c` of both `a/b/c` and `a/b/c/`; empty for a bucket.
    pub fn name(&self) -> &str {
        let trimmed = self.key.trim_end_matches('/');
        trimmed.rsplit('/').next().unwrap_or(trimmed)
    }
}

impl FromStr for ObsUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |reason: &str| Error::Url(format!("[{text}] is not a valid OBS path: {reason}"));
        let rest = Self::strip_scheme(text).ok_or_else(|| invalid("it does not begin with obs://"))?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(invalid("the bucket is missing"));
        }
        if !bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')) {
            return Err(invalid("a bucket's name has letters, digits, dots and hyphens only"));
        }
        Ok(Self::new(bucket, key))
    }
}

impl fmt::Display for ObsUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}/{}", Self::SCHEME, self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::ObsUrl;

    #[test]
    fn reads_addresses() {
        let table = [
            ("obs://b", "b", "", "", true),
            ("obs://b/", "b", "", "", true),
            ("OBS://b/k", "b", "k", "k", false),
            ("s3://b/a/k", "b", "a/k", "k", false),
            ("obs://b/a/b/", "b", "a/b/", "b", true),
            ("obs://b//k", "b", "/k", "k", false),
            ("obs://b/a%20b c", "b", "a%20b c", "a%20b c", false),
        ];
        for (text, bucket, key, name, folder) in table {
            let url: ObsUrl = text.parse().unwrap();
            assert_eq!((url.bucket.as_str(), url.key.as_str()), (bucket, key), "{text}");
            assert_eq!((url.name(), url.is_folder()), (name, folder), "{text}");
        }
        for bad in ["b/k", "obs:/b", "obs://", "obs:///k", "obs://a b/k", "http://b/k"] {
            assert!(bad.parse::<ObsUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn joins_and_prints() {
        let url = ObsUrl::new("b", "a");
        assert_eq!(url.join("x/y").to_string(), "obs://b/a/x/y");
        assert_eq!(ObsUrl::new("b", "a/").join("x").to_string(), "obs://b/a/x");
        assert_eq!(ObsUrl::new("b", "").join("x").to_string(), "obs://b/x");
    }
}
