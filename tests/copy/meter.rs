//! A relay that counts the bytes of both directions, keeps a rate, and can stall: it shows what a copy sends again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

const PIECE: usize = 64 * 1024;

/// A running relay; it ends with the runtime.
#[derive(Clone)]
pub(crate) struct Meter {
    pub(crate) endpoint: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: SocketAddr,
    up: AtomicU64,
    down: AtomicU64,
    // Bytes of both directions after which nothing moves any more.
    stall_after: AtomicU64,
    // Bytes a second through all connections.
    rate: u64,
    turn: Mutex<()>,
}

impl Meter {
    /// Relays to a store, at that many bytes a second.
    pub(crate) async fn start(endpoint: &str, rate: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            upstream: endpoint.trim_start_matches("http://").parse().unwrap(),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            stall_after: AtomicU64::new(u64::MAX),
            rate,
            turn: Mutex::default(),
        });
        let relay = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(relay.upstream).await else { continue };
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(Arc::clone(&relay).pump(near_in, far_out, true));
                tokio::spawn(Arc::clone(&relay).pump(far_in, near_out, false));
            }
        });
        Self { endpoint: own, shared }
    }

    /// As fast as it goes.
    pub(crate) async fn fast(endpoint: &str) -> Self {
        Self::start(endpoint, u64::MAX).await
    }

    /// Nothing moves any more after so many bytes.
    pub(crate) fn stall_after(&self, bytes: u64) {
        self.shared.stall_after.store(bytes, Ordering::SeqCst);
    }

    /// Bytes sent to the store so far.
    pub(crate) fn up(&self) -> u64 {
        self.shared.up.load(Ordering::SeqCst)
    }

    /// Bytes that came from the store so far.
    pub(crate) fn down(&self) -> u64 {
        self.shared.down.load(Ordering::SeqCst)
    }
}

impl Shared {
    async fn pump(self: Arc<Self>, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_up: bool) {
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            let counter = if is_up { &self.up } else { &self.down };
            counter.fetch_add(length as u64, Ordering::SeqCst);
            if self.up.load(Ordering::SeqCst) + self.down.load(Ordering::SeqCst) > self.stall_after.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            if self.rate < u64::MAX {
                // One at a time, so that the rate is that of all together.
                let turn = self.turn.lock().await;
                tokio::time::sleep(Duration::from_secs_f64(length as f64 / self.rate as f64)).await;
                drop(turn);
            }
            if to.write_all(&piece[..length]).await.is_err() {
                break;
            }
        }
    }
}
