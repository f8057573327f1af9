//! What is wrong with a job file, found without asking anybody.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::api::modelarts::training_check::NOTHING_RUNS;
use crate::api::modelarts::training_job::CreateRequest;
use crate::commands::ma_job::job_file::Read;
use crate::commands::ma_job::upload::{self, Upload};
use crate::commands::ma_job::{job_file, request};
use crate::ctx::Ctx;
use crate::error::Error;
use crate::ui::{Present, Table};

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// The job would be refused, or would fail.
    Error,
    /// Something to look at.
    Warning,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One finding.
#[derive(Clone, Debug)]
struct Finding {
    file: String,
    line: Option<u64>,
    key: Option<String>,
    level: Level,
    message: String,
}

/// All findings about some job files.
#[derive(Debug, Default)]
pub(super) struct Findings {
    all: Vec<Finding>,
    /// The file and the line that each key stands in: the last one that does.
    places: BTreeMap<&'static str, (String, u64)>,
}

impl Findings {
    /// Adds one about a key of the job as a whole.
    pub(super) fn add(&mut self, level: Level, key: &str, message: impl Into<String>) {
        let (file, line) = self.places.get(key).map_or_else(Default::default, |(file, line)| (file.clone(), Some(*line)));
        let key = Some(key.to_owned()).filter(|key| !key.is_empty());
        self.all.push(Finding { file, line, key, level, message: message.into() });
    }

    /// What would keep the job from running, in words.
    pub(super) fn problems(&self) -> impl Iterator<Item = &str> {
        self.all.iter().filter(|finding| finding.level == Level::Error).map(|finding| finding.message.as_str())
    }

    /// How many would keep the job from running.
    pub(super) fn errors(&self) -> usize {
        self.all.iter().filter(|finding| finding.level == Level::Error).count()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Reads the files as one job, as `submit` would, and finds what is wrong. Gives the request as far as there is one, and
    /// what would be uploaded.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn read(
        &mut self,
        ctx: &Ctx,
        files: &[impl AsRef<Path>],
    ) -> Result<(Option<CreateRequest>, Vec<Upload>), Error> {
        let lookup = |name: &str| ctx.env.get(name).map(str::to_owned);
        let mut spec = crate::commands::ma_job::spec::Spec::default();
        let mut is_whole = true;
        for file in files {
            let Read { spec: read, lines, is_understood, problems } =
                job_file::read_all(&ctx.env.directory.join(file.as_ref()), &lookup)?;
            is_whole &= is_understood;
            let file = file.as_ref().display().to_string();
            self.places.extend(lines.into_iter().map(|(key, line)| (key, (file.clone(), line))));
            self.all.extend(problems.into_iter().map(|problem| Finding {
                file: file.clone(),
                line: problem.line,
                key: problem.key,
                level: Level::Error,
                message: problem.hint.map_or(problem.message.clone(), |hint| format!("{}; {hint}", problem.message)),
            }));
            spec = spec.merge(read);
        }
        if !is_whole {
            // Whatever seems to be missing may stand there.
            return Ok((None, Vec::new()));
        }
        if spec.text("name").is_none() {
            spec.texts.insert("name", request::generated_name());
        }
        let uploads = upload::plan(ctx, &mut spec).unwrap_or_else(|error| {
            self.add(Level::Error, "", error.message);
            // What could not be planned would be called no OBS path as well.
            for key in ["code-dir", "data-url"] {
                if spec.text(key).is_some_and(|url| !url.contains("://") && !url.starts_with('/')) {
                    spec.texts.remove(key);
                    spec.texts.remove("boot-file");
                }
            }
            Vec::new()
        });
        match request::build(spec) {
            Ok(request) => {
                let is_whole = self.is_empty();
                // What runs may be among what could not be read.
                for problem in request.problems().into_iter().filter(|problem| is_whole || problem != NOTHING_RUNS) {
                    self.add(Level::Error, "", problem);
                }
                Ok((Some(request), uploads))
            }
            Err(error) => {
                self.add(Level::Error, "", error.message);
                Ok((None, uploads))
            }
        }
    }
}

impl Present for Findings {
    fn table(&self) -> Table {
        let mut table = Table::new(["level", "file", "line", "key", "problem"]);
        for finding in &self.all {
            let line = finding.line.map(|line| line.to_string()).unwrap_or_default();
            let key = finding.key.clone().unwrap_or_default();
            table.rows.push(vec![finding.level.name().to_owned(), finding.file.clone(), line, key, finding.message.clone()]);
        }
        table
    }

    fn document(&self) -> Value {
        let finding = |finding: &Finding| {
            let Finding { file, line, key, level, message } = finding;
            json!({"level": level.name(), "file": file, "line": line, "key": key, "message": message})
        };
        self.all.iter().map(finding).collect()
    }
}
