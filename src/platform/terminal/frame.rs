//! Frames of the protocol `ma-terminal`: kind (u8), length of the payload (u32, big-endian), payload.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Name of the protocol in the header `Upgrade`.
pub const PROTOCOL: &str = "ma-terminal";

/// Largest payload that is taken from a client, in bytes.
const LARGEST: u32 = 1 << 20;

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// 0: bytes from or to the terminal; of a shell with pipes, its standard input or output.
    Data(Vec<u8>),
    /// 1: rows and columns of the client's terminal, u16 each.
    Resize(u16, u16),
    /// 2: the exit code, i32; the last frame of the platform.
    Exit(i32),
    /// 3: nothing more will be typed.
    EndOfInput,
    /// 4: standard error of a shell with pipes.
    Errors(Vec<u8>),
    /// A kind of a newer client.
    Unknown(u8),
}

/// Reads a frame; `None` when the connection ends before one begins.
///
/// # Errors
/// The connection broke, or what came is no frame.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let kind = match stream.read_u8().await {
        Ok(kind) => kind,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = stream.read_u32().await?;
    if length > LARGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too large"));
    }
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await?;
    Ok(Some(match (kind, payload.as_slice()) {
        (0, _) => Frame::Data(payload),
        (1, &[a, b, c, d]) => Frame::Resize(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
        (2, &[a, b, c, d]) => Frame::Exit(i32::from_be_bytes([a, b, c, d])),
        (3, []) => Frame::EndOfInput,
        (4, _) => Frame::Errors(payload),
        (1..=3, _) => return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame has a wrong length")),
        (kind, _) => Frame::Unknown(kind),
    }))
}

/// Writes a frame.
///
/// # Errors
/// The connection broke.
pub async fn write(stream: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> io::Result<()> {
    let numbers;
    let (kind, payload): (u8, &[u8]) = match frame {
        Frame::Data(bytes) => (0, bytes),
        Frame::Resize(rows, columns) => {
            numbers = [rows.to_be_bytes(), columns.to_be_bytes()].concat();
            (1, &numbers)
        }
        Frame::Exit(code) => {
            numbers = code.to_be_bytes().to_vec();
            (2, &numbers)
        }
        Frame::EndOfInput => (3, &[]),
        Frame::Errors(bytes) => (4, bytes),
        Frame::Unknown(kind) => (*kind, &[]),
    };
    let length = u32::try_from(payload.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut bytes = Vec::with_capacity(5 + payload.len());
    bytes.push(kind);
    bytes.extend(length.to_be_bytes());
    bytes.extend(payload);
    stream.write_all(&bytes).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::{Frame, read, write};

    #[tokio::test]
    async fn frames_come_back_as_they_were_sent() {
        let frames = [
            Frame::Data(b"ls\n".to_vec()),
            Frame::Resize(40, 120),
            Frame::Exit(-2),
            Frame::EndOfInput,
            Frame::Errors(vec![0, 255]),
        ];
        let mut bytes = Vec::new();
        for frame in &frames {
            write(&mut bytes, frame).await.unwrap();
        }
        assert_eq!(bytes[..8], [0, 0, 0, 0, 3, b'l', b's', b'\n']);
        let mut rest = bytes.as_slice();
        for frame in &frames {
            assert_eq!(read(&mut rest).await.unwrap().as_ref(), Some(frame));
        }
        assert_eq!(read(&mut rest).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_no_frame_is_refused() {
        for bytes in [&[1, 0, 0, 0, 1, 9][..], &[0, 255, 0, 0, 0], &[0, 0, 0, 0, 9, 1]] {
            assert!(read(&mut &bytes[..]).await.is_err(), "{bytes:?}");
        }
        assert_eq!(read(&mut &[9, 0, 0, 0, 1, 7][..]).await.unwrap(), Some(Frame::Unknown(9)));
    }
}
