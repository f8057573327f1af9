//! Files of the same size whose times say nothing by themselves: an object is written later than the file it was made of. Where
//! files keep their own times in metadata, a look at the object decides.

use crate::copy::error::Error;
use crate::copy::update::{MISSING, Verdict, Version, by_time};
use crate::obs::attributes::Preserved;
use crate::obs::control::ObjectInfo;
use crate::obs::{Client, ObsUrl};

/// Both sides as the listing and the disk tell of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// What would be copied.
    pub source: Version,
    /// What it would replace.
    pub target: Version,
}

impl Doubt {
    /// Why the file is copied, if it is.
    pub fn reason(&self) -> &'static str {
        "newer"
    }

    /// What the listing says.
    pub fn listed(&self) -> Verdict {
        by_time(self.source, self.target)
    }

    /// Whether the file is newer than the one that this object was made of.
    pub fn up(&self, info: &ObjectInfo) -> Verdict {
        by_time(self.source, Version { modified: file_time(info).unwrap_or(self.target.modified), ..self.target })
    }

    /// Whether the file that this object was made of is newer than the local one.
    pub fn down(&self, info: &ObjectInfo) -> Verdict {
        by_time(Version { modified: file_time(info).unwrap_or(self.source.modified), ..self.source }, self.target)
    }

    /// Looks at the object that a file would replace.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub async fn look_up(&self, client: &Client, url: &ObsUrl) -> Result<Verdict, Error> {
        match client.head(url).await {
            Err(error) if error.is_not_found() && !error.is_no_such_bucket() => Ok(Verdict::Copy(MISSING)),
            Ok(info) if info.size != self.source.size => Ok(Verdict::Copy("size differs")),
            info => Ok(self.up(&info?)),
        }
    }

    /// Looks at the object that would replace a file.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub async fn look_down(&self, client: &Client, url: &ObsUrl) -> Result<Verdict, Error> {
        let info = client.head(url).await?;
        if info.size != self.source.size {
            return Err(Error::Changed(url.to_string()));
        }
        Ok(self.down(&info))
    }
}

fn file_time(info: &ObjectInfo) -> Option<i64> {
    Preserved::of(info).modified.map(time::OffsetDateTime::unix_timestamp)
}
