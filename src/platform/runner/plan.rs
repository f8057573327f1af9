//! What a job runs, freed of API documents and their defaults.

use std::net::Ipv4Addr;

/// A place in the object store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObsPlace {
    /// Bucket.
    pub bucket: String,
    /// Key or key prefix; a folder's ends in `/`, the bucket itself is empty.
    pub key: String,
}

impl ObsPlace {
    /// Reads `/bucket/key`, `obs://bucket/key` or `s3://bucket/key`; `None` without a bucket.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("obs://").or_else(|| text.strip_prefix("s3://")).or_else(|| text.strip_prefix('/'))?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        (!bucket.is_empty()).then(|| Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// The same place as a folder.
    pub fn folder(&self) -> Self {
        let slash = if self.key.is_empty() || self.key.ends_with('/') { "" } else { "/" };
        Self { bucket: self.bucket.clone(), key: format!("{}{slash}", self.key) }
    }

    /// A place below this one.
    pub fn join(&self, relative: &str) -> Self {
        let folder = self.folder();
        Self { key: folder.key + relative, ..folder }
    }

    /// Last element of the path: the name a copy of it gets. Empty for a whole bucket.
    pub fn name(&self) -> &str {
        self.key.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
    }

    /// `obs://bucket/key`.
    pub fn url(&self) -> String {
        format!("obs://{}/{}", self.bucket, self.key)
    }
}

/// How a program learns of an input's or output's local path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `--name=path` on the command line.
    Parameter,
    /// Variable `name` of the environment.
    Environment,
}

/// An input or an output.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Parameter name, as `data_url`.
    pub name: String,
    /// Where it comes from or goes to.
    pub remote: ObsPlace,
    /// The documented path in the container, as `/home/ma-user/modelarts/inputs/data_url_0`.
    pub local_dir: String,
    /// How the program is told.
    pub access: Access,
    /// Of an output: what is there already is fetched before the start.
    pub predownload: bool,
}

/// What is started.
#[derive(Clone, Debug)]
pub enum Boot {
    /// A Python file, relative to the code directory.
    File(String),
    /// A command for `/bin/bash -c`.
    Command(String),
}

/// How an engine lays a job out over its tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// One process a node, told of each other by `--init_method`, `--rank` and `--world_size`.
    PyTorch,
    /// One worker and, with several nodes, one parameter server a node.
    TensorFlow,
    /// The first node starts all ranks with `mpirun`; the others wait for it.
    Mpi,
    /// One process a card, told of each other by a rank table.
    Ascend,
    /// One process a node and nothing more.
    Plain,
}

/// Kinds of accelerator cards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardKind {
    /// NVIDIA's.
    Gpu,
    /// Ascend.
    Npu,
}

/// The launcher of a job whose environment names one in `MA_RUN_METHOD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launcher {
    /// `PyTorch`'s.
    Torchrun,
    /// `MindSpore`'s.
    Msrun,
}

impl Launcher {
    /// The value of `MA_RUN_METHOD`, and the name of the program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Torchrun => "torchrun",
            Self::Msrun => "msrun",
        }
    }
}

/// The engine of a preset image.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Engine id, as `pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64`.
    pub id: String,
    /// Engine name, as `PyTorch`.
    pub name: String,
    /// How it lays jobs out.
    pub family: Family,
    /// Python module a program for it will import; `None` when nothing is asked of the interpreter.
    pub module: Option<&'static str>,
}

/// An image that the job brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name, as `organization/image:tag`.
    pub name: String,
    /// The id of the user that its program runs as; `None` for the documented one.
    pub user: Option<u32>,
}

/// A job, ready to be prepared.
#[derive(Clone, Debug)]
pub struct JobPlan {
    /// Job id.
    pub id: String,
    /// Code directory; `None` for a command that needs none.
    pub code: Option<ObsPlace>,
    /// Folder of the container below which the code directory is put.
    pub local_code_dir: String,
    /// What is started.
    pub boot: Boot,
    /// Where it is started; `None` for the code directory.
    pub working_dir: Option<String>,
    /// Engine; `None` for a bare command.
    pub engine: Option<Engine>,
    /// The image that the job runs in; `None` for a program of this machine.
    pub image: Option<Image>,
    /// Inputs.
    pub inputs: Vec<Channel>,
    /// Outputs.
    pub outputs: Vec<Channel>,
    /// Hyperparameters; one without value is a flag.
    pub parameters: Vec<(String, String)>,
    /// Environment variables of the user.
    pub environment: Vec<(String, String)>,
    /// Number of nodes.
    pub nodes: u32,
    /// Cards of a node.
    pub cards: u32,
    /// What kind of cards they are; `None` without any.
    pub card_kind: Option<CardKind>,
    /// The cards of all nodes, node by node, as the machine counts them.
    pub devices: Vec<u32>,
    /// Cores of the flavor.
    pub cores: u32,
    /// Memory of the flavor in bytes.
    pub memory: u64,
    /// Where logs are kept.
    pub log: Option<ObsPlace>,
}

/// One task of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// `worker` or `ps`.
    pub role: &'static str,
    /// Index among the tasks of its role; also its node.
    pub index: u32,
}

impl Task {
    /// Task id, as `worker-0`.
    pub fn id(&self) -> String {
        format!("{}-{}", self.role, self.index)
    }

    /// The loopback address that stands for the task's node.
    pub fn address(&self) -> Ipv4Addr {
        node_address(self.index)
    }
}

/// The loopback address of a node: 127.0.0.1, 127.0.0.2, …
pub fn node_address(node: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + node)
}

impl JobPlan {
    /// How the engine lays the job out; a bare command is plain.
    pub fn family(&self) -> Family {
        self.engine.as_ref().map_or(Family::Plain, |engine| engine.family)
    }

    /// The tasks, workers first.
    pub fn tasks(&self) -> Vec<Task> {
        tasks(self.family(), self.nodes)
    }

    /// Whether the first worker's end is the job's end, the others only standing by.
    pub fn is_led(&self) -> bool {
        self.family() == Family::Mpi && self.nodes > 1
    }

    /// A variable of the user's own, with a value.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().rev().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The launcher that the user has chosen for an engine that offers the choice, when the program is a file of Python.
    pub fn launcher(&self) -> Option<Launcher> {
        let offers = matches!(self.family(), Family::PyTorch | Family::Ascend) && matches!(self.boot, Boot::File(_));
        let method = self.variable("MA_RUN_METHOD").filter(|_| offers)?;
        [Launcher::Torchrun, Launcher::Msrun].into_iter().find(|launcher| launcher.name() == method)
    }

    /// The workload's name, which log files begin with.
    pub fn workload(&self) -> String {
        format!("modelarts-job-{}", self.id)
    }
}

/// The tasks of a job of that family on that many nodes, workers first.
pub fn tasks(family: Family, nodes: u32) -> Vec<Task> {
    let roles: &[&'static str] = if family == Family::TensorFlow && nodes > 1 { &["worker", "ps"] } else { &["worker"] };
    roles.iter().flat_map(|&role| (0..nodes).map(move |index| Task { role, index })).collect()
}

#[cfg(test)]
impl JobPlan {
    /// A job of one node that runs `main.py` of `obs://b/code/`.
    pub(crate) fn example(family: Family) -> Self {
        Self {
            id: "1".into(),
            code: ObsPlace::parse("obs://b/code/"),
            local_code_dir: crate::platform::runner::layout::JOB_DIR.into(),
            boot: Boot::File("main.py".into()),
            working_dir: None,
            engine: Some(Engine { id: "e".into(), name: "E".into(), family, module: None }),
            image: None,
            inputs: Vec::new(),
            outputs: Vec::new(),
            parameters: Vec::new(),
            environment: Vec::new(),
            nodes: 1,
            cards: 0,
            card_kind: None,
            devices: Vec::new(),
            cores: 2,
            memory: 1,
            log: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Family, ObsPlace, Task, tasks};

    #[test]
    fn places_are_read_in_all_spellings() {
        for text in ["/b/p/code/", "obs://b/p/code/", "s3://b/p/code/"] {
            let place = ObsPlace::parse(text).unwrap();
            assert_eq!((place.bucket.as_str(), place.key.as_str(), place.name()), ("b", "p/code/", "code"));
            assert_eq!(place.join("main.py").url(), "obs://b/p/code/main.py");
        }
        assert_eq!(ObsPlace::parse("obs://b").unwrap().join("x").url(), "obs://b/x");
        assert_eq!(ObsPlace::parse("obs://b/a").unwrap().folder().key, "a/");
        for text in ["", "/", "obs://", "b/p", "http://b/p"] {
            assert_eq!(ObsPlace::parse(text), None, "{text}");
        }
    }

    #[test]
    fn several_tensorflow_nodes_have_parameter_servers() {
        let ids = |family, nodes| tasks(family, nodes).iter().map(Task::id).collect::<Vec<_>>();
        assert_eq!(ids(Family::TensorFlow, 2), ["worker-0", "worker-1", "ps-0", "ps-1"]);
        assert_eq!(ids(Family::TensorFlow, 1), ["worker-0"]);
        assert_eq!(ids(Family::PyTorch, 2), ["worker-0", "worker-1"]);
        assert_eq!(tasks(Family::Plain, 3)[2].address().to_string(), "127.0.0.3");
    }
}
