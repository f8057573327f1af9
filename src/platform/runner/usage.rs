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
    /// Kilobytes read from disks a second since the sample before, and written to them.
    #[serde(default)]
    pub disk: (f64, f64),
    /// Bytes a second that its network has received since the sample before, and sent; that is the machine's.
    #[serde(default)]
    pub network: (f64, f64),
}

/// A quantity of samples.
type Quantity = fn(&Sample) -> f64;

/// What samples tell, by the names of the user guide (training metrics of the API, then metrics of containers).
pub const QUANTITIES: [(&str, Quantity); 6] = [
    ("cpuUsage", |sample| sample.cpu),
    ("memUsage", |sample| sample.memory),
    ("ma_container_disk_read_kilobytes", |sample| sample.disk.0),
    ("ma_container_disk_write_kilobytes", |sample| sample.disk.1),
    ("ma_container_network_receive_bytes", |sample| sample.network.0),
    ("ma_container_network_transmit_bytes", |sample| sample.network.1),
];

/// Takes samples of all processes below one supervisor.
#[derive(Debug)]
pub struct Sampler {
    cores: f64,
    memory: f64,
    before: Counters,
}

/// What only grows.
#[derive(Clone, Copy, Debug)]
struct Counters {
    at: i64,
    ticks: u64,
    disk: (u64, u64),
    network: Option<(u64, u64)>,
}

impl Sampler {
    /// A sampler for a flavor of that many cores and bytes of memory.
    pub fn new(cores: u32, memory: u64) -> Self {
        let before = Counters { at: now(), ticks: 0, disk: (0, 0), network: None };
        Self { cores: f64::from(cores.max(1)), memory: memory.max(1) as f64, before }
    }

    /// What `processes` use now; what grows counts since the call before. A process that ended in between is not seen.
    pub fn sample(&mut self, processes: &[Stat]) -> Sample {
        let at = now();
        let ticks: u64 = processes.iter().map(|stat| stat.ticks).sum();
        let transferred: Vec<_> = processes.iter().map(|stat| process::transferred(stat.id.pid)).collect();
        let resident: u64 = processes.iter().map(|stat| process::resident(stat.id.pid)).sum();
        let disk = transferred.iter().fold((0, 0), |sum, now| (sum.0 + now.read, sum.1 + now.written));
        let network = processes.first().map(|stat| process::network(stat.id.pid));
        let before = std::mem::replace(&mut self.before, Counters { at, ticks, disk, network });
        let seconds = ((at - before.at) as f64 / 1000.0).max(0.001);
        let used = ticks.saturating_sub(before.ticks) as f64 / TICKS_PER_SECOND;
        let rounded = |value: f64| (value * 100.0).round() / 100.0;
        let rate = |now: u64, then: u64, unit: f64| rounded(now.saturating_sub(then) as f64 / unit / seconds);
        // What the machine had sent before the task is not the task's.
        let (here, then) = (network.unwrap_or_default(), before.network.or(network).unwrap_or_default());
        Sample {
            at,
            cpu: rounded(used / seconds / self.cores * 100.0),
            memory: rounded(resident as f64 / self.memory * 100.0),
            io: transferred.iter().map(|now| now.all).sum(),
            disk: (rate(disk.0, before.disk.0, 1000.0), rate(disk.1, before.disk.1, 1000.0)),
            network: (rate(here.0, then.0, 1.0), rate(here.1, then.1, 1.0)),
        }
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

/// Averages of each of [`QUANTITIES`] per minute from `start` to `end` (milliseconds since 1970); -1 where no sample was taken.
pub fn minutes(folder: &Path, start: i64, end: i64) -> Vec<(&'static str, Vec<f64>)> {
    let text = fs::read_to_string(folder.join(USAGE_FILE)).unwrap_or_default();
    let samples: Vec<Sample> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    QUANTITIES.iter().map(|(name, quantity)| (*name, averages(&samples, start, end, *quantity))).collect()
}

fn averages(samples: &[Sample], start: i64, end: i64, quantity: Quantity) -> Vec<f64> {
    let count = usize::try_from((end - start).max(0) / MINUTE + 1).unwrap_or(1);
    let mut sums = vec![(0.0, 0_u32); count];
    for sample in samples {
        let minute = usize::try_from((sample.at - start) / MINUTE).unwrap_or(usize::MAX);
        if let Some(sum) = sums.get_mut(minute) {
            *sum = (sum.0 + quantity(sample), sum.1 + 1);
        }
    }
    let average = |sum: f64, count: u32| if count == 0 { -1.0 } else { (sum / f64::from(count) * 100.0).round() / 100.0 };
    sums.iter().map(|&(sum, count)| average(sum, count)).collect()
}

/// Milliseconds since 1970.
pub fn now() -> i64 {
    (OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000) as i64
}

#[cfg(test)]
mod tests {
    use super::{SPEC_FILE, Sample, Sampler, append, averages, latest, now};
    use crate::platform::runner::process;

    #[test]
    fn what_an_earlier_start_has_used_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let sample = |at| Sample { at, cpu: 0.0, memory: 1.0, io: 5, disk: (0.0, 0.0), network: (0.0, 0.0) };
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
        let sample = |at, cpu| Sample { at, cpu, memory: 0.0, io: 0, disk: (0.0, cpu / 10.0), network: (0.0, 0.0) };
        let samples = [sample(10_000, 20.0), sample(20_000, 40.0), sample(130_000, 7.0), sample(999_999, 1.0)];
        assert_eq!(averages(&samples, 0, 150_000, |sample| sample.cpu), [30.0, -1.0, 7.0]);
        assert_eq!(averages(&samples, 0, 150_000, |sample| sample.disk.1), [3.0, -1.0, 0.7]);
    }

    #[test]
    fn rates_count_from_the_sample_before() {
        let me = process::stat(rustix::process::getpid().as_raw_nonzero().get()).unwrap();
        let mut sampler = Sampler::new(1, 1 << 30);
        assert_eq!(sampler.sample(&[me]).network, (0.0, 0.0), "what was before the task is not its own");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut receiver, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut sender, &[0; 100_000]).unwrap();
        std::io::Read::read_exact(&mut receiver, &mut [0; 100_000]).unwrap();
        let second = sampler.sample(&[me]);
        assert!(second.network.0 > 0.0 && second.network.1 > 0.0, "{second:?}");
        // A sample of an earlier platform.
        let old: Sample = serde_json::from_str(r#"{"at":1,"cpu":2.0,"memory":3.0}"#).unwrap();
        assert_eq!((old.io, old.disk), (0, (0.0, 0.0)));
    }
}
