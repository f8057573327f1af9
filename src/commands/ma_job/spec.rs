//! What `submit` was told: job files and options, merged.
//!
//! A job file's keys are the option names, with `-` or `_`. Later files win over earlier ones and options over all files; a list
//! replaces a list as a whole.

use std::collections::BTreeMap;
use std::path::Path;

use crate::api::modelarts::training_job::{Folder, Volume};
use crate::commands::ma_job::document::{self, Content, Node};
use crate::commands::ma_job::lists;
use crate::error::{Error, Kind};

/// Keys whose value is one text.
pub(super) const TEXTS: [&str; 17] = [
    "name",
    "description",
    "image-url",
    "uid",
    "working-dir",
    "local-code-dir",
    "user-command",
    "pool-id",
    "train-instance-type",
    "data-url",
    "log-url",
    "code-dir",
    "boot-file",
    "framework-type",
    "framework-version",
    "workspace-id",
    "policy",
];

/// The other keys.
const OTHERS: [&str; 7] = ["train-instance-count", "output", "input", "env-variables", "parameters", "volumes", "quiet"];

/// Name of the input that `data-url` is.
pub(super) const DATA_INPUT: &str = "data_url";

/// Values of `policy`.
pub(super) const POLICIES: [&str; 4] = ["regular", "economic", "turbo", "auto"];

/// A merged description of a job; what is `None` was not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spec {
    /// Values of [`TEXTS`].
    pub(super) texts: BTreeMap<&'static str, String>,
    /// `train-instance-count`.
    pub(super) count: Option<u32>,
    /// `output`.
    pub(super) outputs: Option<Vec<Folder>>,
    /// `input`.
    pub(super) inputs: Option<Vec<Folder>>,
    /// `env-variables`.
    pub(super) environment: Option<Vec<(String, String)>>,
    /// `parameters`; one without value is a flag.
    pub(super) parameters: Option<Vec<(String, Option<String>)>>,
    /// `volumes`.
    pub(super) volumes: Option<Vec<Volume>>,
    /// `quiet`.
    pub(super) quiet: Option<bool>,
}

impl Spec {
    /// Reads a job file.
    ///
    /// # Errors
    /// The file cannot be read; else file, line, key and what is expected there.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::new(Kind::Local, format!("cannot read [{}]", path.display())).caused_by(error))?;
        Self::parse(&text).map_err(|problem| problem.in_file(path))
    }

    fn parse(text: &str) -> Result<Self, Problem> {
        let root = document::parse(text).map_err(|(line, message)| Problem { line, key: None, message, hint: None })?;
        let members = match root.content {
            Content::Null => Vec::new(),
            Content::Mapping(members) => members,
            other => {
                let message = format!("expected a mapping of options to values, found {}", other.describe());
                return Err(Problem { line: Some(root.line), key: None, message, hint: None });
            }
        };
        let mut spec = Self::default();
        for (written, line, node) in members {
            let key = written.replace('_', "-").to_ascii_lowercase();
            let known = TEXTS.iter().chain(&OTHERS).find(|known| **known == key);
            let Some(key) = known else { return Err(unknown(&written, line)) };
            spec.set(key, &node).map_err(|(deeper, message)| Problem {
                line: Some(deeper.unwrap_or(node.line)),
                key: Some(written),
                message,
                hint: None,
            })?;
        }
        Ok(spec)
    }

    /// Sets one key; errors are a line, when it is not that of the node, and what is expected.
    fn set(&mut self, key: &'static str, node: &Node) -> Result<(), lists::Mistake> {
        if node.content == Content::Null && key != "parameters" {
            return Ok(());
        }
        match key {
            "train-instance-count" => self.count = Some(count(&lists::scalar(node, "a whole number")?)?),
            "output" => self.outputs = Some(lists::folders(node)?),
            "input" => self.inputs = Some(lists::folders(node)?),
            "env-variables" => self.environment = Some(lists::variables(node)?),
            "parameters" => self.parameters = Some(lists::parameters(node)?),
            "volumes" => self.volumes = Some(lists::volumes(node)?),
            "quiet" => self.quiet = Some(lists::truth(&lists::scalar(node, "true or false")?)?),
            "policy" => {
                self.texts.insert(key, policy(&lists::scalar(node, &format!("one of {}", POLICIES.join(", ")))?)?);
            }
            text => {
                self.texts.insert(text, lists::scalar(node, "a text")?);
            }
        }
        Ok(())
    }

    /// What `later` says wins. A later `data-url` replaces the input of that name, which says the same in other words.
    #[must_use]
    pub(super) fn merge(mut self, later: Self) -> Self {
        if later.texts.contains_key("data-url")
            && let Some(inputs) = &mut self.inputs
        {
            inputs.retain(|input| input.name != DATA_INPUT);
        }
        self.texts.extend(later.texts);
        Self {
            texts: self.texts,
            count: later.count.or(self.count),
            outputs: later.outputs.or(self.outputs),
            inputs: later.inputs.or(self.inputs),
            environment: later.environment.or(self.environment),
            parameters: later.parameters.or(self.parameters),
            volumes: later.volumes.or(self.volumes),
            quiet: later.quiet.or(self.quiet),
        }
    }
}

fn count(text: &str) -> Result<u32, lists::Mistake> {
    let number = text.parse().ok().filter(|&count| count > 0);
    number.ok_or_else(|| (None, format!("expected a whole number from 1, found [{text}]")))
}

fn policy(text: &str) -> Result<String, lists::Mistake> {
    let known = POLICIES.iter().find(|policy| policy.eq_ignore_ascii_case(text));
    known
        .map(|policy| (*policy).to_owned())
        .ok_or_else(|| (None, format!("expected one of {}, found [{text}]", POLICIES.join(", "))))
}

/// What is wrong with a job file.
struct Problem {
    line: Option<u64>,
    key: Option<String>,
    message: String,
    hint: Option<String>,
}

impl Problem {
    fn in_file(self, path: &Path) -> Error {
        let line = self.line.map(|line| format!(", line {line}")).unwrap_or_default();
        let key = self.key.map(|key| format!(", key [{key}]")).unwrap_or_default();
        let error = Error::new(Kind::Config, format!("[{}]{line}{key}: {}", path.display(), self.message));
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

fn unknown(written: &str, line: u64) -> Problem {
    let key = written.replace('_', "-").to_ascii_lowercase();
    let nearest = TEXTS
        .iter()
        .chain(&OTHERS)
        .map(|known| (strsim::jaro_winkler(&key, known), *known))
        .max_by(|left, right| left.0.total_cmp(&right.0))
        // Below that, a suggestion is a guess.
        .filter(|(likeness, _)| *likeness > 0.75);
    Problem {
        line: Some(line),
        key: Some(written.to_owned()),
        message: "there is no such key".to_owned(),
        hint: Some(nearest.map_or_else(
            || "keys are the option names of `ma-cli ma-job submit -h`".to_owned(),
            |(_, known)| format!("did you mean [{known}]?"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Spec;

    fn failure(text: &str) -> (String, Vec<String>) {
        let error = Spec::parse(text).map_err(|problem| problem.in_file(Path::new("job.yaml"))).unwrap_err();
        (error.message, error.hints)
    }

    #[test]
    fn the_documented_job_file_is_read() {
        let spec = Spec::parse(
            "# pool_id: pool_xxxx\ntrain-instance-type: modelarts.vm.cpu.8u\ntrain-instance-count: 1\ndata-url: obs://b/d/\n\
             code_dir: obs://b/c/\nframework-version: 3.10\nuid: 1000   # custom image\noutput:\n  - name: output_dir\n    \
             obs_path: obs://b/o/\ninput:\n  - name: data_url\n    obs_path: obs://b/d/\nparameters:\n  - epoch: 10\n  \
             - learning_rate: 0.010\n  - pretrained:\npool_id: pool_xxxx\nvolumes:\n  - efs:\n    local_path: /xx\n    \
             read_only: false\n    nfs_server_path: h:/\ndescription:\n",
        )
        .map_err(|problem| problem.in_file(Path::new("x")))
        .unwrap();
        assert_eq!(spec.texts["code-dir"], "obs://b/c/");
        assert_eq!((spec.texts["uid"].as_str(), spec.texts["framework-version"].as_str()), ("1000", "3.10"));
        assert_eq!((spec.count, spec.texts["pool-id"].as_str(), spec.texts.get("description")), (Some(1), "pool_xxxx", None));
        let value = |text: &str| Some(text.to_owned());
        let parameters = spec.parameters.unwrap();
        assert_eq!(parameters[1], ("learning_rate".to_owned(), value("0.010")));
        assert_eq!(parameters[2], ("pretrained".to_owned(), None));
        assert_eq!(spec.outputs.unwrap()[0].name, "output_dir");
        assert_eq!(spec.volumes.unwrap()[0].local_path, "/xx");
    }

    #[test]
    fn mistakes_name_file_line_key_and_what_is_expected() {
        let table = [
            (
                "name: a\ntrain-instance-count: two\n",
                "[job.yaml], line 2, key [train-instance-count]: expected a whole number from 1, found [two]",
            ),
            ("code-dir:\n  - a\n", "[job.yaml], line 2, key [code-dir]: expected a text, found a list"),
            (
                "policy: fast\n",
                "[job.yaml], line 1, key [policy]: expected one of regular, economic, turbo, auto, found [fast]",
            ),
            ("- a\n", "[job.yaml], line 1: expected a mapping of options to values, found a list"),
            ("a: b\n", "[job.yaml], line 1, key [a]: there is no such key"),
            (
                "name: x\noutput:\n  - name: o\n    path: obs://b/\n",
                "[job.yaml], line 4, key [output]: expected name and obs_path, found [path]",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(failure(text).0, expected);
        }
        assert!(failure("name: [\n").0.starts_with("[job.yaml], line "));
    }

    #[test]
    fn an_unknown_key_suggests_the_nearest() {
        let (message, hints) = failure("name: a\n\ncode_dri: obs://b/\n");
        assert_eq!(message, "[job.yaml], line 3, key [code_dri]: there is no such key");
        assert_eq!(hints, ["did you mean [code-dir]?"]);
        assert!(failure("zzz: 1\n").1[0].contains("submit -h"));
    }

    #[test]
    fn later_ones_win_and_lists_are_replaced_as_a_whole() {
        let parse = |text| Spec::parse(text).map_err(|problem| problem.in_file(Path::new("x"))).unwrap();
        let first = parse("name: a\ncode-dir: obs://b/1/\nparameters: {x: 1, y: 2}\nquiet: true\n");
        let second = parse("name: b\nparameters: {z: 3}\n");
        let merged = first.merge(second);
        assert_eq!((merged.texts["name"].as_str(), merged.texts["code-dir"].as_str()), ("b", "obs://b/1/"));
        assert_eq!(merged.parameters.unwrap(), [("z".to_owned(), Some("3".to_owned()))]);
        assert_eq!(merged.quiet, Some(true));
        assert_eq!(parse(""), Spec::default());
    }

    #[test]
    fn a_later_data_url_replaces_the_input_of_that_name() {
        let parse = |text| Spec::parse(text).map_err(|problem| problem.in_file(Path::new("x"))).unwrap();
        let inputs = |spec: Spec| {
            crate::commands::ma_job::request::build(spec).inputs.into_iter().map(|input| input.url).collect::<Vec<_>>()
        };
        let file = || parse("data-url: obs://b/old/\ninput: [x=obs://b/x/, data_url=obs://b/old/]\n");
        assert_eq!(inputs(file().merge(parse("data-url: obs://b/new/\n"))), ["obs://b/new/", "obs://b/x/"]);
        assert_eq!(inputs(file().merge(parse("name: n\n"))), ["obs://b/x/", "obs://b/old/"]);
        assert_eq!(inputs(file().merge(parse("data-url: obs://b/new/\ninput: [data_url=obs://b/in/]\n"))), ["obs://b/in/"]);
    }
}
