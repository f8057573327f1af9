//! Journals: how a large transfer goes on after the process that carried it out has died.
//!
//! Each unfinished large transfer has a small file of its own (0600, in a folder 0700): a line that says what is copied from
//! where to where, then a line for every finished part. A line is written when the store has confirmed the part, or when its
//! bytes are with the file system. A killed process loses no line. After a power cut lines or bytes may be missing or wrong,
//! which does no harm: a journal only says what is worth checking. Nothing it says is believed before
//!
//! * the source is the same: size and modification time of a file, ETag of an object;
//! * for an upload, the store lists the part, and the bytes of the file have the digest that the store or the journal names;
//! * for a download, the bytes in the partial file have the digest that was written down when they arrived.
//!
//! It holds no secrets: endpoint, names, sizes, digests, and the store's id of the upload.

mod file;
mod parse;
mod proof;
mod record;
mod unfinished;

pub use file::{Journal, Journals, Slot};
pub use parse::{Record, Unusable};
pub use proof::{describe, digester, for_download};
pub use record::{Finished, Head, Identity, Version, Way};
pub use unfinished::{Discarded, Unfinished, discard, unfinished};
