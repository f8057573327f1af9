//! `ModelArts`: training jobs that really run, as processes of this machine.
//!
//! A job's document in the state file says where it stands; `schedule` gives it its turn, `drive` takes it through its phases
//! with the means of [`crate::platform::runner`], and the rest of this folder answers the API from the documents. After a
//! restart of the platform the documents and the files of the tasks say all there is to know, so nothing else is kept.

mod algorithm;
mod autosearch;
mod capacity;
mod clock;
mod create;
mod drive;
mod ended;
mod engine;
pub mod error;
mod event;
mod flavor;
mod hang;
mod image;
mod lacks;
mod log_lines;
mod plan;
mod pool;
mod probe;
mod record;
mod request;
mod restart;
mod retention;
mod routes;
mod schedule;
mod search;
mod stage;
mod tag;
mod task;
mod terminal;
mod training_job;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use capacity::Capacity;
pub use clock::Clock;
pub use error::Error;
pub(crate) use routes::is_link;
pub use routes::routes;

use crate::auth::Credential;
use crate::platform::modelarts::capacity::Share;
use crate::platform::modelarts::probe::Probes;
use crate::platform::runner;
use crate::platform::runner::environment::Surroundings;
use crate::platform::runner::transfer::Transfer;
use crate::platform::state::State;

/// What the training service works with.
#[derive(Clone, Debug)]
pub struct TrainingOptions {
    /// The platform's state.
    pub state: Arc<State>,
    /// The platform's folder; jobs are kept in `jobs` below it.
    pub data_dir: PathBuf,
    /// Slots that running jobs share; a flavor takes as many as it has cores, at most all.
    pub slots: u32,
    /// What else they share.
    pub capacity: Capacity,
    /// Region name.
    pub region: String,
    /// Name of the user whose jobs these are, where a request does not tell.
    pub user_name: String,
    /// URL of the control plane.
    pub endpoint: String,
    /// URL of the object store.
    pub obs_endpoint: String,
    /// Keys for the object store.
    pub credentials: Credential,
    /// Program that is started as `EXECUTABLE platform run-task SPEC` to supervise a task.
    pub executable: PathBuf,
    /// Python interpreter by engine id or engine name; `default` for all others, else `python3` of the search path. `mpirun` names
    /// the launcher of Horovod and MPI jobs of several nodes, `docker` the client that runs custom images.
    pub interpreters: BTreeMap<String, PathBuf>,
    /// How often things happen.
    pub timing: Timing,
    /// What time it is.
    pub clock: Clock,
}

/// How often things happen.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Between two looks at running tasks.
    pub poll: Duration,
    /// Between two uploads of logs.
    pub logs: Duration,
    /// Between two uploads of outputs.
    pub outputs: Duration,
    /// Between SIGTERM and SIGKILL when a job is stopped.
    pub grace: Duration,
    /// Between two samples of CPU and memory.
    pub samples: Duration,
    /// How long a minute of the detection of hangs is; other than a minute in tests only.
    pub minute: Duration,
    /// How long logs, events and usage of a job are kept after its end.
    pub retention: Duration,
}

impl Default for Timing {
    /// The documented periods: logs every 5 s, outputs every 30 s, a grace of 10 s; logs are kept for 30 days.
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(50),
            logs: Duration::from_secs(5),
            outputs: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            samples: Duration::from_secs(5),
            minute: Duration::from_secs(60),
            retention: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

/// The training service.
pub struct Training {
    options: TrainingOptions,
    jobs: PathBuf,
    transfer: Transfer,
    probes: Probes,
    active: Mutex<BTreeMap<String, Active>>,
    wake: Notify,
    ending: CancellationToken,
    tracker: TaskTracker,
    /// Signs links to logs; new at every start, so links end with the platform.
    link_key: [u8; 32],
}

/// A job that holds its share.
#[derive(Debug)]
struct Active {
    share: Share,
    /// The ports that its programs are going to listen on.
    ports: BTreeSet<u16>,
    /// Cancelled when the job is to be stopped.
    stop: CancellationToken,
}

impl fmt::Debug for Training {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Training").field("jobs", &self.jobs).finish_non_exhaustive()
    }
}

impl Training {
    /// Opens the service and takes up what an earlier platform left: running tasks are watched again, the queue goes on. Must be
    /// called within a runtime.
    ///
    /// # Errors
    /// The state or the folder of jobs cannot be used.
    pub fn open(options: TrainingOptions) -> Result<Arc<Self>, Error> {
        let jobs = options.data_dir.join("jobs");
        fs::create_dir_all(&jobs).map_err(runner::Error::local("cannot create", &jobs))?;
        record::prepare(&options.state)?;
        pool::create(&options.state, options.clock.now())?;
        let mut link_key = [0; 32];
        getrandom::fill(&mut link_key)?;
        let transfer = Transfer::new(&options.obs_endpoint, &options.region, options.credentials.clone())?;
        let training = Arc::new(Self {
            options,
            jobs,
            transfer,
            probes: Probes::default(),
            active: Mutex::default(),
            wake: Notify::new(),
            ending: CancellationToken::new(),
            tracker: TaskTracker::new(),
            link_key,
        });
        schedule::resume(&training).map_err(|error| Error::Jobs(error.to_string()))?;
        training.tracker.spawn(schedule::run(Arc::clone(&training)));
        training.tracker.spawn(Arc::clone(&training).prewarm());
        training.tracker.spawn(retention::run(Arc::clone(&training)));
        Ok(training)
    }

    /// Stops scheduling and watching. The tasks go on under their supervisors, and the next [`Training::open`] finds them.
    pub async fn shutdown(&self) {
        self.ending.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Asks the usual interpreter before the first job does, which need not wait for the answer then.
    async fn prewarm(self: Arc<Self>) {
        let python = drive::default_interpreter(&self);
        let ask = async {
            let found = self.probes.find(&python, None).await;
            if let Ok(found) = found {
                let _ = self.probes.find(&found.executable, Some("pip")).await;
            }
        };
        self.ending.run_until_cancelled(ask).await;
    }

    pub(crate) fn options(&self) -> &TrainingOptions {
        &self.options
    }

    pub(crate) fn state(&self) -> &State {
        &self.options.state
    }

    /// Folder of all jobs.
    pub(crate) fn jobs(&self) -> &Path {
        &self.jobs
    }

    /// Milliseconds since 1970, by the service's clock.
    pub(crate) fn now(&self) -> i64 {
        self.options.clock.now()
    }

    /// Slots that are in use.
    pub(crate) fn slots_taken(&self) -> u32 {
        self.active().values().map(|active| active.share.slots).sum()
    }

    /// What jobs are told of the platform; `has_names` when their nodes have names.
    fn surroundings(&self, has_names: bool) -> Surroundings {
        Surroundings {
            endpoint: self.options.endpoint.clone(),
            obs_endpoint: self.options.obs_endpoint.clone(),
            region: self.options.region.clone(),
            has_names,
        }
    }

    /// The map is whole whenever its lock is free, so a panic elsewhere does not make it unusable.
    fn active(&self) -> MutexGuard<'_, BTreeMap<String, Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
