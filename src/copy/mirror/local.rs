//! Files and folders that the source prefix does not have. Nothing is reached through a link, and links are left alone.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, statat, unlinkat};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use crate::copy::destination::PARTIAL_SUFFIX;
use crate::copy::error::Error;
use crate::copy::mirror::{Deleted, Spool, is_extra};
use crate::copy::report::Report;
use crate::copy::scan::folder::{self, Folder, Kind};
use crate::copy::scan::walk::LONGEST_KEY;
use crate::copy::select::Selection;
use crate::copy::select::seen::Sorted;
use crate::copy::update::local::Local;

/// Walks the destination; blocking. A folder comes after what is in it.
pub(super) fn find(destination: &Path, selection: &Selection, seen: &Sorted) -> Result<Spool, Error> {
    let mut spool = Spool::new()?;
    let mut local = Local::open(destination)?;
    if let Some(root) = local.folder("") {
        let mut finder = Finder { destination, selection, seen, spool: &mut spool, name: String::new() };
        finder.folder(root.as_fd())?;
    }
    Ok(spool)
}

struct Finder<'a> {
    destination: &'a Path,
    selection: &'a Selection,
    seen: &'a Sorted,
    spool: &'a mut Spool,
    name: String,
}

impl Finder<'_> {
    /// Whether nothing is left in it, and whether anything was found.
    fn folder(&mut self, handle: BorrowedFd<'_>) -> Result<(bool, bool), Error> {
        let failed = |error| Error::local("read", self.destination.join(&self.name), error);
        let names = Folder::read(handle, false).map_err(failed)?;
        let length = self.name.len();
        let (mut is_left_empty, mut has_found) = (true, false);
        for (name, kind) in names.entries() {
            self.name.truncate(length);
            if length > 0 {
                self.name.push('/');
            }
            let is_gone = match std::str::from_utf8(name) {
                Ok(text) => {
                    self.name.push_str(text);
                    self.entry(handle, text, kind)?
                }
                // No key has such a name, so no mirror has anything to say about it.
                Err(_) => false,
            };
            is_left_empty &= is_gone;
            has_found |= is_gone;
        }
        self.name.truncate(length);
        Ok((is_left_empty, has_found))
    }

    fn entry(&mut self, parent: BorrowedFd<'_>, text: &str, kind: Kind) -> Result<bool, Error> {
        match kind {
            Kind::File if text.ends_with(PARTIAL_SUFFIX) => Ok(false),
            Kind::File => {
                if !is_extra(self.selection, self.seen, &self.name, false) {
                    return Ok(false);
                }
                let size = statat(parent, text, AtFlags::SYMLINK_NOFOLLOW).map_or(0, |status| status.st_size);
                self.spool.add(&self.name, u64::try_from(size).unwrap_or(0))?;
                Ok(true)
            }
            Kind::Folder if self.name.len() <= LONGEST_KEY && self.selection.filter.enters(&self.name) => {
                let failed = |error: Errno| Error::local("read", self.destination.join(&self.name), error.into());
                let handle = folder::open(parent, text, false).map_err(failed)?;
                let length = self.name.len();
                let (is_left_empty, has_found) = self.folder(handle.as_fd())?;
                self.name.truncate(length);
                // One that was empty before must be asked for itself; one that becomes empty has no other reason to stay.
                let is_marked = self.seen.has(crate::copy::select::Seen::folder(&self.name));
                let goes = is_left_empty && !is_marked && (has_found || self.selection.takes_folder(&self.name));
                if goes {
                    self.spool.add(&format!("{}/", self.name), 0)?;
                }
                Ok(goes)
            }
            _ => Ok(false),
        }
    }
}

/// Deletes what was found; blocking.
pub(super) fn delete(
    destination: &Path,
    spool: &mut Spool,
    report: Option<&Report>,
    cancel: &CancellationToken,
) -> Result<Deleted, Error> {
    let mut deleted = Deleted::default();
    let mut local = Local::open(destination)?;
    let mut reading = spool.read()?;
    while let Some(extra) = reading.next_extra()? {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let name = extra.name.trim_end_matches('/');
        match remove(&mut local, name, extra.is_folder) {
            Ok(()) => deleted.count(report, &extra),
            // It has got new content, or is gone already.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT) => {}
            Err(error) => deleted.fail(report, extra.name.clone(), Error::local("delete", local.path(name), error.into())),
        }
    }
    Ok(deleted)
}

fn remove(local: &mut Local, name: &str, is_folder: bool) -> Result<(), Errno> {
    let (parent, last) = name.rsplit_once('/').unwrap_or(("", name));
    let parent = local.folder(parent).ok_or(Errno::NOENT)?;
    if is_folder {
        return unlinkat(parent, last, AtFlags::REMOVEDIR);
    }
    let status = statat(parent, last, AtFlags::SYMLINK_NOFOLLOW)?;
    if !FileType::from_raw_mode(status.st_mode).is_file() {
        return Err(Errno::EXIST);
    }
    unlinkat(parent, last, AtFlags::empty())
}
