//! Where listed objects go: which are asked for, which have a place on the disk, which are there already.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc::Sender;

use crate::copy::error::Error;
use crate::copy::key::{Conflicts, Place, place};
use crate::copy::scan::{Context, Item, Outbox};
use crate::copy::select::encode::{encode, encode_letters};
use crate::copy::select::hash::hash;
use crate::copy::select::{Compare, Conflict, Existing, Seen, Selection, case};
use crate::copy::update::local::{Local, Standing};
use crate::copy::update::{self, MISSING, Verdict, Version};
use crate::obs::list::Entry;

/// Decides about objects, one after the other, in the order of the listing.
#[derive(Debug)]
pub struct Placing {
    /// Takes what is to be copied.
    pub outbox: Outbox,
    prefix: String,
    selection: Arc<Selection>,
    places: Places,
    // Only where what is there matters.
    local: Option<Local>,
    part_size: Option<u64>,
}

impl Placing {
    /// For the objects below a prefix that go into a folder.
    ///
    /// # Errors
    /// [`Error::Local`] when the destination cannot be opened.
    pub fn new(context: &Context, prefix: &str, destination: &Path, items: Sender<Vec<Item>>) -> Result<Self, Error> {
        let selection = Arc::clone(&context.selection);
        let local = match selection.existing {
            Existing::Replace => None,
            Existing::Keep | Existing::Update(_) => Some(Local::open(destination)?),
        };
        Ok(Self {
            outbox: Outbox::new(items, &selection),
            prefix: prefix.to_owned(),
            places: Places::new(selection.conflict, case::is_insensitive(destination)),
            selection,
            local,
            part_size: context.part_size,
        })
    }

    /// Whether deciding needs a look at the disk.
    pub fn is_blocking(&self) -> bool {
        self.local.is_some()
    }

    /// Decides about an object; true when the outbox should be flushed.
    pub fn take(&mut self, entry: Entry) -> bool {
        let Some(relative) = entry.key.strip_prefix(&self.prefix) else {
            let error = Error::unplaceable(&entry.key, "it does not begin with the prefix that was listed");
            return self.refuse(entry.key, error);
        };
        let is_asked_for = match relative.strip_suffix('/') {
            Some(folder) => folder.is_empty() || self.selection.takes_folder(folder),
            None => self.selection.takes(relative),
        };
        let placed = self.places.place(relative, entry.size);
        match &placed {
            Ok(Place::File(name)) => self.outbox.saw(|| Seen::file(name)),
            Ok(Place::Folder(name)) if !name.is_empty() => self.outbox.saw(|| Seen::folder(name)),
            _ => {}
        }
        if !is_asked_for {
            return false;
        }
        match placed {
            Ok(Place::File(name)) => self.file(name, entry),
            Ok(Place::Folder(name)) => {
                let exists = self.local.as_mut().is_some_and(|local| local.folder(&name).is_some());
                !exists && self.outbox.push(Item::Marker { name, key: relative.to_owned() })
            }
            Err(_) if self.selection.conflict == Conflict::Skip => self.outbox.skip(relative, entry.size, "conflict"),
            Err(reason) => {
                let error = Error::unplaceable(&entry.key, reason);
                let name = relative.to_owned();
                self.refuse(name, error)
            }
        }
    }

    /// Passes on what cannot be copied; true when the outbox should be flushed.
    pub fn refuse(&mut self, name: String, error: Error) -> bool {
        self.outbox.push(Item::Refused { name, error })
    }

    fn file(&mut self, name: String, entry: Entry) -> bool {
        let verdict = match &mut self.local {
            Some(local) => look(local, &name, &entry, self.selection.existing, self.part_size),
            None => Verdict::Copy("asked for"),
        };
        match verdict {
            Verdict::Copy(reason) => self.outbox.push(Item::Object { name, entry, reason, doubt: None }),
            Verdict::Doubt(doubt) => self.outbox.push(Item::Object { name, entry, reason: doubt.reason(), doubt: Some(doubt) }),
            Verdict::Leave(reason) => {
                self.outbox.skip(entry.key.get(self.prefix.len()..).unwrap_or(&entry.key), entry.size, reason)
            }
        }
    }
}

/// Whether an object has to go to that name below an open destination; blocking.
pub fn look(local: &mut Local, name: &str, entry: &Entry, existing: Existing, part_size: Option<u64>) -> Verdict {
    // An object without a time is as old as can be.
    let modified = entry.modified.map_or(i64::MIN, time::OffsetDateTime::unix_timestamp);
    let target = match (local.look(name), existing) {
        (Standing::File(version), _) => Some(version),
        (Standing::Nothing, _) => return Verdict::Copy(MISSING),
        (Standing::Other, Existing::Keep) => return Verdict::Leave("exists"),
        (Standing::Other, _) => return Verdict::Copy("no file is there"),
    };
    let path = (existing == Existing::Update(Compare::Checksum)).then(|| local.path(name));
    let same = || update::same_content(path.as_deref()?, entry.size, &entry.etag, part_size);
    update::compare(existing, Version { size: entry.size, modified }, target, same)
}

/// Finds the places of keys.
#[derive(Debug)]
pub struct Places {
    conflict: Conflict,
    conflicts: Conflicts,
    // Where the file system does not tell letters by case: what is placed already, in small letters.
    placed: Option<HashSet<u64>>,
}

impl Places {
    /// For a file system that may tell letters by case or not.
    pub fn new(conflict: Conflict, is_insensitive: bool) -> Self {
        Self { conflict, conflicts: Conflicts::default(), placed: is_insensitive.then(HashSet::new) }
    }

    /// The place of the next key of a listing, relative to the prefix.
    ///
    /// # Errors
    /// Why it has none.
    pub fn place(&mut self, relative: &str, size: u64) -> Result<Place, String> {
        let (path, is_folder) = relative.strip_suffix('/').map_or((relative, false), |path| (path, true));
        let blocked = self.conflicts.blocking(path, is_folder);
        if self.conflict == Conflict::Encode {
            let place = if relative.is_empty() { Place::Folder(String::new()) } else { encode(relative, blocked, size > 0)? };
            return self.tell_apart(place);
        }
        let place = place("", relative)?;
        if let Some(length) = blocked {
            return Err(format!("[{}] is a file, so nothing can be below it", &path[..length]));
        }
        if is_folder && size > 0 {
            return Err("it is named like a folder, but has content".to_owned());
        }
        self.tell_apart(place)
    }

    fn tell_apart(&mut self, place: Place) -> Result<Place, String> {
        let (Some(placed), Place::File(path)) = (&mut self.placed, &place) else { return Ok(place) };
        let mut is_new = |path: &str| placed.insert(hash(path.to_lowercase().as_bytes()));
        if is_new(path) {
            return Ok(place);
        }
        let encoded = encode_letters(path);
        if self.conflict == Conflict::Encode && is_new(&encoded) {
            return Ok(Place::File(encoded));
        }
        Err("the file system takes it for another name that differs in capital letters only".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Places;
    use crate::copy::key::Place;
    use crate::copy::select::Conflict;

    fn places(conflict: Conflict, is_insensitive: bool, keys: &[&str]) -> Vec<String> {
        let mut places = Places::new(conflict, is_insensitive);
        let shown = |place| match place {
            Ok(Place::File(path)) => path,
            Ok(Place::Folder(path)) => format!("{path}/"),
            Err(_) => "-".to_owned(),
        };
        keys.iter().map(|key| shown(places.place(key, 0))).collect()
    }

    #[test]
    fn refuses_or_encodes_conflicts() {
        let keys = ["", "../x", "a", "a-b", "a/b", "a/b/c", "b//c", "d/", "e"];
        let plain = ["/", "-", "a", "a-b", "-", "-", "-", "d/", "e"];
        assert_eq!(places(Conflict::Fail, false, &keys), plain);
        let encoded = ["/", "%2E%2E/x", "a", "a-b", "a%2Fb", "a%2Fb%2Fc", "b/%2Fc", "d/", "e"];
        assert_eq!(places(Conflict::Encode, false, &keys), encoded);
    }

    #[test]
    fn tells_letters_apart_where_the_file_system_does_not() {
        let keys = ["A", "B", "a", "b/x"];
        assert_eq!(places(Conflict::Fail, false, &keys), keys);
        assert_eq!(places(Conflict::Fail, true, &keys), ["A", "B", "-", "b/x"]);
        assert_eq!(places(Conflict::Encode, true, &keys), ["A", "B", "%61", "b/x"]);
    }
}
