//! The logs of a job's tasks, printed whole or as they grow.

use std::path::{Path, PathBuf};

use futures_util::{StreamExt as _, stream};

use crate::api::Api;
use crate::api::modelarts::training_job::TrainingJob;
use crate::commands::ma_job::log_lines::{Choice, Lines, Look};
use crate::commands::ma_job::log_reader::{LINK_FAILURES, LogReader, Piece};
use crate::commands::ma_job::named;
use crate::commands::ma_job::rhythm::may_pass;
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::ui::Format;

/// Logs that are read at the same time.
const AT_ONCE: usize = 4;

/// How often a log that is printed once is asked for when its connection breaks or the service fails.
const ATTEMPTS: u32 = LINK_FAILURES;

/// The task that leads the others.
pub(super) const FIRST_TASK: &str = "worker-0";

/// Whose logs are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tasks {
    /// This task's.
    One(String),
    /// All tasks', as they come to be.
    All,
}

/// The logs of a job on standard output.
#[derive(Debug)]
pub(super) struct Logs<'a> {
    ctx: &'a Ctx,
    api: &'a Api,
    id: &'a str,
    tasks: Tasks,
    choice: Choice,
    open: Vec<TaskLog<'a>>,
}

impl<'a> Logs<'a> {
    /// Nothing is read yet.
    pub(super) fn new(ctx: &'a Ctx, api: &'a Api, id: &'a str, tasks: Tasks, choice: Choice) -> Self {
        Self { ctx, api, id, tasks, choice, open: Vec::new() }
    }

    /// Prints what was written since the last time; `false` when there was nothing. A job that has not started has no logs yet.
    ///
    /// # Errors
    /// There is no such task; the service refuses or is out of reach; standard output cannot be written.
    pub(super) async fn print_new(&mut self, job: &TrainingJob) -> Result<bool, Error> {
        self.open_new(job);
        let ctx = self.ctx;
        let reading = stream::iter(self.open.iter_mut()).map(|log| log.print_new(ctx)).buffer_unordered(AT_ONCE);
        let outcomes: Vec<Result<bool, Error>> = reading.collect().await;
        let has_started = job.start_time().is_some();
        let mut is_new = false;
        for outcome in outcomes {
            match outcome {
                Ok(new) => is_new |= new,
                Err(error) if error.kind == Kind::NotFound && !has_started => {}
                Err(error) => {
                    return Err(match &self.tasks {
                        Tasks::One(task) if error.kind == Kind::NotFound => named::of_tasks(&job.tasks(), task, error),
                        _ => error,
                    });
                }
            }
        }
        Ok(is_new)
    }

    /// Prints all there is; a connection that breaks is made anew.
    ///
    /// # Errors
    /// As [`Self::print_new`].
    pub(super) async fn print_once(&mut self, job: &TrainingJob) -> Result<(), Error> {
        let mut attempt = 1;
        loop {
            match self.print_new(job).await {
                Err(error) if may_pass(&error) && attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
                Ok(_) => return self.end(),
            }
        }
    }

    /// The job has ended: what is still kept back is printed.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        let mut out = Vec::new();
        self.open.iter_mut().for_each(|log| log.lines.end(&mut out));
        self.ctx.ui.write(&out)
    }

    /// Whether the last line that was printed has no end.
    pub(super) fn is_line_open(&self) -> bool {
        self.open.iter().any(|log| log.lines.is_line_open)
    }

    /// Begins to read the logs of tasks that were not there before.
    fn open_new(&mut self, job: &TrainingJob) {
        let wanted = match &self.tasks {
            Tasks::One(task) => vec![task.clone()],
            Tasks::All => job.tasks(),
        };
        let is_alone = wanted.len() < 2;
        let ui = &self.ctx.ui;
        for (index, task) in wanted.iter().enumerate() {
            if self.open.iter().any(|log| log.reader.task() == task) {
                continue;
            }
            let look = match ui.format() {
                Format::Jsonl => Look::Json(task.clone()),
                _ if is_alone => Look::Plain,
                _ => Look::Prefix(format!("{} ", ui.label(&format!("[{task}]"), index))),
            };
            let lines = Lines::new(look, self.choice.clone(), ui.is_on_terminal());
            let tail = self.choice.plain_tail();
            self.open.push(TaskLog { reader: LogReader::new(self.api, self.id, task), lines, tail, is_begun: false });
        }
    }
}

/// The log of one task.
#[derive(Debug)]
struct TaskLog<'a> {
    reader: LogReader<'a>,
    lines: Lines,
    /// So many of the last lines are wanted, whatever they say.
    tail: Option<usize>,
    /// What was there at first is printed.
    is_begun: bool,
}

impl TaskLog<'_> {
    async fn print_new(&mut self, ctx: &Ctx) -> Result<bool, Error> {
        if let Some(lines) = self.tail.take() {
            self.reader.skip_to_newest(lines).await.inspect_err(|_| self.tail = Some(lines))?;
        }
        let lines = &mut self.lines;
        let mut take = |piece: Piece<'_>| {
            let mut out = Vec::new();
            match piece {
                Piece::Bytes(bytes) => lines.push(bytes, &mut out),
                Piece::Replaced => lines.end(&mut out),
                Piece::Missing(0, _) => {}
                Piece::Missing(missing, error) => {
                    let reason = format!("the whole log cannot be fetched: {error}");
                    ctx.ui.warn(&format!("{missing} bytes of the log are left out, {reason}"));
                }
            }
            if out.is_empty() { Ok(()) } else { ctx.ui.write(&out) }
        };
        let is_new = self.reader.read_new(&mut take).await?;
        if !self.is_begun {
            self.is_begun = true;
            let mut out = Vec::new();
            self.lines.release(&mut out);
            ctx.ui.write(&out)?;
        }
        Ok(is_new)
    }
}

/// Writes the whole logs of the tasks into files of a folder, named as the service names them; gives their paths. A file appears
/// under its name when it is complete.
///
/// # Errors
/// As [`Logs::print_new`]; a file cannot be written.
pub(super) async fn save(api: &Api, id: &str, tasks: &[String], folder: &Path) -> Result<Vec<PathBuf>, Error> {
    use std::io::Write as _;
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| Error::new(Kind::Local, format!("cannot write [{path}]")).caused_by(error)
    };
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    let mut saved = Vec::new();
    for task in tasks {
        let path = folder.join(format!("modelarts-job-{}-{}.log", file_name(id), file_name(task)));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed(&path))?;
        let mut reader = LogReader::new(api, id, task);
        let mut attempt = 1;
        loop {
            let mut take = |piece: Piece<'_>| match piece {
                Piece::Bytes(bytes) => file.write_all(bytes).map_err(failed(&path)),
                Piece::Replaced => {
                    file.as_file().set_len(0).and_then(|()| std::io::Seek::rewind(&mut file)).map_err(failed(&path))
                }
                Piece::Missing(missing, error) => {
                    Err(Error::new(error.kind, format!("{missing} bytes of the log of [{task}] cannot be fetched: {error}")))
                }
            };
            match reader.read_new(&mut take).await {
                Err(error) if may_pass(&error) && attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        file.persist(&path).map_err(|error| failed(&path)(error.error))?;
        saved.push(path);
    }
    Ok(saved)
}

/// A name from the service as a part of a file's name.
fn file_name(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_alphanumeric() || "-_.".contains(character) { character } else { '_' })
        .collect()
}
