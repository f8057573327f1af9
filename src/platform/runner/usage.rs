//! CPU and memory of a task, sampled by its supervisor and read by the API.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::platform::runner::process::{self, Stat};
use crate::platform::runner::spec::SPEC_FILE;

/// Name of the file of samples in a task's folder, one JSON object a line.
pub const USAGE_FILE: &str = "usage.jsonl";

/// How much of the file's end is looked at for what a task has done lately.
const TAIL: u64 = 1 << 20;

/// Clock ticks a second in `/proc`; a constant of the Linux interface whatever the kernel's own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

/// Milliseconds in a minute, the resolution of the API.
const MINUTE: i64 = 60_000;

/// Usage at one moment, in percent of the flavor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub at: i64,
    /// CPU since the sample before, in percent of all cores of the flavor.
    pub cpu: f64,
    /// Resident memory, in percent of the memory of the flavor.
    pub memory: f64,
    /// Bytes that its processes have read and written so far; what counts is whether it changes.
    #[serde(default)]
    pub io: u64,
}

/// Takes samples of all processes below one supervisor.
#[derive(Debug)]
pub struct Sampler {
    cores: f64,
    memory: f64,
    before: (i64, u64),
}

impl Sampler {
    /// A sampler for a flavor of that many cores and bytes of memory.
    pub fn new(cores: u32, memory: u64) -> Self {
        Self { cores: f64::from(cores.max(1)), memory: memory.max(1) as f64, before: (now(), 0) }
    }

    /// What `processes` use now; CPU counts since the call before. A process that ended in between is not seen.
    pub fn sample(&mut self, processes: &[Stat]) -> Sample {
        let at = now();
        let ticks: u64 = processes.iter().map(|stat| stat.ticks).sum();
        let resident: u64 = processes.iter().map(|stat| process::resident(stat.id.pid)).sum();
        let io = processes.iter().map(|stat| process::transferred(stat.id.pid)).sum();
        let seconds = ((at - self.before.0) as f64 / 1000.0).max(0.001);
        let used = ticks.saturating_sub(self.before.1) as f64 / TICKS_PER_SECOND;
        self.before = (at, ticks);
        let percent = |value: f64| (value * 10_000.0).round() / 100.0;
        Sample { at, cpu: percent(used / seconds / self.cores), memory: percent(resident as f64 / self.memory), io }
    }
}

/// Adds a sample to the task's file. A full disk loses samples, not the task.
pub fn append(folder: &Path, sample: &Sample) {
    let file = OpenOptions::new().create(true).append(true).open(folder.join(USAGE_FILE));
    if let (Ok(mut file), Ok(line)) = (file, serde_json::to_string(sample)) {
        let _ = writeln!(file, "{line}");
    }
}

/// The newest samples of the task's present start, oldest first: those of at least the last hours at the usual period. The file
/// holds those of earlier starts as well.
pub fn latest(folder: &Path) -> Vec<Sample> {
    // Each start has a specification of its own, written before its first sample.
    let start = fs::metadata(folder.join(SPEC_FILE)).and_then(|spec| spec.modified());
    let start = start.map_or(0, |time| (OffsetDateTime::from(time).unix_timestamp_nanos() / 1_000_000) as i64);
    let read = || -> std::io::Result<String> {
        let mut file = File::open(folder.join(USAGE_FILE))?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
        let mut text = String::new();
        file.take(TAIL).read_to_string(&mut text)?;
        Ok(text)
    };
    // The first line may be half of one, and is passed over then.
    let samples = read().unwrap_or_default();
    let samples = samples.lines().filter_map(|line| serde_json::from_str(line).ok());
    samples.filter(|sample: &Sample| sample.at >= start).collect()
}

/// Averages per minute from `start` to `end` (milliseconds since 1970), CPU and memory; -1 where no sample was taken.
pub fn minutes(folder: &Path, start: i64, end: i64) -> (Vec<f64>, Vec<f64>) {
    let text = fs::read_to_string(folder.join(USAGE_FILE)).unwrap_or_default();
    let samples: Vec<Sample> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    averages(&samples, start, end)
}

fn averages(samples: &[Sample], start: i64, end: i64) -> (Vec<f64>, Vec<f64>) {
    let count = usize::try_from((end - start).max(0) / MINUTE + 1).unwrap_or(1);
    let mut sums = vec![(0.0, 0.0, 0_u32); count];
    for sample in samples {
        let minute = usize::try_from((sample.at - start) / MINUTE).unwrap_or(usize::MAX);
        if let Some(sum) = sums.get_mut(minute) {
            *sum = (sum.0 + sample.cpu, sum.1 + sample.memory, sum.2 + 1);
        }
    }
    let average = |sum: f64, count: u32| if count == 0 { -1.0 } else { (sum / f64::from(count) * 100.0).round() / 100.0 };
    sums.iter().map(|&(cpu, memory, count)| (average(cpu, count), average(memory, count))).unzip()
}

/// Milliseconds since 1970.
pub fn now() -> i64 {
    (OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000) as i64
}

#[cfg(test)]
mod tests {
    use super::{SPEC_FILE, Sample, append, averages, latest, now};

    #[test]
    fn what_an_earlier_start_has_used_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let sample = |at| Sample { at, cpu: 0.0, memory: 1.0, io: 5 };
        let earlier = now() - 3_600_000;
        append(folder.path(), &sample(earlier));
        assert_eq!(latest(folder.path()), [sample(earlier)]);
        std::fs::write(folder.path().join(SPEC_FILE), "{}").unwrap();
        assert_eq!(latest(folder.path()), []);
        let later = now() + 1000;
        append(folder.path(), &sample(later));
        assert_eq!(latest(folder.path()), [sample(later)]);
    }

    #[test]
    fn minutes_without_samples_are_marked() {
        let sample = |at, cpu| Sample { at, cpu, memory: cpu / 10.0, io: 0 };
        let samples = [sample(10_000, 20.0), sample(20_000, 40.0), sample(130_000, 7.0), sample(999_999, 1.0)];
        assert_eq!(averages(&samples, 0, 150_000), (vec![30.0, -1.0, 7.0], vec![3.0, -1.0, 0.7]));
    }
}
