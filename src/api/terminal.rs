//! A terminal in a running task of a training job. ModelArts has no operation for it; the embedded platform has one of its own:
//! an upgraded connection with frames of kind (u8), length (u32, big-endian) and payload.

use std::io;

use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};

use crate::api::{Api, Error, Request, TimeClass, refusal};
use crate::http::upgrade::Switched;

/// Name of the protocol in the header `Upgrade`.
const PROTOCOL: &str = "ma-terminal";
/// Largest payload that is taken from the service, in bytes.
const LARGEST: u32 = 1 << 20;

/// What is to be run, and on what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish<'a> {
    /// Job and task.
    pub job: &'a str,
    /// Task of the job, such as `worker-0`.
    pub task: &'a str,
    /// Program and arguments; empty for a shell.
    pub words: &'a [String],
    /// Rows and columns of the terminal and its kind (`TERM`); `None` for pipes.
    pub terminal: Option<(u16, u16, &'a str)>,
}

/// What the other side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Output of the terminal, or standard output.
    Output(Vec<u8>),
    /// Standard error, where there are pipes.
    Errors(Vec<u8>),
    /// The program has ended with this exit code.
    Exit(i32),
}

/// The reading half of a terminal.
#[derive(Debug)]
pub struct Listener(ReadHalf<Box<reqwest::Upgraded>>);

/// The writing half of a terminal.
#[derive(Debug)]
pub struct Speaker(WriteHalf<Box<reqwest::Upgraded>>);

/// Opens a terminal; `None` when the service has no such operation.
///
/// # Errors
/// As [`Api::send`].
pub async fn open(api: &Api, wish: &Wish<'_>) -> Result<Option<(Listener, Speaker)>, Error> {
    let path = "/platform/{project_id}/training-jobs/{training_job_id}/tasks/{task_id}/terminal";
    let mut request = Request::new(Method::GET, path, &[wish.job, wish.task]);
    request.class = TimeClass::Transfer;
    if !wish.words.is_empty() {
        // One parameter: signatures put several of a name into another order.
        request = request.parameter("words", serde_json::json!(wish.words));
    }
    if let Some((rows, columns, kind)) = wish.terminal {
        request = request.parameter("rows", rows).parameter("columns", columns).parameter("kind", kind);
    }
    let project_id = api.project_id().await?;
    let mut renewed = false;
    loop {
        let prepared = api.prepare(&request, Some(&project_id)).await?;
        match api.client.upgrade(prepared.clone(), PROTOCOL).await? {
            Switched::Yes(stream) => {
                let (reader, writer) = split(stream);
                return Ok(Some((Listener(reader), Speaker(writer))));
            }
            Switched::No(answer) => {
                if answer.status == http::StatusCode::UNAUTHORIZED && !renewed && api.authenticator.refused(&prepared) {
                    renewed = true;
                    continue;
                }
                let error = refusal(&answer);
                let Error::Service(refused) = &error else { return Err(error) };
                let is_own = refused.code.starts_with("ModelArts.");
                return if is_unknown(answer.status.as_u16(), is_own) { Ok(None) } else { Err(error) };
            }
        }
    }
}

/// Whether an answer that opens no terminal says that there is no such operation. Gateways and proxies that do not know the path
/// say so in their own words, ModelArts in its: 404 with a code of ModelArts is about the job. Faults are faults.
fn is_unknown(status: u16, has_own_code: bool) -> bool {
    match status {
        404 | 405 | 426 | 501 => !has_own_code,
        _ => status < 400,
    }
}

impl Listener {
    /// The next thing that is said; `None` when the connection has ended. Must not be dropped half-way.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> io::Result<Option<Said>> {
        loop {
            let kind = match self.0.read_u8().await {
                Ok(kind) => kind,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(error),
            };
            let length = self.0.read_u32().await?;
            if length > LARGEST {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the service sent a frame that is too large"));
            }
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await?;
            match (kind, payload.as_slice()) {
                (0, _) => return Ok(Some(Said::Output(payload))),
                (2, &[a, b, c, d]) => return Ok(Some(Said::Exit(i32::from_be_bytes([a, b, c, d])))),
                (4, _) => return Ok(Some(Said::Errors(payload))),
                // Of a newer service.
                _ => {}
            }
        }
    }
}

impl Speaker {
    /// Sends what was typed.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.frame(0, bytes).await
    }

    /// Tells the size of the terminal.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn resize(&mut self, rows: u16, columns: u16) -> io::Result<()> {
        self.frame(1, &[rows.to_be_bytes(), columns.to_be_bytes()].concat()).await
    }

    /// Says that nothing more will be typed.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn end(&mut self) -> io::Result<()> {
        self.frame(3, &[]).await
    }

    async fn frame(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut bytes = vec![kind];
        bytes.extend(length.to_be_bytes());
        bytes.extend(payload);
        self.0.write_all(&bytes).await?;
        self.0.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::is_unknown;

    #[test]
    fn a_fault_is_not_taken_for_an_operation_that_is_missing() {
        for status in [200, 302, 404, 405, 426, 501] {
            assert!(is_unknown(status, false), "{status}");
        }
        for status in [400, 401, 403, 429, 500, 502, 503] {
            assert!(!is_unknown(status, false), "{status}");
        }
        assert!(!is_unknown(404, true));
    }
}
