//! The folders of a task: the container's tree, below a folder of the task's own.

use std::path::{Path, PathBuf};

use crate::platform::runner::plan::{JobPlan, Task};

/// The home folder that documents and users' scripts name.
pub const HOME: &str = "/home/ma-user";

/// The folder that holds code, inputs, outputs and logs.
pub const MOUNT: &str = "/home/ma-user/modelarts";

/// Default for the folder that the code directory is put into.
pub const JOB_DIR: &str = "/home/ma-user/modelarts/user-job-dir";

/// Where the program's own log files are looked for.
pub const LOG_DIR: &str = "/home/ma-user/modelarts/log";

/// Where a task's files are.
#[derive(Clone, Debug)]
pub struct Layout {
    folder: PathBuf,
    log: PathBuf,
}

impl Layout {
    /// The layout of one task below the folder of all jobs.
    pub fn new(jobs: &Path, plan: &JobPlan, task: &Task) -> Self {
        let folder = task_folder(jobs, &plan.id, &task.id());
        let log = log_file(jobs, &plan.id, &task.id());
        Self { folder, log }
    }

    /// The task's folder: specification, status, usage, and the tree below `home`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The same as the task's container sees it: every documented path is itself.
    pub fn in_container(&self) -> Self {
        Self { folder: PathBuf::new(), log: self.log.clone() }
    }

    /// The path in the container of a file or folder in the task's tree.
    pub fn inner(&self, path: &Path) -> String {
        path.strip_prefix(&self.folder)
            .map_or(path.to_owned(), |inner| Path::new("/").join(inner))
            .to_string_lossy()
            .into_owned()
    }

    /// The task's log file.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The Python environment of a task that brings a requirements file.
    pub fn virtual_environment(&self) -> PathBuf {
        self.folder.join("venv")
    }

    /// The place in the task's tree of a path in the container; other paths are themselves.
    pub fn local(&self, path: &str) -> PathBuf {
        PathBuf::from(self.replace(path))
    }

    /// `text` with every documented path in it (below `/home/ma-user`) turned into the one of the task's tree. A path counts only
    /// when it stands for itself: not as the tail of a longer one, and not `/home/ma-user2`.
    pub fn replace(&self, text: &str) -> String {
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(HOME) {
            let (before, found) = rest.split_at(at);
            let after = &found[HOME.len()..];
            replaced.push_str(before);
            let joined = replaced.ends_with(is_name) || replaced.ends_with('/') || after.starts_with(is_name);
            if !joined {
                replaced.push_str(&self.folder.to_string_lossy());
            }
            replaced.push_str(HOME);
            rest = after;
        }
        replaced + rest
    }
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | '~')
}

/// The folder of a job.
pub fn job_folder(jobs: &Path, job: &str) -> PathBuf {
    jobs.join(job)
}

/// The folder of one of its tasks.
pub fn task_folder(jobs: &Path, job: &str, task: &str) -> PathBuf {
    job_folder(jobs, job).join(task)
}

/// What the processes of a task are marked with, by the task's folder. The job's id makes it unique, so that a data directory
/// may have been moved meanwhile.
pub fn task_mark(folder: &Path) -> String {
    let name = |path: Option<&Path>| path.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    format!("{}/{}", name(folder.parent()), name(Some(folder)))
}

/// What the supervisor of a task is marked with.
pub fn supervisor_mark(folder: &Path) -> String {
    format!("{}/supervisor", task_mark(folder))
}

/// The log file of one of its tasks.
pub fn log_file(jobs: &Path, job: &str, task: &str) -> PathBuf {
    task_folder(jobs, job, task).join(log_name(job, task))
}

/// The name of a task's log file, here and in the object store.
pub fn log_name(job: &str, task: &str) -> String {
    format!("modelarts-job-{job}-{task}.log")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Layout, log_name};

    #[test]
    fn only_whole_paths_are_replaced() {
        let layout = Layout { folder: Path::new("/j/w").to_owned(), log: "/j/w/log".into() };
        for (text, expected) in [
            ("/home/ma-user/modelarts/x", "/j/w/home/ma-user/modelarts/x"),
            ("cd /home/ma-user && A=/home/ma-user:b", "cd /j/w/home/ma-user && A=/j/w/home/ma-user:b"),
            ("/home/ma-user2/x /srv/home/ma-user/x", "/home/ma-user2/x /srv/home/ma-user/x"),
            ("'/home/ma-user/modelarts/log'", "'/j/w/home/ma-user/modelarts/log'"),
            ("/tmp/x", "/tmp/x"),
        ] {
            assert_eq!(layout.replace(text), expected, "{text}");
        }
        let inner = layout.in_container();
        assert_eq!(inner.replace("ls /home/ma-user/modelarts"), "ls /home/ma-user/modelarts");
        assert_eq!(layout.inner(&layout.local("/home/ma-user/x")), "/home/ma-user/x");
        assert_eq!(log_name("1", "worker-0"), "modelarts-job-1-worker-0.log");
    }
}
