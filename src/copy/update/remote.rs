//! What an upload would replace: a listing, merged with names that come in the order of their keys.
//!
//! Stores list in the order of the keys' bytes; then one page is held at a time. Some list folder by folder: `a/x` before `a-b`,
//! though `-` is less than `/`. As long as both orders agree on what is compared, the merge is right under both. Where they do
//! not, and the listing has not yet shown which of them it has, or has shown that it has another, the rest of it goes into a
//! compact table and names are looked up there.

use std::cmp::Ordering;
use std::collections::HashMap;

use tokio::sync::mpsc::Receiver;

use crate::copy::error::Error;
use crate::copy::select::hash::hash;
use crate::copy::update::Version;
use crate::obs::list::Entry;

/// Pages of a listing, as they come; the last is followed by [`Paged::End`].
#[derive(Debug)]
pub enum Paged {
    /// A page.
    Entries(Vec<Entry>),
    /// The listing is complete.
    End,
    /// The listing failed.
    Failed(Error),
}

/// The object at a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Size and time.
    pub version: Version,
    /// Its ETag; empty where it is not needed.
    pub etag: String,
}

/// Objects below a prefix, asked for in order.
#[derive(Debug)]
pub struct Remote {
    pages: Receiver<Paged>,
    prefix_length: usize,
    keeps_etags: bool,
    page: std::vec::IntoIter<Entry>,
    head: Option<Entry>,
    // The key before the head.
    last: String,
    is_bytewise: bool,
    is_complete: bool,
    table: Option<Table>,
}

#[derive(Debug, Default)]
struct Table {
    // Hash of the name, size, time: sorted.
    rows: Vec<(u64, u64, u32)>,
    etags: HashMap<u64, String>,
}

impl Remote {
    /// For names relative to a prefix of that many bytes.
    pub fn new(pages: Receiver<Paged>, prefix_length: usize, keeps_etags: bool) -> Self {
        Self {
            pages,
            prefix_length,
            keeps_etags,
            page: Vec::new().into_iter(),
            head: None,
            last: String::new(),
            is_bytewise: false,
            is_complete: false,
            table: None,
        }
    }

    /// Reads all of it, so that names may come in any order; blocking.
    ///
    /// # Errors
    /// The listing failed.
    pub fn read_all(&mut self) -> Result<(), Error> {
        let mut table = Table::default();
        let head = self.head.take();
        let mut add = |entry: Entry| {
            let key = hash(&entry.key.as_bytes()[self.prefix_length.min(entry.key.len())..]);
            let known = known(entry);
            table.rows.push((key, known.version.size, u32::try_from(known.version.modified).unwrap_or(0)));
            if self.keeps_etags {
                table.etags.insert(key, known.etag);
            }
        };
        head.into_iter().for_each(&mut add);
        loop {
            self.page.by_ref().for_each(&mut add);
            match next_page(&mut self.pages, &mut self.is_complete)? {
                Some(page) => self.page = page.into_iter(),
                None => break,
            }
        }
        table.rows.sort_unstable();
        self.table = Some(table);
        Ok(())
    }

    /// The object of that name; blocking. Names must come in the order of their bytes.
    ///
    /// # Errors
    /// The listing failed.
    pub fn find(&mut self, name: &str) -> Result<Option<Known>, Error> {
        while self.table.is_none() {
            self.fill()?;
            if self.table.is_some() {
                break;
            }
            let Some(head) = &self.head else { return Ok(None) };
            let key = &head.key[self.prefix_length.min(head.key.len())..];
            let order = key.as_bytes().cmp(name.as_bytes());
            if !self.is_bytewise && order != by_folder(key, name) {
                self.read_all()?;
                break;
            }
            match order {
                Ordering::Greater => return Ok(None),
                Ordering::Less => self.pass(),
                Ordering::Equal => {
                    let found = head.clone();
                    self.pass();
                    return Ok(Some(known(found)));
                }
            }
        }
        Ok(self.table.as_ref().and_then(|table| table.find(name)))
    }

    fn pass(&mut self) {
        if let Some(entry) = self.head.take() {
            self.last = entry.key;
        }
    }

    /// Makes sure that there is a head, unless the listing is at its end, and that it is in order.
    fn fill(&mut self) -> Result<(), Error> {
        if self.head.is_some() {
            return Ok(());
        }
        loop {
            if let Some(entry) = self.page.next() {
                let order = self.last.as_bytes().cmp(entry.key.as_bytes());
                self.is_bytewise |= order == Ordering::Less && by_folder(&self.last, &entry.key) == Ordering::Greater;
                self.head = Some(entry);
                if order == Ordering::Greater {
                    self.read_all()?;
                }
                return Ok(());
            }
            match next_page(&mut self.pages, &mut self.is_complete)? {
                Some(page) => self.page = page.into_iter(),
                None => return Ok(()),
            }
        }
    }
}

fn next_page(pages: &mut Receiver<Paged>, is_complete: &mut bool) -> Result<Option<Vec<Entry>>, Error> {
    if *is_complete {
        return Ok(None);
    }
    match pages.blocking_recv() {
        Some(Paged::Entries(entries)) => Ok(Some(entries)),
        Some(Paged::End) => {
            *is_complete = true;
            Ok(None)
        }
        Some(Paged::Failed(error)) => Err(error),
        // A listing that ends without its end is no listing.
        None => Err(Error::Cancelled),
    }
}

impl Table {
    fn find(&self, name: &str) -> Option<Known> {
        let key = hash(name.as_bytes());
        let at = self.rows.partition_point(|(row, _, _)| *row < key);
        let (_, size, modified) = *self.rows.get(at).filter(|(row, _, _)| *row == key)?;
        let etag = self.etags.get(&key).cloned().unwrap_or_default();
        Some(Known { version: Version { size, modified: i64::from(modified) }, etag })
    }
}

fn known(entry: Entry) -> Known {
    let modified = entry.modified.map_or(0, time::OffsetDateTime::unix_timestamp);
    Known { version: Version { size: entry.size, modified }, etag: entry.etag }
}

/// Folder by folder: as if the slash were the least of all bytes.
fn by_folder(left: &str, right: &str) -> Ordering {
    let rank = |byte: u8| if byte == b'/' { 0 } else { u16::from(byte) + 1 };
    left.bytes().map(rank).cmp(right.bytes().map(rank))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::sync::mpsc::channel;

    use super::{Paged, Remote, by_folder};
    use crate::obs::list::Entry;

    fn remote(keys: &[String], page: usize) -> Remote {
        let (sender, receiver) = channel(1000);
        for keys in keys.chunks(page) {
            let entry =
                |key: &String| Entry { key: format!("p/{key}"), size: key.len() as u64, etag: String::new(), modified: None };
            sender.try_send(Paged::Entries(keys.iter().map(entry).collect())).unwrap();
        }
        sender.try_send(Paged::End).unwrap();
        Remote::new(receiver, 2, false)
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn merges_without_a_table_where_the_order_is_of_bytes() {
        let mut remote = remote(&owned(&["a", "a-b", "a/x", "b", "c/d"]), 2);
        for (name, there) in
            [("a", true), ("a-a", false), ("a-b", true), ("a/x", true), ("a0", false), ("c/d", true), ("d", false)]
        {
            assert_eq!(remote.find(name).unwrap().is_some(), there, "{name}");
        }
        assert!(remote.table.is_none());
    }

    #[test]
    fn a_listing_that_breaks_off_is_an_error() {
        let (sender, receiver) = channel(1);
        drop(sender);
        assert!(Remote::new(receiver, 0, false).find("a").is_err());
    }

    proptest! {
        #[test]
        fn finds_what_is_there_in_either_order(
            keys in proptest::collection::btree_set("[ab\\-/]{1,4}", 0..12),
            names in proptest::collection::btree_set("[ab\\-/]{1,4}", 0..12),
            folders_first: bool,
            page in 1_usize..4,
        ) {
            let mut listed: Vec<String> = keys.iter().cloned().collect();
            if folders_first {
                listed.sort_by(|left, right| by_folder(left, right));
            }
            let mut remote = remote(&listed, page);
            for name in &names {
                let found = remote.find(name).unwrap();
                prop_assert_eq!(found.map(|found| found.version.size), keys.get(name).map(|key| key.len() as u64), "{}", name);
            }
        }
    }
}
