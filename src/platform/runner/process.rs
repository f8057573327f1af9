//! Processes by pid and start time, so that a recycled pid is never mistaken for ours. Linux: read from `/proc`.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

/// Variable of the environment by which the processes of a task are found when their supervisor is gone.
pub const MARK: &str = "MA_CLI_TASK";

/// Variable of the environment by which the processes of one shell in a task are found.
pub const SHELL_MARK: &str = "MA_CLI_SHELL";

/// A process that cannot be confused with a later one of the same pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// The pid; also the process group's id for a group leader.
    pub pid: i32,
    /// When it started, in clock ticks since the machine booted.
    pub start_time: u64,
}

/// What `/proc/PID/stat` says of one process.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// Identity.
    pub id: ProcessId,
    /// Pid of the parent.
    pub parent: i32,
    /// Ended, and not yet waited for.
    pub zombie: bool,
    /// CPU time used so far, user and system, in clock ticks.
    pub ticks: u64,
}

impl ProcessId {
    /// The process that has this pid now.
    pub fn of(pid: i32) -> Option<Self> {
        stat(pid).map(|stat| stat.id)
    }

    /// The calling process.
    pub fn current() -> Option<Self> {
        Self::of(rustix::process::getpid().as_raw_nonzero().get())
    }

    /// Whether it still runs; a zombie does not.
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|now| now.id == self && !now.zombie)
    }

    /// Sends a signal to the process, if it is still there.
    pub fn signal(self, signal: Signal) {
        if let (true, Some(pid)) = (self.is_alive(), Pid::from_raw(self.pid)) {
            // It may have ended since: nothing is left to be told then.
            let _ = kill_process(pid, signal);
        }
    }

    /// Sends a signal to the group this process leads, if the process is still known (a zombie's group may have members).
    pub fn signal_group(self, signal: Signal) {
        if let (true, Some(pid)) = (Self::of(self.pid) == Some(self), Pid::from_raw(self.pid)) {
            let _ = kill_process_group(pid, signal);
        }
    }
}

/// One process; `None` when there is none of that pid.
pub fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// All processes below `root`, itself not included.
pub fn descendants(root: i32) -> Vec<Stat> {
    below(&all(), [root])
}

/// A process with all that are below it; none when it is gone.
pub fn tree(root: i32) -> Vec<Stat> {
    stat(root).into_iter().chain(descendants(root)).collect()
}

/// Kills the processes that carry the mark, and all that are below them or below one of `roots`, the roots included; the
/// calling process is spared. Returns whether there were none: one that was just being started may have been missed, so it is
/// called until then.
pub fn kill_marked(mark: &str, roots: &[ProcessId]) -> bool {
    kill_with(MARK, mark, roots)
}

/// The same for another variable than the mark of tasks.
pub fn kill_with(variable: &str, value: &str, roots: &[ProcessId]) -> bool {
    let all = all();
    let variable = format!("{variable}={value}").into_bytes();
    let is_marked = |stat: &&Stat| {
        // Fails for processes of other users, which are not ours to kill.
        let environment = fs::read(format!("/proc/{}/environ", stat.id.pid)).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|entry| entry == variable)
    };
    let mut found: Vec<Stat> = all.iter().filter(|stat| roots.contains(&stat.id) || is_marked(stat)).copied().collect();
    let above: Vec<i32> = found.iter().map(|stat| stat.id.pid).collect();
    found.extend(below(&all, above));
    let own = ProcessId::current();
    found.retain(|stat| !stat.zombie && Some(stat.id) != own);
    for stat in &found {
        stat.id.signal(Signal::KILL);
    }
    found.is_empty()
}

fn all() -> Vec<Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| stat(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// Those of `all` that are below one of the roots.
fn below(all: &[Stat], roots: impl IntoIterator<Item = i32>) -> Vec<Stat> {
    let mut children: BTreeMap<i32, Vec<Stat>> = BTreeMap::new();
    for stat in all {
        children.entry(stat.parent).or_default().push(*stat);
    }
    let mut found: Vec<Stat> = roots.into_iter().flat_map(|root| children.remove(&root).unwrap_or_default()).collect();
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|stat| stat.id.pid) {
        found.extend(children.remove(&parent).unwrap_or_default());
        next += 1;
    }
    found
}

/// Resident memory of a process, in bytes; 0 when it is gone.
pub fn resident(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

/// Bytes that a process has read and written so far; 0 when it is gone or another user's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transferred {
    /// Both, wherever to: files, pipes, terminals (sockets do not count).
    pub all: u64,
    /// What came from a disk.
    pub read: u64,
    /// What went to a disk.
    pub written: u64,
}

/// Reads `/proc/PID/io`.
pub fn transferred(pid: i32) -> Transferred {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let value = |name: &str| io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()).unwrap_or(0);
    Transferred { all: value("rchar:") + value("wchar:"), read: value("read_bytes:"), written: value("write_bytes:") }
}

/// Bytes that the network of a process has received and sent so far, over all interfaces. It is the machine's, unless the process
/// has a network of its own.
pub fn network(pid: i32) -> (u64, u64) {
    parse_network(&fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default())
}

/// Two lines of titles, then one line an interface: after its name eight columns of what came in and eight of what went out.
fn parse_network(text: &str) -> (u64, u64) {
    let columns = |line: &str| -> Option<(u64, u64)> {
        let values: Vec<&str> = line.split_once(':')?.1.split_whitespace().collect();
        Some((values.first()?.parse().ok()?, values.get(8)?.parse().ok()?))
    };
    text.lines().skip(2).filter_map(columns).fold((0, 0), |sum, (received, sent)| (sum.0 + received, sum.1 + sent))
}

/// The name in parentheses may hold anything, so fields are counted from its last `)`.
fn parse_stat(text: &str) -> Option<Stat> {
    let pid = text.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        id: ProcessId { pid, start_time: number(19)? },
        parent: fields.get(1)?.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
        ticks: number(11)? + number(12)?,
    })
}

#[cfg(test)]
mod tests {
    use super::{ProcessId, parse_stat};

    #[test]
    fn a_name_with_parentheses_and_spaces_is_read() {
        let line = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 1 0 98765 1000 5 184467 1 1 0";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.id, stat.parent, stat.zombie, stat.ticks), (ProcessId { pid: 42, start_time: 98765 }, 7, false, 42));
    }

    #[test]
    fn interfaces_are_added_up() {
        let text = "Inter-|   Receive |  Transmit\n face |bytes packets|bytes\n\
                    lo: 100 2 0 0 0 0 0 0 100 2 0 0 0 0 0 0\n  eth0:7 1 0 0 0 0 0 0 30 1 0 0 0 0 0 0\n";
        assert_eq!(super::parse_network(text), (107, 130));
        assert_eq!(super::parse_network(""), (0, 0));
    }

    #[test]
    fn a_recycled_pid_is_another_process() {
        let me = ProcessId::current().unwrap();
        assert!(me.is_alive());
        assert!(super::resident(me.pid) > 100_000);
        assert!(super::transferred(me.pid).all > 0);
        assert!(!ProcessId { start_time: me.start_time + 1, ..me }.is_alive());
    }
}
