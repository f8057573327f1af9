//! Starts the services of a platform, and ends them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::auth::Credential;

use super::error::Error;
use super::identity::routes::Endpoints;
use super::identity::{Account, Identity};
use super::installation::Installation;
use super::instance::Lock;
use super::modelarts::{self, Capacity, Training, TrainingOptions};
use super::obs::{KeyRing, ObjectStore};
use super::options::Options;
use super::state::State;
use super::{connections, files, profile, router};

/// How long requests that are under way may take to end when the platform is stopped; a little longer than the object store
/// waits for its own.
const DRAIN: Duration = Duration::from_secs(12);

/// The embedded platform.
#[derive(Clone, Copy, Debug)]
pub struct Platform;

/// A running platform. Dropped without [`Handle::shutdown`], it ends with the runtime, as if it were killed.
#[derive(Debug)]
pub struct Handle {
    /// URL of the control planes: IAM, `ModelArts` and the rest.
    pub endpoint: String,
    /// URL of the object store.
    pub obs_endpoint: String,
    /// The account, with its secrets.
    pub account: Arc<Account>,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Number of slots that running jobs share.
    pub slots: u32,
    training: Arc<Training>,
    shutdown: CancellationToken,
    servers: Vec<JoinHandle<()>>,
    lock: Lock,
}

impl Platform {
    /// Starts all services; they answer when this returns.
    ///
    /// # Errors
    /// The data directory is unusable or served already, or a port is taken.
    pub async fn start(options: Options) -> Result<Handle, Error> {
        files::make_private_folder(&options.data_dir)?;
        let data_dir = options.data_dir.canonicalize().map_err(Error::file("find", &options.data_dir))?;
        let lock = Lock::take(&data_dir)?;
        let mut installation = Installation::open(&data_dir)?;
        let (control, store) = installation.listen(options.port, options.obs_port).await?;
        let (endpoint, obs_endpoint) = (url(&control)?, url(&store)?);
        let account = Arc::new(installation.account);
        let state = Arc::new(open_state(&data_dir)?);
        let identity = Arc::new(Identity::new(Arc::clone(&account), Arc::clone(&state)));
        let shutdown = CancellationToken::new();
        let capacity = Capacity::read(&data_dir)?;
        let slots = options.slots(capacity.cores);
        let endpoints = Endpoints { control: endpoint.clone(), obs: obs_endpoint.clone() };
        let keys: Arc<dyn KeyRing> = Arc::<Identity>::clone(&identity);
        let objects = Arc::new(ObjectStore::open(&data_dir, Arc::clone(&state), keys, &account.region)?);
        let training = Training::open(TrainingOptions {
            state,
            data_dir: data_dir.clone(),
            slots,
            capacity,
            region: account.region.clone(),
            user_name: account.user_name.clone(),
            endpoint: endpoint.clone(),
            obs_endpoint: obs_endpoint.clone(),
            credentials: Credential {
                access_key: account.access_key.clone(),
                secret_key: account.secret_key.clone(),
                security_token: None,
                expires_at: None,
            },
            executable: options.executable,
            interpreters: options.interpreters,
            timing: options.timing,
            clock: options.clock,
        })?;
        let router = router::router(identity, endpoints, modelarts::routes(Arc::clone(&training)));
        let servers = vec![
            tokio::spawn(connections::serve(control, TowerToHyperService::new(router), shutdown.clone())),
            tokio::spawn(objects.serve(store, shutdown.clone())),
        ];
        profile::write(&data_dir, &account, &endpoint, &obs_endpoint)?;
        lock.announce(&endpoint, &obs_endpoint, slots)?;
        tracing::info!(endpoint, obs_endpoint, slots, "ready");
        Ok(Handle { endpoint, obs_endpoint, account, data_dir, slots, training, shutdown, servers, lock })
    }
}

impl Handle {
    /// Ends the platform: takes no new requests, finishes those under way, keeps everything for the next start. Tasks of
    /// running jobs go on under their supervisors.
    pub async fn shutdown(self) {
        tracing::info!("stopping");
        // Before the servers: it is a client of the object store.
        if tokio::time::timeout(DRAIN, self.training.shutdown()).await.is_err() {
            tracing::warn!("transfers of running jobs were cut off; they are taken up at the next start");
        }
        self.shutdown.cancel();
        for mut server in self.servers {
            if tokio::time::timeout(DRAIN, &mut server).await.is_err() {
                server.abort();
            }
        }
        tracing::info!("stopped");
        drop(self.lock);
    }
}

/// Opens the state file; it holds temporary keys, so only its owner may read it.
fn open_state(data_dir: &Path) -> Result<State, Error> {
    let path = data_dir.join(files::STATE);
    drop(files::open_private(&path)?);
    Ok(State::open(&path)?)
}

fn url(listener: &TcpListener) -> Result<String, Error> {
    let address = listener.local_addr().map_err(|source| Error::Listen { port: 0, source })?;
    Ok(format!("http://{address}"))
}
