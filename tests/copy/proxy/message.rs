//! Heads of requests and answers, as bytes; and what kind of request it is.

use std::io;

use http::{Method, Uri};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PIECE: usize = 64 * 1024;

/// What the copier can ask a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Put,
    Part,
    Copy,
    CopyPart,
    Get,
    Head,
    List,
    ListParts,
    Create,
    Complete,
    Abort,
    Delete,
    DeleteMany,
    Other,
}

/// The head of a request.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    /// Lower-case names with their values, in order.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn length(&self) -> u64 {
        self.header("content-length").map_or(0, |value| value.parse().unwrap())
    }

    fn has(&self, name: &str) -> bool {
        let query = self.uri.query().unwrap_or_default();
        query.split('&').any(|pair| pair.split('=').next() == Some(name))
    }

    pub(crate) fn kind(&self) -> Kind {
        let copies = self.header("x-amz-copy-source").is_some();
        let of_bucket = self.uri.path().trim_matches('/').split('/').count() <= 1;
        match (self.method.as_str(), self.has("uploadId")) {
            ("PUT", true) if copies => Kind::CopyPart,
            ("PUT", false) if copies => Kind::Copy,
            ("PUT", true) => Kind::Part,
            ("PUT", false) if !of_bucket => Kind::Put,
            ("GET", true) => Kind::ListParts,
            ("GET", false) if self.has("list-type") || self.has("prefix") || self.has("delimiter") => Kind::List,
            ("GET", false) if !of_bucket => Kind::Get,
            ("HEAD", _) => Kind::Head,
            ("POST", true) => Kind::Complete,
            ("POST", false) if self.has("uploads") => Kind::Create,
            ("POST", false) if self.has("delete") => Kind::DeleteMany,
            ("DELETE", true) => Kind::Abort,
            ("DELETE", false) => Kind::Delete,
            _ => Kind::Other,
        }
    }
}

/// A connection, and what was read from it too early.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    rest: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        Self { stream, rest: Vec::new() }
    }

    /// The next head with its final empty line; `None` when the other side closed before one began.
    pub(crate) async fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                return Ok(Some(self.rest.drain(..end + 4).collect()));
            }
            let mut piece = vec![0; PIECE];
            let read = self.stream.read(&mut piece).await?;
            if read == 0 && self.rest.is_empty() {
                return Ok(None);
            }
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.rest.extend_from_slice(&piece[..read]);
        }
    }

    /// Up to `most` bytes of a body, at least one.
    pub(crate) async fn piece(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let most = usize::try_from(most).unwrap().min(PIECE);
        if !self.rest.is_empty() {
            return Ok(self.rest.drain(..most.min(self.rest.len())).collect());
        }
        let mut piece = vec![0; most];
        let read = self.stream.read(&mut piece).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        piece.truncate(read);
        Ok(piece)
    }

    pub(crate) async fn whole(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < length {
            bytes.extend(self.piece(length - bytes.len() as u64).await?);
        }
        Ok(bytes)
    }

    /// A body in chunks, without its frame.
    pub(crate) async fn chunked(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let line = self.line().await?;
            let length = u64::from_str_radix(line.split(';').next().unwrap().trim(), 16).unwrap();
            bytes.extend(self.whole(length).await?);
            self.line().await?;
            if length == 0 {
                return Ok(bytes);
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(self.whole(1).await?);
        }
        Ok(String::from_utf8(line).unwrap().trim().to_owned())
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }
}

/// First line and headers of a head.
pub(crate) fn parse(head: &[u8]) -> (String, Vec<(String, String)>) {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n").filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default().to_owned();
    let headers = lines.filter_map(|line| line.split_once(':'));
    (first, headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect())
}

pub(crate) fn parse_request(head: &[u8]) -> Head {
    let (first, headers) = parse(head);
    let mut words = first.split(' ');
    let method = words.next().unwrap().parse().unwrap();
    Head { method, uri: words.next().unwrap().parse().unwrap(), headers }
}

/// Writes a head again.
pub(crate) fn print(first: &str, headers: &[(String, String)]) -> Vec<u8> {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{first}\r\n{lines}\r\n").into_bytes()
}
