//! The store as a server.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use hyper::service::service_fn;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::append::Append;
use super::checks::Checks;
use super::error::Error;
use super::gate::Gate;
use super::keys::KeyRing;
use super::service::Service;
use super::store::Store;
use crate::platform::connections;
use crate::platform::state::State;

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
        let service = service_fn(move |request| {
            let store = Arc::clone(&self);
            async move { Ok::<_, Infallible>(store.gate.call(request).await) }
        });
        connections::serve(listener, service, shutdown).await;
    }
}
