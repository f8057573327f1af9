//! Whether a file has the content that an ETag tells of: an MD5, or the MD5 of the parts' MD5s where their size can be told.

use std::io::Read;

use md5::{Digest as _, Md5};

use crate::copy::parts::Division;

const MIB: u64 = 1024 * 1024;

/// Part sizes that copiers use, in MiB: s5cmd 50, rclone and the vendor's tools 5 to 9, aws-cli 8, others powers of two.
const USUAL_MIB: [u64; 14] = [5, 8, 9, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128, 256];

/// Part sizes that are tried at the same time at most.
const TRIED: usize = 4;

/// Compares; none where the ETag is no MD5, or was made of parts whose size cannot be guessed and does not fit any that is.
pub fn matches(mut file: impl Read, size: u64, etag: &str, part_size: Option<u64>) -> Option<bool> {
    let (digest, parts) = parse(etag)?;
    let sizes = match parts {
        None => vec![u64::MAX],
        Some(parts) => part_sizes(size, parts, part_size),
    };
    if sizes.is_empty() {
        return None;
    }
    let mut candidates: Vec<Candidate> = sizes.into_iter().map(Candidate::new).collect();
    let mut buffer = vec![0; 256 * 1024];
    let mut left = size;
    while left > 0 {
        let length = file.read(&mut buffer).ok()?;
        if length == 0 {
            // It became shorter: then it differs.
            return Some(false);
        }
        candidates.iter_mut().for_each(|candidate| candidate.update(&buffer[..length]));
        left = left.saturating_sub(length as u64);
    }
    let same = candidates.into_iter().any(|candidate| candidate.finish(parts.is_some()) == digest);
    // A composite that does not fit may have been made with other parts.
    if same || parts.is_none() { Some(same) } else { None }
}

/// Whether two objects have the same content; none where their ETags do not tell.
pub fn same(left: &str, right: &str) -> Option<bool> {
    let (left, right) = (parse(left)?, parse(right)?);
    // Composites of other parts differ though the content may not.
    if left == right { Some(true) } else { (left.1.is_none() && right.1.is_none()).then_some(false) }
}

/// The digest and, of a composite, the number of parts.
fn parse(etag: &str) -> Option<([u8; 16], Option<u64>)> {
    let (digest, parts) = match etag.split_once('-') {
        Some((digest, parts)) => (digest, Some(parts.parse().ok()?)),
        None => (etag, None),
    };
    let mut bytes = [0; 16];
    hex::decode_to_slice(digest, &mut bytes).ok()?;
    Some((bytes, parts))
}

fn part_sizes(size: u64, parts: u64, asked: Option<u64>) -> Vec<u64> {
    let division = Division::new(size, asked);
    let own = division.parts().next().map(|part| part.length).filter(|_| division.count() == parts);
    let usual = USUAL_MIB.into_iter().map(|mib| mib * MIB).filter(|length| size.div_ceil(*length).max(1) == parts);
    let mut sizes: Vec<u64> = own.into_iter().chain(usual).collect();
    let mut tried = Vec::new();
    sizes.retain(|length| {
        !tried.contains(length) && {
            tried.push(*length);
            true
        }
    });
    sizes.truncate(TRIED);
    sizes
}

struct Candidate {
    part_size: u64,
    part: Md5,
    left: u64,
    whole: Md5,
}

impl Candidate {
    fn new(part_size: u64) -> Self {
        Self { part_size, part: Md5::new(), left: part_size, whole: Md5::new() }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left == 0 {
                self.whole.update(std::mem::take(&mut self.part).finalize());
                self.left = self.part_size;
            }
            let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            self.part.update(&bytes[..length]);
            self.left -= length as u64;
            bytes = &bytes[length..];
        }
    }

    fn finish(mut self, is_composite: bool) -> [u8; 16] {
        let last = self.part.finalize();
        if !is_composite {
            return last.into();
        }
        self.whole.update(last);
        self.whole.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use md5::{Digest as _, Md5};

    use super::{MIB, matches};

    fn composite(content: &[u8], part_size: usize) -> String {
        let mut whole = Md5::new();
        content.chunks(part_size).for_each(|part| whole.update(Md5::digest(part)));
        format!("{}-{}", hex::encode(whole.finalize()), content.chunks(part_size).count())
    }

    #[test]
    fn compares_with_any_usual_etag() {
        let content = vec![7_u8; 17 * 1024 * 1024 + 5];
        let size = content.len() as u64;
        let mib = |count: u64| usize::try_from(count * MIB).unwrap();
        let plain = hex::encode(Md5::digest(&content));
        assert_eq!(matches(content.as_slice(), size, &plain, None), Some(true));
        for part in [5, 8, 15, 16] {
            assert_eq!(matches(content.as_slice(), size, &composite(&content, mib(part)), None), Some(true), "{part}");
        }
        assert_eq!(matches(content.as_slice(), size, &composite(&content, mib(7)), None), None, "unusual parts");
        assert_eq!(matches(content.as_slice(), size, &composite(&content, mib(7)), Some(7 * MIB)), Some(true));
        let mut other = content.clone();
        other[9] = 8;
        assert_eq!(matches(other.as_slice(), size, &plain, None), Some(false));
        assert_eq!(matches(&content[1..], size, &plain, None), Some(false));
        for odd in ["", "abc", "zz", "0123-x"] {
            assert_eq!(matches(content.as_slice(), size, odd, None), None, "{odd}");
        }
        assert_eq!(matches([].as_slice(), 0, "d41d8cd98f00b204e9800998ecf8427e", None), Some(true));
    }
}
