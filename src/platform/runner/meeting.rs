//! What the tasks of one job agree on before they start: the ports by which they find each other.

use std::collections::BTreeSet;
use std::io;
use std::net::TcpListener;

use crate::platform::runner::hosts;
use crate::platform::runner::plan::{Family, JobPlan, Launcher, Task, node_address};

/// The documented ports of parameter servers and workers of TensorFlow.
const PORTS: std::ops::Range<u16> = 5000..10_000;

/// The ports of `torchrun` where the job names none: the documented one, and those that follow it for jobs that run side by side.
const TORCHRUN_PORTS: std::ops::Range<u16> = 18_888..19_888;

/// The variable by which a job names the port of `torchrun`, and learns of it.
pub const TORCHRUN_PORT: &str = "MA_TORCHRUN_MASTER_PORT";

/// What the tasks of one job agree on before they start.
#[derive(Clone, Debug, Default)]
pub struct Meeting {
    /// A free port of the first node, for `--init_method` and the launchers.
    pub(super) port: u16,
    /// `host:port` of each parameter server.
    pub(super) ps_hosts: Vec<String>,
    /// `host:port` of each TensorFlow worker.
    pub(super) worker_hosts: Vec<String>,
}

impl Meeting {
    /// Picks free ports. They are free now; whoever starts first takes them, as on the cloud. `promised` are ports that other jobs
    /// were given and perhaps do not listen on yet.
    ///
    /// # Errors
    /// The loopback addresses cannot be used.
    pub fn arrange(plan: &JobPlan, has_names: bool, promised: &BTreeSet<u16>) -> io::Result<Self> {
        // All listeners are held until all ports are known, so that no port is given twice.
        let mut held = Vec::new();
        let mut hosts = |role| -> io::Result<Vec<String>> {
            let host = |index| {
                let task = Task { role, index };
                let listener = listen(&task, from_anywhere(PORTS).filter(|port| !promised.contains(port)))?;
                let port = listener.local_addr()?.port();
                held.push(listener);
                let host = if has_names { hosts::name(plan, &task) } else { task.address().to_string() };
                Ok(format!("{host}:{port}"))
            };
            (0..plan.nodes).map(host).collect()
        };
        match plan.family() {
            Family::TensorFlow if plan.nodes > 1 => {
                Ok(Self { port: 0, ps_hosts: hosts("ps")?, worker_hosts: hosts("worker")? })
            }
            Family::PyTorch | Family::Ascend => {
                let first = Task { role: "worker", index: 0 };
                let is_torchrun = plan.launcher() == Some(Launcher::Torchrun);
                let documented = TORCHRUN_PORTS.filter(|_| is_torchrun);
                let candidates = documented.chain(from_anywhere(PORTS)).filter(|port| !promised.contains(port));
                Ok(Self { port: listen(&first, candidates)?.local_addr()?.port(), ..Self::default() })
            }
            _ => Ok(Self::default()),
        }
    }

    /// All ports that were picked.
    pub fn ports(&self) -> BTreeSet<u16> {
        let of_hosts = self.ps_hosts.iter().chain(&self.worker_hosts);
        let of_hosts = of_hosts.filter_map(|host| host.rsplit_once(':')?.1.parse().ok());
        of_hosts.chain([self.port]).filter(|&port| port > 0).collect()
    }

    /// The port of the job's `torchrun`; `None` for a job that is not started by it or names one itself.
    pub fn torchrun_port(&self, plan: &JobPlan) -> Option<u16> {
        let is_ours = plan.launcher() == Some(Launcher::Torchrun) && plan.variable(TORCHRUN_PORT).is_none();
        is_ours.then_some(self.port)
    }

    /// The arguments that the engine adds.
    pub(super) fn arguments(&self, plan: &JobPlan, task: &Task) -> Vec<String> {
        let several = plan.nodes > 1;
        match plan.family() {
            Family::PyTorch => {
                let mut arguments = vec!["--init_method".to_owned(), format!("tcp://{}:{}", node_address(0), self.port)];
                if several {
                    arguments.extend(["--rank".to_owned(), task.index.to_string()]);
                    arguments.extend(["--world_size".to_owned(), plan.nodes.to_string()]);
                }
                arguments
            }
            Family::TensorFlow if several => [
                ("--task_index", task.index.to_string()),
                ("--ps_hosts", self.ps_hosts.join(",")),
                ("--worker_hosts", self.worker_hosts.join(",")),
                ("--job_name", task.role.to_owned()),
            ]
            .into_iter()
            .flat_map(|(name, value)| [name.to_owned(), value])
            .collect(),
            _ => Vec::new(),
        }
    }
}

/// Listens on a port of a task's node: the first free one of those, else any.
fn listen(task: &Task, mut ports: impl Iterator<Item = u16>) -> io::Result<TcpListener> {
    let address = task.address();
    let found = ports.find_map(|port| TcpListener::bind((address, port)).ok());
    found.map_or_else(|| TcpListener::bind((address, 0)), Ok)
}

/// A range beginning somewhere in it, so that platforms whose jobs start at the same time do not all try the same.
fn from_anywhere(ports: std::ops::Range<u16>) -> impl Iterator<Item = u16> {
    let length = u32::from(ports.end - ports.start);
    let begin = std::process::id().wrapping_mul(31).wrapping_add(u32::from(ports.start)) % length;
    (0..length).map(move |step| ports.start + ((begin + step) % length) as u16)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Family, JobPlan, Meeting, TORCHRUN_PORT};

    #[test]
    fn jobs_have_ports_of_their_own() {
        let torchrun = |port: &str| JobPlan {
            environment: vec![("MA_RUN_METHOD".into(), "torchrun".into()), (TORCHRUN_PORT.into(), port.into())],
            nodes: 2,
            ..JobPlan::example(Family::PyTorch)
        };
        let of = |promised: &BTreeSet<u16>| {
            let plan = torchrun("");
            Meeting::arrange(&plan, false, promised).unwrap().torchrun_port(&plan).unwrap()
        };
        let mut promised = BTreeSet::from([18_888]);
        for _ in 0..3 {
            let port = of(&promised);
            assert!(super::TORCHRUN_PORTS.contains(&port) && promised.insert(port), "{port}");
        }
        let named = torchrun("7");
        assert_eq!(Meeting::arrange(&named, false, &promised).unwrap().torchrun_port(&named), None);
        let flow = JobPlan { nodes: 2, ..JobPlan::example(Family::TensorFlow) };
        let first = Meeting::arrange(&flow, false, &promised).unwrap().ports();
        let second = Meeting::arrange(&flow, false, &first).unwrap().ports();
        assert!(first.len() > 1 && first.is_disjoint(&second), "{first:?} {second:?}");
    }
}
