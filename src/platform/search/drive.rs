//! The program that runs in place of a task's own when hyperparameters are searched: it runs the task's program again and again with
//! other values, as many at a time as the plan allows.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::platform::runner::spec::{read_json, replace_json};
use crate::platform::search::plan::{MethodPlan, SearchPlan};
use crate::platform::search::report::Report;
use crate::platform::search::sampler::{Observation, Sampler};
use crate::platform::search::space::Point;
use crate::platform::search::trial::Trial;

/// Name of the file that tells what to do, in the task's folder.
const SPEC_FILE: &str = "search.json";
/// Between two looks at the trials.
const POLL: Duration = Duration::from_millis(50);
/// How often the durations of running trials are written, in looks.
const REFRESH: u32 = 20;
/// Exit code when no trial gave a figure to go by.
const NOTHING_FOUND: u8 = 1;
/// Exit code when it was told to stop: 128 and the number of SIGTERM.
const STOPPED: u8 = 143;

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DriveSpec {
    /// The search.
    pub plan: SearchPlan,
    /// The task's own program and arguments.
    pub argv: Vec<String>,
    /// The task's folder.
    pub folder: PathBuf,
    /// The task's log, which what trials print is added to, each line with its trial.
    pub log: PathBuf,
    /// The task's outputs; each trial gets a folder of its own in each.
    pub outputs: Vec<Output>,
    /// Milliseconds between SIGTERM and SIGKILL for a trial that is ended early.
    pub grace: u64,
}

/// An output of the task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Name of the parameter or variable.
    pub name: String,
    /// Its folder on this machine.
    pub path: PathBuf,
    /// Whether programs learn of it by a variable of the environment, not by an argument.
    pub is_variable: bool,
}

impl DriveSpec {
    /// Writes it into the task's folder; returns the file, which [`run`] is to be given.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn save(&self) -> io::Result<PathBuf> {
        let file = self.folder.join(SPEC_FILE);
        replace_json(&file, self)?;
        Ok(file)
    }
}

/// Carries out the search that the file describes and returns the exit code. It may be called from within a runtime.
pub fn run(file: &Path) -> u8 {
    let search = || -> io::Result<u8> {
        let Some(spec) = read_json::<DriveSpec>(file)? else { return Err(io::ErrorKind::NotFound.into()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let log = spec.log.clone();
        let done = runtime.block_on(async { Driver::new(spec)?.run().await });
        if let Err(error) = &done {
            let mut log = OpenOptions::new().create(true).append(true).open(log)?;
            write_line(&mut log, &format!("the search cannot go on: {error}"))?;
        }
        done
    };
    // A thread of its own, because a runtime cannot be started inside another one. What it says when it panics goes to the log as well.
    let outcome = std::thread::scope(|scope| scope.spawn(search).join());
    match outcome {
        Ok(Ok(code)) => code,
        _ => NOTHING_FOUND,
    }
}

/// A line of the platform's own, as those of other preparations are written.
fn write_line(mut log: impl io::Write, message: &str) -> io::Result<()> {
    writeln!(log, "[ModelArts Service Log][autosearch] {message}")
}

struct Driver {
    spec: DriveSpec,
    log: File,
    terminate: Signal,
    report: Report,
    running: Vec<Trial>,
    stopped: bool,
    /// The best so far: trial and figure.
    best: Option<(String, f64)>,
}

impl Driver {
    fn new(spec: DriveSpec) -> io::Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(&spec.log)?;
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { spec, log, terminate, report: Report::default(), running: Vec::new(), stopped: false, best: None })
    }

    async fn run(&mut self) -> io::Result<u8> {
        for method in self.spec.plan.methods.clone() {
            self.search(&method).await?;
        }
        if self.stopped {
            return Ok(STOPPED);
        }
        let name = self.spec.plan.indicators[0].name.clone();
        match &self.best {
            Some((trial, value)) => {
                let values = self.report.trials.iter().find(|one| one.id == *trial).map(|one| one.values.clone());
                let values: String =
                    values.unwrap_or_default().iter().map(|(name, value)| format!(" {name}={value}")).collect();
                self.say(&format!("the best of {} trials is {trial}: {name} = {value},{values}", self.report.trials.len()))?;
                Ok(0)
            }
            None => {
                self.say(&format!("no trial ended well and printed {name}; it is looked for with {}", self.expression()))?;
                Ok(NOTHING_FOUND)
            }
        }
    }

    /// One search, to its end.
    async fn search(&mut self, method: &MethodPlan) -> io::Result<()> {
        let mut sampler = Sampler::new(&self.spec.plan.space, method);
        let mut results: Vec<Observation> = Vec::new();
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = 0_u32;
        loop {
            self.fill(&mut sampler, &results)?;
            if self.running.is_empty() {
                return Ok(());
            }
            tokio::select! {
                _ = ticks.tick() => {}
                _ = self.terminate.recv() => self.stopped = true,
            }
            looks += 1;
            let has_changed = self.look(&mut results)?;
            if has_changed || looks.is_multiple_of(REFRESH) {
                self.report.save(&self.spec.folder)?;
            }
        }
    }

    /// Starts as many trials as may run.
    fn fill(&mut self, sampler: &mut Sampler, results: &[Observation]) -> io::Result<()> {
        while !self.stopped && self.running.len() < self.spec.plan.max_concurrent {
            let pending: Vec<Point> = self.running.iter().map(|trial| trial.report.point.clone()).collect();
            let Some(point) = sampler.next(results, &pending) else { return Ok(()) };
            let trial = Trial::start(&self.spec, self.report.trials.len() + 1, point)?;
            let values: String = trial.report.values.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            self.say(&format!("{} started:{values}", trial.report.id))?;
            self.report.trials.push(trial.report.clone());
            self.running.push(trial);
            self.report.save(&self.spec.folder)?;
        }
        Ok(())
    }

    /// Looks at all trials that run; those that have ended become results.
    fn look(&mut self, results: &mut Vec<Observation>) -> io::Result<bool> {
        let mut has_changed = false;
        for trial in &mut self.running {
            if self.stopped {
                trial.press();
            }
            has_changed |= trial.look(&mut self.log)?;
            if let Some(known) = self.report.trials.iter_mut().find(|known| known.id == trial.report.id) {
                known.clone_from(&trial.report);
            }
        }
        let indicator = self.spec.plan.indicators[0].clone();
        let (ended, running): (Vec<_>, Vec<_>) = std::mem::take(&mut self.running).into_iter().partition(Trial::has_ended);
        self.running = running;
        for trial in ended {
            let Some(value) = trial.result() else {
                self.say(&format!("{} gave no {}", trial.report.id, indicator.name))?;
                continue;
            };
            let reward = indicator.reward(value);
            if self.best.as_ref().is_none_or(|(_, best)| reward > indicator.reward(*best)) {
                self.best = Some((trial.report.id.clone(), value));
            }
            let best = self.best.as_ref().map(|(id, best)| format!("{id} with {best}")).unwrap_or_default();
            self.say(&format!("{}: {} = {value}, best so far {best}", trial.report.id, indicator.name))?;
            results.push(Observation { point: trial.report.point.clone(), reward });
        }
        Ok(has_changed)
    }

    fn expression(&self) -> &str {
        &self.spec.plan.indicators[0].regex
    }

    fn say(&self, message: &str) -> io::Result<()> {
        write_line(&self.log, message)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::{DriveSpec, NOTHING_FOUND, Output, run};
    use crate::platform::search::plan::{Indicator, Method, MethodPlan, SearchPlan};
    use crate::platform::search::report::{Report, TrialStatus};
    use crate::platform::search::reward;
    use crate::platform::search::space::{Domain, Parameter, Space};

    pub(in crate::platform::search) fn spec(folder: &Path, script: &str, values: &[&str], max_concurrent: usize) -> DriveSpec {
        let domain = Domain::Discrete(values.iter().map(|&value| value.to_owned()).collect());
        DriveSpec {
            plan: SearchPlan {
                indicators: vec![Indicator { name: "loss".into(), minimise: true, regex: reward::expression("loss") }],
                space: Space(vec![Parameter { name: "x".into(), domain }]),
                methods: vec![MethodPlan { method: Method::Grid, samples: 10, seed: 1 }],
                max_concurrent,
            },
            argv: ["/bin/bash", "-c", script].map(str::to_owned).to_vec(),
            folder: folder.to_owned(),
            log: folder.join("log"),
            outputs: vec![Output { name: "out".into(), path: folder.join("out"), is_variable: true }],
            grace: 100,
        }
    }

    #[test]
    fn every_value_is_tried_and_the_best_is_told() {
        let folder = tempfile::tempdir().unwrap();
        // The argument that the trial's value is in comes last.
        let script = "f() { v=${1#--x=}; echo \"loss: 9\"; echo \"loss: $v\"; echo $v >$out/model; [ $v != 4 ]; }; f";
        let spec = spec(folder.path(), script, &["3", "1", "2", "4"], 2);
        assert_eq!(run(&spec.save().unwrap()), 0);
        let report = Report::read(folder.path()).unwrap();
        let told: Vec<_> = report.trials.iter().map(|one| (one.status, one.figures[0], one.best, one.iterations)).collect();
        let well = |value: f64| (TrialStatus::Completed, Some(value), Some(value), 2);
        assert_eq!(told, [well(3.0), well(1.0), well(2.0), (TrialStatus::Failed, Some(4.0), Some(4.0), 2)]);
        let log = std::fs::read_to_string(&spec.log).unwrap();
        assert!(log.contains("[trial-2] loss: 1\n") && log.contains("the best of 4 trials is trial-2: loss = 1, x=1"), "{log}");
        assert_eq!(std::fs::read_to_string(folder.path().join("out/trial-3/model")).unwrap(), "2\n");
    }

    /// The most trials that saw each other run, when each looks around so many times.
    fn most_at_a_time(values: &[&str], max_concurrent: usize, looks: u32) -> f64 {
        let folder = tempfile::tempdir().unwrap();
        // Each looks until two have met, or it has looked often enough.
        let script = format!(
            "touch $out/../here-$MA_TRIAL_ID; for i in $(seq {looks}); do n=$(ls $out/.. | grep -c here); \
             [ $n -ge 2 ] && touch $out/../met; [ -e $out/../met ] && break; sleep 0.02; done; rm -f $out/../here-$MA_TRIAL_ID; echo loss=$n; true"
        );
        let spec = spec(folder.path(), &script, values, max_concurrent);
        assert_eq!(run(&spec.save().unwrap()), 0);
        let report = Report::read(folder.path()).unwrap();
        assert_eq!(report.trials.len(), values.len());
        report.trials.iter().filter_map(|one| one.figures[0]).fold(0.0, f64::max)
    }

    #[test]
    fn trials_run_side_by_side_only_as_far_as_allowed() {
        assert_eq!(most_at_a_time(&["1", "2", "3"], 1, 10), 1.0);
        // The second one may be late on a busy machine.
        assert_eq!(most_at_a_time(&["1", "2"], 2, 1000), 2.0);
    }

    #[test]
    fn a_search_that_cannot_go_on_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let mut spec = spec(folder.path(), "true", &["1"], 1);
        spec.argv = vec!["/no/such/program".to_owned()];
        assert_eq!(run(&spec.save().unwrap()), NOTHING_FOUND);
        let log = std::fs::read_to_string(&spec.log).unwrap();
        assert!(log.contains("[autosearch] the search cannot go on: ") && log.contains("/no/such/program"), "{log}");
    }

    #[test]
    fn a_search_without_a_figure_fails() {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec(folder.path(), "echo nothing", &["1"], 1);
        assert_eq!(run(&spec.save().unwrap()), NOTHING_FOUND);
        let log = std::fs::read_to_string(&spec.log).unwrap();
        assert!(log.contains("no trial ended well and printed loss"), "{log}");
    }
}
