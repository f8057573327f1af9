//! A run of one file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::copy::destination::Destination;
use crate::copy::error::Error;
use crate::copy::event::Event;
use crate::copy::preflight::{self, Room};
use crate::copy::run::Run;
use crate::copy::summary::Summary;
use crate::copy::update::Verdict;
use crate::copy::{download, key, scan, upload};
use crate::obs::ObsUrl;
use crate::obs::list::Entry;

impl Run {
    pub(super) async fn upload_file(self: &Arc<Self>, source: PathBuf, destination: ObsUrl) -> Result<Summary, Error> {
        let status = std::fs::metadata(&source).map_err(|error| Error::local("read", &source, error))?;
        let name = source.display().to_string();
        let context = self.context();
        let looking = scan::upload::one(&context, &source, &status, &destination);
        if let Verdict::Leave(reason) = self.unless_stopped(looking).await?? {
            return Ok(self.skip_one(&name, status.len(), reason));
        }
        self.found(status.len());
        self.events.event(Event::ScanDone);
        let done = upload::file(self, &source, &destination, status.len(), None).await?;
        Ok(self.summarise_one(name, done))
    }

    pub(super) async fn download_file(self: &Arc<Self>, source: ObsUrl, destination: &Path) -> Result<Summary, Error> {
        let name = destination.file_name().and_then(|name| name.to_str()).filter(|name| key::check_name(name).is_ok());
        let name = name.ok_or_else(|| Error::Plan(format!("[{}] is no usable file name", destination.display())))?;
        let info = self.unless_stopped(self.client.head(&source)).await?.map_err(|error| {
            if error.is_not_found() && !error.is_no_such_bucket() { Error::NoSource(source.to_string()) } else { error.into() }
        })?;
        let folder = destination.parent().unwrap_or(Path::new("/"));
        let context = self.context();
        let verdict = scan::listing::one(&context, folder, name, &source, &info)?;
        let entry = Entry { key: source.key.clone(), size: info.size, etag: info.etag, modified: info.modified };
        if let Verdict::Leave(reason) = verdict {
            return Ok(self.skip_one(name, entry.size, reason));
        }
        preflight::check_writable(folder)?;
        Room::of(folder).claim(name, entry.size)?;
        self.found(entry.size);
        self.events.event(Event::ScanDone);
        let target = Arc::new(Destination::open(folder)?);
        let done = download::object(self, &target, name, &source.bucket, &entry, None).await?;
        Ok(self.summarise_one(name.to_owned(), done))
    }
}
