//! Names that the tree does not know: which argument takes which, and how they become candidates in time.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Instant;

use crate::catalogue;
use crate::cli::complete::cache::{Item, Names};
use crate::cli::complete::{Candidate, remote};
use crate::settings::env::Env;
use crate::settings::profile::ProfileFile;
use crate::settings::{DEFAULT_PROFILE, Flags, LOCAL_PROFILE, region};

/// Where the values of an argument are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Profiles of the profile file.
    Profile,
    /// Regions of the built-in table.
    Region,
    /// Ids of training jobs, newest first.
    Job,
    /// Names of training jobs.
    JobName,
    /// Tasks of the job that stands before.
    Task,
    /// Ids of algorithms.
    Algorithm,
    /// Names of algorithms.
    AlgorithmName,
    /// Ids of dedicated pools.
    Pool,
    /// Names of engines.
    Engine,
    /// Ids of engines.
    EngineVersion,
    /// Images of engines.
    Image,
    /// Ids of flavors.
    Flavor,
    /// Buckets and keys, as `obs://bucket/key`.
    Object,
    /// The same, or a file of this machine.
    ObjectOrFile,
    /// Buckets alone, as `obs://bucket`.
    Bucket,
    /// Paths of operations that take the method that stands before.
    ApiPath,
}

impl Source {
    /// What the argument with this id takes, in the command reached by these names.
    pub(super) fn of(path: &[&str], id: &str) -> Option<Self> {
        let noun = path.first().copied().unwrap_or_default();
        Some(match (noun, id) {
            (_, "profile") | ("configure", "name" | "names" | "profiles") => Self::Profile,
            ("configure", "region") => Self::Region,
            ("api", "path") => Self::ApiPath,
            ("ma-job", "id" | "ids" | "job_id" | "words") | (_, "from_job") => Self::Job,
            (_, "job_name") => Self::JobName,
            ("ma-job", "task" | "task_id") => Self::Task,
            ("algorithm", "id" | "ids") | (_, "algorithm_id") => Self::Algorithm,
            ("algorithm", "name") if path.last() == Some(&"list") => Self::AlgorithmName,
            ("ma-job", "pool_id" | "pool") => Self::Pool,
            (_, "framework_type") => Self::Engine,
            (_, "framework_version") => Self::EngineVersion,
            (_, "image_url") => Self::Image,
            (_, "train_instance_type") => Self::Flavor,
            ("obs-copy", "src" | "dst") => Self::ObjectOrFile,
            ("obs", "bucket") => Self::Bucket,
            ("obs", "url") => Self::Object,
            ("ma-job" | "algorithm", "data_url" | "log_url" | "code_dir" | "boot_file" | "obs_path" | "input" | "output") => {
                Self::Object
            }
            _ => return None,
        })
    }

    /// Whether candidates are the user's own addresses, of which only what follows the last `/` is new.
    fn is_object(self) -> bool {
        matches!(self, Self::Object | Self::ObjectOrFile)
    }
}

/// A word to complete with names.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) source: Source,
    /// What of the word stands before the name, such as `--profile=`.
    pub(super) prefix: String,
    /// The part of the name that is there.
    pub(super) typed: String,
    /// The job that the command line names, or whatever stands first in it.
    pub(super) job: Option<String>,
    /// What the command line says about settings.
    pub(super) flags: Flags,
}

/// Candidates, and whether time was up before a service had answered.
pub(super) struct Resolved {
    pub(super) candidates: Vec<Candidate>,
    pub(super) is_late: bool,
}

/// Finds the names in time. They are looked for in a thread that is left behind when time is up: a read of a file may hang as
/// well as a connection.
pub(super) fn resolve(mut wanted: Wanted, env: &Env, deadline: Instant) -> Resolved {
    if wanted.source.is_object() {
        // `--input NAME=obs://…`
        let start = wanted.typed.rfind("=obs://").map_or(0, |at| at + 1);
        wanted.prefix.push_str(&wanted.typed[..start]);
        wanted.typed.drain(..start);
        if !wanted.typed.contains("://") {
            // One letter more often begins a file's name, where there may be one.
            let least = if wanted.source == Source::ObjectOrFile { 2 } else { 1 };
            let is_beginning = "obs://".starts_with(&wanted.typed) && wanted.typed.len() >= least;
            let is_only = wanted.source == Source::Object && wanted.typed.is_empty();
            let scheme =
                (is_beginning || is_only).then(|| Candidate::plain(format!("{}obs://", wanted.prefix), "Object store"));
            return Resolved { candidates: scheme.into_iter().collect(), is_late: false };
        }
    }
    let (sender, receiver) = mpsc::channel();
    let (task, surroundings) = (wanted.clone(), env.clone());
    let started = thread::Builder::new().spawn(move || look_up(&task, &surroundings, &sender));
    let mut latest = Names::default();
    let mut is_late = false;
    while started.is_ok() && !latest.is_fresh {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(names) => latest = names,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                is_late = true;
                break;
            }
        }
    }
    Resolved { candidates: matching(&wanted, latest.items), is_late }
}

fn look_up(wanted: &Wanted, env: &Env, found: &Sender<Names>) {
    let fresh = |items| Names { items, is_fresh: true };
    // Nobody listens any more when time is up.
    let _ = match wanted.source {
        Source::Region => found.send(fresh(region::names().map(|name| Item::new(name, "")).collect())),
        Source::ApiPath => {
            let paths = catalogue::paths(wanted.job.as_deref());
            found.send(fresh(paths.map(|path| Item::new(path, "")).collect()))
        }
        Source::Profile => found.send(fresh(profiles(&wanted.flags, env))),
        _ => return remote::look_up(wanted, env, found),
    };
}

fn profiles(flags: &Flags, env: &Env) -> Vec<Item> {
    let named = flags.config_file.as_deref().or_else(|| env.get("MA_CLI_CONFIG_FILE").map(std::path::Path::new));
    let path = named.map_or_else(|| env.profile_path(), |path| env.directory.join(path));
    let file = ProfileFile::read(&path);
    let mut names: Vec<_> = file.iter().flat_map(ProfileFile::names).map(|name| Item::new(name, "")).collect();
    for (name, help) in [(DEFAULT_PROFILE, ""), (LOCAL_PROFILE, "the embedded platform")] {
        if !names.iter().any(|item| item.value == name) {
            names.push(Item::new(name, help));
        }
    }
    names
}

/// The items that the word is the beginning of. An id is also found by the name that it is shown with.
fn matching(wanted: &Wanted, items: Vec<Item>) -> Vec<Candidate> {
    let is_described = matches!(wanted.source, Source::Job | Source::Algorithm);
    let candidate =
        |item: &Item| Candidate { is_described, ..Candidate::plain(format!("{}{}", wanted.prefix, item.value), &item.help) };
    let found: Vec<_> = items.iter().filter(|item| item.value.starts_with(&wanted.typed)).map(candidate).collect();
    if !found.is_empty() || wanted.typed.is_empty() || wanted.source.is_object() {
        return found;
    }
    let mut named: Vec<_> = items.iter().filter(|item| item.help.starts_with(&wanted.typed)).map(candidate).collect();
    if named.len() > 1 {
        named.iter_mut().for_each(|candidate| candidate.kind = "named");
    }
    named
}

#[cfg(test)]
mod tests {
    use super::{Item, Source, Wanted, matching};
    use crate::settings::Flags;

    fn wanted(typed: &str) -> Wanted {
        Wanted { source: Source::Job, prefix: "-i=".to_owned(), typed: typed.to_owned(), job: None, flags: Flags::default() }
    }

    #[test]
    fn an_id_is_found_by_its_name() {
        let items =
            vec![Item::new("a1", "train (Running)"), Item::new("a2", "test (Failed)"), Item::new("b3", "tune (Failed)")];
        let found = |typed: &str| {
            let found = matching(&wanted(typed), items.clone()).into_iter();
            found.map(|one| format!("{} {}", one.kind, one.value)).collect::<Vec<_>>()
        };
        assert_eq!(found("a"), ["plain -i=a1", "plain -i=a2"]);
        assert_eq!(found("tra"), ["plain -i=a1"]);
        assert_eq!(found("t"), ["named -i=a1", "named -i=a2", "named -i=b3"]);
        assert!(found("x").is_empty());
    }

    #[test]
    fn every_row_of_the_table_belongs_to_an_argument() {
        let mut root = crate::cli::command();
        root.build();
        let has = |path: &[&str], id: &str| {
            let path: Vec<_> = path.iter().map(|name| (*name).to_owned()).collect();
            crate::cli::help::find(&root, &path).get_arguments().any(|argument| argument.get_id() == id)
        };
        for (path, id, source) in [
            (&["ma-job", "get-job"][..], "id", Source::Job),
            (&["ma-job", "stop"], "ids", Source::Job),
            (&["ma-job", "tag"], "words", Source::Job),
            (&["ma-job", "get-job"], "job_name", Source::JobName),
            (&["ma-job", "get-log"], "task_id", Source::Task),
            (&["ma-job", "metrics"], "task", Source::Task),
            (&["ma-job", "submit"], "pool_id", Source::Pool),
            (&["ma-job", "get-job"], "pool", Source::Pool),
            (&["ma-job", "submit"], "framework_type", Source::Engine),
            (&["ma-job", "submit"], "framework_version", Source::EngineVersion),
            (&["ma-job", "submit"], "image_url", Source::Image),
            (&["ma-job", "submit"], "train_instance_type", Source::Flavor),
            (&["ma-job", "submit"], "algorithm_id", Source::Algorithm),
            (&["ma-job", "submit"], "data_url", Source::Object),
            (&["ma-job", "submit"], "log_url", Source::Object),
            (&["ma-job", "submit"], "obs_path", Source::Object),
            (&["algorithm", "create"], "from_job", Source::Job),
            (&["algorithm", "show"], "id", Source::Algorithm),
            (&["algorithm", "list"], "name", Source::AlgorithmName),
            (&["algorithm", "create"], "code_dir", Source::Object),
            (&["obs-copy"], "src", Source::ObjectOrFile),
            (&["obs", "ls"], "url", Source::Object),
            (&["obs", "rb"], "bucket", Source::Bucket),
            (&["configure"], "region", Source::Region),
            (&["api"], "path", Source::ApiPath),
        ] {
            assert!(has(path, id), "{path:?} has no argument {id}");
            assert_eq!(Source::of(path, id), Some(source), "{path:?} {id}");
        }
    }
}
