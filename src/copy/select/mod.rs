//! What of a source is copied: filters, shares, lists of names, links, and what is at the destination already.

pub mod case;
pub mod encode;
pub mod filter;
pub mod glob;
pub mod hash;
pub mod names;
pub mod seen;
pub mod shard;

use std::path::Path;
use std::sync::Arc;

pub use filter::Filter;
pub use names::Names;
pub use seen::Seen;
pub use shard::Shard;

use crate::copy::error::Error;
use crate::copy::plan::Plan;
use crate::copy::report::Report;

/// What is copied, and what is left.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Patterns of names.
    pub filter: Filter,
    /// Only this share of the names.
    pub shard: Option<Shard>,
    /// Only these names; they are not looked for.
    pub names: Option<Names>,
    /// What links in a source folder are.
    pub links: Links,
    /// What happens to keys that cannot be placed on a disk.
    pub conflict: Conflict,
    /// What happens to what is at the destination already.
    pub existing: Existing,
    /// Takes down what the source has, so that a mirror knows what the destination has beyond it.
    pub seen: Option<Arc<Seen>>,
    /// Takes a line for everything that is skipped.
    pub report: Option<Arc<Report>>,
}

impl Selection {
    /// Says whether this can be asked of a plan: names, patterns, shares and mirrors are about folders, and a mirror must not
    /// delete its own source or what it has just copied. Looks at the destination's disk for that, and changes nothing.
    ///
    /// # Errors
    /// [`Error::Plan`] names the option.
    pub fn check(&self, plan: &Plan) -> Result<(), Error> {
        // Whether a key has a place depends on those before it in the order of a listing; a list has any order.
        if self.names.is_some() && matches!(self.conflict, Conflict::Encode | Conflict::Abort) {
            return Err(Error::Plan("--conflict encode and --conflict abort cannot be used with --files-from".to_owned()));
        }
        if matches!(plan, Plan::CopyFolder { .. }) && self.names.is_some() {
            return Err(Error::Plan("--files-from cannot be used for copies inside the store".to_owned()));
        }
        if self.seen.is_some() {
            check_mirror(plan, case::is_insensitive)?;
        }
        if matches!(plan, Plan::UploadFolder { .. } | Plan::DownloadFolder { .. } | Plan::CopyFolder { .. }) {
            return Ok(());
        }
        if matches!(plan, Plan::CopyObject { .. }) && self.existing != Existing::Replace {
            return Err(Error::Plan("--update and --no-overwrite need a folder where the store copies".to_owned()));
        }
        let asked = [
            ("--include and --exclude choose", !self.filter.is_empty()),
            ("--shard chooses", self.shard.is_some()),
            ("--files-from chooses", self.names.is_some()),
            ("--delete deletes", self.seen.is_some()),
        ];
        match asked.into_iter().find(|(_, is_asked)| *is_asked) {
            Some((option, _)) => Err(Error::Plan(format!("{option} among what is in a folder; the source is one file"))),
            None => Ok(()),
        }
    }

    /// Whether a file of this name is asked for.
    pub fn takes(&self, name: &str) -> bool {
        self.filter.takes(name) && self.shard.is_none_or(|shard| shard.takes(name))
    }

    /// Whether what a list names is asked for: a folder if it ends with `/`.
    pub fn takes_named(&self, name: &str) -> bool {
        name.strip_suffix('/').map_or_else(|| self.takes(name), |folder| self.takes_folder(folder))
    }

    /// Whether an empty folder of this name is asked for.
    pub fn takes_folder(&self, name: &str) -> bool {
        self.filter.takes_folder(name) && self.shard.is_none_or(|shard| shard.takes(name))
    }
}

/// Whether `--delete` leaves what it must not touch.
fn check_mirror(plan: &Plan, is_insensitive: impl Fn(&Path) -> bool) -> Result<(), Error> {
    match plan {
        Plan::CopyFolder { source, destination } => {
            let (source, destination) = (source.as_folder(), destination.as_folder());
            if source.bucket == destination.bucket && source.key.starts_with(&destination.key) {
                let message = format!("--delete would delete the source [{source}], which is inside of [{destination}]");
                return Err(Error::Plan(message));
            }
        }
        // `A` in the store may be `a` here: what was just copied would look like what the source does not have.
        Plan::DownloadFolder { destination, .. } if is_insensitive(destination) => {
            let message =
                format!("--delete needs a disk that tells upper from lower case, which [{}] is not on", destination.display());
            return Err(Error::Plan(message));
        }
        _ => {}
    }
    Ok(())
}

/// What links in a source folder are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// What they lead to, unless that is a folder that they are in themselves.
    #[default]
    Follow,
    /// Nothing.
    Skip,
    /// Failures.
    Error,
}

/// What happens to a key that cannot be placed on a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflict {
    /// It fails; the rest goes on.
    #[default]
    Fail,
    /// It is skipped.
    Skip,
    /// What stands in the way is percent-encoded.
    Encode,
    /// Nothing is copied if there is any.
    Abort,
}

/// What happens to what is at the destination already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced.
    #[default]
    Replace,
    /// It stays, whatever it is.
    Keep,
    /// It is replaced if it differs.
    Update(Compare),
}

impl Existing {
    /// The same, by the times that files keep in metadata where times decide.
    pub fn by_own_time(self) -> Self {
        if self == Self::Update(Compare::Time) { Self::Update(Compare::Preserved) } else { self }
    }
}

/// How it is told that something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The size differs, or the source is newer by at least a second.
    Time,
    /// The size differs, or the source is newer by the time of the file itself, which is in the object's metadata.
    Preserved,
    /// The size differs.
    Size,
    /// The size or the MD5 differs; by size and time where the store has no MD5.
    Checksum,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Seen, Selection, check_mirror};
    use crate::copy::plan::Plan;

    #[test]
    fn a_mirror_inside_the_store_does_not_delete_its_source() {
        let mirror = Selection { seen: Some(Arc::new(Seen::default())), ..Selection::default() };
        let table = [
            ("obs://b/e/", "obs://b", false),
            ("obs://b/d/e", "obs://b/d", false),
            ("obs://b/d/e", "obs://b/d/e2", true),
            ("obs://b/e/", "obs://c", true),
        ];
        for (source, destination, is_fine) in table {
            let plan = Plan::CopyFolder { source: source.parse().unwrap(), destination: destination.parse().unwrap() };
            assert_eq!(mirror.check(&plan).is_ok(), is_fine, "{source} {destination}");
            assert!(Selection::default().check(&plan).is_ok(), "{source} {destination}");
        }
    }

    #[test]
    fn a_mirror_of_the_store_needs_a_disk_that_tells_cases_apart() {
        let (source, destination) = ("obs://b/e/".parse().unwrap(), "/w".into());
        let plan = Plan::DownloadFolder { source, destination };
        assert!(check_mirror(&plan, |_| true).unwrap_err().to_string().contains("--delete"));
        assert!(check_mirror(&plan, |_| false).is_ok());
    }
}
