//! The store as a server.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::service::S3ServiceBuilder;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::append::Append;
use super::checks::Checks;
use super::error::Error;
use super::gate::Gate;
use super::keys::KeyRing;
use super::service::Service;
use super::store::Store;
use crate::platform::state::State;

/// How long requests that run may go on after a shutdown was asked for.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// How long a client may take to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(60);

/// How long to wait when no connection can be accepted, as when all file descriptors are in use.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The object store, ready to serve.
#[derive(Debug)]
pub struct ObjectStore {
    gate: Gate,
}

impl ObjectStore {
    /// Opens the store in `<data_dir>/obs`, with its index in `state`. What a killed process left half-done is finished or undone.
    /// `region` is the one that buckets are in.
    ///
    /// # Errors
    /// The folder or the index cannot be used.
    pub fn open(data_dir: &Path, state: Arc<State>, keys: Arc<dyn KeyRing>, region: &str) -> Result<Self, Error> {
        let store = Arc::new(Store::open(&data_dir.join("obs"), state, region)?);
        let checks = Checks(Arc::clone(&keys));
        let mut builder = S3ServiceBuilder::new(Service(Arc::clone(&store)));
        builder.set_auth(checks.clone());
        builder.set_access(checks.clone());
        builder.set_host(checks.clone());
        builder.set_route(Append { store, checks });
        Ok(Self { gate: Gate::new(builder.build(), keys) })
    }

    /// Serves until `shutdown` is cancelled, then finishes the requests that run, for ten seconds at most.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: CancellationToken) {
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.cancelled() => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    connections.spawn(Arc::clone(&self).connection(stream, shutdown.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        connections.close();
        if tokio::time::timeout(DRAIN_TIME, connections.wait()).await.is_err() {
            tracing::warn!(open = connections.len(), "connections were cut off at shutdown");
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, shutdown: CancellationToken) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let service = service_fn(move |request| {
            let store = Arc::clone(&self);
            async move { Ok::<_, Infallible>(store.gate.call(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                // The deadline counts for each connection, so that none outlives the server.
                match tokio::time::timeout(DRAIN_TIME, connection).await {
                    Ok(ended) => ended,
                    Err(_) => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}
