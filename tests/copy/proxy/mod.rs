//! A proxy that breaks things: stands before a store, passes on what it is asked byte by byte, and spoils what its rules say.
//! It forwards requests with a path (a store's endpoint) and with a whole URL (an HTTP proxy), and opens tunnels (`CONNECT`).

mod fault;
mod message;
mod relay;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::{Method, Uri};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::AbortHandle;

pub(crate) use fault::{Fault, Rule};
pub(crate) use message::{Head, Kind};

/// Which requests are meant, by method and address alone.
type Matches = fn(&Method, &Uri) -> bool;

/// A running proxy; ends, and drops its connections, when dropped.
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

/// Requests and bytes of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) requests: u64,
    /// Bytes of request bodies that arrived here, also those of requests that were spoilt.
    pub(crate) up: u64,
    /// Bytes of answers' bodies that were sent on.
    pub(crate) down: u64,
    pub(crate) spoilt: u64,
}

struct Shared {
    upstream: String,
    rules: Vec<Rule>,
    simple: Option<(Rule, Matches)>,
    heads: Mutex<Vec<Head>>,
    counts: Mutex<HashMap<Kind, Count>>,
    connections: Mutex<Vec<AbortHandle>>,
}

impl Proxy {
    /// Spoils the first `count` requests that match.
    pub(crate) async fn start(upstream: &str, fault: Fault, count: usize, matches: Matches) -> Self {
        Self::listen(upstream, Vec::new(), None, Some((Rule::first(count, fault, |_| true), matches))).await
    }

    /// Spoils requests by rules; the first that applies decides.
    pub(crate) async fn with(upstream: &str, rules: Vec<Rule>) -> Self {
        Self::listen(upstream, rules, None, None).await
    }

    /// As [`Self::with`], with a receive buffer of so many bytes: what is not read yet stays with the sender.
    pub(crate) async fn narrow(upstream: &str, rules: Vec<Rule>, buffer: u32) -> Self {
        Self::listen(upstream, rules, Some(buffer), None).await
    }

    async fn listen(upstream: &str, rules: Vec<Rule>, buffer: Option<u32>, simple: Option<(Rule, Matches)>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(buffer) = buffer {
            socket.set_recv_buffer_size(buffer).unwrap();
        }
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let listener = socket.listen(1024).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let (heads, counts, connections) = (Mutex::default(), Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { upstream, rules, simple, heads, counts, connections });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Self { endpoint, shared, accepting }
    }

    /// Whether every fault with a number was used up.
    pub(crate) fn is_spent(&self) -> bool {
        let simple = self.shared.simple.iter().map(|(rule, _)| rule);
        self.shared.rules.iter().chain(simple).all(Rule::is_spent)
    }

    /// `METHOD path?query` and header names of each request.
    pub(crate) fn seen(&self) -> Vec<String> {
        let names = |head: &Head| head.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(" ");
        self.heads().iter().map(|head| format!("{} {} {}", head.method, head.uri, names(head))).collect()
    }

    /// The head of each request.
    pub(crate) fn heads(&self) -> Vec<Head> {
        self.shared.heads.lock().unwrap().clone()
    }

    /// What came of this kind.
    pub(crate) fn count(&self, kind: Kind) -> Count {
        self.shared.counts.lock().unwrap().get(&kind).copied().unwrap_or_default()
    }

    /// Requests that were spoilt, of all kinds.
    pub(crate) fn spoilt(&self) -> u64 {
        self.shared.counts.lock().unwrap().values().map(|count| count.spoilt).sum()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        for connection in self.shared.connections.lock().unwrap().iter() {
            connection.abort();
        }
    }
}

impl Shared {
    /// Remembers a request and says what is to go wrong with it.
    fn judge(&self, head: &Head) -> Option<Fault> {
        self.heads.lock().unwrap().push(head.clone());
        let simple = self.simple.as_ref().filter(|(_, matches)| matches(&head.method, &head.uri));
        let rules = self.rules.iter().filter(|rule| rule.matches(head));
        let fault = simple.map(|(rule, _)| rule).into_iter().chain(rules).find_map(|rule| rule.draw(head));
        self.count(head.kind(), |count| {
            count.requests += 1;
            count.spoilt += u64::from(fault.is_some());
        });
        fault
    }

    fn count(&self, kind: Kind, change: impl FnOnce(&mut Count)) {
        change(self.counts.lock().unwrap().entry(kind).or_default());
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let relaying = Arc::clone(&shared);
        // A spoilt connection ends with an error; that is the point.
        let task = tokio::spawn(async move { relay::relay(stream, &relaying).await.ok() });
        shared.connections.lock().unwrap().push(task.abort_handle());
    }
}
