//! A server of a few lines for what no platform plays: it answers by a function and remembers what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Listens on a free port for as long as the test runs.
pub(crate) struct SmallServer {
    pub(crate) endpoint: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl SmallServer {
    /// `answer` is given the head and body of a request and gives status, further header lines and body.
    pub(crate) fn start(answer: impl Fn(&str) -> (u16, String, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &answer, &remembered);
            }
        });
        Self { endpoint, seen }
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// One request a connection, which is closed after the answer.
fn serve(stream: TcpStream, answer: &impl Fn(&str) -> (u16, String, String), seen: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        if reader.read_line(&mut text).ok()? == 0 {
            return None;
        }
    }
    let length = text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    text.push_str(&String::from_utf8_lossy(&body));
    seen.lock().unwrap().push(text.clone());
    let (status, headers, body) = answer(&text);
    let length = body.len();
    let head = format!("HTTP/1.1 {status} x\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n");
    let mut stream = stream;
    stream.write_all(format!("{head}{body}").as_bytes()).ok()
}

/// A document with temporary keys that last an hour.
pub(crate) fn keys(access: &str) -> String {
    let end = time::OffsetDateTime::now_utc() + time::Duration::hours(1);
    let end = end.format(&time::format_description::well_known::Rfc3339).unwrap();
    serde_json::json!({"credential": {"access": access, "secret": "AMBIENTSECRET", "securitytoken": "AMBIENTTOKEN", "expires_at": end}})
        .to_string()
}
