//! A scripted HTTP server for unit tests: answers in turn, remembers what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// One answer.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    after: Duration,
}

impl Script {
    pub(crate) fn new(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: body.to_owned(), after: Duration::ZERO }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Comes only after so long.
    pub(crate) fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }

    fn text(&self) -> String {
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = self.body.len();
        format!("HTTP/1.1 {} Scripted\r\n{headers}Content-Length: {length}\r\n\r\n{}", self.status, self.body)
    }
}

/// Listens on a free port until it is dropped. Requests beyond the script get 500 (once) and are remembered too.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) endpoint: String,
    seen: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) fn start(scripts: Vec<Script>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let listener = TcpListener::from_std(listener).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (remembered, scripts) = (Arc::clone(&seen), Arc::new(Mutex::new(scripts.into_iter())));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&scripts), Arc::clone(&remembered)));
            }
        });
        Self { endpoint, seen, task }
    }

    /// All requests so far, as text: head and body.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, scripts: Arc<Mutex<std::vec::IntoIter<Script>>>, seen: Arc<Mutex<Vec<String>>>) {
    let mut buffer = Vec::new();
    loop {
        let whole = loop {
            if let Some(length) = request_length(&buffer) {
                break buffer.drain(..length).collect::<Vec<u8>>();
            }
            let mut piece = [0; 4096];
            match stream.read(&mut piece).await {
                Ok(read) if read > 0 => buffer.extend_from_slice(&piece[..read]),
                _ => return,
            }
        };
        seen.lock().unwrap().push(String::from_utf8_lossy(&whole).into_owned());
        let script = scripts.lock().unwrap().next().unwrap_or_else(|| Script::new(500, "the script is at its end"));
        tokio::time::sleep(script.after).await;
        if stream.write_all(script.text().as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Length of the first request in `buffer` when it is there as a whole.
fn request_length(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    (buffer.len() >= head + length).then_some(head + length)
}
