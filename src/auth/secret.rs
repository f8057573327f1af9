//! A value that cannot be printed by accident.

use std::fmt;

use zeroize::Zeroize;

/// What stands in place of a secret wherever it would be printed.
pub const MASK: &str = "***";

/// An access key id as it may be shown: the first four characters, by which people know their keys.
pub fn masked(access_key: &str) -> String {
    let known = if access_key.len() > 8 { 4 } else { 0 };
    format!("{}{MASK}", access_key.chars().take(known).collect::<String>())
}

/// The address of an endpoint or proxy as it may be shown: without the user information, which may hold a password.
pub fn masked_address(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").map_or(("", address), |(scheme, rest)| (scheme, rest));
    let separator = if rest.len() == address.len() { "" } else { "://" };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // A password may hold any of these when nobody has escaped it: the last `@` ends it then.
    let host = match rest[..end].rfind('@').or_else(|| rest.rfind('@')) {
        Some(at) => &rest[at..],
        None => return address.to_owned(),
    };
    format!("{scheme}{separator}{MASK}{host}")
}

/// Wraps a password, secret key or token: `Debug` and `Display` print [`MASK`], the memory is wiped when dropped.
///
/// Only the profile writer, the signers and the request builders call [`Secret::expose`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes ownership of the plain text.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The plain text. Never pass it to a formatter.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the wrapped text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MASK)
    }
}

impl std::str::FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        Ok(Self::from(value))
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{Secret, masked, masked_address};

    #[test]
    fn ids_and_addresses_are_shown_without_what_they_hide() {
        assert_eq!((masked("AKDEFAULT01"), masked("short")), ("AKDE***".to_owned(), "***".to_owned()));
        for (address, shown) in [
            ("https://u:p@obs.example/x", "https://***@obs.example/x"),
            ("http://user@h:1", "http://***@h:1"),
            ("u:p@h", "***@h"),
            ("http://u:p/w@h:1", "http://***@h:1"),
            ("https://u:a@b@h", "https://***@h"),
            ("https://obs.example/", "https://obs.example/"),
            ("host:80", "host:80"),
        ] {
            assert_eq!(masked_address(address), shown);
        }
    }

    #[test]
    fn d2_1_is_masked_in_every_format() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(secret.expose(), "hunter2");
    }
}
