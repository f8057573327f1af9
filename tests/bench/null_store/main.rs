//! An S3 endpoint that keeps nothing: what a copier costs can be measured against it without a disk or another store's work.
//!
//! Uploads are discarded and remembered by size and ETag. Some keys exist without being uploaded, zeros all of them:
//! `big/BYTES` (multipart ETag), `plain/BYTES` (MD5 ETag) and `synth/COUNT/BYTES/NNNNNNNN` (COUNT keys of BYTES, MD5 ETag).
//! ETags are true MD5s. Working them out would cost more than all the rest, so an upload of the same key, part number and length
//! is taken to be the same bytes: warm up with the data that is to be counted. Nothing is authenticated.
//!
//! `GET /__stats` answers what was counted so far; `GET /__stats?reset` begins anew.

#[path = "../tls.rs"]
mod tls;

mod answer;
mod listing;
mod service;
mod store;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use service::Service;

const USAGE: &str = "Usage: null-store [--port N] [--threads N] [--latency-ms N] [--rate-mb N] [--tls CERTIFICATE KEY]
  --port        0, the default, picks a free one; the address is the first line printed
  --latency-ms  how long every answer is held back
  --rate-mb     megabytes a second that a connection carries at most, in either direction";

struct Arguments {
    port: u16,
    threads: usize,
    latency: Duration,
    bytes_per_second: Option<f64>,
    tls: Option<(String, String)>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(arguments.threads).enable_all().build()?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let acceptor = match &arguments.tls {
        Some((certificate, key)) => Some(tls::acceptor(certificate, key)?),
        None => None,
    };
    let listener = TcpListener::bind(("127.0.0.1", arguments.port)).await?;
    announce(&format!("{}://{}", if acceptor.is_some() { "https" } else { "http" }, listener.local_addr()?));
    let service = Arc::new(Service::new(arguments.latency, arguments.bytes_per_second));
    loop {
        // A client that gave up before it was accepted is no reason to end.
        let Ok((stream, _)) = listener.accept().await else { continue };
        // Only costs time if it fails.
        let _ = stream.set_nodelay(true);
        let (service, acceptor) = (Arc::clone(&service), acceptor.clone());
        tokio::spawn(async move {
            match acceptor {
                None => connection(&service, stream).await,
                Some(acceptor) => secured(&service, acceptor, stream).await,
            }
        });
    }
}

async fn secured(service: &Arc<Service>, acceptor: TlsAcceptor, stream: tokio::net::TcpStream) {
    if let Ok(stream) = acceptor.accept(stream).await {
        connection(service, stream).await;
    }
}

async fn connection(service: &Arc<Service>, stream: impl AsyncRead + AsyncWrite + Unpin) {
    service.counters.connect();
    let answer = service_fn(|request| {
        let service = Arc::clone(service);
        async move { service.answer(request).await }
    });
    // Clients leave connections as they like.
    let _ =
        hyper::server::conn::http1::Builder::new().max_buf_size(1 << 20).serve_connection(TokioIo::new(stream), answer).await;
    service.counters.disconnect();
}

#[expect(clippy::print_stdout, reason = "the one line that says where to connect")]
fn announce(address: &str) {
    println!("{address}");
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments = Arguments {
        port: 0,
        threads: std::thread::available_parallelism()?.get(),
        latency: Duration::ZERO,
        bytes_per_second: None,
        tls: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(USAGE);
        match word.as_str() {
            "--port" => arguments.port = value()?.parse()?,
            "--threads" => arguments.threads = value()?.parse()?,
            "--latency-ms" => arguments.latency = Duration::from_secs_f64(value()?.parse::<f64>()? / 1e3),
            "--rate-mb" => arguments.bytes_per_second = Some(value()?.parse::<f64>()? * 1e6).filter(|rate| *rate > 0.0),
            "--tls" => arguments.tls = Some((value()?, value()?)),
            _ => return Err(USAGE.into()),
        }
    }
    Ok(arguments)
}
