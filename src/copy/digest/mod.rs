//! Digests that are computed while bytes stream, and what they are compared with.

mod lanes;

use crc_fast::{CrcAlgorithm, checksum_combine};

pub use lanes::Md5;
pub(in crate::copy) use lanes::joins_streams;

use crate::copy::error::Error;
use crate::obs;
use crate::obs::bytes::Tags;

/// How it is made sure that the bytes arrived (`--verify`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// The strongest check that the store allows.
    #[default]
    Auto,
    /// MD5 against the ETag; fails where the ETag is no MD5.
    Md5,
    /// The store's CRC; fails where it gives none.
    Crc,
    /// Length, range and version only.
    Size,
    /// As `Size`, and the summary says that nothing was checked.
    None,
}

/// The check that confirmed a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// MD5 against the store's ETag.
    Md5,
    /// The store's CRC.
    Crc,
    /// Length, range and version.
    Size,
    /// Nothing, as asked for.
    None,
}

impl Check {
    /// The weaker of two: a file is as sure as its least sure part.
    #[must_use]
    pub fn weaker(self, other: Self) -> Self {
        let rank = |check| match check {
            Self::None => 0,
            Self::Size => 1,
            Self::Crc => 2,
            Self::Md5 => 3,
        };
        if rank(self) <= rank(other) { self } else { other }
    }
}

/// A digest under way.
pub enum Digester {
    /// MD5.
    Md5(Md5),
    /// CRC-64/XZ, as OBS answers it, or CRC-64/NVME, as the AWS family does.
    Crc(CrcAlgorithm, Box<crc_fast::Digest>),
    /// None.
    Nothing,
}

impl std::fmt::Debug for Digester {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Md5(_) => "Md5",
            Self::Crc(..) => "Crc",
            Self::Nothing => "Nothing",
        })
    }
}

/// A finished digest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// MD5 of the bytes.
    Md5([u8; 16]),
    /// CRC of the bytes, and how many they were.
    Crc(CrcAlgorithm, u64, u64),
    /// None was computed.
    Nothing,
}

/// The digests of messages in memory that are to be sent, computed side by side.
pub(in crate::copy) fn digest_many(verify: Verify, messages: &[&[u8]]) -> Vec<Value> {
    if let Digester::Md5(_) = Digester::for_upload(verify) {
        return lanes::md5_many(messages).into_iter().map(Value::Md5).collect();
    }
    let digest = |message: &&[u8]| {
        let mut digester = Digester::for_upload(verify);
        digester.update(message);
        digester.finish()
    };
    messages.iter().map(digest).collect()
}

impl Digester {
    /// What to compute while sending.
    pub fn for_upload(verify: Verify) -> Self {
        match verify {
            Verify::Auto | Verify::Md5 => Self::Md5(Md5::default()),
            Verify::Crc => Self::crc(CrcAlgorithm::Crc64Xz),
            Verify::Size | Verify::None => Self::Nothing,
        }
    }

    /// What to compute while receiving, given what the store says of the object. `whole`: the answer is the whole object, so
    /// its MD5 can be checked.
    pub fn for_download(verify: Verify, tags: &Tags, whole: bool) -> Self {
        let md5 = whole && tags.md5().is_some() && matches!(verify, Verify::Auto | Verify::Md5);
        match verify {
            _ if md5 => Self::Md5(Md5::default()),
            Verify::Auto | Verify::Crc if tags.crc64.is_some() => Self::crc(CrcAlgorithm::Crc64Xz),
            Verify::Auto | Verify::Crc if tags.crc64nvme.is_some() => Self::crc(CrcAlgorithm::Crc64Nvme),
            _ => Self::Nothing,
        }
    }

    fn crc(algorithm: CrcAlgorithm) -> Self {
        Self::Crc(algorithm, Box::new(crc_fast::Digest::new(algorithm)))
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(digest) => digest.update(bytes),
            Self::Crc(_, digest) => digest.update(bytes),
            Self::Nothing => {}
        }
    }

    /// Takes the next bytes of several streams; the MD5s among them are computed side by side.
    pub(in crate::copy) fn update_many<'a>(pieces: impl Iterator<Item = (&'a mut Self, &'a [u8])>) {
        lanes::update_many(pieces.filter_map(|(digester, bytes)| match digester {
            Self::Md5(digest) => Some((digest, bytes)),
            other => {
                other.update(bytes);
                None
            }
        }));
    }

    /// Ends the digest.
    pub fn finish(self) -> Value {
        match self {
            Self::Md5(digest) => Value::Md5(digest.finish()),
            Self::Crc(algorithm, digest) => Value::Crc(algorithm, digest.finalize(), digest.get_amount()),
            Self::Nothing => Value::Nothing,
        }
    }
}

impl Value {
    /// The digest of these bytes followed by others; nothing where digests cannot be joined.
    #[must_use]
    pub fn followed_by(self, next: Self) -> Self {
        match (self, next) {
            (Self::Crc(algorithm, first, length), Self::Crc(other, second, added)) if algorithm == other => {
                Self::Crc(algorithm, checksum_combine(algorithm, first, second, added), length + added)
            }
            _ => Self::Nothing,
        }
    }

    /// Compares with what the store says of the object or part.
    ///
    /// # Errors
    /// [`obs::Error::Digest`] when the bytes differ; [`Error::Unverifiable`] when the store says nothing that the asked-for
    /// check could be made with.
    pub fn compare(self, verify: Verify, operation: &'static str, target: &str, tags: &Tags) -> Result<Check, Error> {
        let differs = |digest, expected: String, found: String| {
            Err(Error::Store(obs::Error::Digest { operation, target: target.to_owned(), digest, expected, found }))
        };
        match self {
            Self::Md5(computed) => {
                if let Some(stored) = tags.md5() {
                    let mut bytes = [0; 16];
                    return if hex::decode_to_slice(stored, &mut bytes).is_ok() && bytes == computed {
                        Ok(Check::Md5)
                    } else {
                        differs("MD5", hex::encode(computed), stored.to_owned())
                    };
                }
            }
            Self::Crc(algorithm, computed, _) => {
                let stored = if algorithm == CrcAlgorithm::Crc64Xz { tags.crc64 } else { tags.crc64nvme };
                if let Some(stored) = stored {
                    return if stored == computed {
                        Ok(Check::Crc)
                    } else {
                        differs("CRC", format!("{computed:016x}"), format!("{stored:016x}"))
                    };
                }
            }
            Self::Nothing => {}
        }
        let unverifiable = |check, reason| Err(Error::Unverifiable { target: target.to_owned(), check, reason });
        match verify {
            Verify::Auto | Verify::Size => Ok(Check::Size),
            Verify::None => Ok(Check::None),
            Verify::Md5 => unverifiable("md5", "its ETag is not an MD5"),
            Verify::Crc => unverifiable("crc", "the store gives no CRC"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Check, Digester, Value, Verify};
    use crate::copy::Error;
    use crate::obs::bytes::Tags;
    use crc_fast::CrcAlgorithm;

    fn digest(mut digester: Digester, bytes: &[u8]) -> Value {
        digester.update(bytes);
        digester.finish()
    }

    #[test]
    fn compares_with_what_the_store_says() {
        let md5 = Tags { etag: "900150983cd24fb0d6963f7d28e17f72".into(), ..Tags::default() };
        let upper = Tags { etag: "900150983CD24FB0D6963F7D28E17F72".into(), ..Tags::default() };
        let other = Tags { etag: "d41d8cd98f00b204e9800998ecf8427e".into(), ..Tags::default() };
        let odd = Tags { etag: "odd".into(), ..Tags::default() };
        let abc = |verify| digest(Digester::for_upload(verify), b"abc");
        let compare = |verify, tags| abc(verify).compare(verify, "put", "t", tags);
        assert_eq!(compare(Verify::Auto, &md5).unwrap(), Check::Md5);
        assert_eq!(compare(Verify::Auto, &upper).unwrap(), Check::Md5);
        assert!(matches!(compare(Verify::Auto, &other), Err(Error::Store(_))));
        assert_eq!(compare(Verify::Auto, &odd).unwrap(), Check::Size);
        assert!(matches!(compare(Verify::Md5, &odd), Err(Error::Unverifiable { .. })));
        assert_eq!(compare(Verify::None, &other).unwrap(), Check::None);
        assert_eq!(compare(Verify::Size, &other).unwrap(), Check::Size);
        assert!(matches!(compare(Verify::Crc, &md5), Err(Error::Unverifiable { .. })));
    }

    #[test]
    fn computes_the_stores_crc() {
        let tags = Tags { crc64: Some(0x995D_C9BB_DF19_39FA), ..Tags::default() };
        let value = digest(Digester::for_download(Verify::Auto, &tags, false), b"123456789");
        assert_eq!(value.compare(Verify::Auto, "get", "t", &tags).unwrap(), Check::Crc);
    }

    proptest! {
        #[test]
        fn joins_crcs(first in proptest::collection::vec(any::<u8>(), 0..200), second in proptest::collection::vec(any::<u8>(), 0..200)) {
            for algorithm in [CrcAlgorithm::Crc64Xz, CrcAlgorithm::Crc64Nvme] {
                let crc = |bytes: &[u8]| digest(Digester::crc(algorithm), bytes);
                let joined = crc(&first).followed_by(crc(&second));
                prop_assert_eq!(joined, crc(&[first.clone(), second.clone()].concat()));
            }
        }
    }
}
