//! Reads job files.

use std::path::Path;

use crate::commands::ma_job::document::{self, Content, Node};
use crate::commands::ma_job::expand::{self, Lookup};
use crate::commands::ma_job::spec::{self, KEYS, Shape, Spec};
use crate::commands::ma_job::values;
use crate::commands::ma_job::{folders, lists};
use crate::error::{Error, Kind, nearest_file};

/// Keys whose text is for the shell of the job, which has variables of its own.
const LEFT_TO_THE_JOB: &str = "user-command";

/// Reads a job file.
///
/// # Errors
/// The file cannot be read; else file, line, key and what is expected there, of the first mistake.
pub(super) fn read(path: &Path, lookup: Lookup<'_>) -> Result<Spec, Error> {
    let read = read_all(path, lookup)?;
    match read.problems.into_iter().next() {
        Some(problem) => Err(problem.in_file(path)),
        None => Ok(read.spec),
    }
}

/// What was understood of a job file.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The job, as far as it can be understood.
    pub(super) spec: Spec,
    /// The line of each key.
    pub(super) lines: Vec<(&'static str, u64)>,
    /// Whether it is a mapping at all.
    pub(super) is_understood: bool,
    /// All that is wrong.
    pub(super) problems: Vec<Problem>,
}

/// Reads a job file as far as it can be understood; and all that is wrong with it.
///
/// # Errors
/// The file cannot be read.
pub(super) fn read_all(path: &Path, lookup: Lookup<'_>) -> Result<Read, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
    Ok(parse(&text, lookup))
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    if error.kind() != std::io::ErrorKind::NotFound {
        return Error::new(Kind::Local, format!("cannot read [{}]", path.display())).caused_by(error);
    }
    let mut missing = Error::new(Kind::NotFound, format!("there is no job file [{}]", path.display()));
    missing.hints.extend(nearest_file(path).map(|meant| format!("did you mean [{}]?", meant.display())));
    missing.hint("begin one with: ma-cli ma-job init")
}

/// What is wrong with a job file.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// Line, from 1, when it is known.
    pub(super) line: Option<u64>,
    /// Key as it is written.
    pub(super) key: Option<String>,
    /// What is expected there.
    pub(super) message: String,
    /// What to do about it.
    pub(super) hint: Option<String>,
}

impl Problem {
    /// The error for a problem in that file.
    pub(super) fn in_file(self, path: &Path) -> Error {
        let line = self.line.map(|line| format!(", line {line}")).unwrap_or_default();
        let key = self.key.map(|key| format!(", key [{key}]")).unwrap_or_default();
        let error = Error::new(Kind::Config, format!("[{}]{line}{key}: {}", path.display(), self.message));
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

pub(super) fn parse(text: &str, lookup: Lookup<'_>) -> Read {
    let not_understood = |line, message| {
        let problems = vec![Problem { line, key: None, message, hint: None }];
        Read { problems, ..Read::default() }
    };
    let members = match document::parse(text) {
        Err((line, message)) => return not_understood(line, message),
        Ok(Node { content: Content::Null, .. }) => Vec::new(),
        Ok(Node { content: Content::Mapping(members), .. }) => members,
        Ok(Node { line, content }) => {
            let message = format!("expected a mapping of options to values, found {}", content.describe());
            return not_understood(Some(line), message);
        }
    };
    let mut read = Read { is_understood: true, ..Read::default() };
    for (written, line, mut node) in members {
        let Some((key, shape)) = spec::key(&written) else {
            read.problems.push(unknown(&written, line));
            continue;
        };
        read.lines.push((key, line));
        let is_expanded = key == LEFT_TO_THE_JOB || {
            let unset = expand::expand(&mut node, lookup);
            read.problems.extend(unset.iter().map(|(line, name)| unset_variable(*line, &written, name)));
            unset.is_empty()
        };
        if is_expanded && let Err((deeper, message)) = set(&mut read.spec, key, shape, &node) {
            read.problems.push(Problem { line: Some(deeper.unwrap_or(node.line)), key: Some(written), message, hint: None });
        }
    }
    read
}

/// Sets one key; errors are a line, when it is not that of the node, and what is expected.
fn set(spec: &mut Spec, key: &'static str, shape: Shape, node: &Node) -> Result<(), lists::Mistake> {
    if node.content == Content::Null && shape != Shape::Parameters {
        return Ok(());
    }
    match shape {
        Shape::Text => {
            spec.texts.insert(key, lists::scalar(node, "a text")?);
        }
        Shape::Word(words) => {
            let text = lists::scalar(node, &format!("one of {}", words.join(", ")))?;
            spec.texts.insert(key, values::word(words, &text)?);
        }
        Shape::Number(lowest, highest) => {
            let text = lists::scalar(node, "a whole number")?;
            spec.numbers.insert(key, values::number(&text, lowest, highest)?);
        }
        Shape::Hours => {
            spec.numbers.insert(key, values::hours(&lists::scalar(node, "hours")?)?);
        }
        Shape::Truth => {
            spec.truths.insert(key, lists::truth(&lists::scalar(node, "true or false")?)?);
        }
        Shape::Names => {
            spec.names.insert(key, values::names(node)?);
        }
        Shape::Pairs => {
            spec.pairs.insert(key, lists::variables(node)?);
        }
        Shape::Folders if key == "input" => spec.inputs = Some(folders::folders(node)?),
        Shape::Folders => spec.outputs = Some(folders::folders(node)?),
        Shape::Parameters => spec.parameters = Some(lists::parameters(node)?),
        Shape::Volumes => spec.volumes = Some(lists::volumes(node)?),
        Shape::Notification => spec.notification = Some(values::notification(node)?),
    }
    Ok(())
}

fn unset_variable(line: u64, key: &str, name: &str) -> Problem {
    Problem {
        line: Some(line),
        key: Some(key.to_owned()),
        message: format!("the environment variable [{name}] is not set"),
        hint: Some(format!("set it, write ${{{name}:-default}}, or $${{{name}}} for a variable of the job")),
    }
}

fn unknown(written: &str, line: u64) -> Problem {
    let key = written.replace('_', "-").to_ascii_lowercase();
    let nearest = KEYS
        .iter()
        .map(|(known, _)| (strsim::jaro_winkler(&key, known), *known))
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

    use super::{Spec, parse};

    fn failure(text: &str) -> (String, Vec<String>) {
        let error = parse(text, &|_| None).problems.remove(0).in_file(Path::new("job.yaml"));
        (error.message, error.hints)
    }

    fn spec(text: &str) -> Spec {
        let read = parse(text, &|name| (name == "BUCKET").then(|| "b".to_owned()));
        assert!(read.problems.is_empty(), "{read:?}");
        read.spec
    }

    #[test]
    fn the_documented_job_file_is_read() {
        let spec = spec(
            "# pool_id: pool_xxxx\ntrain-instance-type: modelarts.vm.cpu.8u\ntrain-instance-count: 1\ndata-url: obs://b/d/\n\
             code_dir: obs://b/c/\nframework-version: 3.10\nuid: 1000   # custom image\noutput:\n  - name: output_dir\n    \
             obs_path: obs://b/o/\ninput:\n  - name: data_url\n    obs_path: obs://b/d/\nparameters:\n  - epoch: 10\n  \
             - learning_rate: 0.010\n  - pretrained:\npool_id: pool_xxxx\nvolumes:\n  - efs:\n    local_path: /xx\n    \
             read_only: false\n    nfs_server_path: h:/\ndescription:\n",
        );
        assert_eq!(spec.texts["code-dir"], "obs://b/c/");
        assert_eq!((spec.texts["uid"].as_str(), spec.texts["framework-version"].as_str()), ("1000", "3.10"));
        assert_eq!(
            (spec.numbers.get("train-instance-count"), spec.texts["pool-id"].as_str(), spec.texts.get("description")),
            (Some(&1), "pool_xxxx", None)
        );
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
                "[job.yaml], line 4, key [output]: expected name, obs_path, access, predownload and local_dir, found [path]",
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
        let first = spec("name: a\ncode-dir: obs://b/1/\nparameters: {x: 1, y: 2}\nquiet: true\n");
        let second = spec("name: b\nparameters: {z: 3}\n");
        let merged = first.merge(second);
        assert_eq!((merged.texts["name"].as_str(), merged.texts["code-dir"].as_str()), ("b", "obs://b/1/"));
        assert!(merged.is_set("quiet"));
        assert_eq!(merged.parameters.unwrap(), [("z".to_owned(), Some("3".to_owned()))]);
        assert_eq!(spec(""), Spec::default());
    }

    #[test]
    fn a_later_data_url_replaces_the_input_of_that_name() {
        let inputs = |spec: Spec| {
            crate::commands::ma_job::request::build(spec).unwrap().inputs.into_iter().map(|input| input.url).collect::<Vec<_>>()
        };
        let file = || spec("data-url: obs://b/old/\ninput: [x=obs://b/x/, data_url=obs://b/old/]\n");
        assert_eq!(inputs(file().merge(spec("data-url: obs://b/new/\n"))), ["obs://b/new/", "obs://b/x/"]);
        assert_eq!(inputs(file().merge(spec("name: n\n"))), ["obs://b/x/", "obs://b/old/"]);
        assert_eq!(inputs(file().merge(spec("data-url: obs://b/new/\ninput: [data_url=obs://b/in/]\n"))), ["obs://b/in/"]);
    }

    #[test]
    fn variables_are_filled_in_and_an_unset_one_is_told_with_its_line() {
        let filled = spec(
            "code-dir: obs://${BUCKET}/c/\ninput:\n  - data_url=obs://${BUCKET}/${D:-d}/\nname: a-$${X}\nuser-command: echo ${MA_JOB_DIR}\n",
        );
        assert_eq!(filled.texts["code-dir"], "obs://b/c/");
        assert_eq!(filled.inputs.unwrap()[0].url, "obs://b/d/");
        assert_eq!((filled.texts["name"].as_str(), filled.texts["user-command"].as_str()), ("a-${X}", "echo ${MA_JOB_DIR}"));
        let (message, hints) = failure("name: n\ncode-dir: obs://${NOWHERE}/c/\n");
        assert_eq!(message, "[job.yaml], line 2, key [code-dir]: the environment variable [NOWHERE] is not set");
        assert!(hints[0].contains("${NOWHERE:-default}"), "{hints:?}");
    }

    #[test]
    fn every_new_key_is_read() {
        let read = spec(
            "algorithm-id: a\npriority: 2\nauto-restart: 3\nauto_stop: 2d\nunconditional-restart: yes\nrestart-on-hang: true\n\
             tags: {team: vision, empty: }\nnotify: urn:smn:r:p:t:JobFailed,JobCompleted\npredownload: [train_url]\n\
             output:\n  - {name: o, obs_path: obs://b/o/, access: env, predownload: true, local_dir: /home/ma-user/o}\n\
             volumes:\n  - {local_path: /m, obs_path: obs://b/m/}\nobs-path: obs://b/jobs\nexperiment: e\n",
        );
        assert_eq!((read.numbers["priority"], read.numbers["auto-restart"], read.numbers["auto-stop"]), (2, 3, 48));
        assert!(read.is_set("unconditional-restart") && read.is_set("restart-on-hang"));
        assert_eq!(read.pairs["tag"], [("team".to_owned(), "vision".to_owned()), ("empty".to_owned(), String::new())]);
        let notification = read.notification.unwrap();
        assert_eq!((notification.topic_urn.as_str(), notification.events.len()), ("urn:smn:r:p:t", 2));
        let output = &read.outputs.unwrap()[0];
        assert!(output.as_variable && output.predownload && output.local_dir.as_deref() == Some("/home/ma-user/o"));
        assert_eq!(read.volumes.unwrap()[0].obs_path, "obs://b/m/");
        assert_eq!(read.names["predownload"], ["train_url"]);
    }

    #[test]
    fn all_mistakes_of_a_file_are_told() {
        let read = parse("name: a\npriority: 9\nwhat: 1\nauto-stop: soon\nuid: ${X}\n", &|_| None);
        let lines: Vec<_> = read.problems.iter().map(|problem| problem.line).collect();
        assert_eq!((lines, read.spec.texts["name"].as_str()), (vec![Some(2), Some(3), Some(4), Some(5)], "a"));
        let lines: Vec<_> = read.lines.iter().map(|(key, line)| (*key, *line)).collect();
        assert_eq!(lines, [("name", 1), ("priority", 2), ("auto-stop", 4), ("uid", 5)]);
    }
}
