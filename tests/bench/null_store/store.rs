//! What the store remembers: sizes and digests, never contents.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use md5::{Digest as _, Md5};

pub(crate) type Digest = [u8; 16];

/// Size of the parts that synthetic large objects were, as it were, uploaded in.
const PART: u64 = 16 << 20;

/// Objects of `big/` up to that size were put in one piece.
const SINGLE: u64 = 8 << 20;

#[derive(Clone)]
pub(crate) struct Object {
    pub(crate) size: u64,
    /// With its quotes.
    pub(crate) tag: Arc<str>,
}

#[derive(Default)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) parts: BTreeMap<u32, (u64, Digest)>,
}

#[derive(Default)]
pub(crate) struct Store {
    objects: Mutex<BTreeMap<String, Object>>,
    uploads: Mutex<HashMap<String, Upload>>,
    /// Digests of what was uploaded, by key, part number (0 for a whole object) and length.
    known: Mutex<HashMap<String, Digest>>,
    zeros: Mutex<HashMap<u64, Digest>>,
    tags: Mutex<HashMap<u64, Arc<str>>>,
}

/// `synth/COUNT/BYTES/…`: a family of keys that exist without being uploaded.
pub(crate) struct Family<'a> {
    pub(crate) count: u64,
    pub(crate) size: u64,
    /// What comes after `synth/COUNT/BYTES/`; `None` without that last slash.
    pub(crate) name: Option<&'a str>,
}

impl<'a> Family<'a> {
    pub(crate) fn parse(key: &'a str) -> Option<Self> {
        let mut parts = key.strip_prefix("synth/")?.splitn(3, '/');
        Some(Self { count: parts.next()?.parse().ok()?, size: parts.next()?.parse().ok()?, name: parts.next() })
    }
}

impl Store {
    pub(crate) fn find(&self, key: &str) -> Option<Object> {
        if let Some(size) = key.strip_prefix("plain/") {
            let size = size.parse().ok()?;
            return Some(Object { size, tag: self.zero_tag(size) });
        }
        if let Some(size) = key.strip_prefix("big/") {
            let size = size.parse().ok()?;
            return Some(Object { size, tag: if size > SINGLE { self.large_tag(size) } else { self.zero_tag(size) } });
        }
        if let Some(family) = Family::parse(key) {
            let name = family.name.filter(|name| name.len() == 8)?;
            let is_member = name.parse::<u64>().is_ok_and(|number| number < family.count);
            return is_member.then(|| Object { size: family.size, tag: self.zero_tag(family.size) });
        }
        lock(&self.objects).get(key).cloned()
    }

    pub(crate) fn put(&self, key: &str, object: Object) {
        lock(&self.objects).insert(key.to_owned(), object);
    }

    pub(crate) fn delete(&self, key: &str) {
        lock(&self.objects).remove(key);
    }

    /// Uploaded objects in the order of their keys, from behind `after` on, as long as `take` says so.
    pub(crate) fn walk(&self, prefix: &str, after: &str, mut take: impl FnMut(&str, &Object) -> bool) {
        let from = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        let objects = lock(&self.objects);
        let found = objects.range::<str, _>((from, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix));
        for (key, object) in found {
            if !take(key, object) {
                return;
            }
        }
    }

    pub(crate) fn known(&self, name: &str) -> Option<Digest> {
        lock(&self.known).get(name).copied()
    }

    pub(crate) fn remember(&self, name: String, digest: Digest) {
        lock(&self.known).insert(name, digest);
    }

    pub(crate) fn begin(&self, id: String, key: &str) {
        lock(&self.uploads).insert(id, Upload { key: key.to_owned(), parts: BTreeMap::new() });
    }

    /// Whether there is such an upload.
    pub(crate) fn add_part(&self, id: &str, number: u32, size: u64, digest: Digest) -> bool {
        let mut uploads = lock(&self.uploads);
        let Some(upload) = uploads.get_mut(id) else { return false };
        upload.parts.insert(number, (size, digest));
        true
    }

    /// Ends an upload, by whatever means.
    pub(crate) fn end(&self, id: &str) -> Option<Upload> {
        lock(&self.uploads).remove(id)
    }

    pub(crate) fn look<T>(&self, id: &str, read: impl FnOnce(&Upload) -> T) -> Option<T> {
        lock(&self.uploads).get(id).map(read)
    }

    /// The MD5 ETag of that many zeros.
    pub(crate) fn zero_tag(&self, size: u64) -> Arc<str> {
        if let Some(tag) = lock(&self.tags).get(&size) {
            return Arc::clone(tag);
        }
        let tag = quoted(&self.zero_digest(size));
        lock(&self.tags).insert(size, Arc::clone(&tag));
        tag
    }

    pub(crate) fn zero_digest(&self, size: u64) -> Digest {
        static BLOCK: [u8; 64 << 10] = [0; 64 << 10];
        *lock(&self.zeros).entry(size).or_insert_with(|| {
            let mut digest = Md5::new();
            let mut left = size;
            while left > 0 {
                let bytes = left.min(BLOCK.len() as u64);
                digest.update(&BLOCK[..bytes as usize]);
                left -= bytes;
            }
            digest.finalize().into()
        })
    }

    fn large_tag(&self, size: u64) -> Arc<str> {
        let parts = (0..size.div_ceil(PART)).map(|part| self.zero_digest(PART.min(size - part * PART)));
        multipart_tag(parts)
    }
}

/// The ETag of an object that was uploaded in parts with those digests.
pub(crate) fn multipart_tag(parts: impl Iterator<Item = Digest>) -> Arc<str> {
    let mut digest = Md5::new();
    let mut count = 0_u32;
    for part in parts {
        digest.update(part);
        count += 1;
    }
    format!("\"{}-{count}\"", hex::encode(digest.finalize())).into()
}

pub(crate) fn quoted(digest: &Digest) -> Arc<str> {
    format!("\"{}\"", hex::encode(digest)).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
