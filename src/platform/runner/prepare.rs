//! Getting a task ready: its folders, code, inputs and environment, and the specification for its supervisor.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::platform::runner::boot::{self, Programs};
use crate::platform::runner::container::{self, Container, Run};
use crate::platform::runner::environment::{self, Surroundings};
use crate::platform::runner::layout::{HOME, LOG_DIR, Layout, MOUNT, task_mark};
use crate::platform::runner::meeting::{Meeting, TORCHRUN_PORT};
use crate::platform::runner::plan::{Boot, CardKind, Channel, Image, JobPlan, ObsPlace, Task};
use crate::platform::runner::spec::{SPEC_FILE, STATUS_FILE, Step, TRAINING, TaskSpec, replace_json};
use crate::platform::runner::transfer::{Fetched, Listed, Transfer};
use crate::platform::runner::usage::USAGE_FILE;
use crate::platform::runner::{Error, cards, hosts, keep};

/// Documented limits of a code directory.
const CODE_BYTES: u64 = 5 << 30;
const CODE_ENTRIES: usize = 1000;
const CODE_DEPTH: usize = 32;

/// The accepted names of the file that lists Python packages, best first.
const REQUIREMENTS: [&str; 4] = ["pip-requirement.txt", "pip-requirements.txt", "requirement.txt", "requirements.txt"];

/// What the folder of a task takes over from an earlier start of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// Nothing: it is the first start.
    None,
    /// What was recorded: log and usage. The task begins from empty folders, as in a new container.
    Records,
    /// Everything: only the processes are new.
    Folders,
}

/// Everything a preparation needs beside the task.
#[derive(Debug)]
pub struct Preparation<'a> {
    /// The job.
    pub plan: &'a JobPlan,
    /// Folder of all jobs.
    pub jobs: &'a Path,
    /// What the tasks have agreed on.
    pub meeting: &'a Meeting,
    /// Programs of this machine.
    pub programs: &'a Programs,
    /// What the environment tells of the platform.
    pub surroundings: &'a Surroundings,
    /// Where code and inputs come from.
    pub transfer: &'a Transfer,
    /// Milliseconds between SIGTERM and SIGKILL.
    pub grace: u64,
    /// Milliseconds between samples of usage.
    pub sample_period: u64,
    /// What is taken over from an earlier start.
    pub earlier: Earlier,
}

impl Preparation<'_> {
    /// Gets one task ready. `tell` is called with each event.
    ///
    /// # Errors
    /// Something the job names is not there or cannot be had; nothing was started then.
    pub async fn task(&self, task: &Task, tell: &(dyn Fn(String) + Sync)) -> Result<(), Error> {
        let (plan, layout) = (self.plan, Layout::new(self.jobs, self.plan, task));
        let tell = |message: &str| tell(format!("[{}]{message}", task.id()));
        make_folders(plan, &layout, self.earlier)?;
        if self.earlier != Earlier::None {
            log_line(&layout, "error, exiting: the task is started again")?;
        }
        let code = self.code(&layout, &tell).await?;
        let channels = self.channels(&layout, &tell).await?;
        if let Some(image) = &plan.image {
            return self.container(task, image, &layout, &code, &channels);
        }
        let working_directory = plan.working_dir.as_ref().map_or_else(|| code.clone(), |folder| layout.local(folder));
        if !working_directory.is_dir() {
            let shown = plan.working_dir.as_deref().unwrap_or_default();
            return Err(Error::Invalid(format!("the working directory {shown} does not exist")));
        }
        let surroundings = self.surroundings;
        let mut variables = environment::build(plan, task, &layout, surroundings, &code.to_string_lossy(), &channels);
        if let Some(port) = self.meeting.torchrun_port(plan) {
            variables.insert(TORCHRUN_PORT.to_owned(), port.to_string());
        }
        let (steps, python) = self.steps(&layout, &code, &tell);
        let bin = self.wrap_python(&layout, &python, &mut variables)?;
        if plan.nodes > 1 {
            hosts::write_access(self.jobs, plan, &layout, &bin, &variables)?;
        }
        let programs = self.files(Programs { python, ..self.programs.clone() }, &layout)?;
        let argv = boot::command(plan, task, self.meeting, &layout, &programs, &code, &channels);
        log_line(&layout, &format!("[init] start: {}", argv.join(" ")))?;
        let spec = TaskSpec {
            task: task.id(),
            folder: layout.folder().to_owned(),
            log: layout.log().to_owned(),
            wrapper: programs.wrapper,
            container: None,
            steps: steps.into_iter().chain([Step { stage: TRAINING.to_owned(), argv }]).collect(),
            working_directory,
            environment: variables,
            grace: self.grace,
            sample_period: self.sample_period,
            cores: plan.cores,
            memory: plan.memory,
        };
        write_spec(&spec)
    }

    /// Writes the specification of a task that runs in a container: what it is told are the paths that it sees there.
    fn container(
        &self,
        task: &Task,
        image: &Image,
        layout: &Layout,
        code: &Path,
        channels: &[(&Channel, String)],
    ) -> Result<(), Error> {
        let (plan, inner, code) = (self.plan, layout.in_container(), layout.inner(code));
        let channels: Vec<(&Channel, String)> =
            channels.iter().map(|(channel, path)| (*channel, layout.inner(Path::new(path)))).collect();
        let variables = environment::build(plan, task, &inner, self.surroundings, &code, &channels);
        let arguments = boot::arguments(plan, &inner, &channels);
        let argv = container::program(&plan.boot, &code, &arguments, boot::quote);
        log_line(layout, &format!("[init] start in {}: {}", image.name, argv.join(" ")))?;
        let home = layout.local(HOME);
        container::open_to_all(&home).map_err(Error::local("cannot change the permissions below", &home))?;
        let folders = plan.inputs.iter().chain(&plan.outputs).map(|channel| channel.local_dir.as_str());
        let outside = folders.chain([plan.local_code_dir.as_str()]).filter(|folder| !Path::new(folder).starts_with(MOUNT));
        let mounts = [MOUNT].into_iter().chain(outside).map(|folder| (layout.local(folder), folder.to_owned())).collect();
        let own = Container::new(&self.programs.docker, &task_mark(layout.folder()));
        let hosts = if plan.nodes > 1 { hosts::addresses(plan) } else { Vec::new() };
        let (argv, environment) = own.run(&Run { plan, image, mounts, hosts, variables: &variables, argv });
        write_spec(&TaskSpec {
            task: task.id(),
            folder: layout.folder().to_owned(),
            log: layout.log().to_owned(),
            wrapper: Vec::new(),
            container: Some(own),
            steps: vec![Step { stage: TRAINING.to_owned(), argv }],
            working_directory: layout.folder().to_owned(),
            environment,
            grace: self.grace,
            sample_period: self.sample_period,
            cores: plan.cores,
            memory: plan.memory,
        })
    }

    /// Writes the files by which the engine's processes find each other, and names them.
    fn files(&self, mut programs: Programs, layout: &Layout) -> Result<Programs, Error> {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        if self.plan.is_led() {
            programs.hostfile = text(hosts::write_hostfile(self.plan, layout)?);
        }
        if self.plan.card_kind == Some(CardKind::Npu) {
            programs.rank_table = text(cards::write_tables(self.plan, layout)?);
            programs.run_per_card = text(cards::write_script(layout)?);
        }
        Ok(programs)
    }

    /// Fetches the code directory; returns the folder it is in, or the home folder for a job without code.
    async fn code(&self, layout: &Layout, tell: &(dyn Fn(&str) + Sync)) -> Result<PathBuf, Error> {
        let Some(from) = &self.plan.code else { return Ok(layout.local(HOME)) };
        log_line(layout, &format!("[init] download code_url: {}", from.url()))?;
        tell(" Training code is downloading.");
        let started = Instant::now();
        let listed = self.transfer.list(from, CODE_ENTRIES).await?;
        if listed.is_empty() {
            return Err(Error::NothingThere(from.url()));
        }
        check_limits(from, &listed)?;
        let folder = layout.local(&self.plan.local_code_dir).join(from.name());
        self.transfer.fetch_directory(from, &folder).await?;
        tell(&format!("[time used: {:.3}s] Training code is downloaded.", started.elapsed().as_secs_f64()));
        if let Boot::File(file) = &self.plan.boot
            && !folder.join(file).is_file()
        {
            return Err(Error::NothingThere(from.join(file).url()));
        }
        Ok(folder)
    }

    /// Fetches the inputs; returns the local path of each input and output.
    async fn channels(&self, layout: &Layout, tell: &(dyn Fn(&str) + Sync)) -> Result<Vec<(&Channel, String)>, Error> {
        let mut paths = Vec::new();
        for input in &self.plan.inputs {
            let folder = layout.local(&input.local_dir);
            log_line(layout, &format!("[init] download {}: {}", input.name, input.remote.url()))?;
            tell(&format!(" Training input(parameter name: {}) is downloading.", input.name));
            let started = Instant::now();
            let path = match self.transfer.fetch(&input.remote, &folder).await? {
                Fetched::Directory => folder,
                Fetched::File(name) => folder.join(name),
            };
            let seconds = started.elapsed().as_secs_f64();
            tell(&format!("[time used: {seconds:.3}s] Training input(parameter name: {}) is downloaded.", input.name));
            paths.push((input, path.to_string_lossy().into_owned()));
        }
        for output in &self.plan.outputs {
            let folder = layout.local(&output.local_dir);
            // The same processes' folders have what they wrote, newer perhaps than what is stored.
            if output.predownload && self.earlier != Earlier::Folders {
                self.predownload(output, &folder, layout, tell).await?;
            }
            paths.push((output, folder.to_string_lossy().into_owned()));
        }
        Ok(paths)
    }

    /// Fetches what an output's place holds already; at the first start of all that may be nothing.
    async fn predownload(
        &self,
        output: &Channel,
        folder: &Path,
        layout: &Layout,
        tell: &(dyn Fn(&str) + Sync),
    ) -> Result<(), Error> {
        log_line(layout, &format!("[init] download {}: {}", output.name, output.remote.url()))?;
        let started = Instant::now();
        if self.transfer.any(&output.remote.folder()).await? {
            self.transfer.fetch_directory(&output.remote, folder).await?;
        }
        keep::remember_fetched(layout, output).map_err(Error::local("cannot read", folder))?;
        let seconds = started.elapsed().as_secs_f64();
        tell(&format!("[time used: {seconds:.3}s] Training output(parameter name: {}) is predownloaded.", output.name));
        Ok(())
    }

    /// The steps before the program, and the Python it runs with: a requirements file gives the task an environment of its own,
    /// in which the engine's own packages can be seen.
    fn steps(&self, layout: &Layout, code: &Path, tell: &dyn Fn(&str)) -> (Vec<Step>, String) {
        let python = self.programs.python.clone();
        let file = REQUIREMENTS.iter().find(|name| self.plan.code.is_some() && code.join(name).is_file());
        let (Some(file), true) = (file, self.plan.engine.is_some()) else { return (Vec::new(), python) };
        tell(&format!(" Python packages of {file} are going to be installed."));
        let folder = layout.virtual_environment();
        let own = folder.join("bin/python").to_string_lossy().into_owned();
        let step = |stage: &str, argv: Vec<String>| Step { stage: stage.to_owned(), argv };
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let target = folder.to_string_lossy().into_owned();
        let list = code.join(file).to_string_lossy().into_owned();
        let mut create = words(&[&python, "-m", "venv", "--system-site-packages"]);
        create.extend(self.programs.has_pip.then(|| "--without-pip".to_owned()));
        create.push(target);
        let install = words(&[&own, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-r", &list]);
        (vec![step("venv", create), step("pip", install)], own)
    }

    /// Puts `python` and `python3` on the search path: the names that commands written for the cloud's images use.
    /// Returns the folder they are in.
    fn wrap_python(&self, layout: &Layout, python: &str, variables: &mut BTreeMap<String, String>) -> Result<PathBuf, Error> {
        let folder = layout.folder().join("bin");
        fs::create_dir_all(&folder).map_err(Error::local("cannot create", &folder))?;
        for name in ["python", "python3"] {
            // A script and not a link: Python looks for its environment beside the name it was started by.
            let file = folder.join(name);
            let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", python.replace('\'', r"'\''"));
            fs::write(&file, script).map_err(Error::local("cannot write", &file))?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).map_err(Error::local("cannot mark", &file))?;
        }
        let user_set_it = self.plan.environment.iter().any(|(name, _)| name == "PATH");
        if let (Some(path), false) = (variables.get_mut("PATH"), user_set_it) {
            *path = format!("{}:{path}", folder.display());
        }
        Ok(folder)
    }
}

fn write_spec(spec: &TaskSpec) -> Result<(), Error> {
    let file = spec.folder.join(SPEC_FILE);
    replace_json(&file, spec).map_err(Error::local("cannot write", &file))
}

/// Writes one line of the platform into a task's log, in the shape by which it can be filtered out.
///
/// # Errors
/// The log cannot be written.
pub fn log_line(layout: &Layout, line: &str) -> Result<(), Error> {
    let path = layout.log();
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| writeln!(file, "[ModelArts Service Log]{line}")).map_err(Error::local("cannot write", path))
}

/// A task folder with the container's tree in it, empty but for what is taken over.
fn make_folders(plan: &JobPlan, layout: &Layout, earlier: Earlier) -> Result<(), Error> {
    let folder = layout.folder();
    let log = layout.log().file_name().unwrap_or_default();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(Result::ok).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::local("cannot read", folder)(error)),
    };
    for entry in entries {
        let (name, path) = (entry.file_name(), entry.path());
        let is_kept = match earlier {
            Earlier::None => false,
            Earlier::Records => name == log || name == USAGE_FILE,
            Earlier::Folders => name != STATUS_FILE,
        };
        if !is_kept {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(Error::local("cannot remove", &path))?;
        }
    }
    let channels = plan.inputs.iter().chain(&plan.outputs).map(|channel| channel.local_dir.as_str());
    for path in [HOME, MOUNT, LOG_DIR, &plan.local_code_dir].into_iter().chain(channels) {
        let folder = inside(layout, path)?;
        fs::create_dir_all(&folder).map_err(Error::local("cannot create", &folder))?;
    }
    Ok(())
}

/// The local path of a container path that the job writes to: it must be one of the task's own.
fn inside(layout: &Layout, path: &str) -> Result<PathBuf, Error> {
    let local = layout.local(path);
    if local.starts_with(layout.folder()) {
        return Ok(local);
    }
    Err(Error::Unsupported(format!("{path} is outside of {HOME}, the only folder that a job of this platform has")))
}

/// Checks what a code directory holds. It may be only its beginning when that has too many entries already.
fn check_limits(from: &ObsPlace, listed: &[Listed]) -> Result<(), Error> {
    let mut entries = std::collections::BTreeSet::new();
    for object in listed {
        let relative = object.key.strip_prefix(&from.key).unwrap_or(&object.key).trim_end_matches('/');
        let depth = relative.matches('/').count() + 1;
        if depth > CODE_DEPTH {
            return Err(Error::CodeLimit(format!("{} is {depth} levels deep; at most {CODE_DEPTH} are allowed", from.url())));
        }
        let ends = relative.match_indices('/').map(|(at, _)| at).chain([relative.len()]);
        entries.extend(ends.map(|end| &relative[..end]).filter(|path| !path.is_empty()));
    }
    if entries.len() > CODE_ENTRIES {
        return Err(Error::CodeLimit(format!(
            "{} holds more than {CODE_ENTRIES} files and folders, the most that are allowed",
            from.url()
        )));
    }
    let bytes: u64 = listed.iter().map(|object| object.size).sum();
    if bytes > CODE_BYTES {
        return Err(Error::CodeLimit(format!("{} holds {bytes} bytes; at most 5 GB are allowed", from.url())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Listed, ObsPlace, check_limits};

    fn check(objects: impl IntoIterator<Item = (String, u64)>) -> Option<String> {
        let listed: Vec<Listed> = objects.into_iter().map(|(key, size)| Listed { key, size }).collect();
        check_limits(&ObsPlace::parse("obs://b/code/").unwrap(), &listed).err().map(|error| error.to_string())
    }

    #[test]
    fn code_directories_have_limits() {
        assert_eq!(check((0..999).map(|index| (format!("code/d/{index}.py"), 1))), None);
        assert!(
            check((0..1000).map(|index| (format!("code/d/{index}.py"), 1)))
                .unwrap()
                .contains("more than 1000 files and folders")
        );
        assert!(check([("code/data".to_owned(), (5 << 30) + 1)]).unwrap().contains("5 GB"));
        assert_eq!(check([(format!("code/{}f", "d/".repeat(31)), 1)]), None);
        assert!(check([(format!("code/{}f", "d/".repeat(32)), 1)]).unwrap().contains("33 levels"));
    }
}
