//! Keeping what tasks write: their outputs and logs go to the object store, from time to time while they run and at the end.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Instant, UNIX_EPOCH};

use tokio_util::sync::CancellationToken;

use crate::platform::runner::Error;
use crate::platform::runner::layout::{self, LOG_DIR, Layout};
use crate::platform::runner::plan::{Channel, JobPlan, ObsPlace, Task};
use crate::platform::runner::spec::{read_json, replace_json};
use crate::platform::runner::transfer::Transfer;

/// Size and time of change (nanoseconds since 1970) of each file: when it is the same, the files are taken to be.
type Signature = BTreeMap<PathBuf, (u64, u64)>;

/// Name of the file in a task's folder that tells, by the output's name, what was fetched into its outputs before the start.
const FETCHED_FILE: &str = "fetched.json";

/// Remembers what is in an output's folder now, before the start: what does not change is not sent back, where another task of
/// the job may have stored something newer meanwhile.
///
/// # Errors
/// The folders cannot be read or written.
pub fn remember_fetched(layout: &Layout, output: &Channel) -> io::Result<()> {
    let file = layout.folder().join(FETCHED_FILE);
    let mut fetched: BTreeMap<String, Signature> = read_json(&file)?.unwrap_or_default();
    let folder = layout.local(&output.local_dir);
    let names = signature(&folder, Links::Follow)?.into_iter();
    let names = names.filter_map(|(path, is)| Some((path.strip_prefix(&folder).ok()?.to_owned(), is)));
    fetched.insert(output.name.clone(), names.collect());
    replace_json(&file, &fetched)
}

/// What was fetched into an output before the start.
fn fetched(layout: &Layout, output: &Channel) -> Option<Signature> {
    let fetched: BTreeMap<String, Signature> = read_json(&layout.folder().join(FETCHED_FILE)).ok()??;
    let folder = layout.local(&output.local_dir);
    Some(fetched.get(&output.name)?.iter().map(|(name, is)| (folder.join(name), *is)).collect())
}

/// Is told what happens to which task's outputs.
pub type Tell<'a> = &'a (dyn Fn(&Task, String) + Sync);

/// Brings the outputs and logs of one job to where the job wants them.
#[derive(Debug)]
pub struct Keeper<'a> {
    plan: &'a JobPlan,
    jobs: &'a Path,
    transfer: &'a Transfer,
    /// What was last sent of each folder or file, so that nothing is sent twice.
    sent: BTreeMap<PathBuf, Signature>,
    /// Ends what is being sent.
    cancel: CancellationToken,
}

impl<'a> Keeper<'a> {
    /// A keeper that has sent nothing yet, and gives up when `cancel` says so. It must not be dropped while it sends: what it has
    /// begun would stay at the store.
    pub fn new(plan: &'a JobPlan, jobs: &'a Path, transfer: &'a Transfer, cancel: CancellationToken) -> Self {
        Self { plan, jobs, transfer, sent: BTreeMap::new(), cancel }
    }

    /// From now on another token tells it to give up.
    pub fn heed(&mut self, cancel: CancellationToken) {
        self.cancel = cancel;
    }

    /// Sends the tasks' logs and the programs' own `*.log` files, as far as they have changed. With several tasks the own files
    /// of each go to a folder that is named like the task. Does nothing for a job without a place for logs.
    ///
    /// # Errors
    /// The first file that could not be sent; the others were tried all the same.
    pub async fn logs(&mut self) -> Result<(), Error> {
        let Some(place) = self.plan.log.clone() else { return Ok(()) };
        let mut first = Ok(());
        let tasks = self.plan.tasks();
        for task in &tasks {
            let layout = Layout::new(self.jobs, self.plan, task);
            let folder = if tasks.len() > 1 { format!("{}/", task.id()) } else { String::new() };
            let name = layout::log_name(&self.plan.id, &task.id());
            let own = layout.local(LOG_DIR);
            let written = signature(&own, Links::Skip).unwrap_or_default().into_iter().filter(|(_, (size, _))| *size > 0);
            // What the runs on single cards print goes to the place itself, under names that say the rank.
            let ranked = format!("{}-proc-rank-", self.plan.workload());
            let is_ranked = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&ranked));
            let written =
                written.filter(|(path, _)| is_ranked(path) || path.extension().is_some_and(|extension| extension == "log"));
            let mut files = vec![(layout.log().to_owned(), name)];
            files.extend(written.filter_map(|(path, _)| {
                let folder = if is_ranked(&path) { "" } else { folder.as_str() };
                let relative = format!("{folder}{}", path.strip_prefix(&own).ok()?.to_str()?);
                Some((path, relative))
            }));
            for (path, relative) in files {
                let sent = self.file(&layout, &path, &place.join(&relative)).await;
                first = first.and(sent);
            }
        }
        first
    }

    /// Sends the outputs of all tasks, as far as they have changed. `tell`, given at the end, is called around each one.
    ///
    /// # Errors
    /// The first output that could not be sent whole; the others were tried all the same.
    pub async fn outputs(&mut self, tell: Option<Tell<'_>>) -> Result<(), Error> {
        let tell = |task: &Task, message: String| {
            if let Some(tell) = tell {
                tell(task, message);
            }
        };
        let mut first = Ok(());
        for task in self.plan.tasks() {
            let layout = Layout::new(self.jobs, self.plan, &task);
            for output in &self.plan.outputs {
                let folder = layout.local(&output.local_dir);
                let now = match signature(&folder, Links::Follow) {
                    Ok(now) if now.is_empty() => continue,
                    Err(_) if is_missing(&folder) => continue,
                    // What is in the way of looking at it is in the way of sending it, which says what it is.
                    now => now.ok(),
                };
                tell(&task, format!(" Training output(parameter name: {}) Uploading.", output.name));
                let started = Instant::now();
                let before = self.sent.get(&folder).cloned().or_else(|| fetched(&layout, output));
                let stored = match &now {
                    Some(now) if before.as_ref() == Some(now) => Ok(()),
                    _ => {
                        let names = changed(&layout, &folder, before.as_ref(), now.as_ref());
                        self.transfer.store_directory(&folder, names, &output.remote.folder(), &self.cancel).await
                    }
                };
                if stored.is_ok() {
                    let seconds = started.elapsed().as_secs_f64();
                    let name = &output.name;
                    tell(&task, format!("[time used: {seconds:.3}s] Upload training output(parameter name: {name}) finished"));
                    self.sent.extend(now.map(|now| (folder, now)));
                }
                first = first.and(stored);
            }
        }
        first
    }

    /// Sends one file that may still grow: a copy of it as it is now.
    async fn file(&mut self, layout: &Layout, path: &Path, to: &ObsPlace) -> Result<(), Error> {
        let Ok(now) = file_signature(path) else { return Ok(()) };
        if self.sent.get(path) == Some(&now) {
            return Ok(());
        }
        let copy = layout.folder().join("log.snapshot");
        snapshot(path, &copy).await.map_err(Error::local("cannot copy", path))?;
        let stored = self.transfer.store_file(&copy, to, &self.cancel).await;
        if stored.is_ok() {
            self.sent.insert(path.to_owned(), now);
        }
        stored
    }
}

/// Writes the names of the files that have changed to a file, each ended by NUL; `None` when all of the folder is to be sent.
fn changed(layout: &Layout, folder: &Path, before: Option<&Signature>, now: Option<&Signature>) -> Option<PathBuf> {
    let (before, now) = (before?, now?);
    let mut names = String::new();
    for (path, _) in now.iter().filter(|&(path, is)| before.get(path) != Some(is)) {
        names.push_str(path.strip_prefix(folder).ok()?.to_str()?);
        names.push('\0');
    }
    let file = layout.folder().join("changed.names");
    fs::write(&file, names).ok()?;
    Some(file)
}

/// Copies a file that may be large, off the threads that serve requests. The copy is always a new file: one that is there
/// may be of another log and have its mode, read-only perhaps.
async fn snapshot(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (from.to_owned(), to.to_owned());
    let copy = move || match fs::remove_file(&to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::copy(&from, &to),
    };
    tokio::task::spawn_blocking(copy).await.map_err(io::Error::other)?.map(drop)
}

fn file_signature(path: &Path) -> io::Result<Signature> {
    let data = fs::metadata(path)?;
    let changed = data.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let changed = u64::try_from(changed).unwrap_or(u64::MAX);
    Ok(Signature::from([(path.to_owned(), (data.len(), changed))]))
}

/// Whether nothing has that name, not even a link that leads nowhere.
fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// What becomes of links to folders; links to files are always followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    /// Looked into, as a copy does; a link back to a folder that it is in is not.
    Follow,
    /// Left alone.
    Skip,
}

/// All files below a folder, and everything that cannot be sent, with size and time 0.
fn signature(folder: &Path, links: Links) -> io::Result<Signature> {
    let identity = |path: &Path| fs::metadata(path).map(|data| (data.dev(), data.ino()));
    let mut found = Signature::new();
    let mut folders = vec![(folder.to_owned(), vec![identity(folder)?])];
    while let Some((folder, ancestors)) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let is_folder = if links == Links::Follow { path.is_dir() } else { path.is_dir() && !path.is_symlink() };
            let inner = if is_folder { Some(identity(&path)?) } else { None };
            match inner {
                Some(inner) if !ancestors.contains(&inner) => {
                    folders.push((path, ancestors.iter().copied().chain([inner]).collect()));
                }
                _ => found.extend(file_signature(&path).unwrap_or_else(|_| Signature::from([(path, (0, 0))]))),
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::{Links, fs, is_missing, signature, snapshot};

    #[test]
    fn a_changed_file_changes_the_signature() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("d")).unwrap();
        fs::write(folder.path().join("d/a"), "1").unwrap();
        let before = signature(folder.path(), Links::Skip).unwrap();
        assert_eq!((before.len(), signature(folder.path(), Links::Skip).unwrap() == before), (1, true));
        fs::write(folder.path().join("d/a"), "12").unwrap();
        assert_ne!(signature(folder.path(), Links::Skip).unwrap(), before);
        assert!(signature(&folder.path().join("none"), Links::Skip).is_err());
        assert!(is_missing(&folder.path().join("none")) && !is_missing(folder.path()));
    }

    #[tokio::test]
    async fn a_snapshot_is_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second, copy) = (folder.path().join("first"), folder.path().join("second"), folder.path().join("copy"));
        fs::write(&first, "1").unwrap();
        fs::write(&second, "2").unwrap();
        fs::hard_link(&first, &copy).unwrap();
        snapshot(&second, &copy).await.unwrap();
        assert_eq!((fs::read(&first).unwrap(), fs::read(&copy).unwrap()), (b"1".to_vec(), b"2".to_vec()));
    }

    #[test]
    fn a_changed_file_behind_a_link_changes_the_signature() {
        let folder = tempfile::tempdir().unwrap();
        let (output, elsewhere) = (folder.path().join("output"), folder.path().join("elsewhere"));
        for path in [&output, &elsewhere] {
            fs::create_dir(path).unwrap();
        }
        fs::write(elsewhere.join("a"), "1").unwrap();
        symlink(&elsewhere, output.join("link")).unwrap();
        symlink(&output, elsewhere.join("back")).unwrap();
        symlink("nowhere", output.join("broken")).unwrap();
        let before = signature(&output, Links::Follow).unwrap();
        let names: Vec<_> = before.keys().map(|path| path.strip_prefix(&output).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["broken", "link/a", "link/back"]);
        fs::write(elsewhere.join("a"), "12").unwrap();
        assert_ne!(signature(&output, Links::Follow).unwrap(), before);
    }
}
