//! What is kept beside the bytes of an object: the headers it came with and its checksums.

use std::collections::BTreeMap;

use s3s::dto::{Checksum, ChecksumAlgorithm, Timestamp, TimestampFormat};
use serde::{Deserialize, Serialize};

/// Headers given with an object and answered with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Content {
    pub(super) content_type: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    /// As an HTTP date.
    pub(super) expires: Option<String>,
    pub(super) website_redirect_location: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
}

impl Content {
    pub(super) fn expires(&self) -> Option<Timestamp> {
        self.expires.as_deref().and_then(|text| Timestamp::parse(TimestampFormat::HttpDate, text).ok())
    }
}

/// An HTTP date as text, for [`Content::expires`].
pub(super) fn http_date(time: &Timestamp) -> Option<String> {
    let mut text = Vec::with_capacity(32);
    time.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}

/// Takes the fields of [`Content`] out of a request of the framework; all requests that make objects name them alike.
macro_rules! content_of {
    ($input:expr) => {
        $crate::platform::obs::content::Content {
            content_type: $input.content_type.clone(),
            cache_control: $input.cache_control.clone(),
            content_disposition: $input.content_disposition.clone(),
            content_encoding: $input
                .content_encoding
                .as_deref()
                .and_then($crate::platform::obs::content::without_transfer_coding),
            content_language: $input.content_language.clone(),
            expires: $input.expires.as_ref().and_then($crate::platform::obs::content::http_date),
            website_redirect_location: $input.website_redirect_location.clone(),
            metadata: $input.metadata.clone().unwrap_or_default().into_iter().collect(),
        }
    };
}
pub(super) use content_of;

/// `aws-chunked` tells how a request travels and is no property of the object.
pub(super) fn without_transfer_coding(encoding: &str) -> Option<String> {
    let kept: Vec<&str> =
        encoding.split(',').map(str::trim).filter(|part| *part != "aws-chunked" && !part.is_empty()).collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// The checksums AWS clients send, in base64.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Sums {
    pub(super) crc32: Option<String>,
    pub(super) crc32c: Option<String>,
    pub(super) crc64nvme: Option<String>,
    pub(super) sha1: Option<String>,
    pub(super) sha256: Option<String>,
}

impl Sums {
    /// Marks the sum that `algorithm` names as wanted, if no value is there yet.
    pub(super) fn want(&mut self, algorithm: &str) {
        if let Some(place) = self.place(algorithm) {
            place.get_or_insert_default();
        }
    }

    /// The sum of that name (`CRC32` or `x-amz-checksum-crc32`), if it is one of the five.
    pub(super) fn place(&mut self, algorithm: &str) -> Option<&mut Option<String>> {
        let name = algorithm.to_ascii_lowercase();
        match name.strip_prefix("x-amz-checksum-").unwrap_or(&name) {
            "crc32" => Some(&mut self.crc32),
            "crc32c" => Some(&mut self.crc32c),
            "crc64nvme" => Some(&mut self.crc64nvme),
            "sha1" => Some(&mut self.sha1),
            "sha256" => Some(&mut self.sha256),
            _ => None,
        }
    }

    /// The same as pairs of wanted value (perhaps empty) and the other's value.
    pub(super) fn pairs<'a>(&'a self, other: &'a Self) -> [(Option<&'a str>, Option<&'a str>); 5] {
        [
            (self.crc32.as_deref(), other.crc32.as_deref()),
            (self.crc32c.as_deref(), other.crc32c.as_deref()),
            (self.crc64nvme.as_deref(), other.crc64nvme.as_deref()),
            (self.sha1.as_deref(), other.sha1.as_deref()),
            (self.sha256.as_deref(), other.sha256.as_deref()),
        ]
    }
}

impl From<Checksum> for Sums {
    fn from(sums: Checksum) -> Self {
        Self {
            crc32: sums.checksum_crc32,
            crc32c: sums.checksum_crc32c,
            crc64nvme: sums.checksum_crc64nvme,
            sha1: sums.checksum_sha1,
            sha256: sums.checksum_sha256,
        }
    }
}

/// Takes the five checksum fields out of a request or part of the framework.
macro_rules! sums_of {
    ($input:expr) => {
        $crate::platform::obs::content::Sums {
            crc32: $input.checksum_crc32.clone(),
            crc32c: $input.checksum_crc32c.clone(),
            crc64nvme: $input.checksum_crc64nvme.clone(),
            sha1: $input.checksum_sha1.clone(),
            sha256: $input.checksum_sha256.clone(),
        }
    };
}
pub(super) use sums_of;

/// Sets the five checksum fields of an answer of the framework.
macro_rules! set_sums {
    ($output:expr, $sums:expr) => {
        $output.checksum_crc32 = $sums.crc32;
        $output.checksum_crc32c = $sums.crc32c;
        $output.checksum_crc64nvme = $sums.crc64nvme;
        $output.checksum_sha1 = $sums.sha1;
        $output.checksum_sha256 = $sums.sha256;
    };
}
pub(super) use set_sums;

/// The name of an algorithm as text, for [`Sums::want`].
pub(super) fn algorithm_name(algorithm: Option<&ChecksumAlgorithm>) -> Option<&str> {
    algorithm.map(ChecksumAlgorithm::as_str)
}
