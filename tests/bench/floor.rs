//! The least a client can do: the same bytes over the same sockets, unsigned, unlisted, unverified. Its time is the floor that
//! a copier is measured against.

mod tls;

use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const USAGE: &str = "Usage: floor ADDRESS up FILE | down FILE BYTES | put FOLDER | get FOLDER COUNT BYTES   [--tls CERTIFICATE]
  ADDRESS  HOST:PORT of a null-store";

/// Bytes of a part or range.
const PART: u64 = 16 << 20;
/// Bytes read from a file at a time.
const CHUNK: u64 = 256 << 10;
/// Connections for parts, and for whole files.
const WIDE: usize = 8;
const MANY: usize = 32;

type Failure = Box<dyn Error + Send + Sync>;

enum Work {
    Up { file: File, size: u64 },
    Down { file: File, size: u64 },
    Put { files: Vec<PathBuf> },
    Get { folder: PathBuf, count: u64, size: u64 },
}

struct Job {
    address: String,
    tls: Option<TlsConnector>,
    work: Work,
    next: AtomicU64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let job = Arc::new(parse()?);
    let width = if matches!(job.work, Work::Up { .. } | Work::Down { .. }) { WIDE } else { MANY };
    let workers: Vec<_> = (0..width).map(|_| tokio::spawn(work(Arc::clone(&job)))).collect();
    for worker in workers {
        worker.await?.map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn work(job: Arc<Job>) -> Result<(), Failure> {
    let mut send = connect(&job).await?;
    while job.step(&mut send).await? {}
    Ok(())
}

impl Job {
    /// Moves one part or file; whether there was one left.
    async fn step(self: &Arc<Self>, send: &mut SendRequest<Outgoing>) -> Result<bool, Failure> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        match &self.work {
            Work::Up { size, .. } | Work::Down { size, .. } if number * PART >= *size => return Ok(false),
            Work::Up { size, .. } => {
                let (from, to) = (number * PART, (number * PART + PART).min(*size));
                let target = format!("/bench/floor/{}", number + 1);
                let body = Outgoing::Piece { job: Arc::clone(self), from, to };
                let answer = ask(send, self.request("PUT", &target, None)?.body(body)?).await?;
                answer.into_body().collect().await?;
            }
            Work::Down { file, size } => {
                let (from, to) = (number * PART, (number * PART + PART).min(*size));
                let range = format!("bytes={from}-{}", to - 1);
                let request = self.request("GET", &format!("/bench/big/{size}"), Some(&range))?;
                let mut body = ask(send, request.body(Outgoing::Whole(None))?).await?.into_body();
                let mut at = from;
                while let Some(frame) = body.frame().await {
                    if let Ok(data) = frame?.into_data() {
                        file.write_all_at(&data, at)?;
                        at += data.len() as u64;
                    }
                }
                if at != to {
                    return Err("a range was cut short".into());
                }
            }
            Work::Put { files } => {
                let Some(path) = files.get(usize::try_from(number)?) else { return Ok(false) };
                let body = Outgoing::Whole(Some(std::fs::read(path)?.into()));
                let answer = ask(send, self.request("PUT", &format!("/bench/floor/{number:08}"), None)?.body(body)?).await?;
                answer.into_body().collect().await?;
            }
            Work::Get { count, .. } if number >= *count => return Ok(false),
            Work::Get { folder, count, size } => {
                let target = format!("/bench/synth/{count}/{size}/{number:08}");
                let answer = ask(send, self.request("GET", &target, None)?.body(Outgoing::Whole(None))?).await?;
                std::fs::write(folder.join(format!("{number:08}")), answer.into_body().collect().await?.to_bytes())?;
            }
        }
        Ok(true)
    }

    fn request(&self, method: &str, target: &str, range: Option<&str>) -> Result<hyper::http::request::Builder, Failure> {
        let request = Request::builder().method(method).uri(target).header("host", &self.address);
        Ok(match range {
            Some(range) => request.header("range", range),
            None => request,
        })
    }
}

async fn ask(send: &mut SendRequest<Outgoing>, request: Request<Outgoing>) -> Result<Response<Incoming>, Failure> {
    send.ready().await?;
    let answer = send.send_request(request).await?;
    if !answer.status().is_success() {
        return Err(format!("the store answered {}", answer.status()).into());
    }
    Ok(answer)
}

async fn connect(job: &Job) -> Result<SendRequest<Outgoing>, Failure> {
    let stream = TcpStream::connect(&job.address).await?;
    stream.set_nodelay(true)?;
    match &job.tls {
        None => handshake(stream).await,
        Some(connector) => {
            let host = job.address.split(':').next().unwrap_or_default().to_owned();
            handshake(connector.connect(ServerName::try_from(host)?, stream).await?).await
        }
    }
}

async fn handshake(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<SendRequest<Outgoing>, Failure> {
    let (send, connection) = Builder::new().max_buf_size(1 << 20).handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(send)
}

/// The body of a request.
enum Outgoing {
    Whole(Option<Bytes>),
    /// That piece of the file of an upload.
    Piece {
        job: Arc<Job>,
        from: u64,
        to: u64,
    },
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match &mut *self {
            Self::Whole(data) => Poll::Ready(data.take().map(|data| Ok(Frame::data(data)))),
            Self::Piece { from, to, .. } if from == to => Poll::Ready(None),
            Self::Piece { job, from, to } => {
                let Work::Up { file, .. } = &job.work else { return Poll::Ready(None) };
                let mut chunk = BytesMut::zeroed((*to - *from).min(CHUNK) as usize);
                file.read_exact_at(&mut chunk, *from)?;
                *from += chunk.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(chunk.freeze()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(data) => data.is_none(),
            Self::Piece { from, to, .. } => from == to,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(data) => data.as_ref().map_or(0, |data| data.len() as u64),
            Self::Piece { from, to, .. } => to - from,
        })
    }
}

fn parse() -> Result<Job, Box<dyn Error>> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let tls = match words.iter().position(|word| word == "--tls") {
        Some(at) if at + 1 < words.len() => Some(tls::connector(&words.drain(at..at + 2).nth(1).ok_or(USAGE)?)?),
        _ => None,
    };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (address, work) = match words[..] {
        [address, "up", path] => {
            let file = File::open(path)?;
            (address, Work::Up { size: file.metadata()?.len(), file })
        }
        [address, "down", path, size] => {
            let (file, size) = (File::create(path)?, size.parse()?);
            file.set_len(size)?;
            (address, Work::Down { file, size })
        }
        [address, "put", folder] => {
            let mut files = Vec::new();
            collect(Path::new(folder), &mut files)?;
            (address, Work::Put { files })
        }
        [address, "get", folder, count, size] => {
            (address, Work::Get { folder: folder.into(), count: count.parse()?, size: size.parse()? })
        }
        _ => return Err(USAGE.into()),
    };
    Ok(Job { address: address.to_owned(), tls, work, next: AtomicU64::new(0) })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
