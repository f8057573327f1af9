//! The names in one folder, compactly and in the order of their keys.

use std::cmp::Ordering;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};

/// What stands behind a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file, or a link to one that is followed.
    File,
    /// A folder, or a link to one that is followed.
    Folder,
    /// A link that is not followed.
    Link,
    /// A link that leads nowhere, or that cannot be looked at.
    Broken,
    /// Sockets, pipes and devices.
    Special,
}

/// Bytes of names that are held together. Pieces that never move: one that grows would be there twice each time it does.
const CHUNK: usize = 64 * 1024;

/// All names of a folder: 8 bytes beside the name itself, for folders of a million files.
#[derive(Debug, Default)]
pub struct Folder {
    chunks: Vec<Vec<u8>>,
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    start: u32,
    length: u8,
    kind: Kind,
}

impl Folder {
    /// Reads a folder. Links are looked through if `follow`.
    ///
    /// # Errors
    /// It cannot be read to its end.
    pub fn read(handle: BorrowedFd<'_>, follow: bool) -> io::Result<Self> {
        let mut folder = Self::default();
        for entry in Dir::read_from(handle)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let kind = kind(handle, entry.file_name(), entry.file_type(), follow);
            let too_much = || io::Error::other("it holds more names than can be sorted");
            if folder.chunks.last().is_none_or(|chunk| chunk.len() + name.len() > CHUNK) {
                // Most folders are small, and many may be open at once.
                folder.chunks.push(Vec::with_capacity(if folder.chunks.is_empty() { 0 } else { CHUNK }));
            }
            let last = folder.chunks.len() - 1;
            let chunk = &mut folder.chunks[last];
            let start = u32::try_from(last * CHUNK + chunk.len()).map_err(|_| too_much())?;
            let length = u8::try_from(name.len()).map_err(|_| too_much())?;
            chunk.extend_from_slice(name);
            folder.slots.push(Slot { start, length, kind });
        }
        let chunks = &folder.chunks;
        folder.slots.sort_unstable_by(|left, right| by_key(chunks, left, right));
        Ok(folder)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Names and what they stand for, as their keys are sorted: a folder as if a `/` were behind its name.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], Kind)> {
        self.slots.iter().map(|slot| (name(&self.chunks, slot), slot.kind))
    }
}

/// Opens a folder below another; a link in its place only if `follow`.
///
/// # Errors
/// It is none, or cannot be opened.
pub fn open(parent: BorrowedFd<'_>, name: &str, follow: bool) -> rustix::io::Result<OwnedFd> {
    let mut flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    if !follow {
        flags |= OFlags::NOFOLLOW;
    }
    openat(parent, name, flags, Mode::empty())
}

/// What tells a folder from every other: its device and number.
///
/// # Errors
/// It cannot be looked at.
pub fn identity(handle: impl AsFd) -> rustix::io::Result<(u64, u64)> {
    let status = fstat(handle)?;
    Ok((status.st_dev, status.st_ino))
}

/// When the content was last written, in seconds since 1970.
pub fn modified(status: &Stat) -> i64 {
    status.st_mtime
}

fn kind(folder: BorrowedFd<'_>, name: &std::ffi::CStr, listed: FileType, follow: bool) -> Kind {
    let looked = |flags| statat(folder, name, flags).map(|status| FileType::from_raw_mode(status.st_mode));
    let listed = match listed {
        // Some file systems do not tell in the listing.
        FileType::Unknown => looked(AtFlags::SYMLINK_NOFOLLOW),
        listed => Ok(listed),
    };
    let found = match listed {
        Ok(FileType::Symlink) if follow => looked(AtFlags::empty()),
        listed => listed,
    };
    match found {
        Ok(FileType::RegularFile) => Kind::File,
        Ok(FileType::Directory) => Kind::Folder,
        Ok(FileType::Symlink) => Kind::Link,
        Ok(_) => Kind::Special,
        Err(_) => Kind::Broken,
    }
}

fn name<'a>(chunks: &'a [Vec<u8>], slot: &Slot) -> &'a [u8] {
    let start = slot.start as usize;
    &chunks[start / CHUNK][start % CHUNK..][..usize::from(slot.length)]
}

fn by_key(chunks: &[Vec<u8>], left: &Slot, right: &Slot) -> Ordering {
    let (left_name, right_name) = (name(chunks, left), name(chunks, right));
    let common = left_name.len().min(right_name.len());
    let next = |slot: &Slot, name: &[u8]| name.get(common).copied().or((slot.kind == Kind::Folder).then_some(b'/'));
    left_name[..common].cmp(&right_name[..common]).then_with(|| next(left, left_name).cmp(&next(right, right_name)))
}
