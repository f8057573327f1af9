//! What an object is given besides its bytes, in the dialect of S3 that OBS understands.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use time::OffsetDateTime;

use crate::auth::Secret;
use crate::obs::client::Client;
use crate::obs::control::ObjectInfo;
use crate::obs::error::Error;
use crate::obs::media::media_type;

/// What begins the name of a header with metadata.
const METADATA: &str = "x-amz-meta-";

/// Stores take this much metadata for an object, names included.
const MOST_METADATA: usize = 2048;

/// The words of OBS for storage classes, and those of the dialect.
const STORAGE_CLASSES: [(&str, &str); 8] = [
    ("STANDARD", "STANDARD"),
    ("WARM", "STANDARD_IA"),
    ("COLD", "GLACIER"),
    ("DEEP_ARCHIVE", "DEEP_ARCHIVE"),
    ("INTELLIGENT_TIERING", "INTELLIGENT_TIERING"),
    ("STANDARD_IA", "STANDARD_IA"),
    ("GLACIER", "GLACIER"),
    ("GLACIER_IR", "GLACIER_IR"),
];

/// What new objects are given. The default gives nothing: the store decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// Where none is given, guess it from the end of the key.
    pub guess_type: bool,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// Storage class, in the words of OBS or of the dialect.
    pub storage_class: Option<String>,
    /// Canned access list, such as `public-read`.
    pub acl: Option<String>,
    /// How the store encrypts.
    pub encryption: Option<Encryption>,
    /// Objects that exist are left alone: the request fails with 412. Stores that do not know the condition overwrite.
    pub no_overwrite: bool,
    /// User metadata.
    pub metadata: Metadata,
}

/// User metadata: names and values that can be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    // Whole names of headers, lower case.
    headers: Vec<(String, String)>,
}

/// Encryption at the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// With a key that the store keeps to itself.
    Store,
    /// With a key of the key management service: this one, or its default.
    Kms(Option<Secret>),
    /// With a key that only the caller has; every request for the object needs it.
    Customer(CustomerKey),
}

/// A key of 256 bits that the store forgets after each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerKey {
    // Both in base64.
    key: Secret,
    md5: String,
}

impl CustomerKey {
    /// Reads a key: 32 bytes, or the same in hex or base64 with blanks around it.
    ///
    /// # Errors
    /// When it is none of these; the text is not repeated.
    pub fn parse(content: &[u8]) -> Result<Self, String> {
        let text = content.trim_ascii();
        let decoded = match (content.len(), text.len()) {
            (32, _) => Some(content.to_vec()),
            (_, 64) => hex::decode(text).ok(),
            _ => STANDARD.decode(text).ok(),
        };
        let bytes = decoded.filter(|bytes| bytes.len() == 32).ok_or("a key has 32 bytes, plain, in hex or in base64")?;
        let key = Self { key: Secret::new(STANDARD.encode(&bytes)), md5: STANDARD.encode(Md5::digest(&bytes)) };
        drop(Secret::new(String::from_utf8(bytes).unwrap_or_default()));
        Ok(key)
    }
}

impl Metadata {
    /// Adds user metadata.
    ///
    /// # Errors
    /// Why the name or the value cannot be sent.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || !name.bytes().all(is_plain) {
            return Err("a name of metadata has letters, digits, hyphens, dots and underscores only".to_owned());
        }
        let name = format!("{METADATA}{}", name.to_ascii_lowercase());
        if self.headers.iter().any(|(other, _)| *other == name) {
            return Err(format!("[{}] is given twice", &name[METADATA.len()..]));
        }
        self.headers.push((name, header_text(value)?));
        let length: usize = self.headers.iter().map(|(name, value)| name.len() - METADATA.len() + value.len()).sum();
        if length > MOST_METADATA {
            return Err(format!("an object has at most {MOST_METADATA} bytes of metadata"));
        }
        Ok(())
    }

    /// Names, without the prefix of their headers, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (&name[METADATA.len()..], value.as_str()))
    }
}

impl Attributes {
    /// Whether anything is given that the metadata of a copied object would be replaced by.
    pub(crate) fn replaces_metadata(&self) -> bool {
        self.content_type.is_some() || self.cache_control.is_some() || !self.metadata.headers.is_empty()
    }

    /// Headers of a request that makes an object: put, begin of an upload in parts, copy.
    pub(crate) fn add_headers<'a>(&'a self, key: &str, headers: &mut Vec<(&'a str, &'a str)>) {
        let guessed = if self.guess_type { media_type(key) } else { None };
        let class = self.storage_class.as_deref().map(|class| dialect_class(class).unwrap_or(class));
        let optional = [
            ("content-type", self.content_type.as_deref().or(guessed)),
            ("cache-control", self.cache_control.as_deref()),
            ("x-amz-storage-class", class),
            ("x-amz-acl", self.acl.as_deref()),
        ];
        headers.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        headers.extend(self.metadata.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        match &self.encryption {
            Some(Encryption::Store) => headers.push(("x-amz-server-side-encryption", "AES256")),
            Some(Encryption::Kms(key)) => {
                headers.push(("x-amz-server-side-encryption", "aws:kms"));
                headers.extend(key.as_ref().map(|key| ("x-amz-server-side-encryption-aws-kms-key-id", key.expose())));
            }
            Some(Encryption::Customer(_)) | None => {}
        }
        self.add_key(headers);
    }

    /// Headers of a request that ends the making of an object: put, end of an upload in parts.
    pub(crate) fn add_condition(&self, headers: &mut Vec<(&str, &str)>) {
        if self.no_overwrite {
            headers.push(("if-none-match", "*"));
        }
    }

    /// Headers that every request for the bytes of an object needs.
    pub(crate) fn add_key<'a>(&'a self, headers: &mut Vec<(&'a str, &'a str)>) {
        if let Some(Encryption::Customer(key)) = &self.encryption {
            headers.push(("x-amz-server-side-encryption-customer-algorithm", "AES256"));
            headers.push(("x-amz-server-side-encryption-customer-key", key.key.expose()));
            headers.push(("x-amz-server-side-encryption-customer-key-md5", &key.md5));
        }
    }

    /// The same for the source of a copy inside the store.
    pub(crate) fn add_source_key<'a>(&'a self, headers: &mut Vec<(&'a str, &'a str)>) {
        if let Some(Encryption::Customer(key)) = &self.encryption {
            headers.push(("x-amz-copy-source-server-side-encryption-customer-algorithm", "AES256"));
            headers.push(("x-amz-copy-source-server-side-encryption-customer-key", key.key.expose()));
            headers.push(("x-amz-copy-source-server-side-encryption-customer-key-md5", &key.md5));
        }
    }
}

impl Client {
    /// The same client, whose new objects are given these attributes.
    ///
    /// # Errors
    /// [`Error::Source`] for a customer's key and a connection that others can read.
    pub fn with_attributes(mut self, attributes: Attributes) -> Result<Self, Error> {
        if matches!(attributes.encryption, Some(Encryption::Customer(_))) && !self.inner.address.is_private() {
            return Err(Error::Source("an encryption key is sent over https only".to_owned()));
        }
        self.attributes = attributes.into();
        Ok(self)
    }

    /// The same client, which leaves objects that exist alone.
    pub(crate) fn keeping_objects(mut self) -> Self {
        std::sync::Arc::make_mut(&mut self.attributes).no_overwrite = true;
        self
    }
}

/// The dialect's word for a storage class, whatever its case.
pub fn dialect_class(word: &str) -> Option<&'static str> {
    STORAGE_CLASSES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, class)| *class)
}

/// Text that can be the value of a header, without the blanks around it.
///
/// # Errors
/// Why it cannot.
pub fn header_text(text: &str) -> Result<String, String> {
    let text = text.trim_matches(' ');
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        Ok(text.to_owned())
    } else {
        Err("headers hold printable ASCII only: no line breaks, no accents".to_owned())
    }
}

/// Modification time (seconds and nanoseconds since 1970) and mode of a file as headers with metadata, under the names and in
/// the forms that s3fs and rclone read.
pub fn preserved(modified: Option<(i64, u32)>, mode: Option<u32>) -> Vec<(&'static str, String)> {
    let modified = modified.map(|(seconds, nanoseconds)| match nanoseconds {
        0 => ("x-amz-meta-mtime", seconds.to_string()),
        _ => ("x-amz-meta-mtime", format!("{seconds}.{nanoseconds:09}")),
    });
    modified.into_iter().chain(mode.map(|mode| ("x-amz-meta-mode", mode.to_string()))).collect()
}

/// Adds headers with metadata, except those whose names are there already.
pub(crate) fn add_metadata<'a>(metadata: &'a [(&'static str, String)], headers: &mut Vec<(&'a str, &'a str)>) {
    for (name, value) in metadata {
        if !headers.iter().any(|(other, _)| other == name) {
            headers.push((name, value));
        }
    }
}

/// What metadata says of the file that an object was made of; nothing of what makes no sense there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preserved {
    /// When the file was last written.
    pub modified: Option<OffsetDateTime>,
    /// Its permissions, nothing else of its mode.
    pub mode: Option<u32>,
}

impl Preserved {
    /// Reads metadata; `value` gives that of a name.
    pub fn read<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Self {
        let modified = value("mtime").and_then(preserved_time).and_then(|(seconds, nanoseconds)| {
            OffsetDateTime::from_unix_timestamp(seconds).ok()?.replace_nanosecond(nanoseconds).ok()
        });
        Self { modified, mode: value("mode").and_then(preserved_mode) }
    }

    /// Reads the metadata of an object that was looked at.
    pub fn of(info: &ObjectInfo) -> Self {
        let is = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
        Self::read(|name| info.metadata.iter().find(|(other, _)| is(name, other)).map(|(_, value)| value.as_str()))
    }
}

/// Reads `mode` of metadata: permissions of a file. s3fs writes modes as decimal, rclone as octal numbers; the bits that say
/// that it is a file tell which it is.
pub fn preserved_mode(value: &str) -> Option<u32> {
    let value = value.trim();
    let digits = value.bytes().all(|byte| byte.is_ascii_digit()).then_some(value)?;
    let is_file = |mode: &u32| mode >> 12 == 0o10;
    let decimal = digits.parse().ok().filter(is_file);
    decimal.or_else(|| u32::from_str_radix(digits, 8).ok().filter(is_file)).map(|mode| mode & 0o777)
}

/// Reads `mtime` of metadata: seconds and nanoseconds since 1970.
pub fn preserved_time(value: &str) -> Option<(i64, u32)> {
    let (seconds, fraction) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    Some((seconds.parse().ok()?, digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))))
}

#[cfg(test)]
mod tests {
    use super::{Attributes, CustomerKey, Encryption, dialect_class, header_text, preserved, preserved_mode, preserved_time};
    use crate::auth::Secret;

    fn headers(attributes: &Attributes, key: &str) -> String {
        let mut headers = Vec::new();
        attributes.add_headers(key, &mut headers);
        let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        lines.join("\n")
    }

    #[test]
    fn speaks_the_dialect() {
        assert_eq!(headers(&Attributes::default(), "a.csv"), "");
        let guessing = Attributes { guess_type: true, ..Attributes::default() };
        assert_eq!(headers(&guessing, "p/a.CSV"), "content-type: text/csv");
        assert_eq!(headers(&guessing, "p.csv/a"), "");
        let mut full = Attributes {
            content_type: Some("x/y".into()),
            cache_control: Some("no-store".into()),
            storage_class: Some("warm".into()),
            acl: Some("public-read".into()),
            encryption: Some(Encryption::Kms(Some(Secret::new("key-1")))),
            ..guessing
        };
        full.metadata.add("Run-Id", " 7  b ").unwrap();
        let expected = "content-type: x/y\ncache-control: no-store\nx-amz-storage-class: STANDARD_IA\nx-amz-acl: public-read\n\
            x-amz-meta-run-id: 7  b\nx-amz-server-side-encryption: aws:kms\nx-amz-server-side-encryption-aws-kms-key-id: key-1";
        assert_eq!(headers(&full, "a.csv"), expected);
        assert!(!format!("{full:?}").contains("key-1"));
        assert_eq!(dialect_class("Cold"), Some("GLACIER"));
        assert_eq!(dialect_class("frozen"), None);
    }

    #[test]
    fn keys_of_customers_stay_secret() {
        let plain = [7u8; 32];
        let key = CustomerKey::parse(&plain).unwrap();
        for other in
            [hex::encode(plain), format!("{}\n", hex::encode(plain)), "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n".into()]
        {
            assert_eq!(CustomerKey::parse(other.as_bytes()).unwrap(), key, "{other}");
        }
        for bad in [&b""[..], b"short", &[0; 31], &[0; 33], b"BwcH", &[b'x'; 64]] {
            assert!(CustomerKey::parse(bad).is_err());
        }
        let attributes = Attributes { encryption: Some(Encryption::Customer(key)), ..Attributes::default() };
        assert!(!format!("{attributes:?}").contains("BwcH"));
        let shown = headers(&attributes, "a");
        assert!(shown.contains("customer-algorithm: AES256\n") && shown.contains("customer-key: BwcHBwcH"), "{shown}");
        assert!(shown.contains("customer-key-md5: "), "{shown}");
    }

    #[test]
    fn d3_9_refuses_what_would_become_another_header() {
        let mut attributes = super::Metadata::default();
        for (name, value) in
            [("a\r\nx", "1"), ("", "1"), ("a b", "1"), ("a:b", "1"), ("é", "1"), ("a", "1\r\nx: y"), ("a", "é"), ("a", "\0")]
        {
            assert!(attributes.add(name, value).is_err(), "{name:?} {value:?}");
        }
        attributes.add("a", "1").unwrap();
        assert!(attributes.add("A", "2").is_err(), "names have no case");
        assert!(attributes.add("b", &"x".repeat(2048)).is_err());
        assert_eq!(attributes.iter().next(), Some(("a", "1")));
        assert!(header_text("a\tb").is_err() && header_text("x\n").is_err());
    }

    #[test]
    fn keeps_time_and_mode_of_files() {
        let metadata = preserved(Some((1_700_000_000, 12)), Some(0o100_644));
        let expected = [("x-amz-meta-mtime", "1700000000.000000012"), ("x-amz-meta-mode", "33188")];
        assert_eq!(metadata, expected.map(|(name, value)| (name, value.to_owned())));
        for (mode, permissions) in [("33188", 0o644), ("0100755", 0o755), ("100600", 0o600), ("36863", 0o777)] {
            assert_eq!(preserved_mode(mode), Some(permissions), "{mode}");
        }
        for bad in ["", "644", "0755", "16877", "41471", "-33188", "+33188", "120777", "99999999999", "rwx", "33188x"] {
            assert_eq!(preserved_mode(bad), None, "{bad}");
        }
        assert_eq!(preserved_time("1700000000.000000012"), Some((1_700_000_000, 12)));
        assert_eq!(preserved_time("-1.5"), Some((-1, 500_000_000)), "as it is written");
        assert_eq!(preserved_time("1700000000"), Some((1_700_000_000, 0)));
        for bad in ["", "x", "1.x", "2023-11-14T22:13:20Z"] {
            assert_eq!(preserved_time(bad), None, "{bad}");
        }
    }
}
