//! Code and data of this machine, uploaded before a job is submitted.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::api::modelarts::training_job::DATASET;
use crate::commands::ma_job::spec::Spec;
use crate::commands::ma_job::uploaded::{self, Contents};
use crate::commands::ma_job::walk::{Found, Walk};
use crate::copy::select::{Compare, Existing, Names};
use crate::copy::{self, Plan, Selection};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::obs::{self, ObsUrl};
use crate::ui::progress::Progress;
use crate::ui::text;

/// Folder that uploads go to where no other is named, in the bucket of the job's logs or outputs.
const DEFAULT_FOLDER: &str = "ma-cli/";
/// A code folder is copied to every node of every run: larger ones are wondered at. The service's own advice.
const LARGE_CODE: u64 = 50 << 20;
/// Up to this many bytes what is there already is compared by content; reading them takes a second or two.
const COMPARED_WHOLE: u64 = 256 << 20;
/// Objects that are counted at most to see whether more is there than was uploaded.
const MOST_COUNTED: u64 = 100_000;

/// What an upload is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The folder of the code.
    Code,
    /// The folder of the data.
    Data,
    /// A folder or file for an input.
    Input,
}

/// One upload.
#[derive(Debug)]
pub(super) struct Upload {
    source: PathBuf,
    destination: ObsUrl,
    purpose: Purpose,
    is_folder: bool,
    found: Found,
    /// The names of what is uploaded, each ended by NUL.
    names: tempfile::NamedTempFile,
    /// What the files of code hold; nothing for data.
    contents: Contents,
}

/// Finds what has to be uploaded, and puts the place where it will be into the description of the job, which must have a name.
/// Nothing is sent.
///
/// # Errors
/// A folder is not there or breaks the limits of code; it is not known where to upload it to.
pub(super) fn plan(ctx: &Ctx, spec: &mut Spec) -> Result<Vec<Upload>, Error> {
    let mut uploads = Vec::new();
    let name = spec.text("name").unwrap_or_default().to_owned();
    let home = Place { directory: &ctx.env.directory, home: &ctx.env.home };
    let base = |spec: &Spec| base(spec).map(|base| base.join(&format!("{name}/")));
    if let Some(source) = spec.text("code-dir").and_then(|url| home.local(url)) {
        // Every version of the code has a place of its own: another job of this name may still have to read its own.
        let upload = Upload::find(source, base(spec)?.join("code/"), Purpose::Code)?;
        upload.check_boot_file(spec.text("boot-file"))?;
        spec.texts.insert("code-dir", upload.destination.to_string());
        uploads.push(upload);
    }
    if let Some(source) = spec.text("data-url").and_then(|url| home.local(url)) {
        let upload = Upload::find(source, base(spec)?.join("data/"), Purpose::Data)?;
        spec.texts.insert("data-url", upload.destination.to_string());
        uploads.push(upload);
    }
    let inputs = spec.inputs.iter().flatten();
    let local: Vec<_> =
        inputs.enumerate().filter_map(|(index, input)| Some((index, input.name.clone(), home.local(&input.url)?))).collect();
    for (index, input, source) in local {
        let upload = Upload::find(source, base(spec)?.join(&format!("inputs/{input}/")), Purpose::Input)?;
        if let Some(input) = spec.inputs.as_mut().and_then(|inputs| inputs.get_mut(index)) {
            input.url = upload.destination.to_string();
        }
        uploads.push(upload);
    }
    if spec.text("log-url").is_none()
        && let Some(folder) = spec.text("obs-path")
    {
        let log = folder.parse::<ObsUrl>()?.join(&format!("{name}/log/"));
        spec.texts.insert("log-url", log.to_string());
    }
    Ok(uploads)
}

/// Uploads what has changed.
///
/// # Errors
/// The store refuses, a file cannot be read, the user interrupts.
pub(super) async fn carry_out(ctx: &Ctx, uploads: Vec<Upload>, cancel: &CancellationToken) -> Result<(), Error> {
    if uploads.is_empty() {
        return Ok(());
    }
    let client = ctx.obs()?;
    for upload in uploads {
        let context = format!("uploading [{}] to [{}]", upload.source.display(), upload.destination);
        upload.run(ctx, &client, cancel).await.map_err(|error| error.context(&context))?;
    }
    Ok(())
}

impl Upload {
    fn find(source: PathBuf, destination: ObsUrl, purpose: Purpose) -> Result<Self, Error> {
        let shown = source.display().to_string();
        let about = std::fs::metadata(&source).map_err(|error| {
            Error::new(Kind::Local, format!("there is no folder [{shown}] on this machine"))
                .caused_by(error)
                .hint("an OBS path begins with obs://")
        })?;
        let unwritable = |error| Error::new(Kind::Local, "cannot write a temporary file").caused_by(error);
        let mut names = tempfile::NamedTempFile::new().map_err(unwritable)?;
        let is_folder = about.is_dir();
        let (found, mut destination) = if is_folder {
            let mut out = std::io::BufWriter::new(names.as_file_mut());
            let found = Walk::new(&source, purpose == Purpose::Code)?.run(&mut |name| {
                out.write_all(name.as_bytes())?;
                out.write_all(&[0])
            })?;
            out.flush().map_err(unwritable)?;
            drop(out);
            (found, destination)
        } else if purpose == Purpose::Input {
            let file = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (Found { files: 1, folders: 0, bytes: about.len() }, destination.join(&file))
        } else {
            return Err(Error::new(Kind::Local, format!("[{shown}] is no folder")));
        };
        if found.files == 0 {
            return Err(Error::new(Kind::Local, format!("[{shown}] holds no files to upload")));
        }
        let mut contents = Contents::default();
        if purpose == Purpose::Code {
            let names = std::fs::read(names.path())
                .map_err(|error| Error::new(Kind::Local, "cannot read a temporary file").caused_by(error))?;
            contents = Contents::read(&source, &names)?;
            destination = destination.join(&format!("{}/{}/", contents.version(), folder_name(&source)));
        }
        Ok(Self { source, destination, purpose, is_folder, found, names, contents })
    }

    fn check_boot_file(&self, boot_file: Option<&str>) -> Result<(), Error> {
        let Some(name) = boot_file.map(|name| name.trim_start_matches("./")) else { return Ok(()) };
        let is_relative = !name.starts_with('/') && !name.contains("://");
        let uploaded = std::fs::read(self.names.path()).unwrap_or_default();
        if is_relative && !uploaded.split(|byte| *byte == 0).any(|uploaded| uploaded == name.as_bytes()) {
            let message = format!("boot-file [{name}] is not in code-dir [{}]", self.source.display());
            return Err(Error::new(Kind::Config, message).hint("or a pattern of its .maignore leaves it out"));
        }
        Ok(())
    }

    /// What is, or would be, uploaded.
    pub(super) fn sentence(&self) -> String {
        let files = if self.found.files == 1 { "1 file".to_owned() } else { format!("{} files", self.found.files) };
        format!("[{}] ({files}, {}) to [{}]", self.source.display(), text::bytes(self.found.bytes), self.destination)
    }

    /// Whether this address will be there once it is uploaded.
    pub(super) fn covers(&self, url: &ObsUrl) -> bool {
        self.destination.as_folder() == url.as_folder()
    }

    async fn run(self, ctx: &Ctx, client: &obs::Client, cancel: &CancellationToken) -> Result<(), Error> {
        let is_code = self.purpose == Purpose::Code;
        if is_code {
            self.warn_of_size(ctx);
            uploaded::take_over(client, &self.destination, &self.contents).await;
        }
        let (source, destination) = (self.source.clone(), self.destination.clone());
        let plan =
            if self.is_folder { Plan::UploadFolder { source, destination } } else { Plan::UploadFile { source, destination } };
        // A file that was put back to what it was is older than the upload: only its content tells.
        let compare = if is_code || self.found.bytes <= COMPARED_WHOLE { Compare::Checksum } else { Compare::Time };
        let names = self.is_folder.then(|| Names { path: Some(self.names.path().to_owned()), null: true });
        let selection = Selection { existing: Existing::Update(compare), names, ..Selection::default() };
        let journal = Some(ctx.env.state_directory().join("transfers"));
        let options = copy::Options { selection: Arc::new(selection), journal, ..copy::Options::default() };
        let progress = Arc::new(ctx.ui.copy_progress(Progress::Auto));
        let watcher: Arc<dyn copy::EventSink> = Arc::clone(&progress) as Arc<dyn copy::EventSink>;
        let summary = copy::copy(client, plan, &options, watcher, cancel).await?;
        drop(progress);
        if let Some(failure) = summary.failures.into_iter().next() {
            let more = if summary.failed > 1 { format!(" (and {} more files)", summary.failed - 1) } else { String::new() };
            return Err(Error::from(failure.error).context(&format!("[{}]{more}", failure.name)));
        }
        ctx.ui.note(&format!("uploaded {}: {} new, {} unchanged", self.sentence(), summary.files, summary.skipped));
        if is_code {
            uploaded::note(client, &self.destination, &self.contents).await?;
        } else if self.is_folder && self.has_more_there(client).await? {
            ctx.ui.warn(&format!(
                "[{}] holds objects that are not in [{}]; the job gets them too. If it should not: ma-cli obs rm -r {0}",
                self.destination,
                self.source.display()
            ));
        }
        Ok(())
    }

    fn warn_of_size(&self, ctx: &Ctx) {
        if self.found.bytes > LARGE_CODE {
            ctx.ui.warn(&format!(
                "code-dir [{}] has {}; every node downloads it at every start. Leave out what is not code with a file .maignore",
                self.source.display(),
                text::bytes(self.found.bytes)
            ));
        }
    }

    /// Whether the destination holds more than what was uploaded; not looked at when that is too much to count.
    async fn has_more_there(&self, client: &obs::Client) -> Result<bool, Error> {
        if self.found.files > MOST_COUNTED {
            return Ok(false);
        }
        let (mut count, mut listing) = (0, client.list(&self.destination, true));
        while let Some(page) = listing.next_page().await? {
            count += page.entries.iter().filter(|entry| !entry.key.ends_with('/')).count() as u64;
            if count > self.found.files {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Where paths of this machine begin.
struct Place<'a> {
    directory: &'a Path,
    home: &'a Path,
}

impl Place<'_> {
    /// The path, if it is one of this machine. `/bucket/folder` is an OBS path where no such folder is here.
    fn local(&self, url: &str) -> Option<PathBuf> {
        if url.is_empty() || url.contains("://") || url.starts_with(DATASET) {
            return None;
        }
        if let Some(below) = url.strip_prefix("~/") {
            return Some(self.home.join(below));
        }
        let path = self.directory.join(url);
        (!url.starts_with('/') || path.exists()).then_some(path)
    }
}

/// Where uploads of this job go to.
fn base(spec: &Spec) -> Result<ObsUrl, Error> {
    if let Some(path) = spec.text("obs-path") {
        return Ok(path.parse::<ObsUrl>()?.as_folder());
    }
    let outputs = spec.outputs.iter().flatten().map(|output| output.url.as_str());
    let url = spec.text("log-url").into_iter().chain(outputs).find_map(bucket);
    let Some(bucket) = url else {
        return Err(Error::new(Kind::Config, "code and data of this machine are uploaded first, and nothing says where to")
            .hint(
                "give --obs-path obs://BUCKET/FOLDER (obs-path in a job file), or a --log-url or --output in the bucket to use",
            ));
    };
    Ok(ObsUrl::new(bucket, DEFAULT_FOLDER))
}

fn bucket(url: &str) -> Option<String> {
    match url.strip_prefix('/') {
        Some(path) => path.split('/').next().filter(|bucket| !bucket.is_empty()).map(str::to_owned),
        None => url.parse::<ObsUrl>().ok().map(|url| url.bucket),
    }
}

/// The last element of a folder's real path, by which the job knows it; `code` where that would be no plain name.
fn folder_name(source: &Path) -> String {
    let real = std::fs::canonicalize(source).unwrap_or_else(|_| source.to_owned());
    let name = real.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let is_plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.');
    if !name.is_empty() && name.chars().all(is_plain) { name } else { "code".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Place, base};
    use crate::api::modelarts::training_job::Folder;
    use crate::commands::ma_job::spec::Spec;

    #[test]
    fn paths_of_this_machine_are_told_from_addresses() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { directory: Path::new("/w"), home: Path::new("/h") };
        let local = |url: &str| place.local(url).map(|path| path.display().to_string());
        for url in ["obs://b/c", "s3://b/c", "file:///mnt/c", "dataset://1/2", "/no-such-bucket/c/", ""] {
            assert_eq!(local(url), None, "{url}");
        }
        assert_eq!(local("./src").unwrap(), "/w/./src");
        assert_eq!((local("src").unwrap().as_str(), local("~/src").unwrap().as_str()), ("/w/src", "/h/src"));
        assert!(local(folder.path().to_str().unwrap()).is_some());
    }

    #[test]
    fn uploads_go_where_the_user_says_or_beside_the_logs_or_outputs() {
        let spec = |texts: &[(&'static str, &str)], output: Option<&str>| Spec {
            texts: texts.iter().map(|(key, text)| (*key, (*text).to_owned())).collect(),
            outputs: output.map(|url| vec![Folder { name: "o".to_owned(), url: url.to_owned(), ..Folder::default() }]),
            ..Spec::default()
        };
        let place = |spec: &Spec| base(spec).map(|url| url.to_string());
        assert_eq!(place(&spec(&[("obs-path", "obs://b/p"), ("log-url", "obs://c/l")], None)).unwrap(), "obs://b/p/");
        assert_eq!(place(&spec(&[("log-url", "obs://c/l")], Some("obs://d/"))).unwrap(), "obs://c/ma-cli/");
        assert_eq!(place(&spec(&[], Some("/d/out/"))).unwrap(), "obs://d/ma-cli/");
        assert!(place(&spec(&[], None)).unwrap_err().hints[0].contains("--obs-path"));
    }
}
