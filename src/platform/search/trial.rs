//! One trial: a process of its own, its log, its figures.

use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::process::{Child, Command};

use crate::platform::runner::process::ProcessId;
use crate::platform::runner::usage::now;
use crate::platform::search::drive::{DriveSpec, Output};
use crate::platform::search::report::{TrialReport, TrialStatus, is_asked_to_stop, trial_folder};
use crate::platform::search::reward::Reader;
use crate::platform::search::space::Point;

/// A trial that prints more than this without a line end is read in pieces.
const LONGEST_LINE: usize = 64 << 10;

/// Most that is read of a trial at a look, in bytes: the others have their turn, and a stop is heard, whatever one prints.
const MOST_AT_A_LOOK: u64 = 1 << 20;

/// Variable of a trial's environment that holds its id.
const TRIAL_ID: &str = "MA_TRIAL_ID";

/// A trial that has been started.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) report: TrialReport,
    folder: PathBuf,
    child: Child,
    process: Option<ProcessId>,
    log: File,
    /// How much of it has been read, and how much there was when the trial ended: what it has left in the background may go on.
    position: u64,
    end: Option<u64>,
    /// The beginning of a line whose end is not written yet.
    unfinished: Vec<u8>,
    reader: Reader,
    /// Since when it is being ended early.
    ending: Option<Instant>,
    grace: Duration,
}

impl Trial {
    /// Starts the task's program with these values.
    pub(super) fn start(spec: &DriveSpec, number: usize, point: Point) -> io::Result<Self> {
        let id = format!("trial-{number}");
        let folder = trial_folder(&spec.folder, &id);
        // What an earlier start of the task has left, a wish for an early end among it, is not this trial's.
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(&folder)?,
        }
        let path = folder.join("trial.log");
        let log = File::create(&path)?;
        let values = spec.plan.space.values(&point);
        let outputs: Vec<(&Output, PathBuf)> = spec.outputs.iter().map(|output| (output, output.path.join(&id))).collect();
        for (_, folder) in &outputs {
            fs::create_dir_all(folder)?;
        }
        let argv = arguments(&spec.argv, &values, &outputs);
        let (program, rest) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let variables = outputs.iter().filter(|(output, _)| output.is_variable).map(|(output, folder)| (&output.name, folder));
        // A group of its own: it is ended with all it has started, and without the others.
        let child = Command::new(program)
            .args(rest)
            .envs(variables)
            .env(TRIAL_ID, &id)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
        let pid = child.id().unwrap_or_default();
        let reader = Reader::new(&spec.plan.indicators).map_err(io::Error::other)?;
        let figures = vec![None; spec.plan.indicators.len()];
        let (status, started) = (TrialStatus::Running, now());
        let report = TrialReport { id, pid, values, point, status, started, duration: 0, iterations: 0, figures, best: None };
        Ok(Self {
            report,
            folder,
            process: ProcessId::of(pid.cast_signed()),
            child,
            log: File::open(path)?,
            position: 0,
            end: None,
            unfinished: Vec::new(),
            reader,
            ending: None,
            grace: Duration::from_millis(spec.grace),
        })
    }

    /// Reads what it has printed, as far as there is time for it, passes it on line by line, ends it when that was asked for. Returns
    /// whether anything has changed in its report.
    pub(super) fn look(&mut self, common: &mut impl Write) -> io::Result<bool> {
        let before = (self.report.iterations, self.report.status);
        // Asked before the log is read: what it has printed until its end is there then.
        let ended = self.child.try_wait()?;
        if is_asked_to_stop(&self.folder) {
            self.press();
        }
        if ended.is_some() && self.end.is_none() {
            self.end = Some(self.log.metadata()?.len());
        }
        self.read(common)?;
        // Its end counts when all that it has printed is read.
        let ended = ended.filter(|_| self.end.is_some_and(|end| self.position >= end));
        if ended.is_some() && !self.unfinished.is_empty() {
            self.line(common)?;
        }
        self.report.duration = now() - self.report.started;
        self.report.iterations = self.reader.iterations;
        self.report.figures.clone_from(&self.reader.last);
        self.report.best = self.reader.best;
        if let Some(status) = ended {
            self.signal(Signal::KILL);
            self.report.status = match (self.ending, status.success()) {
                (Some(_), _) => TrialStatus::Stopped,
                (None, true) => TrialStatus::Completed,
                (None, false) => TrialStatus::Failed,
            };
            writeln!(common, "[{}] {}", self.report.id, describe(status, self.ending.is_some()))?;
        }
        Ok(before != (self.report.iterations, self.report.status))
    }

    /// Asks it to end; when it has not done so for a while, ends it.
    pub(super) fn press(&mut self) {
        match self.ending {
            None => {
                self.ending = Some(Instant::now());
                self.signal(Signal::TERM);
            }
            Some(since) if since.elapsed() > self.grace => self.signal(Signal::KILL),
            Some(_) => {}
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.report.status != TrialStatus::Running
    }

    /// The figure that is optimised, when it counts.
    pub(super) fn result(&self) -> Option<f64> {
        let counts = matches!(self.report.status, TrialStatus::Completed | TrialStatus::Stopped);
        self.report.figures.first().copied().flatten().filter(|_| counts)
    }

    fn signal(&self, signal: Signal) {
        if let Some(process) = self.process {
            process.signal_group(signal);
        }
    }

    fn read(&mut self, common: &mut impl Write) -> io::Result<()> {
        let mut piece = vec![0; LONGEST_LINE];
        let most = self.position + MOST_AT_A_LOOK;
        let most = self.end.map_or(most, |end| end.min(most));
        while self.position < most {
            let length = (&self.log).take(most - self.position).read(&mut piece)?;
            if length == 0 {
                break;
            }
            self.position += length as u64;
            for part in piece[..length].split_inclusive(|&byte| byte == b'\n') {
                self.unfinished.extend_from_slice(part);
                if part.ends_with(b"\n") || self.unfinished.len() > LONGEST_LINE {
                    self.line(common)?;
                }
            }
        }
        Ok(())
    }

    fn line(&mut self, common: &mut impl Write) -> io::Result<()> {
        let line = std::mem::take(&mut self.unfinished);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        self.reader.feed(text);
        writeln!(common, "[{}] {text}", self.report.id)
    }
}

fn describe(status: ExitStatus, is_early: bool) -> String {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    };
    if is_early { format!("stopped early, {how}") } else { format!("ended with {how}") }
}

/// The task's command with the trial's values and folders in place of its own.
fn arguments(argv: &[String], values: &[(String, String)], outputs: &[(&Output, PathBuf)]) -> Vec<String> {
    let folders = outputs.iter().filter(|(output, _)| !output.is_variable);
    let folders = folders.map(|(output, folder)| (output.name.clone(), folder.to_string_lossy().into_owned()));
    let added: Vec<(String, String)> = values.iter().cloned().chain(folders).collect();
    let words = added.iter().map(|(name, value)| format!("--{name}={value}"));
    if let [shell, option, command] = argv
        && option == "-c"
        && Path::new(shell).file_name().is_some_and(|name| name == "bash")
    {
        // At the end of the command, where the job's own arguments are: the later one of two wins.
        let words: String = words.map(|word| format!(" '{}'", word.replace('\'', r"'\''"))).collect();
        return vec![shell.clone(), option.clone(), format!("{command}{words}")];
    }
    let is_replaced = |word: &String| {
        let name = word.strip_prefix("--").map(|word| word.split_once('=').map_or(word, |(name, _)| name));
        name.is_some_and(|name| added.iter().any(|(added, _)| added == name))
    };
    argv.iter().filter(|word| !is_replaced(word)).cloned().chain(words).collect()
}

#[cfg(test)]
mod tests {
    use super::{MOST_AT_A_LOOK, Output, Trial, TrialStatus, arguments};

    #[test]
    fn the_trial_s_values_take_the_place_of_the_job_s() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let values = [("lr".to_owned(), "0.1".to_owned())];
        let output = |name: &str, is_variable| Output { name: name.into(), path: "/o".into(), is_variable };
        let (train, other) = (output("train_url", false), output("OTHER", true));
        let outputs = [(&train, "/o/trial-1".into()), (&other, "/p/trial-1".into())];
        let argv = words(&["python3", "/c/main.py", "--lr=0.5", "--epochs=3", "--train_url=/o", "--lrx=1"]);
        assert_eq!(
            arguments(&argv, &values, &outputs),
            ["python3", "/c/main.py", "--epochs=3", "--lrx=1", "--lr=0.1", "--train_url=/o/trial-1"]
        );
        assert_eq!(
            arguments(&words(&["/bin/bash", "-c", "python t.py --lr=0.5"]), &values, &[])[2],
            "python t.py --lr=0.5 '--lr=0.1'"
        );
    }

    #[tokio::test]
    async fn a_trial_that_prints_much_is_read_a_piece_at_a_look() {
        let folder = tempfile::tempdir().unwrap();
        let script = "f() { yes loss=5 | head -n 350000; printf 'loss=7'; }; f";
        let spec = crate::platform::search::drive::tests::spec(folder.path(), script, &["1"], 1);
        let mut trial = Trial::start(&spec, 1, vec![0.0]).unwrap();
        // All of it is there, and the trial has ended, before it is looked at.
        trial.child.wait().await.unwrap();
        let mut common = Vec::new();
        trial.look(&mut common).unwrap();
        assert!(!trial.has_ended() && common.len() > 100_000 && trial.position <= MOST_AT_A_LOOK, "{}", common.len());
        for _ in 0..2 {
            trial.look(&mut common).unwrap();
        }
        assert_eq!((trial.report.status, trial.report.figures[0]), (TrialStatus::Completed, Some(7.0)));
        assert!(String::from_utf8(common).unwrap().ends_with("[trial-1] loss=7\n[trial-1] ended with exit code 0\n"));
    }
}
