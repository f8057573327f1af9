//! What bytes of strangers reach: keys of a listing, listings themselves, replies, headers and addresses; and what users write:
//! arguments, profiles, region files. Each takes any bytes and panics when something that always holds does not. Run by
//! `scripts/fuzz`, and by `tests/copy/fuzz.rs` with random bytes.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use ma_cli::api::Refusal;
use ma_cli::api::modelarts::algorithm::{Algorithm, check_parameters};
use ma_cli::api::modelarts::pool::Pool;
use ma_cli::api::modelarts::training_job::TrainingJob;
use ma_cli::api::modelarts::training_log::LogPreview;
use ma_cli::api::modelarts::training_metrics::Metrics;
use ma_cli::cli::{Invocation, argv};
use ma_cli::copy::key::{Conflicts, Place, place};
use ma_cli::obs::ObsUrl;
use ma_cli::obs::bytes::parse_content_range;
use ma_cli::obs::page::parse_page;
use ma_cli::obs::xml::Reader;
use ma_cli::settings::profile::{ProfileFile, update};
use ma_cli::settings::region;

/// Lines are the keys of a listing; the first is the prefix. No place is outside, and no file is a folder of another.
pub(crate) fn keys(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let prefix = lines.next().unwrap_or_default();
    let mut keys: Vec<String> = lines.map(|line| format!("{prefix}{line}")).collect();
    keys.extend(text.split('\n').map(str::to_owned));
    keys.sort_unstable();
    keys.dedup();
    let mut conflicts = Conflicts::default();
    let mut files: Vec<String> = Vec::new();
    for key in &keys {
        let Ok(found) = place(prefix, key) else { continue };
        let (Place::File(path) | Place::Folder(path)) = &found;
        assert!(key.starts_with(prefix) && !path.starts_with('/') && !path.contains('\0'), "{key:?}");
        let usable = |name: &str| !matches!(name, "" | "." | "..") && name.len() <= 255;
        assert!(path.split('/').all(usable) || (path.is_empty() && matches!(found, Place::Folder(_))), "{key:?}");
        if conflicts.check(&found).is_ok() {
            let above = |file: &String| path.strip_prefix(file.as_str()).is_some_and(|rest| rest.starts_with('/'));
            assert!(!files.iter().any(above), "{key:?} lies below a file");
            if let Place::File(path) = found {
                files.push(path);
            }
        }
    }
}

/// Lines are arguments. Every line of them is a command, a page or a complaint, and the rewritten ones are as many as were given
/// or fewer, but for bundled flags.
pub(crate) fn argv(data: &[u8]) {
    static TREE: OnceLock<clap::Command> = OnceLock::new();
    let tree = TREE.get_or_init(|| {
        let mut tree = ma_cli::cli::command();
        tree.build();
        tree
    });
    let words = data.split(|&byte| byte == b'\n').map(|word| OsString::from_vec(word.to_vec()));
    let arguments: Vec<OsString> = std::iter::once(OsString::from("ma-cli")).chain(words).collect();
    if let argv::Parsed::Run(rewritten) = argv::rewrite(tree, &arguments) {
        assert!(rewritten.len() <= arguments.len() + data.len(), "{arguments:?}");
    }
    // The whole way is a hundred times as long.
    if data.len().is_multiple_of(32) {
        let said = match ma_cli::cli::parse(&arguments) {
            Invocation::Misuse(misuse) => misuse.text,
            Invocation::Print(text) => text,
            Invocation::Run(_) => return,
        };
        assert!(!said.is_empty(), "{arguments:?}");
    }
}

/// A profile file: read or refused; and when a profile is changed, the others stay what they were.
pub(crate) fn profile(data: &[u8]) {
    let path = file("profiles.yaml", data);
    let Ok(before) = ProfileFile::read(&path) else { return };
    let region = serde_json::Map::from_iter([("region".to_owned(), "cn-north-4".into())]);
    if update(&path, "DEFAULT", region).is_err() {
        assert_eq!(std::fs::read(&path).expect("the file is there"), data, "what cannot be changed stays as it is");
        return;
    }
    let after = ProfileFile::read(&path).expect("what was written is read");
    assert_eq!(after.get("DEFAULT").expect("the profile is there")["region"], "cn-north-4");
    for name in before.names().filter(|name| *name != "DEFAULT") {
        assert_eq!(after.get(name), before.get(name), "{name:?} was changed in {:?}", String::from_utf8_lossy(data));
    }
    assert!(after.names().all(|name| name == "DEFAULT" || before.names().any(|known| known == name)), "a profile was made up");
}

/// A region file: read or refused.
pub(crate) fn region(data: &[u8]) {
    if let Ok(regions) = region::read_file(&file("regions.yaml", data)) {
        assert!(regions.len() <= data.len(), "more regions than bytes");
    }
}

/// A file with these bytes, in a folder of this process.
fn file(name: &str, data: &[u8]) -> PathBuf {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    // In memory where there is such a folder: a profile is made durable each time it is written.
    let folder = FOLDER
        .get_or_init(|| tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("there is a place for files"));
    let path = folder.path().join(name);
    std::fs::write(&path, data).expect("the file can be written");
    path
}

/// A reply of a control plane: a refusal says something whatever its body, and every view reads every document.
pub(crate) fn json(data: &[u8]) {
    let refusal = Refusal::read(http::StatusCode::BAD_REQUEST, None, data);
    assert!(!refusal.code.is_empty() && !refusal.to_string().is_empty(), "{refusal:?}");
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(data) else { return };
    let job = TrainingJob(document.clone());
    let _ =
        (job.id(), job.name(), job.phase(), job.duration(), job.tasks(), job.failure(), job.failed_task(), job.create_time());
    let algorithm = Algorithm(document.clone());
    let _ = (algorithm.id(), algorithm.engine(), algorithm.create_time(), algorithm.takes_other_parameters());
    let _ = check_parameters(&algorithm, &[("a".to_owned(), Some("1".to_owned())), ("b".to_owned(), None)]);
    let pool = Pool(document.clone());
    let _ = (pool.id(), pool.name(), pool.phase(), pool.message(), pool.kind(), pool.scope(), pool.resources());
    let preview = LogPreview::new(document.clone());
    let _ = (preview.content().len(), preview.start(), preview.is_exact());
    let _ = Metrics::new(document);
}

/// A page of a listing: any document is read or refused, and what is read has keys. Any other document of the store is walked
/// through to its end.
pub(crate) fn listing(data: &[u8]) {
    let mut reader = Reader::new(data);
    let mut opened = reader.child();
    while let Ok(Some(name)) = reader.child() {
        opened = if name.len() % 2 == 0 { reader.text().map(|_| None) } else { reader.skip().map(|()| None) };
        if opened.is_err() {
            break;
        }
    }
    if opened.is_ok() {
        let _ = reader.end();
    }
    if let Ok(page) = parse_page(data) {
        assert!(page.entries.iter().all(|entry| !entry.etag.starts_with('"')), "{page:?}");
    }
}

/// Headers of answers, and addresses that users write.
pub(crate) fn words(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Some((first, last, size)) = parse_content_range(&text) {
        assert!(first <= last && last < size, "{text:?}");
    }
    if let Ok(url) = text.parse::<ObsUrl>() {
        let again: ObsUrl = url.to_string().parse().expect("what was an address stays one");
        assert_eq!(again, url, "{text:?}");
    }
}
