//! Digests of bytes as they pass: MD5 and CRC-64 always, others when a request names them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use http::HeaderMap;
use md5::{Digest as _, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::Checksum as _;
use s3s::{S3ErrorCode, TrailingHeaders};
use sha2::Sha256;

use super::content::Sums;
use super::error::Failure;
use super::gate::Verified;

/// CRC-64/XZ, the one OBS calls `crc64ecma`.
pub(super) const CRC64: CrcAlgorithm = CrcAlgorithm::Crc64Xz;

/// The header in which clients of either dialect find and give the CRC-64, decimal.
pub(super) const CRC64_HEADERS: [&str; 2] = ["x-amz-checksum-crc64ecma", "x-obs-checksum-crc64ecma"];

/// What a request says about the bytes it brings.
#[derive(Debug, Default)]
pub(super) struct Expected {
    md5: Option<Vec<u8>>,
    crc64: Option<u64>,
    /// Lower-case hex; only where the framework does not check it itself.
    sha256_hex: Option<String>,
    sums: Sums,
    trailers: Option<TrailingHeaders>,
    length: Option<u64>,
}

impl Expected {
    /// Reads the headers; `sums` and `content_md5` come from the framework.
    ///
    /// # Errors
    /// `InvalidDigest` for a digest that is none.
    pub(super) fn new(
        headers: &HeaderMap,
        extensions: &http::Extensions,
        mut sums: Sums,
        content_md5: Option<&str>,
        algorithm: Option<&str>,
        trailers: Option<TrailingHeaders>,
    ) -> Result<Self, Failure> {
        let md5 = match content_md5 {
            None => None,
            Some(text) => match STANDARD.decode(text.trim()) {
                Ok(bytes) if bytes.len() == 16 => Some(bytes),
                _ => return Err(S3ErrorCode::InvalidDigest.into()),
            },
        };
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(name) = algorithm {
            sums.want(name);
        }
        for name in text("x-amz-trailer").unwrap_or_default().split(',') {
            sums.want(name.trim());
        }
        // The framework checks this header only for the signatures it verifies itself.
        let sha256_hex = extensions
            .get::<Verified>()
            .and_then(|_| text("x-amz-content-sha256"))
            .filter(|value| value.len() == 64)
            .map(str::to_ascii_lowercase);
        let crc64 = match CRC64_HEADERS.iter().find_map(|name| text(name)) {
            None => None,
            Some(value) => Some(value.parse().map_err(|_| Failure::from(S3ErrorCode::InvalidDigest))?),
        };
        Ok(Self { md5, crc64, sha256_hex, sums, trailers, length: None })
    }

    /// Also insists on a number of bytes.
    #[must_use]
    pub(super) fn with_length(mut self, length: Option<i64>) -> Self {
        self.length = length.and_then(|length| u64::try_from(length).ok());
        self
    }

    /// A digester that computes what is needed to compare.
    pub(super) fn digester(&self) -> Digester {
        Digester {
            md5: Md5::new(),
            crc64: crc_fast::Digest::new(CRC64),
            sha256: self.sha256_hex.as_ref().map(|_| Sha256::new()),
            sums: ChecksumHasher {
                crc32: self.sums.crc32.as_ref().map(|_| s3s::crypto::Crc32::new()),
                crc32c: self.sums.crc32c.as_ref().map(|_| s3s::crypto::Crc32c::new()),
                sha1: self.sums.sha1.as_ref().map(|_| s3s::crypto::Sha1::new()),
                sha256: self.sums.sha256.as_ref().map(|_| s3s::crypto::Sha256::new()),
                crc64nvme: self.sums.crc64nvme.as_ref().map(|_| s3s::crypto::Crc64Nvme::new()),
            },
            size: 0,
        }
    }

    /// Compares, once all bytes are there.
    ///
    /// # Errors
    /// `BadDigest` or `IncompleteBody`.
    pub(super) fn check(mut self, found: &Digests) -> Result<(), Failure> {
        if self.length.is_some_and(|length| length != found.size) {
            return Err(S3ErrorCode::IncompleteBody.into());
        }
        if let Some(trailers) = self.trailers.take() {
            trailers.read(|headers| {
                for (name, value) in headers {
                    if let (Some(place), Ok(value)) = (self.sums.place(name.as_str()), value.to_str()) {
                        *place = Some(value.to_owned());
                    }
                }
            });
        }
        let sums_differ = self
            .sums
            .pairs(&found.sums)
            .iter()
            .any(|(wanted, got)| wanted.is_some_and(|wanted| !wanted.is_empty() && *got != Some(wanted)));
        let bad = self.md5.as_deref().is_some_and(|md5| md5 != found.md5)
            || self.crc64.is_some_and(|crc64| crc64 != found.crc64)
            || self.sha256_hex.is_some() && self.sha256_hex != found.sha256_hex
            || sums_differ;
        if bad {
            return Err(Failure::answer(S3ErrorCode::BadDigest, "The digest you specified did not match what was received."));
        }
        Ok(())
    }
}

/// Digests under way.
pub(super) struct Digester {
    md5: Md5,
    crc64: crc_fast::Digest,
    sha256: Option<Sha256>,
    sums: ChecksumHasher,
    size: u64,
}

impl Digester {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.crc64.update(bytes);
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        self.sums.update(bytes);
        self.size += bytes.len() as u64;
    }

    pub(super) fn finish(self) -> Digests {
        Digests {
            size: self.size,
            md5: self.md5.finalize().into(),
            crc64: self.crc64.finalize(),
            sha256_hex: self.sha256.map(|sha256| hex::encode(sha256.finalize())),
            sums: self.sums.finalize().into(),
        }
    }
}

/// Digests of all bytes.
#[derive(Debug, Clone)]
pub(super) struct Digests {
    pub(super) size: u64,
    pub(super) md5: [u8; 16],
    pub(super) crc64: u64,
    pub(super) sha256_hex: Option<String>,
    pub(super) sums: Sums,
}

impl Digests {
    /// The entity tag of an object that came in one piece.
    pub(super) fn etag(&self) -> String {
        hex::encode(self.md5)
    }
}

#[cfg(test)]
mod tests {
    use super::Expected;

    #[test]
    fn the_crc_is_the_one_of_obs() {
        let mut digester = Expected::default().digester();
        digester.update(b"1234");
        digester.update(b"56789");
        let found = digester.finish();
        assert_eq!(found.crc64, 0x995D_C9BB_DF19_39FA);
        assert_eq!(found.etag(), "25f9e794323b453885f5181f1b624d0b");
        assert_eq!(found.size, 9);
    }
}
