//! Digests as text, and how to compute the same again.

use crc_fast::CrcAlgorithm;

use crate::copy::digest::{Digester, Value, Verify};

const MD5: &str = "md5";
const CRC64_XZ: &str = "crc64xz";
const CRC64_NVME: &str = "crc64nvme";

/// A digest as a journal keeps it; `None` where there is none.
pub fn describe(value: Value) -> Option<String> {
    match value {
        Value::Md5(digest) => Some(format!("{MD5}:{}", hex::encode(digest))),
        Value::Crc(CrcAlgorithm::Crc64Xz, crc, _) => Some(format!("{CRC64_XZ}:{crc:016x}")),
        Value::Crc(CrcAlgorithm::Crc64Nvme, crc, _) => Some(format!("{CRC64_NVME}:{crc:016x}")),
        Value::Crc(..) | Value::Nothing => None,
    }
}

/// What is computed of a downloaded part for its journal alone, where nothing else has to be: the cheapest that finds damage.
pub fn for_download() -> Digester {
    crc(CrcAlgorithm::Crc64Nvme)
}

/// What computes the same kind of digest; `None` for a kind that is not known.
pub fn digester(described: &str) -> Option<Digester> {
    match described.split_once(':')?.0 {
        MD5 => Some(Digester::for_upload(Verify::Md5)),
        CRC64_XZ => Some(crc(CrcAlgorithm::Crc64Xz)),
        CRC64_NVME => Some(crc(CrcAlgorithm::Crc64Nvme)),
        _ => None,
    }
}

fn crc(algorithm: CrcAlgorithm) -> Digester {
    Digester::Crc(algorithm, Box::new(crc_fast::Digest::new(algorithm)))
}

#[cfg(test)]
mod tests {
    use super::{describe, digester};

    #[test]
    fn computes_the_same_digest_again() {
        for described in [
            "md5:25f9e794323b453885f5181f1b624d0b",
            "crc64xz:995dc9bbdf1939fa",
            // Check values of the catalogue of CRC algorithms.
            "crc64nvme:ae8b14860a799888",
        ] {
            let mut digester = digester(described).unwrap();
            digester.update(b"123456789");
            assert_eq!(describe(digester.finish()).as_deref(), Some(described));
        }
        assert!(digester("sha1:00").is_none() && digester("md5").is_none() && digester("").is_none());
    }
}
